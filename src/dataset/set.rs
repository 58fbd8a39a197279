//! The data set of a run: the examples of all ready pairs, what was left out and why, the order of each epoch, and a hash.

use anyhow::{Context, Result, bail};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::batch::{Example, Part};
use super::encode::{Cut, EncodeProblem, Encoder, Reason};
use super::model_text::ModelText;
use super::split::split;
use crate::config::{Config, Templates};
use crate::pairs::Pair;

/// Everything a run trains and evaluates on. The same pairs, config and tokenizer give the same data set, whatever order the
/// pairs were read in.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// In the order of pair ids; [`Dataset::order`] shuffles.
    pub train: Vec<Example>,
    pub validation: Vec<Example>,
    /// Ready pairs without an example.
    pub left: Vec<Left>,
    /// One for each ready pair, in the order of pair ids.
    pub budgets: Vec<Budget>,
    /// The most tokens an example may have: the config's `max_tokens`, or the model's positions where those are fewer.
    pub limit: usize,
    seed: u64,
}

/// A ready pair that this model is not trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub pair: String,
    pub split: Part,
    pub reason: Reason,
    /// Tokens of the whole pair; 0 where it was not encoded at all.
    pub tokens: usize,
    pub limit: usize,
}

/// How many tokens a pair takes, of how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub pair: String,
    pub split: Part,
    /// Tokens of the whole pair, before anything is cut.
    pub tokens: usize,
    pub limit: usize,
    pub cut: Option<Cut>,
}

impl Dataset {
    /// Encodes all ready pairs. Pairs that do not fit are cut or left out as the config says, and listed; a leaking split, a
    /// tokenizer without the template's tokens, or no ready pair at all is an error.
    pub fn build(pairs: &[Pair], config: &Config, templates: &Templates, model: &ModelText) -> Result<Self> {
        let encoder = Encoder::new(&model.tokenizer, config.format, templates)?;
        let limit = config.max_tokens.min(model.context);
        let parts = split(pairs, config.validation.fraction, config.seed)?;
        if parts.is_empty() {
            bail!("no pair is ready: write pairs into pairs/tier1 to pairs/tier4 and set `status: ready` in those to train on");
        }
        let mut set = Dataset { train: vec![], validation: vec![], left: vec![], budgets: vec![], limit, seed: config.seed };
        for (pair, split) in parts {
            let id = pair.id.clone();
            let tokens = match encoder.pair(pair, limit, config.overlong) {
                Ok(encoded) => {
                    set.budgets.push(Budget { pair: id.clone(), split, tokens: encoded.tokens, limit, cut: encoded.cut });
                    let example = Example { pair: id, split, ids: encoded.ids, mask: encoded.mask, cut: encoded.cut.is_some() };
                    match split {
                        Part::Train => set.train.push(example),
                        Part::Validation => set.validation.push(example),
                    }
                    continue;
                }
                Err(EncodeProblem::LeftOut { reason, tokens }) => {
                    set.left.push(Left { pair: id.clone(), split, reason, tokens, limit });
                    tokens
                }
                Err(EncodeProblem::Failed(error)) => return Err(error.context(format!("pair {id}"))),
            };
            set.budgets.push(Budget { pair: id, split, tokens, limit, cut: None });
        }
        Ok(set)
    }

    /// Train examples, then validation examples.
    pub fn examples(&self) -> impl Iterator<Item = &Example> {
        self.train.iter().chain(&self.validation)
    }

    /// The contents of a run's `dataset.jsonl`: one example a line.
    pub fn jsonl(&self) -> Result<String> {
        self.examples().map(|e| Ok(serde_json::to_string(e).with_context(|| format!("pair {}", e.pair))? + "\n")).collect()
    }

    /// SHA-256 of [`Dataset::jsonl`], in hexadecimal: what `sha256sum dataset.jsonl` prints.
    pub fn hash(&self) -> Result<String> {
        Ok(hex::encode(Sha256::digest(self.jsonl()?)))
    }

    /// The order in which epoch `epoch` (from 0) goes through the train examples: indices into `train`, shuffled anew each epoch,
    /// and always the same for one seed.
    pub fn order(&self, epoch: usize) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch as u64 + 1); // stream 0 is the split's
        let mut order: Vec<usize> = (0..self.train.len()).collect();
        order.shuffle(&mut rng);
        order
    }

    /// Optimiser steps in an epoch; the last one may see fewer examples.
    pub fn steps_per_epoch(&self, batch: usize, accumulate: usize) -> usize {
        self.train.len().div_ceil((batch * accumulate).max(1))
    }
}
