//! The Diff screen: a draft beside what became of it. Without a subject, the writer's own drafts beside her finished texts.

mod comparison;
mod drafts;
mod layout;
mod reading;
mod tasks;
mod view;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::Frame;
use ratatui::layout::Rect;

use crate::pairs::Pair;
use crate::ui::keys::{Action, Context};
use crate::ui::message::{DiffSubject, Effect, Open, Revision};
use crate::ui::screen::{Screen, Shared};
use crate::ui::tasks::Done as AnyDone;

use drafts::Drafts;
use reading::Reading;
pub use tasks::{Done, Task};

/// Lines that a turn of the wheel goes.
const WHEEL: isize = 3;

#[derive(Debug, Default)]
pub struct Diff {
    reading: Option<Reading>,
    drafts: Drafts,
    /// Counts the comparisons that were asked for.
    generation: u64,
}

impl Diff {
    fn open(&mut self, subject: DiffSubject) -> Vec<Effect> {
        self.reading = Some(Reading::new(subject));
        self.compare()
    }

    /// Asks for the texts that are chosen to be compared.
    fn compare(&mut self) -> Vec<Effect> {
        let Some(reading) = &mut self.reading else { return vec![] };
        self.generation += 1;
        reading.compare(self.generation).map(Effect::task).into_iter().collect()
    }

    fn own(pair: Pair) -> DiffSubject {
        DiffSubject {
            title: pair.id,
            draft: pair.prompt,
            revisions: vec![Revision { arm: "your finished text".into(), sample: 0, text: pair.response, marks: None }],
            shown: 0,
            finished: None,
        }
    }
}

impl Screen for Diff {
    fn contexts(&self) -> Vec<Context> {
        let here = if self.reading.is_some() { Context::Diff } else { Context::Drafts };
        vec![here, Context::List]
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        let Some(reading) = &mut self.reading else { return self.drafts.act(action) };
        match action {
            Action::Leave => {
                self.reading = None;
                return self.drafts.list();
            }
            Action::NextArm if reading.next_arm() => return self.compare(),
            Action::NextSample if reading.step_sample(1) => return self.compare(),
            Action::PreviousSample if reading.step_sample(-1) => return self.compare(),
            Action::WritersLane => return reading.toggle_writers_lane(),
            Action::Paragraphs => reading.toggle_level(),
            Action::Marks => return reading.step_span(&key(shared, Action::Accept)),
            Action::Accept => {
                return vec![match reading.source(&key(shared, Action::Marks)) {
                    Ok(pair) => Effect::Open(Open::Pair(pair)),
                    Err(why) => Effect::say(why),
                }];
            }
            Action::NextChange => return reading.step_change(1),
            Action::PreviousChange => return reading.step_change(-1),
            action => reading.scroll(action),
        }
        vec![]
    }

    fn on_mouse(&mut self, mouse: MouseEvent, area: Rect, _shared: &Shared) -> Vec<Effect> {
        let by = match mouse.kind {
            MouseEventKind::ScrollUp => -WHEEL,
            MouseEventKind::ScrollDown => WHEEL,
            MouseEventKind::Down(MouseButton::Left) | MouseEventKind::Drag(MouseButton::Left) => 0,
            _ => return vec![],
        };
        match &mut self.reading {
            Some(reading) if by == 0 => {
                view::bar_at(area, mouse.column, mouse.row, reading).map_or((), |share| reading.scroll_to_share(share))
            }
            Some(reading) => reading.scroll_by(by),
            None if by == 0 => return self.drafts.click(area, mouse.row),
            None => self.drafts.scroll(by.signum()),
        }
        vec![]
    }

    fn on_show(&mut self, _shared: &Shared) -> Vec<Effect> {
        if self.reading.is_some() { vec![] } else { self.drafts.list() }
    }

    fn on_open(&mut self, open: Open, _shared: &Shared) -> Vec<Effect> {
        match open {
            Open::Diff(subject) => self.open(subject),
            _ => vec![],
        }
    }

    fn on_done(&mut self, done: &AnyDone, _shared: &Shared) -> Vec<Effect> {
        let AnyDone::Diff(done) = done else { return vec![] };
        match done {
            Done::Compared { generation, comparison } => {
                if let Some(reading) = &mut self.reading {
                    reading.on_compared(*generation, comparison);
                }
                vec![]
            }
            Done::Listed(listed) => self.drafts.on_listed(listed),
            Done::Measured { id, edit } => self.drafts.on_measured(id, *edit),
            // Something else may have been opened meanwhile.
            Done::Opened(_) if self.reading.is_some() => vec![],
            Done::Opened(Ok(pair)) => self.open(Diff::own((**pair).clone())),
            Done::Opened(Err(problem)) => vec![Effect::error(problem.clone())],
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared) {
        match &self.reading {
            Some(reading) => view::reading(frame, area, reading, shared),
            None => self.drafts.view(frame, area, shared),
        }
    }
}

/// The key of an action here, for texts that name it.
fn key(shared: &Shared, action: Action) -> String {
    shared.keymap.key_for(Context::Diff, action).map_or_else(|| "the palette".into(), |key| key.to_string())
}

#[cfg(test)]
mod tests;
