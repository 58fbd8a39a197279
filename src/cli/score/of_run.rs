//! Both arms of a run score texts, given their prompts; what they say is kept beside the run's outputs.

use std::io::Write;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{Args, shades};
use crate::cli::progress::Progress;
use crate::cli::{Outcome, interrupt, json, train};
use crate::config::Workspace;
use crate::pairs::{self, Pair};
use crate::review::surprisal::{Means, means};
use crate::run::checkpoint::Checkpoints;
use crate::run::prompts::short_id;
use crate::run::protocol::{self, Command, Event, Job, Load};
use crate::run::scores::{self, Scores};
use crate::run::scoring::{Request, Scorer, Subject};
use crate::run::{EngineHandle, Priority, Run, Want};

const LOADING: Job = 1;
const SCORING: Job = 2;

/// A text and the prompt it answers.
struct Wanted {
    /// For messages.
    name: String,
    /// The prompt's id, as in `outputs/`.
    prompt: String,
    prompt_text: String,
    text: String,
}

/// A line of `--json`. The first two are those of a model's score, by the fine-tuned arm.
#[derive(Serialize)]
struct Line<'s> {
    ids: &'s [u32],
    logprobs: &'s [f32],
    base: &'s [f32],
    name: &'s str,
    checkpoint: usize,
    from: usize,
    text: &'s str,
    ends: &'s [usize],
    left_out: usize,
    means: Option<Means>,
}

pub(super) fn run(args: &Args, name: &str, workspace: &Workspace) -> Result<Outcome> {
    let run = Run::find(&workspace.runs(), name)?;
    let checkpoints = Checkpoints::of(&run.folder);
    let checkpoint = match args.checkpoint {
        Some(step) => checkpoints.find(Some(step))?,
        None => checkpoints.result()?,
    };
    let mut outcome = Outcome::Done;
    let wanted = wanted(args, workspace, &run, &mut outcome)?;
    let scorer = Scorer::new(workspace.root(), &run, checkpoint)?;
    let mut progress = Progress::new("text", 0, wanted.len() as u64);
    let mut engine = None;
    for (at, wanted) in wanted.iter().enumerate() {
        progress.set(at as u64, &wanted.name);
        let subject = Subject::Text(wanted.text.clone());
        let request = match scorer.request(&wanted.prompt, &wanted.prompt_text, &subject) {
            Ok(request) => request,
            Err(error) => {
                say!("{}: {error:#}", wanted.name);
                outcome = Outcome::Problems;
                continue;
            }
        };
        let scores = match request.kept()? {
            Some(scores) => scores,
            None => {
                let engine = match &engine {
                    Some(engine) => engine,
                    None => &*engine.insert(loaded(&request)?),
                };
                let Some(scores) = scored(engine, &request)? else {
                    progress.finish();
                    return Ok(Outcome::Problems);
                };
                scores::append(&run.folder, &scores)?;
                scores
            }
        };
        std::io::stdout().write_all(printed(args, wanted, &scores)?.as_bytes()).context("cannot write to standard output")?;
    }
    progress.finish();
    Ok(outcome)
}

/// What the arguments name, else all held-out pairs. A pair of the manifest that cannot be read is said, and is a problem.
fn wanted(args: &Args, workspace: &Workspace, run: &Run, outcome: &mut Outcome) -> Result<Vec<Wanted>> {
    let read = |path: &std::path::Path| std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()));
    let text = args.text.as_deref().map(read).transpose()?;
    if let Some(id) = &args.pair {
        let pair = pair(workspace, id)?;
        return Ok(vec![Wanted::of(pair, text)]);
    }
    let prompt = match (&args.prompt, &args.prompt_file) {
        (Some(prompt), _) => Some(("prompt".to_owned(), prompt.clone())),
        (None, Some(path)) => Some((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), read(path)?)),
        (None, None) => None,
    };
    match (prompt, text) {
        (Some((name, prompt_text)), Some(text)) => Ok(vec![Wanted { prompt: short_id(&name, &prompt_text), name, prompt_text, text }]),
        (None, Some(_)) => bail!("which prompt does the text answer? name it by --pair, --prompt or --prompt-file"),
        _ => {
            let mut wanted = vec![];
            for id in &run.manifest.data.validation {
                match pair(workspace, id) {
                    Ok(pair) => wanted.push(Wanted::of(pair, None)),
                    Err(error) => {
                        say!("{error:#}");
                        *outcome = Outcome::Problems;
                    }
                }
            }
            if wanted.is_empty() {
                bail!("{}: no pair of it was held out and is there; name one by --pair", run.folder_name());
            }
            Ok(wanted)
        }
    }
}

fn pair(workspace: &Workspace, id: &str) -> Result<Pair> {
    match pairs::open(&workspace.pairs(), id) {
        Ok(loaded) => Ok(loaded.pair),
        Err(problems) => bail!("{}", problems.first().map_or_else(|| format!("there is no pair {id}"), ToString::to_string)),
    }
}

impl Wanted {
    /// The pair's response, or another answer to its prompt.
    fn of(pair: Pair, text: Option<String>) -> Wanted {
        let prompt = short_id(&pair.id, &pair.prompt);
        Wanted { name: pair.id, prompt, prompt_text: pair.prompt, text: text.unwrap_or(pair.response) }
    }
}

fn loaded(request: &Request) -> Result<EngineHandle> {
    let engine = EngineHandle::spawn(Want::Auto, Priority::Normal)?;
    interrupt::stop_on_signal(engine.commands(), SCORING, "the text under way is not scored")?;
    engine.send(Command::Load(Load { job: LOADING, ..request.load.clone() }))?;
    train::wait_for_model(&engine)?;
    Ok(engine)
}

/// `None` where it was stopped.
fn scored(engine: &EngineHandle, request: &Request) -> Result<Option<Scores>> {
    engine.send(Command::Score(request.score(SCORING)))?;
    let mut scored = vec![];
    loop {
        match engine.next()?.event {
            Event::Scored(one) => scored.push(one),
            Event::Ended(ended) => match (ended.error, ended.outcome) {
                (Some(error), _) => bail!("{error}"),
                (None, protocol::Outcome::Stopped) => return Ok(None),
                (None, _) => return request.scores(scored).map(Some),
            },
            _ => {} // the rest belongs to training
        }
    }
}

fn printed(args: &Args, wanted: &Wanted, scores: &Scores) -> Result<String> {
    let means = means(scores);
    if args.json {
        let line = Line {
            ids: &scores.ids,
            logprobs: &scores.tuned.logprobs,
            base: &scores.base.logprobs,
            name: &wanted.name,
            checkpoint: scores.checkpoint,
            from: scores.from,
            text: &scores.text,
            ends: &scores.ends,
            left_out: scores.left_out,
            means,
        };
        return json::line(&line);
    }
    let Some(means) = means else { return Ok(format!("{}: no token\n", wanted.name)) };
    let difference = means.difference();
    let how = if difference >= 0.0 { "less" } else { "more" };
    let mut said = format!(
        "{}: {} tokens, base {:.3}, fine-tuned {:.3} nats a token: {:.3} {how} surprised (step {})\n",
        wanted.name,
        means.tokens,
        means.base,
        means.tuned,
        difference.abs(),
        scores.checkpoint
    );
    if scores.left_out > 0 {
        said.push_str(&format!("  its last {} tokens have no room in this model and are not scored\n", scores.left_out));
    }
    if let Some(show) = args.show {
        said.push_str(&shades::shown(scores, show));
    }
    Ok(said)
}
