//! `--offline`: no connection to another machine, whatever the program or a library in it tries. The kernel refuses the sockets.

use anyhow::Result;

/// From now on, for this thread and all that it and they start, processes too. Sockets within the machine, such as that between the
/// interface and its worker, stay.
///
/// # Errors
/// Where the system has no means to enforce it: then nothing is run, for the writer was promised that nothing gets out.
pub fn enforce() -> Result<()> {
    kernel::refuse_internet_sockets()
}

#[cfg(target_os = "linux")]
mod kernel {
    use anyhow::{Context, Result};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, apply_filter,
    };

    /// A filter on `socket(2)` by its first argument, the address family.
    pub(super) fn refuse_internet_sockets() -> Result<()> {
        let rule = |family: u64| {
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family)
                .and_then(|condition| SeccompRule::new(vec![condition]))
        };
        let program = || -> Result<BpfProgram> {
            let rules = REFUSED.into_iter().map(rule).collect::<Result<_, _>>()?;
            let denied = SeccompAction::Errno(rustix::io::Errno::NETUNREACH.raw_os_error().cast_unsigned());
            let rules = [(SOCKET, rules)].into();
            Ok(SeccompFilter::new(rules, SeccompAction::Allow, denied, std::env::consts::ARCH.try_into()?)?.try_into()?)
        };
        let refuse = || -> Result<()> {
            apply_filter(&program()?)?;
            Ok(())
        };
        refuse().context("--offline cannot be enforced by this kernel (it needs seccomp)")
    }

    /// AF_INET, AF_INET6, AF_PACKET, AF_VSOCK: the families that lead out of the machine.
    const REFUSED: [u64; 4] = [2, 10, 17, 40];

    /// The number of the system call.
    #[cfg(target_arch = "x86_64")]
    const SOCKET: i64 = 41;
    #[cfg(not(target_arch = "x86_64"))]
    const SOCKET: i64 = 198; // the generic table, which aarch64 and riscv64 have
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    pub(super) fn refuse_internet_sockets() -> anyhow::Result<()> {
        anyhow::bail!("--offline is enforced by the Linux kernel; this system has no such means that voicetune knows")
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn no_socket_leads_out_of_the_machine() {
        // On a thread of its own, for it cannot be taken back.
        let offline = || {
            assert!(UdpSocket::bind("127.0.0.1:0").is_ok());
            enforce().unwrap();
            for address in ["127.0.0.1:9", "[::1]:9", "192.0.2.1:443"] {
                assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::NetworkUnreachable, "{address}");
            }
            assert!(TcpListener::bind("127.0.0.1:0").is_err() && UdpSocket::bind("[::1]:0").is_err());
            UnixStream::pair().unwrap();
            let child = std::thread::spawn(|| TcpStream::connect("127.0.0.1:9").unwrap_err().kind());
            assert_eq!(child.join().unwrap(), ErrorKind::NetworkUnreachable, "what is started later");
        };
        std::thread::spawn(offline).join().unwrap();
    }
}
