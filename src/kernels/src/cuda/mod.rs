//! The fused operations on CUDA, over candle tensors: one op a file, its kernels in the `.cu` beside it.
//!
//! The contracts are those of the CPU's ops. Activations and weights are f32, bf16 or f16; statistics, losses, sums, gradients of
//! weights and moments are f32. Every kernel adds in a fixed order, so the same input gives the same bits. What an op takes by
//! value or says it changes must be of the caller's own making: its memory is written.

pub mod activation;
pub mod adamw;
pub mod attention;
#[cfg(hopper)]
mod attention_hopper;
pub mod beside;
pub mod cross_entropy;
mod cublaslt;
pub mod dropout;
pub mod embedding;
pub mod gemv;
pub mod graph;
pub mod host;
mod launch;
pub mod letter;
pub mod linear;
mod matmul;
pub mod memory;
pub mod norm;
pub mod normal;
pub mod pointwise;
pub mod precision;
pub mod product;
pub mod rope;
pub mod sample;
pub mod step;

use candle_core::{DType, Tensor};

/// Whether these kernels apply to a tensor: it lies on a CUDA device, in f32, bf16 or f16.
pub fn applies(t: &Tensor) -> bool {
    t.device().is_cuda() && matches!(t.dtype(), DType::F32 | DType::BF16 | DType::F16)
}
