//! Saving pairs: atomically, and never over a change that was made to the file since it was read.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::atomic::{create_atomically, remove_file, write_atomically};
use super::ids::{name_of, numbered};
use super::{LoadedPair, Pair, Status, Tier, to_yaml};
use crate::config::bounded;

/// A file's state: what must still hold for it to be overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fingerprint {
    /// There was no file: the pair is new.
    Absent,
    Sha256([u8; 32]),
}

impl Fingerprint {
    pub fn of(bytes: &[u8]) -> Self {
        Fingerprint::Sha256(Sha256::digest(bytes).into())
    }
}

/// Why a pair was not saved. Nothing was written then.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("{}: changed on disk since it was read; keep yours, take theirs, or look at both", .0.file.display())]
    Conflict(Box<Conflict>),
    #[error("`{id}` cannot be a pair's name: it must be {}/ and a file name without blanks at its ends, slashes or a leading dot", tier.folder())]
    Name { id: String, tier: Tier },
    #[error("{}: not saved, the disk is full; free some space and save again", file.display())]
    DiskFull { file: PathBuf },
    #[error("{}: not saved: {cause}; check that the folder is there and that you may write to it", file.display())]
    Io { file: PathBuf, cause: io::Error },
}

/// Both versions of a file that was changed by someone else meanwhile. To keep mine, save again with `fingerprint`; to take theirs,
/// open the pair again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub file: PathBuf,
    /// The text that was to be saved.
    pub mine: String,
    /// The text on disk, none where the file was deleted. Bytes that are not UTF-8 are shown as U+FFFD.
    pub theirs: Option<String>,
    /// The state on disk that `theirs` shows.
    pub fingerprint: Fingerprint,
}

/// The file of a pair.
pub fn file_of(pairs: &Path, id: &str) -> PathBuf {
    pairs.join(format!("{id}.yaml"))
}

/// Saves a pair in its canonical form, if the file is still as `read` says, and returns the file's new state.
///
/// Two voicetunes that save into one folder wait for one another. Another program does not: between the look at the file and the
/// rename lies a moment in which its change would be lost, and files have no way to close it.
pub fn save(pairs: &Path, pair: &Pair, read: Fingerprint) -> Result<Fingerprint, SaveError> {
    if !is_pairs_id(pair) {
        return Err(SaveError::Name { id: pair.id.clone(), tier: pair.tier });
    }
    replace(&file_of(pairs, &pair.id), to_yaml(pair).as_bytes(), read)
}

/// Sets a pair's status to discarded. What is returned takes that back.
pub fn discard(pairs: &Path, loaded: &LoadedPair) -> Result<Undo, SaveError> {
    let file = file_of(pairs, &loaded.pair.id);
    // Where the file is gone, `save` says so.
    let before = on_disk(&file).map_err(|cause| failed(&file, cause))?.unwrap_or_default();
    let after = save(pairs, &Pair { status: Status::Discarded, ..loaded.pair.clone() }, loaded.fingerprint)?;
    Ok(Undo { file, before, after, moved: None })
}

/// Moves a pair to another tier, under its own name, or with a number behind it where that tier has a pair of this name.
///
/// The new file is written before the old one goes, so that a crash in between leaves both. Where the old file was changed since
/// it was read, nothing is moved.
pub fn move_to_tier(pairs: &Path, loaded: &LoadedPair, tier: Tier) -> Result<(LoadedPair, Undo), SaveError> {
    let id = numbered(tier, name_of(&loaded.pair.id), |id| file_of(pairs, id).exists());
    relocate(pairs, loaded, Pair { id, tier, ..loaded.pair.clone() })
}

/// Gives a pair another id, in the tier that the id names. An id that is taken is refused; otherwise as [`move_to_tier`].
pub fn rename(pairs: &Path, loaded: &LoadedPair, id: &str) -> Result<LoadedPair, SaveError> {
    let folder = id.split_once('/').map_or("", |(folder, _)| folder);
    let tier = Tier::ALL.into_iter().find(|tier| tier.folder() == folder).unwrap_or(loaded.pair.tier);
    relocate(pairs, loaded, Pair { id: id.to_owned(), tier, ..loaded.pair.clone() }).map(|(loaded, _)| loaded)
}

/// Removes the file of a pair that was made by mistake, if it is as it was read.
pub fn remove(pairs: &Path, loaded: &LoadedPair) -> Result<(), SaveError> {
    remove_unchanged(&file_of(pairs, &loaded.pair.id), loaded.fingerprint, to_yaml(&loaded.pair).as_bytes())
}

fn relocate(pairs: &Path, loaded: &LoadedPair, pair: Pair) -> Result<(LoadedPair, Undo), SaveError> {
    let file = file_of(pairs, &loaded.pair.id);
    let text = to_yaml(&pair);
    let before = unchanged(&file, loaded.fingerprint, text.as_bytes())?.unwrap_or_default();
    let fingerprint = save(pairs, &pair, Fingerprint::Absent)?;
    let moved = Moved { file: file_of(pairs, &pair.id), state: fingerprint };
    if let Err(error) = remove_unchanged(&file, loaded.fingerprint, text.as_bytes()) {
        // The pair stays where it was, if it is still there. A copy too many is better than a loss.
        if file.exists() {
            let _ = remove_unchanged(&moved.file, moved.state, text.as_bytes());
        }
        return Err(error);
    }
    Ok((LoadedPair { pair, fingerprint }, Undo { file, before, after: Fingerprint::Absent, moved: Some(moved) }))
}

/// Puts a file back as it was, to the byte, comments included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    file: PathBuf,
    before: Vec<u8>,
    after: Fingerprint,
    moved: Option<Moved>,
}

/// The file that a pair was moved to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Moved {
    file: PathBuf,
    state: Fingerprint,
}

impl Undo {
    /// Refused with a conflict if the file has been changed since.
    pub fn apply(&self) -> Result<Fingerprint, SaveError> {
        if let Some(Moved { file, state }) = &self.moved {
            unchanged(file, *state, &self.before)?;
        }
        let fingerprint = replace(&self.file, &self.before, self.after)?;
        if let Some(Moved { file, state }) = &self.moved {
            remove_unchanged(file, *state, &self.before)?;
        }
        Ok(fingerprint)
    }
}

/// The file's bytes, if it still is as `read` says; `mine` is what was to come in its place.
fn unchanged(file: &Path, read: Fingerprint, mine: &[u8]) -> Result<Option<Vec<u8>>, SaveError> {
    let theirs = on_disk(file).map_err(|cause| failed(file, cause))?;
    let fingerprint = theirs.as_deref().map_or(Fingerprint::Absent, Fingerprint::of);
    if fingerprint == read {
        return Ok(theirs);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let conflict = Conflict { file: file.to_path_buf(), mine: text(mine), theirs: theirs.as_deref().map(text), fingerprint };
    Err(SaveError::Conflict(Box::new(conflict)))
}

/// Removes a file, if it still is as `read` says.
fn remove_unchanged(file: &Path, read: Fingerprint, mine: &[u8]) -> Result<(), SaveError> {
    let _turn = turn(file).map_err(|cause| failed(file, cause))?;
    unchanged(file, read, mine)?;
    remove_file(file).map_err(|cause| failed(file, cause))
}

fn replace(file: &Path, bytes: &[u8], read: Fingerprint) -> Result<Fingerprint, SaveError> {
    if read == Fingerprint::Absent {
        make_folder(file).map_err(|cause| failed(file, cause))?;
    }
    let _turn = turn(file).map_err(|cause| failed(file, cause))?;
    unchanged(file, read, bytes)?;
    let fill = |out: &mut File| out.write_all(bytes);
    let written = match read {
        Fingerprint::Sha256(_) => write_atomically(file, fill),
        Fingerprint::Absent => create_atomically(file, fill),
    };
    match written {
        Ok(()) => Ok(Fingerprint::of(bytes)),
        Err(cause) => {
            // A file may have come there in the meantime.
            if cause.kind() == io::ErrorKind::AlreadyExists {
                unchanged(file, read, bytes)?;
            }
            Err(failed(file, cause))
        }
    }
}

/// The turn to look at a folder's files and to change one, held until it is dropped. None where the folder is gone, or where the file
/// system knows no locks.
fn turn(file: &Path) -> io::Result<Option<File>> {
    let Some(folder) = file.parent() else { return Ok(None) };
    let folder = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        folder => folder?,
    };
    // A save takes milliseconds; who holds the turn for longer was stopped in the middle of it.
    for _ in 0..TRIES {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(fs::TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "another voicetune has been saving in this folder for too long"))
}

const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

fn on_disk(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match bounded::read(file, bounded::PROSE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A tier's folder may be missing, since git keeps no empty ones.
fn make_folder(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match file.parent() {
        Some(folder) => fs::DirBuilder::new().recursive(true).mode(0o700).create(folder),
        None => Ok(()),
    }
}

pub(super) fn failed(file: &Path, cause: io::Error) -> SaveError {
    let file = file.to_path_buf();
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SaveError::DiskFull { file },
        _ => SaveError::Io { file, cause },
    }
}

/// Whether a pair's id is its tier's folder and a file name.
pub(super) fn is_pairs_id(pair: &Pair) -> bool {
    pair.id.strip_prefix(pair.tier.folder()).and_then(|rest| rest.strip_prefix('/')).is_some_and(is_file_name)
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.trim() == name
        && name.len() <= 200
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_to_be_one() {
        let file = Path::new("pairs/tier1/x.yaml");
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let message = failed(file, kind.into()).to_string();
            assert_eq!(message, "pairs/tier1/x.yaml: not saved, the disk is full; free some space and save again");
        }
    }
}
