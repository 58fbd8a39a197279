//! Where unsaved edits go that cannot be kept beside their pairs, since the workspace's disk is full or can only be read: a folder of the
//! user's own, which is often on another disk. Edits come here only then, and are removed as soon as they are saved.

use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf, absolute};

use sha2::{Digest, Sha256};

/// The spare journal of these pairs: `voicetune/unsaved/NAME-HASH/` in `$XDG_STATE_HOME`, else in `~/.local/state`, with the name of the
/// workspace and a hash of its whole path. `None` where there is neither.
pub fn spare_journal(pairs: &Path) -> Option<PathBuf> {
    let set = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = set.or_else(|| env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".local/state")))?;
    // A workspace is the same one whatever links lead to it.
    let pairs = pairs.canonicalize().or_else(|_| absolute(pairs)).ok()?;
    Some(folder_in(&state, &pairs))
}

fn folder_in(state: &Path, pairs: &Path) -> PathBuf {
    let hash = hex::encode(&Sha256::digest(pairs.as_os_str().as_bytes())[..8]);
    let name = pairs.parent().and_then(Path::file_name).unwrap_or(OsStr::new("workspace")).to_string_lossy();
    state.join("voicetune/unsaved").join(format!("{name}-{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_workspace_has_a_folder_that_can_be_told() {
        let folder = |pairs: &str| folder_in(Path::new("/s"), Path::new(pairs)).to_str().unwrap().to_owned();
        let one = folder("/home/ann/essays/pairs");
        assert!(one.starts_with("/s/voicetune/unsaved/essays-"), "{one}");
        assert_eq!(one.len(), "/s/voicetune/unsaved/essays-".len() + 16);
        assert_eq!(one, folder("/home/ann/essays/pairs"));
        assert_ne!(one, folder("/home/bea/essays/pairs"));
        assert!(folder("/pairs").starts_with("/s/voicetune/unsaved/workspace-"));
    }
}
