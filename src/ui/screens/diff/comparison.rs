//! A draft beside a revision and beside the writer's own finished text: aligned, counted, and ready to be laid out at any width.

use std::ops::Range;

use crate::review::agreement::agreement_of;
use crate::review::lanes::{Entry, Joint, Stretch, entries, join};
use crate::review::outline::{Passage, passages};
use crate::review::paragraphs::{paragraphs, piece_ending};
use crate::review::{Agreement, Alignment, Counts, Ending, Kind, ParagraphRow, align};

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
    passages: Vec<Passage>,
    pub counts: Counts,
    pub paragraphs: Vec<ParagraphRow>,
    pub ending: Option<Ending>,
    /// Runs of neighbouring blocks of one kind, by their first block: of sentences, and of paragraphs.
    changes: [Vec<usize>; 2],
}

/// What is laid out as one: a sentence, or a paragraph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    #[default]
    Sentences,
    Paragraphs,
}

/// One block of a level.
#[derive(Debug, Clone, Copy)]
pub enum Block<'s> {
    Sentence(&'s Entry),
    Paragraph(&'s Passage),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    pub side: Side,
    pub agreement: Agreement,
    /// Of sentences, and of paragraphs.
    joints: [Vec<Joint>; 2],
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
            let drafts = |side: &Side, level| side.blocks(level).into_iter().map(Block::draft).collect::<Vec<_>>();
            let joints = [Level::Sentences, Level::Paragraphs].map(|level| join(&drafts(&revision, level), &drafts(&side, level)));
            Finished { side, agreement, joints }
        });
        Comparison { revision, finished }
    }
}

impl Side {
    fn of(alignment: &Alignment, copied: &[Range<usize>]) -> Side {
        let paragraphs = paragraphs(alignment);
        let mut side = Side {
            entries: entries(alignment, copied),
            passages: passages(alignment, &paragraphs),
            counts: Counts::of(alignment),
            paragraphs,
            ending: piece_ending(alignment),
            changes: Default::default(),
        };
        side.changes = [Level::Sentences, Level::Paragraphs].map(|level| changes(&side.blocks(level)));
        side
    }

    pub fn blocks(&self, level: Level) -> Vec<Block<'_>> {
        (0..).map_while(|at| self.block(level, at)).collect()
    }

    fn block(&self, level: Level, at: usize) -> Option<Block<'_>> {
        match level {
            Level::Sentences => self.entries.get(at).map(Block::Sentence),
            Level::Paragraphs => self.passages.get(at).map(Block::Paragraph),
        }
    }

    /// The first block of each change.
    pub fn changes(&self, level: Level) -> &[usize] {
        &self.changes[level as usize]
    }

    /// The blocks of a change.
    pub fn range(&self, level: Level, change: usize) -> Range<usize> {
        let changes = self.changes(level);
        let (first, next) = (changes[change], changes.get(change + 1).copied().unwrap_or(usize::MAX));
        let kind = |at: usize| self.block(level, at).map(Block::kind);
        let of_first = kind(first);
        let count = (first..next).take_while(|&at| kind(at) == of_first).count();
        first..first + count
    }

    /// The block in which a copied span begins, by its place among the spans.
    pub fn block_of_span(&self, span: usize) -> Option<usize> {
        self.entries.iter().position(|entry| entry.copied.iter().any(|(at, _)| *at == span))
    }
}

impl Finished {
    pub fn joints(&self, level: Level) -> &[Joint] {
        &self.joints[level as usize]
    }
}

impl<'s> Block<'s> {
    pub fn kind(self) -> Kind {
        match self {
            Block::Sentence(entry) => entry.kind(),
            Block::Paragraph(passage) => passage.kind,
        }
    }

    /// Its sentences of the draft.
    pub fn draft(self) -> Range<usize> {
        match self {
            Block::Sentence(entry) => entry.draft.clone(),
            Block::Paragraph(passage) => passage.draft.clone(),
        }
    }

    pub fn begins_paragraph(self) -> bool {
        match self {
            Block::Sentence(entry) => entry.begins_paragraph,
            Block::Paragraph(_) => true,
        }
    }

    /// The draft's lane, each part on lines of its own.
    pub fn draft_lane(self) -> Vec<Vec<Stretch<'s>>> {
        match self {
            Block::Sentence(entry) => vec![entry.draft_lane()],
            Block::Paragraph(passage) => passage.draft_lane(),
        }
    }

    pub fn revision_lane(self) -> Vec<Vec<Stretch<'s>>> {
        match self {
            Block::Sentence(entry) => vec![entry.revision_lane()],
            Block::Paragraph(passage) => passage.revision_lane(),
        }
    }

    /// Both in one.
    pub fn single_lane(self) -> Vec<Vec<Stretch<'s>>> {
        match self {
            Block::Sentence(entry) => vec![entry.single_lane()],
            Block::Paragraph(passage) => passage.single_lane(),
        }
    }
}

fn changes(blocks: &[Block]) -> Vec<usize> {
    let begins = |&at: &usize| {
        let block = blocks[at];
        let goes_on = at > 0 && blocks[at - 1].kind() == block.kind() && !block.begins_paragraph();
        block.kind() != Kind::Kept && !goes_on
    };
    (0..blocks.len()).filter(begins).collect()
}
