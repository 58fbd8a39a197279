//! LayerNorm; formula and contract in `voicetune_kernels::layer_norm`. Statistics in f32, whatever the activations are in.

use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;
use voicetune_kernels::layer_norm as fused;

use crate::engine::cpu;

/// Gradients of the weight and the bias (C each), in f32.
pub type WeightGradients = (Tensor, Tensor);

/// x (N, C), w (C), b (C) -> y (N, C), and mean and r side by side (N, 2) in f32.
pub fn forward(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
    #[cfg(feature = "cuda")]
    if cuda::applies(x) {
        return cuda::norm::forward(x, w, Some(b), eps, 0);
    }
    if !cpu::applies(x) {
        return plain::forward(x, w, b, eps);
    }
    let (y, rows) = fused::forward(&cpu::slice(x)?, &cpu::slice(w)?, &cpu::slice(b)?, eps as f32);
    let n = rows.len();
    let saved = rows.iter().flat_map(|row| [row.mean, row.r]).collect();
    Ok((cpu::tensor(y, x.shape())?, cpu::tensor(saved, (n, 2))?))
}

/// -> dx (N, C), and the gradients of weight and bias if they are wanted.
pub fn backward(dy: &Tensor, x: &Tensor, saved: &Tensor, w: &Tensor, want: bool) -> Result<(Tensor, Option<WeightGradients>)> {
    #[cfg(feature = "cuda")]
    if cuda::applies(x) {
        // The bias only matters to what forward gave.
        let want = cuda::norm::Want { weights: want, ..Default::default() };
        let mut shares = vec![];
        let gradients = cuda::norm::backward(dy, x, saved, (w, Some(w)), None, want, &mut shares)?;
        cuda::pointwise::add_up(&shares)?;
        return Ok((gradients.dx, gradients.dw.zip(gradients.db)));
    }
    if !cpu::applies(x) {
        return plain::backward(dy, x, saved, w, want);
    }
    let rows: Vec<fused::Row> = cpu::slice(saved)?.chunks_exact(2).map(|row| fused::Row { mean: row[0], r: row[1] }).collect();
    let c = w.dim(0)?;
    let (mut dw, mut db) = (vec![0.0; c], vec![0.0; c]);
    let gradients = want.then_some((&mut dw[..], &mut db[..]));
    let dx = fused::backward(&cpu::slice(dy)?, &cpu::slice(x)?, &rows, &cpu::slice(w)?, gradients);
    let gradients = if want { Some((cpu::tensor(dw, c)?, cpu::tensor(db, c)?)) } else { None };
    Ok((cpu::tensor(dx, x.shape())?, gradients))
}

/// The same in candle tensor ops.
pub mod plain {
    use candle_core::{D, DType, Result, Tensor};

    use super::WeightGradients;

    pub fn forward(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
        let x32 = x.to_dtype(DType::F32)?;
        let mean = x32.mean_keepdim(D::Minus1)?; // (N, 1)
        let centred = x32.broadcast_sub(&mean)?;
        let r = (centred.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?.recip()?; // (N, 1)
        let hat = centred.broadcast_mul(&r)?;
        let y = hat.broadcast_mul(&w.to_dtype(DType::F32)?)?.broadcast_add(&b.to_dtype(DType::F32)?)?;
        Ok((y.to_dtype(x.dtype())?, Tensor::cat(&[mean, r], 1)?))
    }

    pub fn backward(dy: &Tensor, x: &Tensor, saved: &Tensor, w: &Tensor, want: bool) -> Result<(Tensor, Option<WeightGradients>)> {
        let dy = dy.to_dtype(DType::F32)?;
        let (mean, r) = (saved.narrow(1, 0, 1)?, saved.narrow(1, 1, 1)?);
        let hat = x.to_dtype(DType::F32)?.broadcast_sub(&mean)?.broadcast_mul(&r)?; // (N, C)
        let g = dy.broadcast_mul(&w.to_dtype(DType::F32)?)?; // (N, C)
        let along = (&g * &hat)?.mean_keepdim(D::Minus1)?; // (N, 1)
        let dx = g.broadcast_sub(&g.mean_keepdim(D::Minus1)?)?;
        let dx = (dx - hat.broadcast_mul(&along)?)?.broadcast_mul(&r)?;
        let gradients = if want { Some(((&dy * &hat)?.sum(0)?, dy.sum(0)?)) } else { None };
        Ok((dx.to_dtype(x.dtype())?, gradients))
    }
}
