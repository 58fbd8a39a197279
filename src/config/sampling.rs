//! `configs/sampling.yaml`: how outputs are drawn, the same for every arm so that they compare.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Temperature;
use super::yaml::{self, Fault, Given};

/// Sampling settings, applied in Hugging Face's order: repetition penalty, temperature, top-k, top-p.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    /// At which the same prompt is read side by side; in this order, each once.
    pub temperatures: Vec<Temperature>,
    pub top_p: f64,
    /// 0 turns the limit off.
    pub top_k: usize,
    /// 1 turns the penalty off.
    pub repetition_penalty: f64,
    pub max_new_tokens: usize,
    /// Lower limits for models that see less, by the config's [short name](super::Config::short_name).
    pub max_new_tokens_by_model: BTreeMap<String, usize>,
    /// Outputs drawn for each prompt and arm.
    pub samples: usize,
    /// The first sample's seed; each further one adds 1.
    pub seed: u64,
}

impl Sampling {
    /// The most tokens a model may write, given the short name of its config. The limit by model never raises the general one.
    pub fn max_new_tokens_for(&self, short_name: &str) -> usize {
        self.max_new_tokens_by_model.get(short_name).map_or(self.max_new_tokens, |&n| n.min(self.max_new_tokens))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSampling {
    temperature: Given<f64>,
    temperatures: Given<Vec<f64>>,
    top_p: Given<f64>,
    top_k: Given<usize>,
    repetition_penalty: Given<f64>,
    max_new_tokens: Given<usize>,
    max_new_tokens_by_model: Given<BTreeMap<String, usize>>,
    samples: Given<usize>,
    seed: Given<u64>,
}

/// As many as stand side by side.
const MOST: usize = 4;
const COMPARED: [f64; 3] = [0.5, 0.8, 1.2];

fn is_readable(temperatures: &[f64]) -> bool {
    let is_new = |at: usize| !temperatures[..at].contains(&temperatures[at]);
    (1..=MOST).contains(&temperatures.len()) && temperatures.iter().enumerate().all(|(at, t)| (0.0..=10.0).contains(t) && is_new(at))
}

/// An empty text gives the defaults.
pub fn parse(text: &str) -> Result<Sampling, Fault> {
    let raw: RawSampling = yaml::parse(text)?;
    Ok(Sampling {
        temperature: raw
            .temperature
            .within("temperature", 0.8, "from 0 (always the likeliest token) to 10", |t| (0.0..=10.0).contains(t))?,
        temperatures: raw
            .temperatures
            .within("temperatures", COMPARED.to_vec(), "a list of one to four different numbers from 0 to 10", |all| is_readable(all))?
            .into_iter()
            .map(Temperature::new)
            .collect(),
        top_p: raw.top_p.within("top_p", 0.9, "above 0 and at most 1 (off)", |&p| p > 0.0 && p <= 1.0)?,
        top_k: raw.top_k.or(50),
        repetition_penalty: raw
            .repetition_penalty
            .within("repetition_penalty", 1.1, "above 0; 1 turns it off", |&penalty| penalty.is_finite() && penalty > 0.0)?,
        max_new_tokens: raw.max_new_tokens.within("max_new_tokens", 1024, "from 1 to 16,777,216", |n| (1..=1 << 24).contains(n))?,
        max_new_tokens_by_model: raw.max_new_tokens_by_model.within(
            "max_new_tokens_by_model",
            default_by_model(),
            "1 or more for each model",
            |map| map.values().all(|&n| n >= 1),
        )?,
        samples: raw.samples.within("samples", 5, "from 1 to 10,000", |n| (1..=10_000).contains(n))?,
        seed: raw.seed.or(42),
    })
}

/// GPT-2 has 1,024 positions for prompt and output together; the pocket models lose the thread sooner still.
fn default_by_model() -> BTreeMap<String, usize> {
    [("gpt2", 512), ("pocket-llama", 200), ("pocket-gpt2", 200)].map(|(name, n)| (name.to_string(), n)).into()
}
