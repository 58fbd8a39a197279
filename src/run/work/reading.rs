//! Prompts for one run's arms, answered one after another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::tasks::{Drawn, ReadPlan, Task};
use super::{Effect, News, Outcomes, ReadOrder, Ticket, as_result};
use crate::run::outputs::Output;
use crate::run::protocol::{Arm, Command, Event, Generate, Job};

/// A model as the engine thread holds it: a run at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub run: PathBuf,
    pub checkpoint: PathBuf,
}

#[derive(Debug)]
pub struct Reading {
    job: Job,
    pub ticket: Ticket,
    pub order: ReadOrder,
    plan: Option<ReadPlan>,
    /// Position of the prompt being answered.
    pub at: usize,
    /// Samples that are whole, of all prompts.
    pub done: usize,
    /// Tokens that came, of all prompts and rows.
    pub tokens: usize,
    /// Text of the prompt being answered, as it comes, by arm and sample.
    pub streams: BTreeMap<(&'static str, usize), String>,
    is_stopped: bool,
}

impl Reading {
    pub(super) fn begin(job: Job, ticket: Ticket, order: ReadOrder, out: &mut Outcomes) -> Reading {
        out.effect(Effect::Task(Task::Plan { job, order: order.clone() }));
        out.news(News::Reading);
        Reading { job, ticket, order, plan: None, at: 0, done: 0, tokens: 0, streams: BTreeMap::new(), is_stopped: false }
    }

    pub(super) fn owns(&self, job: Job) -> bool {
        job == self.job
    }

    /// The id of the prompt being answered.
    pub fn prompt(&self) -> Option<&str> {
        self.plan.as_ref()?.prompts.get(self.at).map(|prompt| prompt.id.as_str())
    }

    /// The text so far of an arm's sample of the prompt being answered.
    pub fn stream(&self, arm: Arm, sample: usize) -> Option<&str> {
        self.streams.get(&(word(arm), sample)).map(String::as_str)
    }

    /// Samples in all.
    pub fn total(&self) -> usize {
        self.plan.as_ref().map_or(0, |plan| plan.prompts.len() * self.order.arms.len() * plan.seeds.len())
    }

    /// What could not be asked, or not at full length.
    pub fn notes(&self) -> &[String] {
        self.plan.as_ref().map_or(&[], |plan| &plan.notes)
    }

    pub(super) fn on_planned(&mut self, plan: ReadPlan, is_loaded: bool, out: &mut Outcomes) -> bool {
        if self.is_stopped || plan.prompts.is_empty() {
            for note in &plan.notes {
                out.effect(Effect::Warn(note.clone()));
            }
            return true;
        }
        match is_loaded {
            true => {
                self.plan = Some(plan);
                self.ask(out);
            }
            false => {
                let mut load = plan.load.clone();
                load.job = self.job;
                out.effect(Effect::Engine(Command::Load(load)));
                self.plan = Some(plan);
            }
        }
        out.news(News::Reading);
        false
    }

    /// What the engine thread holds from now on.
    pub(super) fn loaded_by(&self, job: Job, event: &Event) -> Option<Key> {
        match event {
            Event::Loaded(_) if job == self.job => self.plan.as_ref().map(|plan| plan.key.clone()),
            _ => None,
        }
    }

    /// The result, where this was the reading's end.
    pub(super) fn on_event(&mut self, event: Event, out: &mut Outcomes) -> Option<Result<(), String>> {
        match event {
            Event::Loaded(_) if self.is_stopped => return Some(Ok(())),
            Event::Loaded(_) => self.ask(out),
            Event::Text(text) => {
                self.tokens += 1;
                self.streams.entry((word(text.arm), text.sample)).or_default().push_str(&text.text);
                out.news(News::Reading);
            }
            Event::Sample(sample) => {
                if let Some(plan) = &self.plan {
                    let text = self.order.prompts.iter().find(|(id, _)| *id == sample.prompt).map_or("", |(_, text)| text);
                    self.done += 1;
                    // A model that trains is past the checkpoint that was planned with.
                    let output = Output::new(&sample, text, sample.step.unwrap_or(plan.step), plan.sampling);
                    let drawn = Box::new(Drawn { run: self.order.run.clone(), output });
                    out.effect(Effect::Task(Task::Keep(drawn.clone())));
                    out.news(News::Sample(drawn));
                }
            }
            Event::Ended(ended) => {
                let result = as_result(ended.outcome, ended.error);
                self.at += 1;
                self.streams.clear();
                let is_last = self.plan.as_ref().is_none_or(|plan| self.at >= plan.prompts.len());
                if result.is_err() || self.is_stopped || is_last {
                    return Some(result);
                }
                self.ask(out);
                out.news(News::Reading);
            }
            _ => {}
        }
        None
    }

    /// Whether it has ended with that; otherwise the engine thread says when.
    pub(super) fn stop(&mut self, out: &mut Outcomes) -> bool {
        self.is_stopped = true;
        if self.plan.is_some() {
            out.effect(Effect::Engine(Command::Stop { job: self.job }));
            return false;
        }
        true
    }

    fn ask(&mut self, out: &mut Outcomes) {
        let Some(plan) = &self.plan else { return };
        let Some(prompt) = plan.prompts.get(self.at) else { return };
        out.effect(Effect::Engine(Command::Generate(Generate {
            job: self.job,
            prompt: prompt.clone(),
            arms: self.order.arms.clone(),
            seeds: plan.seeds.clone(),
            sampling: plan.sampling,
        })));
    }
}

fn word(arm: Arm) -> &'static str {
    match arm {
        Arm::Base => "base",
        Arm::Tuned => "tuned",
    }
}
