//! The operations of a transformer, one a file, forward beside backward. Each has a plain twin in candle tensor ops, which runs
//! anywhere and is the oracle of the fused one; f32 tensors on the CPU take the fused kernels.

pub mod add;
pub mod attention;
pub mod cross_entropy;
pub mod dropout;
pub mod embedding;
pub mod gelu;
pub mod layer_norm;
pub mod product;
pub mod rms_norm;
pub mod rope;
pub mod runner_up;
pub mod swiglu;

#[cfg(test)]
mod tests;
