//! What the engine thread is asked to do: runs to train, prompts to answer and texts to score, one after another. What is asked of the
//! very run that is training is answered between its steps.
//!
//! This is a state machine without input or output: orders and messages go in, effects and news come out.

mod order;
mod reading;
mod scoring;
mod tasks;
mod training;

use std::collections::VecDeque;
use std::path::Path;

pub use order::{Order, ReadOrder, ScoreOrder, TrainOrder};
pub use reading::{Key, Reading};
pub use scoring::{ScoredText, Scoring};
pub use tasks::{Done, Drawn, ReadPlan, Task};
pub use training::{Stage, Training};

use super::message::Effect;
use crate::run::protocol::{Event, Job, Message, Outcome};

/// What has changed.
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
    /// What came of the score with this ticket.
    Scored { ticket: u64, text: Result<Box<ScoredText>, String> },
    /// Something was queued, or taken from the queue.
    Queue,
}

#[derive(Debug, Default)]
pub struct Work {
    last_job: Job,
    queue: VecDeque<Order>,
    training: Option<Training>,
    reading: Option<Reading>,
    scoring: Option<Scoring>,
    /// What the engine thread holds.
    loaded: Option<Key>,
}

/// What a change of the work leads to.
#[derive(Debug, Default)]
pub struct Outcomes {
    pub effects: Vec<Effect>,
    pub news: Vec<News>,
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
    pub fn training(&self) -> Option<&Training> {
        self.training.as_ref()
    }

    /// Whether a run is being prepared, loaded or trained.
    pub fn is_training(&self) -> bool {
        self.training.as_ref().is_some_and(|training| training.stage != Stage::Ended)
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
    pub fn queue(&self) -> impl Iterator<Item = &Order> {
        self.queue.iter()
    }

    pub fn order(&mut self, order: Order) -> Outcomes {
        let mut out = Outcomes::default();
        match order {
            // Only the model that is training can answer meanwhile, and only about itself.
            Order::Read(order) if self.is_free_for(&order.run) => self.begin_reading(order, &mut out),
            Order::Score(order) if self.is_free_for(&order.request.run) => self.begin_scoring(*order, &mut out),
            order => {
                self.queue.push_back(order);
                out.news(News::Queue);
                self.begin_next(&mut out);
            }
        }
        out
    }

    /// Takes the order at this place out of the queue.
    pub fn cancel(&mut self, index: usize) -> Outcomes {
        let mut out = Outcomes::default();
        if let Some(order) = self.queue.remove(index) {
            out.news(News::Queue);
            tell_unscored(vec![order], scoring::STOPPED, &mut out);
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

    /// Ends the reading under way and forgets those that wait: one prompt is often asked of two runs.
    pub fn stop_reading(&mut self) -> Outcomes {
        let mut out = Outcomes::default();
        let waiting = self.queue.len();
        let (kept, gone): (Vec<Order>, Vec<Order>) = self.queue.drain(..).partition(|order| matches!(order, Order::Train(_)));
        self.queue.extend(kept);
        if self.queue.len() < waiting {
            out.news(News::Queue);
        }
        tell_unscored(gone, scoring::STOPPED, &mut out);
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
            Done::Kept(Err(error)) => out.effect(Effect::error(error)),
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
        } else if self.scoring.as_ref().is_some_and(|scoring| scoring.owns(job)) {
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
            let ticket = scoring.order.ticket;
            self.scoring = None;
            out.news(News::Scored { ticket, text });
        }
    }

    /// The engine thread is gone: what was under way has failed.
    pub fn on_lost(&mut self, error: &str) -> Outcomes {
        let mut out = Outcomes::default();
        self.loaded = None;
        let waiting = std::mem::take(&mut self.queue);
        let scoring = self.scoring.take().map(|scoring| Order::Score(Box::new(scoring.order)));
        tell_unscored(waiting.into_iter().chain(scoring).collect(), error, &mut out);
        if let Some(training) = &mut self.training {
            training.fail(error.to_owned(), &mut out);
        }
        if self.reading.is_some() {
            self.end_reading(Some(error.to_owned()), &mut out);
        }
        out
    }

    fn trains(&self, run: &Path) -> bool {
        self.training.as_ref().is_some_and(|training| training.stage == Stage::Training && training.run.as_deref() == Some(run))
    }

    /// Whether it can be asked at once about the run that is training.
    fn is_free_for(&self, run: &Path) -> bool {
        self.reading.is_none() && self.scoring.is_none() && self.trains(run)
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
            Some(Order::Train(order)) => {
                let job = self.new_job();
                self.training = Some(Training::begin(job, order, out));
                // Its own messages carry the next number.
                self.new_job();
                out.news(News::Queue);
            }
            Some(Order::Read(order)) => {
                out.news(News::Queue);
                self.begin_reading(order, out);
            }
            Some(Order::Score(order)) => {
                out.news(News::Queue);
                self.begin_scoring(*order, out);
            }
        }
    }

    fn begin_scoring(&mut self, order: ScoreOrder, out: &mut Outcomes) {
        let job = self.new_job();
        let key = Key { run: order.request.run.clone(), checkpoint: order.request.checkpoint.path.clone() };
        let is_loaded = self.trains(&key.run) || self.loaded.as_ref() == Some(&key);
        self.scoring = Some(Scoring::begin(job, order, is_loaded, out));
    }

    fn begin_reading(&mut self, order: ReadOrder, out: &mut Outcomes) {
        let job = self.new_job();
        self.reading = Some(Reading::begin(job, order, out));
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
                    self.queue.push_front(Order::Read(reading.order));
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
            out.news(News::ReadingEnded { order: reading.order, error });
        }
    }
}

/// Whoever waits for a score that does not come hears why.
fn tell_unscored(orders: Vec<Order>, why: &str, out: &mut Outcomes) {
    for order in orders {
        if let Order::Score(order) = order {
            out.news(News::Scored { ticket: order.ticket, text: Err(why.to_owned()) });
        }
    }
}

/// How a finished job ended, as a result.
fn as_result(outcome: Outcome, error: Option<String>) -> Result<(), String> {
    match outcome {
        Outcome::Failed => Err(error.unwrap_or_else(|| "the engine failed without saying why".into())),
        Outcome::Finished | Outcome::Stopped => Ok(()),
    }
}

#[cfg(test)]
mod tests;
