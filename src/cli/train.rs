//! `voicetune train`: makes a run, or goes on with one, and shows how it goes.

use std::path::{PathBuf, absolute};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::link::{Happening, Link, Signal};
use super::show::Show;
use super::style::counted;
use super::watch::{LOOK, Watch, died};
use super::{Outcome, json};
use crate::config::{Method, Workspace};
use crate::run::checkpoint::Checkpoints;
use crate::run::journal::duration;
use crate::run::log::History;
use crate::run::preflight::{self, Preflight};
use crate::run::prepare::Prepared;
use crate::run::protocol::{self, Ended, Event, Loaded};
use crate::run::summary::is_live;
use crate::run::work::{Stage, Ticket, TrainOrder, TrainingState};
use crate::run::worker::Request;
use crate::run::{EngineHandle, Follow, Run, Want, resume, survey};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A worker trains, which needs no terminal: after a hang-up, or with --detach, the run goes on; `voicetune watch` and the
interface show it again, `voicetune stop` ends it. Where another run is under way, this one waits for its end.
Ctrl-C finishes the step, writes a checkpoint and ends; a second one leaves, and the worker does that alone.
RUN is a run folder, its name, or its name without the date (the latest one is taken).

Exit status: 0 if the run came to its end, 1 if it was stopped or failed.

Examples:
  voicetune train llama-3.1-8b-lora
  voicetune train pocket-llama-lora --run overfit --pairs tier1/quiet-car,tier2/quiet-car
  voicetune train --resume overfit
  voicetune train gpt2-xl-full --json | jq 'select(.type == \"step\") | .loss'"
)]
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

    /// Leave as soon as the run trains, or waits for another one's end
    #[arg(long, conflicts_with = "in_process")]
    detach: bool,

    /// Train inside this process: the run ends with it
    #[arg(long)]
    in_process: bool,

    /// Print the lines of events.jsonl as they are written; with --detach one object, with the run's folder
    #[arg(long)]
    json: bool,
}

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
    let mut link = if args.in_process { None } else { Link::open(workspace)? };
    let is_busy = link.as_ref().is_some_and(|link| !link.state.is_idle());
    preflight(&prepared, workspace, args.max_steps.map(|n| n as usize), is_busy)?;

    let mut link = match link.take() {
        Some(link) => link,
        None if args.in_process => Link::in_process(workspace)?,
        None => Link::open_or_start(workspace)?,
    };
    // What is logged from now on is of this order.
    let follow = resumed.as_ref().map(caught_up).transpose()?;
    link.catch_signals()?;
    let ticket = link.order(order(args, &prepared, resumed.as_ref())?.into())?;
    let mut training = Training { args, workspace, link, ticket, is_stopping: false };
    let run = match training.wait_for_run()? {
        Begun::Run(run) if args.detach => return training.leave_it(&run),
        Begun::Run(run) => run,
        Begun::Waiting => return training.leave_it_waiting(),
        Begun::Cancelled => {
            say!("stopped before the first step: nothing was trained");
            return Ok(Outcome::Problems);
        }
    };
    say!("run         {}", run.folder.display());
    let ended = training.follow(&run, follow)?;
    let last_step = args.max_steps.map_or(steps, |n| (n as usize).min(steps));
    conclude(&run, ended, last_step, steps)
}

fn order(args: &Args, prepared: &Prepared, resumed: Option<&Run>) -> Result<TrainOrder> {
    let name = args.name.clone().unwrap_or_else(|| prepared.config.name.clone());
    // The worker has a current folder of its own.
    let whole = |path: &PathBuf| absolute(path).with_context(|| format!("{}: its path cannot be told", path.display()));
    Ok(TrainOrder {
        only: args.pairs.clone(),
        resume: resumed.map(|run| whole(&run.folder)).transpose()?,
        force: args.force,
        adapter_init: args.adapter_init.as_ref().map(whole).transpose()?,
        last_step: args.max_steps.map(|n| n as usize),
        ..TrainOrder::new(prepared.config.clone(), name)
    })
}

/// A run's log, read to its end.
fn caught_up(run: &Run) -> Result<Follow> {
    let mut follow = Follow::new(&run.folder);
    follow.poll()?;
    Ok(follow)
}

/// What became of an order.
enum Begun {
    Run(Box<Run>),
    /// It waits, and with `--detach` is left to that.
    Waiting,
    /// It was stopped before.
    Cancelled,
}

/// The order as it is carried out.
struct Training<'a> {
    args: &'a Args,
    workspace: &'a Workspace,
    link: Link,
    ticket: Ticket,
    is_stopping: bool,
}

impl Training<'_> {
    /// What the worker says of this order, once it is under way.
    fn state(&self) -> Option<&TrainingState> {
        self.link.state.training.as_ref().filter(|training| training.ticket == self.ticket)
    }

    /// Waits until the run's folder is there and it trains.
    fn wait_for_run(&mut self) -> Result<Begun> {
        let mut has_said = false;
        loop {
            match self.state() {
                Some(TrainingState { stage: Stage::Ended, outcome: None, error: Some(error), .. }) => bail!("{error}"),
                Some(TrainingState { stage: Stage::Ended, is_cancelled: true, .. }) => return Ok(Begun::Cancelled),
                Some(TrainingState { stage: Stage::Training | Stage::Stopping | Stage::Ended, run: Some(run), .. }) => {
                    return Ok(Begun::Run(Box::new(Run::open(run)?)));
                }
                Some(_) => {}
                None if !self.link.state.queue.iter().any(|waiting| waiting.ticket == self.ticket) => {
                    bail!("the order was taken out of the queue by another viewer");
                }
                None if self.args.detach => return Ok(Begun::Waiting),
                None if !has_said => {
                    let first = self.link.state.under_way().map_or("what is under way".into(), |training| training.order.name.clone());
                    say!("waiting     until {first} has ended");
                    has_said = true;
                }
                None => {}
            }
            if !self.link.is_open {
                bail!("{}; nothing was trained", died(self.workspace, None));
            }
            self.take_next()?;
        }
    }

    /// Shows the run until its end.
    fn follow(&mut self, run: &Run, follow: Option<Follow>) -> Result<Ended> {
        let show = Show::new(self.args.max_steps.map(|n| n as usize), self.args.json);
        let mut watch = Watch::new(follow.unwrap_or_else(|| Follow::new(&run.folder)), show);
        loop {
            // Asked for before the log is read: what is logged before the end is not missed.
            let ended = self.state().filter(|training| training.stage == Stage::Ended).map(|t| (t.outcome, t.error.clone()));
            let is_lost = !self.link.is_open && !is_live(&run.folder);
            if let Some(ended) = watch.look()? {
                return Ok(ended);
            }
            if let Some((outcome, error)) = ended {
                // The log could not take it (a full disk), or the run was stopped before it began.
                let otherwise = if error.is_some() { protocol::Outcome::Failed } else { protocol::Outcome::Stopped };
                return Ok(Ended::now(outcome.unwrap_or(otherwise), error));
            }
            if is_lost {
                watch.finish();
                bail!("{}: {}", run.folder_name(), died(self.workspace, Some(run)));
            }
            self.take_next()?;
        }
    }

    fn take_next(&mut self) -> Result<()> {
        match self.link.next(Some(LOOK))? {
            Some(Happening::Signal(Signal::HangUp)) if !self.link.is_in_process() => std::process::exit(129), // the worker goes on
            Some(Happening::Signal(_)) if self.is_stopping => {
                match self.link.is_in_process() {
                    true => say!("left at once"),
                    false => say!("left; the worker finishes the step, writes a checkpoint and ends the run"),
                }
                std::process::exit(130); // 128 + SIGINT, as shells have it
            }
            Some(Happening::Signal(_)) => {
                self.is_stopping = true;
                say!("stopping: the step is finished and a checkpoint written; once more leaves at once");
                // Where the worker is gone, that is about to be seen.
                self.link.ask(&Request::Stop { ticket: self.ticket }).ok();
            }
            _ => {}
        }
        Ok(())
    }

    fn leave_it(&self, run: &Run) -> Result<Outcome> {
        let name = run.folder_name();
        if let Some(TrainingState { error: Some(error), .. }) = self.state() {
            bail!("{name}: {error}");
        }
        match self.args.json {
            true => print!("{}", json::line(&json!({"run": run.folder, "state": "training"}))?),
            false => {
                say!("run         {}", run.folder.display());
                say!("            trains without a terminal; `voicetune watch {name}` shows it, `voicetune stop {name}` ends it");
            }
        }
        Ok(Outcome::Done)
    }

    fn leave_it_waiting(&self) -> Result<Outcome> {
        let ahead = 1 + self.link.state.queue.iter().take_while(|waiting| waiting.ticket != self.ticket).count();
        match self.args.json {
            true => print!("{}", json::line(&json!({"run": null, "state": "waiting", "ahead": ahead}))?),
            false => say!("queued      behind {}; the interface shows the queue", counted(ahead, "order")),
        }
        Ok(Outcome::Done)
    }
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

/// Says what will happen, in words; fails where it cannot. While another run is under way, memory that it holds now is no reason.
pub(super) fn preflight(prepared: &Prepared, workspace: &Workspace, last_step: Option<usize>, is_busy: bool) -> Result<()> {
    let found = Preflight::of(prepared, &survey(Want::Auto)?, &workspace.runs(), last_step);
    for line in found.lines() {
        say!("{line}");
    }
    let counts =
        |finding: &&preflight::Finding| finding.level == preflight::Level::Blocker && !(is_busy && finding.fact.topic() == "memory");
    match found.findings.iter().find(counts) {
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

pub(super) fn conclude(run: &Run, ended: Ended, last_step: usize, steps: usize) -> Result<Outcome> {
    let name = run.folder_name();
    let checkpoints = Checkpoints::of(&run.folder);
    let resume = format!("`voicetune train --resume {name}` goes on");
    match ended.outcome {
        protocol::Outcome::Failed => {
            bail!("{name}: {}", ended.error.unwrap_or_default())
        }
        protocol::Outcome::Stopped => {
            match checkpoints.list()?.last() {
                Some(checkpoint) => say!("stopped after step {}; {resume}", checkpoint.step),
                None => say!("stopped before the first step was done: there is no checkpoint, so start again"),
            }
            Ok(Outcome::Problems)
        }
        protocol::Outcome::Finished => {
            if let Some(error) = ended.error {
                say!("note: {error}");
            }
            let seconds = History::read(&run.folder)?.steps.iter().map(|s| s.ms).sum::<f64>() / 1000.0;
            say!("finished    {last_step} steps in {}; result: {}", duration(seconds), checkpoints.result()?.path.display());
            if last_step < steps {
                say!("            still to do: {}; {resume}", counted(steps - last_step, "step"));
            }
            Ok(Outcome::Done)
        }
    }
}
