//! Cross-entropy with its gradient in one pass; formula and contract in `voicetune_kernels::cross_entropy`.

use candle_core::{Result, Tensor};
use voicetune_kernels::cross_entropy as fused;
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;

use crate::engine::cpu;

/// A loss in nats that may still be under way on a device.
#[derive(Debug)]
pub enum Loss {
    Sum(f64),
    /// Of each row (N), in f32.
    #[cfg(feature = "cuda")]
    Sent(cuda::letter::Letter),
}

impl Loss {
    /// Summed over rows; waits until the device has made it.
    pub fn sum(&self) -> Result<f64> {
        match self {
            Loss::Sum(sum) => Ok(*sum),
            #[cfg(feature = "cuda")]
            Loss::Sent(rows) => Ok(rows.f32s()?.into_iter().map(f64::from).sum()),
        }
    }
}

/// logits (N, V) of the caller's own making -> the loss, and the gradient of `scale * loss` (N, V).
pub fn forward_backward(logits: Tensor, targets: &[u32], scale: f64) -> Result<(Loss, Tensor)> {
    #[cfg(feature = "cuda")]
    if cuda::applies(&logits) {
        let rows = cuda::cross_entropy::forward_backward(&logits, targets, scale)?;
        return Ok((Loss::Sent(cuda::letter::Letter::send(&rows)?), logits));
    }
    if !cpu::applies(&logits) {
        let (loss, gradient) = plain::forward_backward(&logits, targets, scale)?;
        return Ok((Loss::Sum(loss), gradient));
    }
    let mut loss = 0.0;
    let vocab = logits.dim(1)?;
    cpu::in_place(&logits, |logits| loss = fused::forward_backward(logits, vocab, targets, scale as f32))?;
    Ok((Loss::Sum(loss), logits))
}

/// `ln softmax(logits)[target]` of each row of logits (N, V).
pub fn logprobs(logits: &Tensor, targets: &[u32]) -> Result<Vec<f32>> {
    #[cfg(feature = "cuda")]
    if cuda::applies(logits) {
        return cuda::cross_entropy::logprobs(logits, targets)?.to_vec1();
    }
    if !cpu::applies(logits) {
        return plain::logprobs(logits, targets)?.to_vec1();
    }
    Ok(fused::logprobs(&cpu::slice(logits)?, logits.dim(1)?, targets))
}

/// The same in candle tensor ops.
pub mod plain {
    use candle_core::{D, DType, Result, Tensor};

    pub fn forward_backward(logits: &Tensor, targets: &[u32], scale: f64) -> Result<(f64, Tensor)> {
        let loss = logprobs(logits, targets)?.to_dtype(DType::F64)?.sum_all()?.neg()?.to_scalar::<f64>()?;
        let p = softmax(logits)?;
        let ids = Tensor::new(targets, logits.device())?.unsqueeze(1)?; // (N, 1)
        let ones = Tensor::full(-1.0f32, ids.shape(), logits.device())?;
        let gradient = (p.scatter_add(&ids, &ones, D::Minus1)? * scale)?;
        Ok((loss, gradient.to_dtype(logits.dtype())?))
    }

    /// (N), in f32.
    pub fn logprobs(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
        let logits = logits.to_dtype(DType::F32)?;
        let max = logits.max_keepdim(D::Minus1)?; // (N, 1)
        let shifted = logits.broadcast_sub(&max)?;
        let total = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?; // (N, 1)
        let ids = Tensor::new(targets, logits.device())?.unsqueeze(1)?; // (N, 1)
        (shifted.gather(&ids, D::Minus1)? - total)?.squeeze(1)
    }

    fn softmax(logits: &Tensor) -> Result<Tensor> {
        let logits = logits.to_dtype(DType::F32)?;
        let e = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?.exp()?;
        e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
    }
}
