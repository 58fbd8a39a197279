//! A comparison as lines of a given width. Wrapping thousands of words takes longer than a frame may, so the lines are kept until the
//! comparison or the width changes.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use super::comparison::{Block, Comparison, Finished, Level, Side};
use crate::review::Kind;
use crate::review::lanes::{Ink, Stretch, Tone, marked};
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
    pub level: Level,
}

#[derive(Debug)]
pub struct Layout {
    pub shape: Shape,
    pub lines: Vec<Line<Tone>>,
    /// The lines of each block, without the empty ones between paragraphs.
    pub spans: Vec<Range<usize>>,
    /// What each block is, and at which sentence of the draft it stands.
    pub blocks: Vec<(Kind, usize)>,
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
        let blocks = side.blocks(shape.level);
        match (shape.arrangement, &comparison.finished) {
            (Arrangement::Three, Some(finished)) => page.three(side, finished, shape.level),
            (Arrangement::Stacked, _) => blocks.iter().for_each(|block| page.block(*block, Page::stacked)),
            _ => blocks.iter().for_each(|block| page.block(*block, Page::two)),
        }
        let blocks = blocks.into_iter().map(|block| (block.kind(), block.draft().start)).collect();
        Layout { shape, lines: page.lines, spans: page.spans, blocks }
    }

    /// From the first line of these blocks to their last.
    pub fn lines_of(&self, blocks: Range<usize>) -> Range<usize> {
        match self.spans.get(blocks) {
            Some([first, .., last]) => first.start..last.end,
            Some([only]) => only.clone(),
            _ => 0..0,
        }
    }

    pub fn place_of(&self, line: usize) -> Place {
        let block = self.spans.partition_point(|span| span.start <= line).saturating_sub(1);
        let sentence = self.blocks.get(block).map_or(0, |(_, sentence)| *sentence);
        Place { sentence, below: line.saturating_sub(self.first_line(sentence)) }
    }

    pub fn line_of(&self, place: Place) -> usize {
        self.first_line(place.sentence) + place.below
    }

    fn first_line(&self, sentence: usize) -> usize {
        self.spans.get(self.blocks.partition_point(|(_, at)| *at < sentence)).map_or(0, |span| span.start)
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
    fn block(&mut self, block: Block, draw: impl Fn(&Page, Block) -> Vec<Line<Tone>>) {
        self.gap(block.begins_paragraph());
        let lines = draw(self, block);
        self.spans.push(self.lines.len()..self.lines.len() + lines.len());
        self.lines.extend(lines);
    }

    /// Between paragraphs.
    fn gap(&mut self, begins_paragraph: bool) {
        if begins_paragraph && !self.lines.is_empty() {
            self.lines.push(self.gap.clone());
        }
    }

    fn stacked(&self, block: Block) -> Vec<Line<Tone>> {
        signed(block.kind(), self.wrapped(block.single_lane()))
    }

    fn two(&self, block: Block) -> Vec<Line<Tone>> {
        let (left, right) = (self.wrapped(block.draft_lane()), self.wrapped(block.revision_lane()));
        signed(block.kind(), beside(left, self.lane, right))
    }

    fn three(&mut self, side: &Side, finished: &Finished, level: Level) {
        let (of_revision, of_finished) = (side.blocks(level), finished.side.blocks(level));
        for joint in finished.joints(level) {
            let (ours, hers) = (&of_revision[joint.first.clone()], &of_finished[joint.second.clone()]);
            self.gap(ours.first().or(hers.first()).is_some_and(|block| block.begins_paragraph()));
            let mut left = vec![];
            for block in ours {
                let lines = self.two(*block);
                let start = self.lines.len() + left.len();
                self.spans.push(start..start + lines.len());
                left.extend(lines);
            }
            let right = hers.iter().flat_map(|block| self.third(*block)).collect();
            self.lines.extend(beside(left, SIGN + 2 * self.lane + GUTTER_WIDTH, right));
        }
    }

    /// The writer's own lane: there, what she cut is said, since the draft's lane shows what the revision did.
    fn third(&self, block: Block) -> Vec<Line<Tone>> {
        let parts = match block {
            Block::Sentence(entry) if entry.kind() == Kind::Cut => vec![vec![(Ink::Faint.into(), "(cut)".into())]],
            block => block.revision_lane(),
        };
        signed(block.kind(), self.wrapped(parts))
    }

    fn wrapped(&self, parts: Vec<Vec<Stretch>>) -> Vec<Line<Tone>> {
        parts.into_iter().flat_map(|part| lane(&if self.marks { marked(part) } else { part }, self.lane)).collect()
    }
}
