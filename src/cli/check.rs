//! `voicetune check`: what is wrong with the workspace's pairs and configs.

mod tracked;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Outcome, json, style};
use crate::config::{Config, ConfigError, Templates, Workspace};
use crate::dataset::{Measured, budgets};
use crate::pairs::{self, Balance, Budget, Finding, Level, Pair, Problem, Rule};
use crate::run::prepare::find_model;
use crate::ui::prose::visible_lines;

#[derive(Debug, clap::Args)]
#[command(after_help = "Only pairs with `status: ready` are looked at, for only they are trained on.
  error    a file that cannot be used; no ready pair; a pair twice;
           a source held out and trained on; a source with over 20 % of the pairs
  warning  a source with over 15 % or more than 4 of the pairs; an empty tier;
           one piece under two sources; a draft without edits; a line ---;
           a response far shorter than its prompt; a pair that is cut or left out
           for a model; a model asked for with --config that is not at hand
  note     a source with a single pair; one response to two prompts of a tier;
           a config whose tokens are not counted, for its model is not at hand
Shares count from 20 ready pairs on. Exit status: 1 if anything is an error.

Examples:
  voicetune check
  voicetune check --config gpt2-xl-full --config llama-3.1-8b-lora
  voicetune check --json | jq '.findings[] | select(.level == \"error\")'")]
pub struct Args {
    /// A training config to check the pairs against, by name or path; may be repeated [default: all in configs/]
    #[arg(long = "config", value_name = "CONFIG")]
    configs: Vec<String>,

    /// Print one JSON object with "findings" and "budgets"
    #[arg(long)]
    json: bool,
}

/// What `check --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Report {
    findings: Vec<Finding>,
    budgets: Vec<Budget>,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<Outcome> {
    let (pairs, problems) = pairs::load(&workspace.pairs());
    let mut findings: Vec<Finding> = problems.into_iter().map(from_problem).collect();
    findings.extend(other_files(workspace));
    let (configs, broken) = training_configs(args, workspace)?;
    findings.extend(broken);
    findings.extend(pairs::lint(&pairs));
    findings.extend(tracked::findings(workspace));
    // Broken templates are among the findings already, and nothing can be counted without them.
    let budgets = match workspace.templates() {
        Ok(templates) => {
            let (measured, uncounted) = measure(&configs, &pairs, &templates, workspace, !args.configs.is_empty());
            findings.extend(uncounted);
            findings.extend(not_trained_whole(&measured));
            measured.into_iter().map(|pair| pair.budget).filter(|budget| budget.tokens > 0).collect()
        }
        Err(_) => vec![],
    };
    findings.sort_by_key(|finding| finding.level);

    let report = Report { findings, budgets };
    let text = match args.json {
        true => json::line(&report)?,
        false => readable(&report, &Balance::of(&pairs), style::coloured(std::io::IsTerminal::is_terminal(&std::io::stdout()))),
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
    let failed = report.findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if failed { Outcome::Problems } else { Outcome::Done })
}

fn from_problem(problem: Problem) -> Finding {
    let id = problem.file.components().skip(1).collect::<std::path::PathBuf>();
    let pair = id.to_str().and_then(|id| id.strip_suffix(".yaml")).map(String::from);
    Finding { level: problem.level, rule: Rule::File, pair, message: problem.to_string() }
}

fn about_config(level: Level, message: String) -> Finding {
    Finding { level, rule: Rule::Config, pair: None, message }
}

/// The config files that every command reads.
fn other_files(workspace: &Workspace) -> Vec<Finding> {
    let errors: [Option<ConfigError>; 4] =
        [workspace.canaries().err(), workspace.rubric().err(), workspace.sampling().err(), workspace.templates().err()];
    errors.into_iter().flatten().map(|error| about_config(Level::Error, error.to_string())).collect()
}

/// The configs asked for, else all; a broken one is a finding.
fn training_configs(args: &Args, workspace: &Workspace) -> Result<(Vec<Config>, Vec<Finding>)> {
    let wanted = match args.configs.is_empty() {
        true => workspace.training_configs()?.iter().map(|path| name_of(path)).collect(),
        false => args.configs.clone(),
    };
    let mut good = Vec::new();
    let mut broken = Vec::new();
    for name in wanted {
        match workspace.config(&name) {
            Ok(config) => good.push(config),
            Err(error) => broken.push(about_config(Level::Error, error.to_string())),
        }
    }
    Ok((good, broken))
}

/// The pairs under each config, and the configs whose tokens cannot be counted. That a model is not at hand is worth a warning only
/// where its config was `asked` for. Two configs for one model give the same numbers: they are listed once.
fn measure(configs: &[Config], pairs: &[Pair], templates: &Templates, workspace: &Workspace, asked: bool) -> (Vec<Measured>, Vec<Finding>) {
    let mut all: Vec<Measured> = vec![];
    let mut findings = vec![];
    for config in configs {
        let not_counted = |level, error| about_config(level, format!("{}: tokens not counted: {error:#}", config.name));
        let model = match find_model(workspace.root(), &config.model, &config.revision) {
            Ok((_, _, model)) => model,
            Err(error) => {
                findings.push(not_counted(if asked { Level::Warning } else { Level::Info }, error));
                continue;
            }
        };
        match budgets(pairs, config, templates, &model) {
            Ok(measured) => {
                let new: Vec<Measured> = measured.into_iter().filter(|pair| !all.contains(pair)).collect();
                all.extend(new);
            }
            Err(error) => findings.push(not_counted(Level::Warning, error)),
        }
    }
    (all, findings)
}

/// A warning for each pair that a model is not trained on, or only on its beginning.
fn not_trained_whole(measured: &[Measured]) -> Vec<Finding> {
    let trained: Vec<Budget> = measured.iter().filter(|pair| pair.left.is_none()).map(|pair| pair.budget.clone()).collect();
    let left = measured.iter().filter_map(|Measured { budget, left }| {
        let Budget { pair, model, tokens, limit } = budget;
        let size = if *tokens == 0 { String::new() } else { format!(" ({tokens} tokens, limit {limit})") };
        let message = format!("left out for {model}: {}{size}", left.as_ref()?);
        Some(Finding { level: Level::Warning, rule: Rule::Budget, pair: Some(pair.clone()), message })
    });
    pairs::over_budget(&trained).into_iter().chain(left).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The report for people: findings, the gravest first, then how the pairs spread.
fn readable(report: &Report, balance: &Balance, coloured: bool) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let about = finding.pair.as_ref().filter(|_| finding.rule != Rule::File).map(|id| format!("{id}: ")).unwrap_or_default();
        out.push_str(&format!("{} {}\n", label(finding.level, coloured), visible_lines(&format!("{about}{}", finding.message))));
    }
    if !report.findings.is_empty() {
        out.push('\n');
    }
    for count in &balance.tiers {
        let (ready, draft, discarded) = (count.ready, count.draft, count.discarded);
        out.push_str(&format!("{}  {ready:>3} ready  {draft:>3} draft  {discarded:>3} discarded\n", count.tier.folder()));
    }
    out.push_str(&format!("{} ready pairs from {} sources", balance.ready, balance.sources.len()));
    if !report.budgets.is_empty() {
        let over = report.budgets.iter().filter(|budget| budget.tokens > budget.limit).count();
        out.push_str(&format!(", {over} of {} token budgets exceeded", report.budgets.len()));
    }
    let totals = [(Level::Error, "error"), (Level::Warning, "warning"), (Level::Info, "note")].map(|(level, word)| {
        let n = report.findings.iter().filter(|finding| finding.level == level).count();
        format!("{n} {word}{}", if n == 1 { "" } else { "s" })
    });
    out.push_str(&format!("; {}\n", totals.join(", ")));
    out
}

fn label(level: Level, coloured: bool) -> String {
    let (word, colour) = match level {
        Level::Error => ("error", "1;31"),
        Level::Warning => ("warning", "33"),
        Level::Info => ("note", "36"),
    };
    if coloured { format!("\x1b[{colour}m{word}:\x1b[0m") } else { format!("{word}:") }
}
