//! A comparison as lines of a given width. Wrapping thousands of words takes longer than a frame may, so the lines are kept until the
//! comparison or the width changes.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use super::comparison::{Comparison, Finished, Side};
use crate::review::Kind;
use crate::review::lanes::{Entry, Ink, Stretch, Tone, marked};
use crate::ui::prose::lanes::{GUTTER, SIGN, TWO_LANES, beside, lane, signed};
use crate::ui::prose::{Line, width};

/// Prose in wider lanes is hard to read.
const WIDEST_LANE: usize = 90;

/// Between lanes of which each has a sign.
const GUTTER_WIDTH: usize = 3;

/// How the texts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrangement {
    /// One lane with the changes in it.
    Stacked,
    /// The draft, the revision.
    Two,
    /// The draft, the revision, the writer's finished text.
    Three,
}

/// What the lines depend on, besides the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Of which comparison.
    pub generation: u64,
    pub columns: usize,
    pub arrangement: Arrangement,
    /// The draft against the writer's finished text, and not against the revision.
    pub is_own: bool,
    /// Signs around words: there are no colours.
    pub marks: bool,
}

#[derive(Debug)]
pub struct Layout {
    pub shape: Shape,
    pub lines: Vec<Line<Tone>>,
    /// The lines of each entry, without the empty ones between paragraphs.
    pub spans: Vec<Range<usize>>,
    /// What each entry is, and at which sentence of the draft it stands.
    pub entries: Vec<(Kind, usize)>,
}

/// A place in the text that stays where it is when the width or the revision changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Of the draft.
    pub sentence: usize,
    /// Lines below the first that stands at this sentence.
    pub below: usize,
}

/// The last layout.
#[derive(Debug, Default)]
pub struct Cache(RefCell<Option<Rc<Layout>>>);

impl Cache {
    pub fn get(&self, shape: Shape, comparison: &Comparison) -> Rc<Layout> {
        let mut kept = self.0.borrow_mut();
        match kept.as_ref().filter(|layout| layout.shape == shape) {
            Some(layout) => layout.clone(),
            None => kept.insert(Rc::new(Layout::new(shape, comparison))).clone(),
        }
    }

    /// The one that was drawn last, whatever for.
    pub fn last(&self) -> Option<Rc<Layout>> {
        self.0.borrow().clone()
    }
}

impl Arrangement {
    pub fn for_width(columns: usize, three: bool) -> Arrangement {
        match (columns >= TWO_LANES, three) {
            (false, _) => Arrangement::Stacked,
            (true, false) => Arrangement::Two,
            (true, true) => Arrangement::Three,
        }
    }

    /// Columns of one lane, without its sign.
    pub fn lane(self, columns: usize) -> usize {
        let room = match self {
            Arrangement::Stacked => columns.saturating_sub(SIGN),
            Arrangement::Two => columns.saturating_sub(SIGN + GUTTER_WIDTH) / 2,
            Arrangement::Three => columns.saturating_sub(2 * SIGN + 2 * GUTTER_WIDTH) / 3,
        };
        room.clamp(1, WIDEST_LANE)
    }
}

impl Layout {
    fn new(shape: Shape, comparison: &Comparison) -> Layout {
        debug_assert_eq!(width(GUTTER), GUTTER_WIDTH);
        let lane = shape.arrangement.lane(shape.columns);
        let mut page = Page { lane, marks: shape.marks, gap: gap(shape.arrangement, lane), lines: vec![], spans: vec![] };
        let side = side(comparison, shape.is_own);
        match (shape.arrangement, &comparison.finished) {
            (Arrangement::Three, Some(finished)) => page.three(side, finished),
            (Arrangement::Stacked, _) => side.entries.iter().for_each(|entry| page.entry(entry, Page::stacked)),
            _ => side.entries.iter().for_each(|entry| page.entry(entry, Page::two)),
        }
        let entries = side.entries.iter().map(|entry| (entry.kind(), entry.draft.start)).collect();
        Layout { shape, lines: page.lines, spans: page.spans, entries }
    }

    /// From the first line of these entries to their last.
    pub fn lines_of(&self, entries: Range<usize>) -> Range<usize> {
        match self.spans.get(entries) {
            Some([first, .., last]) => first.start..last.end,
            Some([only]) => only.clone(),
            _ => 0..0,
        }
    }

    pub fn place_of(&self, line: usize) -> Place {
        let entry = self.spans.partition_point(|span| span.start <= line).saturating_sub(1);
        let sentence = self.entries.get(entry).map_or(0, |(_, sentence)| *sentence);
        Place { sentence, below: line.saturating_sub(self.first_line(sentence)) }
    }

    pub fn line_of(&self, place: Place) -> usize {
        self.first_line(place.sentence) + place.below
    }

    fn first_line(&self, sentence: usize) -> usize {
        self.spans.get(self.entries.partition_point(|(_, at)| *at < sentence)).map_or(0, |span| span.start)
    }
}

/// What is compared with the draft.
pub fn side(comparison: &Comparison, is_own: bool) -> &Side {
    match &comparison.finished {
        Some(finished) if is_own => &finished.side,
        _ => &comparison.revision,
    }
}

/// What stands between paragraphs: nothing but the rules between the lanes.
fn gap(arrangement: Arrangement, lane: usize) -> Line<Tone> {
    let empty = || vec![Line::new()];
    let two = || signed(Kind::Kept, beside(empty(), lane, empty()));
    let lines = match arrangement {
        Arrangement::Stacked => empty(),
        Arrangement::Two => two(),
        Arrangement::Three => beside(two(), SIGN + 2 * lane + GUTTER_WIDTH, empty()),
    };
    lines.into_iter().next().unwrap_or_default()
}

struct Page {
    lane: usize,
    marks: bool,
    gap: Line<Tone>,
    lines: Vec<Line<Tone>>,
    spans: Vec<Range<usize>>,
}

impl Page {
    fn entry(&mut self, entry: &Entry, draw: impl Fn(&Page, &Entry) -> Vec<Line<Tone>>) {
        self.gap(entry.begins_paragraph);
        let lines = draw(self, entry);
        self.spans.push(self.lines.len()..self.lines.len() + lines.len());
        self.lines.extend(lines);
    }

    /// Between paragraphs.
    fn gap(&mut self, begins_paragraph: bool) {
        if begins_paragraph && !self.lines.is_empty() {
            self.lines.push(self.gap.clone());
        }
    }

    fn stacked(&self, entry: &Entry) -> Vec<Line<Tone>> {
        signed(entry.kind(), self.wrapped(entry.single_lane()))
    }

    fn two(&self, entry: &Entry) -> Vec<Line<Tone>> {
        let (left, right) = (self.wrapped(entry.draft_lane()), self.wrapped(entry.revision_lane()));
        signed(entry.kind(), beside(left, self.lane, right))
    }

    fn three(&mut self, side: &Side, finished: &Finished) {
        for joint in &finished.joints {
            let (ours, hers) = (&side.entries[joint.first.clone()], &finished.side.entries[joint.second.clone()]);
            self.gap(ours.first().or(hers.first()).is_some_and(|entry| entry.begins_paragraph));
            let mut left = vec![];
            for entry in ours {
                let lines = self.two(entry);
                let start = self.lines.len() + left.len();
                self.spans.push(start..start + lines.len());
                left.extend(lines);
            }
            let right = hers.iter().flat_map(|entry| self.third(entry)).collect();
            self.lines.extend(beside(left, SIGN + 2 * self.lane + GUTTER_WIDTH, right));
        }
    }

    /// The writer's own lane: there, what she cut is said, since the draft's lane shows what the revision did.
    fn third(&self, entry: &Entry) -> Vec<Line<Tone>> {
        let stretches = match entry.kind() {
            Kind::Cut => vec![(Ink::Faint.into(), "(cut)".into())],
            _ => entry.revision_lane(),
        };
        signed(entry.kind(), self.wrapped(stretches))
    }

    fn wrapped(&self, stretches: Vec<Stretch>) -> Vec<Line<Tone>> {
        lane(&if self.marks { marked(stretches) } else { stretches }, self.lane)
    }
}
