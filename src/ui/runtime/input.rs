//! What comes from the terminal and the system, as messages. The thread waits on the terminal itself rather than in crossterm, whose
//! own wait never returns after a hang-up and takes all of a core.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use crossterm::event::{self, Event, KeyEventKind};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use crate::ui::keys::Chord;
use crate::ui::message::Msg;

const PAUSE: u8 = b'p';
const RESUME: u8 = b'r';

/// How long crossterm may look for more to read. With no time at all it does not look, and what it has read already waits for the
/// next key; an event that is there is passed on at once.
const LOOK: Duration = Duration::from_millis(20);

/// The input thread, which can be kept from reading while another program has the terminal.
#[derive(Debug)]
pub(super) struct Input {
    control: UnixStream,
}

impl Input {
    pub(super) fn start(sender: Sender<Msg>) -> Result<Input> {
        watch_signals(sender.clone())?;
        let (control, theirs) = UnixStream::pair().context("the input thread cannot be started")?;
        thread::Builder::new()
            .name("input".into())
            .spawn(move || {
                if !read(&sender, theirs) {
                    sender.send(Msg::Terminate).ok(); // fails only when the interface has ended
                }
            })
            .context("the input thread cannot be started")?;
        Ok(Input { control })
    }

    /// Returns when nothing is read any more.
    pub(super) fn pause(&mut self) {
        let mut answer = [0];
        // Fails only where the thread has ended, which reads nothing either.
        self.control.write_all(&[PAUSE]).and_then(|()| self.control.read_exact(&mut answer)).ok();
    }

    pub(super) fn resume(&mut self) {
        self.control.write_all(&[RESUME]).ok(); // as above
    }
}

/// Passes events on until the terminal is gone (`false`) or the interface has ended (`true`).
fn read(sender: &Sender<Msg>, mut control: UnixStream) -> bool {
    let stdin = std::io::stdin();
    loop {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::from_borrowed_fd(control.as_fd(), PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        let [terminal, control_ready] = [fds[0].revents(), fds[1].revents()];
        if !control_ready.is_empty() {
            let mut byte = [0];
            match control.read(&mut byte) {
                Ok(1) if byte[0] == PAUSE => {
                    let waited = control.write_all(&[PAUSE]).and_then(|()| control.read_exact(&mut byte));
                    if waited.is_err() {
                        return true;
                    }
                }
                Ok(1) => {}
                _ => return true,
            }
            continue;
        }
        if terminal.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return false;
        }
        if terminal.contains(PollFlags::IN) && !pass_on(sender) {
            return false;
        }
    }
}

/// Everything that can be read now.
fn pass_on(sender: &Sender<Msg>) -> bool {
    while let Ok(true) = event::poll(LOOK) {
        let Ok(event) = event::read() else { return false };
        let msg = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => Msg::Key(Chord::from(key)),
            Event::Mouse(mouse) => Msg::Mouse(mouse),
            Event::Paste(text) => Msg::Paste(text),
            Event::Resize(width, height) => Msg::Resize(width, height),
            Event::Key(_) | Event::FocusGained | Event::FocusLost => continue,
        };
        if sender.send(msg).is_err() {
            return true;
        }
    }
    true
}

fn watch_signals(sender: Sender<Msg>) -> Result<()> {
    let mut signals = Signals::new([SIGWINCH, SIGHUP, SIGTERM, SIGINT]).context("signals cannot be caught")?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in &mut signals {
                let msg = match signal {
                    SIGWINCH => match crossterm::terminal::size() {
                        Ok((width, height)) => Msg::Resize(width, height),
                        Err(_) => continue,
                    },
                    _ => Msg::Terminate,
                };
                if sender.send(msg).is_err() {
                    return;
                }
            }
        })
        .context("signals cannot be caught")?;
    Ok(())
}
