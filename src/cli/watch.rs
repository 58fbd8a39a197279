//! `voicetune watch`: how a run goes, read from its log. It needs no worker, and nothing ends with it.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use super::Outcome;
use super::show::Show;
use super::train::conclude;
use crate::config::Workspace;
use crate::run::checkpoint::Checkpoints;
use crate::run::protocol::{Ended, Event};
use crate::run::summary::is_live;
use crate::run::worker::{last_words, left_waiting};
use crate::run::{Follow, Run};

#[derive(Debug, clap::Args)]
#[command(after_help = "Without RUN: the run that trains now, else the latest one. All of it is shown from the beginning, then what comes.
Ctrl-C leaves; the run goes on (`voicetune stop` ends it).

Exit status: 0 if the run came to its end, 1 if it was stopped, failed or died with its process.

Examples:
  voicetune watch
  voicetune watch overfit --json | jq 'select(.type == \"eval\") | .loss'")]
pub struct Args {
    /// A run: its folder, its name, or its name without the date (the latest one is taken)
    #[arg(value_name = "RUN")]
    run: Option<String>,

    /// Print the lines of events.jsonl, those to come as they are written
    #[arg(long)]
    json: bool,
}

/// How often a log is looked at that nobody tells of.
pub const LOOK: Duration = Duration::from_millis(250);

/// A log that is being shown.
#[derive(Debug)]
pub struct Watch {
    follow: Follow,
    show: Show,
    ended: Option<Ended>,
    has_looked: bool,
}

impl Watch {
    /// What the log has been read of is not shown.
    pub fn new(follow: Follow, show: Show) -> Watch {
        Watch { follow, show, ended: None, has_looked: false }
    }

    /// Shows what was added; returns the end, where the log has one.
    pub fn look(&mut self) -> Result<Option<Ended>> {
        for event in self.follow.poll()? {
            self.show.event(&event, !self.has_looked)?;
            match event {
                Event::Started(_) => self.ended = None,
                Event::Ended(ended) => self.ended = Some(ended),
                _ => {}
            }
        }
        self.has_looked = true;
        Ok(self.ended.clone())
    }

    pub fn finish(&mut self) {
        self.show.finish();
    }
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<Outcome> {
    let run = match &args.run {
        Some(wanted) => Run::find(&workspace.runs(), wanted)?,
        None => latest(workspace)?,
    };
    say!("run         {}", run.folder.display());
    let mut watch = Watch::new(Follow::new(&run.folder), Show::new(None, args.json));
    let mut looks_without_life = 0;
    let ended = loop {
        // Asked for before the log is read: what is logged before the end is not missed.
        let is_live = is_live(&run.folder);
        let ended = watch.look()?;
        match ended {
            Some(ended) if !is_live => break ended,
            None if !is_live => looks_without_life += 1,
            _ => looks_without_life = 0,
        }
        // A run that was just made has a moment to begin.
        if looks_without_life > 4 {
            watch.finish();
            if watch.follow.history().started.is_none() {
                bail!("{}: was made and has not been trained; start a new run", run.folder_name());
            }
            bail!("{}: {}", run.folder_name(), died(workspace, Some(&run)));
        }
        thread::sleep(LOOK);
    };
    let history = watch.follow.history();
    let steps = history.started.as_ref().map_or(0, |started| started.steps);
    conclude(&run, ended, history.steps.last().map_or(0, |step| step.step), steps)
}

/// The run that trains now, else the one that was made last.
fn latest(workspace: &Workspace) -> Result<Run> {
    let mut runs = Run::list(&workspace.runs())?;
    runs.sort_by(|a, b| a.manifest.created.cmp(&b.manifest.created));
    let live = runs.iter().rfind(|run| is_live(&run.folder)).cloned();
    match live.or(runs.pop()) {
        Some(run) => Ok(run),
        None => bail!("{}: there is no run yet; `voicetune train CONFIG` makes one", workspace.runs().display()),
    }
}

/// That the worker has died, with what it wrote at last, and how to go on.
pub fn died(workspace: &Workspace, run: Option<&Run>) -> String {
    let mut text = "the process that trained it has died".to_owned();
    if let Some(words) = last_words(workspace, run.map(|run| run.folder.as_path())) {
        text += &format!(":\n  {}\n", words.replace('\n', "\n  "));
    }
    let Some(run) = run else { return text };
    let separator = if text.ends_with('\n') { "" } else { "; " };
    text += &match Checkpoints::of(&run.folder).list().ok().and_then(|all| all.last().map(|checkpoint| checkpoint.step)) {
        Some(step) => format!("{separator}`voicetune train --resume {}` goes on at step {step}", run.folder_name()),
        None => format!("{separator}there is no checkpoint yet, so start again"),
    };
    match left_waiting(workspace) {
        Ok(left) if left.is_empty() => text,
        Ok(left) => text + &format!("; what waited follows the next order: {}", left.join(", ")),
        Err(error) => text + &format!("; {error:#}"),
    }
}
