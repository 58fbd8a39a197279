//! `manifest.yaml`: what a run was made from. Written once, never changed.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::yaml::{self, Fault};
use crate::config::{Config, Templates, bounded, check};
use crate::hub::{ModelFiles, Tuning};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The folder's name without its date and number.
    pub name: String,
    /// RFC 3339, UTC.
    pub created: String,
    /// voicetune's.
    pub version: String,
    pub device: String,
    pub model: Model,
    /// The PEFT folder training started from, where it did not start from a fresh adapter.
    pub adapter_init: Option<String>,
    /// As resolved: every key has its value.
    pub config: Config,
    pub seed: u64,
    /// The pairs the run was confined to (`--pairs`); null where it took all that are ready.
    pub only_pairs: Option<Vec<String>>,
    /// With the date that the chat template was given.
    pub templates: Templates,
    pub data: Data,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub name: String,
    pub revision: String,
    /// The hub's commit; null for pocket models and local folders.
    pub commit: Option<String>,
    /// base, instruct or unknown.
    pub tuning: Tuning,
}

/// The data set: `dataset.jsonl` in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// SHA-256 of `dataset.jsonl`, in hexadecimal.
    pub hash: String,
    /// Pair ids.
    pub train: Vec<String>,
    pub validation: Vec<String>,
}

impl Model {
    pub fn of(files: &ModelFiles, config: &Config) -> Model {
        Model { name: files.name.clone(), revision: config.revision.clone(), commit: files.commit.clone(), tuning: files.tuning }
    }
}

impl Manifest {
    pub fn read(run: &Path) -> Result<Manifest> {
        let path = run.join("manifest.yaml");
        let text = bounded::read_text(&path, bounded::PROSE).with_context(|| format!("{}: cannot be read", path.display()))?;
        Manifest::parse(&text).with_context(|| format!("{}: not the manifest of a run", path.display()))
    }

    /// Reads the text of a `manifest.yaml`.
    pub fn parse(text: &str) -> Result<Manifest> {
        let manifest: Manifest = yaml::parse(text).map_err(in_words)?;
        check(&manifest.config).map_err(in_words)?;
        Ok(manifest)
    }

    pub(super) fn to_yaml(&self) -> Result<String> {
        serde_yaml::to_string(self).context("the manifest cannot be written as YAML")
    }
}

fn in_words(fault: Fault) -> anyhow::Error {
    match fault.line {
        Some(line) => anyhow!("line {line}: {}", fault.message),
        None => anyhow!(fault.message),
    }
}

/// SHA-256 of a config, in hexadecimal: the same for the same values, however its file is laid out.
pub fn config_hash(config: &Config) -> Result<String> {
    Ok(hex::encode(Sha256::digest(serde_json::to_vec(&keys(config)?).context("the config cannot be hashed")?)))
}

/// What is different in the second config, a line a key: `epochs: 3 -> 5`.
pub fn config_changes(was: &Config, is: &Config) -> Result<Vec<String>> {
    let (was, is) = (keys(was)?, keys(is)?);
    let differing = was.iter().filter(|(key, value)| is.get(*key) != Some(value));
    Ok(differing.map(|(key, value)| format!("{key}: {value} -> {}", is.get(key).unwrap_or(&serde_json::Value::Null))).collect())
}

/// The keys that decide what is trained. How many checkpoints stay on the disk does not, and what is computed again gives the same
/// numbers: a run that ran out of memory can go on with `recompute: block` or another `memory_limit`.
fn keys(config: &Config) -> Result<serde_json::Map<String, serde_json::Value>> {
    match serde_json::to_value(config).context("the config cannot be compared")? {
        serde_json::Value::Object(mut map) => {
            for key in ["keep_checkpoints", "recompute", "memory_limit"] {
                map.shift_remove(key);
            }
            Ok(map)
        }
        other => anyhow::bail!("a config is a map, not {other}"),
    }
}

#[cfg(test)]
const SAMPLE: &str = include_str!("../../tests/fixtures/run/manifest.yaml");

#[cfg(test)]
impl Manifest {
    /// Of a small run, for tests to change; its file is older than some keys.
    pub(crate) fn sample() -> Manifest {
        Manifest::parse(SAMPLE).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MemoryLimit, Recompute, parse};

    #[test]
    fn a_run_that_is_older_than_a_key_is_read_and_goes_on() {
        let config = Manifest::sample().config;
        assert_eq!(config, parse(Path::new("c.yaml"), "model: pocket:llama\nformat: plain\nmethod: lora\n").unwrap());
        // As its checkpoints have it.
        assert_eq!(config_hash(&config).unwrap(), "7f21de383785a313cb0559dc4987601f2405a9f5b3567f117ae0982befa32145");
    }

    #[test]
    fn what_does_not_decide_what_is_trained_may_change() {
        let was = Manifest::sample().config;
        let check = |is: Config, expected: &[&str]| {
            assert_eq!(config_changes(&was, &is).unwrap(), expected);
            assert_eq!(config_hash(&was).unwrap() == config_hash(&is).unwrap(), expected.is_empty());
        };
        check(Config { memory_limit: MemoryLimit::Gib(26.0), ..was.clone() }, &[]);
        check(Config { recompute: Recompute::Block, keep_checkpoints: 5, ..was.clone() }, &[]);
        check(Config { epochs: 5, memory_limit: MemoryLimit::Gib(26.0), ..was.clone() }, &["epochs: 3 -> 5"]);
    }

    #[test]
    fn a_manifest_outside_the_limits_of_a_config_is_none() {
        let error = Manifest::parse(&SAMPLE.replace("  seed: 42\n", "  memory_limit: 0\n  seed: 42\n")).unwrap_err().to_string();
        assert!(error.contains("`memory_limit: 0`: expected `none` or a number of GiB above 0"), "{error}");
        let error = Manifest::parse(&SAMPLE.replace("recompute: auto\n", "recompute: block\n  memory_limit: 8\n")).unwrap_err().to_string();
        assert!(error.contains("`memory_limit` is kept by `recompute: auto` alone"), "{error}");
    }
}
