//! Writing a file so that, whatever happens, there is either the old one or the new one, whole.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Replaces `path`, or makes it, with what `fill` writes: temporary file in the same folder, fsync, rename, fsync of the folder.
/// The file can be read by its owner only. On an error nothing is left behind and the old file is untouched.
pub fn write_atomically<F: FnOnce(&mut File) -> io::Result<()>>(path: &Path, fill: F) -> io::Result<()> {
    put(path, fill, |temporary| temporary.persist(path))
}

/// The same, but an error of kind `AlreadyExists` where there is a file of that name.
pub fn create_atomically<F: FnOnce(&mut File) -> io::Result<()>>(path: &Path, fill: F) -> io::Result<()> {
    put(path, fill, |temporary| temporary.persist_noclobber(path))
}

/// Removes a file. Where its folder then does not reach the disk, a crash brings the file back, and no text is lost.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)?;
    let _ = sync_folder(path);
    Ok(())
}

fn put(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
    persist: impl FnOnce(tempfile::NamedTempFile) -> Result<File, tempfile::PersistError>,
) -> io::Result<()> {
    let folder = folder_of(path);
    let mut temporary =
        tempfile::Builder::new().prefix(".").suffix(".tmp").permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    fill(temporary.as_file_mut())?;
    temporary.as_file().sync_all()?;
    persist(temporary)?;
    sync_folder(path)
}

/// What was renamed or removed is not so on disk until its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    /// What a full disk does to a writer: `/dev/full` takes nothing.
    fn disk_full() -> io::Error {
        File::options().write(true).open("/dev/full").and_then(|mut full| full.write_all(b"x")).unwrap_err()
    }

    #[test]
    fn a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.yaml");
        fs::write(&path, "old").unwrap();
        for put in [write_atomically::<fn(&mut File) -> io::Result<()>>, create_atomically] {
            let error = put(&path, |file| file.write_all(b"half").and(Err(disk_full()))).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(fs::read_to_string(&path).unwrap(), "old");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn only_what_is_new_is_created() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.yaml");
        create_atomically(&path, |file| file.write_all(b"first")).unwrap();
        let error = create_atomically(&path, |file| file.write_all(b"second")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        write_atomically(&path, |file| file.write_all(b"second")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
