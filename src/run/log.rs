//! `events.jsonl`: appended while a run trains, folded by everything that looks at a run, live or old.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::private;
use super::protocol::{Ended, Eval, Event, Overflow, Sample, Saved, Started, Step};
use crate::config::bounded;

/// Appends events, each in one write, before anyone else hears of them.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// Of the lines that are whole.
    length: u64,
}

impl Log {
    /// Opens the log of a run folder, for one process at a time. A last line that a crash has torn is removed, so that the next
    /// one starts on its own.
    pub fn open(run: &Path) -> Result<Log> {
        let path = run.join("events.jsonl");
        let file = private::append(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{}: another process is training this run; wait for its end, or stop it", run.display()),
            Err(TryLockError::Error(e)) => return Err(e).with_context(|| format!("{}: cannot be locked", path.display())),
        }
        let bytes = bounded::read(&path, bounded::RECORDS).with_context(|| format!("{}: cannot be read", path.display()))?;
        let length = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |end| end as u64 + 1);
        file.set_len(length).with_context(|| format!("{}: cannot be repaired", path.display()))?;
        Ok(Log { path, file, length })
    }

    /// Writes the event's line; streamed text and the like are passed over. Checkpoints and ends are forced to disk.
    pub fn append(&mut self, event: &Event) -> Result<()> {
        if !event.is_logged() {
            return Ok(());
        }
        let shown = || format!("{}: an event cannot be written", self.path.display());
        let mut line = serde_json::to_vec(event).with_context(shown)?;
        line.push(b'\n');
        self.file.write_all(&line).inspect_err(|_| self.take_back()).with_context(shown)?;
        self.length += line.len() as u64;
        if matches!(event, Event::Saved(_) | Event::Ended(_)) {
            self.file.sync_data().with_context(shown)?;
        }
        Ok(())
    }

    /// Removes what a full disk has taken of a line, or the next one would be glued to it.
    fn take_back(&self) {
        // Where even that fails, the next process finds a torn line and removes it; the error that led here is the one to tell.
        self.file.set_len(self.length).ok();
    }
}

/// What became of a run: its events, folded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The latest start; a resumed run has had several.
    pub started: Option<Started>,
    pub steps: Vec<Step>,
    pub overflows: Vec<Overflow>,
    pub evals: Vec<Eval>,
    pub samples: Vec<Sample>,
    pub saved: Vec<Saved>,
    /// `None` while it trains, and after a crash.
    pub ended: Option<Ended>,
    /// Lines that could not be read.
    pub problems: Vec<Problem>,
}

/// A line of `events.jsonl` that is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    pub message: String,
}

impl History {
    /// Reads and folds the log of a run folder; a run that has none yet has an empty history.
    pub fn read(run: &Path) -> Result<History> {
        let path = run.join("events.jsonl");
        match bounded::read(&path, bounded::RECORDS) {
            Ok(bytes) => Ok(History::of(&bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(History::default()),
            Err(e) => Err(e).with_context(|| format!("{}: cannot be read", path.display())),
        }
    }

    /// Folds the contents of a log. What follows the last line feed is a torn line and is ignored.
    pub fn of(bytes: &[u8]) -> History {
        let mut history = History::default();
        let whole = bytes.iter().rposition(|&b| b == b'\n').unwrap_or(0);
        for (index, line) in bytes[..whole].split(|&b| b == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice(line) {
                Ok(event) => history.fold(event),
                Err(e) => history.problems.push(Problem { line: index + 1, message: e.to_string() }),
            }
        }
        history
    }

    /// Takes one more event into account. A start from step k undoes what was logged after k: it was lost with the process.
    pub fn fold(&mut self, event: Event) {
        match event {
            Event::Started(started) => {
                let k = started.from_step;
                self.steps.retain(|e| e.step <= k);
                self.overflows.retain(|e| e.step <= k);
                self.evals.retain(|e| e.step <= k && k > 0);
                self.samples.retain(|e| e.step.is_none_or(|step| step <= k));
                self.saved.retain(|e| e.step <= k);
                self.ended = None;
                self.started = Some(started);
            }
            Event::Step(step) => self.steps.push(step),
            Event::Overflow(overflow) => self.overflows.push(overflow),
            Event::Eval(eval) => self.evals.push(eval),
            Event::Sample(sample) => self.samples.push(sample),
            Event::Saved(saved) => self.saved.push(saved),
            Event::Ended(ended) => self.ended = Some(ended),
            Event::Loaded(_) | Event::Scored(_) | Event::Text(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::run::protocol::Outcome;

    fn started(from_step: usize) -> Event {
        Event::Started(Started {
            time: "2026-11-22T10:00:00Z".into(),
            version: "0.1.0".into(),
            device: "cpu".into(),
            from_step,
            steps: 12,
            epochs: 3,
            examples: [4, 1],
            trainable_parameters: 10,
        })
    }

    fn step(step: usize, loss: f64) -> Event {
        let pairs = vec!["tier1/a".into()];
        let (tokens, ms, lr) = (9, 1.5, 1e-4);
        Event::Step(Step { step, epoch: 1, loss, tokens, lr, grad_norm: 0.1 + loss, ms, tokens_per_s: 6e3, device_bytes: None, pairs })
    }

    fn eval(step: usize, loss: f64) -> Event {
        Event::Eval(Eval { step, loss, tokens: 7 })
    }

    fn saved(step: usize) -> Event {
        Event::Saved(Saved { step, checkpoint: format!("checkpoints/step-{step:06}"), result: true })
    }

    fn text_of(events: &[Event]) -> Vec<u8> {
        events.iter().flat_map(|e| [serde_json::to_vec(e).unwrap(), vec![b'\n']].concat()).collect()
    }

    fn folded(events: &[Event]) -> History {
        let mut history = History::default();
        events.iter().cloned().for_each(|e| history.fold(e));
        history
    }

    #[test]
    fn what_is_appended_is_read_back() {
        let run = tempfile::tempdir().unwrap();
        let events = [started(0), eval(0, 3.25), step(1, 2.9), saved(1), Event::Ended(Ended::now(Outcome::Stopped, None))];
        let mut log = Log::open(run.path()).unwrap();
        events.iter().for_each(|e| log.append(e).unwrap());
        assert_eq!(History::read(run.path()).unwrap(), folded(&events));
        assert_eq!(fs::read(run.path().join("events.jsonl")).unwrap(), text_of(&events));
    }

    #[test]
    fn lines_are_as_the_contract_says() {
        let check = |event: Event, expected: &str| assert_eq!(serde_json::to_string(&event).unwrap(), expected);
        check(
            step(3, 0.5),
            r#"{"type":"step","step":3,"epoch":1,"loss":0.5,"tokens":9,"lr":0.0001,"grad_norm":0.6,"ms":1.5,"tokens_per_s":6000.0,"device_bytes":null,"pairs":["tier1/a"]}"#,
        );
        let overflow = Event::Overflow(Overflow { step: 3, loss_scale: 32768.0 });
        check(overflow, r#"{"type":"overflow","step":3,"loss_scale":32768.0}"#);
        check(eval(0, 3.25), r#"{"type":"eval","step":0,"loss":3.25,"tokens":7}"#);
        let ended = Ended { time: "2026-11-22T10:00:00Z".into(), outcome: Outcome::Failed, error: Some("no room".into()) };
        check(Event::Ended(ended), r#"{"type":"ended","time":"2026-11-22T10:00:00Z","outcome":"failed","error":"no room"}"#);
    }

    #[test]
    fn a_torn_last_line_is_ignored_wherever_it_was_torn() {
        let whole = [started(0), step(1, 2.0), step(2, 1.5)];
        let text = text_of(&whole);
        let last = text[..text.len() - 1].iter().rposition(|&b| b == b'\n').unwrap() + 1;
        for end in last..text.len() {
            let history = History::of(&text[..end]);
            assert_eq!(history, folded(&whole[..2]), "torn after byte {end}");
        }
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next_one() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("events.jsonl");
        fs::write(&path, [text_of(&[started(0), step(1, 2.0)]), br#"{"type":"step","st"#.to_vec()].concat()).unwrap();
        Log::open(run.path()).unwrap().append(&started(1)).unwrap();
        let history = History::read(run.path()).unwrap();
        assert_eq!((history.steps.len(), history.problems.len()), (1, 0));
        assert_eq!(history, folded(&[started(0), step(1, 2.0), started(1)]));
    }

    #[test]
    fn a_start_undoes_what_was_lost() {
        let check = |events: &[Event], expected: &[Event]| assert_eq!(folded(events), folded(expected));
        let overflow = Event::Overflow(Overflow { step: 2, loss_scale: 32768.0 });
        let lost = [started(0), eval(0, 3.0), step(1, 2.0), saved(1), overflow, step(2, 1.9), eval(2, 2.5)];
        // Resumed from step 1: steps after it never happened.
        check(
            &[&lost[..], &[started(1), step(2, 1.8), saved(2)]].concat(),
            &[started(0), eval(0, 3.0), step(1, 2.0), saved(1), started(1), step(2, 1.8), saved(2)],
        );
        // Begun anew: nothing did.
        check(&[&lost[..], &[started(0), eval(0, 3.0)]].concat(), &[started(0), eval(0, 3.0)]);
        // An end is undone as well.
        let ended = Event::Ended(Ended::now(Outcome::Stopped, None));
        assert_eq!(folded(&[started(0), step(1, 2.0), ended, started(1)]).ended, None);
    }

    #[test]
    fn a_broken_line_is_a_problem_and_the_rest_is_read() {
        let text = [text_of(&[started(0)]), b"{\"type\":\"dance\"}\n".to_vec(), text_of(&[step(1, 2.0)])].concat();
        let history = History::of(&text);
        assert_eq!(history.steps.len(), 1);
        assert_eq!(history.problems.iter().map(|p| p.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn two_processes_do_not_write_one_log() {
        let run = tempfile::tempdir().unwrap();
        let first = Log::open(run.path()).unwrap();
        assert!(Log::open(run.path()).unwrap_err().to_string().contains("another process is training this run"));
        drop(first);
        Log::open(run.path()).unwrap();
    }

    #[test]
    fn streamed_text_is_not_logged() {
        let run = tempfile::tempdir().unwrap();
        let text = crate::run::protocol::Text { prompt: "A".into(), arm: crate::run::protocol::Arm::Base, sample: 0, text: "The".into() };
        Log::open(run.path()).unwrap().append(&Event::Text(text)).unwrap();
        assert_eq!(fs::read(run.path().join("events.jsonl")).unwrap(), b"");
    }
}
