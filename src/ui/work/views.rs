//! A run and a reading as the screens see them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ReadOrder, Stage, Ticket, TrainOrder};
use crate::run::log::History;
use crate::run::protocol::{Arm, Event, Outcome, Text};
use crate::run::work::{ReadingState, TrainingState};

#[derive(Debug)]
pub struct Training {
    pub(super) ticket: Ticket,
    pub order: TrainOrder,
    pub stage: Stage,
    /// Its folder, once it is made.
    pub run: Option<PathBuf>,
    /// What its log holds; a resumed run has all of its past.
    pub history: History,
    /// Optimiser steps of all epochs; 0 until it is prepared.
    pub steps: usize,
    /// Why it failed, where it did.
    pub error: Option<String>,
    /// How it ended, where it began.
    pub outcome: Option<Outcome>,
    /// Whether it was stopped before it began, and only waits for what cannot be interrupted.
    pub is_cancelled: bool,
    /// Why its log cannot be read.
    pub log_error: Option<String>,
}

impl Training {
    /// What was read of the same run's log stays.
    pub(super) fn new(state: TrainingState, before: Option<Training>) -> Training {
        let known = before.filter(|before| before.run == state.run).unwrap_or_else(|| Training::empty(&state.order));
        let TrainingState { ticket, order, stage, run, steps, error, outcome, is_cancelled } = state;
        Training { ticket, order, stage, run, steps, error, outcome, is_cancelled, ..known }
    }

    fn empty(order: &TrainOrder) -> Training {
        Training {
            ticket: 0,
            order: order.clone(),
            stage: Stage::Preparing,
            run: None,
            history: History::default(),
            steps: 0,
            error: None,
            outcome: None,
            is_cancelled: false,
            log_error: None,
        }
    }

    pub(super) fn is_as(&self, state: &TrainingState) -> bool {
        let TrainingState { ticket, order, stage, run, steps, error, outcome, is_cancelled } = state;
        (self.ticket, self.stage, self.steps, self.outcome, self.is_cancelled) == (*ticket, *stage, *steps, *outcome, *is_cancelled)
            && self.run == *run
            && self.error == *error
            && self.order == *order
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
    pub(super) ticket: Ticket,
    pub order: ReadOrder,
    prompt: Option<String>,
    /// Position of the prompt being answered.
    pub at: usize,
    /// Samples that are whole, of all prompts.
    pub done: usize,
    total: usize,
    notes: Vec<String>,
    /// Tokens that came, of all prompts and rows.
    pub tokens: usize,
    /// Text of the prompt being answered, as it comes, by arm and sample. A viewer that came late has only the rest of it.
    streams: BTreeMap<(&'static str, usize), String>,
}

impl Reading {
    /// What has come of the same prompt stays.
    pub(super) fn new(state: ReadingState, before: Option<Reading>) -> Reading {
        let (tokens, streams) = match before {
            Some(before) if before.at == state.at => (before.tokens, before.streams),
            Some(before) => (before.tokens, BTreeMap::new()),
            None => (0, BTreeMap::new()),
        };
        let ReadingState { ticket, order, prompt, at, done, total, notes } = state;
        Reading { ticket, order, prompt, at, done, total, notes, tokens, streams }
    }

    pub(super) fn is_as(&self, state: &ReadingState) -> bool {
        let ReadingState { ticket, order, prompt, at, done, total, notes } = state;
        (self.ticket, self.at, self.done, self.total) == (*ticket, *at, *done, *total)
            && self.prompt == *prompt
            && self.notes == *notes
            && self.order == *order
    }

    pub(super) fn take(&mut self, text: &Text) {
        self.tokens += 1;
        self.streams.entry((word(text.arm), text.sample)).or_default().push_str(&text.text);
    }

    /// The id of the prompt being answered.
    pub fn prompt(&self) -> Option<&str> {
        self.prompt.as_deref()
    }

    /// The text so far of an arm's sample of the prompt being answered.
    pub fn stream(&self, arm: Arm, sample: usize) -> Option<&str> {
        self.streams.get(&(word(arm), sample)).map(String::as_str)
    }

    /// Samples in all.
    pub fn total(&self) -> usize {
        self.total
    }

    /// What could not be asked, or not at full length.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

fn word(arm: Arm) -> &'static str {
    match arm {
        Arm::Base => "base",
        Arm::Tuned => "tuned",
    }
}
