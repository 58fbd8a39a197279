//! `voicetune report`: what is known of a set of runs, as one HTML page and one Markdown file.

use std::path::PathBuf;

use anyhow::Result;

use super::{Outcome, json};
use crate::config::Workspace;
use crate::pairs;
use crate::review::report::{Report, Sources};
use crate::run::Run;
use crate::run::protocol::now;

#[derive(Debug, clap::Args)]
#[command(after_help = "Set-up, losses, blind readings, agreement with your own edits, voice, copied text and invented facts, samples.
The page needs nothing from outside: it can be mailed, printed and kept. It quotes your pairs and outputs, so both files are yours alone
to read. What a run lacks, or has not got yet, is named.

Examples:
  voicetune report all all-gpt2
  voicetune report demo-llama demo-gpt2 --out ~/report
  voicetune report demo-llama --json")]
pub struct Args {
    /// Runs: a folder, a name, or a name without the date (the latest one is taken)
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<String>,

    /// Where report.html and report.md are written [default: the folder report/ of the first run]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print one JSON object, and write nothing
    #[arg(long, conflicts_with = "out")]
    json: bool,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<Outcome> {
    let mut runs: Vec<Run> = vec![];
    for name in &args.runs {
        let run = Run::find(&workspace.runs(), name)?;
        if !runs.iter().any(|other| other.folder == run.folder) {
            runs.push(run);
        }
    }
    let (pairs, _) = pairs::load(&workspace.pairs());
    let rubric = workspace.rubric()?;
    // All they add is what each prompt is about.
    let canaries = workspace.canaries().unwrap_or_else(|error| {
        say!("note: {error}");
        vec![]
    });
    let temperature = workspace.sampling()?.temperature.into();
    let sources = Sources { runs: &runs, pairs: &pairs, rubric: &rubric, canaries: &canaries, temperature, made: &now() };
    let report = Report::of(&sources)?;
    if args.json {
        print!("{}", json::line(&report)?);
        return Ok(Outcome::Done);
    }
    let folder = args.out.clone().unwrap_or_else(|| runs[0].folder.join("report"));
    for path in report.write(&folder)? {
        println!("{}", path.display());
    }
    Ok(Outcome::Done)
}
