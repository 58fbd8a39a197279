//! Progress of long work on standard error: a bar with rate and time left on a terminal, plain lines without one.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::run::journal::duration;

/// Without a terminal, a line at most this often, so that logs stay readable.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    unit: &'static str,
    from: u64,
    total: u64,
    start: Instant,
    said: Option<Instant>,
    done: u64,
}

impl Progress {
    /// Progress from `from` to `total` units, such as `step`.
    pub fn new(unit: &'static str, from: u64, total: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total).with_position(from).with_elapsed(Duration::ZERO);
            let template = format!("{{bar:30}} {unit} {{pos}}/{{len}}  {{msg}}  {{eta}} left");
            bar.set_style(ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Progress { bar, unit, from, total, start: Instant::now(), said: None, done: from }
    }

    /// `done` of the total are done; `message` says how it goes (loss, rate).
    pub fn set(&mut self, done: u64, message: &str) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_owned());
            bar.set_position(done);
            return;
        }
        let now = Instant::now();
        if done < self.total && self.said.is_some_and(|said| now - said < PLAIN_EVERY) {
            return;
        }
        self.said = Some(now);
        let left = time_left(now - self.start, done - self.from, self.total.saturating_sub(done));
        say!("{} {done}/{}  {message}  {left}", self.unit, self.total);
    }

    /// One more of the total is done.
    pub fn advance(&mut self, message: &str) {
        self.done += 1;
        self.set(self.done, message);
    }

    /// How it goes with what is under way.
    pub fn say(&mut self, message: &str) {
        self.set(self.done, message);
    }

    /// A line that stays, above the bar.
    pub fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say!("{line}")),
            None => say!("{line}"),
        }
    }

    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn time_left(elapsed: Duration, done: u64, left: u64) -> String {
    if done == 0 {
        return String::new();
    }
    format!("{} left", duration(elapsed.as_secs_f64() / done as f64 * left as f64))
}
