//! What viewers are told of the work: plain data, small enough to be told whole whenever it changes. What a run has logged is not in
//! it, since its log has that; neither is text as it comes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ReadOrder, Reading, ScoreOrder, Scoring, Stage, Ticket, TrainOrder, Waiting};
use crate::run::protocol::Outcome;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What waits, first come first served.
    pub queue: Vec<Waiting>,
    /// The run under way, or the last one that ended.
    pub training: Option<TrainingState>,
    /// The prompts being answered.
    pub reading: Option<ReadingState>,
    /// The reading that ended last, and why it failed where it did.
    pub read: Option<(Ticket, Option<String>)>,
    /// The text being scored.
    pub scoring: Option<ScoringState>,
}

impl State {
    /// The run that is being prepared, loaded or trained.
    pub fn under_way(&self) -> Option<&TrainingState> {
        self.training.as_ref().filter(|training| training.stage != Stage::Ended)
    }

    /// Whether nothing is under way and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.under_way().is_none() && self.reading.is_none() && self.scoring.is_none() && self.queue.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    pub ticket: Ticket,
    pub order: TrainOrder,
    pub stage: Stage,
    /// Its folder, once it is made.
    pub run: Option<PathBuf>,
    /// Optimiser steps of all epochs; 0 until it is prepared.
    pub steps: usize,
    /// Why it failed, where it did.
    pub error: Option<String>,
    /// How it ended, where it began.
    pub outcome: Option<Outcome>,
    /// Whether it was stopped before it began, and only waits for what cannot be interrupted.
    pub is_cancelled: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadingState {
    pub ticket: Ticket,
    pub order: ReadOrder,
    /// The id of the prompt being answered, and its position.
    pub prompt: Option<String>,
    pub at: usize,
    /// Samples that are whole, and all of them.
    pub done: usize,
    pub total: usize,
    /// What could not be asked, or not at full length.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoringState {
    pub ticket: Ticket,
    /// The folder of the run whose arms score.
    pub run: PathBuf,
}

impl TrainingState {
    /// A run whose order is on its way.
    pub fn new(order: TrainOrder) -> TrainingState {
        let run = order.resume.clone();
        TrainingState { ticket: 0, order, stage: Stage::Preparing, run, steps: 0, error: None, outcome: None, is_cancelled: false }
    }
}

impl ReadingState {
    /// A reading whose order is on its way.
    pub fn new(order: ReadOrder) -> ReadingState {
        ReadingState { ticket: 0, order, prompt: None, at: 0, done: 0, total: 0, notes: vec![] }
    }
}

impl ScoringState {
    /// A text whose order is on its way.
    pub fn new(order: &ScoreOrder) -> ScoringState {
        ScoringState { ticket: 0, run: order.request.run.clone() }
    }
}

impl From<&Reading> for ReadingState {
    fn from(reading: &Reading) -> ReadingState {
        ReadingState {
            ticket: reading.ticket,
            order: reading.order.clone(),
            prompt: reading.prompt().map(str::to_owned),
            at: reading.at,
            done: reading.done,
            total: reading.total(),
            notes: reading.notes().to_vec(),
        }
    }
}

impl From<&Scoring> for ScoringState {
    fn from(scoring: &Scoring) -> ScoringState {
        ScoringState { ticket: scoring.ticket, ..ScoringState::new(&scoring.order) }
    }
}
