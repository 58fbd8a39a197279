//! What can be ordered.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::run::protocol::Arm;
use crate::run::scoring::Request;

/// Names an order for as long as its worker lives.
pub type Ticket = u64;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// An order in the queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    pub ticket: Ticket,
    pub order: Order,
}

/// A run to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainOrder {
    /// With the values as the writer edited them.
    pub config: Config,
    /// Names the run.
    pub name: String,
    /// The only pairs to train on, for the first rungs of the ladder.
    pub only: Option<Vec<String>>,
    /// The run folder to go on with, in place of a new run.
    pub resume: Option<PathBuf>,
    /// With `resume`: by the run's own config and data set, although those in the workspace have changed since.
    pub force: bool,
    /// A PEFT folder to start from, in place of a fresh adapter.
    pub adapter_init: Option<PathBuf>,
    /// End after this step of the run; the schedule still counts all steps.
    pub last_step: Option<usize>,
}

impl TrainOrder {
    /// A new run on all ready pairs.
    pub fn new(config: Config, name: String) -> TrainOrder {
        TrainOrder { config, name, only: None, resume: None, force: false, adapter_init: None, last_step: None }
    }
}

/// Prompts for the arms of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreOrder {
    /// Chosen by the sender, to know the order again; another viewer may choose the same.
    pub ticket: u64,
    pub request: Request,
}
