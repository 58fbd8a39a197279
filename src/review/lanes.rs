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
    /// Bytes of the revision's text here that were copied from a training pair, in their order; each with the place of its span among all of them.
    pub copied: Vec<(usize, Range<usize>)>,
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

/// An ink, and whether the text is copied from a training pair, which is underlined over every ink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tone {
    pub ink: Ink,
    pub is_copied: bool,
}

pub type Stretch<'e> = (Tone, Cow<'e, str>);

/// What stands side by side where two alignments of one draft are read together: entries of the first and of the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    pub first: Range<usize>,
    pub second: Range<usize>,
}

/// The rows, with a landing for each moved one, so that either side reads from top to bottom. `copied`: bytes of the revision, in their order,
/// that stand in a training pair.
pub fn entries(alignment: &Alignment, copied: &[Range<usize>]) -> Vec<Entry> {
    let rows_of_revision = alignment.revision_rows();
    let mut writer = Writer { alignment, copied, entries: vec![], paragraphs: (None, None), sentence: 0 };
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

/// Lays two alignments of one draft beside each other, given the draft's sentences of what each has. All of either is in exactly one joint, in
/// its order.
pub fn join(first: &[Range<usize>], second: &[Range<usize>]) -> Vec<Joint> {
    let mut joints = vec![];
    let (mut i, mut j) = (0, 0);
    while i < first.len() || j < second.len() {
        let (from_i, from_j) = (i, j);
        // What only the revisions have here, before the next sentence of the draft.
        i += first[i..].iter().take_while(|draft| draft.is_empty()).count();
        j += second[j..].iter().take_while(|draft| draft.is_empty()).count();
        if (i, j) == (from_i, from_j) {
            // The smallest stretch of the draft that neither divides.
            let mut end = first.get(i).or(second.get(j)).map_or(0, |draft| draft.end);
            loop {
                i += first[i..].iter().take_while(|draft| draft.start < end).count();
                j += second[j..].iter().take_while(|draft| draft.start < end).count();
                let reached = [first[..i].last(), second[..j].last()].into_iter().flatten().map(|draft| draft.end).max();
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

/// The same stretches with signs around the words that went and came and around what was copied, for where colour, strikes and underlines are not
/// seen: `[-old-]{+new+}`, `[=copied=]`.
pub fn marked(stretches: Vec<Stretch>) -> Vec<Stretch> {
    // What went stands in the text and not in the revision: it ends no copied span.
    let of_revision: Vec<bool> = stretches.iter().filter(|(tone, _)| tone.ink != Ink::GoneWords).map(|(tone, _)| tone.is_copied).collect();
    let mut at = 0_usize;
    let mark = |(tone, text): Stretch<'_>| {
        let (before, after) = match tone.ink {
            Ink::GoneWords => (false, false),
            _ => {
                at += 1;
                let is_copied = |at: Option<usize>| at.and_then(|at| of_revision.get(at).copied()).unwrap_or(false);
                (tone.is_copied && !is_copied(at.checked_sub(2)), tone.is_copied && !is_copied(Some(at)))
            }
        };
        let text = match tone.ink {
            Ink::GoneWords => format!("[-{text}-]"),
            Ink::CameWords => format!("{{+{text}+}}"),
            _ => text.into_owned(),
        };
        (tone, Cow::Owned(format!("{}{text}{}", if before { "[=" } else { "" }, if after { "=]" } else { "" })))
    };
    stretches.into_iter().map(mark).collect()
}

impl From<Ink> for Tone {
    fn from(ink: Ink) -> Tone {
        Tone { ink, is_copied: false }
    }
}

fn plain<'e>(ink: Ink, text: impl Into<Cow<'e, str>>) -> Stretch<'e> {
    (ink.into(), text.into())
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
            Body::Kept { draft, .. } => vec![plain(Ink::Plain, draft)],
            Body::Cut(text) => vec![plain(Ink::Cut, text)],
            Body::New(_) => vec![],
            Body::Reworded(words) => {
                words.iter().filter(|(word, _)| *word != Word::Came).map(|(word, text)| plain(ink(*word), text)).collect()
            }
            Body::Departure { text, .. } => vec![plain(Ink::Moved, text)],
            Body::Landing { from_paragraph, .. } => vec![plain(Ink::Faint, came_from(*from_paragraph))],
        }
    }

    /// The revision's lane.
    pub fn revision_lane(&self) -> Vec<Stretch<'_>> {
        match &self.body {
            Body::Kept { revision, .. } => self.revision_text(Ink::Plain, revision, 0),
            Body::Cut(_) => vec![],
            Body::New(text) => self.revision_text(Ink::New, text, 0),
            Body::Reworded(words) => self.words(words).into_iter().filter(|(tone, _)| tone.ink != Ink::GoneWords).collect(),
            Body::Departure { to_paragraph, .. } => vec![plain(Ink::Faint, went_to(*to_paragraph))],
            Body::Landing { text, .. } => self.revision_text(Ink::Moved, text, 0),
        }
    }

    /// Both in one, with the changes in the text.
    pub fn single_lane(&self) -> Vec<Stretch<'_>> {
        match &self.body {
            Body::Cut(_) => self.draft_lane(),
            Body::Kept { .. } | Body::New(_) => self.revision_lane(),
            Body::Reworded(words) => self.words(words),
            Body::Departure { text, to_paragraph } => vec![plain(Ink::Faint, went_to(*to_paragraph) + ": "), plain(Ink::Moved, text)],
            Body::Landing { from_paragraph, .. } => {
                let mut lane = vec![plain(Ink::Faint, came_from(*from_paragraph) + ": ")];
                lane.extend(self.revision_lane());
                lane
            }
        }
    }

    /// All words of a reworded sentence.
    fn words<'e>(&'e self, words: &'e [(Word, String)]) -> Vec<Stretch<'e>> {
        let mut at = 0;
        let mut lane = vec![];
        for (word, text) in words {
            match word {
                Word::Gone => lane.push(plain(Ink::GoneWords, text)),
                Word::Same | Word::Came => {
                    lane.extend(self.revision_text(ink(*word), text, at));
                    at += text.len();
                }
            }
        }
        lane
    }

    /// A stretch of the revision that begins at this byte of the entry, cut where what was copied begins and ends.
    fn revision_text<'e>(&self, ink: Ink, text: &'e str, at: usize) -> Vec<Stretch<'e>> {
        let borders = self.copied.iter().flat_map(|(_, copied)| [copied.start, copied.end]).filter_map(|border| border.checked_sub(at));
        let mut borders: Vec<usize> = borders.filter(|border| (1..text.len()).contains(border)).chain([0, text.len()]).collect();
        borders.sort_unstable();
        borders.dedup();
        let stretch = |ends: &[usize]| {
            let is_copied = self.copied.iter().any(|(_, copied)| copied.contains(&(at + ends[0])));
            (Tone { ink, is_copied }, text[ends[0]..ends[1]].into())
        };
        borders.windows(2).map(stretch).collect()
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

fn ink(word: Word) -> Ink {
    match word {
        Word::Same => Ink::Plain,
        Word::Gone => Ink::GoneWords,
        Word::Came => Ink::CameWords,
    }
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
    copied: &'a [Range<usize>],
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
        let copied = if row.kind == Kind::Moved { vec![] } else { self.copied_in(row) };
        self.push(body, row.draft.clone(), copied, (self.draft_paragraph(row), to.filter(|_| row.kind != Kind::Moved)));
    }

    /// All rows but the moved ones stand in the revision's order: whatever lies between two of them has moved there.
    fn landings(&mut self, rows: &[usize]) {
        let mut rows: Vec<&Row> = rows.iter().map(|&row| &self.alignment.rows[row]).collect();
        rows.dedup_by_key(|row| row.revision.clone());
        for row in rows {
            let text = self.alignment.revision_text(row).to_owned();
            let from_paragraph = self.draft_paragraph(row).map_or(0, |p| p + 1);
            self.push(Body::Landing { text, from_paragraph }, None, self.copied_in(row), (None, self.revision_paragraph(row)));
        }
    }

    /// What was copied of a row's revision, in bytes of its text.
    fn copied_in(&self, row: &Row) -> Vec<(usize, Range<usize>)> {
        let Some((start, end)) = self.alignment.revision_span(row).map(|span| span.bytes) else { return vec![] };
        let inside = self.copied.iter().map(|copied| copied.start.max(start)..copied.end.min(end)).enumerate();
        inside.filter(|(_, copied)| !copied.is_empty()).map(|(at, copied)| (at, copied.start - start..copied.end - start)).collect()
    }

    fn push(&mut self, body: Body, draft: Option<Range<usize>>, copied: Vec<(usize, Range<usize>)>, here: (Option<usize>, Option<usize>)) {
        let was = self.paragraphs;
        let begins_paragraph = here.0.is_some_and(|p| Some(p) != was.0) || here.1.is_some_and(|p| Some(p) != was.1);
        self.paragraphs = (here.0.or(was.0), here.1.or(was.1));
        let draft = draft.unwrap_or(self.sentence..self.sentence);
        self.sentence = draft.end;
        self.entries.push(Entry { body, draft, begins_paragraph, copied });
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
        entries(&align(draft, revision), &[]).iter().map(of).collect()
    }

    #[test]
    fn copied_spans_are_marked_over_every_kind() {
        let draft = "The hives stood in a row. Nobody came that year. It rained on the old house.";
        let revision = "The hives stood in a row. It rained on the new house for days. We sold the honey in June.";
        let start = revision.find("in a row").unwrap();
        let end = revision.find(" in June").unwrap();
        let entries = entries(&align(draft, revision), std::slice::from_ref(&(start..end)));
        let lane = |of: fn(&Entry) -> Vec<Stretch<'_>>| -> Vec<String> {
            entries.iter().map(|entry| marked(of(entry)).into_iter().map(|(_, text)| text).collect()).collect()
        };
        assert_eq!(
            lane(Entry::single_lane),
            [
                "The hives stood [=in a row.=]",
                "Nobody came that year.",
                "[=It rained on the [-old-]{+new+} house{+ for days+}.=]",
                "[=We sold the honey=] in June."
            ]
        );
        assert_eq!(lane(Entry::revision_lane)[2], "[=It rained on the {+new+} house{+ for days+}.=]");
        assert_eq!(lane(Entry::draft_lane)[2], "It rained on the [-old-] house.");
        let underlined: String =
            entries.iter().flat_map(Entry::revision_lane).filter(|(tone, _)| tone.is_copied).map(|(_, text)| text).collect();
        assert_eq!(underlined, "in a row.It rained on the new house for days.We sold the honey");
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
        let check = |first: &[Range<usize>], second: &[Range<usize>], expected: &[(Range<usize>, Range<usize>)]| {
            let joints = join(first, second);
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
