//! What training and reading need done before the engine is asked, and with what it answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::{Key, ReadOrder, TrainOrder};
use crate::config::Workspace;
use crate::dataset::Encoder;
use crate::run::Run;
use crate::run::checkpoint::Checkpoints;
use crate::run::outputs::{self, Output};
use crate::run::prepare::{Prepared, find_model};
use crate::run::prompts::{Prompts, sampling_for};
use crate::run::protocol::{Job, Load, Prompt, Sampling, Train, Tuned};
use crate::run::resume;
use crate::run::scores::{self, Scores};

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    pub run: PathBuf,
    pub output: Output,
}

impl Task {
    pub fn run(self, workspace: &Workspace) -> Done {
        match self {
            Task::Prepare { job, order } => {
                let prepared = attempt(|| prepare(workspace, &order));
                Done::Prepared { job, prepared: Box::new(prepared.map(Box::new)) }
            }
            Task::Create { job, order, prepared, device } => {
                Done::Created { job, created: Box::new(attempt(|| create(workspace, &order, &prepared, &device))) }
            }
            Task::Plan { job, order } => Done::Planned { job, plan: attempt(|| plan(workspace, &order)).map(Box::new) },
            Task::Keep(drawn) => Done::Kept(attempt(|| outputs::append(&drawn.run, &drawn.output))),
            Task::KeepScores(kept) => Done::Kept(attempt(|| scores::append(&kept.0, &kept.1))),
        }
    }
}

/// The error in one sentence. A panic is one too: whoever waits for the task hears of its end.
fn attempt<T>(work: impl FnOnce() -> Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(_) => Err("a fault in voicetune (please report it); the worker's log has it".into()),
    }
}

fn prepare(workspace: &Workspace, order: &TrainOrder) -> Result<Prepared> {
    match &order.resume {
        None => Prepared::new(workspace, order.config.clone(), workspace.templates()?, order.only.clone()),
        Some(folder) if order.force => Prepared::of_run(workspace, &Run::open(folder)?),
        // By its own values: they may have been edited here, and never have stood in a file.
        Some(folder) => resume::prepare(workspace, &Run::open(folder)?, Some(order.config.clone())),
    }
}

fn create(workspace: &Workspace, order: &TrainOrder, prepared: &Prepared, device: &str) -> Result<Created> {
    let run = match &order.resume {
        Some(folder) => Run::open(folder)?,
        None => prepared.create_run(&workspace.runs(), &order.name, device, order.adapter_init.as_deref())?,
    };
    let mut train = prepared.train(0, &run);
    if order.resume.is_some() {
        train.resume_from = Checkpoints::of(&run.folder).find(None)?.step;
        if train.resume_from >= prepared.steps() {
            bail!("{}: has done all of its {} steps; start a new run, for example with more epochs", run.folder_name(), prepared.steps());
        }
    }
    train.adapter_init.clone_from(&order.adapter_init);
    train.last_step = order.last_step;
    Ok(Created { run: run.folder, train: Box::new(train) })
}

fn plan(workspace: &Workspace, order: &ReadOrder) -> Result<ReadPlan> {
    let run = Run::open(&order.run)?;
    let checkpoint = Checkpoints::of(&run.folder).result()?;
    let manifest = &run.manifest;
    let config = &manifest.config;
    let revision = manifest.model.commit.as_ref().unwrap_or(&manifest.model.revision);
    let (files, spec, text) = find_model(workspace.root(), &config.model, revision)?;
    let settings = workspace.sampling()?;
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
