//! Who is at the other end of the socket.

use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};
use rustix::process::{Uid, geteuid};

/// Refuses whoever is another user; returns the other process's id where the system tells it.
#[cfg(target_os = "linux")]
pub(super) fn check(stream: &UnixStream) -> Result<Option<i32>> {
    use anyhow::Context;
    let peer = rustix::net::sockopt::socket_peercred(stream).context("the system does not say who is at the other end")?;
    allow(peer.uid)?;
    Ok(Some(peer.pid.as_raw_nonzero().get()))
}

/// rustix has no `getpeereid`: elsewhere the socket's folder, which is its owner's alone and is checked on both sides, keeps others
/// out.
#[cfg(not(target_os = "linux"))]
pub(super) fn check(_stream: &UnixStream) -> Result<Option<i32>> {
    allow(geteuid())?;
    Ok(None)
}

fn allow(uid: Uid) -> Result<()> {
    ensure!(uid == geteuid(), "the other end belongs to another user (uid {uid})");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_oneself_is_let_in() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let pid = check(&ours).unwrap();
        assert!(pid.is_none_or(|pid| pid as u32 == std::process::id()));
        let stranger = Uid::from_raw(geteuid().as_raw() + 1);
        assert!(allow(stranger).unwrap_err().to_string().contains("another user"));
    }
}
