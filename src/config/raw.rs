//! A training config as it is written: three required keys, a default for each of the others, and the limits of every value.

use std::path::Path;

use serde::Deserialize;

use super::yaml::{self, Fault, Given};
use super::{
    Config, ConfigError, Every, Format, KeepBest, Lora, MemoryLimit, Method, Optimizer, OptimizerName, Overlong, Precision, Recompute,
    Schedule, ScheduleName, SplitBy, StateType, Validation,
};

/// Reads a training config and resolves it. The config is named after the file's stem.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = yaml::read_text(path).map_err(|fault| ConfigError::new(path, fault))?;
    parse(path, &text)
}

/// Resolves the text of a training config; `file` names the config and stands in errors.
pub fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    yaml::parse::<RawConfig>(text).and_then(|raw| raw.resolve(name)).map_err(|fault| ConfigError::new(file, fault))
}

/// Holds a config that was not read from a config file, such as a manifest's, to the limits of one that was.
pub fn check(config: &Config) -> Result<(), Fault> {
    let faulty = |message: String| Fault { line: None, message };
    let mut keys = serde_json::to_value(config).map_err(|error| faulty(error.to_string()))?;
    if let Some(keys) = keys.as_object_mut() {
        keys.remove("name");
    }
    // JSON is YAML.
    let again = yaml::parse::<RawConfig>(&keys.to_string())?.resolve(config.name.clone())?;
    if again == *config { Ok(()) } else { Err(faulty("the config holds values that voicetune does not write".into())) }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawConfig {
    model: Given<String>,
    revision: Given<String>,
    format: Given<Format>,
    method: Given<Method>,
    lora: RawLora,
    base_precision: Given<Precision>,
    optimizer: RawOptimizer,
    schedule: RawSchedule,
    epochs: Given<usize>,
    batch: Given<usize>,
    accumulate: Given<usize>,
    max_tokens: Given<usize>,
    overlong: Given<Overlong>,
    recompute: Given<Recompute>,
    memory_limit: Given<MemoryLimit>,
    clip_grad_norm: Given<f64>,
    seed: Given<u64>,
    validation: RawValidation,
    evaluate_every: Given<Every>,
    sample_every: Given<Every>,
    checkpoint_every: Given<usize>,
    keep_best: Given<KeepBest>,
    keep_checkpoints: Given<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLora {
    rank: Given<usize>,
    alpha: Given<f64>,
    dropout: Given<f64>,
    targets: Given<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawOptimizer {
    name: Given<OptimizerName>,
    learning_rate: Given<f64>,
    weight_decay: Given<f64>,
    betas: Given<[f64; 2]>,
    eps: Given<f64>,
    state: Given<StateType>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSchedule {
    name: Given<ScheduleName>,
    warmup_steps: Given<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawValidation {
    fraction: Given<f64>,
    by: Given<SplitBy>,
}

impl RawConfig {
    fn resolve(self, name: String) -> Result<Config, Fault> {
        self.require_keys()?;
        self.refuse_training_nf4()?;
        self.refuse_idle_limit()?;
        Ok(Config {
            name,
            model: self.model.within("model", String::new(), "a hub id, a folder, pocket:llama or pocket:gpt2", |id| filled(id))?,
            revision: self.revision.within("revision", "main".into(), "a branch, tag or commit", |name| filled(name))?,
            format: self.format.required("format")?,
            method: self.method.required("method")?,
            lora: self.lora.resolve()?,
            base_precision: self.base_precision.or(Precision::Bf16),
            optimizer: self.optimizer.resolve()?,
            schedule: self.schedule.resolve(),
            epochs: self.epochs.within("epochs", 3, "from 1 to 100,000", |n| (1..=100_000).contains(n))?,
            batch: self.batch.within("batch", 1, "from 1 to 65,536", |n| (1..=65_536).contains(n))?,
            accumulate: self.accumulate.within("accumulate", 1, "from 1 to 65,536", |n| (1..=65_536).contains(n))?,
            // One token predicts the next, so a single one trains nothing.
            max_tokens: self.max_tokens.within("max_tokens", 2048, "from 2 to 16,777,216", |n| (2..=1 << 24).contains(n))?,
            overlong: self.overlong.or(Overlong::CutAtParagraph),
            recompute: self.recompute.or(Recompute::Auto),
            memory_limit: self.memory_limit.or(MemoryLimit::None),
            clip_grad_norm: self.clip_grad_norm.within("clip_grad_norm", 1.0, "0 (no clipping) or above", not_negative)?,
            seed: self.seed.or(42),
            validation: self.validation.resolve()?,
            evaluate_every: self.evaluate_every.or(Every::Epoch),
            sample_every: self.sample_every.or(Every::Epoch),
            checkpoint_every: self.checkpoint_every.within("checkpoint_every", 50, ONE_OR_MORE, at_least_one)?,
            keep_best: self.keep_best.or(KeepBest::Validation),
            // The last is what a run goes on from.
            keep_checkpoints: self.keep_checkpoints.within("keep_checkpoints", 2, ONE_OR_MORE, at_least_one)?,
        })
    }

    /// Names all missing keys at once, so that a new file is not mended one run at a time.
    fn require_keys(&self) -> Result<(), Fault> {
        let keys =
            [("model", self.model.get().is_some()), ("format", self.format.get().is_some()), ("method", self.method.get().is_some())];
        let missing: Vec<String> = keys.iter().filter(|(_, given)| !given).map(|(key, _)| format!("`{key}`")).collect();
        match missing.as_slice() {
            [] => Ok(()),
            [key] => Err(Fault { line: None, message: format!("the key {key} is missing; add it") }),
            keys => Err(Fault { line: None, message: format!("the keys {} are missing; add them", keys.join(" and ")) }),
        }
    }

    fn refuse_training_nf4(&self) -> Result<(), Fault> {
        match (self.method.get(), self.base_precision.get()) {
            (Some(Method::Full), Some(Precision::Nf4)) => Err(Fault {
                line: self.base_precision.line(),
                message: "`base_precision: nf4` cannot be trained in full, only under an adapter; use `method: lora`, or bf16, f16 or f32"
                    .into(),
            }),
            _ => Ok(()),
        }
    }

    /// A limit is kept by choosing what is computed again, so where the file has chosen that nothing would keep it.
    fn refuse_idle_limit(&self) -> Result<(), Fault> {
        match (self.memory_limit.get(), self.recompute.get()) {
            (Some(MemoryLimit::Gib(_)), Some(Recompute::None | Recompute::Mlp | Recompute::Block)) => Err(Fault {
                line: self.memory_limit.line(),
                message: "`memory_limit` is kept by `recompute: auto` alone; use that, or `memory_limit: none`".into(),
            }),
            _ => Ok(()),
        }
    }
}

impl RawLora {
    fn resolve(self) -> Result<Lora, Fault> {
        Ok(Lora {
            rank: self.rank.within("lora.rank", 16, "from 1 to 65,536", |n| (1..=65_536).contains(n))?,
            alpha: self.alpha.within("lora.alpha", 32.0, ABOVE_ZERO, above_zero)?,
            dropout: self.dropout.within("lora.dropout", 0.05, "from 0 to below 1", share_below_one)?,
            targets: self.targets.within("lora.targets", all_linear_layers(), "a list of layer names, each once", |names| {
                !names.is_empty() && names.iter().enumerate().all(|(i, name)| filled(name) && !names[..i].contains(name))
            })?,
        })
    }
}

impl RawOptimizer {
    fn resolve(self) -> Result<Optimizer, Fault> {
        let of = Optimizer::default();
        let are_shares = |betas: &[f64; 2]| betas.iter().all(share_below_one);
        Ok(Optimizer {
            name: self.name.or(of.name),
            learning_rate: self.learning_rate.within("optimizer.learning_rate", of.learning_rate, ABOVE_ZERO, above_zero)?,
            weight_decay: self.weight_decay.within("optimizer.weight_decay", of.weight_decay, "0 or above", not_negative)?,
            betas: self.betas.within("optimizer.betas", of.betas, "two numbers from 0 to below 1", are_shares)?,
            eps: self.eps.within("optimizer.eps", of.eps, ABOVE_ZERO, above_zero)?,
            state: self.state.or(of.state),
        })
    }
}

impl RawSchedule {
    fn resolve(self) -> Schedule {
        Schedule { name: self.name.or(ScheduleName::Cosine), warmup_steps: self.warmup_steps.or(10) }
    }
}

impl RawValidation {
    fn resolve(self) -> Result<Validation, Fault> {
        Ok(Validation {
            fraction: self.fraction.within("validation.fraction", 0.07, "from 0 to 0.5", |&share| (0.0..=0.5).contains(&share))?,
            by: self.by.or(SplitBy::Source),
        })
    }
}

const ONE_OR_MORE: &str = "1 or more";
const ABOVE_ZERO: &str = "above 0";

fn all_linear_layers() -> Vec<String> {
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"].map(String::from).to_vec()
}

fn filled(text: &str) -> bool {
    !text.trim().is_empty()
}

fn at_least_one(n: &usize) -> bool {
    *n >= 1
}

/// Infinity and NaN are numbers to YAML, so they are refused here.
fn above_zero(x: &f64) -> bool {
    x.is_finite() && *x > 0.0
}

fn not_negative(x: &f64) -> bool {
    x.is_finite() && *x >= 0.0
}

fn share_below_one(x: &f64) -> bool {
    (0.0..1.0).contains(x)
}

#[cfg(test)]
mod tests;
