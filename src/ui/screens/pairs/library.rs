//! All pairs of the workspace, what is wrong with them, and how they are counted.

use std::collections::{BTreeMap, HashMap};

use super::entry::Entry;
use crate::dataset::Part;
use crate::pairs::{Finding, Level, Problem, Status, Tier, TierCount};

#[derive(Debug, Default)]
pub struct Library {
    pub entries: Vec<Entry>,
    /// What was wrong with the files when they were read.
    problems: Vec<Problem>,
    broken: Vec<Broken>,
    survey: Survey,
    levels: HashMap<String, Level>,
    ready_of_source: BTreeMap<String, usize>,
}

/// A file that holds no pair as it is.
#[derive(Debug)]
pub struct Broken {
    pub id: String,
    pub tier: Tier,
    pub problem: Problem,
}

/// What is found by looking at all pairs together, as they are on disk.
#[derive(Debug, Default)]
pub struct Survey {
    pub findings: Vec<Finding>,
    /// Of the ready pairs, unless a source is on both sides.
    pub parts: HashMap<String, Part>,
    pub leak: Option<String>,
}

impl Library {
    /// Takes in what was read; pairs with unsaved edits stay as they are.
    pub fn load(&mut self, read: Vec<Entry>, problems: Vec<Problem>) {
        let mut unsaved: Vec<Entry> = std::mem::take(&mut self.entries).into_iter().filter(Entry::is_unsaved).collect();
        let is_kept = |entry: &Entry, unsaved: &[Entry]| unsaved.iter().any(|other| other.id() == entry.id());
        self.entries = read.into_iter().filter(|entry| !is_kept(entry, &unsaved)).collect();
        self.entries.append(&mut unsaved);
        self.problems = problems;
        self.recount();
    }

    pub fn take_survey(&mut self, survey: Survey) {
        self.survey = survey;
        self.recount();
    }

    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id() == id)
    }

    pub fn entry_mut(&mut self, id: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id() == id)
    }

    /// Whether a new pair cannot have this id: some file systems ignore case.
    pub fn is_taken(&self, id: &str) -> bool {
        let is_id = |other: &str| other.to_lowercase() == id.to_lowercase();
        self.entries.iter().any(|entry| is_id(entry.id())) || self.broken.iter().any(|broken| is_id(&broken.id))
    }

    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    pub fn broken_of(&self, id: &str) -> Option<&Broken> {
        self.broken.iter().find(|broken| broken.id == id)
    }

    pub fn mended(&mut self, id: &str) {
        self.problems.retain(|problem| id_of(problem).as_deref() != Some(id));
        self.recount();
    }

    /// Everything that follows from the entries, to be called when one came, went or changed its properties.
    pub fn recount(&mut self) {
        self.entries.sort_by(|a, b| a.id().cmp(b.id()));
        let is_pair = |id: &str| self.entries.binary_search_by(|entry| entry.id().cmp(id)).is_ok();
        let broken = self.problems.iter().filter(|problem| problem.level == Level::Error).filter_map(|problem| {
            let id = id_of(problem)?;
            let tier = Tier::ALL.into_iter().find(|tier| id.starts_with(&format!("{}/", tier.folder())))?;
            (!is_pair(&id)).then(|| Broken { id, tier, problem: problem.clone() })
        });
        let mut broken: Vec<Broken> = broken.collect();
        broken.dedup_by(|a, b| a.id == b.id);
        self.broken = broken;
        self.ready_of_source.clear();
        for entry in self.entries.iter().filter(|entry| entry.is_ready()) {
            *self.ready_of_source.entry(entry.pair().source.clone()).or_default() += 1;
        }
        self.levels.clear();
        let of_files = self.problems.iter().filter_map(|problem| Some((id_of(problem)?, problem.level)));
        let of_texts = self.survey.findings.iter().filter_map(|finding| Some((finding.pair.clone()?, finding.level)));
        for (id, level) in of_files.chain(of_texts) {
            let worst = self.levels.entry(id).or_insert(level);
            *worst = level.min(*worst);
        }
    }

    /// The worst that is known about a pair; notes do not count.
    pub fn level(&self, id: &str) -> Option<Level> {
        self.levels.get(id).copied().filter(|level| *level != Level::Info)
    }

    pub fn counts(&self) -> [TierCount; 4] {
        let count = |tier, status| self.entries.iter().filter(|e| e.pair().tier == tier && e.pair().status == status).count();
        Tier::ALL.map(|tier| TierCount {
            tier,
            ready: count(tier, Status::Ready),
            draft: count(tier, Status::Draft),
            discarded: count(tier, Status::Discarded),
        })
    }

    /// Ready pairs of a source, and ready pairs in all.
    pub fn share(&self, source: &str) -> (usize, usize) {
        (self.ready_of_source.get(source).copied().unwrap_or(0), self.ready_of_source.values().sum())
    }

    pub fn part(&self, id: &str) -> Option<Part> {
        self.survey.parts.get(id).copied()
    }

    pub fn leak(&self) -> Option<&str> {
        self.survey.leak.as_deref()
    }

    pub fn unsaved(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_unsaved())
    }
}

/// The id of the pair whose file it is.
fn id_of(problem: &Problem) -> Option<String> {
    let path = problem.file.strip_prefix("pairs").ok()?;
    (path.extension()? == "yaml").then(|| path.with_extension("").to_string_lossy().into_owned())
}

/// Rounded.
pub fn percent(part: usize, whole: usize) -> usize {
    (100 * part + whole / 2).checked_div(whole).unwrap_or(0)
}
