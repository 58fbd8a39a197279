//! Embedding rows: the forward is a gather, the backward a scatter-add in the order of the positions.

use candle_core::{DType, Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;

use crate::engine::cpu;

/// table (V, C), ids (N) -> (N, C).
pub fn forward(table: &Tensor, ids: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(table) {
        return cuda::embedding::rows(cuda::host::Table::Device(table), ids);
    }
    table.index_select(ids, 0)
}

/// Adds dy (N, C) to the rows `ids` of `grad` (V, C, f32): `grad[ids[i]] += dy[i]`. Returns the new gradient.
pub fn backward(grad: Tensor, ids: &[u32], dy: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(dy) {
        cuda::embedding::backward(&grad, ids, dy)?;
        return Ok(grad);
    }
    if !cpu::applies(dy) {
        let ids = Tensor::new(ids, dy.device())?;
        return grad.index_add(&ids, &dy.to_dtype(DType::F32)?, 0);
    }
    let (dy, c) = (cpu::slice(dy)?, grad.dim(1)?);
    cpu::in_place(&grad, |grad| {
        for (&id, dy) in ids.iter().zip(dy.chunks_exact(c)) {
            let row = &mut grad[id as usize * c..][..c];
            row.iter_mut().zip(dy).for_each(|(g, d)| *g += d);
        }
    })?;
    Ok(grad)
}
