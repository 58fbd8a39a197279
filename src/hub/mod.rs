//! Where a model's files are: embedded pocket models, local folders, the Hugging Face cache. Nothing here opens a connection.

mod cache;
mod folder;
mod header;
mod pocket;
mod token;
mod tuning;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::config::bounded;
use crate::engine::weights::Source;

pub use cache::is_hub_id;
pub use token::Token;
pub use tuning::Tuning;

/// A model that was found, checked as far as its headers go, and can be read. Plain data: it travels to the engine thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFiles {
    /// As the config names it: `pocket:llama`, a hub id, or a folder.
    pub name: String,
    /// The hub's commit hash; `None` for pocket models and local folders.
    pub commit: Option<String>,
    pub tuning: Tuning,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// The name after `pocket:`.
    Pocket(String),
    Folder {
        path: PathBuf,
        weights: Vec<PathBuf>,
    },
}

/// Where to look for models that are not embedded.
#[derive(Debug, Clone)]
pub struct Search {
    /// Relative model folders are relative to this.
    pub workspace: PathBuf,
    /// The Hugging Face cache (the folder that holds `models--org--name`); `None` where there is no home folder.
    pub cache: Option<PathBuf>,
}

impl Search {
    /// The workspace, and the cache that `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME` or the home folder name, in this order.
    pub fn from_env(workspace: &Path) -> Search {
        Search { workspace: workspace.to_owned(), cache: cache::folder(|name| std::env::var_os(name)) }
    }
}

/// The texts of the files that say how the model reads and writes text.
#[derive(Debug, Clone)]
pub struct TextFiles {
    /// The model's name, for messages.
    pub model_name: String,
    pub tokenizer_json: String,
    pub tokenizer_config: Option<String>,
    pub generation_config: Option<String>,
    pub config: String,
    /// `chat_template.jinja`, where newer models keep the template.
    pub chat_template: Option<String>,
}

/// Files that make a weights folder complete for Hugging Face: all but the weights themselves.
const COMPANIONS: [&str; 10] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "LICENSE",
];

impl ModelFiles {
    /// Finds `model`: `pocket:NAME`, a folder (absolute, or relative to the workspace), or a hub id at `revision` in the cache.
    /// Every weight file is checked against its own header, so that a download that was cut short is found here.
    pub fn resolve(model: &str, revision: &str, search: &Search) -> Result<ModelFiles> {
        if let Some(name) = model.strip_prefix("pocket:") {
            let pocket = pocket::find(name)?;
            return Ok(ModelFiles {
                name: model.to_owned(),
                commit: None,
                tuning: tuning::of(model, pocket.text("tokenizer_config.json").as_deref(), pocket.text("chat_template.jinja").is_some()),
                place: Place::Pocket(name.to_owned()),
            });
        }
        let local = search.workspace.join(expand_home(model));
        if local.is_dir() {
            return ModelFiles::in_folder(model, None, &local);
        }
        if !cache::is_hub_id(model) || looks_like_a_path(model) {
            bail!(
                "{model}: no such model folder (looked at {}); name a Hugging Face layout folder, a hub id or pocket:llama",
                local.display()
            );
        }
        let Some(cache) = &search.cache else {
            bail!("{model}: no home folder, so no Hugging Face cache to look in; set HF_HOME to the folder that holds it");
        };
        let found = cache::find(cache, model, revision).with_context(|| format!("{model}: there is no folder {}", local.display()))?;
        ModelFiles::in_folder(model, Some(found.commit), &found.path).with_context(|| {
            format!(
                "{model} in the Hugging Face cache is not complete; `{}` fetches what is missing",
                cache::fetch_command(model, revision)
            )
        })
    }

    /// `config.json` as it stands.
    pub fn config_json(&self) -> Result<String> {
        self.required("config.json")
    }

    pub fn text_files(&self) -> Result<TextFiles> {
        Ok(TextFiles {
            model_name: self.name.clone(),
            tokenizer_json: self.required("tokenizer.json")?,
            tokenizer_config: self.optional("tokenizer_config.json")?,
            generation_config: self.optional("generation_config.json")?,
            config: self.config_json()?,
            chat_template: self.optional("chat_template.jinja")?,
        })
    }

    pub fn weights(&self) -> Result<Source> {
        match &self.place {
            Place::Pocket(name) => Ok(Source::Embedded(pocket::find(name)?.weights())),
            Place::Folder { weights, .. } => Ok(Source::Files(weights.clone())),
        }
    }

    /// Copies everything but the weights into `folder`, so that weights saved there make a complete Hugging Face folder.
    pub fn copy_companions(&self, folder: &Path) -> Result<()> {
        for file in COMPANIONS {
            let to = folder.join(file);
            if let Some(text) = self.optional(file)? {
                fs::write(&to, text).with_context(|| format!("{}: cannot be written", to.display()))?;
            }
        }
        Ok(())
    }

    fn in_folder(name: &str, commit: Option<String>, path: &Path) -> Result<ModelFiles> {
        let weights = folder::weights(path)?;
        let mut files =
            ModelFiles { name: name.to_owned(), commit, tuning: Tuning::Unknown, place: Place::Folder { path: path.to_owned(), weights } };
        // The tokenizer is asked for by those who need text: token ids can be scored without one.
        files.required("config.json")?;
        let template = files.optional("chat_template.jinja")?.is_some();
        files.tuning = tuning::of(name, files.optional("tokenizer_config.json")?.as_deref(), template);
        Ok(files)
    }

    fn origin(&self) -> String {
        match &self.place {
            Place::Pocket(name) => format!("pocket:{name}"),
            Place::Folder { path, .. } => path.display().to_string(),
        }
    }

    fn required(&self, file: &str) -> Result<String> {
        self.optional(file)?.with_context(|| format!("{}: no {file}; a model folder in Hugging Face layout has one", self.origin()))
    }

    fn optional(&self, file: &str) -> Result<Option<String>> {
        match &self.place {
            Place::Pocket(name) => Ok(pocket::find(name)?.text(file)),
            Place::Folder { path, .. } => {
                let path = path.join(file);
                match bounded::read_text(&path, bounded::MODEL_TEXT) {
                    Ok(text) => Ok(Some(text)),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(e) => Err(e).with_context(|| format!("{}: cannot be read", path.display())),
                }
            }
        }
    }
}

fn expand_home(model: &str) -> PathBuf {
    match (model.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(model),
    }
}

/// A name that can only be meant as a path, so that its absence is not explained as a missing download.
fn looks_like_a_path(model: &str) -> bool {
    model.starts_with(['/', '.', '~']) || model.matches('/').count() > 1
}

#[cfg(test)]
mod tests;
