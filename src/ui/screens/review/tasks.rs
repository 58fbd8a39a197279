//! What the Review screen needs done beside the interface.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::shelf::Shelf;
use crate::config::Workspace;
use crate::review::verdict::{self, Pick, Verdict, Verdicts};
use crate::run::Run;
use crate::run::checkpoint::Checkpoints;
use crate::run::scores::Scores;
use crate::run::scoring::{Request, Scorer, Subject};
use crate::ui::tasks::{Desk, Lane, in_words};

#[derive(Debug)]
pub enum Task {
    /// Reads these runs, or the latest ones where none is named.
    Read {
        wanted: Vec<PathBuf>,
        /// The run that trains now.
        training: Option<PathBuf>,
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
    /// Makes a text ready to be scored by the arms of the run in this folder, or finds its scores.
    Score {
        ticket: u64,
        run: PathBuf,
        /// Id and text.
        prompt: (String, String),
        subject: Subject,
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
    Scoring {
        ticket: u64,
        ready: Result<Ready, String>,
    },
}

/// A text that is to be looked at in shades.
#[derive(Debug)]
pub enum Ready {
    /// It was scored before.
    Kept(Box<Scores>),
    New(Box<Request>),
}

impl Task {
    pub fn lane(&self) -> Lane {
        match self {
            Task::Read { .. } | Task::Judge { .. } | Task::Pick { .. } => Lane::Disk,
            // It is tokenised.
            Task::Score { .. } => Lane::Compute,
        }
    }

    pub fn run(self, desk: &mut Desk) -> Done {
        let folder = desk.workspace.runs();
        let again = |written: Result<()>, runs: &[String]| match written {
            Ok(()) => Ok(Box::new(verdict::read(&folder, runs.iter().map(String::as_str)))),
            Err(error) => Err(format!("{error:#}")),
        };
        match self {
            Task::Read { wanted, training } => Done::Read(Box::new(in_words(Shelf::read(&desk.workspace, &wanted, training.as_deref())))),
            Task::Judge { verdict, runs } => {
                let verdicts = again(verdict::append(&folder, &verdict), &runs);
                Done::Judged { verdict, verdicts }
            }
            Task::Score { ticket, run, prompt, subject } => {
                Done::Scoring { ticket, ready: in_words(ready(&desk.workspace, &run, &prompt, &subject)) }
            }
            Task::Pick { pick, runs } => Done::Picked(again(verdict::append_pick(&folder, &pick), &runs)),
        }
    }
}

fn ready(workspace: &Workspace, run: &Path, (id, text): &(String, String), subject: &Subject) -> Result<Ready> {
    let run = Run::open(run)?;
    let checkpoint = Checkpoints::of(&run.folder).result()?;
    let request = Scorer::new(workspace.root(), &run, checkpoint)?.request(id, text, subject)?;
    Ok(match request.kept()? {
        Some(scores) => Ready::Kept(Box::new(scores)),
        None => Ready::New(Box::new(request)),
    })
}
