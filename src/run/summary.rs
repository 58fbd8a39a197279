//! A run in a line: where it stands and how it went, for lists of many runs.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};

use super::folder::Run;
use super::log::History;
use super::protocol::Outcome;
use crate::config::Method;

#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub state: State,
    /// `llama`, `gpt2`, `pocket-llama`, ...
    pub model: String,
    pub method: Method,
    /// Train and validation pairs.
    pub pairs: [usize; 2],
    pub step: usize,
    /// Optimiser steps of all epochs; 0 where it never started.
    pub steps: usize,
    pub best: Option<Best>,
    /// Of the last step.
    pub training_loss: Option<f64>,
    /// Of training, in seconds.
    pub seconds: f64,
    /// When something was last written to the log; `None` where there is none.
    pub last_event: Option<SystemTime>,
}

/// The lowest validation loss. Step 0 is the model before training, and no result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    pub step: usize,
    pub loss: f64,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was made and no step was taken.
    New,
    /// A process is training it.
    Running,
    Finished,
    Stopped,
    Failed,
    /// The process that trained it is gone, and left no end in the log.
    Interrupted,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::New => "new",
            State::Running => "running",
            State::Finished => "finished",
            State::Stopped => "stopped",
            State::Failed => "failed",
            State::Interrupted => "interrupted",
        }
    }
}

/// How long a log was and when it was written to: the same again means that nothing was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64, SystemTime);

/// The summaries of many runs. A log is read again only after something was written to it.
#[derive(Debug, Default)]
pub struct Summaries(std::collections::HashMap<std::path::PathBuf, (Option<Stamp>, Summary)>);

impl Summaries {
    /// The run's summary as it is now.
    pub fn of(&mut self, run: &Run) -> Result<Summary> {
        let stamp = stamp(&run.folder)?;
        if let Some((known, summary)) = self.0.get(&run.folder)
            && *known == stamp
        {
            // Whether a process is at it is not written in the log.
            return Ok(match summary.state {
                State::Running | State::Interrupted => Summary { state: unended(&run.folder, summary.steps), ..summary.clone() },
                _ => summary.clone(),
            });
        }
        let summary = summarise(run, &History::read(&run.folder)?, stamp.map(|stamp| stamp.1));
        self.0.insert(run.folder.clone(), (stamp, summary.clone()));
        Ok(summary)
    }
}

fn stamp(run: &Path) -> Result<Option<Stamp>> {
    let path = run.join("events.jsonl");
    match fs::metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        data => data
            .and_then(|data| Ok(Some(Stamp(data.len(), data.modified()?))))
            .with_context(|| format!("{}: cannot be read", path.display())),
    }
}

/// What a history says of a run, for one that is followed.
pub fn summarise(run: &Run, history: &History, last_event: Option<SystemTime>) -> Summary {
    let steps = history.started.as_ref().map_or(0, |started| started.steps);
    let step = history.steps.last().map_or(0, |last| last.step);
    let state = match history.ended.as_ref().map(|ended| ended.outcome) {
        // Its process went on to the step it was asked for, which need not be the last.
        Some(Outcome::Finished) if step < steps => State::Stopped,
        Some(Outcome::Finished) => State::Finished,
        Some(Outcome::Stopped) => State::Stopped,
        Some(Outcome::Failed) => State::Failed,
        None => unended(&run.folder, steps),
    };
    let trained = history.evals.iter().filter(|eval| eval.step > 0);
    let manifest = &run.manifest;
    Summary {
        state,
        model: manifest.config.short_name(),
        method: manifest.config.method,
        pairs: [manifest.data.train.len(), manifest.data.validation.len()],
        step,
        steps,
        best: trained.min_by(|a, b| a.loss.total_cmp(&b.loss)).map(|eval| Best { step: eval.step, loss: eval.loss }),
        training_loss: history.steps.last().map(|last| last.loss),
        seconds: history.steps.iter().map(|step| step.ms).sum::<f64>() / 1000.0,
        last_event,
    }
}

/// Whether a process trains this run now: it holds the run's log.
pub fn is_live(run: &Path) -> bool {
    File::open(run.join("events.jsonl")).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Of a run whose log has no end: whether a process holds the log, as the one that trains does.
fn unended(run: &Path, steps: usize) -> State {
    match (is_live(run), steps) {
        (true, _) => State::Running,
        (false, 0) => State::New,
        (false, _) => State::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::log::Log;
    use crate::run::manifest::Manifest;
    use crate::run::protocol::{Ended, Eval, Event, Started, Step};

    fn run(folder: &Path) -> Run {
        Run { folder: folder.to_owned(), manifest: Manifest::sample() }
    }

    fn started(steps: usize) -> Event {
        let (time, version, device) = ("2026-11-22T10:00:00Z".into(), "0.1.0".into(), "cpu".into());
        Event::Started(Started { time, version, device, from_step: 0, steps, epochs: 1, examples: [2, 1], trainable_parameters: 1 })
    }

    fn step(step: usize) -> Event {
        let (pairs, loss) = (vec!["tier1/a-pair-with-a-name".into()], 3.0 - step as f64 / 1e4);
        let (tokens, ms, lr, tokens_per_s) = (311, 1500.0, 1e-4, 1034.7);
        Event::Step(Step { step, epoch: 1, loss, tokens, lr, grad_norm: 0.7, ms, tokens_per_s, device_bytes: None, pairs })
    }

    fn eval(step: usize, loss: f64) -> Event {
        Event::Eval(Eval { step, loss, tokens: 7 })
    }

    #[test]
    fn a_run_is_summed_up_as_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let run = run(dir.path());
        let mut summaries = Summaries::default();
        assert_eq!(summaries.of(&run).unwrap().state, State::New);
        let mut log = Log::open(dir.path()).unwrap();
        for event in [started(3), eval(0, 2.0), step(1), eval(1, 3.5), step(2), eval(2, 3.4)] {
            log.append(&event).unwrap();
        }
        let running = summaries.of(&run).unwrap();
        let expected = Summary {
            state: State::Running,
            model: "pocket-llama".into(),
            method: Method::Lora,
            pairs: [2, 1],
            step: 2,
            steps: 3,
            best: Some(Best { step: 2, loss: 3.4 }),
            training_loss: Some(2.9998),
            seconds: 3.0,
            last_event: running.last_event,
        };
        assert_eq!(running, expected);
        assert!(running.last_event.is_some());
        drop(log); // the process is gone, and nothing was written
        assert_eq!(summaries.of(&run).unwrap().state, State::Interrupted);
        let mut log = Log::open(dir.path()).unwrap();
        assert_eq!(summaries.of(&run).unwrap().state, State::Running);
        let mut check = |event: Event, expected: State| {
            log.append(&event).unwrap();
            assert_eq!(summaries.of(&run).unwrap().state, expected);
        };
        check(Event::Ended(Ended::now(Outcome::Failed, Some("no room".into()))), State::Failed);
        check(Event::Ended(Ended::now(Outcome::Stopped, None)), State::Stopped);
        check(Event::Ended(Ended::now(Outcome::Finished, None)), State::Stopped); // at the step that was asked for
        check(step(3), State::Finished);
    }

    #[test]
    fn looking_does_not_keep_a_process_from_training() {
        let dir = tempfile::tempdir().unwrap();
        Log::open(dir.path()).unwrap().append(&started(3)).unwrap();
        assert_eq!(unended(dir.path(), 3), State::Interrupted);
        Log::open(dir.path()).unwrap();
    }

    /// `cargo test --release -- --ignored --nocapture reading_speed` prints figures.
    #[test]
    #[ignore = "a measurement"]
    fn reading_speed() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path()).unwrap();
        log.append(&started(5000)).unwrap();
        (1..=5000).for_each(|i| log.append(&step(i)).unwrap());
        let bytes = fs::metadata(dir.path().join("events.jsonl")).unwrap().len();
        let clock = std::time::Instant::now();
        (0..100).for_each(|_| assert_eq!(History::read(dir.path()).unwrap().steps.len(), 5000));
        let read = clock.elapsed();
        let (run, mut summaries) = (run(dir.path()), Summaries::default());
        summaries.of(&run).unwrap();
        let clock = std::time::Instant::now();
        (0..100).for_each(|_| assert_eq!(summaries.of(&run).unwrap().step, 5000));
        println!("100 logs of {bytes} bytes: read in {read:?}, looked at again in {:?}", clock.elapsed());
    }
}
