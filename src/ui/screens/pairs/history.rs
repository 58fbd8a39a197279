//! Changes made from the list, to be taken back and done again. Changes of the texts are the editors' own.

use crate::pairs::Pair;

#[derive(Debug, Clone)]
pub enum Change {
    /// Properties of a pair, all but its name and tier.
    Properties { before: Box<Properties>, after: Box<Properties>, id: String },
    /// A pair was made.
    Made(Box<Pair>),
    /// A pair got another id: another name, or a place in another tier.
    Moved { from: String, to: String },
}

/// What can be set without opening the texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties {
    pub source: String,
    pub status: crate::pairs::Status,
    pub split: crate::pairs::Split,
    pub notes: String,
}

impl Properties {
    pub fn of(pair: &Pair) -> Properties {
        Properties { source: pair.source.clone(), status: pair.status, split: pair.split, notes: pair.notes.clone() }
    }

    /// Sets what differs between `other` and this, and leaves the rest as it has become meanwhile.
    pub fn set_over(&self, other: &Properties, pair: &mut Pair) {
        if self.source != other.source {
            pair.source.clone_from(&self.source);
        }
        if self.status != other.status {
            pair.status = self.status;
        }
        if self.split != other.split {
            pair.split = self.split;
        }
        if self.notes != other.notes {
            pair.notes.clone_from(&self.notes);
        }
    }
}

#[derive(Debug, Default)]
pub struct History {
    done: Vec<Change>,
    undone: Vec<Change>,
}

impl History {
    pub fn push(&mut self, change: Change) {
        self.done.push(change);
        self.undone.clear();
    }

    pub fn undo(&mut self) -> Option<Change> {
        let change = self.done.pop()?;
        self.undone.push(change.clone());
        Some(change)
    }

    pub fn redo(&mut self) -> Option<Change> {
        let change = self.undone.pop()?;
        self.done.push(change.clone());
        Some(change)
    }

    /// A pair has another id now: changes of it are of that one.
    pub fn renamed(&mut self, old: &str, new: &str) {
        for change in self.done.iter_mut().chain(&mut self.undone) {
            match change {
                Change::Properties { id, .. } if id == old => new.clone_into(id),
                Change::Made(pair) if pair.id == old => new.clone_into(&mut pair.id),
                _ => {}
            }
        }
    }
}
