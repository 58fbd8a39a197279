//! A run's events as a command shows them: a bar or lines on standard error, with `--json` the events themselves on standard output.

use std::io::Write;

use anyhow::Result;

use super::json;
use super::progress::Progress;
use crate::run::protocol::{Event, Step};

#[derive(Debug)]
pub struct Show {
    /// Begins with the first step that is made while it is shown: its rate is of those alone.
    progress: Option<Progress>,
    /// The step that the next one is counted from.
    from: usize,
    /// The last step that is waited for; `None` is the last of all epochs.
    last: Option<usize>,
    /// Of all epochs, once the run has said it.
    steps: usize,
    json: bool,
}

impl Show {
    pub fn new(last: Option<usize>, json: bool) -> Show {
        Show { progress: None, from: 0, last, steps: 0, json }
    }

    /// `is_past`: it happened before anyone looked.
    pub fn event(&mut self, event: &Event, is_past: bool) -> Result<()> {
        if self.json && event.is_logged() {
            // A closed pipe ends the listing, not the training.
            std::io::stdout().write_all(json::line(event)?.as_bytes()).ok();
        }
        match event {
            Event::Started(started) => {
                self.finish();
                (self.from, self.steps) = (started.from_step, started.steps);
                if started.from_step > 0 {
                    self.note(&format!("resumed     after step {}", started.from_step));
                }
            }
            Event::Step(step) if is_past => self.from = step.step,
            Event::Step(step) => {
                let last = self.last.map_or(self.steps, |last| last.min(self.steps));
                let from = self.from;
                let progress = self.progress.get_or_insert_with(|| Progress::new("step", from as u64, last as u64));
                progress.set(step.step as u64, &in_words(step));
            }
            Event::Overflow(o) => self.note(&format!("step {}: {o}", o.step)),
            Event::Eval(e) => self.note(&format!("step {}: validation loss {:.4}", e.step, e.loss)),
            Event::Saved(s) => self.note(&format!("step {}: saved {}", s.step, s.checkpoint)),
            Event::Sample(s) => self.note(&format!("step {}: canary {}: {}", s.step.unwrap_or(0), s.prompt, first_line(&s.text))),
            Event::Ended(_) => self.finish(),
            Event::Loaded(_) | Event::Scored(_) | Event::Text(_) => {}
        }
        Ok(())
    }

    /// A line that stays.
    pub fn note(&self, line: &str) {
        match &self.progress {
            Some(progress) => progress.note(line),
            None => say!("{line}"),
        }
    }

    pub fn finish(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
    }
}

fn in_words(step: &Step) -> String {
    format!("epoch {}  loss {:.4}  {:.0} tokens/s", step.epoch, step.loss, step.tokens_per_s)
}

fn first_line(text: &str) -> String {
    const SHOWN: usize = 80;
    let line = text.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(SHOWN).collect();
    if short.len() < line.len() { short + "…" } else { short }
}
