//! `runs/<run>/verdicts.jsonl`: appended line by line, each forced to disk, and never rewritten. A correction is a later line.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{ArmName, Line, Pick, Verdict};
use crate::config::{Temperature, bounded};
use crate::pairs::{Level, Problem};
use crate::run::private::{self, Torn};

const FILE: &str = "verdicts.jsonl";

/// Prompt, arm, and the temperature where the line says it.
type PickOf = (String, ArmName, Option<Temperature>);

/// The verdicts of some runs, as they stand after all corrections.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdicts {
    /// In the order in which they were first given.
    pub verdicts: Vec<Verdict>,
    /// The latest pick of each prompt, arm and temperature.
    pub picks: BTreeMap<PickOf, Pick>,
    /// Lines and files that cannot be read. Nothing is done to them.
    pub problems: Vec<Problem>,
}

impl Verdicts {
    /// Those of texts at one temperature: what may be counted together. Those that do not say theirs are of the `usual` one.
    pub fn at(mut self, temperature: Temperature, usual: Temperature) -> Verdicts {
        self.verdicts.retain(|verdict| verdict.reading.is_at(temperature, usual));
        self.picks.retain(|(_, _, at), _| at.unwrap_or(usual) == temperature);
        self
    }

    /// The picked sample of an arm among those at this temperature.
    pub fn pick(&self, prompt: &str, arm: &ArmName, temperature: Temperature, usual: Temperature) -> Option<&Pick> {
        let at = |temperature| self.picks.get(&(prompt.to_owned(), arm.clone(), temperature));
        at(Some(temperature)).or_else(|| at(None).filter(|_| temperature == usual))
    }

    /// By prompt and arm, where all are of one temperature: a pick that says so comes before one that does not.
    pub fn picks_by_arm(&self) -> BTreeMap<(String, ArmName), Pick> {
        self.picks.iter().map(|((prompt, arm, _), pick)| ((prompt.clone(), arm.clone()), pick.clone())).collect()
    }
}

/// Appends a verdict to each run it concerns, below the folder `runs`. After an error it may stand in some of them only; giving
/// the same verdict again completes it.
pub fn append(runs: &Path, verdict: &Verdict) -> Result<()> {
    verdict.reading.check()?;
    let folders: BTreeSet<&str> = verdict.reading.arms().map(ArmName::run).collect();
    let line = Line::Verdict(verdict.clone());
    folders.into_iter().try_for_each(|run| append_line(&runs.join(run), &line))
}

/// Appends a pick to the run of its arm.
pub fn append_pick(runs: &Path, pick: &Pick) -> Result<()> {
    append_line(&runs.join(pick.shown.arm.run()), &Line::Pick(pick.clone()))
}

/// Reads the verdicts of the runs with these folder names. A verdict that stands in several of them counts once; runs without
/// verdicts add nothing.
pub fn read<'n>(runs: &Path, names: impl IntoIterator<Item = &'n str>) -> Verdicts {
    let mut found = Found::default();
    for name in names {
        let shown = PathBuf::from("runs").join(name).join(FILE);
        match bounded::read(&runs.join(name).join(FILE), bounded::RECORDS) {
            Ok(bytes) => found.file(&shown, &bytes),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => found.problems.push(problem(&shown, None, format!("cannot be read: {e}"))),
        }
    }
    found.standing()
}

impl Verdicts {
    /// What the contents of one file say; `file` stands in problems.
    pub fn parse(file: &Path, bytes: &[u8]) -> Verdicts {
        let mut found = Found::default();
        found.file(file, bytes);
        found.standing()
    }
}

fn append_line(run: &Path, line: &Line) -> Result<()> {
    let path = run.join(FILE);
    let shown = || format!("{}: the verdict cannot be written; see to the disk and give it again", path.display());
    // What a crash has torn stays as it is; the next verdict starts on a line of its own.
    private::append_line(&path, &serde_json::to_vec(line).with_context(shown)?, Torn::Keep).with_context(shown)
}

fn problem(file: &Path, line: Option<usize>, message: String) -> Problem {
    Problem { level: Level::Warning, file: file.to_owned(), line, message }
}

/// All lines, before corrections.
#[derive(Default)]
struct Found {
    verdicts: Vec<Verdict>,
    /// Id -> index.
    by_id: HashMap<String, usize>,
    picks: BTreeMap<PickOf, Pick>,
    problems: Vec<Problem>,
}

impl Found {
    fn file(&mut self, file: &Path, bytes: &[u8]) {
        for (number, line) in (1..).zip(bytes.split_inclusive(|&b| b == b'\n')) {
            match parsed(line) {
                _ if line.trim_ascii().is_empty() => {}
                Ok(Line::Pick(pick)) => self.pick(pick),
                Ok(Line::Verdict(verdict)) => self.verdict(file, number, verdict),
                // Torn while it was written: it never was a verdict. A whole one that only lacks its line feed counts.
                Err(_) if !line.ends_with(b"\n") => {}
                Err(message) => self.problems.push(problem(file, Some(number), message)),
            }
        }
    }

    /// The same arm's picks stand in one file, in the order in which they were made.
    fn pick(&mut self, pick: Pick) {
        self.picks.insert((pick.prompt.clone(), pick.shown.arm.clone(), pick.temperature), pick);
    }

    fn verdict(&mut self, file: &Path, line: usize, verdict: Verdict) {
        match self.by_id.get(&verdict.id) {
            None => {
                self.by_id.insert(verdict.id.clone(), self.verdicts.len());
                self.verdicts.push(verdict);
            }
            Some(&known) if self.verdicts[known] == verdict => {}
            Some(_) => {
                let message = format!(
                    "there is another verdict with the id {}, which counts in place of this one; give this line a new id, and the \
                     other's id as `replaces` if it corrects it",
                    verdict.id
                );
                self.problems.push(problem(file, Some(line), message));
            }
        }
    }

    /// Verdicts that are linked by corrections are one reading. Of them stands the latest that no other one corrects.
    fn standing(self) -> Verdicts {
        let mut groups = Groups::default();
        for verdict in &self.verdicts {
            let own = groups.index(&verdict.id);
            if let Some(replaced) = &verdict.reading.replaces {
                let other = groups.index(replaced);
                groups.join(own, other);
            }
        }
        let replaced: BTreeSet<&str> = self.verdicts.iter().filter_map(|v| v.reading.replaces.as_deref()).collect();
        // Group -> where its first verdict stood, the last one that nothing corrects.
        let mut latest: HashMap<usize, (usize, usize)> = HashMap::new();
        for (at, verdict) in self.verdicts.iter().enumerate() {
            let group = groups.index(&verdict.id);
            let group = groups.root(group);
            let entry = latest.entry(group).or_insert((at, at));
            let superseded = |at: usize| replaced.contains(self.verdicts[at].id.as_str());
            if !superseded(at) || superseded(entry.1) {
                entry.1 = at;
            }
        }
        let mut order: Vec<(usize, usize)> = latest.into_values().collect();
        order.sort_unstable();
        let verdicts = order.into_iter().map(|(_, at)| self.verdicts[at].clone()).collect();
        Verdicts { verdicts, picks: self.picks, problems: self.problems }
    }
}

/// A line, or what is wrong with it.
fn parsed(line: &[u8]) -> Result<Line, String> {
    let mend = "mend the line, or leave it: it is not counted";
    let line: Line = serde_json::from_slice(line).map_err(|e| format!("not a verdict: {e}; {mend}"))?;
    if let Line::Verdict(verdict) = &line {
        verdict.reading.check().map_err(|fault| format!("not a verdict: {fault}; {mend}"))?;
    }
    Ok(line)
}

/// Ids that belong together, as disjoint sets. A set, and not a chain that is followed: lines may name ids that are in no file, and
/// lines edited by hand may name one another.
#[derive(Default)]
struct Groups {
    index: HashMap<String, usize>,
    parent: Vec<usize>,
}

impl Groups {
    fn index(&mut self, id: &str) -> usize {
        if let Some(&index) = self.index.get(id) {
            return index;
        }
        let index = self.parent.len();
        self.parent.push(index);
        self.index.insert(id.to_owned(), index);
        index
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.parent[index] != index {
            self.parent[index] = self.parent[self.parent[index]];
            index = self.parent[index];
        }
        index
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a] = b;
    }
}

#[cfg(test)]
mod tests;
