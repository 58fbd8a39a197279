//! Cross-entropy of logits against target ids, with its gradient in place of the logits.

use candle_core::{DType, Result, Tensor, bail};

use super::launch::{Grid, Image, address, empty, first, image, launch, suffix};

const IMAGE: Image = image!("cross_entropy");
const THREADS: usize = 1024;

/// Turns `logits` (N, V), whose rows may lie apart, into the gradient of `scale * loss`; returns the loss of each row (N) in f32, not scaled.
pub fn forward_backward(logits: &Tensor, targets: &[u32], scale: f64) -> Result<Tensor> {
    let (n, v, targets) = check(logits, targets)?;
    let stride = logits.stride()[0];
    let loss = empty(n, DType::F32, logits.device())?;
    let args = [first(logits)?, address(&targets)?, address(&loss)?, v.into(), stride.into(), (scale as f32).into()];
    // SAFETY: n rows of v elements, a block each; the targets are below v.
    unsafe { launch(logits.device(), &IMAGE, &format!("cross_entropy{}", suffix(logits.dtype(), 1)), Grid::rows(n, THREADS), &args)? };
    Ok(loss)
}

/// `ln softmax(logits)[target]` of each row of logits (N, V): (N) in f32.
pub fn logprobs(logits: &Tensor, targets: &[u32]) -> Result<Tensor> {
    let (n, v, targets) = check(logits, targets)?;
    let stride = logits.stride()[0];
    let out = empty(n, DType::F32, logits.device())?;
    let args = [first(logits)?, address(&targets)?, address(&out)?, v.into(), stride.into()];
    // SAFETY: as above.
    unsafe { launch(logits.device(), &IMAGE, &format!("logprobs{}", suffix(logits.dtype(), 1)), Grid::rows(n, THREADS), &args)? };
    Ok(out)
}

fn check(logits: &Tensor, targets: &[u32]) -> Result<(usize, usize, Tensor)> {
    let (n, v) = logits.dims2()?;
    if logits.stride()[1] != 1 || targets.len() != n || targets.iter().any(|&target| target as usize >= v) {
        bail!("the targets do not fit logits of {:?}", logits.shape());
    }
    Ok((n, v, Tensor::new(targets, logits.device())?))
}
