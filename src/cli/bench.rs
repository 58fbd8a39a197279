//! `voicetune bench`: speed and memory of training and generation at a model's true shape, with random weights made on the device.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde::Serialize;

use super::precision::Dtype;
use super::{Outcome, json};
use crate::config::{Lora, MemoryLimit, Optimizer, Precision, Recompute};
use crate::dataset::batch::Batch;
use crate::engine::optim::AdamW;
use crate::engine::pending::{self, PendingLoss, PendingStep};
use crate::engine::sample::{Row, Sampling, generate};
use crate::engine::spec::Spec;
use crate::engine::{Arm, Model, StepKey, device};
use crate::run::protocol::Overflow;

const SHAPES: [&str; 4] = ["llama-3.1-8b", "gpt2-xl", "pocket-llama", "pocket-gpt2"];

/// Measure speed and memory at a model's true shape, with random weights: no files needed.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  voicetune bench train --shape pocket-llama
  voicetune bench train --shape gpt2-xl --method full --precision bf16 --batch 4 --seq 1024
  voicetune bench train --shape llama-3.1-8b --precision bf16 --lengths lengths.txt --epochs 3
  voicetune bench generate --shape pocket-gpt2 --prompt 64 --new 128 --batch 5 --json")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Forward, backward and optimiser steps on random tokens, all positions trained.
    Train(TrainArgs),
    /// Prefill and decoding.
    Generate(GenerateArgs),
}

#[derive(Debug, ClapArgs)]
struct Shape {
    /// The model's shape.
    #[arg(long, value_parser = SHAPES)]
    shape: String,
    /// lora | full
    #[arg(long, value_enum, default_value_t = Method::Lora)]
    method: Method,
    /// What is computed in.
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    precision: Dtype,
    /// Rank of the adapters on all linear layers.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    rank: u16,
    /// Use the CPU even if a GPU is there.
    #[arg(long)]
    cpu: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, ClapArgs)]
struct TrainArgs {
    #[command(flatten)]
    shape: Shape,
    /// Sequences an optimiser step.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Tokens of each sequence.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(2..), conflicts_with = "lengths")]
    seq: u32,
    /// One example a line by its token count; one pass over the file is an epoch, `--batch` examples a step.
    #[arg(long, value_name = "FILE")]
    lengths: Option<PathBuf>,
    /// Passes over the lengths.
    #[arg(long, default_value_t = 1, requires = "lengths")]
    epochs: u16,
    /// What of the activations backward makes again: less memory, more time.
    #[arg(long, value_enum, default_value_t = Again::Auto)]
    recompute: Again,
    /// The most that tensors may take of a GPU's memory: backward makes again, as far as it must, what does not fit.
    #[arg(long, value_name = "GIB", value_parser = gib)]
    memory: Option<f64>,
    /// Dropout on the adapters' input.
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    dropout: f64,
    /// Steps that are timed, after two that are not.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "lengths")]
    steps: u16,
}

#[derive(Debug, ClapArgs)]
struct GenerateArgs {
    #[command(flatten)]
    shape: Shape,
    /// Samples an arm, decoded in one batch.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Tokens of the prompt.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    prompt: u32,
    /// Tokens to decode.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(2..))]
    new: u32,
    /// 1: the model as it is, with its adapter if it has one; 2: base and tuned together, over one copy of the weights.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    arms: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Again {
    Auto,
    None,
    Mlp,
    Block,
}

impl From<Again> for Recompute {
    fn from(again: Again) -> Self {
        match again {
            Again::Auto => Recompute::Auto,
            Again::None => Recompute::None,
            Again::Mlp => Recompute::Mlp,
            Again::Block => Recompute::Block,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    Lora,
    Full,
}

/// What `bench train` prints.
#[derive(Debug, Serialize)]
struct TrainReport {
    tokens_per_s: f64,
    ms_per_step: f64,
    peak_gib: f64,
    loss_first: f64,
    loss_last: f64,
    #[serde(flatten)]
    set_up: SetUp,
}

/// What `bench generate` prints.
#[derive(Debug, Serialize)]
struct GenerateReport {
    decode_tok_s: f64,
    prefill_ms: f64,
    peak_gib: f64,
    #[serde(flatten)]
    set_up: SetUp,
}

#[derive(Debug, Serialize)]
struct SetUp {
    shape: String,
    method: String,
    device: String,
    precision: Precision,
    version: &'static str,
}

/// Runs the benchmark that was asked for.
pub fn run(args: &Args) -> Result<Outcome> {
    match &args.what {
        What::Train(args) => {
            let report = train(args)?;
            print(&report, args.shape.json, || {
                format!(
                    "{:.0} tokens/s, {:.1} ms a step, {:.2} GiB at most, loss {:.3} -> {:.3}\n{}",
                    report.tokens_per_s, report.ms_per_step, report.peak_gib, report.loss_first, report.loss_last, report.set_up
                )
            })
        }
        What::Generate(args) => {
            let report = generation(args)?;
            print(&report, args.shape.json, || {
                format!(
                    "{:.1} tokens/s decoding, {:.1} ms for the prompt, {:.2} GiB at most\n{}",
                    report.decode_tok_s, report.prefill_ms, report.peak_gib, report.set_up
                )
            })
        }
    }
}

impl std::fmt::Display for SetUp {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} {} in {:?} on {}", self.shape, self.method, self.precision, self.device)
    }
}

fn print(report: &impl Serialize, json: bool, words: impl Fn() -> String) -> Result<Outcome> {
    print!("{}", if json { json::line(report)? } else { words() + "\n" });
    Ok(Outcome::Done)
}

impl Shape {
    fn build(&self, for_training: bool, dropout: f64) -> Result<(Model, SetUp)> {
        let spec = Spec::named(&self.shape).with_context(|| format!("no shape `{}`; there are {}", self.shape, SHAPES.join(", ")))?;
        let device = device::open(if self.cpu { device::Want::Cpu } else { device::Want::Auto })?;
        let mut model = Model::random(&spec, &device, self.precision.into(), 1)?;
        match self.method {
            Method::Lora => {
                let targets = match spec {
                    Spec::Llama(_) => &["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"][..],
                    Spec::Gpt2(_) => &["c_attn", "c_proj", "c_fc"],
                };
                let targets = targets.iter().map(ToString::to_string).collect();
                model.add_lora(&Lora { rank: self.rank.into(), alpha: 2.0 * f64::from(self.rank), dropout, targets }, 2)?;
            }
            Method::Full if for_training => model.train_full()?,
            Method::Full => {}
        }
        let set_up = SetUp {
            shape: self.shape.clone(),
            method: format!("{:?}", self.method).to_lowercase(),
            device: device::describe(&device),
            precision: self.precision.into(),
            version: env!("CARGO_PKG_VERSION"),
        };
        Ok((model, set_up))
    }
}

fn gib(text: &str) -> Result<f64, String> {
    let above_zero = |gib: &f64| *gib > 0.0 && gib.is_finite();
    text.parse().ok().filter(above_zero).ok_or_else(|| "expected a number of GiB above 0".into())
}

fn train(args: &TrainArgs) -> Result<TrainReport> {
    let (mut model, set_up) = args.shape.build(true, args.dropout)?;
    let device = model.device().clone();
    let (context, vocab) = (model.spec().context(), model.spec().vocab());
    let steps: Vec<Batch> = match &args.lengths {
        Some(file) => {
            let lengths = read_lengths(file, context)?;
            let epoch: Vec<Batch> = lengths.chunks(args.batch.into()).map(|lengths| random_batch(lengths, vocab)).collect();
            (0..args.epochs).flat_map(|_| epoch.clone()).collect()
        }
        None if args.seq as usize > context => bail!("--seq {} is longer than the context of {}, {context}", args.seq, args.shape.shape),
        None => vec![random_batch(&vec![args.seq as usize; args.batch.into()], vocab); args.steps.into()],
    };
    let config = Optimizer::default();
    let mut optimizer = AdamW::new(&config, &model)?;
    let memory = args.memory.and_then(|gib| MemoryLimit::Gib(gib).bytes());
    let ahead = pending::ahead(&model);
    let mut launch = |batch: &Batch, n: usize| -> Result<(PendingLoss, PendingStep)> {
        let key = StepKey { seed: 1, step: n as u64, micro: 0, micro_steps: 1, recompute: args.recompute.into(), memory };
        loop {
            let loss = model.accumulate(batch, 1.0 / batch.trained_tokens() as f64, key)?;
            let update = optimizer.step(&mut model, config.learning_rate, 1.0)?;
            match update.overflow {
                None => return Ok((loss, update)),
                Some(loss_scale) => say!("step {n}: {}", Overflow { step: n, loss_scale }),
            }
        }
    };
    let warm_up = [launch(&steps[0], 0)?, launch(&steps[0], 0)?];
    warm_up.iter().try_for_each(|(_, update)| update.grad_norm().map(drop))?;
    device::synchronize(&device)?;
    // As in training, steps are launched before those ahead of them have been looked at: a step's time is that from the one before it
    // being settled to its own.
    let (mut times, mut losses, mut in_flight) = (vec![], vec![], VecDeque::new());
    let start = Instant::now();
    let mut last = start;
    let mut settle = |(loss, update): (PendingLoss, PendingStep)| -> Result<()> {
        losses.push(loss.read()?.mean());
        update.grad_norm()?;
        let now = Instant::now();
        times.push((now - last).as_secs_f64());
        last = now;
        Ok(())
    };
    for (n, batch) in steps.iter().enumerate() {
        in_flight.push_back(launch(batch, n)?);
        if in_flight.len() > ahead {
            in_flight.pop_front().map_or(Ok(()), &mut settle)?;
        }
    }
    in_flight.into_iter().try_for_each(settle)?;
    device::synchronize(&device)?;
    let total = start.elapsed().as_secs_f64();
    let peak = device::peak_gib(&device);
    let tokens: usize = steps.iter().map(|batch| batch.tokens.len()).sum();
    // Steps of one size: the median is robust against a busy machine. Steps of many sizes: all of them, over the whole time.
    let (tokens_per_s, ms) = if args.lengths.is_some() {
        (tokens as f64 / total, total / steps.len() as f64 * 1e3)
    } else {
        let median = median(&mut times);
        (steps[0].tokens.len() as f64 / median, median * 1e3)
    };
    let (Some(&loss_first), Some(&loss_last)) = (losses.first(), losses.last()) else {
        bail!("no step to measure: the lengths file is empty")
    };
    Ok(TrainReport { tokens_per_s, ms_per_step: ms, peak_gib: peak, loss_first, loss_last, set_up })
}

fn generation(args: &GenerateArgs) -> Result<GenerateReport> {
    let (mut model, mut set_up) = args.shape.build(false, 0.0)?;
    if args.arms == 2 && args.shape.method == Method::Full {
        bail!("--arms 2 needs --method lora: two fully trained models share no weights");
    }
    let context = model.spec().context();
    if (args.prompt + args.new) as usize > context {
        bail!("--prompt {} and --new {} do not fit into the context of {}, {context}", args.prompt, args.new, args.shape.shape);
    }
    let device = model.device().clone();
    let prompt = random_batch(&[args.prompt as usize], model.spec().vocab()).tokens;
    let arms = if args.arms == 2 { &[Arm::Base, Arm::Tuned][..] } else { &[Arm::Tuned] };
    let rows: Vec<Row> = arms.iter().flat_map(|&arm| (0..args.batch).map(move |seed| Row { arm, seed: seed.into() })).collect();
    let mut times = vec![];
    let decode = |model: &mut Model, new: usize| -> Result<f64> {
        let sampling = Sampling { temperature: 0.8, top_k: 50, top_p: 0.9, repetition_penalty: 1.1, max_new_tokens: new };
        let start = Instant::now();
        generate(model, &prompt, &rows, &sampling, &[], &mut |_, _| ControlFlow::Continue(()))?;
        device::synchronize(&device)?;
        Ok(start.elapsed().as_secs_f64())
    };
    decode(&mut model, 2)?;
    for _ in 0..3 {
        // The prompt and the first token alone, then with the rest: the difference is decoding.
        let prefill = decode(&mut model, 1)?;
        let whole = decode(&mut model, args.new as usize)?;
        times.push((prefill, whole - prefill));
    }
    let prefill = median(&mut times.iter().map(|t| t.0).collect::<Vec<_>>());
    let decoding = median(&mut times.iter().map(|t| t.1).collect::<Vec<_>>());
    let tokens = (args.new as usize - 1) * rows.len();
    set_up.device = device::describe(&device); // it may have refused something by now
    Ok(GenerateReport { decode_tok_s: tokens as f64 / decoding, prefill_ms: prefill * 1e3, peak_gib: device::peak_gib(&device), set_up })
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Random tokens, the same ones in every run.
fn random_batch(lengths: &[usize], vocab: usize) -> Batch {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let n = lengths.iter().sum();
    let mut draw = || (0..n).map(|_| rng.random_range(0..vocab as u32)).collect::<Vec<_>>();
    Batch { tokens: draw(), targets: draw(), weights: vec![1; n], lengths: lengths.to_vec() }
}

fn read_lengths(file: &PathBuf, context: usize) -> Result<Vec<usize>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut lengths = vec![];
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let length: usize = line.trim().parse().with_context(|| format!("{}:{}: `{line}` is not a token count", file.display(), i + 1))?;
        lengths.push(length.min(context));
    }
    Ok(lengths)
}
