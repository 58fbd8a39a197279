//! `voicetune generate`: draws samples from a run's model, or from a base model, for the canaries or a prompt of one's own.

mod view;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use super::progress::Progress;
use super::{Outcome, interrupt, json, style};
use crate::config::{self, Config, Temperature, Templates, Workspace};
use crate::dataset::Encoder;
use crate::pairs;
use crate::review::marks::{Asked, Trained};
use crate::run::checkpoint::{Checkpoint, Checkpoints};
use crate::run::outputs::{Output, append};
use crate::run::prepare::find_model;
use crate::run::prompts::{Prompts, sampling_for, short_id};
use crate::run::protocol::{self, Command, Event, Generate, Load, Prompt, Sample, Sampling, Tuned};
use crate::run::{EngineHandle, Priority, Run, Want};
use view::Marking;

#[derive(Debug, clap::Args)]
#[command(after_help = "Sample i of a prompt uses seed S + i in every arm. Both arms of a LoRA run are decoded in one batch.
A run's samples are also kept in its outputs/ folder. Settings that are not given come from configs/sampling.yaml.

What a sample copied, 8 or more words of a pair the run was trained on, is underlined on a terminal ([=...=] without colours) and named
below it, with the names, places, years and numbers that seem to be invented.

Exit status: 0 if every prompt was answered, 1 if one did not fit or the work was stopped.

Examples:
  voicetune generate pocket-llama-lora
  voicetune generate pocket-llama-lora --arms tuned --prompt 'The last bus home.' --samples 2
  voicetune generate pocket-llama-lora --prompt 'The last bus home.' --temperature 0.5,0.8,1.2
  voicetune generate --config llama-3.1-8b-lora --prompt-file topic.txt --json")]
pub struct Args {
    /// A run: its folder, its name, or its name without the date (the latest one is taken)
    #[arg(value_name = "RUN", required_unless_present = "config", conflicts_with = "config")]
    run: Option<String>,

    /// The base model of this config, without any run
    #[arg(long, value_name = "CONFIG")]
    config: Option<String>,

    /// Which arms answer [default: both for a run]
    #[arg(long, value_delimiter = ',', value_name = "ARM")]
    arms: Option<Vec<ArmName>>,

    /// Answer the fixed prompts of configs/canaries.yaml (the default)
    #[arg(long, conflicts_with_all = ["prompt", "prompt_file"])]
    canaries: bool,

    /// Answer this prompt
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_file")]
    prompt: Option<String>,

    /// Answer the prompt in this file
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,

    /// Samples for each prompt and arm
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    samples: Option<u64>,

    /// Seed of the first sample; each further one adds 1
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    /// 0 takes the likeliest token each time; several (0.5,0.8,1.2) draw the same seeds at each of them
    #[arg(long, value_name = "T", value_delimiter = ',', value_parser = at_least_zero)]
    temperature: Option<Vec<f64>>,

    /// Draw at each of the `temperatures` in configs/sampling.yaml
    #[arg(long, conflicts_with = "temperature")]
    all_temperatures: bool,

    /// Draw from the likeliest tokens that together have this probability; 1 turns it off
    #[arg(long, value_parser = probability)]
    top_p: Option<f64>,

    /// Draw from this many of the likeliest tokens; 0 turns it off
    #[arg(long)]
    top_k: Option<usize>,

    /// Make used tokens less likely; 1 turns it off
    #[arg(long, value_parser = above_zero)]
    repetition_penalty: Option<f64>,

    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_new_tokens: Option<u64>,

    /// The run's checkpoint of this step [default: the run's result]
    #[arg(long, value_name = "STEP", conflicts_with = "config")]
    checkpoint: Option<usize>,

    /// Print one JSON object a sample
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ArmName {
    Base,
    Tuned,
}

impl From<ArmName> for protocol::Arm {
    fn from(name: ArmName) -> protocol::Arm {
        match name {
            ArmName::Base => protocol::Arm::Base,
            ArmName::Tuned => protocol::Arm::Tuned,
        }
    }
}

const LOADING: protocol::Job = 1;
const SAMPLING: protocol::Job = 2;

/// What answers: a run at a checkpoint, or a config's base model.
struct Subject {
    run: Option<(Run, Checkpoint)>,
    /// What the run was trained on, where samples are shown to be read: to name what they copied.
    trained: Option<Trained>,
    config: Config,
    templates: Templates,
    revision: String,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<Outcome> {
    let subject = subject(args, workspace)?;
    let config = &subject.config;
    let arms = arms(args, &subject)?;
    let (files, spec, text) = find_model(workspace.root(), &config.model, &subject.revision)?;
    let settings = workspace.sampling()?;
    let sampling = overridden(sampling_for(&settings, &config.short_name()), args);
    let temperatures = temperatures(args, &settings);
    let first = args.seed.unwrap_or(settings.seed);
    let seeds: Vec<u64> = (0..args.samples.unwrap_or(settings.samples as u64)).map(|i| first.wrapping_add(i)).collect();
    let encoder = Encoder::new(&text.tokenizer, config.format, &subject.templates)?;
    let (prompts, texts) = prompts(args, workspace, &encoder, sampling.max_new_tokens, spec.context())?;
    for note in &prompts.notes {
        say!("{note}");
    }
    if prompts.fitting.is_empty() {
        bail!("no prompt is left to answer");
    }

    let engine = EngineHandle::spawn(Want::Auto, Priority::Normal)?;
    interrupt::stop_on_signal(engine.commands(), SAMPLING, "samples that are not whole are dropped")?;
    engine.send(Command::Load(Load {
        job: LOADING,
        files,
        precision: config.base_precision,
        tuned: if arms.contains(&protocol::Arm::Tuned) { tuned(&subject) } else { None },
    }))?;
    super::train::wait_for_model(&engine)?;
    let total = prompts.fitting.len() * temperatures.len() * arms.len() * seeds.len();
    let mut writer = Writer {
        args,
        subject: &subject,
        sampling,
        is_compared: temperatures.len() > 1,
        progress: Progress::new("sample", 0, total as u64),
        done: 0,
    };
    for (prompt, temperature) in prompts.fitting.iter().flat_map(|prompt| temperatures.iter().map(move |t| (prompt, t.get()))) {
        writer.sampling.temperature = temperature;
        let (arms, seeds, sampling) = (arms.clone(), seeds.clone(), writer.sampling);
        engine.send(Command::Generate(Generate { job: SAMPLING, prompt: prompt.clone(), arms, seeds, sampling }))?;
        let text = texts.iter().find(|(id, _)| *id == prompt.id).map_or("", |(_, text)| text);
        if writer.follow(&engine, prompt, text)? == protocol::Outcome::Stopped {
            writer.progress.finish();
            return Ok(Outcome::Problems);
        }
    }
    writer.progress.finish();
    Ok(if prompts.too_long { Outcome::Problems } else { Outcome::Done })
}

fn subject(args: &Args, workspace: &Workspace) -> Result<Subject> {
    if let Some(name) = &args.config {
        let config = workspace.config(name)?;
        return Ok(Subject { run: None, trained: None, templates: workspace.templates()?, revision: config.revision.clone(), config });
    }
    let wanted = args.run.as_deref().context("a run is needed, or --config")?;
    let run = Run::find(&workspace.runs(), wanted)?;
    let checkpoints = Checkpoints::of(&run.folder);
    let checkpoint = match args.checkpoint {
        Some(step) => checkpoints.find(Some(step))?,
        None => checkpoints.result()?,
    };
    let manifest = &run.manifest;
    let trained = (!args.json).then(|| Trained::on(&manifest.data.train, &pairs::load(&workspace.pairs()).0).0);
    Ok(Subject {
        trained,
        config: manifest.config.clone(),
        templates: manifest.templates.clone(),
        revision: manifest.model.commit.clone().unwrap_or_else(|| manifest.model.revision.clone()),
        run: Some((run, checkpoint)),
    })
}

fn arms(args: &Args, subject: &Subject) -> Result<Vec<protocol::Arm>> {
    use protocol::Arm::{Base, Tuned};
    let mut arms: Vec<protocol::Arm> = match (&args.arms, &subject.run) {
        (Some(names), _) => names.iter().map(|&name| name.into()).collect(),
        (None, Some(_)) => vec![Base, Tuned],
        (None, None) => vec![Base],
    };
    arms.dedup();
    if subject.run.is_none() && arms.contains(&Tuned) {
        bail!("--config has a base arm only; name a run for the tuned one");
    }
    Ok(arms)
}

fn tuned(subject: &Subject) -> Option<Tuned> {
    let (_, checkpoint) = subject.run.as_ref()?;
    Some(Tuned::of(subject.config.method, &checkpoint.path))
}

/// Each once, in the order in which they were given.
fn temperatures(args: &Args, settings: &config::Sampling) -> Vec<Temperature> {
    let given = match (&args.temperature, args.all_temperatures) {
        (Some(given), _) => given.iter().copied().map(Temperature::new).collect(),
        (None, true) => settings.temperatures.clone(),
        (None, false) => vec![settings.temperature.into()],
    };
    let mut once = vec![];
    for temperature in given {
        if !once.contains(&temperature) {
            once.push(temperature);
        }
    }
    once
}

/// All but the temperature.
fn overridden(from_file: Sampling, args: &Args) -> Sampling {
    Sampling {
        temperature: from_file.temperature,
        top_p: args.top_p.unwrap_or(from_file.top_p),
        top_k: args.top_k.unwrap_or(from_file.top_k),
        repetition_penalty: args.repetition_penalty.unwrap_or(from_file.repetition_penalty),
        max_new_tokens: args.max_new_tokens.map_or(from_file.max_new_tokens, |n| n as usize),
    }
}

/// The prompts as the model reads them, and their texts by id.
fn prompts(
    args: &Args,
    workspace: &Workspace,
    encoder: &Encoder,
    max_new: usize,
    context: usize,
) -> Result<(Prompts, Vec<(String, String)>)> {
    let own = match (&args.prompt, &args.prompt_file) {
        (Some(text), _) => Some((short_id("prompt", text), text.clone())),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            Some((short_id(&stem, &text), text))
        }
        (None, None) => None,
    };
    match own {
        Some((id, text)) => {
            let mut prompts = Prompts::default();
            prompts.add(&id, &text, encoder, max_new, context)?;
            Ok((prompts, vec![(id, text)]))
        }
        None => {
            let canaries = workspace.canaries()?;
            let prompts = Prompts::canaries(&canaries, encoder, max_new, context)?;
            Ok((prompts, canaries.into_iter().map(|c| (c.id, c.prompt)).collect()))
        }
    }
}

/// A line of `--json`.
#[derive(Serialize)]
struct Drawn<'s> {
    #[serde(flatten)]
    sample: &'s Sample,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
}

/// Takes the samples as they come: to standard output, and into the run's folder.
struct Writer<'a> {
    args: &'a Args,
    subject: &'a Subject,
    /// At the temperature that is being drawn at.
    sampling: Sampling,
    /// Whether there are several temperatures, so that each sample says its own.
    is_compared: bool,
    progress: Progress,
    done: u64,
}

impl Writer<'_> {
    fn follow(&mut self, engine: &EngineHandle, prompt: &Prompt, text: &str) -> Result<protocol::Outcome> {
        let mut tokens = 0;
        loop {
            match engine.next()?.event {
                Event::Sample(sample) => self.take(sample, text)?,
                Event::Text(_) => {
                    tokens += 1;
                    self.progress.set(self.done, &format!("prompt {}, {tokens} tokens", prompt.id));
                }
                Event::Ended(ended) => match ended.error {
                    Some(error) => bail!("{error}"),
                    None => return Ok(ended.outcome),
                },
                _ => {} // the rest belongs to training
            }
        }
    }

    fn take(&mut self, sample: Sample, prompt_text: &str) -> Result<()> {
        self.done += 1;
        self.progress.set(self.done, &format!("prompt {}", sample.prompt));
        if let Some((run, checkpoint)) = &self.subject.run {
            append(&run.folder, &Output::new(&sample, prompt_text, checkpoint.step, self.sampling))?;
        }
        let temperature = self.is_compared.then_some(self.sampling.temperature);
        let line = match self.args.json {
            true => json::line(&Drawn { sample: &sample, temperature })?,
            false => {
                let marks = self.subject.trained.as_ref().map(|trained| trained.marks(&sample.text, &Asked::new(prompt_text)));
                let is_terminal = std::io::stdout().is_terminal();
                let marking = Marking::of(is_terminal, style::coloured(is_terminal));
                view::sample(&sample, temperature, &marks.unwrap_or_default(), marking)
            }
        };
        std::io::stdout().write_all(line.as_bytes()).context("cannot write to standard output")
    }
}

fn at_least_zero(text: &str) -> Result<f64, String> {
    number(text, "0 or more", |n| n >= 0.0)
}

fn above_zero(text: &str) -> Result<f64, String> {
    number(text, "above 0", |n| n > 0.0)
}

fn probability(text: &str) -> Result<f64, String> {
    number(text, "above 0 and at most 1", |n| n > 0.0 && n <= 1.0)
}

fn number(text: &str, allowed: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n.is_finite() && fits(n) => Ok(n),
        _ => Err(format!("must be a number {allowed}")),
    }
}
