//! Files and folders that only their owner can read, and that reach the disk. Runs hold a writer's unpublished prose.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};

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
