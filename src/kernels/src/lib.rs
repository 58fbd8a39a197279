//! The fused operations of the engine on the CPU, over f32 slices: one op a file, forward beside backward.
//!
//! Knows nothing of tensors, models or text; `cuda`, behind the feature of that name, has the same ops over tensors. Every op is deterministic: the order in which it adds does not depend on how many
//! threads run it, so the same input gives the same bits. Matrices are row-major unless a [`gemm::Mat`] says otherwise.

pub mod adamw;
pub mod attention;
pub mod cross_entropy;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod dropout;
pub mod exp;
pub mod gelu;
pub mod gemm;
pub mod gemv;
pub mod layer_norm;
pub mod lines;
pub mod pointwise;
pub mod rms_norm;
#[cfg(any(test, feature = "cuda"))]
mod roofline;
pub mod rope;
pub mod swiglu;

/// Rows a task: enough work to be worth a task, few enough that two threads share a short sequence.
pub(crate) const ROWS: usize = 32;
