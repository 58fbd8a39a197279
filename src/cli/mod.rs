//! The command line: clap definitions, one thin function a subcommand.

/// Prints a line to standard error. Nothing that a file, its name or a model put into it acts on the terminal.
macro_rules! say {
    ($($part:tt)*) => { $crate::cli::style::say(&format!($($part)*)) };
}

mod bench;
mod canaries;
mod check;
mod completions;
mod demo;
mod diff;
mod encode;
mod generate;
mod init;
mod interrupt;
mod json;
mod link;
mod offline;
mod precision;
mod progress;
mod report;
mod score;
mod show;
mod stop;
mod style;
mod train;
mod watch;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use crate::config::Workspace;

/// Teach a language model a writer's voice.
#[derive(Debug, Parser)]
#[command(name = "voicetune", version, about, max_term_width = 110)]
struct Args {
    /// The workspace: a folder with pairs/, configs/ and runs/ [default: the nearest folder upward that has pairs/ and configs/]
    #[arg(long, global = true, value_name = "DIR", env = "VOICETUNE_WORKSPACE")]
    workspace: Option<PathBuf>,

    /// Refuse every connection to another machine, of this process and those it starts
    #[arg(long, global = true, env = "VOICETUNE_OFFLINE", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    offline: bool,

    /// Without one, the interface opens
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole job on the sample pairs and the embedded pocket models: no network, no GPU
    Demo(demo::Args),
    /// Make a private workspace
    Init(init::Args),
    /// Say what is wrong with the pairs and configs: problems, balance, leakage, duplicates, token budgets
    Check(check::Args),
    /// Show what a model is trained on: token ids, mask and text of each example
    Encode(encode::Args),
    /// Fine-tune a model on the ready pairs, or go on with a run
    Train(Box<train::Args>),
    /// Show how a run goes, live or as it was
    Watch(watch::Args),
    /// End the run that trains after its step, with a checkpoint
    Stop(stop::Args),
    /// Draw samples from a run, base and fine-tuned side by side
    Generate(generate::Args),
    /// Log-probabilities of a text's tokens under a model, or under both arms of a run
    Score(score::Args),
    /// Show what a revision kept, cut, reworded and moved, sentence by sentence
    Diff(diff::Args),
    /// Write what is known of a set of runs as one HTML page and one Markdown file
    Report(report::Args),
    /// Show what each run's canaries say: scores, wins and picks of A, B and C, and the verdict with its rule
    Canaries(canaries::Args),
    /// Measure speed and memory at a model's true shape
    Bench(bench::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// The process that trains, as the other commands start it
    #[command(hide = true)]
    Worker,
}

/// How a command ended when it did not fail: exit 0, or 1 where the work found problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Problems,
    /// Bad usage: exit 2.
    Usage,
}

/// Parses the arguments, runs the command, and maps the outcome to the exit code: 0 done, 1 problems or failure, 2 bad usage.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match dispatch(args) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Problems) => ExitCode::from(1),
        Ok(Outcome::Usage) => ExitCode::from(2),
        Err(error) => {
            style::fail(&format!("{error:#}"));
            ExitCode::from(1)
        }
    }
}

fn dispatch(args: Args) -> Result<Outcome> {
    if args.offline {
        offline::enforce()?;
    }
    let workspace = || Workspace::find(args.workspace.as_deref());
    let Some(command) = &args.command else { return open_interface(&workspace) };
    match command {
        Command::Demo(args) => demo::run(args, &workspace()?),
        Command::Bench(args) => bench::run(args),
        Command::Init(args) => init::run(args),
        Command::Check(args) => check::run(args, &workspace()?),
        Command::Encode(args) => encode::run(args, &workspace()?),
        Command::Train(args) => train::run(args, &workspace()?),
        Command::Watch(args) => watch::run(args, &workspace()?),
        Command::Stop(args) => stop::run(args, &workspace()?),
        Command::Generate(args) => generate::run(args, &workspace()?),
        Command::Score(args) => score::run(args, &workspace),
        Command::Diff(args) => diff::run(args, &workspace),
        Command::Canaries(args) => canaries::run(args, &workspace()?),
        Command::Report(args) => report::run(args, &workspace()?),
        Command::Completions(args) => completions::run(args),
        Command::Worker => crate::run::worker::main(&workspace()?).map(|()| Outcome::Done),
    }
}

/// The interface needs a terminal for both its keys and its screens.
fn open_interface(workspace: &dyn Fn() -> Result<Workspace>) -> Result<Outcome> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let names: Vec<String> = Args::command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .map(|command| command.get_name().to_owned())
            .collect();
        eprintln!(
            "{} the interface needs a terminal; without one, use a command: {}\n\nFor more, try `voicetune --help`.",
            style::error_prefix(),
            names.join(", ")
        );
        return Ok(Outcome::Usage);
    }
    crate::ui::run(&workspace()?)?;
    Ok(Outcome::Done)
}
