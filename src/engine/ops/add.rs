//! Sums of activations: residuals, and biases over rows.

use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;
use voicetune_kernels::pointwise;

use crate::engine::cpu;
use crate::engine::gradient::Unsummed;

/// `into + x`. Takes `into` whole, because where the op is fused its memory becomes the result's: it must be a tensor of the caller's own making.
pub fn add(into: Tensor, x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(&into) {
        cuda::pointwise::add(&into, x)?;
        return Ok(into);
    }
    if !cpu::applies(&into) {
        return into + x;
    }
    let x = cpu::slice(x)?;
    cpu::in_place(&into, |into| pointwise::add_scaled(into, &x, 1.0))?;
    Ok(into)
}

/// Adds `bias` (C) to each row of `into` (N, C); takes it whole, as [`add`] does.
pub fn add_bias(into: Tensor, bias: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(&into) {
        cuda::pointwise::add_bias(&into, bias)?;
        return Ok(into);
    }
    if !cpu::applies(&into) {
        return into.broadcast_add(bias);
    }
    let bias = cpu::slice(bias)?;
    cpu::in_place(&into, |into| pointwise::add_bias(into, &bias))?;
    Ok(into)
}

/// Sums over the rows of `dy` (N, C), in f32: a bias's gradient (C). On a GPU it is whole once `unsummed` is added up.
pub fn column_sums(dy: &Tensor, unsummed: &mut Unsummed) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(dy) {
        return cuda::pointwise::column_sums(dy, &mut unsummed.shares);
    }
    let _ = unsummed; // a GPU's alone
    if !cpu::applies(dy) {
        return dy.to_dtype(candle_core::DType::F32)?.sum(0);
    }
    let mut sums = vec![0.0; dy.dim(1)?];
    pointwise::add_column_sums(&mut sums, &cpu::slice(dy)?);
    let c = sums.len();
    cpu::tensor(sums, c)
}
