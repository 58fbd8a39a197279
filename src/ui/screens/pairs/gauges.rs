//! What has been counted so far, and what is to be counted next: one pair at a time, the one on the screen.

use std::collections::HashMap;

use super::entry::Entry;
use super::measure::Count;
use super::tasks::Task;

#[derive(Debug, Default)]
pub struct Gauges {
    /// By pair: at which revision, and what.
    known: HashMap<String, (u64, Vec<Count>)>,
    is_counting: bool,
    /// The pair and revision at the last tick: when they are the same at the next one, typing has paused.
    resting: Option<(String, u64)>,
}

/// Counts for showing.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    pub counts: &'a [Count],
    /// Whether they are of the text before the last changes.
    pub is_stale: bool,
}

impl Gauges {
    pub fn of(&self, entry: &Entry) -> Option<Shown<'_>> {
        let (revision, counts) = self.known.get(entry.id())?;
        Some(Shown { counts, is_stale: *revision != entry.revision() })
    }

    /// Whether the pair on the screen is to be counted again after a pause.
    pub fn is_due(&self, entry: &Entry) -> bool {
        self.of(entry).is_none_or(|shown| shown.is_stale)
    }

    /// A pair that came onto the screen is counted at once, unless another is being counted.
    pub fn look_at(&mut self, entry: &Entry) -> Option<Task> {
        if self.known.contains_key(entry.id()) { None } else { self.ask(entry) }
    }

    /// A pair that was changed is counted when it has rested for a tick.
    pub fn on_tick(&mut self, entry: &Entry) -> Option<Task> {
        let now = (entry.id().to_owned(), entry.revision());
        let rests = self.resting.replace(now.clone()) == Some(now);
        if rests { self.ask(entry) } else { None }
    }

    /// Gives the models' counts for the pair.
    pub fn counted(&mut self, id: String, revision: u64, counts: Vec<Count>) {
        self.is_counting = false;
        self.known.insert(id, (revision, counts));
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
