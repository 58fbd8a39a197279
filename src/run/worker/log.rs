//! What the worker writes to its standard error (panics, above all) goes to a file: `runs/.worker/log`, and while a run trains
//! `worker.log` in the run's folder. Viewers quote it when a worker has died.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::place::Place;
use crate::config::Workspace;
use crate::run::private;

const OF_RUN: &str = "worker.log";
/// How much is quoted.
const LINES: usize = 6;
const CHARACTERS: usize = 800;

/// Standard error of this process, as a file.
#[derive(Debug)]
pub(super) struct Log {
    own: PathBuf,
    run: Option<PathBuf>,
}

impl Log {
    /// From now on standard error is the worker's own log, which begins anew.
    pub(super) fn begin(place: &Place) -> Result<Log> {
        let own = place.log();
        fs::remove_file(&own).ok(); // of the worker before
        let log = Log { own, run: None };
        log.turn_to(&log.own)?;
        Ok(log)
    }

    /// Goes to the log of the run that trains, or back to its own.
    pub(super) fn of_run(&mut self, run: Option<&Path>) {
        if self.run.as_deref() == run {
            return;
        }
        self.run = run.map(Path::to_owned);
        let path = run.map_or_else(|| self.own.clone(), |run| run.join(OF_RUN));
        // Where it cannot be had (a full disk), the one before goes on.
        if let Err(error) = self.turn_to(&path) {
            eprintln!("{error:#}");
        }
    }

    fn turn_to(&self, path: &Path) -> Result<()> {
        let file = private::append(path)?;
        rustix::stdio::dup2_stderr(&file).with_context(|| format!("{}: cannot take standard error", path.display()))
    }
}

/// The end of what a worker that has died wrote, of the run where it trained one; `None` where it wrote nothing, as under `kill -9`.
pub fn last_words(workspace: &Workspace, run: Option<&Path>) -> Option<String> {
    let own = Place::of(workspace).log();
    run.map(|run| run.join(OF_RUN)).into_iter().chain([own]).find_map(|path| quoted(&path))
}

fn quoted(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let end = lines[lines.len().saturating_sub(LINES)..].join("\n");
    let skipped = end.chars().count().saturating_sub(CHARACTERS);
    let end: String = end.chars().skip(skipped).filter(|c| !c.is_control() || *c == '\n').collect();
    (!end.is_empty()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_quoted_without_what_moves_a_terminal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(quoted(&path), None);
        fs::write(&path, "\n\n").unwrap();
        assert_eq!(quoted(&path), None);
        let lines: Vec<String> = (0..20).map(|n| format!("line {n}\u{1b}[2J")).collect();
        fs::write(&path, lines.join("\n\n")).unwrap();
        assert_eq!(quoted(&path).unwrap().lines().next(), Some("line 14[2J"));
        fs::write(&path, "x".repeat(10_000)).unwrap();
        assert_eq!(quoted(&path).unwrap().len(), CHARACTERS);
    }
}
