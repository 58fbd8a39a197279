//! Where a workspace's worker is met: `runs/.worker/`, a folder of its owner's alone, with the socket, the lock, the log
//! and the runs that wait.
//!
//! The lock is held for as long as the worker lives and falls with its process, however that ends. Whoever holds it may remove the
//! socket; so what a dead worker left is told from what a live one uses.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::geteuid;

use crate::config::Workspace;
use crate::run::private;

/// The path in a socket's address holds 108 bytes on Linux, 104 elsewhere, with the zero at its end.
const LONGEST_PATH: usize = 100;

const SOCKET: &str = "socket";

#[derive(Debug, Clone)]
pub(super) struct Place {
    folder: PathBuf,
}

/// The right to be this workspace's worker.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Place {
    pub(super) fn of(workspace: &Workspace) -> Place {
        Place { folder: workspace.runs().join(".worker") }
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(super) fn queue(&self) -> PathBuf {
        self.folder.join("queue.json")
    }

    fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    /// Makes the folder where it is missing.
    pub(super) fn make(&self) -> Result<()> {
        private::create_folder(&self.folder)?;
        self.is_ours().map(|_| ())
    }

    /// Whether the folder is there. It must be a folder, not a link to one, and the caller's own; if others could look into it, they
    /// cannot any more.
    fn is_ours(&self) -> Result<bool> {
        let shown = self.folder.display();
        let data = match self.folder.symlink_metadata() {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            data => data.with_context(|| format!("{shown}: cannot be looked at; the worker is another user's if the folder is"))?,
        };
        ensure!(data.is_dir(), "{shown}: is no folder; remove it");
        ensure!(
            data.uid() == geteuid().as_raw(),
            "{shown}: belongs to another user (uid {}), whose worker is not yours; train in a workspace of your own",
            data.uid()
        );
        if data.mode() & 0o077 != 0 {
            fs::set_permissions(&self.folder, Permissions::from_mode(0o700))
                .with_context(|| format!("{shown}: cannot be closed to others"))?;
        }
        Ok(true)
    }

    /// `None` while a worker has it.
    pub(super) fn lock(&self) -> Result<Option<Lock>> {
        let path = self.folder.join("lock");
        let shown = || format!("{}: cannot be locked", path.display());
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).with_context(shown)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(e).with_context(shown),
        }
        // For people: nobody reads it.
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).with_context(shown)?;
        Ok(Some(Lock(file)))
    }

    /// Listens, in place of a worker that is dead.
    pub(super) fn bind(&self, lock: &Lock) -> Result<UnixListener> {
        self.clear(lock);
        let socket = self.socket();
        let listener = reach(&socket, |path| UnixListener::bind(path))
            .with_context(|| format!("{}: no socket can be made here; use `--in-process`", socket.display()))?;
        fs::set_permissions(&socket, Permissions::from_mode(0o600))
            .with_context(|| format!("{}: cannot be closed to others", socket.display()))?;
        Ok(listener)
    }

    /// Removes the socket.
    pub(super) fn clear(&self, _lock: &Lock) {
        fs::remove_file(self.socket()).ok(); // it may not be there
    }

    /// `None` where no worker listens. What a dead one left behind is removed.
    pub(super) fn connect(&self) -> Result<Option<UnixStream>> {
        if !self.is_ours()? {
            return Ok(None);
        }
        let socket = self.socket();
        match reach(&socket, |path| UnixStream::connect(path)) {
            Ok(stream) => Ok(Some(stream)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => {
                if let Some(lock) = self.lock()? {
                    self.clear(&lock);
                }
                Ok(None)
            }
            Err(e) => bail!("{}: the worker cannot be reached: {e}", socket.display()),
        }
    }
}

/// A path too long for an address goes through a link with a short name in a private temporary folder, which is there only for the
/// call. (Changing the current folder would do too, but that is the whole process's.)
fn reach<T>(socket: &Path, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let socket = absolute(socket)?;
    if socket.as_os_str().len() <= LONGEST_PATH {
        return call(&socket);
    }
    let beside = tempfile::Builder::new().prefix("vt-").tempdir()?;
    let link = beside.path().join("w");
    symlink(socket.parent().unwrap_or(&socket), &link)?;
    call(&link.join(SOCKET))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(root: &Path) -> Workspace {
        ["pairs", "configs"].iter().for_each(|folder| fs::create_dir_all(root.join(folder)).unwrap());
        Workspace::open(root).unwrap()
    }

    #[test]
    fn a_long_path_is_reached_too_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a-folder-with-a-long-name".repeat(4)).join("and-another-one".repeat(4));
        for root in [dir.path(), &deep] {
            let place = Place::of(&workspace(root));
            place.make().unwrap();
            assert!(place.connect().unwrap().is_none());
            let lock = place.lock().unwrap().unwrap();
            let listener = place.bind(&lock).unwrap();
            let mut ours = place.connect().unwrap().unwrap();
            let (mut theirs, _) = listener.accept().unwrap();
            ours.write_all(b"x").unwrap();
            let mut byte = [0];
            io::Read::read_exact(&mut theirs, &mut byte).unwrap();
            assert_eq!(byte, *b"x");
        }
    }

    #[test]
    fn what_a_dead_worker_left_is_removed_and_a_live_ones_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::of(&workspace(dir.path()));
        place.make().unwrap();
        let lock = place.lock().unwrap().unwrap();
        assert!(place.lock().unwrap().is_none(), "one worker a workspace");
        drop(place.bind(&lock).unwrap());
        // It holds the lock and does not listen yet, or not any more.
        assert!(place.connect().unwrap().is_none());
        assert!(place.socket().exists());
        drop(lock);
        assert!(place.connect().unwrap().is_none());
        assert!(!place.socket().exists(), "nobody holds the lock: its owner is dead");
        let lock = place.lock().unwrap().unwrap();
        fs::write(place.socket(), "").unwrap(); // whatever it is
        place.bind(&lock).unwrap();
    }

    #[test]
    fn the_folder_is_private_and_must_be_ones_own() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::of(&workspace(dir.path()));
        place.make().unwrap();
        let mode = || fs::metadata(&place.folder).unwrap().mode() & 0o777;
        assert_eq!(mode(), 0o700);
        fs::set_permissions(&place.folder, Permissions::from_mode(0o755)).unwrap();
        place.make().unwrap();
        assert_eq!(mode(), 0o700, "closed again");
        let lock = place.lock().unwrap().unwrap();
        place.bind(&lock).unwrap();
        for file in ["lock", "socket"] {
            assert_eq!(fs::metadata(place.folder.join(file)).unwrap().mode() & 0o777, 0o600, "{file}");
        }

        fs::remove_dir_all(&place.folder).unwrap();
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, &place.folder).unwrap();
        assert!(place.connect().unwrap_err().to_string().contains("is no folder"));
        fs::remove_file(&place.folder).unwrap();
        if geteuid().is_root() {
            fs::create_dir(&place.folder).unwrap();
            std::os::unix::fs::chown(&place.folder, Some(65534), None).unwrap();
            assert!(place.connect().unwrap_err().to_string().contains("belongs to another user (uid 65534)"));
        }
    }
}
