//! `voicetune canaries`: what each run's canaries say, and by which rule.

use anyhow::Result;
use serde::Serialize;

use super::{Outcome, json};
use crate::config::Workspace;
use crate::review::canary_sheet::CanarySheet;
use crate::review::canary_verdict::rule;
use crate::review::verdict::{self, Reading};
use crate::run::Run;
use crate::ui::prose::visible;

#[derive(Debug, clap::Args)]
#[command(after_help = "Scores are means of blind readings, base before fine-tuned; the verdict is read off them by the rule at the end.

Examples:
  voicetune canaries
  voicetune canaries all all-gpt2
  voicetune canaries --json")]
pub struct Args {
    /// Runs: a folder, a name, or a name without the date (the latest one is taken) [default: all, the latest first]
    #[arg(value_name = "RUN")]
    runs: Vec<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Printed {
    runs: Vec<CanarySheet>,
    /// Runs of which nothing was drawn and nothing read.
    nothing: Vec<String>,
    rule: String,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<Outcome> {
    let runs = match args.runs.is_empty() {
        true => {
            let mut all = Run::list(&workspace.runs())?;
            all.sort_by(|a, b| (&b.manifest.created, &b.folder).cmp(&(&a.manifest.created, &a.folder)));
            all
        }
        false => args.runs.iter().map(|name| Run::find(&workspace.runs(), name)).collect::<Result<Vec<Run>>>()?,
    };
    let rubric = workspace.rubric()?;
    let names: Vec<String> = runs.iter().map(Run::folder_name).collect();
    // Readings at other temperatures are not counted with these.
    let usual = workspace.sampling()?.temperature.into();
    let found = verdict::read(&workspace.runs(), names.iter().map(String::as_str)).at(usual, usual);
    found.problems.iter().for_each(|problem| say!("{problem}"));
    let readings: Vec<&Reading> = found.verdicts.iter().map(|verdict| &verdict.reading).collect();
    let picks = found.picks_by_arm();
    let mut printed = Printed { runs: vec![], nothing: vec![], rule: rule() };
    for (run, name) in runs.iter().zip(names) {
        match CanarySheet::of_run(&run.folder, &readings, &picks, &rubric)? {
            Some(sheet) => printed.runs.push(sheet),
            None => printed.nothing.push(name),
        }
    }
    if args.json {
        print!("{}", json::line(&printed)?);
    } else {
        print(&printed);
    }
    Ok(Outcome::Done)
}

fn print(printed: &Printed) {
    for sheet in &printed.runs {
        println!("{}: {}. {}", visible(&sheet.run), sheet.words, sheet.meaning);
        for row in &sheet.canaries {
            println!("  {} {:<19} {}", row.canary, row.topic, row.scores());
            let more = row.wins_and_picks();
            if !more.is_empty() {
                println!("    {:<19} {more}", "");
            }
        }
        println!();
    }
    for run in &printed.nothing {
        println!("{}: no samples yet; `voicetune generate {}` draws them.\n", visible(run), visible(run));
    }
    if printed.runs.is_empty() && printed.nothing.is_empty() {
        println!("There is no run yet.\n");
    }
    println!("The rule. {} Blind readings only.", printed.rule);
}
