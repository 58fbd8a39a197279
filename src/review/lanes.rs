//! An alignment laid out for reading: what stands at which place of the two lanes, under which sign. Everything is owned, so that it
//! outlives the texts.

use std::borrow::Cow;
use std::ops::Range;

use super::align::{Alignment, Kind, Row};
use super::words::Segment;

/// What is shown at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub body: Body,
    /// The sentences of the draft that stand here; empty for what only the revision has here, and then the place between the draft's.
    pub draft: Range<usize>,
    /// Whether a paragraph begins here, on either side.
    pub begins_paragraph: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The two may differ in white space and quotation marks.
    Kept {
        draft: String,
        revision: String,
    },
    Cut(String),
    New(String),
    Reworded(Vec<(Word, String)>),
    /// A moved sentence where the draft has it.
    Departure {
        text: String,
        /// Of the revision, from 1.
        to_paragraph: usize,
    },
    /// A moved sentence where the revision has it.
    Landing {
        text: String,
        /// Of the draft, from 1.
        from_paragraph: usize,
    },
}

/// What became of a stretch of words in a reworded sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Same,
    Gone,
    Came,
}

/// How a stretch of text is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Faint,
    /// Struck through.
    Cut,
    /// The colour of a cut, not struck through.
    Gone,
    New,
    Reworded,
    Moved,
    /// Words inside a reworded sentence.
    GoneWords,
    CameWords,
}

pub type Stretch<'e> = (Ink, Cow<'e, str>);

/// What stands side by side where two alignments of one draft are read together: entries of the first and of the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    pub first: Range<usize>,
    pub second: Range<usize>,
}

/// The rows, with a landing for each moved one, so that either side reads from top to bottom.
pub fn entries(alignment: &Alignment) -> Vec<Entry> {
    let rows_of_revision = alignment.revision_rows();
    let mut writer = Writer { alignment, entries: vec![], paragraphs: (None, None), sentence: 0 };
    let mut next = 0;
    for row in &alignment.rows {
        if let Some(run) = row.revision.as_ref().filter(|_| row.kind != Kind::Moved) {
            writer.landings(&rows_of_revision[next..run.start]);
            next = run.end;
        }
        writer.row(row);
    }
    writer.landings(&rows_of_revision[next..]);
    writer.entries
}

/// Lays two alignments of one draft beside each other. Every entry of either is in exactly one joint, in its order.
pub fn join(first: &[Entry], second: &[Entry]) -> Vec<Joint> {
    let mut joints = vec![];
    let (mut i, mut j) = (0, 0);
    while i < first.len() || j < second.len() {
        let (from_i, from_j) = (i, j);
        // What only the revisions have here, before the next sentence of the draft.
        i += first[i..].iter().take_while(|entry| entry.draft.is_empty()).count();
        j += second[j..].iter().take_while(|entry| entry.draft.is_empty()).count();
        if (i, j) == (from_i, from_j) {
            // The smallest stretch of the draft that neither divides.
            let mut end = first.get(i).or(second.get(j)).map_or(0, |entry| entry.draft.end);
            loop {
                i += first[i..].iter().take_while(|entry| entry.draft.start < end).count();
                j += second[j..].iter().take_while(|entry| entry.draft.start < end).count();
                let reached = [first[..i].last(), second[..j].last()].into_iter().flatten().map(|entry| entry.draft.end).max();
                match reached {
                    Some(reached) if reached > end => end = reached,
                    _ => break,
                }
            }
        }
        joints.push(Joint { first: from_i..i, second: from_j..j });
    }
    joints
}

/// The same stretches with signs around the words that went and came, for where colour and strikes are not seen: `[-old-]{+new+}`.
pub fn marked(stretches: Vec<Stretch>) -> Vec<Stretch> {
    let mark = |(ink, text): Stretch<'_>| match ink {
        Ink::GoneWords => (ink, Cow::Owned(format!("[-{text}-]"))),
        Ink::CameWords => (ink, Cow::Owned(format!("{{+{text}+}}"))),
        _ => (ink, Cow::Owned(text.into_owned())),
    };
    stretches.into_iter().map(mark).collect()
}

impl Entry {
    pub fn kind(&self) -> Kind {
        match self.body {
            Body::Kept { .. } => Kind::Kept,
            Body::Cut(_) => Kind::Cut,
            Body::New(_) => Kind::New,
            Body::Reworded(_) => Kind::Reworded,
            Body::Departure { .. } | Body::Landing { .. } => Kind::Moved,
        }
    }

    /// The draft's lane.
    pub fn draft_lane(&self) -> Vec<Stretch<'_>> {
        match &self.body {
            Body::Kept { draft, .. } => vec![(Ink::Plain, draft.into())],
            Body::Cut(text) => vec![(Ink::Cut, text.into())],
            Body::New(_) => vec![],
            Body::Reworded(words) => words_but(words, Word::Came),
            Body::Departure { text, .. } => vec![(Ink::Moved, text.into())],
            Body::Landing { from_paragraph, .. } => vec![(Ink::Faint, came_from(*from_paragraph).into())],
        }
    }

    /// The revision's lane.
    pub fn revision_lane(&self) -> Vec<Stretch<'_>> {
        match &self.body {
            Body::Kept { revision, .. } => vec![(Ink::Plain, revision.into())],
            Body::Cut(_) => vec![],
            Body::New(text) => vec![(Ink::New, text.into())],
            Body::Reworded(words) => words_but(words, Word::Gone),
            Body::Departure { to_paragraph, .. } => vec![(Ink::Faint, went_to(*to_paragraph).into())],
            Body::Landing { text, .. } => vec![(Ink::Moved, text.into())],
        }
    }

    /// Both in one, with the changes in the text.
    pub fn single_lane(&self) -> Vec<Stretch<'_>> {
        match &self.body {
            Body::Kept { .. } | Body::Cut(_) => self.draft_lane(),
            Body::New(_) => self.revision_lane(),
            Body::Reworded(words) => words.iter().map(stretch).collect(),
            Body::Departure { text, to_paragraph } => vec![(Ink::Faint, (went_to(*to_paragraph) + ": ").into()), (Ink::Moved, text.into())],
            Body::Landing { text, from_paragraph } => {
                vec![(Ink::Faint, (came_from(*from_paragraph) + ": ").into()), (Ink::Moved, text.into())]
            }
        }
    }
}

/// The sign in the margin, beside every colour.
pub fn sign(kind: Kind) -> char {
    match kind {
        Kind::Kept => ' ',
        Kind::Cut => '-',
        Kind::New => '+',
        Kind::Reworded => '~',
        Kind::Moved => '>',
    }
}

/// How the sign is drawn.
pub fn sign_ink(kind: Kind) -> Ink {
    match kind {
        Kind::Kept => Ink::Plain,
        Kind::Cut => Ink::Gone,
        Kind::New => Ink::New,
        Kind::Reworded => Ink::Reworded,
        Kind::Moved => Ink::Moved,
    }
}

fn stretch((word, text): &(Word, String)) -> Stretch<'_> {
    let ink = match word {
        Word::Same => Ink::Plain,
        Word::Gone => Ink::GoneWords,
        Word::Came => Ink::CameWords,
    };
    (ink, text.into())
}

fn words_but(words: &[(Word, String)], left_out: Word) -> Vec<Stretch<'_>> {
    words.iter().filter(|(word, _)| *word != left_out).map(stretch).collect()
}

fn went_to(paragraph: usize) -> String {
    format!("(moved to paragraph {paragraph})")
}

fn came_from(paragraph: usize) -> String {
    format!("(moved from paragraph {paragraph})")
}

/// Writes entries down, and knows in which paragraphs it is.
struct Writer<'a, 't> {
    alignment: &'a Alignment<'t>,
    entries: Vec<Entry>,
    paragraphs: (Option<usize>, Option<usize>),
    /// The draft's next sentence.
    sentence: usize,
}

impl Writer<'_, '_> {
    fn row(&mut self, row: &Row) {
        let alignment = self.alignment;
        let (draft, revision) = (alignment.draft_text(row).to_owned(), alignment.revision_text(row).to_owned());
        let to = self.revision_paragraph(row);
        let body = match row.kind {
            Kind::Kept => Body::Kept { draft, revision },
            Kind::Cut => Body::Cut(draft),
            Kind::New => Body::New(revision),
            Kind::Reworded => Body::Reworded(alignment.words(row).into_iter().map(word).collect()),
            Kind::Moved => Body::Departure { text: draft, to_paragraph: to.map_or(0, |p| p + 1) },
        };
        self.push(body, row.draft.clone(), (self.draft_paragraph(row), to.filter(|_| row.kind != Kind::Moved)));
    }

    /// All rows but the moved ones stand in the revision's order: whatever lies between two of them has moved there.
    fn landings(&mut self, rows: &[usize]) {
        let mut rows: Vec<&Row> = rows.iter().map(|&row| &self.alignment.rows[row]).collect();
        rows.dedup_by_key(|row| row.revision.clone());
        for row in rows {
            let text = self.alignment.revision_text(row).to_owned();
            let from_paragraph = self.draft_paragraph(row).map_or(0, |p| p + 1);
            self.push(Body::Landing { text, from_paragraph }, None, (None, self.revision_paragraph(row)));
        }
    }

    fn push(&mut self, body: Body, draft: Option<Range<usize>>, here: (Option<usize>, Option<usize>)) {
        let was = self.paragraphs;
        let begins_paragraph = here.0.is_some_and(|p| Some(p) != was.0) || here.1.is_some_and(|p| Some(p) != was.1);
        self.paragraphs = (here.0.or(was.0), here.1.or(was.1));
        let draft = draft.unwrap_or(self.sentence..self.sentence);
        self.sentence = draft.end;
        self.entries.push(Entry { body, draft, begins_paragraph });
    }

    fn draft_paragraph(&self, row: &Row) -> Option<usize> {
        Some(self.alignment.draft.sentences[row.draft.as_ref()?.start].paragraph)
    }

    fn revision_paragraph(&self, row: &Row) -> Option<usize> {
        Some(self.alignment.revision.sentences[row.revision.as_ref()?.start].paragraph)
    }
}

fn word(segment: Segment) -> (Word, String) {
    match segment {
        Segment::Equal(text) => (Word::Same, text.to_owned()),
        Segment::Delete(text) => (Word::Gone, text.to_owned()),
        Segment::Insert(text) => (Word::Came, text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::align;

    fn shown(draft: &str, revision: &str) -> Vec<String> {
        let of = |entry: &Entry| {
            let text: String = marked(entry.single_lane()).into_iter().map(|(_, text)| text.into_owned()).collect();
            format!("{}{}{text}", if entry.begins_paragraph { "¶" } else { "" }, sign(entry.kind()))
        };
        entries(&align(draft, revision)).iter().map(of).collect()
    }

    #[test]
    fn both_sides_read_from_top_to_bottom() {
        let draft = "The hives stood in a row. Nobody came that year. It rained on the old house.\n\nThe smoke went up. We waited for it.";
        let revision =
            "The hives stood in a row. It rained on the new house.\n\nWe sold the honey in June. The smoke went up. We waited for it.";
        let expected = [
            "¶ The hives stood in a row.",
            "-Nobody came that year.",
            "~It rained on the [-old-]{+new+} house.",
            "¶+We sold the honey in June.",
            "¶ The smoke went up.",
            " We waited for it.",
        ];
        assert_eq!(shown(draft, revision), expected);
        let moved = shown(
            "One goes first here. Two comes second there. Three stays in place.",
            "Two comes second there. Three stays in place. One goes first here.",
        );
        assert_eq!(
            moved,
            [
                "¶>(moved to paragraph 1): One goes first here.",
                "¶ Two comes second there.",
                " Three stays in place.",
                ">(moved from paragraph 1): One goes first here."
            ]
        );
    }

    #[test]
    fn two_alignments_are_joined_at_the_drafts_sentences() {
        let entry = |draft: Range<usize>| Entry { body: Body::Cut(String::new()), draft, begins_paragraph: false };
        let check = |first: &[Range<usize>], second: &[Range<usize>], expected: &[(Range<usize>, Range<usize>)]| {
            let of = |ranges: &[Range<usize>]| ranges.iter().cloned().map(entry).collect::<Vec<_>>();
            let joints = join(&of(first), &of(second));
            let got: Vec<_> = joints.into_iter().map(|joint| (joint.first, joint.second)).collect();
            assert_eq!(got, expected, "{first:?} {second:?}");
        };
        check(&[], &[], &[]);
        check(&[0..1, 1..2], &[0..1, 1..2], &[(0..1, 0..1), (1..2, 1..2)]);
        // What is only in one of them stands alone; what is only in both stands together.
        check(&[0..0, 0..1], &[0..1, 1..1], &[(0..1, 0..0), (1..2, 0..1), (2..2, 1..2)]);
        check(&[0..0, 0..1], &[0..0, 0..1], &[(0..1, 0..1), (1..2, 1..2)]);
        // A merge holds the sentences of the other together, also where two overlap.
        check(&[0..2, 2..3], &[0..1, 1..2, 2..3], &[(0..1, 0..2), (1..2, 2..3)]);
        check(&[0..2, 2..4, 4..5], &[0..1, 1..3, 3..4, 4..5], &[(0..2, 0..3), (2..3, 3..4)]);
    }
}
