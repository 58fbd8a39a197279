//! Files and folders that only their owner can read, and that reach the disk. Runs hold a writer's unpublished prose.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};

use crate::config::bounded;
use crate::pairs::{create_atomically, write_atomically};

/// Creates the folder, and those above it that are missing, readable by the owner only.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("{}: the folder cannot be made", path.display()))
}

/// Opens for appending, and creates it where it is missing.
pub(crate) fn append(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.with_context(|| format!("{}: cannot be opened", path.display()))
}

/// What becomes of a last line without its line feed, which a crash has torn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Torn {
    Remove,
    /// It may be the writer's own: the new line begins after it.
    Keep,
}

/// Appends one line and forces it to disk, while no other process appends here. Where that fails, nothing of the line stays.
pub(crate) fn append_line(path: &Path, line: &[u8], torn: Torn) -> Result<()> {
    let mut file = append(path)?;
    let written = file.lock().and_then(|()| {
        let whole = settle_end(path, &file, torn)?;
        let appended = file.write_all(line).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
        appended.inspect_err(|_| _ = file.set_len(whole)) // the first error is the one to tell
    });
    written.with_context(|| format!("{}: a line cannot be written", path.display()))?;
    sync_parent(path)
}

/// Sees to it that the file ends with a line feed, or is empty; returns its length.
fn settle_end(path: &Path, mut file: &File, torn: Torn) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let end = last_line_feed(&mut bounded::open(path)?, length)?;
    match torn {
        _ if end == length => Ok(length),
        Torn::Remove => file.set_len(end).map(|()| end),
        Torn::Keep => file.write_all(b"\n").map(|()| length + 1),
    }
}

/// Where the last line feed of the file ends; 0 where there is none. Reads from the end.
fn last_line_feed(file: &mut File, length: u64) -> io::Result<u64> {
    let mut block = [0; 4096];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let block = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        if let Some(at) = block.iter().rposition(|&b| b == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Writes a file that did not exist.
pub(crate) fn create_file(path: &Path, contents: &[u8]) -> Result<()> {
    create_atomically(path, |file| file.write_all(contents)).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Replaces a file: readers see the old contents or the new, never a part.
pub(crate) fn replace_file(path: &Path, contents: &[u8]) -> Result<()> {
    write_atomically(path, |file| file.write_all(contents)).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Makes everything in a folder durable and readable by the owner only.
pub(crate) fn seal_folder(folder: &Path) -> Result<()> {
    let shown = || format!("{}: cannot be completed", folder.display());
    for entry in fs::read_dir(folder).with_context(shown)? {
        let path = entry.with_context(shown)?.path();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).with_context(shown)?;
        sync(&path)?;
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700)).with_context(shown)?;
    sync(folder)
}

/// After a rename, the folder that holds the name must reach the disk as well.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), sync)
}

fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).with_context(|| format!("{}: cannot be written to disk", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_after_what_is_whole() {
        let check = |before: &[u8], torn: Torn, after: &[u8]| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x.jsonl");
            fs::write(&path, before).unwrap();
            append_line(&path, b"new", torn).unwrap();
            assert_eq!(fs::read(&path).unwrap(), after);
        };
        check(b"", Torn::Remove, b"new\n");
        check(b"old\n", Torn::Remove, b"old\nnew\n");
        check(b"old\nto", Torn::Remove, b"old\nnew\n");
        check(b"to", Torn::Remove, b"new\n");
        check(b"old\nto", Torn::Keep, b"old\nto\nnew\n");
        let long = [b"old\n".to_vec(), vec![b'x'; 10_000]].concat();
        check(&long, Torn::Remove, b"old\nnew\n");
    }
}
