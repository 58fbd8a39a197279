//! Paragraphs, read off the alignment of their sentences: which were kept, reworked, cut, moved or new, and what became of each ending.

use std::collections::BTreeMap;

use super::align::{Alignment, Kind};
use super::text::ParagraphKind;

/// What became of a paragraph. `draft` and `revision` are indices into the documents' paragraphs. Several rows may name one paragraph of the revision:
/// they were merged. Of a paragraph that was split, the row names the part that holds most of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParagraphRow {
    /// Kept: each sentence kept, in a paragraph that holds no other. Moved: most of what survives was moved. Reworded: anything else that survives.
    pub kind: Kind,
    pub draft: Option<usize>,
    pub revision: Option<usize>,
    /// The last paragraph of the revision that holds a sentence of it in its place: `ending` says what became of its ending there.
    pub ends: Option<usize>,
    /// Of paragraphs of prose that still end a paragraph.
    pub ending: Option<Ending>,
}

/// What became of a last sentence: how the paragraph, or the piece, now earns its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It still ends, word for word.
    Kept,
    /// It still ends, in other words.
    Sharpened,
    /// It no longer ends; an earlier sentence of the same paragraph (or piece) does.
    Cut,
    /// A sentence written since, or brought from elsewhere, ends now.
    New,
}

/// The paragraphs in the draft's order, each new one after the row it follows in the revision.
pub fn paragraphs(alignment: &Alignment) -> Vec<ParagraphRow> {
    let (draft_rows, revision_rows) = (alignment.draft_rows(), alignment.revision_rows());
    let fates: Vec<Fate> = (0..alignment.draft.paragraphs.len()).map(|p| fate(alignment, &draft_rows, p)).collect();
    let mut rows: Vec<ParagraphRow> = fates
        .iter()
        .enumerate()
        .map(|(p, fate)| ParagraphRow { kind: fate.kind, draft: Some(p), revision: fate.home, ends: fate.last, ending: None })
        .collect();

    // Of paragraphs that were merged only the last still ends one.
    let last_in: BTreeMap<usize, usize> = fates.iter().enumerate().filter_map(|(p, fate)| Some((fate.last?, p))).collect();
    for (&q, &p) in &last_in {
        rows[p].ending = ending(alignment, &draft_rows, &revision_rows, p, q);
    }

    let is_new =
        |q: &usize| alignment.revision.paragraphs[*q].sentences.clone().all(|s| alignment.rows[revision_rows[s]].kind == Kind::New);
    for q in (0..alignment.revision.paragraphs.len()).filter(is_new) {
        let after = rows.iter().rposition(|row| row.kind != Kind::Moved && row.revision.is_some_and(|r| r < q));
        rows.insert(
            after.map_or(0, |at| at + 1),
            ParagraphRow { kind: Kind::New, draft: None, revision: Some(q), ends: None, ending: None },
        );
    }
    rows
}

/// What became of the piece's last sentence. `None` where neither text has one.
pub fn piece_ending(alignment: &Alignment) -> Option<Ending> {
    let last = |document: &super::text::Document| (0..document.sentences.len()).rev().find(|&s| document.ends_paragraph(s));
    let (s, t) = match (last(&alignment.draft), last(&alignment.revision)) {
        (None, None) => return None,
        (Some(_), None) => return Some(Ending::Cut),
        (None, Some(_)) => return Some(Ending::New),
        (Some(s), Some(t)) => (s, t),
    };
    let (was, is) = (alignment.draft_rows()[s], alignment.revision_rows()[t]);
    let earlier = matches!(alignment.rows[is].kind, Kind::Kept | Kind::Reworded);
    Some(if was == is {
        survived(alignment, is)
    } else if earlier {
        Ending::Cut
    } else {
        Ending::New
    })
}

struct Fate {
    kind: Kind,
    /// The paragraph of the revision that holds most of it.
    home: Option<usize>,
    /// The last paragraph of the revision that holds a sentence of it in its place (or, if none does, its home).
    last: Option<usize>,
}

fn fate(alignment: &Alignment, draft_rows: &[usize], p: usize) -> Fate {
    let paragraph = &alignment.draft.paragraphs[p];
    let mut held: BTreeMap<usize, usize> = BTreeMap::new();
    let (mut last, mut moved, mut stayed, mut all_kept) = (None, 0, 0, true);
    for s in paragraph.sentences.clone() {
        let row = &alignment.rows[draft_rows[s]];
        all_kept &= row.kind == Kind::Kept;
        let Some(run) = &row.revision else { continue };
        let length = alignment.draft.sentences[s].span.end - alignment.draft.sentences[s].span.start;
        *held.entry(alignment.revision.sentences[run.start].paragraph).or_default() += length;
        if row.kind == Kind::Moved {
            moved += length;
        } else {
            stayed += length;
            last = last.max(Some(alignment.revision.sentences[run.end - 1].paragraph));
        }
    }
    // The first of equals, since the map is in order and `max_by_key` takes the last.
    let home = held.iter().rev().max_by_key(|(_, length)| **length).map(|(&q, _)| q);
    let kind = match home {
        None => Kind::Cut,
        Some(_) if moved > stayed => Kind::Moved,
        Some(q) if all_kept && alignment.revision.paragraphs[q].sentences.len() == paragraph.sentences.len() && held.len() == 1 => {
            Kind::Kept
        }
        Some(_) => Kind::Reworded,
    };
    Fate { kind, home, last: last.or(home) }
}

fn ending(alignment: &Alignment, draft_rows: &[usize], revision_rows: &[usize], p: usize, q: usize) -> Option<Ending> {
    let (paragraph, now) = (&alignment.draft.paragraphs[p], &alignment.revision.paragraphs[q]);
    if paragraph.kind == ParagraphKind::Heading || now.kind == ParagraphKind::Heading {
        return None;
    }
    let (was, is) = (draft_rows[paragraph.sentences.end - 1], revision_rows[now.sentences.end - 1]);
    let own = alignment.rows[is].draft.as_ref().is_some_and(|run| paragraph.sentences.contains(&run.start));
    Some(if was == is {
        survived(alignment, is)
    } else if own {
        Ending::Cut
    } else {
        Ending::New
    })
}

fn survived(alignment: &Alignment, row: usize) -> Ending {
    let row = &alignment.rows[row];
    let to_the_word = match row.kind {
        Kind::Moved => alignment.same_words(row),
        kind => kind == Kind::Kept,
    };
    if to_the_word { Ending::Kept } else { Ending::Sharpened }
}
