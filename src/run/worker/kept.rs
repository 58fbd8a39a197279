//! The runs that wait, kept in `runs/.worker/queue.json` for as long as they do: a worker that is killed, or ended by a signal, does not
//! take them with it. The next one takes them in behind the first order that it is given.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::place::Place;
use crate::config::{Workspace, bounded};
use crate::run::private;
use crate::run::work::TrainOrder;

#[derive(Debug)]
pub(super) struct Kept {
    file: PathBuf,
    runs: Vec<TrainOrder>,
}

impl Kept {
    /// With what the worker before has left.
    pub(super) fn open(place: &Place) -> Result<(Kept, Vec<TrainOrder>)> {
        let file = place.queue();
        let runs = read(&file)?;
        Ok((Kept { file, runs: runs.clone() }, runs))
    }

    /// Keeps these, in this order; writes only where they are others than before.
    pub(super) fn keep(&mut self, runs: Vec<TrainOrder>) -> Result<()> {
        if runs == self.runs {
            return Ok(());
        }
        match runs.is_empty() {
            true => remove(&self.file)?,
            false => {
                let json = serde_json::to_vec(&runs).context("what waits cannot be written as JSON")?;
                private::replace_file(&self.file, &json).context("what waits would be lost with the worker")?;
            }
        }
        self.runs = runs;
        Ok(())
    }
}

/// The names of the runs that a worker has left waiting when it ended; they are not under way, whatever becomes of them.
pub fn left_waiting(workspace: &Workspace) -> Result<Vec<String>> {
    Ok(read(&Place::of(workspace).queue())?.into_iter().map(|order| order.name).collect())
}

/// Forgets them.
pub fn forget_waiting(workspace: &Workspace) -> Result<()> {
    remove(&Place::of(workspace).queue())
}

fn read(file: &Path) -> Result<Vec<TrainOrder>> {
    let shown = || format!("{}: the runs that waited cannot be read; remove the file, and order them again", file.display());
    match bounded::read(file, bounded::MODEL_TEXT) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(shown),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(vec![]),
        Err(e) => Err(e).with_context(shown),
    }
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).with_context(|| format!("{}: cannot be removed", file.display())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn what_waits_is_there_for_the_next_worker_until_nothing_does() {
        let dir = tempfile::tempdir().unwrap();
        ["pairs", "configs"].iter().for_each(|folder| fs::create_dir_all(dir.path().join(folder)).unwrap());
        let workspace = Workspace::open(dir.path()).unwrap();
        let place = Place::of(&workspace);
        place.make().unwrap();
        let config = parse(Path::new("x.yaml"), "{ model: m, format: plain, method: lora, base_precision: f32 }").unwrap();
        let order = |name: &str| TrainOrder::new(config.clone(), name.into());
        let (mut kept, left) = Kept::open(&place).unwrap();
        assert_eq!(left, []);
        kept.keep(vec![order("a"), order("b")]).unwrap();
        drop(kept);
        assert_eq!(left_waiting(&workspace).unwrap(), ["a", "b"]);

        let (mut kept, left) = Kept::open(&place).unwrap();
        assert_eq!(left, [order("a"), order("b")]);
        kept.keep(vec![order("b")]).unwrap();
        assert_eq!(left_waiting(&workspace).unwrap(), ["b"]);
        kept.keep(vec![]).unwrap();
        assert!(!place.queue().exists());
        forget_waiting(&workspace).unwrap(); // there is nothing to forget

        fs::write(place.queue(), "[{]").unwrap();
        let error = format!("{:#}", left_waiting(&workspace).unwrap_err());
        assert!(error.contains("queue.json: the runs that waited cannot be read; remove the file"), "{error}");
        forget_waiting(&workspace).unwrap();
        assert!(left_waiting(&workspace).unwrap().is_empty());
    }
}
