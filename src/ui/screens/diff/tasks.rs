//! What the Diff screen needs done beside the interface.

use std::ops::Range;

use super::comparison::Comparison;
use crate::pairs::{self, Pair, Status, Tier};
use crate::review::paragraphs::piece_ending;
use crate::review::{Counts, Ending, align};
use crate::ui::tasks::{Desk, Lane};

#[derive(Debug)]
pub enum Task {
    /// Aligns the texts.
    Compare { generation: u64, draft: String, revision: String, copied: Vec<Range<usize>>, finished: Option<String> },
    /// Lists the pairs of a draft and a finished essay.
    List,
    /// Says what the writer did with one draft.
    Measure(String),
    /// Reads one pair, to be shown.
    Open(String),
}

#[derive(Debug)]
pub enum Done {
    Compared {
        generation: u64,
        comparison: Box<Comparison>,
    },
    Listed(Vec<Listed>),
    Measured {
        id: String,
        edit: Option<Edit>,
    },
    /// The pair, or why it cannot be read.
    Opened(Result<Box<Pair>, String>),
}

/// A pair of tier 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    pub status: Status,
}

/// What became of a draft in the writer's hands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edit {
    pub counts: Counts,
    pub ending: Option<Ending>,
}

impl Task {
    pub fn lane(&self) -> Lane {
        match self {
            Task::Compare { .. } | Task::Measure(_) => Lane::Compute,
            Task::List | Task::Open(_) => Lane::Disk,
        }
    }

    pub fn run(self, desk: &mut Desk) -> Done {
        let folder = desk.workspace.pairs();
        match self {
            Task::Compare { generation, draft, revision, copied, finished } => {
                Done::Compared { generation, comparison: Box::new(Comparison::of(&draft, &revision, &copied, finished.as_deref())) }
            }
            Task::List => {
                let (pairs, _) = pairs::load(&folder);
                let drafts = pairs.into_iter().filter(|pair| pair.tier == Tier::Draft && pair.status != Status::Discarded);
                Done::Listed(drafts.map(|pair| Listed { id: pair.id, status: pair.status }).collect())
            }
            Task::Measure(id) => {
                let pair = pairs::open(&folder, &id).ok().map(|loaded| loaded.pair);
                let edit = pair.map(|pair| {
                    let alignment = align(&pair.prompt, &pair.response);
                    Edit { counts: Counts::of(&alignment), ending: piece_ending(&alignment) }
                });
                Done::Measured { id, edit }
            }
            Task::Open(id) => Done::Opened(match pairs::open(&folder, &id) {
                Ok(loaded) => Ok(Box::new(loaded.pair)),
                Err(problems) => Err(problems.first().map_or(format!("{id}: cannot be read"), ToString::to_string)),
            }),
        }
    }
}
