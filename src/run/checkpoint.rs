//! Checkpoints: `checkpoints/step-000050/`, complete or absent. Written beside as `.step-000050.tmp`, forced to disk, then renamed.
//!
//! A LoRA checkpoint is a PEFT folder that transformers + PEFT load as it is; a full one is a complete Hugging Face model folder.
//! Both hold `optimizer.safetensors` and `state.json` besides. The latest are kept (`keep_checkpoints`) and the best one; older ones are
//! removed after a new one is complete.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::private;
use crate::config::{StateType, bounded};

/// About how many bytes one checkpoint takes: the trained parameters and their moments, and a little for configs and tokenizer.
pub fn bytes(trainable: u64, state: StateType) -> u64 {
    let moments = match state {
        StateType::F32 => 8,
        StateType::Int8 => 3,
    };
    trainable * (4 + moments) + (1 << 20)
}

/// How many checkpoints are on the disk at one time, the one that is being written included.
pub fn most_at_once(kept: usize, keeps_best: bool) -> usize {
    kept.saturating_add(usize::from(keeps_best) + 1)
}

/// Where a run stands, beside its weights and moments. With the data set and the config this is all that a resumed run needs:
/// the order of an epoch and the dropout of a step are functions of the seed and the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Optimiser steps done.
    pub step: usize,
    /// From 1.
    pub epoch: usize,
    /// Examples of the epoch's order that were seen.
    pub cursor: usize,
    pub seed: u64,
    /// The validation loss at this very step, where it was evaluated.
    pub loss: Option<f64>,
    pub best: Option<Best>,
    pub config_hash: String,
    pub data_hash: String,
}

/// The checkpoint with the lowest validation loss so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: usize,
    pub loss: f64,
}

/// `result.json`: which checkpoint the run's result is. Rewritten with each checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    pub step: usize,
    /// Below the run's folder.
    pub checkpoint: String,
    pub chosen_by: Chosen,
    pub loss: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chosen {
    /// The lowest validation loss.
    Validation,
    /// The last one: nothing was evaluated, or the config says `keep_best: last`.
    Last,
}

/// A complete checkpoint on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub step: usize,
    pub path: PathBuf,
}

/// The checkpoints of one run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    run: PathBuf,
}

impl Checkpoints {
    pub fn of(run: &Path) -> Checkpoints {
        Checkpoints { run: run.to_owned() }
    }

    /// `checkpoints/step-000050`.
    pub fn name(step: usize) -> String {
        format!("checkpoints/{}", folder_name(step))
    }

    pub fn path(&self, step: usize) -> PathBuf {
        self.run.join(Self::name(step))
    }

    /// All that are complete, oldest first.
    pub fn list(&self) -> Result<Vec<Checkpoint>> {
        let folder = self.folder();
        let shown = || format!("{}: cannot be listed", folder.display());
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
            entries => entries.with_context(shown)?,
        };
        let mut found = vec![];
        for entry in entries {
            let path = entry.with_context(shown)?.path();
            if let Some(step) = path.file_name().and_then(|n| n.to_str()).and_then(step_of) {
                found.push(Checkpoint { step, path });
            }
        }
        found.sort_by_key(|c| c.step);
        Ok(found)
    }

    /// The one of this step, or the last.
    pub fn find(&self, step: Option<usize>) -> Result<Checkpoint> {
        let list = self.list()?;
        let found = match step {
            Some(step) => list.iter().find(|c| c.step == step),
            None => list.last(),
        };
        match found {
            Some(checkpoint) => Ok(checkpoint.clone()),
            None if list.is_empty() => bail!("{}: the run has no checkpoint yet", self.run.display()),
            None => {
                let steps: Vec<_> = list.iter().map(|c| c.step.to_string()).collect();
                bail!("{}: no checkpoint of step {}; there are {}", self.run.display(), step.unwrap_or_default(), steps.join(", "))
            }
        }
    }

    /// The run's result: the checkpoint that `result.json` names.
    pub fn result(&self) -> Result<Checkpoint> {
        let path = self.run.join("result.json");
        let text = match bounded::read_text(&path, bounded::CONFIG) {
            Err(e) if e.kind() == ErrorKind::NotFound => return self.find(None),
            text => text.with_context(|| format!("{}: cannot be read", path.display()))?,
        };
        let result: RunResult = serde_json::from_str(&text).with_context(|| format!("{}: not a result", path.display()))?;
        self.find(Some(result.step))
    }

    pub fn state(&self, checkpoint: &Checkpoint) -> Result<State> {
        let path = checkpoint.path.join("state.json");
        let text = bounded::read_text(&path, bounded::CONFIG).with_context(|| format!("{}: cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}: not the state of a run", path.display()))
    }

    /// Fails when the disk has no room for one more checkpoint of about `bytes`.
    pub fn check_room(&self, bytes: u64) -> Result<()> {
        let free = fs4::available_space(&self.run).with_context(|| format!("{}: its free space cannot be told", self.run.display()))?;
        if free < bytes {
            bail!(
                "{}: a checkpoint needs {} and the disk has {} left; make room, or put the workspace on another disk",
                self.run.display(),
                bytes_in_words(bytes),
                bytes_in_words(free)
            );
        }
        Ok(())
    }

    /// Writes the checkpoint of `state.step`: `write` puts weights and moments into the folder it is given. Whatever fails, the
    /// half-written folder is removed and earlier checkpoints stay. Then `result.json` is brought up to date, and all but the latest
    /// `keep` and the best go.
    pub fn save(&self, state: &State, keep: usize, write: impl FnOnce(&Path) -> Result<()>) -> Result<RunResult> {
        let folder = self.folder();
        private::create_folder(&folder)?;
        self.sweep()?;
        let beside = folder.join(format!(".{}.tmp", folder_name(state.step)));
        let name = Self::name(state.step);
        if let Err(error) = self.write_whole(state, &beside, write) {
            fs::remove_dir_all(&beside).ok(); // the first error is the one to tell
            return Err(error.context(format!("{}: checkpoint {name} was not written; earlier ones are whole", self.run.display())));
        }
        let result = self.choose(state)?;
        private::replace_file(&self.run.join("result.json"), &[&serde_json::to_vec_pretty(&result)?[..], b"\n"].concat())?;
        self.prune(state, keep)?;
        Ok(result)
    }

    fn write_whole(&self, state: &State, beside: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        private::create_folder(beside)?;
        write(beside)?;
        private::create_file(&beside.join("state.json"), &serde_json::to_vec_pretty(state)?)?;
        private::seal_folder(beside)?;
        let path = self.path(state.step);
        retire(&path)?; // a step that was done before a resume; its twin takes its place
        fs::rename(beside, &path).with_context(|| format!("{}: cannot be named", path.display()))?;
        private::sync_parent(&path)
    }

    /// Removes what a crash has left: folders that were being written or removed. Their names begin with a dot.
    fn sweep(&self) -> Result<()> {
        let folder = self.folder();
        for entry in fs::read_dir(&folder).with_context(|| format!("{}: cannot be listed", folder.display()))? {
            let path = entry.with_context(|| format!("{}: cannot be listed", folder.display()))?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".step-")) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn choose(&self, state: &State) -> Result<RunResult> {
        let named = |step, chosen_by, loss| RunResult { step, checkpoint: Self::name(step), chosen_by, loss };
        match state.best {
            Some(best) if self.path(best.step).is_dir() => Ok(named(best.step, Chosen::Validation, Some(best.loss))),
            _ => Ok(named(state.step, Chosen::Last, state.loss)),
        }
    }

    fn prune(&self, state: &State, keep: usize) -> Result<()> {
        let list = self.list()?;
        // The last is what the run goes on from.
        let old = list.len().saturating_sub(keep.max(1));
        for checkpoint in &list[..old] {
            if state.best.is_none_or(|best| best.step != checkpoint.step) {
                retire(&checkpoint.path)?;
            }
        }
        Ok(())
    }

    fn folder(&self) -> PathBuf {
        self.run.join("checkpoints")
    }
}

fn folder_name(step: usize) -> String {
    format!("step-{step:06}")
}

fn step_of(name: &str) -> Option<usize> {
    name.strip_prefix("step-").filter(|digits| digits.len() >= 6)?.parse().ok()
}

/// Removes a checkpoint. It goes out of sight first: while its files go one by one it would be an incomplete one.
fn retire(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = path.with_file_name(format!(".{name}.old"));
    match fs::rename(path, &hidden) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e).with_context(|| format!("{}: cannot be removed", path.display())),
        Ok(()) => remove(&hidden),
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).with_context(|| format!("{}: cannot be removed", folder.display())),
        _ => Ok(()),
    }
}

/// `12.3 GiB`, `4.0 MiB`.
pub(crate) fn bytes_in_words(bytes: u64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    match bytes as f64 / MIB {
        mib if mib >= 1024.0 => format!("{:.1} GiB", mib / 1024.0),
        mib => format!("{mib:.1} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn state(step: usize, best: Option<Best>) -> State {
        State { step, epoch: 1, cursor: step, seed: 42, loss: None, best, config_hash: "c".into(), data_hash: "d".into() }
    }

    fn save(checkpoints: &Checkpoints, step: usize, best: Option<Best>) -> RunResult {
        checkpoints.save(&state(step, best), 2, |folder| Ok(fs::write(folder.join("adapter_model.safetensors"), "x")?)).unwrap()
    }

    fn steps(checkpoints: &Checkpoints) -> Vec<usize> {
        checkpoints.list().unwrap().iter().map(|c| c.step).collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_last_two_and_the_best_are_kept() {
        let run = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(run.path());
        let best = Best { step: 2, loss: 1.5 };
        for step in 1..=5 {
            save(&checkpoints, step, (step >= 2).then_some(best));
        }
        assert_eq!(steps(&checkpoints), [2, 4, 5]);
        assert_eq!(checkpoints.result().unwrap().step, 2);
        assert_eq!(checkpoints.state(&checkpoints.find(Some(5)).unwrap()).unwrap(), state(5, Some(best)));
    }

    #[test]
    fn the_policy_says_how_many_stay_and_the_best_always_does() {
        let run = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(run.path());
        let best = Best { step: 1, loss: 1.5 };
        let save = |step, keep| checkpoints.save(&state(step, Some(best)), keep, |folder| Ok(fs::write(folder.join("x"), "x")?)).unwrap();
        (1..=5).for_each(|step| drop(save(step, 4)));
        assert_eq!(steps(&checkpoints), [1, 2, 3, 4, 5]);
        save(6, 1);
        assert_eq!(steps(&checkpoints), [1, 6]);
        save(7, 0);
        assert_eq!(steps(&checkpoints), [1, 7], "the last is never removed");
        assert_eq!(checkpoints.result().unwrap().step, 1);
    }

    #[test]
    fn without_a_validation_loss_the_last_is_the_result() {
        let run = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(run.path());
        for step in [10, 20] {
            let result = save(&checkpoints, step, None);
            assert_eq!((result.step, result.chosen_by), (step, Chosen::Last));
        }
        assert_eq!(checkpoints.result().unwrap().step, 20);
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_behind() {
        let run = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(run.path());
        save(&checkpoints, 1, None);
        let full = checkpoints.save(&state(2, None), 2, |folder| {
            fs::write(folder.join("adapter_model.safetensors"), "half")?;
            Err(std::io::Error::from(ErrorKind::StorageFull).into())
        });
        let message = format!("{:#}", full.unwrap_err());
        assert!(message.contains("checkpoints/step-000002 was not written; earlier ones are whole"), "{message}");
        assert_eq!(names(&run.path().join("checkpoints")), ["step-000001"]);
        assert_eq!(checkpoints.result().unwrap().step, 1);
    }

    #[test]
    fn what_a_crash_left_is_not_a_checkpoint_and_goes_with_the_next() {
        let run = tempfile::tempdir().unwrap();
        for half in [".step-000003.tmp", ".step-000007.tmp", ".step-000001.old"].map(|name| run.path().join("checkpoints").join(name)) {
            fs::create_dir_all(&half).unwrap();
            fs::write(half.join("state.json"), "{").unwrap();
        }
        let checkpoints = Checkpoints::of(run.path());
        assert_eq!(steps(&checkpoints), [0usize; 0]);
        save(&checkpoints, 3, None);
        assert_eq!(names(&run.path().join("checkpoints")), ["step-000003"]);
    }

    #[test]
    fn checkpoints_are_readable_by_their_owner_only() {
        let run = tempfile::tempdir().unwrap();
        save(&Checkpoints::of(run.path()), 1, None);
        let mode = |path: &str| fs::metadata(run.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("checkpoints/step-000001"), 0o700);
        assert_eq!(mode("checkpoints/step-000001/adapter_model.safetensors"), 0o600);
        assert_eq!(mode("checkpoints/step-000001/state.json"), 0o600);
        assert_eq!(mode("result.json"), 0o600);
    }

    #[test]
    fn a_disk_without_room_is_told_with_figures() {
        let run = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(run.path());
        checkpoints.check_room(1).unwrap();
        let message = checkpoints.check_room(u64::MAX / 2).unwrap_err().to_string();
        assert!(message.contains("a checkpoint needs") && message.contains("GiB left"), "{message}");
    }

    #[test]
    fn a_missing_checkpoint_is_named_with_those_there_are() {
        let run = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::of(run.path());
        assert!(checkpoints.find(None).unwrap_err().to_string().contains("no checkpoint yet"));
        save(&checkpoints, 7, None);
        assert!(checkpoints.find(Some(9)).unwrap_err().to_string().contains("no checkpoint of step 9; there are 7"));
    }
}
