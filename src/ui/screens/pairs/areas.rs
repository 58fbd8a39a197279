//! Where everything of the screen stands, by its size.

use ratatui::layout::{Constraint, Layout, Position, Rect};

use super::texts::Side;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Areas {
    /// Empty where there is no room for it beside the texts.
    pub list: Rect,
    /// Empty while a narrow screen shows the list.
    pub texts: Rect,
    pub prompt: Rect,
    pub response: Rect,
    pub foot: Rect,
    /// Between the texts; dragged by the mouse.
    pub divider: Rect,
    pub is_stacked: bool,
}

/// What of the screen's state its layout depends on.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The prompt's share of the room for the texts, in thousandths, once the writer has dragged the divider.
    pub divider: Option<u16>,
    /// How long the prompt is, so that a short one leaves the room to the response.
    pub prompt: Length,
    /// Whether there is something to say below the texts.
    pub has_foot: bool,
    /// The text that is being edited.
    pub focus: Option<Side>,
}

/// Narrower than this, list and texts take turns.
const BOTH: u16 = 64;
const SIDE_BY_SIDE: u16 = 88;
/// Stacked texts with fewer rows than this make room for the one with the caret.
const SHORT: u16 = 22;

const MIDDLE: u16 = 500;

/// What a text takes up, as far as its layout needs to know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Length {
    pub lines: usize,
    pub chars: usize,
}

impl Length {
    pub fn of(text: &str) -> Length {
        Length { lines: text.lines().count(), chars: text.len() }
    }

    /// At most so many rows, in steps, so that the layout rests while a line is typed.
    fn rows(self, width: u16) -> u16 {
        let rows = self.lines + self.chars / usize::from(width.max(8) - 2);
        u16::try_from(rows.next_multiple_of(4)).unwrap_or(u16::MAX)
    }
}

pub fn areas(area: Rect, shape: Shape) -> Areas {
    let (list, right) = match (area.width < BOTH, shape.focus) {
        (true, None) => (area, Rect { x: area.right(), width: 0, ..area }),
        (true, Some(_)) => (Rect { width: 0, ..area }, area),
        (false, _) => {
            let width = (area.width * 30 / 100).clamp(30, 46);
            let [list, _, right] = Layout::horizontal([Constraint::Length(width), Constraint::Length(1), Constraint::Fill(1)]).areas(area);
            (list, right)
        }
    };
    let foot = match area.height {
        _ if !shape.has_foot => 0,
        0..12 => 0,
        12..18 => 3,
        18..28 => 6,
        _ => 7,
    };
    let [texts, foot] = Layout::vertical([Constraint::Fill(1), Constraint::Length(foot)]).areas(right);
    let is_stacked = texts.width < SIDE_BY_SIDE;
    let divider = shape.divider.unwrap_or(MIDDLE);
    let share = match (is_stacked && texts.height < SHORT, shape.focus) {
        (true, Some(Side::Prompt)) => divider.max(680),
        (true, Some(Side::Response)) => divider.min(320),
        _ => divider,
    };
    let part = |whole: u16, least: u16| {
        ((u32::from(whole) * u32::from(share) / 1000) as u16).clamp(least.min(whole), whole.saturating_sub(least).max(least.min(whole)))
    };
    let (prompt, response, divider) = if is_stacked {
        let mut first = part(texts.height, 3);
        if shape.divider.is_none() {
            first = first.min(shape.prompt.rows(texts.width).saturating_add(1));
        }
        let prompt = Rect { height: first, ..texts };
        let response = Rect { y: texts.y + first, height: texts.height - first, ..texts };
        (prompt, response, Rect { height: response.height.min(1), ..response })
    } else {
        let first = part(texts.width - 1, 20);
        let prompt = Rect { width: first, ..texts };
        let divider = Rect { x: texts.x + first, width: 1, ..texts };
        let response = Rect { x: divider.right(), width: texts.width - first - 1, ..texts };
        (prompt, response, divider)
    };
    Areas { list, texts, prompt, response, foot, divider, is_stacked }
}

impl Areas {
    /// The divider's place, in thousandths, for a mouse at `at`.
    pub fn divided_at(&self, at: Position) -> u16 {
        let (offset, whole) = match self.is_stacked {
            true => (at.y.saturating_sub(self.texts.y), self.texts.height),
            false => (at.x.saturating_sub(self.texts.x), self.texts.width),
        };
        ((u32::from(offset) * 1000 / u32::from(whole.max(1))) as u16).clamp(100, 900)
    }
}
