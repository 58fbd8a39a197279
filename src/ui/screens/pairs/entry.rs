//! One pair as the interface holds it: what is shown and edited, and how that differs from the file.

use crate::pairs::{Pair, Status};

/// The beginning of each text that the filter looks through, in bytes.
const SEARCHED: usize = 240;

#[derive(Debug)]
pub struct Entry {
    pair: Pair,
    disk: Disk,
    /// Grows with every change.
    revision: u64,
    /// The revision that the journal has, or that went to the file; none where the journal could not take it.
    kept: Option<u64>,
    words: usize,
    /// The beginnings of the texts, for the filter.
    beginning: String,
}

/// What the pair's file says.
#[derive(Debug)]
enum Disk {
    Same,
    Differs(Box<Pair>),
    Absent,
}

impl Entry {
    /// A pair as it was read.
    pub fn read(pair: Pair) -> Entry {
        Entry::with(pair, Disk::Same)
    }

    /// A pair that has no file yet.
    pub fn made(pair: Pair) -> Entry {
        let mut entry = Entry::with(pair, Disk::Absent);
        entry.revision = 1;
        entry
    }

    fn with(pair: Pair, disk: Disk) -> Entry {
        let mut entry = Entry { pair, disk, revision: 0, kept: Some(0), words: 0, beginning: String::new() };
        entry.look_again();
        entry
    }

    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    pub fn id(&self) -> &str {
        &self.pair.id
    }

    /// The id without its tier's folder.
    pub fn name(&self) -> &str {
        name_of(&self.pair.id)
    }

    /// Of prompt and response.
    pub fn words(&self) -> usize {
        self.words
    }

    pub fn beginning(&self) -> &str {
        &self.beginning
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn is_unsaved(&self) -> bool {
        !matches!(self.disk, Disk::Same)
    }

    /// Whether the journal lacks the last change.
    pub fn is_due(&self) -> bool {
        self.is_unsaved() && self.kept != Some(self.revision)
    }

    pub fn is_ready(&self) -> bool {
        self.pair.status == Status::Ready
    }

    /// Gives whether anything changed.
    pub fn change(&mut self, change: impl FnOnce(&mut Pair)) -> bool {
        let before = self.pair.clone();
        change(&mut self.pair);
        if self.pair == before {
            return false;
        }
        self.disk = match std::mem::replace(&mut self.disk, Disk::Absent) {
            Disk::Same => Disk::Differs(Box::new(before)),
            Disk::Differs(saved) if *saved == self.pair => Disk::Same,
            disk => disk,
        };
        self.revision += 1;
        self.look_again();
        true
    }

    /// The journal has been given this revision.
    pub fn mark_kept(&mut self) {
        self.kept = Some(self.revision);
    }

    /// The journal could not take it: it is due until it can.
    pub fn mark_not_kept(&mut self) {
        self.kept = None;
    }

    /// The file has `saved`; the pair may have been changed since that was sent.
    pub fn mark_saved(&mut self, saved: &Pair) {
        self.disk = if *saved == self.pair { Disk::Same } else { Disk::Differs(Box::new(saved.clone())) };
    }

    /// Takes what is on disk, and gives the edits up.
    pub fn take(&mut self, pair: Pair) {
        self.pair = pair;
        self.disk = Disk::Same;
        self.revision += 1;
        self.kept = Some(self.revision);
        self.look_again();
    }

    fn look_again(&mut self) {
        let Pair { prompt, response, .. } = &self.pair;
        self.words = words(prompt) + words(response);
        self.beginning = format!("{} {}", start(prompt), start(response));
    }
}

pub fn name_of(id: &str) -> &str {
    id.split_once('/').map_or(id, |(_, name)| name)
}

pub fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn start(text: &str) -> &str {
    &text[..text.floor_char_boundary(SEARCHED)]
}
