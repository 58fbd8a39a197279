//! A run's folder, `runs/<yyyy-mm-dd>-<name>/`: made whole or not at all, and found again by path, by name, or by the name
//! without its date.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use super::manifest::Manifest;
use super::{journal, private};
use crate::config::bounded;
use crate::dataset::batch::Example;

/// A run on disk.
#[derive(Debug, Clone)]
pub struct Run {
    pub folder: PathBuf,
    pub manifest: Manifest,
}

impl Run {
    /// Makes the folder with `manifest.yaml`, `dataset.jsonl` and `journal.md`. Where the day's name is taken, a number is added.
    /// `dataset` is the text whose hash the manifest holds.
    pub fn create(runs: &Path, manifest: Manifest, dataset: &str) -> Result<Run> {
        check_name(&manifest.name)?;
        private::create_folder(runs)?;
        let day = jiff::Zoned::now().date();
        let beside = tempfile::Builder::new()
            .prefix(".new-run-")
            .tempdir_in(runs)
            .with_context(|| format!("{}: a run folder cannot be made", runs.display()))?;
        private::create_file(&beside.path().join("manifest.yaml"), manifest.to_yaml()?.as_bytes())?;
        private::create_file(&beside.path().join("dataset.jsonl"), dataset.as_bytes())?;
        for number in 1.. {
            let name = match number {
                1 => format!("{day}-{}", manifest.name),
                n => format!("{day}-{}-{n}", manifest.name),
            };
            let folder = runs.join(&name);
            if folder.symlink_metadata().is_ok() {
                continue;
            }
            let journal = beside.path().join("journal.md");
            fs::remove_file(&journal).ok(); // of the name that was taken meanwhile
            private::create_file(&journal, journal::new(&name).as_bytes())?;
            private::seal_folder(beside.path())?;
            match fs::rename(beside.path(), &folder) {
                Ok(()) => {
                    let _ = beside.keep(); // it has its name now: nothing is left to remove
                    private::sync_parent(&folder)?;
                    return Ok(Run { folder, manifest });
                }
                Err(_) if folder.symlink_metadata().is_ok() => {} // another run took the name in between
                Err(e) => return Err(e).with_context(|| format!("{}: cannot be made", folder.display())),
            }
        }
        bail!("{}: no name is left for this run", runs.display())
    }

    pub fn open(folder: &Path) -> Result<Run> {
        Ok(Run { manifest: Manifest::read(folder)?, folder: folder.to_owned() })
    }

    /// `wanted` is a path, a folder's name, or a name without its date: then the latest run of that name.
    pub fn find(runs: &Path, wanted: &str) -> Result<Run> {
        for folder in [PathBuf::from(wanted), runs.join(wanted)] {
            if folder.join("manifest.yaml").is_file() {
                return Run::open(&folder);
            }
        }
        let all = Run::list(runs)?;
        let latest = all.iter().filter(|run| run.manifest.name == wanted).max_by_key(|run| (&run.manifest.created, run.number()));
        match latest {
            Some(run) => Ok(run.clone()),
            None if all.is_empty() => bail!("{}: there is no run yet; `voicetune train CONFIG` makes one", runs.display()),
            None => {
                let names: Vec<_> = all.iter().map(Run::folder_name).collect();
                bail!("there is no run `{wanted}` in {}; there are {}", runs.display(), names.join(", "))
            }
        }
    }

    /// All runs whose manifest can be read, in the order of their folders' names.
    pub fn list(runs: &Path) -> Result<Vec<Run>> {
        if !runs.is_dir() {
            return Ok(vec![]);
        }
        let mut found = vec![];
        for entry in fs::read_dir(runs).with_context(|| format!("{}: cannot be listed", runs.display()))? {
            let entry = entry.with_context(|| format!("{}: cannot be listed", runs.display()))?;
            let path = entry.path();
            // One that is being made has another name until it is whole.
            if !entry.file_name().as_encoded_bytes().starts_with(b".")
                && path.join("manifest.yaml").is_file()
                && let Ok(run) = Run::open(&path)
            {
                found.push(run);
            }
        }
        found.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(found)
    }

    pub fn folder_name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The text of the frozen data set, which must still be what the manifest says it was.
    pub fn dataset_jsonl(&self) -> Result<String> {
        let path = self.dataset_path();
        let text = bounded::read_text(&path, bounded::RECORDS).with_context(|| format!("{}: cannot be read", path.display()))?;
        if hex::encode(Sha256::digest(&text)) != self.manifest.data.hash {
            bail!("{}: was changed after the run was made; restore it, or start a new run", path.display());
        }
        Ok(text)
    }

    /// The frozen data set.
    pub fn examples(&self) -> Result<Vec<Example>> {
        parse_dataset(&self.dataset_path(), &self.dataset_jsonl()?)
    }

    fn dataset_path(&self) -> PathBuf {
        self.folder.join("dataset.jsonl")
    }

    /// The number at the end of the folder's name: 1 where there is none.
    fn number(&self) -> usize {
        self.folder_name().rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(1)
    }
}

/// The examples of a `dataset.jsonl`; `path` stands in errors.
pub fn parse_dataset(path: &Path, text: &str) -> Result<Vec<Example>> {
    let example = |(number, line): (usize, &str)| -> Result<Example> {
        let shown = || format!("{}:{number}: not an example", path.display());
        let example: Example = serde_json::from_str(line).with_context(shown)?;
        ensure!(example.ids.len() == example.mask.len(), "{}: its ids and its mask differ in length", shown());
        Ok(example)
    };
    (1..).zip(text.lines()).map(example).collect()
}

/// The name becomes part of a folder's name.
pub fn check_name(name: &str) -> Result<()> {
    let fits = !name.is_empty() && !name.starts_with(['.', '-']) && name.len() <= 100;
    if !fits || !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        bail!("`{name}` cannot be a name: use letters, digits, `-`, `_` and `.`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::{ChatTemplate, Templates};
    use crate::run::manifest::Model;

    /// With words that YAML could take for something else.
    fn manifest(name: &str, created: &str) -> Manifest {
        let Manifest { model, templates, .. } = Manifest::sample();
        Manifest {
            name: name.into(),
            created: created.into(),
            model: Model { name: "no".into(), revision: "1:30".into(), ..model },
            templates: Templates { chat: ChatTemplate { system: " # not a comment\n".into(), ..templates.chat }, ..templates },
            ..Manifest::sample()
        }
    }

    fn create(runs: &Path, name: &str, created: &str) -> Run {
        Run::create(runs, manifest(name, created), "").unwrap()
    }

    #[test]
    fn a_manifest_reads_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let run = create(&dir.path().join("runs"), "first", "2026-11-22T10:00:00Z");
        assert_eq!(Run::open(&run.folder).unwrap().manifest, manifest("first", "2026-11-22T10:00:00Z"));
    }

    #[test]
    fn a_taken_name_gets_a_number_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let day = jiff::Zoned::now().date();
        let names: Vec<_> = (0..3).map(|_| create(dir.path(), "first", "2026-11-22T10:00:00Z").folder_name()).collect();
        assert_eq!(names, [format!("{day}-first"), format!("{day}-first-2"), format!("{day}-first-3")]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_run_is_found_by_path_by_name_and_without_its_date() {
        let dir = tempfile::tempdir().unwrap();
        let old = create(dir.path(), "first", "2026-11-22T10:00:00Z");
        let new = create(dir.path(), "first", "2026-11-22T10:00:00Z");
        create(dir.path(), "first-2", "2026-11-22T09:00:00Z");
        let check = |wanted: &str, expected: &Run| assert_eq!(Run::find(dir.path(), wanted).unwrap().folder, expected.folder, "{wanted}");
        check(old.folder.to_str().unwrap(), &old);
        check(&old.folder_name(), &old);
        check("first", &new);
        let message = Run::find(dir.path(), "second").unwrap_err().to_string();
        assert!(message.contains("no run `second`") && message.contains(&old.folder_name()), "{message}");
        let message = Run::find(&dir.path().join("none"), "x").unwrap_err().to_string();
        assert!(message.contains("there is no run yet"), "{message}");
    }

    #[test]
    fn runs_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let run = create(&dir.path().join("runs"), "first", "2026-11-22T10:00:00Z");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir.path().join("runs")), mode(&run.folder)), (0o700, 0o700));
        for file in ["manifest.yaml", "dataset.jsonl", "journal.md"] {
            assert_eq!(mode(&run.folder.join(file)), 0o600, "{file}");
        }
    }

    #[test]
    fn a_changed_data_set_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let run = create(dir.path(), "first", "2026-11-22T10:00:00Z");
        assert_eq!(run.examples().unwrap(), vec![]);
        fs::write(run.folder.join("dataset.jsonl"), "{}\n").unwrap();
        assert!(run.examples().unwrap_err().to_string().contains("dataset.jsonl: was changed"));
    }

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        for name in ["", "..", "a/b", "-x", "a b", "a\nb"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["first", "llama-3.1-8b-lora", "März_2"] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }
}
