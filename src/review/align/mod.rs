//! Aligns a draft and a revision sentence by sentence.
//!
//! Candidates are pairs of sentences (or of one sentence and up to three neighbours, for merges and splits) that share words and
//! letters. The alignment is the chain of candidates, in order on both sides, with the greatest total weight: a global optimum over all
//! candidates, found with a Fenwick tree in `O(K log n)` for K candidates. What the chain leaves free on both sides and matches out of
//! order is moved. See [`similarity`] for what "share" means and [`chain`] for the optimum.

mod candidates;
mod chain;
mod moves;
mod similarity;

use std::ops::Range;

use super::text::{Document, Span};
use super::words::{self, Segment};
use candidates::Candidate;
use similarity::Piece;

/// What became of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The same, white space and the style of quotation marks apart.
    Kept,
    /// In its place, in other words; also every merge and every split.
    Reworded,
    /// In the draft only.
    Cut,
    /// In the revision only.
    New,
    /// Out of its order among the others, in the same or in other words.
    Moved,
}

/// One row of the alignment. Runs are of neighbouring sentences: one each, but for a merge (several in the draft) and a split (several in the revision),
/// which are one row. `draft` is `None` only for [`Kind::New`], `revision` only for [`Kind::Cut`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub kind: Kind,
    pub draft: Option<Range<usize>>,
    pub revision: Option<Range<usize>>,
}

/// A draft, its revision, and what became of each sentence: each sentence of either is in exactly one row. Rows stand in the order of the draft;
/// new ones stand where the revision has them.
#[derive(Debug, Clone)]
pub struct Alignment<'t> {
    pub draft: Document<'t>,
    pub revision: Document<'t>,
    pub rows: Vec<Row>,
}

/// Aligns two texts. Deterministic; any texts are fine, empty ones too.
pub fn align<'t>(draft: &'t str, revision: &'t str) -> Alignment<'t> {
    let (draft, revision) = (Document::new(draft), Document::new(revision));
    let (a, b) = similarity::pieces(&draft, &revision);
    let rows = rows(&a, &b);
    Alignment { draft, revision, rows }
}

impl<'t> Alignment<'t> {
    /// The draft's span of a row.
    pub fn draft_span(&self, row: &Row) -> Option<Span> {
        self.draft.span(row.draft.as_ref()?)
    }

    /// The revision's span of a row.
    pub fn revision_span(&self, row: &Row) -> Option<Span> {
        self.revision.span(row.revision.as_ref()?)
    }

    /// The draft's text of a row; empty for a new one.
    pub fn draft_text(&self, row: &Row) -> &'t str {
        self.draft_span(row).map_or("", |span| span.of(self.draft.text))
    }

    /// The revision's text of a row; empty for a cut one.
    pub fn revision_text(&self, row: &Row) -> &'t str {
        self.revision_span(row).map_or("", |span| span.of(self.revision.text))
    }

    /// The words of a row: what was deleted and what was inserted.
    pub fn words(&self, row: &Row) -> Vec<Segment<'t>> {
        words::diff(self.draft_text(row), self.revision_text(row))
    }

    /// Which row each sentence of the draft is in.
    pub fn draft_rows(&self) -> Vec<usize> {
        self.row_of(self.draft.sentences.len(), |row| row.draft.clone())
    }

    /// Which row each sentence of the revision is in.
    pub fn revision_rows(&self) -> Vec<usize> {
        self.row_of(self.revision.sentences.len(), |row| row.revision.clone())
    }

    /// Whether both sides of a row read the same, white space and the style of quotation marks apart.
    pub fn same_words(&self, row: &Row) -> bool {
        similarity::plain(self.draft_text(row)) == similarity::plain(self.revision_text(row))
    }

    fn row_of(&self, sentences: usize, run: impl Fn(&Row) -> Option<Range<usize>>) -> Vec<usize> {
        let mut rows = vec![0; sentences];
        for (index, row) in self.rows.iter().enumerate() {
            rows[run(row).unwrap_or(0..0)].fill(index);
        }
        rows
    }
}

fn rows(a: &[Piece], b: &[Piece]) -> Vec<Row> {
    let prefix = a.iter().zip(b).take_while(|(x, y)| x.key == y.key).count();
    let suffix = a[prefix..].iter().rev().zip(b[prefix..].iter().rev()).take_while(|(x, y)| x.key == y.key).count();
    let (middle_a, middle_b) = (prefix..a.len() - suffix, prefix..b.len() - suffix);

    let mut found = candidates::indexed(a, b, middle_a.clone(), middle_b.clone());
    let first = chain::heaviest(&found);
    found.extend(candidates::in_gaps(a, b, &first, middle_a.clone(), middle_b.clone()));
    let mut ordered = chain::heaviest(&found);
    let mut moved = moves::moves(a, b, &ordered, &found);
    ordered.extend(candidates::lone_pairs(a, b, &ordered, &moved, middle_a, middle_b));

    ordered.extend((0..prefix).map(|i| Candidate::identical(i, i)));
    ordered.extend((0..suffix).map(|i| Candidate::identical(a.len() - 1 - i, b.len() - 1 - i)));
    ordered.sort_unstable_by_key(|c| c.draft.start);
    moved.sort_unstable_by_key(|c| c.draft.start);
    interleave(&ordered, &moved, a, b)
}

/// Rows in the draft's order, each new sentence before the row that follows it in the revision.
fn interleave(ordered: &[Candidate], moved: &[Candidate], a: &[Piece], b: &[Piece]) -> Vec<Row> {
    let mut landed = vec![false; b.len()];
    for pair in moved {
        landed[pair.revision.clone()].fill(true);
    }
    let mut rows = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    let mut moved = moved.iter().peekable();
    let end = Candidate { draft: a.len()..a.len(), revision: b.len()..b.len(), weight: 0.0, similarity: 0.0 };
    for pair in ordered.iter().chain([&end]) {
        while i < pair.draft.start {
            match moved.next_if(|m| m.draft.start == i) {
                Some(m) => {
                    rows.push(Row { kind: Kind::Moved, draft: Some(m.draft.clone()), revision: Some(m.revision.clone()) });
                    i = m.draft.end;
                }
                None => {
                    rows.push(Row { kind: Kind::Cut, draft: Some(i..i + 1), revision: None });
                    i += 1;
                }
            }
        }
        let arrivals = (j..pair.revision.start).filter(|&j| !landed[j]);
        rows.extend(arrivals.map(|j| Row { kind: Kind::New, draft: None, revision: Some(j..j + 1) }));
        if !pair.draft.is_empty() {
            let kind = if similarity::same(&a[pair.draft.clone()], &b[pair.revision.clone()]) { Kind::Kept } else { Kind::Reworded };
            rows.push(Row { kind, draft: Some(pair.draft.clone()), revision: Some(pair.revision.clone()) });
        }
        (i, j) = (pair.draft.end, pair.revision.end);
    }
    rows
}
