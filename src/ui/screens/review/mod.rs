//! The Review screen: every arm's answer to one prompt, read side by side and, until the verdict is in, blind.

mod columns;
mod draft;
mod judge;
mod layout;
mod shelf;
mod spread;
mod tasks;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::run::protocol::Arm;
use crate::ui::keys::{Action, Chord, Context, Keymap};
use crate::ui::message::{DiffSubject, Effect, Open, Revision};
use crate::ui::screen::{Screen, Shared};
use crate::ui::widgets::{LineInput, move_cursor};
use crate::ui::work::{News, ReadOrder};
use columns::Columns;
use draft::Draft;
use layout::{Areas, Wanted};
use shelf::{Prompt, Shelf};
use spread::{At, Content, Spread, is_ordered};

pub use tasks::{Done, Task};

/// A prompt and what was read of it.
type Place = (String, At);

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
    Comment(LineInput),
    Prompt(LineInput),
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
            wants_blind: true,
            seen: BTreeSet::new(),
            drafts: BTreeMap::new(),
            under_way: BTreeMap::new(),
            mode: Mode::Reading,
            is_zoomed: false,
            scrolls_together: true,
            tops: [0; 4],
            columns: Columns::default(),
            pace: None,
        }
    }
}

impl Screen for Review {
    fn contexts(&self) -> Vec<Context> {
        match self.mode {
            Mode::Reading => vec![Context::Review, Context::List],
            Mode::Rating(_) => vec![Context::Rate, Context::Review, Context::List],
            Mode::Comment(_) | Mode::Prompt(_) => vec![Context::Line],
        }
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        let effects = match self.mode {
            Mode::Comment(_) | Mode::Prompt(_) => self.act_on_line(action, shared),
            Mode::Rating(_) | Mode::Reading => self.act_on_texts(action, shared),
        };
        self.note_what_is_seen(shared);
        effects
    }

    fn on_key(&mut self, chord: Chord, _shared: &Shared) -> Vec<Effect> {
        if let Mode::Comment(line) | Mode::Prompt(line) = &mut self.mode {
            line.on_key(chord);
        }
        vec![]
    }

    fn on_paste(&mut self, text: &str, _shared: &Shared) -> Vec<Effect> {
        if let Mode::Comment(line) | Mode::Prompt(line) = &mut self.mode {
            line.insert(text);
        }
        vec![]
    }

    fn on_mouse(&mut self, mouse: MouseEvent, area: Rect, shared: &Shared) -> Vec<Effect> {
        if matches!(self.mode, Mode::Comment(_) | Mode::Prompt(_)) {
            return vec![];
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

    fn on_show(&mut self, _shared: &Shared) -> Vec<Effect> {
        self.read_disk()
    }

    fn on_open(&mut self, open: Open, _shared: &Shared) -> Vec<Effect> {
        let Open::Review(runs) = open else { return vec![] };
        self.wanted = runs;
        self.shelf = None;
        self.mode = Mode::Reading;
        self.at = At::Sample(0);
        self.read_disk()
    }

    fn on_done(&mut self, done: &crate::ui::tasks::Done, shared: &Shared) -> Vec<Effect> {
        let crate::ui::tasks::Done::Review(done) = done else { return vec![] };
        let effects = match done {
            Done::Read(read) => self.on_read(read),
            Done::Judged { verdict, verdicts } => self.on_judged(verdict, verdicts),
            Done::Picked(verdicts) => self.on_picked(verdicts),
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
            News::ReadingEnded { order, error } => {
                self.pace = None;
                let is_ours = self.shelf.as_ref().is_some_and(|shelf| shelf.runs.iter().any(|run| run.folder == order.run));
                if let Some(error) = error.as_ref().filter(|_| is_ours) {
                    return vec![Effect::error(error.clone())];
                }
            }
            // A new result: of the latest runs, another may be the latest now.
            News::TrainingEnded if self.shelf.is_some() || self.error.is_some() => return self.read_disk(),
            News::TrainingEnded | News::Training | News::Queue => {}
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
        Some(Spread::new(shelf, prompt, self.at, self.wants_blind, &shared.work))
    }

    fn place(&self) -> Option<Place> {
        Some((self.prompt()?.id.clone(), self.at))
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
            is_rating: matches!(self.mode, Mode::Rating(_)),
        }
    }

    fn act_on_texts(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        match action {
            Action::NextPane => self.move_focus(1, shared),
            Action::PreviousPane => self.move_focus(-1, shared),
            Action::PreviousSample => self.walk(-1, shared),
            Action::NextSample => self.walk(1, shared),
            Action::ComparePicks => return self.compare_picks(shared),
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
            Action::FreePrompt => self.mode = Mode::Prompt(LineInput::default()),
            Action::OpenDiff => return self.open_diff(shared),
            Action::Reload => return self.read_disk(),
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
            (Mode::Prompt(line), Action::Accept) if !line.text().trim().is_empty() => self.ask(line.text().trim(), shared),
            _ => vec![],
        }
    }

    fn motion(&mut self, action: Action, shared: &Shared) {
        let page = self.columns.page();
        if let Mode::Rating(dimension) = &mut self.mode
            && matches!(action, Action::Up | Action::Down)
        {
            let count = self.shelf.as_ref().zip(self.shelf.as_ref().and_then(|shelf| shelf.prompts.get(self.cursor)));
            let count = count.map_or(0, |(shelf, prompt)| crate::review::verdict::asked(&shelf.rubric, prompt.long).count());
            *dimension = move_cursor(*dimension, count, 1, action).unwrap_or(*dimension);
            return;
        }
        let by_page = matches!(action, Action::PageUp | Action::PageDown);
        if self.focus == Focus::Prompts && !by_page {
            if let Some(to) = move_cursor(self.cursor, self.prompts().count(), page, action) {
                self.go_to(to);
            }
            return;
        }
        let panes = self.spread(shared).map_or(0, |spread| spread.panes.len());
        let page = page as isize;
        let delta = match action {
            Action::Up => -1,
            Action::Down => 1,
            Action::PageUp => 1 - page,
            Action::PageDown => page - 1,
            Action::First => isize::MIN / 2,
            _ => isize::MAX / 2,
        };
        self.scroll(self.pane.min(panes.saturating_sub(1)), delta);
    }

    fn scroll(&mut self, pane: usize, delta: isize) {
        for (at, top) in self.tops.iter_mut().enumerate() {
            if at == pane || self.scrolls_together {
                *top = (*top).min(self.columns.last_top(at)).saturating_add_signed(delta).min(self.columns.last_top(at));
            }
        }
    }

    fn move_focus(&mut self, by: isize, shared: &Shared) {
        let panes = self.spread(shared).map_or(0, |spread| spread.panes.len()) as isize;
        // The list stands before the first pane; while scoring or zoomed in there are only panes.
        let first = if matches!(self.mode, Mode::Rating(_)) || self.is_zoomed { 0 } else { -1 };
        let now = if self.focus == Focus::Prompts { -1 } else { self.pane as isize };
        let count = panes - first;
        if count <= 0 {
            return;
        }
        match (now - first + by).rem_euclid(count) + first {
            -1 => self.focus = Focus::Prompts,
            pane => (self.focus, self.pane) = (Focus::Panes, pane as usize),
        }
    }

    fn go_to(&mut self, prompt: usize) {
        let to = prompt.min(self.prompts().count().saturating_sub(1));
        if to != self.cursor {
            self.cursor = to;
            self.at = At::Sample(0);
            self.tops = [0; 4];
            if matches!(self.mode, Mode::Rating(_)) {
                self.mode = Mode::Reading;
            }
        }
    }

    fn walk(&mut self, by: isize, shared: &Shared) {
        let Some((shelf, prompt)) = self.shelf.as_ref().zip(self.prompt()) else { return };
        let is_ordered = (0..shelf.runs.len()).any(|run| is_ordered(shelf, prompt, run, &shared.work));
        let count = if is_ordered { prompt.samples().max(shelf.samples) } else { prompt.samples() };
        let last = count.saturating_sub(1);
        self.at = match self.at {
            At::Sample(sample) => At::Sample(sample.saturating_add_signed(by).min(last)),
            At::Picks => At::Sample(0),
        };
        self.tops = [0; 4];
        if let Mode::Rating(dimension) = &mut self.mode {
            *dimension = 0;
        }
    }

    fn compare_picks(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.at == At::Picks {
            self.at = At::Sample(0);
            return vec![];
        }
        let before = std::mem::replace(&mut self.at, At::Picks);
        if self.spread(shared).is_none_or(|spread| spread.panes.iter().all(|pane| pane.sample.is_none())) {
            self.at = before;
            let key = key(&shared.keymap, Action::Pick);
            return vec![Effect::say(format!("nothing is picked of this prompt yet; {key} picks the best sample of an arm"))];
        }
        self.tops = [0; 4];
        vec![]
    }

    /// Draws what is missing, or what would come out otherwise by now.
    fn generate(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some((shelf, prompt)) = self.shelf.as_ref().zip(self.prompt()) else { return vec![] };
        let is_current = |run: usize| {
            let mut arms = (0..shelf.arms.len()).filter(|&arm| shelf.arms[arm].run == run);
            arms.all(|arm| (0..shelf.samples).all(|sample| prompt.texts[arm].get(&sample).is_some_and(|text| text.is_current)))
        };
        let asked: Vec<usize> = (0..shelf.runs.len()).filter(|&run| shelf.is_asked(prompt, run)).collect();
        let ready: Vec<usize> = asked.iter().copied().filter(|&run| shelf.runs[run].step.is_some()).collect();
        let left: Vec<usize> = ready.iter().copied().filter(|&run| !is_current(run)).collect();
        let new: Vec<usize> = left.iter().copied().filter(|&run| !is_ordered(shelf, prompt, run, &shared.work)).collect();
        if ready.is_empty() {
            let why = if asked.is_empty() { "no model here takes prompts for a long piece" } else { "these runs have no checkpoint yet" };
            return vec![Effect::warn(format!("nothing can be drawn: {why}"))];
        }
        if left.is_empty() {
            let text = "all samples of this prompt are drawn, and would come out the same; more of them, or another temperature, are set in configs/sampling.yaml";
            return vec![Effect::say(text)];
        }
        if new.is_empty() {
            return vec![Effect::say("samples of this prompt are being drawn already")];
        }
        let order = |run: usize| ReadOrder {
            run: shelf.runs[run].folder.clone(),
            arms: vec![Arm::Base, Arm::Tuned],
            prompts: vec![(prompt.id.clone(), prompt.text.clone())],
            samples: None,
            temperature: None,
        };
        let mut effects: Vec<Effect> = new.into_iter().map(|run| Effect::Order(order(run).into())).collect();
        if shared.work.is_training() {
            effects.push(Effect::say("a run is training: other models' samples are drawn when it has ended"));
        }
        effects
    }

    /// Puts a prompt of the writer's own to every arm.
    fn ask(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        let Some(shelf) = &mut self.shelf else { return vec![] };
        let mut prompt = Prompt::free(text);
        let at = match shelf.prompts.iter().position(|other| other.id == prompt.id) {
            Some(at) => at,
            None => {
                prompt.texts = vec![Default::default(); shelf.arms.len()];
                self.own.push(prompt.clone());
                shelf.prompts.push(prompt);
                shelf.prompts.len() - 1
            }
        };
        self.go_to(at);
        self.generate(shared)
    }

    fn open_diff(&self, shared: &Shared) -> Vec<Effect> {
        let (Some(prompt), Some(spread)) = (self.prompt(), self.spread(shared)) else { return vec![] };
        let mut revisions = vec![];
        let mut shown = 0;
        for (at, pane) in spread.panes.iter().enumerate() {
            if let (Content::Whole(text), Some(sample)) = (&pane.content, pane.sample) {
                if at == self.pane {
                    shown = revisions.len();
                }
                revisions.push(Revision { arm: pane.title.clone(), sample, text: text.text.clone() });
            }
        }
        if revisions.is_empty() {
            let key = key(&shared.keymap, Action::Generate);
            return vec![Effect::say(format!("there is no text to compare with the prompt yet; {key} draws samples"))];
        }
        let (title, draft, finished) = (prompt.name.clone(), prompt.text.clone(), prompt.finished.clone());
        vec![Effect::Open(Open::Diff(DiffSubject { title, draft, revisions, shown, finished }))]
    }

    /// Asks for all that is on disk, once at a time.
    fn read_disk(&mut self) -> Vec<Effect> {
        if self.is_reading_disk {
            self.is_stale = true;
            return vec![];
        }
        self.is_reading_disk = true;
        vec![Effect::task(Task::Read { wanted: self.wanted.clone() })]
    }

    fn on_read(&mut self, read: &Result<Shelf, String>) -> Vec<Effect> {
        self.is_reading_disk = false;
        if std::mem::take(&mut self.is_stale) {
            return self.read_disk();
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
        self.error = None;
        self.shelf = Some(shelf);
    }

    fn keep_pace(&mut self, shared: &Shared) {
        let Some(reading) = shared.work.reading().filter(|reading| reading.tokens > 0) else {
            self.pace = None;
            return;
        };
        let (since, _) = *self.pace.get_or_insert((Instant::now(), 0.0));
        let seconds = since.elapsed().as_secs_f64();
        self.pace = Some((since, if seconds > 0.5 { reading.tokens as f64 / seconds } else { 0.0 }));
    }

    /// Remembers what lies open without a verdict: a verdict on it is no blind one any more.
    fn note_what_is_seen(&mut self, shared: &Shared) {
        let is_open = self.spread(shared).is_some_and(|spread| {
            let has_text = spread.panes.iter().any(|pane| pane.content != Content::Missing);
            !spread.is_hidden && spread.verdict.is_none() && has_text
        });
        if is_open && let Some(place) = self.place() {
            self.seen.insert(place);
        }
    }
}

/// The key of an action here, for texts that name it.
fn key(keymap: &Keymap, action: Action) -> String {
    keymap.key_for(Context::Review, action).map_or_else(|| "the palette".into(), |key| key.to_string())
}

#[cfg(test)]
mod tests;
