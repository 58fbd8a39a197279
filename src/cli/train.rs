//! `voicetune train`: makes a run, or goes on with one, and shows how it goes.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::progress::Progress;
use super::style::counted;
use super::{Outcome, interrupt};
use crate::config::{Method, Workspace};
use crate::run::checkpoint::Checkpoints;
use crate::run::journal::duration;
use crate::run::preflight::{self, Preflight};
use crate::run::prepare::Prepared;
use crate::run::protocol::{self, Command, Ended, Event, Loaded, Step, Train};
use crate::run::{EngineHandle, Priority, Run, Want, resume, survey};

#[derive(Debug, clap::Args)]
#[command(after_help = "Ctrl-C finishes the step, writes a checkpoint and ends; a second one leaves at once.
RUN is a run folder, its name, or its name without the date (the latest one is taken).

Exit status: 0 if the run came to its end, 1 if it was stopped or failed.

Examples:
  voicetune train llama-3.1-8b-lora
  voicetune train pocket-llama-lora --run overfit --pairs tier1/quiet-car,tier2/quiet-car
  voicetune train --resume overfit
  voicetune train gpt2-xl-full --json | jq 'select(.type == \"step\") | .loss'")]
pub struct Args {
    /// A training config, by its name in configs/ or by path; with --resume, the run's own may be left out
    #[arg(value_name = "CONFIG", required_unless_present = "resume")]
    config: Option<String>,

    /// Name of the run [default: the config's name]
    #[arg(long = "run", value_name = "NAME", conflicts_with = "resume")]
    name: Option<String>,

    /// Go on with this run at its last checkpoint, bit for bit as if it had never ended
    #[arg(long, value_name = "RUN")]
    resume: Option<String>,

    /// With --resume: go on with the run's own config and data set, although those in the workspace have changed since
    #[arg(long, requires = "resume")]
    force: bool,

    /// End after step N of the run; the schedule still counts all steps, so the run can go on later
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_steps: Option<u64>,

    /// Start from this PEFT adapter folder in place of a fresh adapter; its rank, alpha and targets hold
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    adapter_init: Option<PathBuf>,

    /// Train on these ready pairs only
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with = "resume")]
    pairs: Option<Vec<String>>,

    /// Train inside this process (the only mode at present)
    #[arg(long)]
    in_process: bool,

    /// Print the lines of events.jsonl as they are written
    #[arg(long)]
    json: bool,
}

const LOADING: protocol::Job = 1;
const TRAINING: protocol::Job = 2;

pub fn run(args: &Args, workspace: &Workspace) -> Result<Outcome> {
    let resumed = args.resume.as_ref().map(|wanted| Run::find(&workspace.runs(), wanted)).transpose()?;
    let prepared = match &resumed {
        None => fresh(args, workspace)?,
        Some(run) => again(args, workspace, run)?,
    };
    let resume_from = match &resumed {
        Some(run) => Checkpoints::of(&run.folder).find(None)?.step,
        None => 0,
    };
    let steps = prepared.steps();
    check_steps(args, resume_from, steps)?;
    preflight(&prepared, workspace, args.max_steps.map(|n| n as usize))?;

    let engine = EngineHandle::spawn(Want::Auto, Priority::Normal)?;
    interrupt::stop_on_signal(engine.commands(), TRAINING, "the step is finished and a checkpoint written")?;
    engine.send(Command::Load(prepared.load(LOADING)))?;
    let loaded = wait_for_model(&engine)?;
    if interrupt::is_stopping() {
        eprintln!("stopped before the first step: nothing was written");
        return Ok(Outcome::Problems);
    }
    let run = match resumed {
        Some(run) => run,
        None => {
            let name = args.name.clone().unwrap_or_else(|| prepared.config.name.clone());
            prepared.create_run(&workspace.runs(), &name, &loaded.device, args.adapter_init.as_deref())?
        }
    };
    eprintln!("run         {} on {}", run.folder.display(), loaded.device);
    let job = Train {
        adapter_init: args.adapter_init.clone(),
        resume_from,
        last_step: args.max_steps.map(|n| n as usize),
        ..prepared.train(TRAINING, &run)
    };
    let last_step = job.last_step.map_or(steps, |n| n.min(steps));
    engine.send(Command::Train(Box::new(job)))?;
    let ended = follow(&engine, resume_from, last_step, args.json)?;
    conclude(&run, ended, last_step, steps)
}

fn fresh(args: &Args, workspace: &Workspace) -> Result<Prepared> {
    let name = args.config.as_deref().context("a config is needed")?;
    let config = workspace.config(name)?;
    if let Some(folder) = &args.adapter_init {
        if config.method != Method::Lora {
            bail!("--adapter-init is for `method: lora`; {} says `method: full`", config.name);
        }
        if !folder.join("adapter_config.json").is_file() {
            bail!("{}: no adapter_config.json, so this is not a PEFT adapter folder", folder.display());
        }
    }
    Prepared::new(workspace, config, workspace.templates()?, args.pairs.clone())
}

/// Prepares a run once more, and refuses where it would not go on as it began.
fn again(args: &Args, workspace: &Workspace, run: &Run) -> Result<Prepared> {
    if args.force {
        return Prepared::of_run(workspace, run);
    }
    resume::prepare(workspace, run, args.config.as_deref().map(|name| workspace.config(name)).transpose()?)
}

fn check_steps(args: &Args, resume_from: usize, steps: usize) -> Result<()> {
    if resume_from >= steps && resume_from > 0 {
        bail!("the run has done all of its {steps} steps; start a new one, for example with more epochs");
    }
    match args.max_steps {
        Some(n) if n as usize <= resume_from => bail!("--max-steps {n}: the run has a checkpoint of step {resume_from} already"),
        _ => Ok(()),
    }
}

/// Says what will happen, in words; fails where it cannot.
pub(super) fn preflight(prepared: &Prepared, workspace: &Workspace, last_step: Option<usize>) -> Result<()> {
    let found = Preflight::of(prepared, &survey(Want::Auto)?, &workspace.runs(), last_step);
    for line in found.lines() {
        eprintln!("{line}");
    }
    match found.findings.iter().find(|finding| finding.level == preflight::Level::Blocker) {
        Some(blocker) => bail!("{}: {}", blocker.fact.topic(), blocker.fact.words().join("; ")),
        None => Ok(()),
    }
}

pub(super) fn wait_for_model(engine: &EngineHandle) -> Result<Loaded> {
    match engine.next()?.event {
        Event::Loaded(loaded) => Ok(loaded),
        Event::Ended(Ended { error: Some(error), .. }) => bail!("{error}"),
        other => bail!("the engine answered {other:?} where a model was to be loaded"),
    }
}

/// Shows the run's events until its end.
pub(super) fn follow(engine: &EngineHandle, from: usize, last: usize, json: bool) -> Result<Ended> {
    let mut progress = Progress::new("step", from as u64, last as u64);
    loop {
        let event = engine.next()?.event;
        if json && event.is_logged() {
            let mut line = serde_json::to_string(&event).context("an event cannot be written as JSON")?;
            line.push('\n');
            // A closed pipe ends the listing, not the training.
            std::io::stdout().write_all(line.as_bytes()).ok();
        }
        match event {
            Event::Started(_) if from > 0 => progress.note(&format!("resumed     after step {from}")),
            Event::Step(step) => progress.set(step.step as u64, &in_words(&step)),
            Event::Eval(e) => progress.note(&format!("step {}: validation loss {:.4}", e.step, e.loss)),
            Event::Saved(s) => progress.note(&format!("step {}: saved {}", s.step, s.checkpoint)),
            Event::Sample(s) => progress.note(&format!("step {}: canary {}: {}", s.step.unwrap_or(0), s.prompt, first_line(&s.text))),
            Event::Ended(ended) => {
                progress.finish();
                return Ok(ended);
            }
            Event::Started(_) | Event::Loaded(_) | Event::Scored(_) | Event::Text(_) => {}
        }
    }
}

fn in_words(step: &Step) -> String {
    format!("epoch {}  loss {:.4}  {:.0} tokens/s", step.epoch, step.loss, step.tokens_per_s)
}

fn first_line(text: &str) -> String {
    const SHOWN: usize = 80;
    let line = text.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(SHOWN).collect();
    if short.len() < line.len() { short + "…" } else { short }
}

pub(super) fn conclude(run: &Run, ended: Ended, last_step: usize, steps: usize) -> Result<Outcome> {
    let name = run.folder_name();
    let checkpoints = Checkpoints::of(&run.folder);
    let resume = format!("`voicetune train --resume {name}` goes on");
    match ended.outcome {
        protocol::Outcome::Failed => {
            let saved = checkpoints.list()?.last().map_or(String::new(), |c| format!(" ({resume} at step {})", c.step));
            bail!("{name}: {}{saved}", ended.error.unwrap_or_default())
        }
        protocol::Outcome::Stopped => {
            match checkpoints.list()?.last() {
                Some(checkpoint) => eprintln!("stopped after step {}; {resume}", checkpoint.step),
                None => eprintln!("stopped before the first step was done: there is no checkpoint, so start again"),
            }
            Ok(Outcome::Problems)
        }
        protocol::Outcome::Finished => {
            if let Some(error) = ended.error {
                eprintln!("note: {error}");
            }
            let seconds = crate::run::log::History::read(&run.folder)?.steps.iter().map(|s| s.ms).sum::<f64>() / 1000.0;
            eprintln!("finished    {last_step} steps in {}; result: {}", duration(seconds), checkpoints.result()?.path.display());
            if last_step < steps {
                eprintln!("            still to do: {}; {resume}", counted(steps - last_step, "step"));
            }
            Ok(Outcome::Done)
        }
    }
}
