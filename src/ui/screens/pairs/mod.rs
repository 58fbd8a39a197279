//! The Pairs screen: the four tiers, the list of one, and the texts of the pair under the cursor, edited in place.

mod areas;
mod changes;
mod dialog;
mod disk;
mod edit;
mod entry;
mod form;
mod gauges;
mod history;
mod library;
mod list;
mod measure;
mod mouse;
mod questions;
mod split;
mod tasks;
#[cfg(test)]
mod tests;
mod texts;
mod view;
mod walk;

use std::collections::{HashMap, VecDeque};

use crossterm::event::MouseEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

use self::areas::{Areas, Length, Shape, areas};
use self::dialog::{Dialog, Question};
use self::entry::Entry;
use self::form::Form;
use self::gauges::Gauges;
use self::history::History;
use self::library::Library;
use self::list::{List, Row};
use self::mouse::Pointer;
use self::split::Cutting;
use self::texts::{Side, Texts};
use crate::ui::keys::{Action, Chord, Context};
use crate::ui::message::{Effect, Open};
use crate::ui::screen::{Screen, Shared};
use crate::ui::tasks as app;
use crate::ui::widgets::LineInput;

pub use self::tasks::{Desk, Done, Task};

#[derive(Debug)]
pub struct Pairs {
    library: Library,
    list: List,
    /// Of the pair under the cursor.
    texts: Option<Texts>,
    /// Texts that were edited, with what can be undone in them.
    shelf: HashMap<String, Texts>,
    mode: Mode,
    dialogs: VecDeque<Dialog>,
    gauges: Gauges,
    history: History,
    pointer: Pointer,
    /// The prompt's share of the room, in thousandths, once it was dragged.
    divider: Option<u16>,
    /// The model whose mask is shown, by its place among the counted ones.
    mask: Option<usize>,
    /// The pair that `$EDITOR` has.
    outside: Option<String>,
    /// What was searched for last.
    sought: String,
    /// To be shown when the pairs have been read.
    wanted: Option<String>,
    reading: Reading,
    survey: SurveyState,
    /// Where the last recovery copy went.
    keeping: Keeping,
}

#[derive(Debug)]
enum Mode {
    List,
    Filter,
    Edit,
    /// Searching in the text with the caret.
    Find(LineInput),
    Cut(Box<Cutting>),
    Form(Form),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Reading {
    #[default]
    Never,
    First,
    Again,
    Done,
}

/// Where unsaved edits are besides memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    /// Beside the pairs.
    Beside,
    /// In the spare place.
    Elsewhere,
    Nowhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum SurveyState {
    #[default]
    Idle,
    UnderWay,
    /// Something has changed since it was asked for.
    Outdated,
}

impl Default for Pairs {
    fn default() -> Self {
        Pairs {
            library: Library::default(),
            list: List::default(),
            texts: None,
            shelf: HashMap::new(),
            mode: Mode::List,
            dialogs: VecDeque::new(),
            gauges: Gauges::default(),
            history: History::default(),
            pointer: Pointer::default(),
            divider: None,
            mask: None,
            outside: None,
            sought: String::new(),
            wanted: None,
            reading: Reading::Never,
            survey: SurveyState::Idle,
            keeping: Keeping::Beside,
        }
    }
}

impl Screen for Pairs {
    fn contexts(&self) -> Vec<Context> {
        if let Some(dialog) = self.dialogs.front() {
            return match dialog.question {
                Question::Compare { .. } => vec![Context::Dialog, Context::List],
                _ => vec![Context::Dialog],
            };
        }
        match &self.mode {
            Mode::List => vec![Context::Pairs, Context::List],
            Mode::Filter | Mode::Find(_) | Mode::Form(_) => vec![Context::Line],
            Mode::Edit => vec![Context::Edit],
            Mode::Cut(_) => vec![Context::Split, Context::List],
        }
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if !self.dialogs.is_empty() {
            return self.act_in_dialog(action);
        }
        match self.mode {
            Mode::List => self.act_in_list(action, shared),
            Mode::Filter => self.act_in_filter(action),
            Mode::Edit => self.act_in_text(action, shared),
            Mode::Find(_) => self.act_in_find(action),
            Mode::Cut(_) => self.act_in_cutting(action),
            Mode::Form(_) => self.act_in_form(action),
        }
    }

    fn on_key(&mut self, chord: Chord, _shared: &Shared) -> Vec<Effect> {
        if !self.dialogs.is_empty() {
            return vec![];
        }
        match &mut self.mode {
            Mode::List | Mode::Cut(_) => vec![],
            Mode::Filter => self.type_in_filter(chord),
            Mode::Edit => match chord.typed() {
                Some(c) => self.edit(crate::ui::editor::Edit::Insert(c)),
                None => vec![],
            },
            Mode::Find(_) => self.type_in_find(chord),
            Mode::Form(form) => {
                form.on_key(chord);
                vec![]
            }
        }
    }

    fn on_paste(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        if !self.dialogs.is_empty() {
            return vec![];
        }
        match &mut self.mode {
            Mode::List | Mode::Cut(_) => vec![],
            Mode::Filter => {
                self.list.filter.insert(text);
                self.filtered()
            }
            Mode::Edit => self.edit(crate::ui::editor::Edit::Paste(text.to_owned())),
            Mode::Find(pattern) => {
                pattern.insert(text);
                self.find(true)
            }
            Mode::Form(form) => {
                if let Some(field) = form.fields.get_mut(form.cursor) {
                    field.input.insert(text);
                }
                vec![]
            }
        }
    }

    fn on_mouse(&mut self, mouse: MouseEvent, area: Rect, _shared: &Shared) -> Vec<Effect> {
        self.point(mouse, area)
    }

    fn on_show(&mut self, _shared: &Shared) -> Vec<Effect> {
        match self.reading {
            Reading::Never => self.read(),
            _ => vec![],
        }
    }

    fn on_open(&mut self, open: Open, _shared: &Shared) -> Vec<Effect> {
        match open {
            Open::Pair(id) if self.reading == Reading::Done => self.go_to_pair(&id),
            Open::Pair(id) => {
                self.wanted = Some(id);
                vec![]
            }
            _ => vec![],
        }
    }

    fn on_done(&mut self, done: &app::Done, _shared: &Shared) -> Vec<Effect> {
        match done {
            app::Done::Pairs(done) => self.take_in(done),
            _ => vec![],
        }
    }

    fn on_edited(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        self.come_back(text)
    }

    fn on_tick(&mut self, _shared: &Shared) -> Vec<Effect> {
        let mut effects = self.keep();
        if let Some(entry) = current(&self.library, &self.list) {
            effects.extend(self.gauges.on_tick(entry).map(Effect::task));
        }
        effects
    }

    fn wants_tick(&self) -> bool {
        self.is_keeping_due() || self.current().is_some_and(|entry| self.gauges.is_due(entry))
    }

    fn at_stake(&self) -> Option<String> {
        let ids: Vec<&str> = self.library.unsaved().map(Entry::id).collect();
        match ids.as_slice() {
            [] => None,
            [one] => Some(format!("{one} is not saved.")),
            many => Some(format!("{} pairs are not saved: {}.", many.len(), listed(many))),
        }
    }

    fn save_all(&mut self, _shared: &Shared) -> Vec<Effect> {
        self.library.unsaved().map(|entry| disk::save(entry, false)).collect()
    }

    fn keep_all(&mut self, _shared: &Shared) -> Vec<Effect> {
        self.keep()
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared) {
        view::view(self, frame, area, shared);
    }
}

impl Pairs {
    fn areas(&self, area: Rect) -> Areas {
        let prompt = self.current().map_or(Length::default(), |entry| Length::of(&entry.pair().prompt));
        let has_foot = self.current().is_some() && !matches!(self.mode, Mode::Cut(_));
        areas(area, Shape { divider: self.divider, prompt, has_foot, focus: self.focus() })
    }

    /// The text that is being edited.
    fn focus(&self) -> Option<Side> {
        match self.mode {
            Mode::Edit | Mode::Find(_) => self.texts.as_ref().map(|texts| texts.side),
            // The essay takes the place of both.
            Mode::Cut(_) => Some(Side::Response),
            _ => None,
        }
    }

    /// The pair under the cursor.
    fn current(&self) -> Option<&Entry> {
        current(&self.library, &self.list)
    }

    fn current_id(&self) -> Option<String> {
        self.current().map(|entry| entry.id().to_owned())
    }
}

fn current<'l>(library: &'l Library, list: &List) -> Option<&'l Entry> {
    match list.row()? {
        Row::Pair(i) => library.entries.get(i),
        Row::Broken(_) => None,
    }
}

/// The first few of many.
fn listed(ids: &[&str]) -> String {
    match ids.len() {
        0..=3 => ids.join(", "),
        n => format!("{} and {} more", ids[..3].join(", "), n - 3),
    }
}
