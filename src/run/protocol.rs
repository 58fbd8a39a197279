//! What is said to the engine thread and what it says back: closed enums of plain data. No tensor, no sender and no closure is in
//! them, so that they can cross a socket, and the events are the lines of `events.jsonl`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Config, Method, Precision};
use crate::dataset::batch::Example;
use crate::hub::ModelFiles;

/// Chosen by the sender of a command; every event of that work carries it.
pub type Job = u64;

/// Plain data for the engine thread to act on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    Load(Load),
    Train(Box<Train>),
    Generate(Generate),
    Score(Score),
    /// Finish the step, write a checkpoint, end as stopped; in generation, end after the token.
    Stop {
        job: Job,
    },
    /// As `Stop` for the work under way; then the thread ends.
    Quit,
}

/// Puts a model on the device, in place of the one that was there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    pub job: Job,
    pub files: ModelFiles,
    pub precision: Precision,
    /// What makes the tuned arm, for generation from a run; training starts from a model without it.
    pub tuned: Option<Tuned>,
}

/// What fine-tuning left behind, on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tuned {
    /// A PEFT folder.
    Adapter(PathBuf),
    /// A folder with `model.safetensors`.
    Weights(PathBuf),
}

impl Tuned {
    /// What a run that trained by `method` left in a checkpoint's folder.
    pub fn of(method: Method, checkpoint: &Path) -> Tuned {
        match method {
            Method::Lora => Tuned::Adapter(checkpoint.to_owned()),
            Method::Full => Tuned::Weights(checkpoint.to_owned()),
        }
    }
}

/// Fine-tunes the loaded model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Train {
    pub job: Job,
    /// The run's folder: events, checkpoints and samples go there.
    pub run: PathBuf,
    pub config: Config,
    /// The data set as it was when the run was made; nothing that is edited later changes it.
    pub examples: Vec<Example>,
    pub data_hash: String,
    pub canaries: Vec<Prompt>,
    pub sampling: Sampling,
    /// The seed of the canaries' samples.
    pub sample_seed: u64,
    /// A PEFT folder to start from, in place of a fresh adapter.
    pub adapter_init: Option<PathBuf>,
    /// The checkpoint's step to go on from; 0 starts anew.
    pub resume_from: usize,
    /// End after this step of the run; the schedule still counts all steps of all epochs.
    pub last_step: Option<usize>,
}

/// Samples one prompt in one batch: a row for each arm and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    pub job: Job,
    pub prompt: Prompt,
    pub arms: Vec<Arm>,
    pub seeds: Vec<u64>,
    pub sampling: Sampling,
}

/// Asks each arm how likely every token of a sequence is after those before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub job: Job,
    /// A prompt as the model reads it and the text that follows it, or any other sequence; at least two.
    pub ids: Vec<u32>,
    pub arms: Vec<Arm>,
}

/// A prompt as the model reads it, template and all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// `A`, `B`, `C`, or the name it has in `outputs/`.
    pub id: String,
    pub ids: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    Base,
    Tuned,
}

impl Arm {
    /// `llama-base`, `llama-tuned`.
    pub fn named(self, short_name: &str) -> String {
        match self {
            Arm::Base => format!("{short_name}-base"),
            Arm::Tuned => format!("{short_name}-tuned"),
        }
    }
}

/// Applied in Hugging Face's order: repetition penalty, temperature, top-k, top-p.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    pub top_p: f64,
    pub top_k: usize,
    pub repetition_penalty: f64,
    /// Fewer where the prompt leaves fewer positions.
    pub max_new_tokens: usize,
}

/// What the engine thread sends: an event and the work it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub job: Job,
    pub event: Event,
}

/// Something that happened. All but `loaded`, `scored` and `text` are lines of a run's `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    Loaded(Loaded),
    Started(Started),
    Step(Step),
    Overflow(Overflow),
    Eval(Eval),
    Sample(Sample),
    Scored(Scored),
    Saved(Saved),
    Text(Text),
    Ended(Ended),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    pub device: String,
    pub parameters: u64,
    pub context: usize,
}

/// Training begins, anew or from a checkpoint. What was logged of steps after `from_step` before this line never happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// RFC 3339, UTC.
    pub time: String,
    pub version: String,
    pub device: String,
    pub from_step: usize,
    /// Optimiser steps of all epochs: what the schedule counts.
    pub steps: usize,
    pub epochs: usize,
    /// Train and validation examples.
    pub examples: [usize; 2],
    pub trainable_parameters: u64,
}

/// One optimiser step, counted from 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub step: usize,
    /// From 1.
    pub epoch: usize,
    /// Mean natural-log loss per trained token of the step.
    pub loss: f64,
    /// Trained tokens: those that carry loss.
    pub tokens: usize,
    pub lr: f64,
    /// Before clipping.
    pub grad_norm: f64,
    /// Until its loss and norm were there: from its launch, or from when those of the step before it were there, whichever was later. Steps
    /// that were waited for together share the time by their tokens. So the times of all steps add up to what they took together.
    pub ms: f64,
    /// Of all tokens that went through the model, prompts included, in that time.
    pub tokens_per_s: f64,
    /// Memory in use on the device; null on the CPU.
    pub device_bytes: Option<u64>,
    /// The pairs it trained on.
    pub pairs: Vec<String>,
}

/// In f16, the gradient of a step went beyond it: nothing was changed, and the step is made again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overflow {
    pub step: usize,
    /// The factor on the loss from now on.
    pub loss_scale: f64,
}

/// The loss on the validation examples; step 0 is the model before training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    pub step: usize,
    pub loss: f64,
    pub tokens: usize,
}

/// One finished sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub prompt: String,
    pub arm: String,
    /// From 0.
    pub sample: usize,
    pub seed: u64,
    /// The training step whose weights drew it, where they were not loaded from a checkpoint: while training, and after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    pub ids: Vec<u32>,
    pub text: String,
    pub finish: Finish,
}

/// How likely one arm finds a sequence; never logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    pub arm: Arm,
    /// The training step whose weights scored it, where they were not loaded from a checkpoint: while training, and after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// `logprobs[i] = ln p(ids[i + 1] | ids[..= i])`, one fewer than there are ids.
    pub logprobs: Vec<f32>,
    /// What was likeliest at the same places, apart from what stands there.
    pub rivals: Vec<Rival>,
}

/// A token that could have stood in another's place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    /// For display: `<E2 80>` where it is a part of a character.
    pub text: String,
    pub logprob: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended the text.
    Stop,
    /// The limit of new tokens was reached.
    Length,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    pub step: usize,
    /// Below the run's folder.
    pub checkpoint: String,
    /// Whether it is the run's result for now.
    pub result: bool,
}

/// Text as it is generated; never logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Text {
    pub prompt: String,
    pub arm: Arm,
    pub sample: usize,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// RFC 3339, UTC.
    pub time: String,
    pub outcome: Outcome,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Finished,
    Stopped,
    Failed,
}

impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "the gradient went beyond f16; the step is made again with the loss scaled by {}", self.loss_scale)
    }
}

impl Event {
    /// Whether it is a line of `events.jsonl`.
    pub fn is_logged(&self) -> bool {
        !matches!(self, Event::Loaded(_) | Event::Scored(_) | Event::Text(_))
    }
}

impl Ended {
    pub fn now(outcome: Outcome, error: Option<String>) -> Ended {
        Ended { time: now(), outcome, error }
    }
}

/// RFC 3339 in UTC, to the second.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
