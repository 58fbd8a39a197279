//! One run from its order to its end: prepared, loaded, made, trained.

use serde::{Deserialize, Serialize};

use super::tasks::{Created, Task};
use super::{Effect, News, Outcomes, Ticket, TrainOrder, TrainingState};
use crate::run::prepare::Prepared;
use crate::run::protocol::{Command, Ended, Event, Job, Outcome};

/// A run with what only its worker knows of it; viewers are told its state.
#[derive(Debug)]
pub struct Training {
    /// Of its tasks and of loading; training itself has the next number.
    pub(super) job: Job,
    pub state: TrainingState,
    prepared: Option<Box<Prepared>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Pairs are read and tokenised.
    Preparing,
    /// The weights go to the device.
    Loading,
    /// The run's folder is made.
    Creating,
    Training,
    /// The step is being finished and a checkpoint written.
    Stopping,
    Ended,
}

impl Training {
    pub(super) fn begin(job: Job, ticket: Ticket, order: Box<TrainOrder>, out: &mut Outcomes) -> Training {
        out.effect(Effect::Task(Task::Prepare { job, order: order.clone() }));
        out.news(News::Training);
        Training { job, state: TrainingState { ticket, ..TrainingState::new(*order) }, prepared: None }
    }

    pub(super) fn owns(&self, job: Job) -> bool {
        self.state.stage != Stage::Ended && (job == self.job || job == self.train_job())
    }

    fn train_job(&self) -> Job {
        self.job + 1
    }

    pub(super) fn on_prepared(&mut self, prepared: Result<Box<Prepared>, String>, out: &mut Outcomes) {
        match prepared {
            Err(error) => self.fail(error, out),
            Ok(_) if self.state.is_cancelled => self.end(out),
            Ok(prepared) => {
                self.state.steps = prepared.steps();
                self.state.stage = Stage::Loading;
                out.effect(Effect::Engine(Command::Load(prepared.load(self.job))));
                out.news(News::Training);
                self.prepared = Some(prepared);
            }
        }
    }

    pub(super) fn on_created(&mut self, created: Result<Created, String>, out: &mut Outcomes) {
        match created {
            Err(error) => self.fail(error, out),
            Ok(created) if self.state.is_cancelled => {
                // The folder is there, and says that nothing was trained, or what was before.
                self.state.run = Some(created.run);
                self.end(out);
            }
            Ok(created) => {
                self.state.run = Some(created.run);
                self.state.stage = Stage::Training;
                let mut train = created.train;
                train.job = self.train_job();
                out.effect(Effect::Engine(Command::Train(train)));
                out.news(News::Training);
            }
        }
    }

    pub(super) fn on_event(&mut self, job: Job, event: Event, out: &mut Outcomes) {
        match event {
            Event::Loaded(_) if self.state.is_cancelled => return self.end(out),
            Event::Loaded(loaded) => {
                if let Some(prepared) = self.prepared.take() {
                    self.state.stage = Stage::Creating;
                    let order = Box::new(self.state.order.clone());
                    out.effect(Effect::Task(Task::Create { job: self.job, order, prepared, device: loaded.device }));
                }
            }
            Event::Ended(Ended { error: Some(error), outcome: Outcome::Failed, .. }) if job == self.job => return self.fail(error, out),
            Event::Ended(ended) => {
                (self.state.error, self.state.outcome) = (ended.error, Some(ended.outcome));
                return self.end(out);
            }
            // The run's log has them all, and that is what is shown.
            _ => {}
        }
        out.news(News::Training);
    }

    pub(super) fn stop(&mut self, out: &mut Outcomes) {
        match self.state.stage {
            Stage::Preparing | Stage::Loading | Stage::Creating => self.state.is_cancelled = true,
            Stage::Training => {
                self.state.stage = Stage::Stopping;
                out.effect(Effect::Engine(Command::Stop { job: self.train_job() }));
            }
            Stage::Stopping | Stage::Ended => return,
        }
        out.news(News::Training);
    }

    pub(super) fn fail(&mut self, error: String, out: &mut Outcomes) {
        if self.state.stage != Stage::Ended {
            self.state.error = Some(error);
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut Outcomes) {
        self.state.stage = Stage::Ended;
        self.prepared = None;
        out.news(News::TrainingEnded);
    }
}
