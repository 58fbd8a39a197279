//! What the Pairs screen needs done beside the interface: files on the one lane, counting on the other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::library::Survey;
use super::measure::{Count, Models};
use crate::config::{Workspace, bounded};
use crate::dataset;
use crate::pairs::{self, Finding, Fingerprint, Journal, Kept, LoadedPair, Pair, Problem, SaveError, Tier, Unsaved};
use crate::ui::tasks::{self, Lane};

#[derive(Debug)]
pub enum Task {
    /// Reads all pairs. What is known of the files of `unsaved` pairs stays as it is, so that saving them still sees changes.
    Load {
        unsaved: Vec<String>,
    },
    /// Saves a pair if its file is as it was when it was last read or written here, or as `over` says. `is_asked` where the writer
    /// waits for word of it.
    Save {
        pair: Box<Pair>,
        over: Option<Fingerprint>,
        is_asked: bool,
    },
    /// Puts a pair in the journal.
    Keep(Box<Pair>),
    /// Drops a pair from the journal.
    Forget(String),
    /// Reads one pair anew.
    Open(String),
    /// Gives a pair another id; `is_new` where that can be taken back afterwards.
    Rename {
        pair: Box<Pair>,
        id: String,
        is_new: bool,
    },
    Move {
        pair: Box<Pair>,
        tier: Tier,
    },
    /// Removes the file of a pair that has just been made.
    Remove(Box<Pair>),
    /// Makes the edits that another process left behind this one's own.
    TakeOver(Box<Unsaved>),
    GiveUp(Box<Unsaved>),
    /// Reads the text of a file that holds no pair.
    ReadBroken(String),
    /// Looks at all pairs together.
    Survey,
    Measure {
        pair: Box<Pair>,
        revision: u64,
    },
}

#[derive(Debug)]
pub enum Done {
    /// Taken out by the screen, since a message is only lent to it.
    Loaded(RefCell<Option<Loaded>>),
    Saved {
        pair: Box<Pair>,
        result: Result<(), SaveError>,
        is_asked: bool,
    },
    /// The pair is in the journal, or is not.
    Kept {
        id: String,
        result: Result<Kept, SaveError>,
    },
    /// The journal has dropped something. Only errors are told.
    Dropped(Result<(), SaveError>),
    Opened {
        id: String,
        result: Result<Box<Pair>, Vec<Problem>>,
    },
    /// From the first id to the second, in the pair it was.
    Moved {
        pair: Box<Pair>,
        result: Result<Box<Pair>, SaveError>,
        is_new: bool,
    },
    Removed {
        pair: Box<Pair>,
        result: Result<(), SaveError>,
    },
    ReadBroken {
        id: String,
        result: Result<String, String>,
    },
    Surveyed(RefCell<Option<Survey>>),
    Measured {
        id: String,
        revision: u64,
        looked: Looked,
    },
}

/// What there is to say about one pair.
#[derive(Debug, Clone)]
pub struct Looked {
    pub counts: Vec<Count>,
    pub findings: Vec<Finding>,
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    pub entries: Vec<Entry>,
    pub problems: Vec<Problem>,
    /// Edits that other processes left behind.
    pub unsaved: Vec<Unsaved>,
}

/// What the lanes' threads keep for this screen.
#[derive(Debug, Default)]
pub struct Desk {
    /// The state of each pair's file as it was last read or written here.
    states: HashMap<String, Fingerprint>,
    journal: Option<Journal>,
    /// Where the journal goes when the workspace's disk takes nothing.
    spare: Option<PathBuf>,
    models: Option<Models>,
    /// Of the last survey.
    findings: Vec<Finding>,
}

impl Task {
    pub fn lane(&self) -> Lane {
        match self {
            Task::Survey | Task::Measure { .. } => Lane::Compute,
            _ => Lane::Disk,
        }
    }

    pub fn run(self, desk: &mut tasks::Desk) -> Done {
        let folder = desk.workspace.pairs();
        match self {
            Task::Survey => {
                let survey = survey(&desk.workspace);
                desk.pairs.findings.clone_from(&survey.findings);
                Done::Surveyed(RefCell::new(Some(survey)))
            }
            Task::Measure { pair, revision } => {
                let models = desk.pairs.models.get_or_insert_with(|| Models::find(&desk.workspace));
                let looked = Looked { counts: models.measure(&pair), findings: pairs::findings_of(&pair, &desk.pairs.findings) };
                Done::Measured { id: pair.id.clone(), revision, looked }
            }
            task => desk.pairs.on_disk(task, &folder),
        }
    }
}

impl Desk {
    /// What cannot be kept in the workspace is kept in this folder.
    pub fn with_spare_journal(self, folder: Option<PathBuf>) -> Desk {
        Desk { spare: folder, ..self }
    }

    fn on_disk(&mut self, task: Task, folder: &Path) -> Done {
        match task {
            Task::Load { unsaved } => self.load(folder, &unsaved),
            Task::Save { pair, over, is_asked } => {
                let read = over.unwrap_or_else(|| self.state(&pair.id));
                let result = pairs::save(folder, &pair, read).map(|state| self.saved(folder, &pair.id, state));
                Done::Saved { pair, result, is_asked }
            }
            Task::Keep(pair) => {
                let read = self.state(&pair.id);
                let result = self.journal(folder).record(&pair, read);
                Done::Kept { id: pair.id, result }
            }
            Task::Forget(id) => Done::Dropped(self.journal(folder).forget(&id)),
            Task::Open(id) => {
                let result = pairs::open(folder, &id).map(|loaded| {
                    self.saved(folder, &id, loaded.fingerprint);
                    Box::new(loaded.pair)
                });
                Done::Opened { id, result }
            }
            Task::Rename { pair, id, is_new } => {
                let result = pairs::rename(folder, &self.loaded(&pair), &id);
                self.moved(folder, pair, result, is_new)
            }
            Task::Move { pair, tier } => {
                let result = pairs::move_to_tier(folder, &self.loaded(&pair), tier).map(|(loaded, _)| loaded);
                self.moved(folder, pair, result, true)
            }
            Task::Remove(pair) => {
                let result = pairs::remove(folder, &self.loaded(&pair));
                if result.is_ok() {
                    self.gone(folder, &pair.id);
                }
                Done::Removed { pair, result }
            }
            Task::TakeOver(unsaved) => {
                self.states.insert(unsaved.pair.id.clone(), unsaved.read);
                let result = self.journal(folder).take_over(&unsaved);
                Done::Kept { id: unsaved.pair.id.clone(), result }
            }
            Task::GiveUp(unsaved) => Done::Dropped(unsaved.discard()),
            Task::ReadBroken(id) => {
                let file = pairs::file_of(folder, &id);
                let read = bounded::read(&file, bounded::PROSE).map_err(|error| format!("{}: cannot be read: {error}", file.display()));
                let result = read.and_then(|bytes| {
                    self.states.insert(id.clone(), Fingerprint::of(&bytes));
                    String::from_utf8(bytes).map_err(|_| format!("{}: is not UTF-8; convert it first, or remove it", file.display()))
                });
                Done::ReadBroken { id, result }
            }
            // Not of this lane.
            Task::Survey | Task::Measure { .. } => Done::Dropped(Ok(())),
        }
    }

    fn load(&mut self, folder: &Path, unsaved: &[String]) -> Done {
        let (loaded, problems) = pairs::open_all(folder);
        self.states.retain(|id, _| unsaved.contains(id));
        let entries = loaded.into_iter().map(|LoadedPair { pair, fingerprint }| {
            self.states.entry(pair.id.clone()).or_insert(fingerprint);
            Entry::read(pair)
        });
        let entries = entries.collect();
        let (unsaved, found) = pairs::recoverable(folder, self.spare.as_deref());
        let problems = problems.into_iter().chain(found).collect();
        Done::Loaded(RefCell::new(Some(Loaded { entries, problems, unsaved })))
    }

    fn state(&self, id: &str) -> Fingerprint {
        self.states.get(id).copied().unwrap_or(Fingerprint::Absent)
    }

    fn loaded(&self, pair: &Pair) -> LoadedPair {
        LoadedPair { pair: pair.clone(), fingerprint: self.state(&pair.id) }
    }

    fn journal(&mut self, folder: &Path) -> &mut Journal {
        let spare = self.spare.as_deref();
        self.journal.get_or_insert_with(|| Journal::new(folder).with_spare(spare))
    }

    /// A pair and its file are the same: nothing of it is to be recovered.
    fn saved(&mut self, folder: &Path, id: &str, state: Fingerprint) {
        self.states.insert(id.to_owned(), state);
        // A copy that stays too long is recognised by its text at the next start.
        self.journal(folder).forget(id).ok();
    }

    fn gone(&mut self, folder: &Path, id: &str) {
        self.states.remove(id);
        self.journal(folder).forget(id).ok();
    }

    fn moved(&mut self, folder: &Path, pair: Box<Pair>, result: Result<LoadedPair, SaveError>, is_new: bool) -> Done {
        let result = result.map(|loaded| {
            self.gone(folder, &pair.id);
            self.saved(folder, &loaded.pair.id, loaded.fingerprint);
            Box::new(loaded.pair)
        });
        Done::Moved { pair, result, is_new }
    }
}

fn survey(workspace: &Workspace) -> Survey {
    let (all, _) = pairs::load(&workspace.pairs());
    let findings = pairs::lint(&all);
    // The configs may hold out differently; the first one stands for them, as they come with one fraction and seed.
    let config = workspace.training_configs().unwrap_or_default().iter().find_map(|path| workspace.config(&path.to_string_lossy()).ok());
    let Some(config) = config else { return Survey { findings, ..Survey::default() } };
    match dataset::split(&all, config.validation.fraction, config.seed) {
        Ok(parts) => {
            let parts = parts.into_iter().map(|(pair, part)| (pair.id.clone(), part)).collect();
            Survey { findings, parts, leak: None }
        }
        Err(leaks) => Survey { findings, parts: HashMap::new(), leak: Some(leaks.to_string()) },
    }
}
