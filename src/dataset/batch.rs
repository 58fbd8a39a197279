//! Examples and the packed batches that the engine trains on. Plain data: no tensor, no text.

use serde::{Deserialize, Serialize};

/// One encoded pair. `mask[i]` is 1 where token `i` is trained on (it is a label), 0 where it is only context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    pub pair: String,
    pub split: Part,
    pub ids: Vec<u32>,
    pub mask: Vec<u8>,
    /// Whether text fell off because the pair was longer than the budget.
    pub cut: bool,
}

/// The part of the data an example belongs to, once `auto` has been decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Train,
    Validation,
}

/// Examples laid end to end without padding: position `i` predicts `targets[i]`, which counts where `weights[i]` is 1.
/// Attention never crosses from one example into the next: `lengths` says where each ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// (N)
    pub tokens: Vec<u32>,
    /// (N): the token after each.
    pub targets: Vec<u32>,
    /// (N)
    pub weights: Vec<u8>,
    /// Tokens of each example; they add up to N.
    pub lengths: Vec<usize>,
}

impl Batch {
    /// Packs examples, each shifted by one: inputs are `ids[..n-1]`, targets `ids[1..]`, weights `mask[1..]`.
    pub fn pack<'a>(examples: impl IntoIterator<Item = &'a Example>) -> Self {
        let mut batch = Batch { tokens: vec![], targets: vec![], weights: vec![], lengths: vec![] };
        for example in examples {
            assert_eq!(example.ids.len(), example.mask.len(), "ids and mask of {} differ in length", example.pair);
            if example.ids.len() < 2 {
                continue; // nothing to predict
            }
            let n = example.ids.len() - 1;
            batch.tokens.extend_from_slice(&example.ids[..n]);
            batch.targets.extend_from_slice(&example.ids[1..]);
            batch.weights.extend_from_slice(&example.mask[1..]);
            batch.lengths.push(n);
        }
        batch
    }

    /// How many positions carry loss.
    pub fn trained_tokens(&self) -> usize {
        self.weights.iter().filter(|&&w| w != 0).count()
    }
}
