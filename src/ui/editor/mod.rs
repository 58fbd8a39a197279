//! The prose editor: a pane that wraps by words, steps by grapheme clusters and undoes by words. It takes operations, not keys, and knows nothing of what
//! the text is for.

mod find;
mod history;
mod layout;
mod marks;
mod steps;
#[cfg(test)]
mod tests;
mod text;
mod view;

use std::cell::RefCell;
use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

pub use find::Found;
pub use marks::{Decoration, Kind, Look, Rule};
pub use view::Scroll;

use find::Search;
use history::{History, Run, Selection, Step};
use layout::Spot;
use text::{Place, Text, normalised};
use view::{Scene, View};

/// What can be done to the text and the caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// A typed character. A carriage return is a new line.
    Insert(char),
    Newline,
    /// Erases the selection or the cluster before the caret.
    Backspace,
    /// Erases the selection or the cluster after the caret.
    Delete,
    DeleteWordBack,
    DeleteWordForward,
    /// Erases up to the end of the paragraph; at its end, the line feed.
    DeleteToLineEnd,
    DeleteToLineStart,
    Move {
        motion: Motion,
        /// Extends the selection, or begins one.
        select: bool,
    },
    SelectAll,
    SelectNone,
    Undo,
    Redo,
    /// Erases the selection; [`Editor::selected`] gives it to the caller's clipboard before.
    Cut,
    /// Text from a clipboard: one step, with its line ends made line feeds.
    Paste(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    Left,
    Right,
    WordLeft,
    WordRight,
    Up,
    Down,
    RowStart,
    RowEnd,
    ParagraphBack,
    ParagraphForward,
    PageUp,
    PageDown,
    Top,
    Bottom,
}

#[derive(Debug)]
pub struct Editor {
    text: Text,
    selection: Selection,
    at_row_end: bool,
    /// The column that moves up and down aim at.
    goal: Option<usize>,
    history: History,
    revision: u64,
    saved: String,
    normalised: bool,
    search: Search,
    decorations: Vec<Decoration>,
    rule: Option<Rule>,
    view: RefCell<View>,
}

impl Editor {
    /// The caret stands at the start.
    pub fn new(text: &str) -> Self {
        let plain = normalised(text);
        Self {
            text: Text::new(&plain),
            selection: Selection::default(),
            at_row_end: false,
            goal: None,
            history: History::default(),
            revision: 0,
            normalised: plain != text,
            saved: plain.into_owned(),
            search: Search::default(),
            decorations: Vec::new(),
            rule: None,
            view: RefCell::default(),
        }
    }

    pub fn text(&self) -> String {
        self.text.to_string()
    }

    /// The text given to [`Editor::new`] had carriage returns, and [`Editor::text`] has line feeds in their place.
    pub fn was_normalised(&self) -> bool {
        self.normalised
    }

    /// Counts the changes of the text, undone ones too: the same number means the same text.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether the text differs from the one that was given first or marked as saved.
    pub fn is_edited(&self) -> bool {
        !self.text.is(&self.saved)
    }

    pub fn mark_saved(&mut self) {
        self.saved = self.text();
    }

    /// Takes over what another editor made of the text, in one step. The caret stays with the characters around it.
    pub fn replace_text(&mut self, text: &str) -> bool {
        let (new, old) = (normalised(text), self.text());
        let head = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count();
        let left = old.chars().count().min(new.chars().count()) - head;
        let tail = old.chars().rev().zip(new.chars().rev()).take(left).take_while(|(a, b)| a == b).count();
        let range = self.text.place(head)..self.text.place(old.chars().count() - tail);
        let middle: String = new.chars().skip(head).take(new.chars().count() - head - tail).collect();
        let offset = self.caret_offset();
        self.history.close();
        let Some(swap) = self.replace(range, &middle, None) else { return false };
        self.selection.caret = self.text.snap(self.text.place(swap.shift(offset)));
        self.history.settle(self.selection);
        true
    }

    /// Gives whether the text changed.
    pub fn apply(&mut self, edit: Edit) -> bool {
        let caret = self.selection.caret;
        match edit {
            Edit::Insert('\n' | '\r') | Edit::Newline => self.insert("\n", None),
            Edit::Insert(c) => self.insert(c.encode_utf8(&mut [0; 4]), Some(Run::Typing(c))),
            Edit::Paste(text) => self.insert(&normalised(&text), None),
            Edit::Cut => self.selected_range().is_some_and(|range| self.replace(range, "", None).is_some()),
            Edit::Backspace => self.erase(steps::left(&self.text, caret), Some(Run::Backspacing)),
            Edit::Delete => self.erase(steps::right(&self.text, caret), Some(Run::Deleting)),
            Edit::DeleteWordBack => self.erase(steps::word_left(&self.text, caret), None),
            Edit::DeleteWordForward => self.erase(steps::word_right(&self.text, caret), None),
            Edit::DeleteToLineStart if caret.byte == 0 => self.erase(steps::left(&self.text, caret), None),
            Edit::DeleteToLineStart => self.erase(Place { byte: 0, ..caret }, None),
            Edit::DeleteToLineEnd => match self.text.line(caret.line).len() {
                end if end == caret.byte => self.erase(steps::right(&self.text, caret), None),
                end => self.erase(Place { byte: end, ..caret }, None),
            },
            Edit::Move { motion, select } => {
                self.go(motion, select);
                false
            }
            Edit::SelectAll => {
                self.history.close();
                self.selection = Selection { caret: self.text.end(), anchor: Some(Place::default()) };
                self.still();
                false
            }
            Edit::SelectNone => {
                self.selection.anchor = None;
                false
            }
            Edit::Undo => self.undo(),
            Edit::Redo => self.redo(),
        }
    }

    /// The selected text, to copy it.
    pub fn selected(&self) -> Option<String> {
        self.selected_range().map(|range| self.text.slice(range))
    }

    /// How many characters stand before the caret.
    pub fn caret_offset(&self) -> usize {
        self.text.offset(self.selection.caret)
    }

    /// Puts the caret after so many characters, or at the end.
    pub fn go_to(&mut self, offset: usize) {
        let place = self.text.snap(self.text.place(offset));
        self.land(Spot { place, at_row_end: false }, false);
    }

    /// Selects the next hit, round the ends of the text, and shows all of them until [`Editor::clear_find`]. A pattern that is still being typed keeps the
    /// hit it stands on. Without capitals it finds both.
    pub fn find(&mut self, pattern: &str, forward: bool) -> Found {
        let same = self.search.pattern() == pattern;
        if !same {
            self.search.look_for(pattern, &self.text);
        }
        let caret = self.selection.caret;
        let here = self.selected_range().unwrap_or(caret..caret);
        let hit = match forward {
            true if same => self.search.from(if here.is_empty() { here.start } else { here.end }),
            true => self.search.from(here.start),
            false if same => self.search.before(here.start),
            false => self.search.before(here.end),
        };
        if let Some(hit) = hit {
            self.land(Spot { place: hit.end, at_row_end: false }, false);
            self.selection.anchor = Some(hit.start);
        }
        self.found()
    }

    /// What the search found, as the text is now.
    pub fn found(&self) -> Found {
        self.search.found(self.selected_range())
    }

    pub fn clear_find(&mut self) {
        self.search = Search::default();
    }

    /// Lays marks over stretches of the text, in the place of those before. They move along with edits until the next call.
    pub fn decorate(&mut self, decorations: Vec<Decoration>) {
        self.decorations = decorations;
    }

    pub fn rule(&mut self, rule: Option<Rule>) {
        self.rule = rule;
    }

    /// Puts the caret under a position of the screen, as drawn last.
    pub fn click(&mut self, position: Position, extend: bool) {
        self.view.get_mut().refit(&self.text);
        let spot = self.view.get_mut().spot_at(position);
        self.land(spot, extend);
    }

    /// Extends the selection to a position; outside the pane it scrolls by a row.
    pub fn drag(&mut self, position: Position) {
        self.click(position, true);
    }

    /// Selects the word under a position.
    pub fn double_click(&mut self, position: Position) {
        self.click(position, false);
        let word = steps::word_around(&self.text, self.selection.caret);
        self.selection = Selection { caret: word.end, anchor: Some(word.start) };
    }

    /// Scrolls the view alone; the caret is shown again as soon as it is used.
    pub fn scroll(&mut self, rows: i32) {
        let view = self.view.get_mut();
        view.refit(&self.text);
        view.follows = false;
        view.scroll(rows as isize);
    }

    /// The rows as drawn last, for a scroll bar.
    pub fn scroll_state(&self) -> Scroll {
        self.view.borrow().state()
    }

    /// Draws the pane. Nothing in the text can act on the terminal.
    pub fn render(&self, area: Rect, buffer: &mut Buffer, look: &Look, focused: bool) {
        let scene = Scene {
            text: &self.text,
            caret: self.spot(),
            selection: self.selected_range(),
            decorations: &self.decorations,
            rule: self.rule.as_ref(),
            hits: self.search.hits(),
        };
        self.view.borrow_mut().draw(&scene, area, buffer, look, focused);
    }

    /// Where the terminal's cursor belongs, as drawn last: nowhere if the pane had no focus or the caret is scrolled away.
    pub fn caret(&self) -> Option<Position> {
        self.view.borrow().caret
    }
}

impl Editor {
    fn spot(&self) -> Spot {
        Spot { place: self.selection.caret, at_row_end: self.at_row_end }
    }

    fn selected_range(&self) -> Option<Range<Place>> {
        let Selection { caret, anchor } = self.selection;
        let anchor = anchor.filter(|anchor| *anchor != caret)?;
        Some(anchor.min(caret)..anchor.max(caret))
    }

    fn insert(&mut self, text: &str, run: Option<Run>) -> bool {
        let caret = self.selection.caret;
        let selected = self.selected_range();
        if selected.is_some() {
            self.history.close();
        }
        self.replace(selected.unwrap_or(caret..caret), text, run).is_some()
    }

    /// Erases the selection, or else what lies between the caret and `to`.
    fn erase(&mut self, to: Place, run: Option<fn(char) -> Run>) -> bool {
        let caret = self.selection.caret;
        if let Some(range) = self.selected_range() {
            return self.replace(range, "", None).is_some();
        }
        let range = caret.min(to)..caret.max(to);
        let first = self.text.slice(range.clone()).chars().next();
        self.replace(range, "", run.zip(first).map(|(run, first)| run(first))).is_some()
    }

    /// Every change of the text but undo and redo goes through here.
    fn replace(&mut self, range: Range<Place>, with: &str, run: Option<Run>) -> Option<text::Swap> {
        if range.is_empty() && with.is_empty() {
            return None;
        }
        let before = self.selection;
        let (swap, entries) = self.text.splice(range, with);
        let caret = self.text.snap(self.text.place(swap.at + swap.inserted));
        self.selection = Selection { caret, anchor: None };
        self.history.push(run, Step { entries, swaps: vec![swap], before, after: self.selection });
        self.changed(&[swap]);
        Some(swap)
    }

    fn undo(&mut self) -> bool {
        let Some(step) = self.history.undo() else { return false };
        self.text.undo(step.entries);
        self.selection = step.before;
        let swaps: Vec<_> = step.swaps.iter().rev().map(|swap| swap.inverse()).collect();
        self.changed(&swaps);
        true
    }

    fn redo(&mut self) -> bool {
        let Some(step) = self.history.redo() else { return false };
        self.text.redo(step.entries);
        self.selection = step.after;
        let swaps = step.swaps.clone();
        self.changed(&swaps);
        true
    }

    fn changed(&mut self, swaps: &[text::Swap]) {
        self.revision += 1;
        for swap in swaps {
            marks::follow(&mut self.decorations, &mut self.rule, *swap);
        }
        self.search.look_again(&self.text);
        self.still();
        self.view.get_mut().follows = true;
    }

    /// Forgets what only a run of moves needs.
    fn still(&mut self) {
        self.goal = None;
        self.at_row_end = false;
    }

    /// Puts the caret on a spot.
    fn land(&mut self, spot: Spot, select: bool) {
        self.history.close();
        self.still();
        self.selection.anchor = if select { self.selection.anchor.or(Some(self.selection.caret)) } else { None };
        self.selection.caret = spot.place;
        self.at_row_end = spot.at_row_end;
        self.view.get_mut().follows = true;
    }

    fn go(&mut self, motion: Motion, select: bool) {
        let caret = self.selection.caret;
        let selected = self.selected_range().filter(|_| !select);
        let text = &self.text;
        let place = match (motion, selected) {
            (Motion::Left, Some(range)) => range.start,
            (Motion::Right, Some(range)) => range.end,
            (Motion::Left, None) => steps::left(text, caret),
            (Motion::Right, None) => steps::right(text, caret),
            (Motion::WordLeft, _) => steps::word_left(text, caret),
            (Motion::WordRight, _) => steps::word_right(text, caret),
            (Motion::ParagraphBack, _) => steps::paragraph_back(text, caret),
            (Motion::ParagraphForward, _) => steps::paragraph_forward(text, caret),
            (Motion::Top, _) => Place::default(),
            (Motion::Bottom, _) => text.end(),
            (Motion::Up | Motion::Down | Motion::PageUp | Motion::PageDown | Motion::RowStart | Motion::RowEnd, _) => {
                return self.go_by_rows(motion, select);
            }
        };
        self.land(Spot { place, at_row_end: false }, select);
    }

    /// The moves that depend on how the text was drawn last.
    fn go_by_rows(&mut self, motion: Motion, select: bool) {
        let spot = self.spot();
        let view = self.view.get_mut();
        view.refit(&self.text);
        let page = usize::from(view.area.height).saturating_sub(1).max(1) as isize;
        let row = view.layout.row_of(spot);
        let by = match motion {
            Motion::Up => -1,
            Motion::Down => 1,
            Motion::PageUp => -page,
            Motion::PageDown => page,
            Motion::RowStart => {
                let spot = view.layout.row_start(row);
                return self.land(spot, select);
            }
            _ => {
                let spot = view.layout.row_end(row);
                return self.land(spot, select);
            }
        };
        let goal = self.goal.unwrap_or_else(|| view.layout.column(view.layout.row(row), spot.place));
        let last = view.layout.rows().saturating_sub(1);
        let target = match row.checked_add_signed(by) {
            None if row == 0 => Spot { place: Place::default(), at_row_end: false },
            Some(_) if by > 0 && row == last => Spot { place: self.text.end(), at_row_end: false },
            to => view.layout.spot(to.unwrap_or(0).min(last), goal),
        };
        if by.abs() > 1 {
            view.scroll(by);
        }
        self.land(target, select);
        self.goal = Some(goal);
    }
}
