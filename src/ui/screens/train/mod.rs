//! The Train screen: configs, what is under way and queued at the left; a config's values and pre-flight, or a run's curves, at the
//! right.

mod ask;
mod figures;
mod form;
mod live;
mod look;
mod marked;
mod orders;
mod rows;
mod tasks;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use self::ask::Ask;
use self::figures::Figures;
use self::form::Form;
use self::rows::Pick;
pub use self::tasks::{Desk, Done, Task};
use self::tasks::{Listing, Look};
use crate::config::Config;
use crate::ui::keys::{Action, Chord, Context};
use crate::ui::message::{Effect, Open};
use crate::ui::screen::{Screen, Shared};
use crate::ui::tasks::Done as AnyDone;
use crate::ui::widgets::move_cursor;
use crate::ui::work::{News, Stage};

#[derive(Debug)]
pub struct Train {
    listing: Option<Listing>,
    list_error: Option<String>,
    is_listing: bool,
    pick: Pick,
    /// The config chosen last, whatever the cursor is on now.
    config: String,
    /// Values as the writer changed them, by config.
    edits: BTreeMap<String, Edited>,
    /// The last pre-flight, and the config that it is of.
    look: Option<(Config, Look)>,
    /// The config that is being looked at.
    looking: Option<Config>,
    /// Something changed since the look was asked for.
    look_is_old: bool,
    /// The run under the cursor, read from its log.
    watched: Option<Watched>,
    /// What is shown of the run that trains here.
    now: Figures,
    /// Its history has got on since.
    now_is_old: bool,
    form: Option<Form>,
    ask: Option<Ask>,
    focus: Focus,
    /// The canary sample shown; `None` follows the newest.
    sample: Option<usize>,
    /// What is marked in it.
    marked: Option<marked::Marked>,
    /// Lines of the right pane above its top.
    scroll: usize,
    /// To go on with as soon as it is known.
    resume: Option<PathBuf>,
    /// The writer has done something here: the cursor is theirs.
    has_acted: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    List,
    Detail,
}

/// A config with values that the writer changed.
#[derive(Debug)]
struct Edited {
    config: Config,
    /// What was changed, in words.
    changes: Vec<String>,
}

#[derive(Debug)]
struct Watched {
    folder: PathBuf,
    figures: Arc<Figures>,
    /// Its log is being read.
    is_reading: bool,
    error: Option<String>,
}

/// Below this only one pane has room.
const BOTH_PANES: u16 = 70;
const PAGE: usize = 10;

impl Default for Train {
    fn default() -> Train {
        Train {
            listing: None,
            list_error: None,
            is_listing: false,
            pick: Pick::Config(String::new()),
            config: String::new(),
            edits: BTreeMap::new(),
            look: None,
            looking: None,
            look_is_old: false,
            watched: None,
            now: Figures::default(),
            now_is_old: false,
            form: None,
            ask: None,
            focus: Focus::List,
            sample: None,
            marked: None,
            scroll: 0,
            resume: None,
            has_acted: false,
        }
    }
}

impl Screen for Train {
    fn contexts(&self) -> Vec<Context> {
        match (&self.ask, &self.form) {
            (Some(_), _) => vec![Context::Line],
            (None, Some(form)) if form.is_typing() => vec![Context::Line],
            (None, Some(_)) => vec![Context::Form, Context::Train, Context::List],
            (None, None) => vec![Context::Train, Context::List],
        }
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        self.has_acted = true;
        let mut effects = self.act_here(action, shared);
        effects.extend(self.mark_shown(shared));
        effects
    }

    fn on_key(&mut self, chord: Chord, _shared: &Shared) -> Vec<Effect> {
        if let Some(ask) = &mut self.ask {
            ask.on_key(chord);
        } else if let Some(form) = &mut self.form {
            form.on_key(chord);
        }
        vec![]
    }

    fn on_paste(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        if let Some(ask) = &mut self.ask {
            ask.on_paste(text);
        } else if let Some(form) = &mut self.form {
            form.on_paste(text);
        }
        vec![]
    }

    fn on_mouse(&mut self, mouse: MouseEvent, area: Rect, shared: &Shared) -> Vec<Effect> {
        self.has_acted = true;
        let (list, detail) = self.areas(area);
        let at = Position::new(mouse.column, mouse.row);
        let step = match mouse.kind {
            _ if self.ask.is_some() => return vec![],
            MouseEventKind::ScrollUp => Some(Action::Up),
            MouseEventKind::ScrollDown => Some(Action::Down),
            MouseEventKind::Down(MouseButton::Left) => None,
            _ => return vec![],
        };
        // The rule above each pane is not part of its rows.
        let row = usize::from(mouse.row.saturating_sub(area.y + 1));
        self.focus = match list.contains(at) {
            true => Focus::List,
            false if detail.contains(at) => Focus::Detail,
            false => return vec![],
        };
        match (step, self.focus, &mut self.form) {
            (Some(action), Focus::Detail, Some(_)) => self.act_on_form(action),
            (Some(action), ..) => self.move_by(action, shared),
            (None, Focus::Detail, Some(form)) => {
                form.click(row, live::inside(detail));
                vec![]
            }
            (None, Focus::Detail, None) => vec![],
            (None, Focus::List, _) => match self.pick_at(row, usize::from(list.height.saturating_sub(1)), shared) {
                Some(pick) => self.go(pick, shared),
                None => vec![],
            },
        }
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        self.look_is_old = true;
        self.renew(shared);
        self.list().into_iter().chain(self.ask_for_look()).collect()
    }

    fn on_open(&mut self, open: Open, shared: &Shared) -> Vec<Effect> {
        if let Open::Resume(folder) = open {
            self.resume = Some(folder);
            return match self.listing {
                Some(_) => self.resume_asked(shared),
                None => vec![],
            };
        }
        vec![]
    }

    fn on_done(&mut self, done: &AnyDone, shared: &Shared) -> Vec<Effect> {
        match done {
            AnyDone::Train(done) => {
                let mut effects = self.on_own(done, shared);
                effects.extend(self.mark_shown(shared));
                effects
            }
            _ => vec![],
        }
    }

    fn on_news(&mut self, news: &News, shared: &Shared) -> Vec<Effect> {
        match news {
            News::Training => {
                self.now_is_old = true;
                // Whoever comes to look finds the run that trains under the cursor.
                if !self.has_acted && shared.work.is_training() && self.listing.is_some() {
                    self.pick = Pick::Now;
                }
                // Steps wait for the tick; all else is shown at once.
                let is_stepping = shared.work.training().is_some_and(|training| training.state.stage == Stage::Training);
                if !is_stepping || self.now.steps == 0 {
                    self.renew(shared);
                }
                vec![]
            }
            News::TrainingEnded => {
                self.now_is_old = true;
                self.renew(shared);
                self.list().into_iter().collect()
            }
            News::Queue => {
                self.settle(shared);
                vec![]
            }
            News::Reading | News::Sample(_) | News::ReadingEnded { .. } | News::Scoring | News::Scored { .. } => vec![],
        }
    }

    fn on_tick(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.now_is_old {
            self.renew(shared);
        }
        let mut effects = self.read_on();
        effects.extend(self.mark_shown(shared));
        effects
    }

    fn wants_tick(&self) -> bool {
        self.now_is_old || self.watches_live()
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared) {
        let (list, detail) = self.areas(area);
        if !list.is_empty() {
            self.view_list(frame, list, shared, self.focus == Focus::List && self.form.is_none());
        }
        if !detail.is_empty() {
            self.view_detail(frame, detail, shared);
        }
        if let Some(ask) = &self.ask {
            ask.view(frame, area, &shared.theme);
        }
    }
}

impl Train {
    fn act_here(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if self.ask.is_some() {
            return self.act_on_ask(action, shared);
        }
        if matches!(action, Action::NextPane | Action::PreviousPane) {
            self.focus = if self.focus == Focus::List { Focus::Detail } else { Focus::List };
            return vec![];
        }
        if self.form.is_some() && (self.focus == Focus::Detail || matches!(action, Action::Cancel | Action::SaveConfigAs)) {
            let is_for_form = matches!(action, Action::Accept | Action::Cancel | Action::ResetValue | Action::SaveConfigAs);
            if is_for_form || move_cursor(0, 1, 1, action).is_some() {
                return self.act_on_form(action);
            }
        }
        match action {
            Action::StartTraining | Action::QueueTraining | Action::Accept => self.ask_to_start(action, shared),
            Action::StopTraining => self.stop(shared),
            Action::ResumeRun => self.resume_picked(shared),
            Action::EditConfig => self.edit(),
            Action::Preflight => {
                self.look_is_old = true;
                self.list().into_iter().chain(self.ask_for_look()).collect()
            }
            Action::PreviousSample => self.walk_samples(-1),
            Action::NextSample => self.walk_samples(1),
            action => self.move_by(action, shared),
        }
    }

    /// The list and what is right of it, with a column between them. Where there is no room for both, the one in focus has it all.
    fn areas(&self, area: Rect) -> (Rect, Rect) {
        if area.width < BOTH_PANES {
            return match self.focus == Focus::List && self.form.is_none() {
                true => (area, Rect::default()),
                false => (Rect::default(), area),
            };
        }
        let width = (area.width / 3).clamp(28, 46);
        let [list, _, detail] = Layout::horizontal([Constraint::Length(width), Constraint::Length(2), Constraint::Fill(1)]).areas(area);
        (list, detail)
    }
}

#[cfg(test)]
mod tests;
