//! What the runs were made from, where they stand, and how their losses went.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::Sources;
use crate::config::{Config, Method};
use crate::run::folder::Run;
use crate::run::log::History;
use crate::run::summary::{State, summarise};

/// How much of the smoothed loss is the loss before.
const SMOOTHING: f64 = 0.9;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPart {
    /// Its folder's name.
    pub run: String,
    pub state: State,
    pub created: String,
    pub version: String,
    pub device: String,
    pub model: String,
    pub revision: String,
    /// The hub's; null for pocket models and local folders.
    pub commit: Option<String>,
    /// "a base model", "an instruct model".
    pub tuning: &'static str,
    pub method: Value,
    pub format: Value,
    pub precision: Value,
    pub seed: u64,
    pub adapter_init: Option<String>,
    /// Whether it was confined to some pairs by name.
    pub confined: bool,
    pub train: usize,
    pub validation: Vec<String>,
    /// By tier, `tier1` ...: pairs trained on, pairs held out.
    pub tiers: BTreeMap<String, [usize; 2]>,
    pub step: usize,
    pub steps: usize,
    /// Of training.
    pub seconds: f64,
    /// The step of the checkpoint that is its result.
    pub result: Option<usize>,
    pub error: Option<String>,
    pub curve: Curve,
}

/// The losses by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Curve {
    /// Of each optimiser step.
    pub training: Vec<Point>,
    /// The same as an exponential moving average (0.9), corrected for its beginning.
    pub smoothed: Vec<Point>,
    /// Step 0 is the model before training.
    pub validation: Vec<Point>,
    /// The lowest validation loss after training began.
    pub best: Option<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    pub step: usize,
    pub loss: f64,
}

/// A key of the config, and its value in each run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    pub key: String,
    pub values: Vec<Value>,
}

pub(super) fn runs(sources: &Sources, missing: &mut Vec<String>) -> Result<Vec<RunPart>> {
    sources.runs.iter().map(|run| part(run, missing)).collect()
}

fn part(run: &Run, missing: &mut Vec<String>) -> Result<RunPart> {
    let name = run.folder_name();
    let history = History::read(&run.folder)?;
    let summary = summarise(run, &history, None);
    let at = format!("{} of {} steps", summary.step, summary.steps);
    match summary.state {
        State::Finished => {}
        State::New => missing.push(format!("{name}: no step was taken yet.")),
        State::Running => missing.push(format!("{name} is still running: {at} as of this report.")),
        State::Stopped | State::Interrupted => {
            missing.push(format!("{name} was {} after {at}; `voicetune train --resume {name}` goes on.", summary.state.word()));
        }
        State::Failed => missing.push(format!("{name} failed after {at}.")),
    }
    if !history.problems.is_empty() {
        missing.push(format!("{name}: {} lines of events.jsonl cannot be read and are left out.", history.problems.len()));
    }
    let manifest = &run.manifest;
    let mut tiers: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for (side, ids) in [&manifest.data.train, &manifest.data.validation].into_iter().enumerate() {
        for id in ids {
            tiers.entry(id.split('/').next().unwrap_or_default().to_owned()).or_default()[side] += 1;
        }
    }
    let config = &manifest.config;
    let word = |value: serde_json::Result<Value>| value.context("a manifest's config cannot be shown");
    Ok(RunPart {
        run: name,
        state: summary.state,
        created: manifest.created.clone(),
        version: manifest.version.clone(),
        device: manifest.device.clone(),
        model: manifest.model.name.clone(),
        revision: manifest.model.revision.clone(),
        commit: manifest.model.commit.clone(),
        tuning: manifest.model.tuning.words(),
        method: word(serde_json::to_value(config.method))?,
        format: word(serde_json::to_value(config.format))?,
        precision: word(serde_json::to_value(config.base_precision))?,
        seed: manifest.seed,
        adapter_init: manifest.adapter_init.clone(),
        confined: manifest.only_pairs.is_some(),
        train: manifest.data.train.len(),
        validation: manifest.data.validation.clone(),
        tiers,
        step: summary.step,
        steps: summary.steps,
        seconds: summary.seconds,
        result: history.saved.iter().rev().find(|saved| saved.result).map(|saved| saved.step),
        error: history.ended.as_ref().and_then(|ended| ended.error.clone()),
        curve: curve(&history),
    })
}

fn curve(history: &History) -> Curve {
    let training: Vec<Point> = history.steps.iter().map(|step| Point { step: step.step, loss: step.loss }).collect();
    let validation: Vec<Point> = history.evals.iter().map(|eval| Point { step: eval.step, loss: eval.loss }).collect();
    let best = validation.iter().filter(|point| point.step > 0).min_by(|a, b| a.loss.total_cmp(&b.loss)).copied();
    Curve { smoothed: smoothed(&training), training, validation, best }
}

/// Divided by the sum of its weights, so that the first losses are not drawn towards 0.
fn smoothed(points: &[Point]) -> Vec<Point> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let next = |point: &Point| {
        sum = SMOOTHING * sum + (1.0 - SMOOTHING) * point.loss;
        weight = SMOOTHING * weight + (1.0 - SMOOTHING);
        Point { step: point.step, loss: sum / weight }
    };
    points.iter().map(next).collect()
}

/// What every run's part says of its config anyway.
const SHOWN: [&str; 7] = ["name", "model", "revision", "format", "method", "base_precision", "seed"];

/// The keys of the configs that do not have one value in all runs, apart from those that the runs' parts have. Without an adapter, `lora` is null.
pub(super) fn differing(runs: &[Run]) -> Vec<Setting> {
    let flat: Vec<BTreeMap<String, Value>> = runs.iter().map(|run| flat(&run.manifest.config)).collect();
    let keys: std::collections::BTreeSet<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    let values = |key: &String| flat.iter().map(|map| map.get(key).cloned().unwrap_or(Value::Null)).collect::<Vec<_>>();
    let all = keys.into_iter().filter(|key| !SHOWN.contains(&key.as_str())).map(|key| Setting { key: key.clone(), values: values(key) });
    all.filter(|setting| setting.values.windows(2).any(|two| two[0] != two[1])).collect()
}

/// `{"lora": {"rank": 16}}` as `lora.rank` -> 16.
fn flat(config: &Config) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    let Ok(Value::Object(map)) = serde_json::to_value(config) else { return flat };
    for (key, value) in map {
        match value {
            Value::Object(_) if key == "lora" && config.method == Method::Full => {}
            Value::Object(inner) => flat.extend(inner.into_iter().map(|(below, value)| (format!("{key}.{below}"), value))),
            value => drop(flat.insert(key, value)),
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_begins_at_the_first_loss() {
        let points = |losses: &[f64]| losses.iter().enumerate().map(|(i, &loss)| Point { step: i + 1, loss }).collect::<Vec<_>>();
        let check = |losses: &[f64], expected: &[f64]| {
            for (found, expected) in smoothed(&points(losses)).iter().zip(expected) {
                assert!((found.loss - expected).abs() < 1e-12, "{losses:?}: {found:?}");
            }
        };
        check(&[3.0, 3.0, 3.0], &[3.0, 3.0, 3.0]);
        check(&[4.0, 2.0], &[4.0, (0.09 * 4.0 + 0.1 * 2.0) / 0.19]);
        assert!(smoothed(&[]).is_empty());
    }
}
