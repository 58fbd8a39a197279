//! The runs on disk, each with its summary and what its readers said of it; and the folders that are no runs, with the reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::config::{Method, Rubric, Workspace};
use crate::review::canary_sheet::CanarySheet;
use crate::review::canary_verdict::CanaryVerdict;
use crate::review::tally::{Tally, tally};
use crate::review::verdict::{self, ArmName, Pick, Reading, Verdicts};
use crate::run::Run;
use crate::run::summary::{Summaries, Summary};

/// What stands in `runs/`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// The latest run first, and those that are no runs last.
    pub entries: Vec<Entry>,
    /// Why no reading is counted, where none is.
    pub uncounted: Option<String>,
}

/// A folder in `runs/`.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub folder: PathBuf,
    /// The folder's name without its date.
    pub name: String,
    /// `2026-11-22`; empty where the manifest cannot be read.
    pub day: String,
    /// Or why this is no run that can be used.
    pub run: Result<Row, String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub summary: Summary,
    /// RFC 3339, UTC.
    pub created: String,
    pub device: String,
    /// `None` where no sample of the fine-tuned arm has been scored.
    pub canaries: Option<CanaryVerdict>,
    /// What was read of its canaries; `None` where nothing was drawn of it.
    pub sheet: Option<Box<CanarySheet>>,
    /// The fine-tuned arm's mean score, of blind readings.
    pub rubric: Option<f64>,
}

impl Row {
    pub fn method(&self) -> &'static str {
        match self.summary.method {
            Method::Lora => "LoRA",
            Method::Full => "full",
        }
    }
}

impl Entry {
    /// What the filter looks at.
    pub fn haystack(&self) -> String {
        let words = match &self.run {
            Ok(row) => {
                let canaries = row.canaries.map(|verdict| verdict.to_string()).unwrap_or_default();
                format!("{} {} {} {canaries}", row.summary.model, row.method(), row.summary.state.word())
            }
            Err(_) => "broken".into(),
        };
        format!("{} {} {words}", self.day, self.name).to_lowercase()
    }

    /// The folder's name.
    pub fn folder_name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// All folders in `runs/`.
pub(super) fn list(workspace: &Workspace, summaries: &mut Summaries) -> Result<Listing> {
    let runs = workspace.runs();
    if !runs.is_dir() {
        return Ok(Listing::default());
    }
    let listed = fs::read_dir(&runs).with_context(|| format!("{}: cannot be listed", runs.display()))?;
    let mut folders: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    // Folders in the making begin with a dot.
    folders.retain(|path| !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.'));
    folders.sort();
    let names: Vec<String> = folders.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    // Readings at other temperatures are not counted with these, and scores go by the rubric: without either file nothing can be counted.
    let counting = workspace.sampling().and_then(|settings| Ok((settings.temperature.into(), workspace.rubric()?)));
    let (found, rubric, uncounted) = match counting {
        Ok((usual, rubric)) => (verdict::read(&runs, names.iter().map(String::as_str)).at(usual, usual), Some(rubric), None),
        Err(error) => (Verdicts::default(), None, Some(format!("no reading is counted until this is mended: {error}"))),
    };
    let blind = found.verdicts.iter().map(|verdict| &verdict.reading).filter(|reading| reading.blind);
    let readings: Vec<&Reading> = blind.collect();
    let tally = tally(readings.iter().copied(), Clone::clone);
    let reader = Reader { tally, readings, picks: found.picks_by_arm(), rubric };
    let mut entries: Vec<Entry> = folders.into_iter().zip(names).map(|(folder, name)| entry(folder, name, summaries, &reader)).collect();
    entries.sort_by(|a, b| {
        let key = |entry: &Entry| (entry.run.is_ok(), entry.run.as_ref().map(|row| row.created.clone()).unwrap_or_default());
        key(b).cmp(&key(a)).then_with(|| b.folder.cmp(&a.folder))
    });
    Ok(Listing { entries, uncounted })
}

fn entry(folder: PathBuf, name: String, summaries: &mut Summaries, reader: &Reader) -> Entry {
    let read = Run::open(&folder).and_then(|run| Ok((summaries.of(&run)?, run.manifest)));
    match read {
        Err(error) => {
            let reason = match folder.join("manifest.yaml").is_file() {
                true => error.chain().map(first_line).collect::<Vec<_>>().join(": ").replace(&format!("{}/", folder.display()), ""),
                false => "has no manifest.yaml: not a run, or one that was not made to the end".into(),
            };
            Entry { folder, name, day: String::new(), run: Err(reason) }
        }
        Ok((summary, manifest)) => {
            let day = dated(&name).unwrap_or(manifest.created.get(..10).unwrap_or_default()).to_owned();
            let short = name.strip_prefix(&day).and_then(|rest| rest.strip_prefix('-')).unwrap_or(&name).to_owned();
            let (sheet, rubric) = (reader.sheet(&folder).map(Box::new), reader.mean(&name));
            let canaries = sheet.as_ref().filter(|_| rubric.is_some()).map(|sheet| sheet.verdict);
            let row = Row { summary, created: manifest.created, device: manifest.device, canaries, sheet, rubric };
            Entry { folder, name: short, day, run: Ok(row) }
        }
    }
}

fn first_line(error: &(dyn std::error::Error + 'static)) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}

/// The date that a folder's name begins with.
fn dated(name: &str) -> Option<&str> {
    let day = name.get(..10)?;
    let shape = |(at, c): (usize, char)| if at == 4 || at == 7 { c == '-' } else { c.is_ascii_digit() };
    (day.chars().enumerate().all(shape) && name[10..].starts_with('-')).then_some(day)
}

/// What readers said, blind.
struct Reader<'v> {
    readings: Vec<&'v Reading>,
    picks: BTreeMap<(String, ArmName), Pick>,
    tally: Tally<ArmName>,
    /// `None` where nothing is counted.
    rubric: Option<Rubric>,
}

impl Reader<'_> {
    /// Folders that cannot be listed are said where they are read.
    fn sheet(&self, folder: &Path) -> Option<CanarySheet> {
        CanarySheet::of_run(folder, &self.readings, &self.picks, self.rubric.as_ref()?).ok()?
    }

    /// The mean score of a run's fine-tuned arm.
    fn mean(&self, run: &str) -> Option<f64> {
        let is_tuned = |arm: &ArmName| arm.run() == run && arm.arm().ends_with("-tuned");
        let tuned = self.tally.arms.iter().find(|arm| is_tuned(&arm.arm))?;
        tuned.overall.map(|overall| overall.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_from_names() {
        let check = |name: &str, expected: Option<&str>| assert_eq!(dated(name), expected, "{name}");
        check("2026-11-22-first", Some("2026-11-22"));
        check("2026-11-22", None);
        check("a-run-of-mine", None);
        check("März-2026-first", None);
        check("", None);
    }
}
