//! The training engine: weights, explicit forward and backward, optimiser, sampler. Knows tensors and token ids, never text.

mod cpu;
pub mod ops;
