//! The paragraph level of a comparison, laid out for reading: what became of each paragraph, and of the sentence that ended it. Everything is
//! owned, as in [`lanes`](super::lanes).

use std::borrow::Cow;
use std::ops::Range;

use super::align::{Alignment, Kind};
use super::head::sentences;
use super::lanes::{Ink, Stretch};
use super::paragraphs::{Ending, ParagraphRow};
use super::text::ParagraphKind;
use super::words::Segment;

/// A paragraph and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    pub kind: Kind,
    /// Its sentences in the draft; empty for a new one, and then the place between the draft's.
    pub draft: Range<usize>,
    /// What it is in the draft, and what became of it.
    heads: [String; 2],
    end: End,
}

/// The sentence that ends a paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// One sentence, sharpened: the words of the draft and of the revision.
    Sharpened(Vec<(Ink, String)>),
    /// That of the draft and that of the revision, where there is one to be shown.
    Apart([Option<(Ink, String)>; 2]),
}

/// The paragraphs of an alignment, `rows`, in their order.
pub fn passages(alignment: &Alignment, rows: &[ParagraphRow]) -> Vec<Passage> {
    let writer = Writer { alignment, draft_rows: alignment.draft_rows(), revision_rows: alignment.revision_rows() };
    let mut next = 0;
    let passage = |row: &ParagraphRow| {
        let passage = writer.passage(row, next);
        next = passage.draft.end;
        passage
    };
    rows.iter().map(passage).collect()
}

impl Passage {
    /// The draft's lane, each part on lines of its own.
    pub fn draft_lane(&self) -> Vec<Vec<Stretch<'_>>> {
        self.lane(0, Ink::CameWords)
    }

    pub fn revision_lane(&self) -> Vec<Vec<Stretch<'_>>> {
        self.lane(1, Ink::GoneWords)
    }

    /// The draft's or the revision's; `other` is the ink of words that are the other's alone.
    fn lane(&self, side: usize, other: Ink) -> Vec<Vec<Stretch<'_>>> {
        let end = match &self.end {
            End::Sharpened(words) => words.iter().filter(|(ink, _)| *ink != other).map(stretch).collect(),
            End::Apart(sentences) => sentences[side].iter().map(stretch).collect(),
        };
        vec![head(&self.heads[side]), end]
    }

    /// Both in one.
    pub fn single_lane(&self) -> Vec<Vec<Stretch<'_>>> {
        let heads: Vec<&str> = self.heads.iter().map(String::as_str).filter(|head| !head.is_empty()).collect();
        let mut lane = vec![vec![(Ink::Faint.into(), Cow::Owned(heads.join(" → ")))]];
        match &self.end {
            End::Sharpened(words) => lane.push(words.iter().map(stretch).collect()),
            End::Apart([Some(was), Some(is)]) if was.1 == is.1 => lane.push(vec![stretch(was)]),
            End::Apart(sentences) => lane.extend(sentences.iter().flatten().map(|sentence| vec![stretch(sentence)])),
        }
        lane
    }
}

fn head(text: &str) -> Vec<Stretch<'_>> {
    vec![(Ink::Faint.into(), text.into())]
}

fn stretch((ink, text): &(Ink, String)) -> Stretch<'_> {
    ((*ink).into(), text.as_str().into())
}

struct Writer<'a, 't> {
    alignment: &'a Alignment<'t>,
    draft_rows: Vec<usize>,
    revision_rows: Vec<usize>,
}

impl Writer<'_, '_> {
    /// `next` is the draft's sentence at which a new paragraph stands.
    fn passage(&self, row: &ParagraphRow, next: usize) -> Passage {
        let of_draft = row.draft.map(|p| &self.alignment.draft.paragraphs[p]);
        let draft = of_draft.map_or(next..next, |paragraph| paragraph.sentences.clone());
        let is_heading = of_draft.is_some_and(|paragraph| paragraph.kind == ParagraphKind::Heading);
        let end = self.end(row, row.draft.map(|_| draft.end - 1));
        Passage { kind: row.kind, heads: self.heads(row, &draft, is_heading), draft, end }
    }

    /// `was` is the sentence that ended it in the draft.
    fn end(&self, row: &ParagraphRow, was: Option<usize>) -> End {
        if let (Some(Ending::Sharpened), Some(sentence)) = (row.ending, was) {
            let words = self.alignment.words(&self.alignment.rows[self.draft_rows[sentence]]);
            return End::Sharpened(words.into_iter().map(inked).collect());
        }
        let is = self.last_of_revision(row);
        End::Apart([
            was.map(|s| (self.fate(self.draft_rows[s]), self.alignment.draft.sentence(s).to_owned())),
            is.map(|t| (self.origin(t, row), self.alignment.revision.sentence(t).to_owned())),
        ])
    }

    /// The sentence that ends it now.
    fn last_of_revision(&self, row: &ParagraphRow) -> Option<usize> {
        let paragraph = match row.kind {
            Kind::New => row.revision,
            // What was joined to the next ends nowhere; a heading is its own end.
            _ => row.ends.filter(|_| row.ending.is_some()).or(row.revision.filter(|&q| self.is_heading(q))),
        };
        paragraph.map(|q| self.alignment.revision.paragraphs[q].sentences.end - 1)
    }

    fn is_heading(&self, of_revision: usize) -> bool {
        self.alignment.revision.paragraphs[of_revision].kind == ParagraphKind::Heading
    }

    /// What became of a sentence that ended a paragraph.
    fn fate(&self, row: usize) -> Ink {
        match self.alignment.rows[row].kind {
            Kind::Cut => Ink::Cut,
            Kind::Moved => Ink::Moved,
            Kind::Kept | Kind::Reworded | Kind::New => Ink::Plain,
        }
    }

    /// Where a sentence that ends a paragraph now came from.
    fn origin(&self, sentence: usize, paragraph: &ParagraphRow) -> Ink {
        match (self.alignment.rows[self.revision_rows[sentence]].kind, paragraph.ending) {
            (Kind::New, _) => Ink::New,
            (Kind::Moved, _) | (_, Some(Ending::New)) => Ink::Moved,
            _ => Ink::Plain,
        }
    }

    fn heads(&self, row: &ParagraphRow, draft: &Range<usize>, is_heading: bool) -> [String; 2] {
        let before = match row.draft {
            None => String::new(),
            Some(p) if is_heading => format!("¶ {} · heading", p + 1),
            Some(p) => format!("¶ {} · {}", p + 1, sentences(draft.len())),
        };
        let left = draft.clone().filter(|&s| self.alignment.rows[self.draft_rows[s]].revision.is_some()).count();
        let of = format!("{left} of {}", sentences(draft.len()));
        let fate = match (row.kind, row.revision) {
            (Kind::Kept, _) => "kept".to_owned(),
            (Kind::Cut, _) => return [before, "cut".to_owned()],
            (Kind::Reworded, _) if is_heading => "reworded".to_owned(),
            (Kind::Reworded, _) => format!("{of} left"),
            (Kind::Moved, _) => format!("moved, {of} left"),
            (Kind::New, q) => format!("new · {}", sentences(q.map_or(0, |q| self.alignment.revision.paragraphs[q].sentences.len()))),
        };
        let ending = match row.ending {
            Some(Ending::Kept) => " · ending kept",
            Some(Ending::Sharpened) => " · ending sharpened",
            Some(Ending::Cut) => {
                match row.draft.map(|p| self.fate(self.draft_rows[self.alignment.draft.paragraphs[p].sentences.end - 1])) {
                    Some(Ink::Moved) => " · ending moved away",
                    Some(Ink::Plain) => " · ending no longer last",
                    _ => " · ending cut",
                }
            }
            Some(Ending::New) => " · ending new",
            None if row.kind == Kind::New || is_heading || row.revision.is_some_and(|q| self.is_heading(q)) => "",
            None => " · joined to the next",
        };
        [before, format!("¶ {} · {fate}{ending}", row.revision.map_or(0, |q| q + 1))]
    }
}

fn inked(segment: Segment) -> (Ink, String) {
    match segment {
        Segment::Equal(text) => (Ink::Plain, text.to_owned()),
        Segment::Delete(text) => (Ink::GoneWords, text.to_owned()),
        Segment::Insert(text) => (Ink::CameWords, text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{marked, sign};
    use super::super::paragraphs::paragraphs;
    use super::*;
    use crate::review::align;

    fn shown(draft: &str, revision: &str) -> Vec<String> {
        let of = |passage: &Passage| {
            let text = |part: Vec<Stretch>| marked(part).into_iter().map(|(_, text)| text.into_owned()).collect::<String>();
            let lane: Vec<String> = passage.single_lane().into_iter().map(text).collect();
            format!("{}{}", sign(passage.kind), lane.join(" | "))
        };
        let alignment = align(draft, revision);
        let passages = passages(&alignment, &paragraphs(&alignment));
        let sentences: Vec<usize> = passages.iter().flat_map(|passage| passage.draft.clone()).collect();
        assert_eq!(sentences, (0..alignment.draft.sentences.len()).collect::<Vec<_>>(), "each sentence of the draft, in its order");
        passages.iter().map(of).collect()
    }

    #[test]
    fn paragraphs_and_their_endings() {
        let draft = "# Waiting\n\nThe train was late. We sat there for an hour.\n\nI should explain why I care. It is a long story.\n\nMy grandmother kept \
                     bees. She counted the hives every spring. In the end it is all about love.";
        let revision = "# Waiting\n\nThe train was late. We sat there for a whole hour.\n\nMy grandmother kept bees. She counted the hives every \
                        spring.\n\nNobody had a watch in those days.";
        assert_eq!(
            shown(draft, revision),
            [
                " ¶ 1 · heading → ¶ 1 · kept | Waiting",
                "~¶ 2 · 2 sentences → ¶ 2 · 2 of 2 sentences left · ending sharpened | We sat there for [-an-]{+a whole+} hour.",
                "-¶ 3 · 2 sentences → cut | It is a long story.",
                "~¶ 4 · 3 sentences → ¶ 3 · 2 of 3 sentences left · ending cut | In the end it is all about love. | She counted the hives every \
                 spring.",
                "+¶ 4 · new · 1 sentence | Nobody had a watch in those days.",
            ]
        );
    }

    #[test]
    fn joined_new_and_empty() {
        assert_eq!(
            shown("The train was late that day.\n\nWe sat there all the same.", "The train was late that day. We sat there all the same."),
            [
                "~¶ 1 · 1 sentence → ¶ 1 · 1 of 1 sentence left · joined to the next | The train was late that day.",
                "~¶ 2 · 1 sentence → ¶ 1 · 1 of 1 sentence left · ending kept | We sat there all the same."
            ]
        );
        assert_eq!(
            shown("The train was late. We sat there.", "The train was late. We sat there. Nobody had a watch in those days."),
            ["~¶ 1 · 2 sentences → ¶ 1 · 2 of 2 sentences left · ending new | We sat there. | Nobody had a watch in those days."]
        );
        assert_eq!(shown("", ""), Vec::<String>::new());
        assert_eq!(shown("", "One came late."), ["+¶ 1 · new · 1 sentence | One came late."]);
        assert_eq!(shown("One came late.", ""), ["-¶ 1 · 1 sentence → cut | One came late."]);
    }
}
