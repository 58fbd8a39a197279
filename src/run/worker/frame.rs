//! How both sides speak: a line of greeting each, which names the protocol, then frames: a length of four bytes, big end first, and
//! so many bytes of JSON.
//!
//! The greeting stays as it is for ever, so that binaries of different ages understand at least that they do not understand each
//! other. Whoever changes what a frame may hold raises [`PROTOCOL`].

use std::io::{ErrorKind, Read, Write};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub const PROTOCOL: u32 = 3;

/// Drafts travel in orders; nothing that is meant comes near this.
pub(super) const LONGEST: usize = 8 << 20;
const LONGEST_GREETING: usize = 80;
const NAME: &str = "voicetune-worker";

/// What the other side is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Greeting {
    pub protocol: u32,
    pub version: String,
}

impl Greeting {
    pub(super) fn own() -> Greeting {
        Greeting { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").into() }
    }

    pub(super) fn is_understood(&self) -> bool {
        self.protocol == PROTOCOL
    }

    pub(super) fn write(&self, stream: &mut impl Write) -> Result<()> {
        let line = format!("{NAME} {} {}\n", self.protocol, self.version);
        stream.write_all(line.as_bytes()).context("the greeting cannot be sent")
    }

    /// `None` where the other side has closed instead.
    pub(super) fn read(stream: &mut impl Read) -> Result<Option<Greeting>> {
        let mut line = vec![];
        loop {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) => line.push(byte[0]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(e).context("no greeting came"),
            }
            ensure!(line.len() <= LONGEST_GREETING, "what answers is no voicetune");
        }
        let text = String::from_utf8_lossy(&line);
        let mut words = text.split(' ');
        match (words.next(), words.next().and_then(|word| word.parse().ok()), words.next()) {
            (Some(NAME), Some(protocol), Some(version)) => Ok(Some(Greeting { protocol, version: version.to_owned() })),
            _ => bail!("what answers is no voicetune"),
        }
    }
}

/// A frame's bytes.
pub(super) fn encode(message: &impl Serialize) -> Result<Vec<u8>> {
    let body = serde_json::to_vec(message).context("a message cannot be written as JSON")?;
    ensure!(body.len() <= LONGEST, "a message of {} bytes is too long: {LONGEST} at most", body.len());
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend(body);
    Ok(frame)
}

/// The next message; `None` where the other side has ended. A frame that is cut short is an error, and so is one that is too long or
/// holds something else: nothing after it can be read.
pub(super) fn read<T: DeserializeOwned>(stream: &mut impl Read) -> Result<Option<T>> {
    let mut length = [0; 4];
    loop {
        match stream.read(&mut length[..1]) {
            Ok(0) => return Ok(None),
            Ok(_) => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return Ok(None),
            Err(e) => return Err(e).context("a frame cannot be read"),
        }
    }
    stream.read_exact(&mut length[1..]).context("a frame is cut short")?;
    let length = u32::from_be_bytes(length) as usize;
    ensure!(length <= LONGEST, "a frame of {length} bytes is too long: {LONGEST} at most");
    // Grows with what comes: the length alone takes no memory.
    let mut body = vec![];
    stream.take(length as u64).read_to_end(&mut body).context("a frame cannot be read")?;
    ensure!(body.len() == length, "a frame is cut short");
    serde_json::from_slice(&body).map(Some).context("a frame holds something else than a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::worker::{Report, Request};

    fn heard(bytes: &[u8]) -> Result<Option<Request>> {
        read(&mut &*bytes)
    }

    #[test]
    fn messages_come_back_as_they_were() {
        let bytes = [encode(&Request::StopReading).unwrap(), encode(&Request::Stop { ticket: u64::MAX }).unwrap()].concat();
        let mut stream = &bytes[..];
        assert_eq!(read(&mut stream).unwrap(), Some(Request::StopReading));
        assert_eq!(read(&mut stream).unwrap(), Some(Request::Stop { ticket: u64::MAX }));
        assert_eq!(read::<Request>(&mut stream).unwrap(), None);
    }

    #[test]
    fn hostile_frames_are_refused_and_take_no_memory() {
        let check = |bytes: &[u8], expected: &str| {
            let message = format!("{:#}", heard(bytes).unwrap_err());
            assert!(message.contains(expected), "{message}");
        };
        check(&[0, 0], "cut short");
        check(&[0x7f, 0xff, 0xff, 0xff], "too long");
        check(&[0, 0x7f, 0xff, 0xff, b'{'], "cut short"); // eight million bytes announced, one sent
        check(&[0, 0, 0, 2, b'{', b'}'], "something else");
        check(&encode(&Report::Logged).unwrap(), "something else");
        check(&[0, 0, 0, 1, 0xff], "something else");
        // JSON that nests too deep for a stack.
        let deep = vec![b'['; 1 << 20];
        check(&[&(deep.len() as u32).to_be_bytes()[..], &deep].concat(), "something else");
        let too_much = "x".repeat(LONGEST);
        assert!(encode(&too_much).is_err());
    }

    #[test]
    fn greetings_are_read_and_others_refused() {
        let check = |line: &[u8], expected: Result<Option<Greeting>, &str>| {
            let read = Greeting::read(&mut &*line).map_err(|error| format!("{error:#}"));
            assert_eq!(read, expected.map_err(str::to_owned), "{line:?}");
        };
        let mut own = vec![];
        Greeting::own().write(&mut own).unwrap();
        check(&own, Ok(Some(Greeting::own())));
        check(b"voicetune-worker 7 9.9.9 and more\n", Ok(Some(Greeting { protocol: 7, version: "9.9.9".into() })));
        check(b"", Ok(None));
        check(b"voicetune-worker 7", Ok(None));
        check(b"SSH-2.0-OpenSSH_9.6\n", Err("what answers is no voicetune"));
        check(&[b'v'; 4096], Err("what answers is no voicetune"));
        assert!(!Greeting { protocol: PROTOCOL + 1, version: "0.1.0".into() }.is_understood());
    }
}
