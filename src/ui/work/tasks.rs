//! What training and reading need done on the compute lane before the engine is asked.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::{Key, ReadOrder, TrainOrder};
use crate::dataset::Encoder;
use crate::run::Run;
use crate::run::checkpoint::Checkpoints;
use crate::run::log::History;
use crate::run::outputs::{self, Output};
use crate::run::prepare::{Prepared, find_model};
use crate::run::prompts::{Prompts, sampling_for};
use crate::run::protocol::{Job, Load, Prompt, Sampling, Train, Tuned};
use crate::run::resume;
use crate::run::scores::{self, Scores};
use crate::ui::tasks::{Desk, Lane, in_words};

#[derive(Debug)]
pub enum Task {
    Prepare {
        job: Job,
        order: Box<TrainOrder>,
    },
    Create {
        job: Job,
        order: Box<TrainOrder>,
        prepared: Box<Prepared>,
        device: String,
    },
    Plan {
        job: Job,
        order: ReadOrder,
    },
    /// Appends a sample to the run's outputs.
    Keep(Box<Drawn>),
    /// Appends scores to those of the run in this folder.
    KeepScores(Box<(PathBuf, Scores)>),
}

#[derive(Debug)]
pub enum Done {
    Prepared { job: Job, prepared: Box<Result<Box<Prepared>, String>> },
    Created { job: Job, created: Box<Result<Created, String>> },
    Planned { job: Job, plan: Result<Box<ReadPlan>, String> },
    Kept(Result<(), String>),
}

/// A run's folder and the command that trains it.
#[derive(Debug)]
pub struct Created {
    pub run: PathBuf,
    pub history: History,
    pub train: Box<Train>,
}

/// Prompts as a run's model reads them, and how to load it.
#[derive(Debug)]
pub struct ReadPlan {
    pub key: Key,
    pub load: Load,
    pub prompts: Vec<Prompt>,
    pub notes: Vec<String>,
    pub seeds: Vec<u64>,
    pub sampling: Sampling,
    /// Of the checkpoint.
    pub step: usize,
}

/// A sample and the run it was drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    pub run: PathBuf,
    pub output: Output,
}

impl Task {
    pub fn lane(&self) -> Lane {
        match self {
            Task::Keep(_) | Task::KeepScores(_) => Lane::Disk,
            Task::Prepare { .. } | Task::Create { .. } | Task::Plan { .. } => Lane::Compute,
        }
    }

    pub fn run(self, desk: &mut Desk) -> Done {
        match self {
            Task::Prepare { job, order } => Done::Prepared { job, prepared: Box::new(in_words(prepare(desk, &order)).map(Box::new)) },
            Task::Create { job, order, prepared, device } => {
                Done::Created { job, created: Box::new(in_words(create(desk, &order, &prepared, &device))) }
            }
            Task::Plan { job, order } => Done::Planned { job, plan: in_words(plan(desk, &order)).map(Box::new) },
            Task::Keep(drawn) => Done::Kept(in_words(outputs::append(&drawn.run, &drawn.output))),
            Task::KeepScores(kept) => Done::Kept(in_words(scores::append(&kept.0, &kept.1))),
        }
    }
}

fn prepare(desk: &Desk, order: &TrainOrder) -> Result<Prepared> {
    match &order.resume {
        None => Prepared::new(&desk.workspace, order.config.clone(), desk.workspace.templates()?, order.only.clone()),
        // By its own values: they may have been edited here, and never have stood in a file.
        Some(folder) => resume::prepare(&desk.workspace, &Run::open(folder)?, Some(order.config.clone())),
    }
}

fn create(desk: &Desk, order: &TrainOrder, prepared: &Prepared, device: &str) -> Result<Created> {
    let run = match &order.resume {
        Some(folder) => Run::open(folder)?,
        None => prepared.create_run(&desk.workspace.runs(), &order.name, device, None)?,
    };
    let mut train = prepared.train(0, &run);
    if order.resume.is_some() {
        train.resume_from = Checkpoints::of(&run.folder).find(None)?.step;
        if train.resume_from >= prepared.steps() {
            bail!("{}: has done all of its {} steps; start a new run, for example with more epochs", run.folder_name(), prepared.steps());
        }
    }
    Ok(Created { history: History::read(&run.folder)?, run: run.folder, train: Box::new(train) })
}

fn plan(desk: &Desk, order: &ReadOrder) -> Result<ReadPlan> {
    let run = Run::open(&order.run)?;
    let checkpoint = Checkpoints::of(&run.folder).result()?;
    let manifest = &run.manifest;
    let config = &manifest.config;
    let revision = manifest.model.commit.as_ref().unwrap_or(&manifest.model.revision);
    let (files, spec, text) = find_model(desk.workspace.root(), &config.model, revision)?;
    let settings = desk.workspace.sampling()?;
    let mut sampling = sampling_for(&settings, &config.short_name());
    sampling.temperature = order.temperature.unwrap_or(sampling.temperature);
    let encoder = Encoder::new(&text.tokenizer, config.format, &manifest.templates)?;
    let mut prompts = Prompts::default();
    for (id, text) in &order.prompts {
        prompts.add(id, text, &encoder, sampling.max_new_tokens, spec.context())?;
    }
    let samples = order.samples.unwrap_or(settings.samples);
    Ok(ReadPlan {
        key: Key { run: run.folder.clone(), checkpoint: checkpoint.path.clone() },
        load: Load { job: 0, files, precision: config.base_precision, tuned: Some(Tuned::of(config.method, &checkpoint.path)) },
        prompts: prompts.fitting,
        notes: prompts.notes,
        seeds: (0..samples as u64).map(|i| settings.seed.wrapping_add(i)).collect(),
        sampling,
        step: checkpoint.step,
    })
}
