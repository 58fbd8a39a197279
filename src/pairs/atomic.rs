//! Writing a file so that, whatever happens, there is either the old one or the new one, whole.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Replaces `path`, or makes it, with what `fill` writes: temporary file in the same folder, fsync, rename, fsync of the folder.
/// The file can be read by its owner only. On an error nothing is left behind and the old file is untouched.
pub fn write_atomically(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    put(path, fill, |temporary| temporary.persist(path))
}

/// The same, but an error of kind `AlreadyExists` where there is a file of that name.
pub fn create_atomically(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    put(path, fill, |temporary| temporary.persist_noclobber(path))
}

fn put(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
    persist: impl FnOnce(tempfile::NamedTempFile) -> Result<File, tempfile::PersistError>,
) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary =
        tempfile::Builder::new().prefix(".").suffix(".tmp").permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    fill(temporary.as_file_mut())?;
    temporary.as_file().sync_all()?;
    persist(temporary)?;
    // The rename itself is not on disk until the folder is.
    File::open(folder)?.sync_all()
}
