//! What the engine thread is asked to do: runs to train, prompts to answer and texts to score, one after another. What is asked of the
//! very run that is training is answered between its steps.
//!
//! This is a state machine without input or output: orders and messages go in, effects and news come out. It lives where the engine
//! thread does, in the worker; viewers are told its [`State`].

mod order;
mod reading;
mod scoring;
mod state;
mod tasks;
mod training;

use std::collections::VecDeque;
use std::path::Path;

pub use order::{Order, ReadOrder, ScoreOrder, Ticket, TrainOrder, Waiting};
pub use reading::{Key, Reading};
pub use scoring::{ScoredText, Scoring};
pub use state::{ReadingState, ScoringState, State, TrainingState};
pub use tasks::{Done, Drawn, ReadPlan, Task};
pub use training::Stage;
use training::Training;

use super::protocol::{Command, Event, Job, Message, Outcome};

/// What the work asks of whoever runs it.
#[derive(Debug)]
pub enum Effect {
    /// For the engine thread.
    Engine(Command),
    /// To be done beside it; its [`Done`] comes back.
    Task(Task),
    /// Something that the writer shall know.
    Warn(String),
    Fail(String),
}

/// What has changed, for the worker and for those who look on.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The run under way has got on: look at [`Work::training`].
    Training,
    /// The run that [`Work::training`] shows has ended.
    TrainingEnded,
    /// Text has come, or a reading waits, loads or begins: look at [`Work::reading`].
    Reading,
    /// A whole sample, which is on its way to the run's outputs.
    Sample(Box<Drawn>),
    /// A reading has ended: all samples are there, or it was stopped, or it failed with this error.
    ReadingEnded { order: ReadOrder, error: Option<String> },
    /// A text waits to be scored, or is being scored: look at [`Work::scoring`].
    Scoring,
    /// What came of the score with this ticket: the order's own for whoever ordered it, the worker's in the worker.
    Scored { ticket: Ticket, text: Result<Box<ScoredText>, String> },
    /// Something was queued, or taken from the queue.
    Queue,
}

#[derive(Debug, Default)]
pub struct Work {
    last_job: Job,
    last_ticket: Ticket,
    queue: VecDeque<Waiting>,
    training: Option<Training>,
    reading: Option<Reading>,
    /// The reading that ended last, and why it failed where it did.
    read: Option<(Ticket, Option<String>)>,
    scoring: Option<Scoring>,
    /// What the engine thread holds.
    loaded: Option<Key>,
}

/// What a change of the work leads to.
#[derive(Debug, Default)]
pub struct Outcomes {
    pub effects: Vec<Effect>,
    pub news: Vec<News>,
    /// Of the order that was taken.
    pub ticket: Option<Ticket>,
}

impl Outcomes {
    fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn news(&mut self, news: News) {
        self.news.push(news);
    }
}

impl Work {
    /// The run under way, or the last one that ended here.
    pub fn training(&self) -> Option<&TrainingState> {
        self.training.as_ref().map(|training| &training.state)
    }

    /// Whether a run is being prepared, loaded or trained.
    pub fn is_training(&self) -> bool {
        self.training().is_some_and(|training| training.stage != Stage::Ended)
    }

    /// The prompts being answered.
    pub fn reading(&self) -> Option<&Reading> {
        self.reading.as_ref()
    }

    /// The text being scored.
    pub fn scoring(&self) -> Option<&Scoring> {
        self.scoring.as_ref()
    }

    /// What waits, first come first served.
    pub fn queue(&self) -> impl Iterator<Item = &Waiting> {
        self.queue.iter()
    }

    /// Whether this job is the reading under way.
    pub fn reads(&self, job: Job) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.owns(job))
    }

    /// Whether this job is the scoring under way.
    pub fn scores(&self, job: Job) -> bool {
        self.scoring.as_ref().is_some_and(|scoring| scoring.owns(job))
    }

    /// Whether nothing is under way and nothing waits.
    pub fn is_idle(&self) -> bool {
        !self.is_training() && self.reading.is_none() && self.scoring.is_none() && self.queue.is_empty()
    }

    pub fn state(&self) -> State {
        State {
            queue: self.queue.iter().cloned().collect(),
            training: self.training().cloned(),
            reading: self.reading.as_ref().map(ReadingState::from),
            read: self.read.clone(),
            scoring: self.scoring.as_ref().map(ScoringState::from),
        }
    }

    pub fn order(&mut self, order: Order) -> Outcomes {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let mut out = Outcomes { ticket: Some(ticket), ..Outcomes::default() };
        match order {
            // Only the model that is training can answer meanwhile, and only about itself.
            Order::Read(order) if self.is_free_for(&order.run) => self.begin_reading(ticket, order, &mut out),
            Order::Score(order) if self.is_free_for(&order.request.run) => self.begin_scoring(ticket, *order, &mut out),
            order => {
                self.queue.push_back(Waiting { ticket, order });
                out.news(News::Queue);
                self.begin_next(&mut out);
            }
        }
        out
    }

    /// Ends the run with this ticket after its step, or takes its order out of the queue. A run that has ended meanwhile is left.
    pub fn stop(&mut self, ticket: Ticket) -> Outcomes {
        if self.training().is_some_and(|training| training.ticket == ticket) {
            return self.stop_training();
        }
        let mut out = Outcomes::default();
        self.forget(|waiting| waiting.ticket == ticket, &mut out);
        out
    }

    /// Forgets what waits, and ends what is under way: a run after its step, with a checkpoint.
    pub fn stop_all(&mut self) -> Outcomes {
        let mut out = Outcomes::default();
        self.forget(|_| true, &mut out);
        for stopped in [self.stop_reading(), self.stop_training()] {
            out.effects.extend(stopped.effects);
            out.news.extend(stopped.news);
        }
        out
    }

    pub fn stop_training(&mut self) -> Outcomes {
        let mut out = Outcomes::default();
        if let Some(training) = &mut self.training {
            training.stop(&mut out);
        }
        self.begin_next(&mut out);
        out
    }

    /// Ends the reading and the scoring under way and forgets those that wait: one prompt is often asked of two runs.
    pub fn stop_reading(&mut self) -> Outcomes {
        let mut out = Outcomes::default();
        self.forget(|waiting| !matches!(waiting.order, Order::Train(_)), &mut out);
        if let Some(scoring) = &mut self.scoring {
            scoring.stop(&mut out);
        }
        if let Some(reading) = &mut self.reading
            && reading.stop(&mut out)
        {
            self.end_reading(None, &mut out);
        }
        out
    }

    pub fn on_done(&mut self, done: Done) -> Outcomes {
        let mut out = Outcomes::default();
        match done {
            Done::Prepared { job, prepared } => {
                if let Some(training) = self.training.as_mut().filter(|training| training.job == job) {
                    self.loaded = None;
                    training.on_prepared(*prepared, &mut out);
                }
            }
            Done::Created { job, created } => {
                if let Some(training) = self.training.as_mut().filter(|training| training.job == job) {
                    training.on_created(*created, &mut out);
                }
            }
            Done::Planned { job, plan } => self.on_planned(job, plan, &mut out),
            Done::Kept(Ok(())) => {}
            Done::Kept(Err(error)) => out.effect(Effect::Fail(error)),
        }
        self.begin_next(&mut out);
        out
    }

    pub fn on_message(&mut self, message: Message) -> Outcomes {
        let mut out = Outcomes::default();
        let Message { job, event } = message;
        if let Some(training) = self.training.as_mut().filter(|training| training.owns(job)) {
            training.on_event(job, event, &mut out);
        } else if let Some(reading) = self.reading.as_mut().filter(|reading| reading.owns(job)) {
            let key = reading.loaded_by(job, &event);
            if key.is_some() {
                self.loaded = key;
            }
            if let Some(outcome) = reading.on_event(event, &mut out) {
                self.end_reading(outcome.err(), &mut out);
            }
        } else if self.scores(job) {
            self.on_scoring_event(event, &mut out);
        }
        self.begin_next(&mut out);
        out
    }

    fn on_scoring_event(&mut self, event: Event, out: &mut Outcomes) {
        let Some(scoring) = &mut self.scoring else { return };
        if matches!(event, Event::Loaded(_)) {
            self.loaded = Some(scoring.key());
        }
        if let Some(text) = scoring.on_event(event, out) {
            let ticket = scoring.ticket;
            self.scoring = None;
            out.news(News::Scored { ticket, text });
        }
    }

    /// The engine thread is gone: what was under way has failed.
    pub fn on_lost(&mut self, error: &str) -> Outcomes {
        let mut out = Outcomes::default();
        self.loaded = None;
        let waiting = std::mem::take(&mut self.queue);
        tell_unscored(waiting, error, &mut out);
        if let Some(scoring) = self.scoring.take() {
            out.news(News::Scored { ticket: scoring.ticket, text: Err(error.to_owned()) });
        }
        if let Some(training) = &mut self.training {
            training.fail(error.to_owned(), &mut out);
        }
        if self.reading.is_some() {
            self.end_reading(Some(error.to_owned()), &mut out);
        }
        out
    }

    fn trains(&self, run: &Path) -> bool {
        self.training().is_some_and(|training| training.stage == Stage::Training && training.run.as_deref() == Some(run))
    }

    /// Whether it can be asked at once about the run that is training.
    fn is_free_for(&self, run: &Path) -> bool {
        self.reading.is_none() && self.scoring.is_none() && self.trains(run)
    }

    /// Takes orders out of the queue.
    fn forget(&mut self, is_gone: impl Fn(&Waiting) -> bool, out: &mut Outcomes) {
        let (gone, kept): (VecDeque<Waiting>, VecDeque<Waiting>) = std::mem::take(&mut self.queue).into_iter().partition(is_gone);
        self.queue = kept;
        if !gone.is_empty() {
            out.news(News::Queue);
        }
        tell_unscored(gone, scoring::STOPPED, out);
    }

    fn new_job(&mut self) -> Job {
        self.last_job += 1;
        self.last_job
    }

    fn begin_next(&mut self, out: &mut Outcomes) {
        if self.is_training() || self.reading.is_some() || self.scoring.is_some() {
            return;
        }
        match self.queue.pop_front() {
            None => {}
            Some(Waiting { ticket, order: Order::Train(order) }) => {
                let job = self.new_job();
                self.training = Some(Training::begin(job, ticket, order, out));
                // Its own messages carry the next number.
                self.new_job();
                out.news(News::Queue);
            }
            Some(Waiting { ticket, order: Order::Read(order) }) => {
                out.news(News::Queue);
                self.begin_reading(ticket, order, out);
            }
            Some(Waiting { ticket, order: Order::Score(order) }) => {
                out.news(News::Queue);
                self.begin_scoring(ticket, *order, out);
            }
        }
    }

    fn begin_scoring(&mut self, ticket: Ticket, order: ScoreOrder, out: &mut Outcomes) {
        let job = self.new_job();
        let key = Key { run: order.request.run.clone(), checkpoint: order.request.checkpoint.path.clone() };
        let is_loaded = self.trains(&key.run) || self.loaded.as_ref() == Some(&key);
        self.scoring = Some(Scoring::begin(job, ticket, order, is_loaded, out));
    }

    fn begin_reading(&mut self, ticket: Ticket, order: ReadOrder, out: &mut Outcomes) {
        let job = self.new_job();
        self.reading = Some(Reading::begin(job, ticket, order, out));
    }

    fn on_planned(&mut self, job: Job, plan: Result<Box<ReadPlan>, String>, out: &mut Outcomes) {
        let Some(reading) = self.reading.as_ref().filter(|reading| reading.owns(job)) else { return };
        let run = reading.order.run.clone();
        let is_on_device = self.trains(&run);
        match plan {
            Err(error) => self.end_reading(Some(error), out),
            Ok(_) if self.is_training() && !is_on_device => {
                // The run has ended or another one begun meanwhile: wait for its turn.
                if let Some(reading) = self.reading.take() {
                    self.queue.push_front(Waiting { ticket: reading.ticket, order: Order::Read(reading.order) });
                    out.news(News::Queue);
                }
            }
            Ok(plan) => {
                let is_loaded = is_on_device || self.loaded.as_ref() == Some(&plan.key);
                if let Some(reading) = &mut self.reading
                    && reading.on_planned(*plan, is_loaded, out)
                {
                    self.end_reading(None, out);
                }
            }
        }
    }

    fn end_reading(&mut self, error: Option<String>, out: &mut Outcomes) {
        if let Some(reading) = self.reading.take() {
            self.read = Some((reading.ticket, error.clone()));
            out.news(News::ReadingEnded { order: reading.order, error });
        }
    }
}

/// Whoever waits for a score that does not come hears why.
fn tell_unscored(orders: impl IntoIterator<Item = Waiting>, why: &str, out: &mut Outcomes) {
    let scores = orders.into_iter().filter(|waiting| matches!(waiting.order, Order::Score(_)));
    scores.for_each(|waiting| out.news(News::Scored { ticket: waiting.ticket, text: Err(why.to_owned()) }));
}

/// How a finished job ended, as a result.
fn as_result(outcome: Outcome, error: Option<String>) -> Result<(), String> {
    match outcome {
        Outcome::Failed => Err(error.unwrap_or_else(|| "the engine failed without saying why".into())),
        Outcome::Finished | Outcome::Stopped => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
