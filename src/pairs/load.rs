//! Reading pairs: every file that can be used, and a problem for every one that cannot.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;
use serde_yaml::Spanned;

use super::{Fingerprint, Level, Pair, Problem, Split, Status, Tier, file_of};
use crate::config::bounded;
use crate::config::yaml::{self, Fault, Given, line_of};

/// A pair and the file's state when it was read, without which it is not saved again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedPair {
    pub pair: Pair,
    pub fingerprint: Fingerprint,
}

/// Reads the folder `pairs/`: the pairs sorted by id, and what is wrong. Files are never changed. A file with an error is not among
/// the pairs.
pub fn load(pairs: &Path) -> (Vec<Pair>, Vec<Problem>) {
    let (loaded, problems) = open_all(pairs);
    (loaded.into_iter().map(|loaded| loaded.pair).collect(), problems)
}

/// As [`load`], to be edited and saved.
pub fn open_all(pairs: &Path) -> (Vec<LoadedPair>, Vec<Problem>) {
    let mut good = Vec::new();
    let mut problems = Vec::new();
    let ids = find_files(pairs, &mut problems);
    let files: Vec<_> = ids.par_iter().map(|id| read(pairs, id)).collect();
    for (pair, mut found) in files {
        good.extend(pair);
        problems.append(&mut found);
    }
    problems.extend(ids_alike(pairs, &ids));
    good.sort_by(|a, b| a.pair.id.cmp(&b.pair.id));
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    (good, problems)
}

/// Reads one pair, to be edited and saved. Warnings do not keep it from being opened.
pub fn open(pairs: &Path, id: &str) -> Result<LoadedPair, Vec<Problem>> {
    let (pair, problems) = read(pairs, id);
    pair.ok_or(problems)
}

/// A pair from its YAML text; `id` says which tier is expected. Errors and warnings come with their lines.
pub fn from_yaml(id: &str, text: &str) -> (Option<Pair>, Vec<(Level, Fault)>) {
    match yaml::parse::<RawPair>(text) {
        Ok(raw) => raw.check(id, text),
        Err(fault) => (None, vec![(Level::Error, fault)]),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPair {
    tier: Spanned<u8>,
    source: Spanned<String>,
    prompt: Spanned<String>,
    response: Spanned<String>,
    status: Status,
    #[serde(default)]
    split: Given<Split>,
    #[serde(default)]
    notes: Given<String>,
}

impl RawPair {
    fn check(self, id: &str, yaml_text: &str) -> (Option<Pair>, Vec<(Level, Fault)>) {
        let mut found = Vec::new();
        let folder = id.split('/').next().unwrap_or_default();
        let tier = match Tier::try_from(self.tier.value) {
            Ok(tier) if tier.folder() == folder => Some(tier),
            Ok(tier) => {
                let message =
                    format!("tier {} in the folder {folder}; move the file to {}, or change its tier", self.tier.value, tier.folder());
                found.push((Level::Error, Fault::at(line_of(&self.tier), message)));
                None
            }
            Err(message) => {
                found.push((Level::Error, Fault::at(line_of(&self.tier), format!("{message}; the folder says {folder}"))));
                None
            }
        };
        if self.source.value.trim().is_empty() {
            let message = "the source is empty; name the piece the pair was made from: split and balance go by it";
            found.push((Level::Error, Fault::at(line_of(&self.source), message)));
        }
        for (key, text) in [("prompt", &self.prompt), ("response", &self.response)] {
            if text.value.trim().is_empty() {
                // The parser places an empty block at whatever comes after it.
                let line = line_of_key(yaml_text, key).unwrap_or_else(|| line_of(text));
                // A draft may still be half a pair; one that is ready would be trained on.
                let (level, advice) = match self.status {
                    Status::Ready => (Level::Error, "write it, or set `status: draft`"),
                    Status::Draft | Status::Discarded => (Level::Warning, "write it before you set `status: ready`"),
                };
                found.push((level, Fault::at(line, format!("the {key} is empty; {advice}"))));
            }
        }
        let broken = found.iter().any(|(level, _)| *level == Level::Error);
        let pair = tier.filter(|_| !broken).map(|tier| Pair {
            id: id.to_string(),
            tier,
            source: self.source.value,
            prompt: self.prompt.value,
            response: self.response.value,
            status: self.status,
            split: self.split.or(Split::Auto),
            notes: self.notes.or(String::new()),
        });
        (pair, found)
    }
}

/// The line on which a key stands at the left edge.
fn line_of_key(yaml_text: &str, key: &str) -> Option<usize> {
    let at = yaml_text.lines().position(|line| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':')))?;
    Some(at + 1)
}

fn read(pairs: &Path, id: &str) -> (Option<LoadedPair>, Vec<Problem>) {
    let problem =
        |level, fault: Fault| Problem { level, file: shown(pairs, &format!("{id}.yaml")), line: fault.line, message: fault.message };
    let bytes = match bounded::read(&file_of(pairs, id), bounded::PROSE) {
        Ok(bytes) => bytes,
        Err(error) => return (None, vec![problem(Level::Error, unreadable(&error))]),
    };
    let fingerprint = Fingerprint::of(&bytes);
    let (pair, found) = match yaml::decode(bytes) {
        Ok(text) => from_yaml(id, &text),
        Err(fault) => (None, vec![(Level::Error, fault)]),
    };
    (pair.map(|pair| LoadedPair { pair, fingerprint }), found.into_iter().map(|(level, fault)| problem(level, fault)).collect())
}

/// The ids of the files in the tier folders; a YAML file anywhere else is a problem, since someone expects it to count.
fn find_files(pairs: &Path, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut ids = Vec::new();
    for name in list(pairs, "", problems) {
        let tier_folder = Tier::ALL.iter().any(|tier| tier.folder() == name);
        if !pairs.join(&name).is_dir() {
            if is_yaml(&name) {
                problems.push(misplaced(pairs, &name));
            }
            continue;
        }
        for file in list(pairs, &name, problems) {
            let path = format!("{name}/{file}");
            if pairs.join(&path).is_dir() {
                for inner in list(pairs, &path, problems).iter().filter(|inner| is_yaml(inner)) {
                    problems.push(misplaced(pairs, &format!("{path}/{inner}")));
                }
            } else if let Some(id) = path.strip_suffix(".yaml").filter(|_| tier_folder) {
                ids.push(id.to_string());
            } else if is_yaml(&file) {
                problems.push(if tier_folder { other_ending(pairs, &path) } else { misplaced(pairs, &path) });
            }
        }
    }
    ids
}

/// The visible names in a folder, sorted; hidden ones are temporary files and system clutter.
fn list(pairs: &Path, folder: &str, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut names = Vec::new();
    let mut refuse =
        |fault: Fault| problems.push(Problem { level: Level::Error, file: shown(pairs, folder), line: fault.line, message: fault.message });
    match fs::read_dir(pairs.join(folder)) {
        Err(error) => refuse(unreadable(&error)),
        Ok(entries) => {
            for entry in entries {
                match entry.map(|entry| entry.file_name().into_string()) {
                    Ok(Ok(name)) if !name.starts_with('.') => names.push(name),
                    Ok(Ok(_)) => {}
                    Ok(Err(name)) => refuse(Fault { line: None, message: format!("the name {name:?} is not UTF-8; rename the file") }),
                    Err(error) => refuse(unreadable(&error)),
                }
            }
        }
    }
    names.sort();
    names
}

fn is_yaml(name: &str) -> bool {
    let name = name.to_lowercase();
    name.ends_with(".yaml") || name.ends_with(".yml")
}

fn misplaced(pairs: &Path, path: &str) -> Problem {
    let message = "not read: pairs lie in tier1/, tier2/, tier3/ or tier4/ itself; move the file there".into();
    Problem { level: Level::Error, file: shown(pairs, path), line: None, message }
}

/// `x.yml` beside or instead of `x.yaml`: both would be the pair `x`.
fn other_ending(pairs: &Path, path: &str) -> Problem {
    let id = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let message = match file_of(pairs, id).exists() {
        true => format!("not read: {id}.yaml is there too, and both would be the pair `{id}`; keep one of them"),
        false => format!("not read: pairs end in .yaml; rename the file to {}", file_of(Path::new(""), id).display()),
    };
    Problem { level: Level::Error, file: shown(pairs, path), line: None, message }
}

/// Ids that differ in case only are one file on macOS and Windows: a copy of the workspace would lose a pair.
fn ids_alike(pairs: &Path, ids: &[String]) -> Vec<Problem> {
    let mut by_lowercase: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for id in ids {
        by_lowercase.entry(id.to_lowercase()).or_default().push(id);
    }
    let mut problems = Vec::new();
    for alike in by_lowercase.into_values() {
        if let [first, others @ ..] = alike.as_slice() {
            problems.extend(others.iter().map(|id| Problem {
                level: Level::Warning,
                file: shown(pairs, &format!("{id}.yaml")),
                line: None,
                message: format!("differs from {first}.yaml in case only, which is one file on macOS and Windows; rename one"),
            }));
        }
    }
    problems
}

pub(super) fn unreadable(error: &std::io::Error) -> Fault {
    Fault { line: None, message: format!("cannot be read: {error}; check that it is there and that you may read it") }
}

/// A path below `pairs/` as seen from the workspace.
pub(super) fn shown(pairs: &Path, path: &str) -> PathBuf {
    let folder = PathBuf::from(pairs.file_name().unwrap_or("pairs".as_ref()));
    if path.is_empty() { folder } else { folder.join(path) }
}
