//! What viewers ask of the worker, and what it tells them: closed enums of plain data, one a frame.

use serde::{Deserialize, Serialize};

use crate::run::protocol::Text;
use crate::run::work::{Drawn, Order, ScoredText, State, Ticket};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Answered with [`Report::Accepted`], in the order of the requests.
    Order(Order),
    /// Ends the run with this ticket after its step, or takes its order out of the queue.
    Stop { ticket: Ticket },
    /// Ends the reading and the scoring under way and forgets those that wait.
    StopReading,
    /// Ends what is under way and forgets what waits.
    StopAll,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// Comes first, and whenever something in it has changed.
    State(Box<State>),
    Accepted {
        ticket: Ticket,
    },
    /// The log of the run that trains has grown. May be left out for a viewer that lags.
    Logged,
    /// Of the reading under way, as it is drawn. May be left out for a viewer that lags.
    Text(Text),
    /// A whole sample, which is on its way to the run's outputs.
    Sample(Box<Drawn>),
    /// What came of the score with this ticket.
    Scored {
        ticket: Ticket,
        text: Result<Box<ScoredText>, String>,
    },
    /// Something that the writer shall know.
    Notice {
        level: Level,
        text: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Warning,
    Error,
}
