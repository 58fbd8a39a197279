//! The Review screen: every arm's answer to one prompt, read side by side and, until the verdict is in, blind.

mod asking;
mod columns;
mod draft;
mod heat;
mod judge;
mod layout;
mod marked;
mod moving;
mod ranking;
mod shelf;
mod spread;
mod tasks;
mod temperatures;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::config::Temperature;
use crate::ui::keys::{Action, Chord, Context, Keymap};
use crate::ui::message::{Effect, Io, Open};
use crate::ui::screen::{Screen, Shared};
use crate::ui::widgets::{LineInput, TextInput};
use crate::ui::work::News;
use columns::Columns;
use draft::Draft;
use heat::Heat;
use layout::{Areas, Wanted};
use marked::Marked;
use ranking::Ranking;
use shelf::{Prompt, Shelf};
use spread::{Across, At, Content, Spread};

pub use tasks::{Done, Task};

/// A prompt, the temperature of its samples, and which of them were read.
type Place = (String, Temperature, At);

#[derive(Debug)]
pub struct Review {
    /// The runs asked for; none means the latest of each model.
    wanted: Vec<PathBuf>,
    shelf: Option<Shelf>,
    /// Why there is no shelf.
    error: Option<String>,
    is_reading_disk: bool,
    /// What was asked for changed while the disk was read.
    is_stale: bool,
    /// Prompts of the writer's own that nothing was drawn of yet.
    own: Vec<Prompt>,
    cursor: usize,
    focus: Focus,
    /// The pane that keys are about, whether or not it has the focus.
    pane: usize,
    at: At,
    /// Asked for in place of the usual one.
    temperature: Option<Temperature>,
    /// The arm that is read at several temperatures, where that is looked at.
    across: Option<Across>,
    /// The heat map that stands before the panes, where it is looked at.
    heat: Option<Heat>,
    /// Of what was last asked to be scored.
    last_ticket: u64,
    wants_blind: bool,
    /// What was read with the names beside it before a verdict.
    seen: BTreeSet<Place>,
    drafts: BTreeMap<Place, Draft>,
    /// Verdicts on their way to disk.
    under_way: BTreeMap<Place, Draft>,
    mode: Mode,
    is_zoomed: bool,
    scrolls_together: bool,
    /// The first row of each pane, as asked for; `columns` knows how far there is text.
    tops: [usize; 4],
    columns: Columns,
    marked: Marked,
    /// When the first token came of what is being drawn, and how many came a second.
    pace: Option<(Instant, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Focus {
    Prompts,
    Panes,
}

#[derive(Debug)]
enum Mode {
    Reading,
    /// The dimension under the cursor.
    Rating(usize),
    Ranking(Ranking),
    /// The list of what is marked in the pane, and the line under the cursor.
    Marks(usize),
    Comment(LineInput),
    Prompt(Box<TextInput>),
}

impl Default for Review {
    fn default() -> Review {
        Review {
            wanted: vec![],
            shelf: None,
            error: None,
            is_reading_disk: false,
            is_stale: false,
            own: vec![],
            cursor: 0,
            focus: Focus::Prompts,
            pane: 0,
            at: At::Sample(0),
            temperature: None,
            across: None,
            heat: None,
            last_ticket: 0,
            wants_blind: true,
            seen: BTreeSet::new(),
            drafts: BTreeMap::new(),
            under_way: BTreeMap::new(),
            mode: Mode::Reading,
            is_zoomed: false,
            scrolls_together: true,
            tops: [0; 4],
            columns: Columns::default(),
            marked: Marked::default(),
            pace: None,
        }
    }
}

impl Screen for Review {
    fn contexts(&self) -> Vec<Context> {
        match self.mode {
            Mode::Reading if self.heat.is_some() => vec![Context::Heat, Context::List],
            Mode::Reading => vec![Context::Review, Context::List],
            Mode::Rating(_) => vec![Context::Rate, Context::Review, Context::List],
            Mode::Ranking(_) => vec![Context::Rank, Context::Review, Context::List],
            Mode::Marks(_) => vec![Context::Marks, Context::List],
            Mode::Comment(_) => vec![Context::Line],
            Mode::Prompt(_) => vec![Context::Ask, Context::Edit],
        }
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        let effects = match self.mode {
            Mode::Comment(_) => self.act_on_line(action, shared),
            Mode::Prompt(_) => self.act_on_prompt(action, shared),
            Mode::Marks(cursor) if !matches!(action, Action::NextPane | Action::PreviousPane) => self.act_on_marks(cursor, action, shared),
            Mode::Reading if self.heat.is_some() => self.act_on_heat(action, shared),
            Mode::Marks(_) | Mode::Ranking(_) | Mode::Rating(_) | Mode::Reading => self.act_on_texts(action, shared),
        };
        self.note_what_is_seen(shared);
        effects
    }

    fn on_key(&mut self, chord: Chord, _shared: &Shared) -> Vec<Effect> {
        match &mut self.mode {
            Mode::Comment(line) => _ = line.on_key(chord),
            Mode::Prompt(text) => text.on_key(chord),
            _ => {}
        }
        vec![]
    }

    fn on_paste(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        match &mut self.mode {
            Mode::Comment(line) => line.insert(text),
            Mode::Prompt(prompt) => prompt.paste(text),
            _ => {}
        }
        vec![]
    }

    fn on_edited(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        if let Mode::Prompt(prompt) = &mut self.mode {
            prompt.replace(text.trim_end());
        }
        vec![]
    }

    fn on_mouse(&mut self, mouse: MouseEvent, area: Rect, shared: &Shared) -> Vec<Effect> {
        if matches!(self.mode, Mode::Comment(_) | Mode::Prompt(_)) {
            return vec![];
        }
        if self.heat.is_some() {
            return match mouse.kind {
                MouseEventKind::ScrollUp => self.act_on_heat(Action::Up, shared),
                MouseEventKind::ScrollDown => self.act_on_heat(Action::Down, shared),
                _ => vec![],
            };
        }
        let areas = self.areas(area, shared);
        let at = Position::new(mouse.column, mouse.row);
        let pane = areas.panes.iter().find(|(_, rect)| rect.contains(at)).map(|(pane, _)| *pane);
        let in_list = areas.list.filter(|list| list.contains(at));
        match (mouse.kind, pane, in_list) {
            (MouseEventKind::Down(MouseButton::Left), Some(pane), _) => (self.focus, self.pane) = (Focus::Panes, pane),
            (MouseEventKind::Down(MouseButton::Left), _, Some(list)) => {
                self.focus = Focus::Prompts;
                if let Some(prompt) = self.prompt_at(list, at.y) {
                    self.go_to(prompt);
                }
            }
            (MouseEventKind::ScrollUp, Some(pane), _) => self.scroll(pane, -3),
            (MouseEventKind::ScrollDown, Some(pane), _) => self.scroll(pane, 3),
            (MouseEventKind::ScrollUp, _, Some(_)) => self.go_to(self.cursor.saturating_sub(1)),
            (MouseEventKind::ScrollDown, _, Some(_)) => self.go_to(self.cursor + 1),
            _ => {}
        }
        self.note_what_is_seen(shared);
        vec![]
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        self.read_disk(shared)
    }

    fn on_open(&mut self, open: Open, shared: &Shared) -> Vec<Effect> {
        let Open::Review(runs) = open else { return vec![] };
        self.wanted = runs;
        self.shelf = None;
        self.mode = Mode::Reading;
        self.at = At::Sample(0);
        self.temperature = None;
        self.across = None;
        self.heat = None;
        self.read_disk(shared)
    }

    fn on_done(&mut self, done: &crate::ui::tasks::Done, shared: &Shared) -> Vec<Effect> {
        let crate::ui::tasks::Done::Review(done) = done else { return vec![] };
        let effects = match done {
            Done::Read(read) => self.on_read(read, shared),
            Done::Judged { verdict, verdicts } => self.on_judged(verdict, verdicts),
            Done::Picked(verdicts) => self.on_picked(verdicts),
            Done::Scoring { ticket, ready } => self.on_score_ready(*ticket, ready),
        };
        self.note_what_is_seen(shared);
        effects
    }

    fn on_news(&mut self, news: &News, shared: &Shared) -> Vec<Effect> {
        match news {
            News::Sample(drawn) => {
                if let Some(shelf) = &mut self.shelf {
                    shelf.add(&drawn.run, &drawn.output);
                }
                self.note_what_is_seen(shared);
            }
            News::Reading => self.keep_pace(shared),
            News::Scored { ticket, text } => self.on_scored(*ticket, text),
            News::ReadingEnded { order, error } => {
                self.pace = None;
                let is_ours = self.shelf.as_ref().is_some_and(|shelf| shelf.runs.iter().any(|run| run.folder == order.run));
                if let Some(error) = error.as_ref().filter(|_| is_ours) {
                    return vec![Effect::error(error.clone())];
                }
            }
            // A new result: of the latest runs, another may be the latest now.
            News::TrainingEnded if self.shelf.is_some() || self.error.is_some() => return self.read_disk(shared),
            News::TrainingEnded | News::Training | News::Queue | News::Scoring => {}
        }
        vec![]
    }

    fn at_stake(&self) -> Option<String> {
        match self.drafts.values().filter(|draft| !draft.is_empty()).count() + self.under_way.len() {
            0 => None,
            1 => Some("A verdict in Review is not given yet.".into()),
            n => Some(format!("{n} verdicts in Review are not given yet.")),
        }
    }

    fn save_all(&mut self, shared: &Shared) -> Vec<Effect> {
        self.submit_all(shared)
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared) {
        self.draw(frame, area, shared);
    }
}

impl Review {
    /// The prompts of the list, in its order.
    fn prompts(&self) -> impl Iterator<Item = &Prompt> {
        self.shelf.iter().flat_map(|shelf| &shelf.prompts)
    }

    fn prompt(&self) -> Option<&Prompt> {
        self.prompts().nth(self.cursor)
    }

    fn spread<'a>(&'a self, shared: &Shared) -> Option<Spread<'a>> {
        let (shelf, prompt) = (self.shelf.as_ref()?, self.prompt()?);
        Some(match &self.across {
            Some(across) => Spread::across(shelf, prompt, across, self.at, &self.side_by_side(shelf, prompt), &shared.work),
            None => Spread::new(shelf, prompt, self.view_of(shelf), &shared.work),
        })
    }

    fn place(&self) -> Option<Place> {
        Some((self.prompt()?.id.clone(), self.temperature(self.shelf.as_ref()?), self.at))
    }

    fn areas(&self, area: Rect, shared: &Shared) -> Areas {
        let panes = self.spread(shared).map_or(0, |spread| spread.panes.len());
        Areas::new(area, self.wanted_areas(panes))
    }

    fn wanted_areas(&self, panes: usize) -> Wanted {
        Wanted {
            panes,
            pane: self.pane.min(panes.saturating_sub(1)),
            is_zoomed: self.is_zoomed,
            is_list_focused: self.focus == Focus::Prompts,
            foot: match self.mode {
                Mode::Rating(_) => Some(7),
                Mode::Marks(_) | Mode::Prompt(_) => Some(10),
                Mode::Ranking(_) | Mode::Comment(_) | Mode::Reading => None,
            },
        }
    }

    fn act_on_texts(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        match action {
            Action::NextPane => self.move_focus(1, shared),
            Action::PreviousPane => self.move_focus(-1, shared),
            Action::PreviousSample => self.walk(-1, shared),
            Action::NextSample => self.walk(1, shared),
            Action::ComparePicks => return self.compare_picks(shared),
            Action::HeatMap => return self.toggle_heat(shared),
            Action::Temperatures => return self.toggle_across(shared),
            Action::PreviousTemperature => return self.walk_temperatures(-1, shared),
            Action::NextTemperature => return self.walk_temperatures(1, shared),
            Action::Zoom => self.is_zoomed = !self.is_zoomed,
            Action::ScrollTogether => {
                self.scrolls_together = !self.scrolls_together;
                let how = if self.scrolls_together { "together" } else { "apart" };
                return vec![Effect::say(format!("the panes scroll {how}"))];
            }
            Action::Blind => {
                self.wants_blind = !self.wants_blind;
                return vec![Effect::say(match self.wants_blind {
                    true => "names are hidden until the verdict is in",
                    false => "names are shown: verdicts are recorded as not blind",
                })];
            }
            Action::Generate => return self.generate(shared),
            Action::StopGenerating if shared.work.reading().is_some() => return vec![Effect::StopReading],
            Action::FreePrompt => self.mode = Mode::Prompt(Box::new(TextInput::new(""))),
            Action::Marks => return self.list_marks(shared),
            Action::OpenDiff => return self.open_diff(shared),
            Action::Reload => return self.read_disk(shared),
            Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::First | Action::Last => self.motion(action, shared),
            action => return self.judge(action, shared),
        }
        vec![]
    }

    fn act_on_line(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if !matches!(action, Action::Accept | Action::Cancel) {
            return vec![];
        }
        match (std::mem::replace(&mut self.mode, Mode::Reading), action) {
            (Mode::Comment(line), Action::Accept) => self.comment(line.text(), shared),
            _ => vec![],
        }
    }

    fn act_on_prompt(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        let Mode::Prompt(prompt) = &mut self.mode else { return vec![] };
        match action {
            Action::Accept => {
                let text = prompt.text();
                self.mode = Mode::Reading;
                if text.trim().is_empty() { vec![] } else { self.ask(text.trim(), shared) }
            }
            Action::Cancel => {
                self.mode = Mode::Reading;
                vec![]
            }
            Action::ExternalEditor => vec![Effect::Do(Io::Edit { text: prompt.text(), extension: "md" })],
            action => {
                prompt.act(action, &shared.clipboard);
                vec![]
            }
        }
    }

    /// Asks for all that is on disk, once at a time.
    fn read_disk(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.is_reading_disk {
            self.is_stale = true;
            return vec![];
        }
        self.is_reading_disk = true;
        vec![Effect::task(Task::Read { wanted: self.wanted.clone(), training: training(shared).map(Path::to_owned) })]
    }

    fn on_read(&mut self, read: &Result<Shelf, String>, shared: &Shared) -> Vec<Effect> {
        self.is_reading_disk = false;
        if std::mem::take(&mut self.is_stale) {
            return self.read_disk(shared);
        }
        match read {
            Err(error) => {
                self.shelf = None;
                self.error = Some(error.clone());
            }
            Ok(shelf) => self.take_over(shelf.clone()),
        }
        vec![]
    }

    /// Keeps the cursor on its prompt, and prompts that are not on disk yet.
    fn take_over(&mut self, mut shelf: Shelf) {
        let under_cursor = self.prompt().map(|prompt| prompt.id.clone());
        self.own.retain(|own| shelf.prompts.iter().all(|prompt| prompt.id != own.id));
        for own in &self.own {
            shelf.prompts.push(Prompt { texts: vec![Default::default(); shelf.arms.len()], ..own.clone() });
        }
        let at = shelf.prompts.iter().position(|prompt| Some(&prompt.id) == under_cursor.as_ref());
        self.cursor = at.unwrap_or(0);
        self.columns.forget();
        self.marked.forget();
        self.across = None;
        self.heat = None;
        self.error = None;
        self.shelf = Some(shelf);
    }

    /// Remembers what lies open without a verdict: a verdict on it is no blind one any more.
    fn note_what_is_seen(&mut self, shared: &Shared) {
        let Some(spread) = self.spread(shared) else { return };
        if spread.is_across {
            let seen = self.seen_across(&spread);
            self.seen.extend(seen);
            return;
        }
        let has_text = spread.panes.iter().any(|pane| pane.content != Content::Missing);
        let is_open = !spread.is_hidden && spread.verdict.is_none() && has_text;
        if is_open && let Some(place) = self.place() {
            self.seen.insert(place);
        }
    }
}

/// The run that trains now.
fn training(shared: &Shared) -> Option<&Path> {
    shared.work.training().filter(|_| shared.work.is_training())?.state.run.as_deref()
}

/// The key of an action here, for texts that name it.
fn key(keymap: &Keymap, action: Action) -> String {
    keymap.key_for(Context::Review, action).map_or_else(|| "the palette".into(), |key| key.to_string())
}

#[cfg(test)]
mod tests;
