//! A run's log while another process writes it: what was added since the last look, folded into the history so far.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::log::{History, Problem};
use super::protocol::Event;
use crate::config::bounded;

/// Follows one run's `events.jsonl`. A last line without its line feed is left for the next look.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    /// Bytes that were read, up to the end of a line.
    offset: u64,
    lines: usize,
    history: History,
}

impl Follow {
    /// Nothing is read yet; the log need not be there.
    pub fn new(run: &Path) -> Follow {
        Follow { path: run.join("events.jsonl"), offset: 0, lines: 0, history: History::default() }
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    /// Reads what was added and folds it; returns the new events in their order. A log that became shorter than what was read of it
    /// is read anew, from an empty history.
    pub fn poll(&mut self) -> Result<Vec<Event>> {
        let shown = || format!("{}: cannot be read", self.path.display());
        let mut file = match bounded::open(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
            file => file.with_context(shown)?,
        };
        if file.metadata().with_context(shown)?.len() < self.offset {
            (self.offset, self.lines, self.history) = (0, 0, History::default());
        }
        let mut added = vec![];
        file.seek(SeekFrom::Start(self.offset)).and_then(|_| file.take(bounded::RECORDS).read_to_end(&mut added)).with_context(shown)?;
        let Some(end) = added.iter().rposition(|&b| b == b'\n') else {
            ensure!((added.len() as u64) < bounded::RECORDS, "{}: a line without an end", self.path.display());
            return Ok(vec![]);
        };
        let mut events = vec![];
        for line in added[..end].split(|&b| b == b'\n') {
            self.lines += 1;
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice::<Event>(line) {
                Ok(event) => {
                    self.history.fold(event.clone());
                    events.push(event);
                }
                Err(e) => self.history.problems.push(Problem { line: self.lines, message: e.to_string() }),
            }
        }
        self.offset += end as u64 + 1;
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use super::*;
    use crate::run::protocol::Eval;

    fn line(step: usize) -> Vec<u8> {
        let event = Event::Eval(Eval { step, loss: 2.5, tokens: 7 });
        [serde_json::to_vec(&event).unwrap(), vec![b'\n']].concat()
    }

    #[test]
    fn a_growing_log_is_folded_once_however_it_arrives() {
        let run = tempfile::tempdir().unwrap();
        let mut follow = Follow::new(run.path());
        assert_eq!(follow.poll().unwrap(), vec![]);
        let text = [line(1), line(2), b"{\"type\":\"dance\"}\n".to_vec(), line(3)].concat();
        let path = run.path().join("events.jsonl");
        let mut seen = 0;
        for byte in &text {
            File::options().create(true).append(true).open(&path).unwrap().write_all(&[*byte]).unwrap();
            seen += follow.poll().unwrap().len();
        }
        assert_eq!(seen, 3);
        assert_eq!(*follow.history(), History::of(&text));
        assert_eq!(follow.history().problems[0].line, 3);
        assert_eq!(follow.poll().unwrap(), vec![]);
    }

    #[test]
    fn a_log_that_was_repaired_or_begun_anew_is_read_on() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("events.jsonl");
        let mut follow = Follow::new(run.path());
        // A torn line that the next process removes was never counted.
        fs::write(&path, [line(1), b"{\"type\":\"ev".to_vec()].concat()).unwrap();
        assert_eq!(follow.poll().unwrap().len(), 1);
        fs::write(&path, [line(1), line(2)].concat()).unwrap();
        assert_eq!(follow.poll().unwrap().len(), 1);
        fs::write(&path, line(9)).unwrap();
        assert_eq!(follow.poll().unwrap().len(), 1);
        assert_eq!(follow.history().evals.iter().map(|e| e.step).collect::<Vec<_>>(), [9]);
    }
}
