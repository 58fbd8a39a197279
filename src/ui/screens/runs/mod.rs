//! The Runs screen: every run as a table, its curves and settings, and runs side by side.

mod canaries;
mod compare;
mod details;
mod look;
mod row;
mod table;
mod tasks;
mod view;
mod voice;

use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::run::summary::State;
use crate::ui::keys::{Action, Chord, Context};
use crate::ui::message::{Effect, Open};
use crate::ui::screen::{Screen, Shared};
use crate::ui::tasks::Done as AnyDone;
use crate::ui::widgets::{LineInput, move_cursor, window};
use crate::ui::work::News;

use look::Look;
use row::{Entry, Listing, Row};
use tasks::Measured;
pub use tasks::{Desk, Done, Task};

/// As many as there are curves that can be told apart.
const MOST_MARKED: usize = 6;

/// Every how many ticks the folder is looked at, where a run is training.
const LIST_EVERY: u32 = 4;

#[derive(Debug, Default)]
pub struct Runs {
    /// `None` until they were listed; or why they cannot be.
    listed: Option<Result<Listing, String>>,
    /// Indices into the listed that match the filter.
    found: Vec<usize>,
    filter: LineInput,
    is_typing: bool,
    cursor: usize,
    /// Folders, in the order in which they were marked.
    marked: Vec<PathBuf>,
    looks: HashMap<PathBuf, Result<Box<Look>, String>>,
    voice: Option<Voice>,
    mode: Mode,
    /// Lines that the text of the mode is scrolled by; it is kept inside the text when it is drawn.
    scroll: Cell<usize>,
    is_listing: bool,
    /// The look under way, and those that wait.
    looking: Vec<PathBuf>,
    ticks: u32,
}

/// The runs whose voice was asked for last, and what came of it.
#[derive(Debug)]
struct Voice {
    folders: Vec<PathBuf>,
    found: Option<Result<Box<Measured>, String>>,
}

/// What the screen shows below or in place of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    /// The table, and curves below it.
    #[default]
    Table,
    /// One run's settings, checkpoints and journal.
    Details,
    /// The marked runs side by side.
    Compare,
    /// What the canaries say of every run.
    Canaries,
    /// The voice of the marked runs, or of the one under the cursor.
    Voice,
}

impl Runs {
    fn entries(&self) -> &[Entry] {
        match &self.listed {
            Some(Ok(listing)) => &listing.entries,
            _ => &[],
        }
    }

    /// Why no reading is counted, where none is.
    fn uncounted(&self) -> Option<&str> {
        self.listed.as_ref()?.as_ref().ok()?.uncounted.as_deref()
    }

    fn chosen(&self) -> Option<&Entry> {
        self.entries().get(*self.found.get(self.cursor)?)
    }

    fn row(&self, folder: &Path) -> Option<(&Entry, &Row)> {
        let entry = self.entries().iter().find(|entry| entry.folder == folder)?;
        Some((entry, entry.run.as_ref().ok()?))
    }

    /// The runs whose curves are drawn: the marked ones, and the one under the cursor.
    fn drawn(&self) -> Vec<&Path> {
        let mut folders: Vec<&Path> = self.marked.iter().map(PathBuf::as_path).collect();
        if let Some(chosen) = self.chosen().filter(|entry| self.mode != Mode::Compare && entry.run.is_ok()) {
            folders.retain(|folder| *folder != chosen.folder);
            folders.truncate(MOST_MARKED - 1);
            folders.push(&chosen.folder);
        }
        folders
    }

    fn list(&mut self) -> Vec<Effect> {
        if std::mem::replace(&mut self.is_listing, true) { vec![] } else { vec![Effect::task(Task::List)] }
    }

    fn search(&mut self) {
        let wanted = self.filter.text().to_lowercase();
        let words: Vec<&str> = wanted.split_whitespace().collect();
        let matches = |entry: &Entry| {
            let text = entry.haystack();
            words.iter().all(|word| text.contains(word))
        };
        let was = self.chosen().map(|entry| entry.folder.clone());
        self.found = (0..self.entries().len()).filter(|&i| matches(&self.entries()[i])).collect();
        let at = self.found.iter().position(|&i| Some(&self.entries()[i].folder) == was.as_ref());
        self.cursor = at.unwrap_or(self.cursor).min(self.found.len().saturating_sub(1));
    }

    /// Asks for what is drawn and is not known yet.
    fn look_where_needed(&mut self) -> Vec<Effect> {
        let missing: Vec<PathBuf> =
            self.drawn().into_iter().filter(|folder| !self.looks.contains_key(*folder)).map(Path::to_owned).collect();
        missing.into_iter().flat_map(|folder| self.look(folder)).collect()
    }

    fn look(&mut self, folder: PathBuf) -> Option<Effect> {
        if self.looking.contains(&folder) {
            return None;
        }
        self.looking.push(folder.clone());
        Some(Effect::task(Task::Look(folder)))
    }

    fn moved(&mut self) -> Vec<Effect> {
        self.scroll.set(0);
        self.look_where_needed()
    }

    fn mark(&mut self) -> Vec<Effect> {
        let Some(entry) = self.chosen() else { return vec![] };
        let folder = entry.folder.clone();
        if let Err(reason) = &entry.run {
            return vec![Effect::warn(format!("this is no run that can be used: {reason}"))];
        }
        match self.marked.iter().position(|marked| *marked == folder) {
            Some(at) => {
                self.marked.remove(at);
            }
            None if self.marked.len() >= MOST_MARKED => {
                return vec![Effect::warn(format!("{MOST_MARKED} runs are marked, which is as many as can be told apart"))];
            }
            None => self.marked.push(folder),
        }
        self.cursor = (self.cursor + 1).min(self.found.len().saturating_sub(1));
        self.moved()
    }

    fn compare(&mut self, shared: &Shared) -> Vec<Effect> {
        // One marked run is compared with the one under the cursor.
        if let (1, Some(chosen)) = (self.marked.len(), self.chosen().filter(|entry| entry.run.is_ok()))
            && chosen.folder != self.marked[0]
        {
            let folder = chosen.folder.clone();
            self.marked.push(folder);
        }
        if self.marked.len() < 2 {
            let key = shared.keymap.key_for(Context::Runs, Action::MarkRun).map_or("the palette".to_owned(), |key| key.to_string());
            return vec![Effect::warn(format!("mark two runs or more with {key}, then compare them"))];
        }
        self.mode = Mode::Compare;
        self.moved()
    }

    /// Shows the voice of the marked runs, or of the one under the cursor.
    fn measure(&mut self) -> Vec<Effect> {
        let folders = match (self.marked.is_empty(), self.chosen()) {
            (false, _) => self.marked.clone(),
            (true, Some(Entry { folder, run: Ok(_), .. })) => vec![folder.clone()],
            (true, Some(Entry { run: Err(reason), .. })) => {
                return vec![Effect::warn(format!("this is no run that can be used: {reason}"))];
            }
            (true, None) => return vec![],
        };
        self.mode = Mode::Voice;
        self.scroll.set(0);
        self.voice = Some(Voice { folders: folders.clone(), found: None });
        vec![Effect::task(Task::Measure(folders))]
    }

    fn leave(&mut self) -> Vec<Effect> {
        self.scroll.set(0);
        if self.mode != Mode::Table {
            self.mode = Mode::Table;
        } else if !self.filter.text().is_empty() {
            self.filter = LineInput::default();
            self.search();
        } else {
            self.marked.clear();
        }
        self.look_where_needed()
    }

    /// Opens the marked runs in Review, or the one under the cursor.
    fn review(&self) -> Vec<Effect> {
        let folders = match (self.marked.is_empty(), self.chosen()) {
            (false, _) => self.marked.clone(),
            (true, Some(Entry { folder, run: Ok(_), .. })) => vec![folder.clone()],
            (true, Some(Entry { run: Err(reason), .. })) => {
                return vec![Effect::warn(format!("this is no run that can be used: {reason}"))];
            }
            (true, None) => return vec![],
        };
        vec![Effect::Open(Open::Review(folders))]
    }

    fn resume(&self) -> Vec<Effect> {
        match self.chosen() {
            Some(Entry { folder, run: Ok(row), .. }) => match row.summary.state {
                State::Running => vec![Effect::warn("this run is training now")],
                State::Finished => vec![Effect::warn("this run has done all of its steps; start a new one, for example with more epochs")],
                State::New | State::Stopped | State::Failed | State::Interrupted => vec![Effect::Open(Open::Resume(folder.clone()))],
            },
            Some(Entry { run: Err(reason), .. }) => vec![Effect::warn(format!("this is no run that can be used: {reason}"))],
            None => vec![],
        }
    }

    fn scroll_text(&mut self, by: isize) {
        self.scroll.set(self.scroll.get().saturating_add_signed(by));
    }

    fn is_running(&self) -> bool {
        self.entries().iter().any(|entry| matches!(&entry.run, Ok(row) if row.summary.state == State::Running))
    }
}

impl Screen for Runs {
    fn contexts(&self) -> Vec<Context> {
        if self.is_typing { vec![Context::Line] } else { vec![Context::Runs, Context::List] }
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if self.is_typing {
            match action {
                Action::Accept => self.is_typing = false,
                Action::Cancel => {
                    self.is_typing = false;
                    self.filter = LineInput::default();
                    self.search();
                }
                _ => {}
            }
            return self.moved();
        }
        match action {
            Action::OpenRun => return self.review(),
            Action::MarkRun if matches!(self.mode, Mode::Table | Mode::Details) => return self.mark(),
            Action::CompareRuns if self.mode == Mode::Compare => return self.leave(),
            Action::CompareRuns => return self.compare(shared),
            Action::RunDetails => {
                self.mode = if self.mode == Mode::Details { Mode::Table } else { Mode::Details };
                return self.moved();
            }
            Action::RunCanaries => {
                self.mode = if self.mode == Mode::Canaries { Mode::Table } else { Mode::Canaries };
                return self.moved();
            }
            Action::RunVoice if self.mode == Mode::Voice => return self.leave(),
            Action::RunVoice => return self.measure(),
            Action::ResumeRun => return self.resume(),
            Action::Reload => return self.list(),
            Action::Leave => return self.leave(),
            Action::Filter => {
                self.mode = Mode::Table;
                self.is_typing = true;
            }
            _ => {}
        }
        if self.mode != Mode::Table {
            match action {
                Action::Up => self.scroll_text(-1),
                Action::Down => self.scroll_text(1),
                Action::PageUp => self.scroll_text(-10),
                Action::PageDown => self.scroll_text(10),
                Action::First => self.scroll.set(0),
                Action::Last => self.scroll.set(usize::MAX),
                _ => {}
            }
            return vec![];
        }
        match move_cursor(self.cursor, self.found.len(), 10, action) {
            Some(to) => {
                self.cursor = to;
                self.moved()
            }
            None => vec![],
        }
    }

    fn on_key(&mut self, chord: Chord, _shared: &Shared) -> Vec<Effect> {
        if self.is_typing && self.filter.on_key(chord) {
            self.search();
            return self.moved();
        }
        vec![]
    }

    fn on_paste(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        if self.is_typing {
            self.filter.insert(text);
            self.search();
            return self.moved();
        }
        vec![]
    }

    fn on_mouse(&mut self, mouse: MouseEvent, area: Rect, _shared: &Shared) -> Vec<Effect> {
        let [list, _] = view::areas(area, self.entries().len());
        let rows = view::rows_of(list, self);
        let by = match mouse.kind {
            MouseEventKind::ScrollUp => -1,
            MouseEventKind::ScrollDown => 1,
            MouseEventKind::Down(MouseButton::Left)
                if self.mode == Mode::Table && rows.contains(Position::new(mouse.column, mouse.row)) =>
            {
                let to = window(self.cursor, self.found.len(), rows.height as usize).start + (mouse.row - rows.y) as usize;
                if to < self.found.len() {
                    self.cursor = to;
                }
                return self.moved();
            }
            _ => return vec![],
        };
        if self.mode == Mode::Table {
            self.cursor = self.cursor.saturating_add_signed(by).min(self.found.len().saturating_sub(1));
            return self.moved();
        }
        self.scroll_text(3 * by);
        vec![]
    }

    fn on_show(&mut self, _shared: &Shared) -> Vec<Effect> {
        self.list()
    }

    fn on_done(&mut self, done: &AnyDone, _shared: &Shared) -> Vec<Effect> {
        let AnyDone::Runs(done) = done else { return vec![] };
        match done {
            Done::Listed(listed) => {
                self.is_listing = false;
                self.listed = Some(listed.clone());
                let is_there = |folder: &PathBuf| self.entries().iter().any(|entry| entry.folder == *folder && entry.run.is_ok());
                let marked = self.marked.iter().filter(|folder| is_there(folder)).cloned().collect();
                self.marked = marked;
                self.search();
                // What was looked at may have got on.
                let drawn: Vec<PathBuf> = self.drawn().into_iter().map(Path::to_owned).collect();
                self.looks.retain(|folder, _| drawn.contains(folder));
                drawn.into_iter().filter_map(|folder| self.look(folder)).collect()
            }
            Done::Measured { folders, voice } => {
                if let Some(asked) = self.voice.as_mut().filter(|asked| asked.folders == *folders) {
                    asked.found = Some(voice.clone());
                }
                vec![]
            }
            Done::Looked { folder, look } => {
                self.looking.retain(|other| other != folder);
                self.looks.insert(folder.clone(), look.clone());
                vec![]
            }
        }
    }

    fn on_news(&mut self, news: &News, _shared: &Shared) -> Vec<Effect> {
        // Until they are shown for the first time, nobody waits for them.
        if *news == News::TrainingEnded && self.listed.is_some() { self.list() } else { vec![] }
    }

    fn on_tick(&mut self, _shared: &Shared) -> Vec<Effect> {
        if !self.is_running() {
            return vec![];
        }
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(LIST_EVERY) {
            return self.list();
        }
        let is_running = |folder: &&Path| self.row(folder).is_some_and(|(_, row)| row.summary.state == State::Running);
        let running: Vec<PathBuf> = self.drawn().into_iter().filter(is_running).map(Path::to_owned).collect();
        running.into_iter().filter_map(|folder| self.look(folder)).collect()
    }

    fn wants_tick(&self) -> bool {
        self.is_running()
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared) {
        view::view(frame, area, self, shared);
    }
}

#[cfg(test)]
mod tests;
