//! The application: passes messages to the screens, serves what they ask of one another, and draws the frame around them.

use std::ops::Range;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use super::foot;
use super::keys::{Action, Chord, Context, Keymap};
use super::message::{Effect, Io, Msg, Notice, Open, Tab};
use super::overlay::{Answer, Overlay};
use super::prose::visible;
use super::screen::{Screen, Shared};
use super::screens::{diff, pairs, review, runs, train};
use super::settings::Settings;
use super::tasks::Done;
use super::theme::Theme;
use super::work::{News, Order, Outcomes, Work};
use crate::config::Workspace;
use crate::run::journal::counted;
use crate::run::worker::Request;

/// Below this nothing can be read.
const SMALLEST: (u16, u16) = (40, 12);

#[derive(Debug)]
pub struct App {
    shared: Shared,
    pairs: pairs::Pairs,
    train: train::Train,
    review: review::Review,
    diff: diff::Diff,
    runs: runs::Runs,
    tab: Tab,
    overlay: Option<Overlay>,
    notice: Option<Notice>,
    size: Rect,
    /// Leave as soon as the saves under way have been done.
    is_leaving: bool,
    /// The screen that waits for `$EDITOR`.
    edited_for: Tab,
}

impl App {
    pub fn new(workspace: Workspace, settings: Settings, keymap: Keymap, theme: Theme, size: (u16, u16)) -> (App, Vec<Io>) {
        let shared = Shared { workspace, settings, keymap, theme, work: Work::default(), clipboard: String::new() };
        let mut app = App {
            shared,
            pairs: pairs::Pairs::default(),
            train: train::Train::default(),
            review: review::Review::default(),
            diff: diff::Diff::default(),
            runs: runs::Runs::default(),
            tab: Tab::Pairs,
            overlay: None,
            notice: None,
            size: Rect::new(0, 0, size.0, size.1),
            is_leaving: false,
            edited_for: Tab::Pairs,
        };
        let mut effects = app.with_screen(|screen, shared| screen.on_show(shared));
        effects.push(Effect::Do(Io::Attach));
        let io = app.serve(effects);
        (app, io)
    }

    /// Takes one message in. What comes back is for the loop to carry out.
    pub fn update(&mut self, msg: Msg) -> Vec<Io> {
        let effects = match msg {
            Msg::Key(chord) => self.on_key(chord),
            Msg::Paste(text) => match &mut self.overlay {
                Some(overlay) => {
                    overlay.on_paste(&text, &self.shared.keymap);
                    vec![]
                }
                None => self.with_screen(|screen, shared| screen.on_paste(&text, shared)),
            },
            Msg::Mouse(mouse) => self.on_mouse(mouse),
            Msg::Resize(width, height) => {
                self.size = Rect::new(0, 0, width, height);
                vec![]
            }
            Msg::Tick => self.each(|screen, shared| screen.on_tick(shared)),
            Msg::Worker(report) => {
                let out = self.shared.work.on_report(report);
                return self.work_got_on(out);
            }
            Msg::WorkerGone(last_words) => {
                let out = self.shared.work.on_gone(last_words.as_deref());
                return self.work_got_on(out);
            }
            Msg::NoWorker(error) => {
                let out = self.shared.work.on_refused(&error);
                return self.work_got_on(out);
            }
            Msg::Done(Done::Work(done)) => {
                let out = self.shared.work.on_done(done);
                return self.work_got_on(out);
            }
            Msg::Done(done) => self.each(|screen, shared| screen.on_done(&done, shared)),
            Msg::Edited(Ok(text)) => {
                let tab = self.edited_for;
                self.at(tab, |screen, shared| screen.on_edited(&text, shared))
            }
            Msg::Edited(Err(error)) | Msg::Fault(error) => vec![Effect::error(error)],
            Msg::Terminate => {
                let mut effects = self.each(|screen, shared| screen.keep_all(shared));
                effects.push(Effect::Do(Io::Quit));
                effects
            }
        };
        let mut io = self.serve(effects);
        if self.is_leaving && self.unsaved().is_empty() {
            io.push(Io::Quit);
        }
        io
    }

    /// Whether [`Msg::Tick`] is wanted.
    pub fn wants_tick(&self) -> bool {
        self.screens().iter().any(|screen| screen.wants_tick())
    }

    pub fn view(&self, frame: &mut Frame) {
        let area = frame.area();
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let text = format!("too small: {} x {}\nneeded: {} x {}", area.width, area.height, SMALLEST.0, SMALLEST.1);
            frame.render_widget(Paragraph::new(text).style(self.shared.theme.text), area);
            return;
        }
        let [head, body, foot] = areas(area);
        self.view_head(frame, head);
        self.screens()[self.tab as usize].view(frame, body, &self.shared);
        foot::draw(frame, foot, self.notice.as_ref(), self.shared.keymap.hints(&self.contexts()), &self.shared.theme);
        if let Some(overlay) = &self.overlay {
            overlay.view(frame, area, &self.shared.keymap, &self.shared.theme);
        }
    }

    /// The screen in front, for tests.
    pub fn tab(&self) -> Tab {
        self.tab
    }

    fn on_key(&mut self, chord: Chord) -> Vec<Effect> {
        self.notice = None;
        // Whoever goes on working has not left.
        self.is_leaving = false;
        let contexts = self.contexts();
        let action = self.shared.keymap.action(&contexts, chord);
        if let Some(overlay) = &mut self.overlay {
            let answer = match action {
                Some(action) => overlay.act(action, &self.shared.keymap),
                None => overlay.on_key(chord, &self.shared.keymap),
            };
            return self.answer(answer);
        }
        match action {
            Some(action) => self.act(action),
            None => self.with_screen(|screen, shared| screen.on_key(chord, shared)),
        }
    }

    fn answer(&mut self, answer: Answer) -> Vec<Effect> {
        if answer != Answer::Stay {
            self.overlay = None;
        }
        match answer {
            Answer::Stay | Answer::Close => vec![],
            Answer::Run(action) => self.act(action),
            Answer::Quit { stops } => {
                let mut effects = self.each(|screen, shared| screen.keep_all(shared));
                effects.extend(stops.then_some(Effect::Do(Io::Worker(Request::StopAll))));
                effects.push(Effect::Do(Io::Quit));
                effects
            }
            Answer::SaveAndQuit { stops } => {
                self.is_leaving = true;
                let mut effects = self.each(|screen, shared| screen.save_all(shared));
                effects.extend(stops.then_some(Effect::Do(Io::Worker(Request::StopAll))));
                effects
            }
        }
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::ShowPairs => vec![Effect::Show(Tab::Pairs)],
            Action::ShowTrain => vec![Effect::Show(Tab::Train)],
            Action::ShowReview => vec![Effect::Show(Tab::Review)],
            Action::ShowDiff => vec![Effect::Show(Tab::Diff)],
            Action::ShowRuns => vec![Effect::Show(Tab::Runs)],
            Action::Help => {
                self.overlay = Some(Overlay::help(self.contexts()));
                vec![]
            }
            Action::Palette => {
                self.overlay = Some(Overlay::palette(self.contexts(), &self.shared.keymap));
                vec![]
            }
            Action::Suspend => vec![Effect::Do(Io::Suspend)],
            Action::Redraw => vec![Effect::Do(Io::Redraw)],
            Action::NextTheme => {
                self.shared.theme = self.shared.theme.next();
                vec![Effect::say(format!("theme: {}", self.shared.theme.name()))]
            }
            Action::Quit => {
                let (unsaved, work) = (self.unsaved(), self.work_that_goes_on());
                if unsaved.is_empty() && work.is_none() {
                    return vec![Effect::Do(Io::Quit)];
                }
                self.overlay = Some(Overlay::leave(unsaved, work));
                vec![]
            }
            action => self.with_screen(|screen, shared| screen.act(action, shared)),
        }
    }

    fn on_mouse(&mut self, mouse: MouseEvent) -> Vec<Effect> {
        let [head, body, _] = areas(self.size);
        if let Some(overlay) = &mut self.overlay {
            let action = match mouse.kind {
                MouseEventKind::ScrollUp => Action::Up,
                MouseEventKind::ScrollDown => Action::Down,
                _ => return vec![],
            };
            let answer = overlay.act(action, &self.shared.keymap);
            return self.answer(answer);
        }
        let at = Position::new(mouse.column, mouse.row);
        if head.contains(at) && mouse.kind == MouseEventKind::Down(MouseButton::Left) {
            let place = tab_places(self.tab, head.width).into_iter().find(|place| place.columns.contains(&at.x));
            return place.map(|place| Effect::Show(place.tab)).into_iter().collect();
        }
        // A drag that began on the screen may leave it.
        let is_drag = matches!(mouse.kind, MouseEventKind::Drag(_) | MouseEventKind::Up(_));
        match body.contains(at) || is_drag {
            true => self.with_screen(|screen, shared| screen.on_mouse(mouse, body, shared)),
            false => vec![],
        }
    }

    /// Serves what concerns other screens or the work; what is left is for the loop.
    fn serve(&mut self, effects: Vec<Effect>) -> Vec<Io> {
        let mut io = vec![];
        let mut waiting: std::collections::VecDeque<Effect> = effects.into();
        while let Some(effect) = waiting.pop_front() {
            let more = match effect {
                Effect::Do(Io::Edit { text, extension }) => {
                    self.edited_for = self.tab;
                    io.push(Io::Edit { text, extension });
                    vec![]
                }
                Effect::Do(Io::Copy(text)) => {
                    self.shared.clipboard.clone_from(&text);
                    io.push(Io::Copy(text));
                    vec![]
                }
                Effect::Do(one) => {
                    io.push(one);
                    vec![]
                }
                Effect::Notify(notice) => {
                    self.notice = Some(notice);
                    vec![]
                }
                Effect::Show(tab) => self.show(tab),
                Effect::Open(open) => {
                    let tab = match &open {
                        Open::Pair(_) => Tab::Pairs,
                        Open::Review(_) => Tab::Review,
                        Open::Diff(_) => Tab::Diff,
                        Open::Resume(_) => Tab::Train,
                    };
                    let mut effects = self.show(tab);
                    effects.extend(self.with_screen(|screen, shared| screen.on_open(open, shared)));
                    effects
                }
                Effect::Order(order) => {
                    let out = self.shared.work.order(order);
                    self.follow(out)
                }
                Effect::StopTraining => {
                    let out = self.shared.work.stop_training();
                    self.follow(out)
                }
                Effect::StopReading => {
                    let out = self.shared.work.stop_reading();
                    self.follow(out)
                }
                Effect::Cancel(index) => {
                    let out = self.shared.work.cancel(index);
                    self.follow(out)
                }
            };
            waiting.extend(more);
        }
        io
    }

    fn work_got_on(&mut self, out: Outcomes) -> Vec<Io> {
        let effects = self.follow(out);
        self.serve(effects)
    }

    /// Tells the screens what has changed in the work.
    fn follow(&mut self, out: Outcomes) -> Vec<Effect> {
        let mut effects = out.effects;
        for news in out.news {
            if news == News::TrainingEnded && self.tab != Tab::Train {
                effects.push(self.say_how_it_ended());
            }
            effects.extend(self.each(|screen, shared| screen.on_news(&news, shared)));
        }
        effects
    }

    fn say_how_it_ended(&self) -> Effect {
        match self.shared.work.training() {
            Some(training) => match &training.state.error {
                Some(error) => Effect::error(format!("{}: {error}", training.state.order.name)),
                None => Effect::say(format!("{}: the run has ended", training.state.order.name)),
            },
            None => Effect::say("the run has ended"),
        }
    }

    fn show(&mut self, tab: Tab) -> Vec<Effect> {
        self.tab = tab;
        let mut effects = self.with_screen(|screen, shared| screen.on_show(shared));
        // Another terminal may have begun a run meanwhile.
        if matches!(tab, Tab::Train | Tab::Runs) {
            effects.push(Effect::Do(Io::Attach));
        }
        effects
    }

    fn contexts(&self) -> Vec<Context> {
        let mut contexts = match &self.overlay {
            Some(overlay) => return overlay.contexts(),
            None => self.screens()[self.tab as usize].contexts(),
        };
        contexts.push(Context::Global);
        contexts
    }

    fn unsaved(&self) -> Vec<String> {
        self.screens().iter().filter_map(|screen| screen.at_stake()).collect()
    }

    /// What the worker is left with, in words, where that is a run.
    fn work_that_goes_on(&self) -> Option<String> {
        let work = &self.shared.work;
        let training = work.training().filter(|_| work.is_training())?;
        let name = visible(&training.state.order.name);
        let waiting = match work.queue().count() {
            0 => String::new(),
            n => format!(", and {} after it", counted(n, "order")),
        };
        Some(format!("{name} is training{waiting}. It needs no terminal: the next `voicetune` shows it again."))
    }

    fn screens(&self) -> [&dyn Screen; 5] {
        [&self.pairs, &self.train, &self.review, &self.diff, &self.runs]
    }

    fn with_screen(&mut self, change: impl FnOnce(&mut dyn Screen, &Shared) -> Vec<Effect>) -> Vec<Effect> {
        self.at(self.tab, change)
    }

    fn at(&mut self, tab: Tab, change: impl FnOnce(&mut dyn Screen, &Shared) -> Vec<Effect>) -> Vec<Effect> {
        let shared = &self.shared;
        match tab {
            Tab::Pairs => change(&mut self.pairs, shared),
            Tab::Train => change(&mut self.train, shared),
            Tab::Review => change(&mut self.review, shared),
            Tab::Diff => change(&mut self.diff, shared),
            Tab::Runs => change(&mut self.runs, shared),
        }
    }

    fn each(&mut self, mut change: impl FnMut(&mut dyn Screen, &Shared) -> Vec<Effect>) -> Vec<Effect> {
        Tab::ALL.into_iter().flat_map(|tab| self.at(tab, &mut change)).collect()
    }

    fn view_head(&self, frame: &mut Frame, area: Rect) {
        let theme = &self.shared.theme;
        let places = tab_places(self.tab, area.width);
        let mut spans = vec![Span::raw(" ")];
        for place in &places {
            let style = if place.tab == self.tab { theme.title.patch(theme.accent) } else { theme.faint };
            spans.push(Span::styled(place.text.as_str(), style));
        }
        frame.render_widget(Line::from(spans), area);
        let right = self.status();
        let width = right.width() as u16;
        let left = places.last().map_or(0, |place| place.columns.end);
        if left + width < area.width {
            frame.render_widget(Span::styled(right, theme.faint), Rect { x: area.right() - width - 1, width, ..area });
        }
    }

    /// What goes on behind the screen in front.
    fn status(&self) -> String {
        let work = &self.shared.work;
        if let Some(training) = work.training().filter(|_| work.is_training()) {
            let step = training.history.steps.last().map_or(0, |step| step.step);
            return match training.state.steps {
                0 => format!("preparing {}", training.state.order.name),
                steps => format!("training {} · step {step} of {steps}", training.state.order.name),
            };
        }
        if let Some(reading) = work.reading() {
            return format!("drawing samples · {} of {}", reading.state.done, reading.state.total);
        }
        if work.scoring().is_some() {
            return "scoring a text".into();
        }
        let root = self.shared.workspace.root();
        visible(&root.file_name().map_or_else(|| root.display().to_string(), |name| name.to_string_lossy().into_owned()))
    }
}

/// Tabs above, keys and notices below, the screen between.
fn areas(area: Rect) -> [Rect; 3] {
    Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area)
}

/// A tab in the head.
struct TabPlace {
    tab: Tab,
    text: String,
    columns: Range<u16>,
}

/// Every tab with its name; where there is no room for that, the others by their numbers.
fn tab_places(current: Tab, width: u16) -> Vec<TabPlace> {
    let named: usize = 1 + Tab::ALL.iter().map(|tab| tab.title().len() + 5).sum::<usize>();
    let is_short = named > usize::from(width);
    let mut x = 1;
    let place = |(i, tab): (usize, Tab)| {
        let mark = if tab == current { "▸" } else { " " };
        let text = match is_short && tab != current {
            true => format!("{mark}{}  ", i + 1),
            false => format!("{mark}{} {}  ", i + 1, tab.title()),
        };
        let columns = x..x + text.width() as u16;
        x = columns.end;
        TabPlace { tab, text, columns }
    };
    Tab::ALL.into_iter().enumerate().map(place).collect()
}

/// What an order comes to, for screens that queue several at once.
impl From<Order> for Effect {
    fn from(order: Order) -> Effect {
        Effect::Order(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tab_has_a_place_at_every_width() {
        let check = |width: u16, expected: &str| {
            let places = tab_places(Tab::Review, width);
            let shown: String = places.iter().map(|place| place.text.as_str()).collect();
            assert_eq!(shown.trim_end(), expected);
            assert!(places.iter().all(|place| place.columns.end <= width), "{width}");
        };
        check(80, " 1 Pairs   2 Train  ▸3 Review   4 Diff   5 Runs");
        check(40, " 1   2  ▸3 Review   4   5");
    }
}
