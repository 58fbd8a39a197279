//! Texts laid out in lines, kept until the text or the width changes; and how far the panes can scroll.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::review::marks::{Mark, Marks};
use crate::ui::prose::marked::marked_lines;
use crate::ui::prose::{Line, wrap};

/// More texts than are ever seen at once, fewer than would matter.
const KEPT: usize = 24;

type Lines = Rc<Vec<String>>;
/// With signs around what is marked, or without.
type Signed = bool;
type MarkedLines = Rc<Vec<Line<Mark>>>;

/// Filled while drawing, which is when sizes are known.
#[derive(Debug, Default)]
pub struct Columns {
    lines: RefCell<HashMap<(String, u16), Lines>>,
    marked: RefCell<HashMap<(String, u16, Signed), MarkedLines>>,
    last_tops: Cell<[usize; 4]>,
    page: Cell<usize>,
    width: Cell<u16>,
}

impl Columns {
    /// The text in lines of at most `width` columns, each paragraph on lines of its own.
    pub fn lines(&self, text: &str, width: u16) -> Lines {
        let mut kept = self.lines.borrow_mut();
        let key = (text.to_owned(), width);
        if let Some(lines) = kept.get(&key) {
            return lines.clone();
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        let lines = Rc::new(laid_out(text, width));
        kept.insert(key, lines.clone());
        lines
    }

    /// The same of a text in which something is marked.
    pub fn marked(&self, text: &str, marks: &Marks, width: u16, has_signs: bool) -> MarkedLines {
        let mut kept = self.marked.borrow_mut();
        let key = (text.to_owned(), width, has_signs);
        if let Some(lines) = kept.get(&key) {
            return lines.clone();
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        let lines = Rc::new(marked_lines(text, marks, usize::from(width.max(1)), has_signs));
        kept.insert(key, lines.clone());
        lines
    }

    pub fn forget(&mut self) {
        self.lines.get_mut().clear();
        self.marked.get_mut().clear();
    }

    /// The top row of a pane `width` and `height` large from which its `lines` are just seen to their end.
    pub fn note(&self, pane: usize, lines: usize, (width, height): (u16, u16)) -> usize {
        self.width.set(width);
        let last = lines.saturating_sub(usize::from(height));
        let mut tops = self.last_tops.get();
        if let Some(top) = tops.get_mut(pane) {
            *top = last;
        }
        self.last_tops.set(tops);
        self.page.set(usize::from(height));
        last
    }

    pub fn last_top(&self, pane: usize) -> usize {
        self.last_tops.get().get(pane).copied().unwrap_or(0)
    }

    /// Columns of a pane's text.
    pub fn width(&self) -> u16 {
        self.width.get().max(1)
    }

    /// Rows of a pane.
    pub fn page(&self) -> usize {
        self.page.get().max(2)
    }
}

fn laid_out(text: &str, width: u16) -> Vec<String> {
    let columns = usize::from(width.max(1));
    let paragraphs = text.trim_matches('\n').split('\n');
    paragraphs
        .flat_map(|paragraph| wrap(&[((), paragraph)], columns))
        .map(|line| line.into_iter().map(|(_, text)| text).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_keep_their_lines() {
        let check = |text: &str, expected: &[&str]| assert_eq!(laid_out(text, 8), expected, "{text:?}");
        check("One two three.\n\nFour.", &["One two", "three.", "", "Four."]);
        check("\na\r\nb\n\n", &["a", "b"]);
        check("\x1b[2J", &["␛[2J"]);
        check("", &[""]);
    }
}
