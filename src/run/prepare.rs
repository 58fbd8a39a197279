//! What a run is made of, found and checked before anything is written or any weight is read.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::folder::{Run, check_name};
use super::manifest::{Data, Manifest, Model};
use super::plan::Plan;
use super::prompts::{Prompts, sampling_for};
use super::protocol::{Job, Load, Train, now};
use crate::config::{self, Config, Every, Templates, Workspace};
use crate::dataset::{Dataset, Encoder, Example, Left, ModelText, Part, Shortened, TokenizerFiles};
use crate::engine::spec::Spec;
use crate::hub::{ModelFiles, Search};
use crate::pairs::{self, Pair, Problem, Status};

/// A run that could begin.
#[derive(Debug)]
pub struct Prepared {
    pub config: Config,
    pub templates: Templates,
    pub files: ModelFiles,
    pub spec: Spec,
    /// Train examples, then validation examples.
    pub examples: Vec<Example>,
    /// Ready pairs without an example.
    pub left: Vec<Left>,
    /// Pairs whose response was cut.
    pub shortened: Vec<Shortened>,
    /// The text of `dataset.jsonl`.
    jsonl: String,
    pub data_hash: String,
    pub only_pairs: Option<Vec<String>>,
    pub canaries: Prompts,
    pub sampling: config::Sampling,
    /// Pair files that could not be read; the run goes without them.
    pub problems: Vec<Problem>,
}

/// The model that a config names, at a revision, with its text side.
pub fn find_model(workspace: &Path, model: &str, revision: &str) -> Result<(ModelFiles, Spec, ModelText)> {
    let files = ModelFiles::resolve(model, revision, &Search::from_env(workspace))?;
    let texts = files.text_files()?;
    let spec = Spec::parse(&texts.config).with_context(|| format!("{model}: its config.json"))?;
    let text = ModelText::new(&TokenizerFiles::from(&texts))?;
    Ok((files, spec, text))
}

/// What a model's `config.json` alone says of its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Names its arms: see [`Arm::named`](super::protocol::Arm::named).
    pub short_name: &'static str,
    /// Positions for prompt and output together.
    pub context: usize,
}

/// As [`find_model`], without reading the tokenizer.
pub fn find_shape(workspace: &Path, model: &str, revision: &str) -> Result<Shape> {
    let files = ModelFiles::resolve(model, revision, &Search::from_env(workspace))?;
    let spec = Spec::parse(&files.config_json()?).with_context(|| format!("{model}: its config.json"))?;
    Ok(Shape { short_name: spec.short_name(), context: spec.context() })
}

impl Prepared {
    /// Prepares a run of `config` on the workspace's ready pairs, or on `only` these.
    pub fn new(workspace: &Workspace, config: Config, templates: Templates, only: Option<Vec<String>>) -> Result<Prepared> {
        let found = find_model(workspace.root(), &config.model, &config.revision)?;
        Prepared::with_model(workspace, config, templates, only, found)
    }

    /// As [`Prepared::new`], with the config's model as [`find_model`] found it.
    pub fn with_model(
        workspace: &Workspace,
        config: Config,
        templates: Templates,
        only: Option<Vec<String>>,
        (files, spec, text): (ModelFiles, Spec, ModelText),
    ) -> Result<Prepared> {
        let (all, problems) = pairs::load(&workspace.pairs());
        let chosen = match &only {
            None => all,
            Some(ids) => choose(&all, ids, &problems)?,
        };
        let dataset = Dataset::build(&chosen, &config, &templates, &text)?;
        let sampling = workspace.sampling()?;
        Ok(Prepared {
            canaries: canaries(workspace, &config, &templates, &text, &sampling)?,
            examples: dataset.examples().cloned().collect(),
            jsonl: dataset.jsonl()?,
            data_hash: dataset.hash()?,
            left: dataset.left,
            shortened: dataset.shortened,
            only_pairs: only,
            config,
            templates,
            files,
            spec,
            sampling,
            problems,
        })
    }

    /// A run as it was made: its own config, data set and templates, and the very weights it began with.
    pub fn of_run(workspace: &Workspace, run: &Run) -> Result<Prepared> {
        let Manifest { config, templates, model, data, only_pairs, .. } = run.manifest.clone();
        let (files, spec, text) = find_model(workspace.root(), &model.name, model.commit.as_ref().unwrap_or(&model.revision))?;
        let sampling = workspace.sampling()?;
        Ok(Prepared {
            canaries: canaries(workspace, &config, &templates, &text, &sampling)?,
            examples: run.examples()?,
            jsonl: run.dataset_jsonl()?,
            data_hash: data.hash,
            left: vec![],
            shortened: vec![],
            only_pairs,
            config,
            templates,
            files,
            spec,
            sampling,
            problems: vec![],
        })
    }

    /// Optimiser steps of all epochs.
    pub fn steps(&self) -> usize {
        steps(&self.examples, &self.config)
    }

    /// The examples of one part of the split.
    pub fn part(&self, part: Part) -> impl Iterator<Item = &Example> {
        self.examples.iter().filter(move |example| example.split == part)
    }

    pub fn load(&self, job: Job) -> Load {
        Load { job, files: self.files.clone(), precision: self.config.base_precision, tuned: None }
    }

    /// Makes the run's folder. To be called once the model is loaded, so that a model that cannot be used leaves no folder behind.
    pub fn create_run(&self, runs: &Path, name: &str, device: &str, adapter_init: Option<&Path>) -> Result<Run> {
        check_name(name)?;
        let manifest = Manifest {
            name: name.to_owned(),
            created: now(),
            version: env!("CARGO_PKG_VERSION").into(),
            device: device.to_owned(),
            model: Model::of(&self.files, &self.config),
            adapter_init: adapter_init.map(|folder| folder.display().to_string()),
            config: self.config.clone(),
            seed: self.config.seed,
            only_pairs: self.only_pairs.clone(),
            templates: self.templates.clone(),
            data: Data {
                hash: self.data_hash.clone(),
                train: self.part(Part::Train).map(|e| e.pair.clone()).collect(),
                validation: self.part(Part::Validation).map(|e| e.pair.clone()).collect(),
            },
        };
        Run::create(runs, manifest, &self.jsonl)
    }

    /// The command that trains `run` from its beginning; the caller sets what is special about it.
    pub fn train(&self, job: Job, run: &Run) -> Train {
        Train {
            job,
            run: run.folder.clone(),
            config: self.config.clone(),
            examples: self.examples.clone(),
            data_hash: self.data_hash.clone(),
            canaries: self.canaries.fitting.clone(),
            sampling: sampling_for(&self.sampling, &self.config.short_name()),
            sample_seed: self.sampling.seed,
            adapter_init: None,
            resume_from: 0,
            last_step: None,
        }
    }
}

/// Optimiser steps of all epochs.
pub fn steps(examples: &[Example], config: &Config) -> usize {
    Plan::new(examples, config).steps()
}

fn canaries(
    workspace: &Workspace,
    config: &Config,
    templates: &Templates,
    text: &ModelText,
    sampling: &config::Sampling,
) -> Result<Prompts> {
    if config.sample_every == Every::Never {
        return Ok(Prompts::default());
    }
    let encoder = Encoder::new(&text.tokenizer, config.format, templates)?;
    Prompts::canaries(&workspace.canaries()?, &encoder, sampling_for(sampling, &config.short_name()).max_new_tokens, text.context)
}

/// The pairs with these ids, each of which must be there and ready.
fn choose(all: &[Pair], ids: &[String], problems: &[Problem]) -> Result<Vec<Pair>> {
    ids.iter()
        .map(|id| match all.iter().find(|pair| pair.id == *id) {
            Some(pair) if pair.status == Status::Ready => Ok(pair.clone()),
            Some(pair) => bail!("pair {id} is not ready (`status: {}`); set `status: ready`, or leave it out", pair.status.word()),
            None => {
                let broken = problems.iter().find(|p| p.file.ends_with(format!("{id}.yaml")));
                bail!("{}", broken.map_or_else(|| format!("there is no pair {id}; ids look like tier1/NAME"), ToString::to_string))
            }
        })
        .collect()
}
