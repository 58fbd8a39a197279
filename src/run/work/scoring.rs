//! One text that is scored by a run's arms.

use serde::{Deserialize, Serialize};

use super::{Effect, Key, News, Outcomes, ScoreOrder, Task, Ticket, as_result};
use crate::run::protocol::{Command, Event, Job, Scored};
use crate::run::scores::Scores;

#[derive(Debug)]
pub struct Scoring {
    job: Job,
    pub ticket: Ticket,
    pub order: ScoreOrder,
    scored: Vec<Scored>,
    is_stopped: bool,
}

/// A text that was scored, for the one who ordered it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredText {
    pub scores: Scores,
    /// The step of the weights, where they were those of a run that trained and not a checkpoint's: then it is not kept.
    pub step: Option<usize>,
}

impl Scoring {
    /// `is_loaded`: whether the engine thread holds the run's model.
    pub(super) fn begin(job: Job, ticket: Ticket, order: ScoreOrder, is_loaded: bool, out: &mut Outcomes) -> Scoring {
        let scoring = Scoring { job, ticket, order, scored: vec![], is_stopped: false };
        match is_loaded {
            true => scoring.ask(out),
            false => {
                let mut load = scoring.order.request.load.clone();
                load.job = job;
                out.effect(Effect::Engine(Command::Load(load)));
            }
        }
        out.news(News::Scoring);
        scoring
    }

    pub(super) fn owns(&self, job: Job) -> bool {
        job == self.job
    }

    pub(super) fn key(&self) -> Key {
        Key { run: self.order.request.run.clone(), checkpoint: self.order.request.checkpoint.path.clone() }
    }

    /// What came of it, where this was its end.
    pub(super) fn on_event(&mut self, event: Event, out: &mut Outcomes) -> Option<Result<Box<ScoredText>, String>> {
        match event {
            Event::Loaded(_) if self.is_stopped => return Some(Err(STOPPED.into())),
            Event::Loaded(_) => self.ask(out),
            Event::Scored(scored) => self.scored.push(scored),
            Event::Ended(ended) => {
                let result = as_result(ended.outcome, ended.error);
                return Some(match result {
                    Err(error) => Err(error),
                    Ok(()) if self.is_stopped => Err(STOPPED.into()),
                    Ok(()) => self.text(out),
                });
            }
            _ => {}
        }
        None
    }

    pub(super) fn stop(&mut self, out: &mut Outcomes) {
        self.is_stopped = true;
        out.effect(Effect::Engine(Command::Stop { job: self.job }));
    }

    fn ask(&self, out: &mut Outcomes) {
        out.effect(Effect::Engine(Command::Score(self.order.request.score(self.job))));
    }

    fn text(&mut self, out: &mut Outcomes) -> Result<Box<ScoredText>, String> {
        let scored = std::mem::take(&mut self.scored);
        let step = scored.iter().find_map(|scored| scored.step);
        let scores = self.order.request.scores(scored).map_err(|error| format!("{error:#}"))?;
        if step.is_none() {
            let kept = (self.order.request.run.clone(), scores.clone());
            out.effect(Effect::Task(Task::KeepScores(Box::new(kept))));
        }
        Ok(Box::new(ScoredText { scores, step }))
    }
}

pub(super) const STOPPED: &str = "stopped before it was scored";
