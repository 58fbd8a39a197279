//! The real program in a pseudo-terminal, seen through a terminal emulator.
#![allow(dead_code)] // each user takes what it needs

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// A program and the screen it draws.
pub struct Pty {
    child: Box<dyn Child + Send + Sync>,
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// Bytes that the program has sent.
    pub received: usize,
    /// Processor time that the program had used when it was last waited for.
    pub used: Duration,
    /// How the line discipline was set before the program came.
    found: String,
}

impl Pty {
    /// Starts `program` with these arguments in `folder`, `columns` x `rows` large.
    pub fn start(program: &Path, args: &[&str], folder: &Path, columns: u16, rows: u16, env: &[(&str, &str)]) -> Pty {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.cwd(folder);
        for name in ["NO_COLOR", "SSH_CONNECTION", "VISUAL", "EDITOR", "VOICETUNE_WORKSPACE"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        // The settings of whoever runs this are not to be read.
        command.env("XDG_CONFIG_HOME", folder.join("no-settings"));
        for (name, value) in env {
            command.env(name, value);
        }
        let found = format!("{:?}", pair.master.get_termios());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let writer = pair.master.take_writer().unwrap();
        Pty {
            child,
            master: Some(pair.master),
            writer: Some(writer),
            output,
            screen: vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0),
            received: 0,
            used: Duration::ZERO,
            found,
        }
    }

    /// Sends bytes as the keyboard would.
    pub fn send(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).and_then(|()| writer.flush()).unwrap();
    }

    /// Sends the keys, then waits until the program has drawn.
    pub fn press(&mut self, keys: &str) {
        self.send(keys);
        self.settle(Duration::from_millis(40));
    }

    pub fn paste(&mut self, text: &str) {
        self.press(&format!("\x1b[200~{text}\x1b[201~"));
    }

    /// Takes in what comes within `wait`; returns the number of bytes of the first lot.
    pub fn pump(&mut self, wait: Duration) -> usize {
        match self.output.recv_timeout(wait) {
            Ok(bytes) => {
                self.received += bytes.len();
                self.screen.process(&bytes);
                bytes.len()
            }
            Err(RecvTimeoutError::Timeout) => 0,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(wait);
                0
            }
        }
    }

    /// Waits until nothing has come for `quiet`; returns when the last byte came.
    pub fn settle(&mut self, quiet: Duration) -> Option<Instant> {
        let mut last = None;
        let limit = Instant::now() + Duration::from_secs(5);
        while self.pump(quiet) > 0 && Instant::now() < limit {
            last = Some(Instant::now());
        }
        last
    }

    /// The characters on the screen, a line a row.
    pub fn text(&self) -> String {
        self.screen.screen().contents()
    }

    pub fn has(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// Waits until the screen holds `text`.
    pub fn wait_for(&mut self, text: &str, limit: Duration) {
        self.wait_until(&format!("{text:?} on the screen"), limit, |screen| screen.contains(text));
    }

    pub fn wait_until(&mut self, what: &str, limit: Duration, test: impl Fn(&str) -> bool) {
        let end = Instant::now() + limit;
        while !test(&self.text()) {
            assert!(Instant::now() < end, "waited {limit:?} for {what}; the screen:\n{}", self.text());
            self.pump(Duration::from_millis(20));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits for the program's end and returns its exit code.
    pub fn wait(&mut self, limit: Duration) -> u32 {
        let end = Instant::now() + limit;
        loop {
            // Asked for first: once the program has been waited for, nobody knows any more.
            self.used = self.cpu_time();
            if let Some(status) = self.child.try_wait().unwrap() {
                self.settle(Duration::from_millis(40));
                return status.exit_code();
            }
            assert!(Instant::now() < end, "the program has not ended within {limit:?}; the screen:\n{}", self.text());
            self.pump(Duration::from_millis(20));
        }
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.as_ref().unwrap().resize(size).unwrap();
        self.screen.screen_mut().set_size(rows.try_into().unwrap(), columns.try_into().unwrap());
    }

    /// Closes the terminal, as a lost connection does. The last that the program is sent is Enter and Ctrl-D: it is the way of
    /// `portable_pty` to close its writer, and what is drawn for it ends the thread that reads, which holds the terminal open.
    pub fn hang_up(&mut self) {
        self.output = channel().1;
        self.master = None;
        self.writer = None;
    }

    /// Whether the terminal is as the program found it.
    pub fn is_restored(&self) -> bool {
        let screen = self.screen.screen();
        let set = format!("{:?}", self.master.as_ref().unwrap().get_termios());
        let is_plain = !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste();
        is_plain && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None && set == self.found
    }

    /// Kilobytes of the program's memory that are resident.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Processor time that the program has used.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name in parentheses may hold blanks; user and system time are the 12th and 13th field after it.
        let ticks: u64 = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.child.kill().ok();
    }
}
