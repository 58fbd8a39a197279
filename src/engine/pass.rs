//! What one walk through the model is for: which sequences lie in it, which rows the adapter serves, and whether it trains.

use super::StepKey;

/// Sequences laid end to end, or one new token for each row of a batch that is being decoded.
#[derive(Debug, Clone)]
pub struct Pass {
    /// Tokens of each sequence; they add up to N.
    pub lengths: Vec<usize>,
    /// (N)
    pub positions: Vec<u32>,
    /// The adapter applies to rows from this one on: 0 for all, N or more for none.
    pub tuned_from: usize,
    /// The key of this micro-step's dropout; `None` outside training.
    pub dropout: Option<u64>,
    decoding: bool,
}

impl Pass {
    /// Whole sequences, each from position 0.
    pub fn sequences(lengths: &[usize], tuned_from: usize, step: Option<StepKey>) -> Self {
        let positions = lengths.iter().flat_map(|&length| 0..length as u32).collect();
        let dropout = step.map(|step| voicetune_kernels::dropout::key(&[step.seed, step.step, u64::from(step.micro)]));
        Pass { lengths: lengths.to_vec(), positions, tuned_from, dropout, decoding: false }
    }

    /// One token for each of `rows` rows, all at `position`.
    pub fn decode(rows: usize, position: usize, tuned_from: usize) -> Self {
        Pass { lengths: vec![1; rows], positions: vec![position as u32; rows], tuned_from, dropout: None, decoding: true }
    }

    pub fn decoding(&self) -> bool {
        self.decoding
    }
}
