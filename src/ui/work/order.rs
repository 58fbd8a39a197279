//! What can be ordered.

use std::path::PathBuf;

use crate::config::Config;
use crate::run::protocol::Arm;
use crate::run::scoring::Request;

#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    Train(Box<TrainOrder>),
    Read(ReadOrder),
    Score(Box<ScoreOrder>),
}

impl From<TrainOrder> for Order {
    fn from(order: TrainOrder) -> Order {
        Order::Train(Box::new(order))
    }
}

impl From<ReadOrder> for Order {
    fn from(order: ReadOrder) -> Order {
        Order::Read(order)
    }
}

impl From<ScoreOrder> for Order {
    fn from(order: ScoreOrder) -> Order {
        Order::Score(Box::new(order))
    }
}

/// A run to train.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOrder {
    /// With the values as the writer edited them.
    pub config: Config,
    /// Names the run.
    pub name: String,
    /// The only pairs to train on, for the first rungs of the ladder.
    pub only: Option<Vec<String>>,
    /// The run folder to go on with, in place of a new run.
    pub resume: Option<PathBuf>,
}

/// Prompts for the arms of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOrder {
    /// The run's folder.
    pub run: PathBuf,
    pub arms: Vec<Arm>,
    /// Each with the id that names its folder in `outputs/`, and its text.
    pub prompts: Vec<(String, String)>,
    /// Samples for each arm; `None` is as `sampling.yaml` says.
    pub samples: Option<usize>,
    /// In place of the one in `sampling.yaml`.
    pub temperature: Option<f64>,
}

/// A text for the arms of one run to score.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreOrder {
    /// Chosen by the sender; what comes of the order carries it back.
    pub ticket: u64,
    pub request: Request,
}
