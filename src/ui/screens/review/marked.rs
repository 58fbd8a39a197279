//! What is marked in the texts that are read, and the list of it. Marks are shown with the arms' names alone: a span of her own essays gives a
//! fine-tuned arm away before the verdict is in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::shelf::{Prompt, Shelf};
use super::spread::{Content, Pane, Spread};
use super::{Focus, Mode, Review, key};
use crate::review::marks::{Asked, Copied, Invented, Marks};
use crate::review::text::Span;
use crate::ui::keys::Action;
use crate::ui::message::{Effect, Open};
use crate::ui::prose::marked::{line_of, marked_lines};
use crate::ui::screen::Shared;
use crate::ui::widgets::move_cursor;

/// More texts than are ever seen at once.
const KEPT: usize = 64;

/// Marks of the texts that were looked at, by the run that is asked and the text.
#[derive(Debug, Default)]
pub struct Marked(RefCell<HashMap<(usize, String), Rc<Marks>>>);

/// One line of the list.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'m> {
    Copied(&'m Copied),
    Invented(&'m Invented),
}

impl Marked {
    /// Looks a text of an arm up in what its run was trained on, once.
    pub fn of(&self, shelf: &Shelf, prompt: &Prompt, arm: usize, text: &str) -> Rc<Marks> {
        let run = shelf.arms[arm].run;
        let mut kept = self.0.borrow_mut();
        let key = (run, text.to_owned());
        if let Some(marks) = kept.get(&key) {
            return marks.clone();
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        let marks = Rc::new(shelf.runs[run].trained.marks(text, &Asked::new(&prompt.text)));
        kept.insert(key, marks.clone());
        marks
    }

    pub fn forget(&mut self) {
        self.0.get_mut().clear();
    }
}

impl Entry<'_> {
    pub fn span(&self) -> Span {
        match self {
            Entry::Copied(copied) => copied.span,
            Entry::Invented(fact) => fact.span,
        }
    }
}

/// All that is marked, in the text's order.
pub fn entries(marks: &Marks) -> Vec<Entry<'_>> {
    let mut all: Vec<Entry> = marks.copied().map(Entry::Copied).chain(marks.facts.iter().map(Entry::Invented)).collect();
    all.sort_by_key(|entry| entry.span().start);
    all
}

impl Review {
    /// What is marked in a pane; nothing while its name is hidden.
    pub(super) fn marks_of(&self, spread: &Spread, pane: &Pane) -> Option<Rc<Marks>> {
        let (shelf, prompt) = (self.shelf.as_ref()?, self.prompt()?);
        match &pane.content {
            Content::Whole(text) if !spread.is_hidden => Some(self.marked.of(shelf, prompt, pane.arm, &text.text)),
            _ => None,
        }
    }

    /// The pane that keys are about, its text, and what is marked in it.
    fn marks_here<'a>(&self, spread: &'a Spread) -> Option<(usize, &'a str, Rc<Marks>)> {
        let at = self.pane.min(spread.panes.len().checked_sub(1)?);
        let pane = &spread.panes[at];
        let Content::Whole(text) = &pane.content else { return None };
        Some((at, &text.text, self.marks_of(spread, pane)?))
    }

    pub(super) fn list_marks(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some(spread) = self.spread(shared) else { return vec![] };
        if spread.is_hidden && !spread.panes.is_empty() {
            let (submit, blind) = (key(&shared.keymap, Action::Submit), key(&shared.keymap, Action::Blind));
            let text = format!(
                "what was copied gives a fine-tuned arm away: it is marked when the verdict is in ({submit}), or with the names shown ({blind})"
            );
            return vec![Effect::say(text)];
        }
        match self.marks_here(&spread) {
            None => return vec![Effect::say("there is no whole text in this pane")],
            Some((.., marks)) if entries(&marks).is_empty() => {
                return vec![Effect::say("nothing in this text was copied from a training pair, and no fact stands out as invented")];
            }
            Some(_) => {}
        }
        self.focus = Focus::Panes;
        self.mode = Mode::Marks(0);
        self.show_mark(shared);
        vec![]
    }

    pub(super) fn act_on_marks(&mut self, cursor: usize, action: Action, shared: &Shared) -> Vec<Effect> {
        let here = self.spread(shared).and_then(|spread| self.marks_here(&spread).map(|(.., marks)| marks));
        let Some(marks) = here else {
            self.mode = Mode::Reading;
            return vec![];
        };
        let entries = entries(&marks);
        let cursor = cursor.min(entries.len().saturating_sub(1));
        match action {
            Action::Cancel | Action::Marks => self.mode = Mode::Reading,
            Action::Accept => match entries.get(cursor) {
                Some(Entry::Copied(copied)) => return vec![Effect::Open(Open::Pair(copied.pair.clone()))],
                Some(Entry::Invented(_)) => return vec![Effect::say("a fact that no training pair holds has no pair to open")],
                None => {}
            },
            action => {
                if let Some(to) = move_cursor(cursor, entries.len(), 5, action) {
                    self.mode = Mode::Marks(to);
                    self.show_mark(shared);
                }
            }
        }
        vec![]
    }

    /// Scrolls the pane to the mark under the cursor.
    fn show_mark(&mut self, shared: &Shared) {
        let Mode::Marks(cursor) = self.mode else { return };
        let Some(spread) = self.spread(shared) else { return };
        let Some((at, text, marks)) = self.marks_here(&spread) else { return };
        let entries = entries(&marks);
        let Some(entry) = entries.get(cursor.min(entries.len().saturating_sub(1))) else { return };
        let lines = marked_lines(text, &marks, usize::from(self.columns.width()), shared.theme.has_signs());
        let line = line_of(text, entry.span().bytes.0, &lines);
        let top = line.saturating_sub(self.columns.page() / 3);
        if let Some(of_pane) = self.tops.get_mut(at) {
            *of_pane = top;
        }
    }
}
