//! Undo by word: groups the text's low-level history into the steps that a writer takes back.

use super::text::{Place, Swap};

/// The caret, and where a selection that ends at it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Selection {
    pub caret: Place,
    pub anchor: Option<Place>,
}

/// Edits that may go into one step, with the character that decides where the step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    Typing(char),
    Backspacing(char),
    Deleting(char),
}

#[derive(Debug)]
pub struct Step {
    /// How many entries of the text's history it covers.
    pub entries: usize,
    pub swaps: Vec<Swap>,
    pub before: Selection,
    pub after: Selection,
}

#[derive(Debug, Default)]
pub struct History {
    steps: Vec<Step>,
    /// How many of the steps stand in the text; the rest can be redone.
    done: usize,
    /// What the newest step was, while it may still grow.
    open: Option<Run>,
}

impl History {
    /// Notes a change, as part of the newest step where it continues it.
    pub fn push(&mut self, run: Option<Run>, step: Step) {
        let joins = self.open.zip(run).is_some_and(|(last, next)| last.goes_on_with(next));
        self.open = run;
        self.steps.truncate(self.done);
        match self.steps.last_mut() {
            Some(last) if joins => {
                last.entries += step.entries;
                last.swaps.extend(step.swaps);
                last.after = step.after;
            }
            _ => self.steps.push(step),
        }
        self.done = self.steps.len();
    }

    /// Says where the caret went after the newest step.
    pub fn settle(&mut self, after: Selection) {
        if let Some(last) = self.steps.last_mut() {
            last.after = after;
        }
    }

    /// The next change starts a step of its own.
    pub fn close(&mut self) {
        self.open = None;
    }

    pub fn undo(&mut self) -> Option<&Step> {
        self.open = None;
        self.done = self.done.checked_sub(1)?;
        self.steps.get(self.done)
    }

    pub fn redo(&mut self) -> Option<&Step> {
        self.open = None;
        let step = self.steps.get(self.done)?;
        self.done += 1;
        Some(step)
    }
}

impl Run {
    /// A step is a word with the white space after it, in the order in which the characters are typed or erased.
    fn goes_on_with(self, next: Run) -> bool {
        let within = |last: char, next: char| next.is_whitespace() || !last.is_whitespace();
        match (self, next) {
            (Run::Typing(last), Run::Typing(next)) => within(last, next),
            (Run::Backspacing(last), Run::Backspacing(next)) => within(last, next),
            (Run::Deleting(last), Run::Deleting(next)) => within(last, next),
            _ => false,
        }
    }
}
