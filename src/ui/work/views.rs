//! A run and a reading as the screens see them.

use std::collections::BTreeMap;

use crate::run::log::History;
use crate::run::protocol::{Arm, Event, Text};
use crate::run::work::{ReadingState, TrainingState};

#[derive(Debug)]
pub struct Training {
    /// As the worker told it.
    pub state: TrainingState,
    /// What its log holds; a resumed run has all of its past.
    pub history: History,
    /// Why its log cannot be read.
    pub log_error: Option<String>,
}

impl Training {
    /// What was read of the same run's log stays.
    pub(super) fn new(state: TrainingState, before: Option<Training>) -> Training {
        match before {
            Some(before) if before.state.run == state.run => Training { state, ..before },
            _ => Training { state, history: History::default(), log_error: None },
        }
    }

    pub(super) fn take(&mut self, events: Vec<Event>, is_from_start: bool) {
        if is_from_start {
            self.history = History::default();
        }
        events.into_iter().for_each(|event| self.history.fold(event));
        self.log_error = None;
    }
}

#[derive(Debug)]
pub struct Reading {
    /// As the worker told it.
    pub state: ReadingState,
    /// Tokens that came, of all prompts and rows.
    pub tokens: usize,
    /// Text of the prompt being answered, as it comes, by arm and sample. A viewer that came late has only the rest of it.
    streams: BTreeMap<(&'static str, usize), String>,
}

impl Reading {
    /// What has come of the same prompt stays.
    pub(super) fn new(state: ReadingState, before: Option<Reading>) -> Reading {
        match before {
            Some(before) if before.state.at == state.at => Reading { state, ..before },
            before => Reading { state, tokens: before.map_or(0, |before| before.tokens), streams: BTreeMap::new() },
        }
    }

    pub(super) fn take(&mut self, text: &Text) {
        self.tokens += 1;
        self.streams.entry((word(text.arm), text.sample)).or_default().push_str(&text.text);
    }

    /// The text so far of an arm's sample of the prompt being answered.
    pub fn stream(&self, arm: Arm, sample: usize) -> Option<&str> {
        self.streams.get(&(word(arm), sample)).map(String::as_str)
    }
}

fn word(arm: Arm) -> &'static str {
    match arm {
        Arm::Base => "base",
        Arm::Tuned => "tuned",
    }
}
