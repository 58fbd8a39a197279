//! `voicetune demo`: the whole job on the workspace's pairs and the embedded pocket models, without network or GPU: both models
//! fine-tuned and evaluated, four outputs a prompt, and what each arm of the pocket Llama kept of a draft.

mod report;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::progress::Progress;
use super::show::Show;
use super::train::{conclude, preflight, wait_for_model};
use super::{Outcome, interrupt, json};
use crate::config::{Canary, Method, Workspace};
use crate::dataset::{Encoder, Part, Tokenizer, TokenizerFiles};
use crate::pairs::{self, Pair, Status, Tier};
use crate::review::align::align;
use crate::review::shares::{Counts, Shares};
use crate::run::checkpoint::Checkpoints;
use crate::run::log::History;
use crate::run::outputs::{Output, append};
use crate::run::prepare::Prepared;
use crate::run::prompts::{Prompts, sampling_for};
use crate::run::protocol::{self, Arm, Command, Event, Generate, Load, Prompt, Sample, Sampling, Tuned};
use crate::run::{EngineHandle, Priority, Run, Want};

/// The pocket configs, and what their runs are called.
const CONFIGS: [(&str, &str); 2] = [("pocket-llama-lora", "demo-llama"), ("pocket-gpt2-full", "demo-gpt2")];

/// Tokens of the answer to a draft: an essay's length would take the demo past its five minutes.
const ANSWER: usize = 400;

/// The id of the draft among the outputs.
const DRAFT: &str = "draft";

/// Fine-tune both pocket models on the sample pairs, and read what came out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Needs no network and no GPU; under five minutes on two cores. Leaves two ordinary runs in runs/, which all other
commands read:

  voicetune demo
  voicetune generate demo-llama --prompt 'The last bus home.'
  voicetune train --resume demo-gpt2")]
pub struct Args {
    /// Samples for each canary and arm [default: `samples` in configs/sampling.yaml]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    samples: Option<u64>,

    /// Print one JSON object: runs, losses, samples and shares
    #[arg(long)]
    json: bool,
}

/// All that the demo found out.
#[derive(Debug, Serialize)]
struct Findings {
    runs: Vec<Tried>,
    samples: Vec<Sample>,
    draft: Option<Edited>,
}

/// One fine-tuned model.
#[derive(Debug, Serialize)]
struct Tried {
    run: String,
    model: String,
    method: Method,
    /// Pairs trained on.
    pairs: usize,
    /// Mean loss per token on the held-out pairs, before training and at the run's result.
    validation_before: Option<f64>,
    validation_after: Option<f64>,
    seconds: f64,
}

/// What each arm, and the writer, made of one draft.
#[derive(Debug, Serialize)]
struct Edited {
    pair: String,
    /// Where the first model that could read it had the pair.
    part: Option<Part>,
    versions: Vec<Version>,
}

impl Edited {
    fn by_the_writer(pair: &Pair, part: Option<Part>) -> Self {
        Edited { pair: pair.id.clone(), part, versions: vec![Version::of("the writer", &pair.prompt, &pair.response)] }
    }
}

#[derive(Debug, Serialize)]
struct Version {
    by: String,
    sentences: usize,
    shares: Shares,
}

impl Version {
    fn of(by: &str, draft: &str, text: &str) -> Self {
        let counts = Counts::of(&align(draft, text));
        Version { by: by.to_owned(), sentences: counts.revision, shares: counts.shares() }
    }
}

/// Runs the demo in the workspace.
pub fn run(args: &Args, workspace: &Workspace) -> Result<Outcome> {
    let clock = std::time::Instant::now();
    let canaries = workspace.canaries()?;
    let engine = EngineHandle::spawn(Want::Auto, Priority::Normal)?;
    interrupt::quit_on_signal(engine.commands())?;
    let mut demo = Demo { args, workspace, engine, canaries, jobs: 0, findings: Findings { runs: vec![], samples: vec![], draft: None } };
    for (config, name) in CONFIGS {
        if demo.model(config, name)? == Outcome::Problems {
            return Ok(Outcome::Problems);
        }
    }
    let findings = demo.findings;
    if args.json {
        print!("{}", json::line(&findings)?);
    } else {
        report::print(&findings, &demo.canaries, clock.elapsed().as_secs_f64());
    }
    Ok(Outcome::Done)
}

struct Demo<'a> {
    args: &'a Args,
    workspace: &'a Workspace,
    engine: EngineHandle,
    canaries: Vec<Canary>,
    jobs: protocol::Job,
    findings: Findings,
}

impl Demo<'_> {
    /// Fine-tunes one model and draws its outputs.
    fn model(&mut self, config: &str, name: &str) -> Result<Outcome> {
        let config = self.workspace.config(config)?;
        let prepared = Prepared::new(self.workspace, config, self.workspace.templates()?, None)?;
        let steps = prepared.steps();
        say!("{}\n", report::heading(&format!("{}: {}", prepared.config.name, purpose(prepared.config.method))));
        preflight(&prepared, self.workspace, None, false)?;
        let job = self.job();
        self.engine.send(Command::Load(prepared.load(job)))?;
        let loaded = wait_for_model(&self.engine)?;
        let run = prepared.create_run(&self.workspace.runs(), name, &loaded.device, None)?;
        say!("run         {} on {}", run.folder.display(), loaded.device);
        let job = self.job();
        self.engine.send(Command::Train(Box::new(prepared.train(job, &run))))?;
        let mut show = Show::new(None, false);
        let ended = loop {
            let event = self.engine.next()?.event;
            show.event(&event, false)?;
            if let Event::Ended(ended) = event {
                break ended;
            }
        };
        if conclude(&run, ended, steps, steps)? == Outcome::Problems {
            return Ok(Outcome::Problems);
        }
        self.findings.runs.push(tried(&prepared, &run)?);
        self.outputs(&prepared, &run)
    }

    /// Draws the canaries' samples from both arms, and both arms' answer to a draft where it fits.
    fn outputs(&mut self, prepared: &Prepared, run: &Run) -> Result<Outcome> {
        let result = Checkpoints::of(&run.folder).result()?;
        let tuned = Tuned::of(prepared.config.method, &result.path);
        let job = self.job();
        self.engine.send(Command::Load(Load { tuned: Some(tuned), ..prepared.load(job) }))?;
        wait_for_model(&self.engine)?;

        let texts = prepared.files.text_files()?;
        let tokenizer = Tokenizer::new(&TokenizerFiles::from(&texts))?;
        let encoder = Encoder::new(&tokenizer, prepared.config.format, &prepared.templates)?;
        let short_name = prepared.config.short_name();
        let sampling = sampling_for(&prepared.sampling, &short_name);
        let context = prepared.spec.context();
        let prompts = Prompts::canaries(&self.canaries, &encoder, sampling.max_new_tokens, context)?;
        let count = self.args.samples.unwrap_or(prepared.sampling.samples as u64);
        let seeds: Vec<u64> = (0..count).map(|i| prepared.sampling.seed.wrapping_add(i)).collect();
        let draft = draft_pair(self.workspace, &encoder, context)?;

        let total = prompts.fitting.len() as u64 * 2 * count + if draft.is_some() { 2 } else { 0 };
        let mut progress = Progress::new("sample", 0, total);
        let mut jobs: Vec<(Prompt, String, Vec<u64>, Sampling)> = vec![];
        for prompt in prompts.fitting {
            let text = self.canaries.iter().find(|c| c.id == prompt.id).map_or(String::new(), |c| c.prompt.clone());
            jobs.push((prompt, text, seeds.clone(), sampling));
        }
        if let Some((pair, ids)) = &draft {
            let one = Sampling { max_new_tokens: ANSWER, ..sampling };
            jobs.push((Prompt { id: DRAFT.into(), ids: ids.clone() }, pair.prompt.clone(), seeds[..1].to_vec(), one));
        }
        let mut answers = vec![];
        for (prompt, text, seeds, sampling) in jobs {
            let id = prompt.id.clone();
            let samples = self.draw(prompt, seeds, sampling, &mut progress)?;
            let Some(samples) = samples else {
                progress.finish();
                return Ok(Outcome::Problems);
            };
            for sample in &samples {
                append(&run.folder, &Output::new(sample, &text, result.step, sampling))?;
            }
            if id == DRAFT { answers = samples } else { self.findings.samples.extend(samples) }
        }
        progress.finish();
        if let (Some((pair, _)), false) = (draft, answers.is_empty()) {
            let part = prepared.examples.iter().find(|e| e.pair == pair.id).map(|e| e.split);
            let draft = self.findings.draft.get_or_insert_with(|| Edited::by_the_writer(&pair, part));
            draft.versions.extend(answers.iter().map(|sample| Version::of(&sample.arm, &pair.prompt, &sample.text)));
        }
        Ok(Outcome::Done)
    }

    /// The samples of both arms, or nothing where the work was stopped.
    fn draw(&mut self, prompt: Prompt, seeds: Vec<u64>, sampling: Sampling, progress: &mut Progress) -> Result<Option<Vec<Sample>>> {
        let id = prompt.id.clone();
        let job = self.job();
        self.engine.send(Command::Generate(Generate { job, prompt, arms: vec![Arm::Base, Arm::Tuned], seeds, sampling }))?;
        let (mut samples, mut tokens) = (vec![], 0u64);
        loop {
            match self.engine.next()?.event {
                Event::Sample(sample) => {
                    samples.push(sample);
                    progress.advance(&format!("prompt {id}"));
                }
                Event::Text(_) => {
                    tokens += 1;
                    progress.say(&format!("prompt {id}, {tokens} tokens"));
                }
                Event::Ended(ended) => match (ended.error, ended.outcome) {
                    (Some(error), _) => bail!("{error}"),
                    (None, protocol::Outcome::Finished) => return Ok(Some(samples)),
                    (None, _) => return Ok(None),
                },
                _ => {} // the rest belongs to training
            }
        }
    }

    fn job(&mut self) -> protocol::Job {
        self.jobs += 1;
        self.jobs
    }
}

fn purpose(method: Method) -> &'static str {
    match method {
        Method::Lora => "adapters on frozen weights",
        Method::Full => "every weight",
    }
}

fn tried(prepared: &Prepared, run: &Run) -> Result<Tried> {
    let history = History::read(&run.folder)?;
    let result = Checkpoints::of(&run.folder).result()?.step;
    let loss = |step: usize| history.evals.iter().find(|e| e.step == step).map(|e| e.loss);
    Ok(Tried {
        run: run.folder_name(),
        model: prepared.config.model.clone(),
        method: prepared.config.method,
        pairs: prepared.part(Part::Train).count(),
        validation_before: loss(0),
        validation_after: loss(result),
        seconds: history.steps.iter().map(|s| s.ms).sum::<f64>() / 1000.0,
    })
}

/// The ready tier-1 pair with the shortest draft, and its prompt's ids, if the draft and its answer fit the context.
fn draft_pair(workspace: &Workspace, encoder: &Encoder, context: usize) -> Result<Option<(Pair, Vec<u32>)>> {
    let (pairs, _) = pairs::load(&workspace.pairs());
    let drafts = pairs.into_iter().filter(|p| p.tier == Tier::Draft && p.status == Status::Ready);
    let Some(pair) = drafts.min_by_key(|p| p.prompt.len()) else { return Ok(None) };
    let ids = encoder.prompt(&pair.prompt).with_context(|| format!("the draft of {}", pair.id))?;
    Ok((ids.len() + ANSWER <= context).then_some((pair, ids)))
}
