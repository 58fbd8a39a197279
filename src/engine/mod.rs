//! The training engine: weights, explicit forward and backward, optimiser, sampler. Knows tensors and token ids, never text.
//!
//! There is no autograd here: a model is a list of blocks with `forward` and `backward`, ops are pairs of functions.
//! candle is the tensor, memory and matrix-product layer. `docs/engine.md` has the mathematics and why.

mod adapter;
pub mod beside;
mod block;
mod cache;
mod cpu;
mod decode;
pub mod device;
mod gpt2;
pub mod gradient;
mod host_table;
pub mod layout;
mod llama;
mod loss_scale;
pub mod memory;
mod model;
mod norm;
pub mod ops;
pub mod optim;
mod params;
mod pass;
pub mod pending;
mod projection;
pub mod sample;
mod sampler;
pub mod schedule;
pub mod spec;
pub mod weights;
mod wide;

pub use adapter::AdapterConfig;
pub use model::{Model, TokenScore};

use crate::config::Recompute;

/// What identifies a micro-step. Dropout is a pure function of it, so that resuming and recomputing repeat it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepKey {
    pub seed: u64,
    pub step: u64,
    pub micro: u32,
    /// Micro-steps of this optimiser step.
    pub micro_steps: u32,
    pub recompute: Recompute,
    /// The most that tensors on a GPU may take, in bytes; without it 80 % of what is free.
    pub memory: Option<u64>,
}

/// A loss summed over trained tokens, in nats.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LossSum {
    pub sum: f64,
    pub tokens: usize,
}

impl LossSum {
    /// Per token; NaN without any.
    pub fn mean(&self) -> f64 {
        self.sum / self.tokens as f64
    }
}

impl std::ops::AddAssign for LossSum {
    fn add_assign(&mut self, other: Self) {
        self.sum += other.sum;
        self.tokens += other.tokens;
    }
}

/// Which of a fine-tuned model's two voices: `Base` has the adapter switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arm {
    Base,
    Tuned,
}

impl Arm {
    /// The first of `rows` rows that the adapter serves.
    fn tuned_from(self, rows: usize) -> usize {
        match self {
            Arm::Base => rows,
            Arm::Tuned => 0,
        }
    }
}
