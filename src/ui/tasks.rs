//! Work that would hold the interface up: done beside it, in order, on one of two threads.

use super::screens::{diff, pairs, review, runs, train};
use super::work;
use crate::config::Workspace;

/// Where a task is done. Each lane does one task after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Files of the workspace, in the order in which they were asked for.
    Disk,
    /// What takes long: tokenising, aligning, preparing runs.
    Compute,
}

/// What a lane's thread has at hand.
#[derive(Debug)]
pub struct Desk {
    pub workspace: Workspace,
    pub pairs: pairs::Desk,
    pub runs: runs::Desk,
    pub train: train::Desk,
    pub work: work::Desk,
}

impl Desk {
    pub fn new(workspace: Workspace) -> Desk {
        Desk {
            workspace,
            pairs: pairs::Desk::default(),
            runs: runs::Desk::default(),
            train: train::Desk::default(),
            work: work::Desk::default(),
        }
    }
}

/// An error with its causes in one sentence: what came of a task is plain data.
pub fn in_words<T>(result: anyhow::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{error:#}"))
}

macro_rules! tasks {
    ($($variant:ident: $module:ident),*) => {
        #[derive(Debug)]
        pub enum Task {
            $($variant($module::Task)),*
        }

        /// What became of a task.
        #[derive(Debug)]
        pub enum Done {
            $($variant($module::Done)),*
        }

        impl Task {
            pub fn lane(&self) -> Lane {
                match self {
                    $(Task::$variant(task) => task.lane()),*
                }
            }

            /// Whose task it is, for a message.
            pub fn owner(&self) -> &'static str {
                match self {
                    $(Task::$variant(_) => stringify!($module)),*
                }
            }

            pub fn run(self, desk: &mut Desk) -> Done {
                match self {
                    $(Task::$variant(task) => Done::$variant(task.run(desk))),*
                }
            }
        }

        $(impl From<$module::Task> for Task {
            fn from(task: $module::Task) -> Task {
                Task::$variant(task)
            }
        })*
    };
}

tasks!(Pairs: pairs, Train: train, Review: review, Diff: diff, Runs: runs, Work: work);
