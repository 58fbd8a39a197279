//! RMSNorm; formula and contract in `voicetune_kernels::rms_norm`. Statistics in f32, whatever the activations are in.

use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;
use voicetune_kernels::rms_norm as fused;

use crate::engine::cpu;

/// x (N, C), w (C) -> y (N, C), r (N, 1) in f32.
pub fn forward(x: &Tensor, w: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
    #[cfg(feature = "cuda")]
    if cuda::applies(x) {
        return cuda::norm::forward(x, w, None, eps, 0);
    }
    if !cpu::applies(x) {
        return plain::forward(x, w, eps);
    }
    let (y, r) = fused::forward(&cpu::slice(x)?, &cpu::slice(w)?, eps as f32);
    let n = r.len();
    Ok((cpu::tensor(y, x.shape())?, cpu::tensor(r, (n, 1))?))
}

/// -> dx (N, C), and dw (C) in f32 if it is wanted.
pub fn backward(dy: &Tensor, x: &Tensor, r: &Tensor, w: &Tensor, want_dw: bool) -> Result<(Tensor, Option<Tensor>)> {
    #[cfg(feature = "cuda")]
    if cuda::applies(x) {
        let want = cuda::norm::Want { weights: want_dw, ..Default::default() };
        let mut shares = vec![];
        let gradients = cuda::norm::backward(dy, x, r, (w, None), None, want, &mut shares)?;
        cuda::pointwise::add_up(&shares)?;
        return Ok((gradients.dx, gradients.dw));
    }
    if !cpu::applies(x) {
        return plain::backward(dy, x, r, w, want_dw);
    }
    let c = w.dim(0)?;
    let mut dw = want_dw.then(|| vec![0.0; c]);
    let dx = fused::backward(&cpu::slice(dy)?, &cpu::slice(x)?, &cpu::slice(r)?, &cpu::slice(w)?, dw.as_deref_mut());
    Ok((cpu::tensor(dx, x.shape())?, dw.map(|dw| cpu::tensor(dw, c)).transpose()?))
}

/// The same in candle tensor ops.
pub mod plain {
    use candle_core::{D, DType, Result, Tensor};

    pub fn forward(x: &Tensor, w: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
        let x32 = x.to_dtype(DType::F32)?;
        let r = (x32.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?.recip()?; // (N, 1)
        let y = x32.broadcast_mul(&r)?.broadcast_mul(&w.to_dtype(DType::F32)?)?;
        Ok((y.to_dtype(x.dtype())?, r))
    }

    pub fn backward(dy: &Tensor, x: &Tensor, r: &Tensor, w: &Tensor, want_dw: bool) -> Result<(Tensor, Option<Tensor>)> {
        let dy = dy.to_dtype(DType::F32)?;
        let hat = x.to_dtype(DType::F32)?.broadcast_mul(r)?; // (N, C)
        let g = dy.broadcast_mul(&w.to_dtype(DType::F32)?)?; // (N, C)
        let along = (&g * &hat)?.mean_keepdim(D::Minus1)?; // (N, 1)
        let dx = (g - hat.broadcast_mul(&along)?)?.broadcast_mul(r)?;
        let dw = want_dw.then(|| (dy * hat)?.sum(0)).transpose()?;
        Ok((dx.to_dtype(x.dtype())?, dw))
    }
}
