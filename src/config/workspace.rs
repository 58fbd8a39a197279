//! The workspace: the folder with `pairs/`, `configs/` and `runs/`, and what its config files say.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::yaml::{self, Fault};
use super::{Canary, Config, ConfigError, Rubric, Sampling, Templates, canaries, embedded, raw, rubric, sampling, templates};

/// Files in `configs/` that are not training configs.
const OTHERS: [&str; 4] = ["canaries.yaml", "rubric.yaml", "sampling.yaml", "templates.yaml"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace in the given folder, else the nearest one from the current folder upward.
    pub fn find(over: Option<&Path>) -> Result<Workspace> {
        match over {
            Some(dir) => Workspace::open(dir),
            None => {
                let here = std::env::current_dir().context("the current folder cannot be told; give the workspace with --workspace DIR")?;
                Workspace::upward_from(&here)
            }
        }
    }

    /// The workspace in this very folder.
    pub fn open(dir: &Path) -> Result<Workspace> {
        if !dir.is_dir() {
            bail!("{}: there is no such folder; make a workspace there with `voicetune init {0}`", dir.display());
        }
        match ["pairs", "configs"].iter().find(|part| !dir.join(part).is_dir()) {
            None => Ok(Workspace { root: dir.to_path_buf() }),
            Some(part) => bail!("{}: not a workspace, it has no {part}/; make one with `voicetune init DIR`", dir.display()),
        }
    }

    /// The nearest folder from `start` upward that has `pairs/` and `configs/`.
    pub fn upward_from(start: &Path) -> Result<Workspace> {
        start.ancestors().find_map(|dir| Workspace::open(dir).ok()).with_context(|| {
            format!(
                "{}: neither this folder nor one above it is a workspace (a folder with pairs/ and configs/); \
                 make one with `voicetune init DIR`, or name one with --workspace DIR",
                start.display()
            )
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn pairs(&self) -> PathBuf {
        self.root.join("pairs")
    }

    pub fn configs(&self) -> PathBuf {
        self.root.join("configs")
    }

    /// Need not exist yet.
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// A training config by its name in `configs/`, with or without `.yaml`, or by its path.
    pub fn config(&self, name_or_path: &str) -> Result<Config, ConfigError> {
        let path = self.config_path(name_or_path)?;
        raw::load(&path).map_err(|error| error.seen_from(&self.root))
    }

    /// Where a new training config of this name would stand. Fails where the name is taken, or is that of another kind of config.
    pub fn new_config(&self, name: &str) -> Result<PathBuf> {
        let file = format!("{}.yaml", name.trim_end_matches(".yaml"));
        let path = self.configs().join(&file);
        if OTHERS.contains(&file.as_str()) {
            bail!("configs/{file} is not a training config; choose another name");
        }
        if path.symlink_metadata().is_ok() {
            bail!("configs/{file} is there already; choose another name");
        }
        Ok(path)
    }

    /// The training configs in `configs/`, sorted by name.
    pub fn training_configs(&self) -> Result<Vec<PathBuf>> {
        let folder = self.configs();
        let entries = std::fs::read_dir(&folder).with_context(|| format!("{}: cannot be listed", folder.display()))?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("{}: cannot be listed", folder.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".yaml") && !name.starts_with('.') && !OTHERS.contains(&&*name) {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// The fixed prompts. They are about the writer's own topics, so there is no default.
    pub fn canaries(&self) -> Result<Vec<Canary>, ConfigError> {
        self.read("canaries.yaml", None, canaries::parse)
    }

    /// The rubric; without the file, the nine dimensions that `voicetune init` writes.
    pub fn rubric(&self) -> Result<Rubric, ConfigError> {
        self.read("rubric.yaml", Some(embedded::RUBRIC), rubric::parse)
    }

    /// The sampling settings; a missing file or key has the default that `voicetune init` writes.
    pub fn sampling(&self) -> Result<Sampling, ConfigError> {
        self.read("sampling.yaml", Some(""), sampling::parse)
    }

    /// The templates; a missing file or key has the default that `voicetune init` writes.
    pub fn templates(&self) -> Result<Templates, ConfigError> {
        self.read("templates.yaml", Some(""), templates::parse)
    }

    fn config_path(&self, name_or_path: &str) -> Result<PathBuf, ConfigError> {
        let as_path = PathBuf::from(name_or_path);
        let in_configs = self.configs().join(name_or_path);
        // Not `with_extension`, which takes the `.1-8b-lora` of `llama-3.1-8b-lora` for one.
        let with_ending = self.configs().join(format!("{name_or_path}.yaml"));
        if let Some(found) = [with_ending, in_configs, as_path.clone()].into_iter().find(|path| path.is_file()) {
            return Ok(found);
        }
        if as_path.components().count() > 1 {
            return Err(ConfigError { file: as_path, line: None, message: "there is no such file; check the path".into() });
        }
        Err(ConfigError {
            file: Path::new("configs").join(if name_or_path.ends_with(".yaml") {
                name_or_path.into()
            } else {
                format!("{name_or_path}.yaml")
            }),
            line: None,
            message: format!("there is no such config; {}", self.suggest_config(name_or_path)),
        })
    }

    fn suggest_config(&self, wanted: &str) -> String {
        let names: Vec<String> = self
            .training_configs()
            .unwrap_or_default()
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        match names.is_empty() {
            true => "configs/ has none; `voicetune init DIR` writes a set".into(),
            false => yaml::suggest(wanted.trim_end_matches(".yaml"), &names),
        }
    }

    fn read<T>(&self, name: &str, default: Option<&str>, parse: fn(&str) -> Result<T, Fault>) -> Result<T, ConfigError> {
        let path = self.configs().join(name);
        let text = match (std::fs::exists(&path), default) {
            (Ok(false), Some(text)) => Ok(text.to_string()),
            (Ok(false), None) => Err(Fault { line: None, message: "is missing; `voicetune init DIR` writes one to start from".into() }),
            _ => yaml::read_text(&path),
        };
        text.and_then(|text| parse(&text)).map_err(|fault| ConfigError::new(&path, fault).seen_from(&self.root))
    }
}
