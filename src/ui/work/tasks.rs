//! Reads on in the log of the run under way.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::run::Follow;
use crate::run::protocol::Event;
use crate::ui::tasks::{Desk as AnyDesk, Lane, in_words};

#[derive(Debug)]
pub enum Task {
    Follow(PathBuf),
}

#[derive(Debug)]
pub enum Done {
    Followed { run: PathBuf, followed: Result<Followed, String> },
}

/// What was added to a log since the last look.
#[derive(Debug, PartialEq)]
pub struct Followed {
    pub events: Vec<Event>,
    /// These are all there are.
    pub is_from_start: bool,
}

/// The log that was read last, and how far.
#[derive(Debug, Default)]
pub struct Desk(Option<(PathBuf, Follow)>);

impl Task {
    pub fn lane(&self) -> Lane {
        Lane::Disk
    }

    pub fn run(self, desk: &mut AnyDesk) -> Done {
        let Task::Follow(run) = self;
        Done::Followed { followed: in_words(desk.work.follow(&run)), run }
    }
}

impl Desk {
    fn follow(&mut self, run: &Path) -> Result<Followed> {
        let is_from_start = self.0.as_ref().is_none_or(|(known, _)| known != run);
        if is_from_start {
            self.0 = None;
        }
        let (_, follow) = self.0.get_or_insert_with(|| (run.to_owned(), Follow::new(run)));
        let events = follow.poll()?;
        Ok(Followed { events, is_from_start })
    }
}
