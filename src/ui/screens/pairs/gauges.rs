//! What has been counted so far, and what is to be counted next: one pair at a time, the one on the screen.

use std::collections::HashMap;

use super::entry::Entry;
use super::measure::Count;
use super::tasks::{Looked, Task};
use crate::pairs::Finding;

#[derive(Debug, Default)]
pub struct Gauges {
    known: HashMap<String, Known>,
    is_counting: bool,
    /// Grows when all pairs have been looked over together, since that changes what is found about each.
    survey: u64,
    /// The pair and revision at the last tick: when they are the same at the next one, typing has paused.
    resting: Option<(String, u64)>,
}

/// What was found about a pair, and when.
#[derive(Debug)]
struct Known {
    revision: u64,
    survey: u64,
    looked: Looked,
}

/// Counts for showing.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    pub counts: &'a [Count],
    pub findings: &'a [Finding],
    /// Whether they are of the text before the last changes.
    pub is_stale: bool,
}

impl Gauges {
    pub fn of(&self, entry: &Entry) -> Option<Shown<'_>> {
        let Known { revision, looked, .. } = self.known.get(entry.id())?;
        Some(Shown { counts: &looked.counts, findings: &looked.findings, is_stale: *revision != entry.revision() })
    }

    /// Whether the pair on the screen is to be looked at again after a pause.
    pub fn is_due(&self, entry: &Entry) -> bool {
        self.known.get(entry.id()).is_none_or(|known| (known.revision, known.survey) != (entry.revision(), self.survey))
    }

    /// A pair that came onto the screen is looked at immediately, unless another is under way; so is one that a survey outdated.
    pub fn look_at(&mut self, entry: &Entry) -> Option<Task> {
        match self.known.get(entry.id()) {
            Some(known) if known.survey == self.survey => None,
            _ => self.ask(entry),
        }
    }

    /// A pair that was changed is looked at when it has rested for a tick.
    pub fn on_tick(&mut self, entry: &Entry) -> Option<Task> {
        let now = (entry.id().to_owned(), entry.revision());
        let rests = self.resting.replace(now.clone()) == Some(now);
        if rests { self.ask(entry) } else { None }
    }

    pub fn looked(&mut self, id: String, revision: u64, looked: Looked) {
        self.is_counting = false;
        self.known.insert(id, Known { revision, survey: self.survey, looked });
    }

    pub fn surveyed(&mut self) {
        self.survey += 1;
    }

    fn ask(&mut self, entry: &Entry) -> Option<Task> {
        if self.is_counting || !self.is_due(entry) {
            return None;
        }
        self.is_counting = true;
        // The editors know line feeds only, and places are told for them.
        let mut pair = entry.pair().clone();
        for text in [&mut pair.prompt, &mut pair.response] {
            if text.contains('\r') {
                *text = text.replace("\r\n", "\n").replace('\r', "\n");
            }
        }
        Some(Task::Measure { pair: Box::new(pair), revision: entry.revision() })
    }
}
