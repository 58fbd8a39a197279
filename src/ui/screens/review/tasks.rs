//! What the Review screen needs done beside the interface.

use std::path::PathBuf;

use anyhow::Result;

use super::shelf::Shelf;
use crate::review::verdict::{self, Pick, Verdict, Verdicts};
use crate::ui::tasks::{Desk, Lane, in_words};

#[derive(Debug)]
pub enum Task {
    /// Reads these runs, or the latest ones where none is named.
    Read {
        wanted: Vec<PathBuf>,
    },
    /// Appends a verdict; `runs` are the folders' names that are read again afterwards.
    Judge {
        verdict: Box<Verdict>,
        runs: Vec<String>,
    },
    Pick {
        pick: Box<Pick>,
        runs: Vec<String>,
    },
}

#[derive(Debug)]
pub enum Done {
    Read(Box<Result<Shelf, String>>),
    /// All verdicts with the new one, or why it could not be written; it comes back then.
    Judged {
        verdict: Box<Verdict>,
        verdicts: Result<Box<Verdicts>, String>,
    },
    Picked(Result<Box<Verdicts>, String>),
}

impl Task {
    pub fn lane(&self) -> Lane {
        match self {
            Task::Read { .. } | Task::Judge { .. } | Task::Pick { .. } => Lane::Disk,
        }
    }

    pub fn run(self, desk: &mut Desk) -> Done {
        let folder = desk.workspace.runs();
        let again = |written: Result<()>, runs: &[String]| match written {
            Ok(()) => Ok(Box::new(verdict::read(&folder, runs.iter().map(String::as_str)))),
            Err(error) => Err(format!("{error:#}")),
        };
        match self {
            Task::Read { wanted } => Done::Read(Box::new(in_words(Shelf::read(&desk.workspace, &wanted)))),
            Task::Judge { verdict, runs } => {
                let verdicts = again(verdict::append(&folder, &verdict), &runs);
                Done::Judged { verdict, verdicts }
            }
            Task::Pick { pick, runs } => Done::Picked(again(verdict::append_pick(&folder, &pick), &runs)),
        }
    }
}
