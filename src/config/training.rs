//! The resolved training config: every key of `configs/*.yaml` with its value.

use serde::{Deserialize, Serialize};

/// A resolved training config: every key has its value. `runs/<run>/manifest.yaml` holds it as it was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The file's stem, e.g. `pocket-llama-lora`; names runs.
    pub name: String,
    /// Hub id, local folder, or `pocket:llama` / `pocket:gpt2`.
    pub model: String,
    pub revision: String,
    pub format: Format,
    pub method: Method,
    pub lora: Lora,
    pub base_precision: Precision,
    pub optimizer: Optimizer,
    pub schedule: Schedule,
    pub epochs: usize,
    /// Examples a micro-step.
    pub batch: usize,
    /// Micro-steps an optimiser step.
    pub accumulate: usize,
    pub max_tokens: usize,
    pub overlong: Overlong,
    pub recompute: Recompute,
    /// With [`Recompute::Auto`] only.
    #[serde(default)]
    pub memory_limit: MemoryLimit,
    /// 0 turns clipping off.
    pub clip_grad_norm: f64,
    pub seed: u64,
    pub validation: Validation,
    pub evaluate_every: Every,
    pub sample_every: Every,
    /// Optimiser steps between checkpoints.
    pub checkpoint_every: usize,
    pub keep_best: KeepBest,
    /// How many of the latest checkpoints stay, the best one aside.
    #[serde(default = "two")]
    pub keep_checkpoints: usize,
}

/// Of runs that were made before the key was.
fn two() -> usize {
    2
}

impl Config {
    /// The model in a word, which names its line in `sampling.yaml` and in what `check` prints: `llama`, `gpt2`, `pocket-llama`,
    /// `pocket-gpt2`, or the last part of another model's name.
    pub fn short_name(&self) -> String {
        if let Some(pocket) = self.model.strip_prefix("pocket:") {
            return format!("pocket-{pocket}");
        }
        let name = self.model.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_lowercase();
        match name {
            name if name.starts_with("llama") => "llama".into(),
            name if name.starts_with("gpt2") => "gpt2".into(),
            name => name,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Chat,
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    Lora,
    Full,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f64,
    /// Hugging Face names of linear layers, e.g. `q_proj`.
    pub targets: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    F32,
    Bf16,
    F16,
    Nf4,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    pub name: OptimizerName,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub betas: [f64; 2],
    pub eps: f64,
    pub state: StateType,
}

/// What a config means that says nothing of it: PyTorch's AdamW with a tenth of its rate and no weight decay.
impl Default for Optimizer {
    fn default() -> Self {
        Optimizer {
            name: OptimizerName::Adamw,
            learning_rate: 1e-4,
            weight_decay: 0.0,
            betas: [0.9, 0.999],
            eps: 1e-8,
            state: StateType::F32,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    Adamw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateType {
    F32,
    Int8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub name: ScheduleName,
    pub warmup_steps: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleName {
    Constant,
    Linear,
    Cosine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlong {
    CutAtParagraph,
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// By free memory: the first of the others that fits.
    Auto,
    None,
    /// The second half of each block.
    Mlp,
    /// All of each block.
    Block,
}

/// The most of a GPU's memory that tensors may take: written `none`, or a number of GiB.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum MemoryLimit {
    /// Four fifths of what is free are the limit.
    #[default]
    None,
    Gib(f64),
}

impl MemoryLimit {
    pub fn bytes(self) -> Option<u64> {
        match self {
            MemoryLimit::None => None,
            MemoryLimit::Gib(gib) => Some((gib * (1u64 << 30) as f64) as u64),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Share of the pairs held out, 0 to 0.5.
    pub fraction: f64,
    pub by: SplitBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    Source,
}

/// How often something happens while training: written `epoch`, `never`, or a number of optimiser steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    Epoch,
    Never,
    Steps(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepBest {
    /// The checkpoint with the lowest validation loss (the last one where nothing is held out).
    Validation,
    Last,
}

impl Serialize for MemoryLimit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            MemoryLimit::None => serializer.serialize_str("none"),
            MemoryLimit::Gib(gib) => serializer.serialize_f64(*gib),
        }
    }
}

impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = MemoryLimit;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("`none` or a number of GiB above 0")
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<MemoryLimit, E> {
                match v {
                    "none" => Ok(MemoryLimit::None),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(v), &self)),
                }
            }
            fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<MemoryLimit, E> {
                self.visit_f64(v as f64)
            }
            fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<MemoryLimit, E> {
                match v.is_finite() && v > 0.0 {
                    true => Ok(MemoryLimit::Gib(v)),
                    false => Err(E::invalid_value(serde::de::Unexpected::Float(v), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Every {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Every::Epoch => serializer.serialize_str("epoch"),
            Every::Never => serializer.serialize_str("never"),
            Every::Steps(n) => serializer.serialize_u64(*n as u64),
        }
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Every;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("`epoch`, `never` or a number of steps above 0")
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Every, E> {
                match v {
                    "epoch" => Ok(Every::Epoch),
                    "never" => Ok(Every::Never),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(v), &self)),
                }
            }
            fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Every, E> {
                match v {
                    0 => Err(E::invalid_value(serde::de::Unexpected::Unsigned(v), &self)),
                    n => Ok(Every::Steps(n as usize)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
