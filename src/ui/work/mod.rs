//! The work as the interface sees it: the worker's state, the log of the run that trains, the text of samples as they are drawn, and the
//! scores of texts that this interface has ordered. What was ordered and is on its way to the worker is shown already.
//!
//! Like a screen it does no input or output: reports and finished tasks go in, effects and news come out.

mod tasks;
mod views;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use self::tasks::Followed;
pub use self::tasks::{Desk, Done, Task};
pub use self::views::{Reading, Training};
use super::message::{Effect, Io};
pub use crate::run::work::{Drawn, News, Order, ReadOrder, ScoreOrder, ScoredText, Stage, State, Ticket, TrainOrder};
use crate::run::work::{ReadingState, ScoringState, TrainingState, Waiting};
use crate::run::worker::{Level, Report, Request};

#[derive(Debug, Default)]
pub struct Work {
    /// What the worker said last.
    state: State,
    /// Orders that it has not taken yet.
    sent: VecDeque<Order>,
    training: Option<Training>,
    reading: Option<Reading>,
    scoring: Option<ScoringState>,
    /// Scores that the worker has taken the order for: its ticket, and the one they were ordered with here.
    awaited: BTreeMap<Ticket, u64>,
    queue: Vec<Waiting>,
    /// The run's log is being read; and it has grown since.
    is_following: bool,
    has_grown: bool,
}

/// What a change of the work leads to.
#[derive(Debug, Default)]
pub struct Outcomes {
    pub effects: Vec<Effect>,
    pub news: Vec<News>,
}

impl Outcomes {
    fn ask(request: Request) -> Outcomes {
        Outcomes { effects: vec![Effect::Do(Io::Worker(request))], news: vec![] }
    }
}

impl Work {
    /// The run under way, or the last one that ended.
    pub fn training(&self) -> Option<&Training> {
        self.training.as_ref()
    }

    /// Whether a run is being prepared, loaded or trained.
    pub fn is_training(&self) -> bool {
        self.training.as_ref().is_some_and(|training| training.state.stage != Stage::Ended)
    }

    /// The prompts being answered.
    pub fn reading(&self) -> Option<&Reading> {
        self.reading.as_ref()
    }

    /// The text being scored, whoever has ordered it.
    pub fn scoring(&self) -> Option<&ScoringState> {
        self.scoring.as_ref()
    }

    /// Whether the text that was ordered here with this ticket is being scored.
    pub fn scores(&self, ticket: u64) -> bool {
        match &self.scoring {
            Some(ScoringState { ticket: 0, .. }) => matches!(self.sent.front(), Some(Order::Score(order)) if order.ticket == ticket),
            Some(scoring) => self.awaited.get(&scoring.ticket) == Some(&ticket),
            None => false,
        }
    }

    /// What waits, first come first served.
    pub fn queue(&self) -> impl Iterator<Item = &Order> {
        self.queue.iter().map(|waiting| &waiting.order)
    }

    pub fn order(&mut self, order: Order) -> Outcomes {
        self.sent.push_back(order.clone());
        let mut out = Outcomes::ask(Request::Order(order));
        self.refresh(&mut out);
        out
    }

    /// Takes the order at this place out of the queue.
    pub fn cancel(&self, index: usize) -> Outcomes {
        self.queue.get(index).map_or_else(Outcomes::default, |waiting| Outcomes::ask(Request::Stop { ticket: waiting.ticket }))
    }

    pub fn stop_training(&self) -> Outcomes {
        match &self.training {
            Some(training) if self.is_training() => Outcomes::ask(Request::Stop { ticket: training.state.ticket }),
            _ => Outcomes::default(),
        }
    }

    /// Ends the reading and the scoring under way and forgets those that wait: one prompt is often asked of two runs.
    pub fn stop_reading(&self) -> Outcomes {
        Outcomes::ask(Request::StopReading)
    }

    pub fn on_report(&mut self, report: Report) -> Outcomes {
        let mut out = Outcomes::default();
        match report {
            Report::State(state) => {
                self.state = *state;
                self.refresh(&mut out);
            }
            // The state that has it follows.
            Report::Accepted { ticket } => {
                match self.sent.pop_front() {
                    Some(Order::Score(order)) if ticket == 0 => out.news.push(unscored(order.ticket, "the worker did not take the order")),
                    Some(Order::Score(order)) => _ = self.awaited.insert(ticket, order.ticket),
                    _ => {}
                }
                if ticket == 0 {
                    self.refresh(&mut out); // it was refused, with a notice that says why
                }
            }
            Report::Logged => self.follow(&mut out),
            Report::Text(text) => {
                if let Some(reading) = &mut self.reading {
                    reading.take(&text);
                    out.news.push(News::Reading);
                }
            }
            Report::Sample(drawn) => out.news.push(News::Sample(drawn)),
            // One that another viewer has ordered is no concern here.
            Report::Scored { ticket, text } => {
                out.news.extend(self.awaited.remove(&ticket).map(|ticket| News::Scored { ticket, text }));
            }
            Report::Notice { level: Level::Warning, text } => out.effects.push(Effect::warn(text)),
            Report::Notice { level: Level::Error, text } => out.effects.push(Effect::error(text)),
        }
        out
    }

    pub fn on_done(&mut self, done: Done) -> Outcomes {
        let mut out = Outcomes::default();
        let Done::Followed { run, followed } = done;
        self.is_following = false;
        if let Some(training) = self.training.as_mut().filter(|training| training.state.run.as_ref() == Some(&run)) {
            match followed {
                Ok(Followed { events, is_from_start }) => training.take(events, is_from_start),
                Err(error) => training.log_error = Some(error),
            }
            out.news.push(News::Training);
        }
        if self.has_grown {
            self.follow(&mut out);
        }
        out
    }

    /// The worker is gone: it had nothing left to do, or what was under way is lost with it. `last_words` is what it wrote at last.
    pub fn on_gone(&mut self, last_words: Option<&str>) -> Outcomes {
        let mut out = Outcomes::default();
        let was_idle = self.state.is_idle() && self.sent.is_empty();
        self.forget_scores("the worker has ended before the text was scored", &mut out);
        self.sent.clear();
        if !was_idle {
            let error = died(self.run().filter(|_| self.is_training()), last_words);
            let (runs, others): (Vec<_>, Vec<_>) = self.queue.iter().partition(|waiting| matches!(waiting.order, Order::Train(_)));
            let waited = waited(runs.len(), others.len());
            let mut state = std::mem::take(&mut self.state);
            if let Some(training) = &self.training {
                let mut training = state.training.take().unwrap_or_else(|| TrainingState::new(training.state.order.clone()));
                if training.stage != Stage::Ended {
                    (training.stage, training.error) = (Stage::Ended, Some(error.clone()));
                }
                self.state.training = Some(training);
            }
            self.state.read = self.reading.as_ref().map(|reading| (reading.state.ticket, Some(error.clone())));
            out.effects.push(Effect::error(error + &waited));
        }
        self.refresh(&mut out);
        out
    }

    /// No worker can be had for what was ordered.
    pub fn on_refused(&mut self, error: &str) -> Outcomes {
        let mut out = Outcomes { effects: vec![Effect::error(error)], news: vec![] };
        self.forget_scores(error, &mut out);
        self.sent.clear();
        self.refresh(&mut out);
        out
    }

    /// Whoever waits for a score hears that it does not come.
    fn forget_scores(&mut self, why: &str, out: &mut Outcomes) {
        let sent = self.sent.iter().filter_map(|order| if let Order::Score(order) = order { Some(order.ticket) } else { None });
        out.news.extend(std::mem::take(&mut self.awaited).into_values().chain(sent).map(|ticket| unscored(ticket, why)));
    }

    /// The run whose log is shown.
    fn run(&self) -> Option<&Path> {
        self.training.as_ref()?.state.run.as_deref()
    }

    /// Takes what is shown from what the worker said and what is on its way to it.
    fn refresh(&mut self, out: &mut Outcomes) {
        let mut training = self.state.training.clone();
        let mut reading = self.state.reading.clone();
        let mut scoring = self.state.scoring.clone();
        let mut queue = self.state.queue.clone();
        let mut sent = self.sent.iter().cloned();
        if self.state.is_idle() {
            match sent.next() {
                Some(Order::Train(order)) => training = Some(TrainingState::new(*order)),
                Some(Order::Read(order)) => reading = Some(ReadingState::new(order)),
                Some(Order::Score(order)) => scoring = Some(ScoringState::new(&order)),
                None => {}
            }
        }
        queue.extend(sent.map(|order| Waiting { ticket: 0, order }));
        self.show_training(training, out);
        self.show_reading(reading, out);
        if scoring != self.scoring {
            self.scoring = scoring;
            out.news.push(News::Scoring);
        }
        if queue != self.queue {
            self.queue = queue;
            out.news.push(News::Queue);
        }
    }

    fn show_training(&mut self, state: Option<TrainingState>, out: &mut Outcomes) {
        let was_training = self.is_training();
        let before = self.training.take();
        let Some(state) = state else {
            if before.is_some() {
                out.news.push(News::TrainingEnded);
            }
            return;
        };
        let was = before.as_ref().map(|before| &before.state);
        let is_same = was.is_some_and(|was| was.ticket == state.ticket || was.ticket == 0);
        let has_changed = was != Some(&state);
        let has_ended = was_training && (!is_same || state.stage == Stage::Ended);
        let is_new_log = state.run.is_some() && was.is_none_or(|was| was.run != state.run);
        self.training = Some(Training::new(state, before));
        if has_ended {
            out.news.push(News::TrainingEnded);
        } else if has_changed {
            out.news.push(News::Training);
        }
        if is_new_log || has_changed {
            self.follow(out);
        }
    }

    fn show_reading(&mut self, state: Option<ReadingState>, out: &mut Outcomes) {
        let before = self.reading.take();
        let is_same = |was: &ReadingState, now: &ReadingState| was.ticket == now.ticket || was.ticket == 0;
        let was = before.as_ref().map(|before| &before.state);
        if let Some(was) = was.filter(|was| state.as_ref().is_none_or(|now| !is_same(was, now))) {
            let error = match &self.state.read {
                Some((ticket, error)) if *ticket == was.ticket || was.ticket == 0 => error.clone(),
                _ => None,
            };
            out.news.push(News::ReadingEnded { order: was.order.clone(), error });
        }
        let Some(state) = state else { return };
        let before = before.filter(|before| is_same(&before.state, &state));
        let has_changed = before.as_ref().is_none_or(|before| before.state != state);
        self.reading = Some(Reading::new(state, before));
        if has_changed {
            out.news.push(News::Reading);
        }
    }

    /// Reads on in the log of the run that is shown; one look at a time.
    fn follow(&mut self, out: &mut Outcomes) {
        let Some(run) = self.run().map(Path::to_owned) else { return };
        self.has_grown = self.is_following;
        if !self.is_following {
            self.is_following = true;
            out.effects.push(Effect::task(Task::Follow(run)));
        }
    }
}

fn unscored(ticket: u64, why: &str) -> News {
    News::Scored { ticket, text: Err(why.to_owned()) }
}

/// What becomes of what waited for a worker that has died.
fn waited(runs: usize, others: usize) -> String {
    let follows = match runs {
        0 => None,
        1 => Some("the run that waited follows the next order".to_owned()),
        n => Some(format!("the {n} runs that waited follow the next order")),
    };
    let gone = match others {
        0 => None,
        1 => Some("a prompt or text that waited is forgotten".to_owned()),
        n => Some(format!("{n} prompts and texts that waited are forgotten")),
    };
    match [follows, gone].into_iter().flatten().collect::<Vec<_>>() {
        said if said.is_empty() => String::new(),
        said => format!(" ({})", said.join("; ")),
    }
}

fn died(run: Option<&Path>, last_words: Option<&str>) -> String {
    let mut text = "the worker has died".to_owned();
    if let Some(words) = last_words {
        text = format!("{text}: {words}");
    }
    if let Some(name) = run.and_then(Path::file_name) {
        text += &format!("; `voicetune train --resume {}` goes on from its last checkpoint", name.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests;
