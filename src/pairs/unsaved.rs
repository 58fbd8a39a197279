//! The autosave journal: edits that are not saved yet, kept so that no crash loses them.
//!
//! Each process that has unsaved edits has a folder in `pairs/.unsaved/` with one file a pair, and holds a lock on it for as long as
//! it lives. What lies in a folder that nobody holds is what a process left behind.
//!
//! Where the workspace's disk takes nothing, the same is done in a second place on another one, see [`super::spare_journal`].

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::atomic::{remove_file, write_atomically};
use super::canonical::quoted;
use super::load::{shown, unreadable};
use super::save::{failed, is_pairs_id};
use super::{Fingerprint, Level, Pair, Problem, SaveError, Split, Status, Tier, file_of, to_yaml};
use crate::config::bounded;
use crate::config::yaml::{self, Fault};

/// Below `pairs/`; hidden, so that loading passes it by.
const FOLDER: &str = ".unsaved";
const LOCK: &str = "lock";

/// A pair that was edited and not saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// As edited.
    pub pair: Pair,
    /// The state of the pair's file when it was read; saving goes by it as ever.
    pub read: Fingerprint,
    pub at: Timestamp,
    /// The file in the journal.
    pub file: PathBuf,
}

/// The unsaved edits of this process. When it is dropped, what has not been forgotten stays and can be recovered.
#[derive(Debug)]
pub struct Journal {
    beside: Place,
    spare: Option<Place>,
}

/// Where a pair was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In `pairs/.unsaved/`.
    Beside,
    /// In this folder, since the workspace's did not take it, for this reason.
    Elsewhere { folder: PathBuf, why: String },
}

/// A folder for the journals of all processes.
#[derive(Debug)]
struct Place {
    folder: PathBuf,
    /// Made when there is something to keep: who only looks at pairs leaves no trace.
    held: Option<Held>,
}

/// A folder that others take for that of a living process.
#[derive(Debug)]
struct Held {
    folder: PathBuf,
    lock: File,
}

impl Journal {
    /// Touches nothing on disk, so that a workspace that can only be read can be opened.
    pub fn new(pairs: &Path) -> Journal {
        Journal { beside: Place::new(pairs.join(FOLDER)), spare: None }
    }

    /// With a folder for what cannot be kept beside the pairs.
    #[must_use]
    pub fn with_spare(self, folder: Option<&Path>) -> Journal {
        Journal { spare: folder.map(|folder| Place::new(folder.to_path_buf())), ..self }
    }

    /// Keeps a pair as it is now, in the place of what was kept of it before. Whatever happens on the way, the old or the new version
    /// is there. Waits for the disk: milliseconds, more on a slow one.
    ///
    /// # Errors
    /// Neither place takes it: what is wrong beside the pairs.
    pub fn record(&mut self, pair: &Pair, read: Fingerprint) -> Result<Kept, SaveError> {
        if !is_pairs_id(pair) {
            return Err(SaveError::Name { id: pair.id.clone(), tier: pair.tier });
        }
        let text = written(pair, read, Timestamp::now());
        let Err(error) = self.beside.write(&pair.id, &text) else {
            // An older version that had to go elsewhere; where it stays, the newer one is offered before it.
            self.spare.as_mut().and_then(|spare| spare.remove(&pair.id).ok());
            return Ok(Kept::Beside);
        };
        let Some(spare) = &mut self.spare else { return Err(error) };
        match spare.write(&pair.id, &text) {
            Ok(()) => Ok(Kept::Elsewhere { folder: spare.folder.clone(), why: error.to_string() }),
            Err(_) => Err(error), // the nearer one is the one to mend
        }
    }

    /// Drops what was kept of a pair, if anything: it is saved, or its edits were given up.
    pub fn forget(&mut self, id: &str) -> Result<(), SaveError> {
        let elsewhere = self.spare.as_ref().map_or(Ok(()), |spare| spare.remove(id));
        self.beside.remove(id).and(elsewhere)
    }

    /// Makes what another process left behind this one's own.
    pub fn take_over(&mut self, unsaved: &Unsaved) -> Result<Kept, SaveError> {
        let kept = self.record(&unsaved.pair, unsaved.read)?;
        unsaved.discard()?;
        Ok(kept)
    }
}

impl Place {
    fn new(folder: PathBuf) -> Place {
        Place { folder, held: None }
    }

    fn write(&mut self, id: &str, text: &str) -> Result<(), SaveError> {
        let file = self.own()?.join(file_name(id));
        write_atomically(&file, |out| out.write_all(text.as_bytes())).map_err(|cause| failed(&file, cause))
    }

    fn remove(&self, id: &str) -> Result<(), SaveError> {
        self.held.as_ref().map_or(Ok(()), |held| remove(&held.folder.join(file_name(id))))
    }

    /// This process's folder.
    fn own(&mut self) -> Result<&Path, SaveError> {
        let held = match self.held.take() {
            // Someone may have tidied up meanwhile.
            Some(held) if held.folder.is_dir() => held,
            _ => hold(&self.folder).map_err(|cause| failed(&self.folder, cause))?,
        };
        Ok(&self.held.insert(held).folder)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            remove_if_empty(&held.folder);
            // Closing the file is not enough where a child process, just being started, has it open too.
            let _ = held.lock.unlock();
        }
    }
}

impl Unsaved {
    /// Reads the text of a file of the journal.
    pub fn parse(file: &Path, text: &str) -> Result<Unsaved, Fault> {
        let raw: RawUnsaved = yaml::parse(text)?;
        let no = |key: &str, value: &str| Fault { line: None, message: format!("`{key}: {value}` is not what voicetune writes there") };
        let read = match raw.read.as_str() {
            ABSENT => Fingerprint::Absent,
            hash => Fingerprint::Sha256(hex::FromHex::from_hex(hash).map_err(|_| no("read", hash))?),
        };
        let at = raw.at.parse().map_err(|_| no("at", &raw.at))?;
        let RawUnsaved { pair: id, tier, source, prompt, response, status, split, notes, .. } = raw;
        let pair = Pair { id, tier, source, prompt, response, status, split, notes };
        match is_pairs_id(&pair) {
            true => Ok(Unsaved { pair, read, at, file: file.to_path_buf() }),
            false => Err(no("pair", &pair.id)),
        }
    }

    /// Gives the edits up.
    pub fn discard(&self) -> Result<(), SaveError> {
        remove(&self.file)?;
        if let Some(folder) = self.file.parent() {
            remove_if_empty(folder);
        }
        Ok(())
    }
}

/// What processes that no longer run have left behind, beside the pairs and in the spare place, sorted by pair, the latest first; and
/// the files that cannot be read, which stay where they are. Edits that have reached the pair's file are not among them.
pub fn recoverable(pairs: &Path, spare: Option<&Path>) -> (Vec<Unsaved>, Vec<Problem>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    left_in(&pairs.join(FOLDER), pairs, &mut found, &mut problems);
    if let Some(spare) = spare {
        left_in(spare, pairs, &mut found, &mut problems);
    }
    found.sort_by(|a, b| (&a.pair.id, b.at).cmp(&(&b.pair.id, a.at)));
    (found, problems)
}

fn left_in(journal: &Path, pairs: &Path, found: &mut Vec<Unsaved>, problems: &mut Vec<Problem>) {
    for folder in good(entries(journal), pairs, journal, problems).unwrap_or_default() {
        if !good(is_abandoned(&folder), pairs, &folder, problems).unwrap_or_default() {
            continue;
        }
        let files = good(entries(&folder), pairs, &folder, problems).unwrap_or_default();
        for file in files.into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "yaml")) {
            let Some(unsaved) = good(yaml::read_text(&file).and_then(|text| Unsaved::parse(&file, &text)), pairs, &file, problems) else {
                continue;
            };
            if is_saved(pairs, &unsaved.pair) {
                // Where it cannot be removed, the next look tries again.
                let _ = unsaved.discard();
            } else {
                found.push(unsaved);
            }
        }
        remove_if_empty(&folder);
    }
}

/// The value, or `None` and a problem about `path`.
fn good<T>(result: Result<T, Fault>, pairs: &Path, path: &Path, problems: &mut Vec<Problem>) -> Option<T> {
    let file = || shown(pairs, &path.strip_prefix(pairs).unwrap_or(path).to_string_lossy());
    result.map_err(|fault| problems.push(Problem { level: Level::Error, file: file(), line: fault.line, message: fault.message })).ok()
}

/// A new folder below `journal`, locked before others can see it.
fn hold(journal: &Path) -> io::Result<Held> {
    DirBuilder::new().recursive(true).mode(0o700).create(journal)?;
    let hidden = tempfile::Builder::new().prefix(".").permissions(Permissions::from_mode(0o700)).tempdir_in(journal)?;
    let lock = File::options().create_new(true).write(true).mode(0o600).open(hidden.path().join(LOCK))?;
    lock.lock()?;
    let unique = hidden.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = journal.join(format!("{}{unique}", Timestamp::now().strftime("%Y-%m-%d-%H%M%S")));
    fs::rename(hidden.path(), &folder)?;
    let _ = hidden.keep(); // it has its name now: nothing is left to remove
    File::open(journal)?.sync_all()?;
    Ok(Held { folder, lock })
}

/// Whether the process that made a folder is gone. Asked by a shared lock, so that two that look at once see the same.
fn is_abandoned(folder: &Path) -> Result<bool, Fault> {
    let lock = match File::open(folder.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(unreadable(&error)),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(unreadable(&error)),
    }
}

/// The visible entries of a folder, sorted; none where there is no folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(&error)),
    };
    let mut paths = Vec::new();
    for entry in listed {
        let entry = entry.map_err(|error| unreadable(&error))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_saved(pairs: &Path, pair: &Pair) -> bool {
    bounded::read(&file_of(pairs, &pair.id), bounded::PROSE).is_ok_and(|bytes| bytes == to_yaml(pair).as_bytes())
}

/// Removes a process's folder that has no unsaved pair in it.
fn remove_if_empty(folder: &Path) {
    let empty = entries(folder).is_ok_and(|paths| paths.iter().all(|path| path.file_name().is_some_and(|name| name == LOCK)));
    if empty {
        // Where one of the two fails, there is an empty folder too many, and the next look removes it.
        let _ = fs::remove_file(folder.join(LOCK));
        let _ = fs::remove_dir(folder);
    }
}

fn remove(file: &Path) -> Result<(), SaveError> {
    match remove_file(file) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(failed(file, cause)),
        _ => Ok(()),
    }
}

/// `tier1/quiet-car` is kept in `tier1+quiet-car.yaml`.
fn file_name(id: &str) -> String {
    format!("{}.yaml", id.replacen('/', "+", 1))
}

/// The pair's own YAML with three keys before it, so that its text can also be taken out by hand.
fn written(pair: &Pair, read: Fingerprint, at: Timestamp) -> String {
    let read = match read {
        Fingerprint::Absent => ABSENT.to_owned(),
        Fingerprint::Sha256(hash) => hex::encode(hash),
    };
    let [id, read, at] = [&pair.id, &read, &at.to_string()].map(|text| quoted(text));
    format!("pair: {id}read: {read}at: {at}{}", to_yaml(pair))
}

const ABSENT: &str = "absent";

/// What [`written`] writes. Unlike a pair's file, it may hold any state that a pair has while it is being edited.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUnsaved {
    pair: String,
    read: String,
    at: String,
    tier: Tier,
    source: String,
    prompt: String,
    response: String,
    status: Status,
    split: Split,
    notes: String,
}
