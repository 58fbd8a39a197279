//! A scored text on the screen: its cells, the one under the cursor, and how it is laid out.

use std::cell::{Cell as Kept, RefCell};
use std::rc::Rc;

use super::lines::{beside, line_of, lines};
use crate::review::surprisal::{Cell, Means, Shade, View, cells, means};
use crate::run::scores::Scores;
use crate::ui::keys::Action;
use crate::ui::prose::Line;

type Lines = Rc<Vec<Line<usize>>>;

#[derive(Debug)]
pub(super) struct Shown {
    pub scores: Scores,
    pub cells: Vec<Cell>,
    pub means: Means,
    /// Of training, where the model was looked at while it trained.
    pub step: Option<usize>,
    /// The cell that keys are about.
    pub cursor: usize,
    /// Filled while drawing, which is when sizes are known.
    laid_out: RefCell<Option<(usize, Lines)>>,
    top: Kept<usize>,
    page: Kept<usize>,
}

impl Shown {
    /// `None` of a text without a token.
    pub fn new(scores: Scores, step: Option<usize>) -> Option<Shown> {
        let (cells, means) = (cells(&scores), means(&scores)?);
        Some(Shown { cells, means, scores, step, cursor: 0, laid_out: RefCell::default(), top: Kept::new(0), page: Kept::new(2) })
    }

    pub fn here(&self) -> Option<&Cell> {
        self.cells.get(self.cursor)
    }

    /// The lines at this width, and the first of them to show in `height` rows so that the cursor is in sight.
    pub fn lines(&self, columns: usize, height: usize) -> (Lines, usize) {
        let mut laid_out = self.laid_out.borrow_mut();
        let lines = match &*laid_out {
            Some((width, lines)) if *width == columns => lines.clone(),
            _ => {
                let lines = Rc::new(lines(&self.cells, columns));
                *laid_out = Some((columns, lines.clone()));
                lines
            }
        };
        let at = line_of(&lines, self.cursor);
        let lowest = (at + 1).saturating_sub(height.max(1));
        let top = self.top.get().clamp(lowest, at.max(lowest));
        self.top.set(top);
        self.page.set(height.max(2));
        (lines, top)
    }

    pub fn go(&mut self, action: Action, view: View) {
        let last = self.cells.len().saturating_sub(1);
        let page = self.page.get() as isize - 1;
        let lines = self.laid_out.borrow().as_ref().map(|(_, lines)| lines.clone());
        let vertical = |by: isize| lines.as_ref().and_then(|lines| beside(lines, self.cursor, by));
        let hot = |at: &usize| is_hot(self.cells[*at].shade(view));
        let to = match action {
            Action::MoveLeft => self.cursor.checked_sub(1),
            Action::MoveRight => Some(self.cursor + 1),
            Action::Up => vertical(-1),
            Action::Down => vertical(1),
            Action::PageUp => vertical(-page),
            Action::PageDown => vertical(page),
            Action::First => Some(0),
            Action::Last => Some(last),
            Action::NextChange => (self.cursor + 1..self.cells.len()).find(hot),
            Action::PreviousChange => (0..self.cursor).rev().find(hot),
            _ => None,
        };
        self.cursor = to.unwrap_or(self.cursor).min(last);
    }
}

/// Worth going to: the greatest surprises, and where the arms differ clearly.
fn is_hot(shade: Shade) -> bool {
    match shade {
        Shade::Surprise(step) => step >= 5,
        Shade::Less(step) | Shade::More(step) => step >= 1,
        Shade::Even => false,
    }
}
