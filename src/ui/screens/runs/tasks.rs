//! What the Runs screen needs done beside the interface: the runs on disk, and a closer look at one.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::look::Look;
use super::row::{Listing, list};
use crate::config::Workspace;
use crate::pairs;
use crate::review::report::{self, Sources};
use crate::review::voice::VoiceTable;
use crate::run::summary::Summaries;
use crate::run::{Follow, Run};
use crate::ui::tasks::{Desk as AnyDesk, Lane, in_words};

/// What is kept between looks, so that a log is read once.
#[derive(Debug, Default)]
pub struct Desk {
    summaries: Summaries,
    followed: HashMap<PathBuf, Follow>,
}

#[derive(Debug)]
pub enum Task {
    List,
    /// The run in this folder, with what was added to its log.
    Look(PathBuf),
    /// Measures the arms of these runs against the writer's own pieces.
    Measure(Vec<PathBuf>),
}

/// The arms' voice beside the writer's, and what is absent, in sentences.
pub type Measured = (VoiceTable, Vec<String>);

#[derive(Debug)]
pub enum Done {
    /// Or why the folder cannot be listed.
    Listed(Result<Listing, String>),
    Looked {
        folder: PathBuf,
        look: Result<Box<Look>, String>,
    },
    Measured {
        folders: Vec<PathBuf>,
        voice: Result<Box<Measured>, String>,
    },
}

impl Task {
    pub fn lane(&self) -> Lane {
        match self {
            Task::List | Task::Look(_) => Lane::Disk,
            Task::Measure(_) => Lane::Compute,
        }
    }

    pub fn run(self, desk: &mut AnyDesk) -> Done {
        match self {
            Task::List => Done::Listed(in_words(list(&desk.workspace, &mut desk.runs.summaries))),
            Task::Look(folder) => {
                let look = in_words(look(&mut desk.runs, &folder));
                Done::Looked { folder, look }
            }
            Task::Measure(folders) => {
                let voice = in_words(measure(&desk.workspace, &folders)).map(Box::new);
                Done::Measured { folders, voice }
            }
        }
    }
}

fn measure(workspace: &Workspace, folders: &[PathBuf]) -> Result<Measured> {
    let runs = folders.iter().map(|folder| Run::open(folder)).collect::<Result<Vec<Run>>>()?;
    let (pairs, _) = pairs::load(&workspace.pairs());
    let rubric = workspace.rubric()?;
    let temperature = workspace.sampling()?.temperature.into();
    report::voice(&Sources { runs: &runs, pairs: &pairs, rubric: &rubric, canaries: &[], temperature, made: "" })
}

fn look(desk: &mut Desk, folder: &std::path::Path) -> Result<Box<Look>> {
    let follow = desk.followed.entry(folder.to_owned()).or_insert_with(|| Follow::new(folder));
    follow.poll().context("the run cannot be followed")?;
    Ok(Box::new(Look::of(folder, follow.history())?))
}
