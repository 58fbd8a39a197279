//! The command line: clap definitions, one thin function a subcommand.

mod bench;
mod diff;
mod style;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Teach a language model a writer's voice.
#[derive(Debug, Parser)]
#[command(name = "voicetune", version, about, max_term_width = 110)]
struct Args {
    /// The workspace: a folder with pairs/, configs/ and runs/ [default: the nearest folder upward that has pairs/ and configs/]
    #[arg(long, global = true, value_name = "DIR", env = "VOICETUNE_WORKSPACE")]
    workspace: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::Args),
    /// Show what a revision kept, cut, reworded and moved, sentence by sentence
    Diff(diff::Args),
}

/// How a command ended when it did not fail: exit 0, or 1 where the work found problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Problems,
}

/// Parses the arguments, runs the command, and maps the outcome to the exit code: 0 done, 1 problems or failure, 2 bad usage.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match dispatch(args) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Problems) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{} {error:#}", style::error_prefix());
            ExitCode::from(1)
        }
    }
}

fn dispatch(args: Args) -> Result<Outcome> {
    match args.command {
        Command::Bench(args) => bench::run(&args),
        Command::Diff(args) => diff::run(&args),
    }
}
