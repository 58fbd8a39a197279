//! What the Train screen needs done beside the interface: what is in the workspace, pre-flights, and a look at runs that others train.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::figures::Figures;
use super::marked;
use crate::config::{Config, Workspace, bounded};
use crate::pairs::{self, Split, Status};
use crate::review::marks::Marks;
use crate::run::checkpoint::Checkpoints;
use crate::run::preflight::{Level, Preflight};
use crate::run::protocol::Sample;
use crate::run::summary::{State, Summaries};
use crate::run::{Follow, Run, Want, new_config, survey};
use crate::ui::tasks::{self, Lane, in_words};
use crate::ui::work::TrainOrder;

#[derive(Debug)]
pub enum Task {
    /// The configs and runs of the workspace.
    List,
    /// What a run of this config would be.
    Look(Box<Config>),
    /// Puts the pairs that were asked for, a count or ids, into the order.
    Choose { order: Box<TrainOrder>, pairs: String },
    /// Writes the config's values to a new file, made from the text of the one that was edited.
    SaveAs { config: Box<Config>, name: String, from: String },
    /// Reads on in a run's log.
    Watch(PathBuf),
    /// Looks a canary's sample up in what its run was trained on.
    Mark { folder: PathBuf, sample: Box<Sample> },
}

#[derive(Debug)]
pub enum Done {
    Listed(Result<Listing, String>),
    Looked {
        config: Box<Config>,
        look: Look,
    },
    Chosen(Result<Box<TrainOrder>, String>),
    /// With the config's name and that of the new file.
    Saved {
        edited: String,
        saved: Result<String, String>,
    },
    Watched {
        folder: PathBuf,
        figures: Result<Arc<Figures>, String>,
    },
    Marked {
        sample: Box<Sample>,
        marks: Arc<Marks>,
    },
}

/// What there is to train with and to go on with.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    pub configs: Vec<Listed>,
    /// The latest first.
    pub runs: Vec<RunRow>,
}

#[derive(Debug, Clone)]
pub struct Listed {
    pub name: String,
    pub text: String,
    /// Else what is wrong with the file.
    pub config: Result<Config, String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    pub folder: PathBuf,
    pub name: String,
    /// As the run has it.
    pub config: Config,
    pub only: Option<Vec<String>>,
    pub state: State,
    pub step: usize,
    pub steps: usize,
    pub has_checkpoint: bool,
}

/// A pre-flight in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// How much it weighs, what it is about, and what is found.
    pub findings: Vec<(Level, &'static str, String)>,
}

/// What the screen's tasks keep from one to the next.
#[derive(Debug, Default)]
pub struct Desk {
    summaries: Summaries,
    /// The run that is being followed, and what its log has shown so far.
    followed: Option<(PathBuf, Follow, Arc<Figures>)>,
}

impl RunRow {
    /// Whether it was left before its end, with a checkpoint to go on from.
    pub fn can_go_on(&self) -> bool {
        let is_left = matches!(self.state, State::Stopped | State::Interrupted | State::Failed);
        is_left && self.step < self.steps && self.has_checkpoint
    }

    pub fn folder_name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Look {
    /// What keeps the run from starting.
    pub fn blocker(&self) -> Option<&str> {
        self.findings.iter().find(|(level, ..)| *level == Level::Blocker).map(|(.., words)| words.as_str())
    }
}

impl Task {
    pub fn lane(&self) -> Lane {
        match self {
            Task::Look(_) | Task::Mark { .. } => Lane::Compute,
            Task::List | Task::Choose { .. } | Task::SaveAs { .. } | Task::Watch(_) => Lane::Disk,
        }
    }

    pub fn run(self, desk: &mut tasks::Desk) -> Done {
        let workspace = &desk.workspace;
        match self {
            Task::List => Done::Listed(in_words(list(workspace, &mut desk.train.summaries))),
            Task::Look(config) => Done::Looked { look: look(workspace, &config), config },
            Task::Choose { mut order, pairs } => Done::Chosen(in_words(choose(workspace, &pairs)).map(|only| {
                order.only = only;
                order
            })),
            Task::SaveAs { config, name, from } => {
                let saved = new_config::save_as(workspace, &name, &config, &from);
                let stem = |path: PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                Done::Saved { edited: config.name, saved: in_words(saved).map(stem) }
            }
            // Where the run or its pairs cannot be read, other places say so.
            Task::Mark { folder, sample } => {
                let marks = marked::marks(workspace, &folder, &sample).unwrap_or_default();
                Done::Marked { sample, marks: Arc::new(marks) }
            }
            Task::Watch(folder) => Done::Watched { figures: in_words(watch(&mut desk.train.followed, &folder)), folder },
        }
    }
}

fn list(workspace: &Workspace, summaries: &mut Summaries) -> Result<Listing> {
    let mut listing = Listing::default();
    for path in workspace.training_configs()? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // A file that cannot be read is one with an error, which the config's own reader words.
        let text = bounded::read_text(&path, bounded::PROSE).unwrap_or_default();
        listing.configs.push(Listed { config: workspace.config(&name).map_err(|error| error.to_string()), name, text });
    }
    listing.configs.sort_by(|a, b| a.name.cmp(&b.name));
    for run in Run::list(&workspace.runs())? {
        // A run whose log cannot be read is left to the Runs screen, which says why.
        let Ok(summary) = summaries.of(&run) else { continue };
        listing.runs.push(RunRow {
            has_checkpoint: Checkpoints::of(&run.folder).find(None).is_ok(),
            name: run.manifest.name,
            config: run.manifest.config,
            only: run.manifest.only_pairs,
            state: summary.state,
            step: summary.step,
            steps: summary.steps,
            folder: run.folder,
        });
    }
    listing.runs.reverse();
    Ok(listing)
}

fn watch(followed: &mut Option<(PathBuf, Follow, Arc<Figures>)>, folder: &Path) -> Result<Arc<Figures>> {
    if followed.as_ref().is_none_or(|(known, ..)| known != folder) {
        *followed = None;
    }
    let (_, follow, figures) = followed.get_or_insert_with(|| (folder.to_owned(), Follow::new(folder), Arc::default()));
    if !follow.poll()?.is_empty() {
        *figures = Arc::new(Figures::of(follow.history()));
    }
    Ok(figures.clone())
}

fn look(workspace: &Workspace, config: &Config) -> Look {
    let seen = || -> Result<Preflight> {
        let device = survey(Want::Auto).context("the device cannot be opened")?;
        Ok(Preflight::look(workspace, config.clone(), workspace.templates()?, None, &device).0)
    };
    let findings = match seen() {
        Ok(preflight) => {
            let words = |finding: crate::run::preflight::Finding| (finding.level, finding.fact.topic(), finding.fact.words().join(" "));
            preflight.findings.into_iter().map(words).collect()
        }
        Err(error) => vec![(Level::Blocker, "config", format!("{error:#}"))],
    };
    Look { findings }
}

/// `3` for the first three ready pairs, or ids with commas or blanks between them; nothing for all of them.
fn choose(workspace: &Workspace, wanted: &str) -> Result<Option<Vec<String>>> {
    let wanted = wanted.trim();
    if wanted.is_empty() {
        return Ok(None);
    }
    let (pairs, _) = pairs::load(&workspace.pairs());
    if let Ok(count) = wanted.parse::<usize>() {
        let trained = pairs.iter().filter(|pair| pair.status == Status::Ready && pair.split != Split::Validation);
        let ids: Vec<String> = trained.map(|pair| pair.id.clone()).take(count).collect();
        if count == 0 || ids.len() < count {
            bail!("{count} pairs were asked for, and {} are ready; give a number from 1 to {0}", ids.len());
        }
        return Ok(Some(ids));
    }
    let mut chosen = BTreeSet::new();
    for id in wanted.split([',', ' ']).filter(|id| !id.is_empty()) {
        match pairs.iter().find(|pair| pair.id == id) {
            Some(pair) if pair.status == Status::Ready => chosen.insert(id.to_owned()),
            Some(pair) => bail!("{id} is not ready: its status is {}", pair.status.word()),
            None => bail!("there is no pair `{id}`; write ids such as tier1/quiet-car, or a number of pairs"),
        };
    }
    Ok(Some(chosen.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_chosen_by_count_or_by_id() {
        let workspace = Workspace::open(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!(choose(&workspace, "  ").unwrap(), None);
        let three = choose(&workspace, "3").unwrap().unwrap();
        assert_eq!(three.len(), 3);
        assert_eq!(choose(&workspace, &format!("{}, {}", three[1], three[0])).unwrap().unwrap(), three[..2]);
        let check = |wanted: &str, expected: &str| {
            let message = choose(&workspace, wanted).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check("0", "give a number from 1 to");
        check("100000", "100000 pairs were asked for");
        check("tier1/none", "there is no pair `tier1/none`");
    }
}
