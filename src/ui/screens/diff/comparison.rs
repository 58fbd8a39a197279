//! A draft beside a revision and beside the writer's own finished text: aligned, counted, and ready to be laid out at any width.

use std::ops::Range;

use crate::review::agreement::agreement_of;
use crate::review::lanes::{Entry, Joint, entries, join};
use crate::review::paragraphs::piece_ending;
use crate::review::{Agreement, Alignment, Counts, Ending, Kind, align};

/// Draws the bootstrap's samples. Fixed, so that a number is the same whenever it is looked at.
const SEED: u64 = 0;

#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub revision: Side,
    /// The writer's own finished text, where there is one.
    pub finished: Option<Finished>,
}

/// A draft and one text that came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    pub entries: Vec<Entry>,
    pub counts: Counts,
    pub ending: Option<Ending>,
    /// Runs of neighbouring entries of one kind, by their first entry.
    pub changes: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    pub side: Side,
    pub agreement: Agreement,
    pub joints: Vec<Joint>,
}

impl Comparison {
    /// `copied`: bytes of the revision that stand in a training pair.
    pub fn of(draft: &str, revision: &str, copied: &[Range<usize>], finished: Option<&str>) -> Comparison {
        let by_model = align(draft, revision);
        let revision = Side::of(&by_model, copied);
        let finished = finished.map(|finished| {
            let by_writer = align(draft, finished);
            let side = Side::of(&by_writer, &[]);
            let agreement = agreement_of(&by_model, &by_writer, SEED);
            let joints = join(&revision.entries, &side.entries);
            Finished { side, agreement, joints }
        });
        Comparison { revision, finished }
    }
}

impl Side {
    fn of(alignment: &Alignment, copied: &[Range<usize>]) -> Side {
        let entries = entries(alignment, copied);
        let changes = changes(&entries);
        Side { entries, counts: Counts::of(alignment), ending: piece_ending(alignment), changes }
    }

    /// The entries of a change.
    pub fn range(&self, change: usize) -> Range<usize> {
        let first = self.changes[change];
        let kind = self.entries[first].kind();
        let next = self.changes.get(change + 1).copied().unwrap_or(self.entries.len());
        let count = self.entries[first..next].iter().take_while(|entry| entry.kind() == kind).count();
        first..first + count
    }
}

fn changes(entries: &[Entry]) -> Vec<usize> {
    let begins = |&at: &usize| {
        let entry = &entries[at];
        let goes_on = at > 0 && entries[at - 1].kind() == entry.kind() && !entry.begins_paragraph;
        entry.kind() != Kind::Kept && !goes_on
    };
    (0..entries.len()).filter(begins).collect()
}
