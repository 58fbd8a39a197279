//! Dropout on an adapter's input; contract in `voicetune_kernels::dropout`. The mask is a function of the key alone.

use candle_core::{DType, Device, Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;
use voicetune_kernels::dropout as fused;

use crate::engine::cpu;

/// x with each element dropped with probability `p`. Its own backward: apply it to dy with the same key.
///
/// Where no kernel is fused the same mask is made on the host and copied over: exact, and slow.
pub fn apply(x: &Tensor, p: f64, key: u64) -> Result<Tensor> {
    if p == 0.0 {
        return Ok(x.clone());
    }
    if cpu::applies(x) {
        return cpu::tensor(fused::apply(&cpu::slice(x)?, p, key), x.shape());
    }
    #[cfg(feature = "cuda")]
    if cuda::applies(x) {
        return cuda::dropout::apply(x, p, key);
    }
    plain(x, p, key)
}

/// `into + apply(x)`; takes `into` whole, as [`super::add::add`] does.
pub fn add(into: Tensor, x: &Tensor, p: f64, key: u64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(x) {
        cuda::dropout::add(&into, x, p, key)?;
        return Ok(into);
    }
    super::add::add(into, &apply(x, p, key)?)
}

/// The same in candle tensor ops.
pub(super) fn plain(x: &Tensor, p: f64, key: u64) -> Result<Tensor> {
    let mask = fused::apply(&vec![1.0; x.elem_count()], p, key);
    let mask = Tensor::from_vec(mask, x.shape(), &Device::Cpu)?.to_device(x.device())?;
    (x.to_dtype(DType::F32)? * mask)?.to_dtype(x.dtype())
}
