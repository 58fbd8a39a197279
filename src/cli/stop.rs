//! `voicetune stop`: ends the run that the worker trains after its step, with a checkpoint.

use anyhow::{Result, bail};
use serde_json::json;

use super::link::Link;
use super::{Outcome, json};
use crate::config::Workspace;
use crate::run::Run;
use crate::run::checkpoint::Checkpoints;
use crate::run::summary::is_live;
use crate::run::work::{Order, State, Ticket};
use crate::run::worker::{Request, forget_waiting, left_waiting};

#[derive(Debug, clap::Args)]
#[command(after_help = "Waits until the step is finished and the checkpoint written. `voicetune train --resume RUN` goes on from there.

Exit status: 0 if it was stopped, 1 if there was nothing to stop.

Examples:
  voicetune stop
  voicetune stop overfit
  voicetune stop --all")]
pub struct Args {
    /// The run that trains, or the name of one that waits [default: the one that trains]
    #[arg(value_name = "RUN")]
    run: Option<String>,

    /// Also forget what waits, and stop drawing samples
    #[arg(long, conflicts_with = "run")]
    all: bool,

    /// Print one JSON object: what was stopped, and after which step
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<Outcome> {
    let Some(mut link) = Link::open(workspace)? else {
        return if args.all { nothing_but_waiting(args, workspace) } else { nothing(workspace) };
    };
    if args.all && !link.state.is_idle() {
        let run = link.state.under_way().and_then(|training| training.run.clone());
        link.ask(&Request::StopAll)?;
        while link.is_open && !link.state.is_idle() {
            link.next(None)?;
        }
        return say(args, run.map(|run| Run::open(&run)).transpose()?.as_ref());
    }
    let Some(ticket) = wanted(args, workspace, &link.state)? else { return nothing(workspace) };
    link.ask(&Request::Stop { ticket })?;
    let mut run = None;
    while link.is_open {
        let under_way = link.state.under_way().filter(|training| training.ticket == ticket);
        run = under_way.and_then(|training| training.run.clone()).or(run);
        if under_way.is_none() && !link.state.queue.iter().any(|waiting| waiting.ticket == ticket) {
            break;
        }
        link.next(None)?;
    }
    say(args, run.map(|run| Run::open(&run)).transpose()?.as_ref())
}

/// The order that is meant.
fn wanted(args: &Args, workspace: &Workspace, state: &State) -> Result<Option<Ticket>> {
    let Some(name) = &args.run else { return Ok(state.under_way().map(|training| training.ticket)) };
    if let Some(training) = state.under_way() {
        let is_it = match &training.run {
            Some(folder) => Run::find(&workspace.runs(), name).is_ok_and(|run| run.folder.file_name() == folder.file_name()),
            None => training.order.name == *name,
        };
        if is_it {
            return Ok(Some(training.ticket));
        }
    }
    let waiting = state.queue.iter().find(|waiting| matches!(&waiting.order, Order::Train(order) if order.name == *name));
    match (waiting, state.under_way()) {
        (Some(waiting), _) => Ok(Some(waiting.ticket)),
        (None, Some(training)) => bail!("{name} is not what trains: that is {}", training.order.name),
        (None, None) => Ok(None),
    }
}

/// There is no worker, but the one before may have left runs waiting for the next.
fn nothing_but_waiting(args: &Args, workspace: &Workspace) -> Result<Outcome> {
    // A file that cannot be read is in the way of every worker to come.
    if left_waiting(workspace).is_ok_and(|left| left.is_empty()) {
        return nothing(workspace);
    }
    forget_waiting(workspace)?;
    say(args, None)
}

fn nothing(workspace: &Workspace) -> Result<Outcome> {
    match Run::list(&workspace.runs())?.iter().find(|run| is_live(&run.folder)) {
        Some(run) => bail!("{} is trained inside another process, not by the worker: stop it there, with Ctrl-C", run.folder_name()),
        None => {
            say!("nothing is training");
            Ok(Outcome::Problems)
        }
    }
}

fn say(args: &Args, run: Option<&Run>) -> Result<Outcome> {
    let step = run.and_then(|run| Checkpoints::of(&run.folder).list().ok()?.last().map(|checkpoint| checkpoint.step));
    if args.json {
        print!("{}", json::line(&json!({"run": run.map(|run| &run.folder), "step": step}))?);
        return Ok(Outcome::Done);
    }
    match (run, step) {
        (Some(run), Some(step)) => {
            say!("stopped after step {step}; `voicetune train --resume {}` goes on", run.folder_name());
        }
        (Some(run), None) => say!("{}: stopped before the first step was done: there is no checkpoint", run.folder_name()),
        (None, _) => say!("stopped before anything was trained"),
    }
    Ok(Outcome::Done)
}
