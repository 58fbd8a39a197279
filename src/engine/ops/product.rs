//! Matrix products that add to what is there: adapters and weight gradients need no extra pass over memory.

use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;
use voicetune_kernels::gemm::{Into, product};
use voicetune_kernels::gemv;

use crate::engine::cpu;

/// `into + scale * a b` for into (M, N), a (M, K), b (K, N); takes `into` whole, whose memory becomes the result's where the op is fused.
pub fn add_product(into: Tensor, a: &Tensor, b: &Tensor, scale: f64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(&into) {
        cuda::product::product(&into, 0, a, b, scale as f32, 1.0)?;
        return Ok(into);
    }
    if !cpu::applies(&into) {
        let product = (for_blas(a)?.matmul(&for_blas(b)?)?.to_dtype(into.dtype())? * scale)?;
        return into + product;
    }
    let (a, b, stride) = (cpu::matrix(a)?, cpu::matrix(b)?, into.dim(1)?);
    cpu::in_place(&into, |into| product(into, stride, a.mat(), b.mat(), scale as f32, Into::Add, true))?;
    Ok(into)
}

/// A product that is added to some columns of a wider matrix, from some row on.
#[derive(Debug)]
pub struct Columns {
    /// The first column.
    pub at: usize,
    /// (rows, K)
    pub a: Tensor,
    /// (K, width)
    pub b: Tensor,
}

/// Adds `scale * a b` of each part to its columns of `into` (N, C), in the last `rows` rows. The parts' columns must rise and not
/// overlap. With `row_by_row` the CPU takes each row as a product of its own, so that its rounding does not depend on the others.
pub fn add_columns(into: Tensor, parts: &[Columns], rows: usize, scale: f64, row_by_row: bool) -> Result<Tensor> {
    let (n, width) = into.dims2()?;
    if rows == 0 || parts.is_empty() {
        return Ok(into);
    }
    #[cfg(feature = "cuda")]
    if cuda::applies(&into) {
        let last = into.narrow(0, n - rows, rows)?;
        for part in parts {
            cuda::product::product(&last, part.at, &part.a, &part.b, scale as f32, 1.0)?;
        }
        return Ok(into);
    }
    if !cpu::applies(&into) {
        return plain_add_columns(&into, parts, rows, scale);
    }
    let step = if row_by_row { 1 } else { rows };
    for part in parts {
        let b = cpu::matrix(&part.b)?;
        for row in (0..rows).step_by(step) {
            let a = part.a.narrow(0, row, step)?;
            let a = cpu::matrix(&a)?;
            let start = (n - rows + row) * width + part.at;
            cpu::in_place(&into, |into| product(&mut into[start..], width, a.mat(), b.mat(), scale as f32, Into::Add, true))?;
        }
    }
    Ok(into)
}

/// The same in candle tensor ops.
pub(super) fn plain_add_columns(into: &Tensor, parts: &[Columns], rows: usize, scale: f64) -> Result<Tensor> {
    let (n, width) = into.dims2()?;
    let mut pieces = vec![];
    let mut at = 0;
    let zeros = |columns: usize| Tensor::zeros((rows, columns), into.dtype(), into.device());
    for part in parts {
        if part.at > at {
            pieces.push(zeros(part.at - at)?);
        }
        pieces.push((for_blas(&part.a)?.matmul(&for_blas(&part.b)?)? * scale)?.to_dtype(into.dtype())?);
        at = part.at + part.b.dim(1)?;
    }
    if at < width {
        pieces.push(zeros(width - at)?);
    }
    let changed = (into.narrow(0, n - rows, rows)? + Tensor::cat(&pieces, 1)?)?;
    if rows == n { Ok(changed) } else { Tensor::cat(&[into.narrow(0, 0, n - rows)?, changed], 0) }
}

/// `scale * a b` in f32: the first product that a gradient is made of.
pub fn first_product(a: &Tensor, b: &Tensor, scale: f64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(a) {
        return cuda::product::new_product(a, b, scale as f32, candle_core::DType::F32);
    }
    add_product(Tensor::zeros((a.dim(0)?, b.dim(1)?), candle_core::DType::F32, a.device())?, a, b, scale)
}

/// `scale * a b`, in the operands' type.
pub fn scaled_product(a: &Tensor, b: &Tensor, scale: f64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(a) {
        return cuda::product::new_product(a, b, scale as f32, a.dtype());
    }
    let product = for_blas(a)?.matmul(&for_blas(b)?)?;
    if scale == 1.0 { Ok(product) } else { product * scale }
}

/// `a b`, in the operands' type and in rows that may lie apart.
pub fn product_in_rows(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(a) {
        return cuda::product::product_in_rows(a, b);
    }
    scaled_product(a, b, 1.0)
}

/// x (N, in), w (out, in) -> x w^T (N, out); rows of both may lie apart.
pub fn linear(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    scaled_product(x, &w.t()?, 1.0)
}

/// `x w^T + bias + residual` (N, out), the residual of that shape too.
pub fn linear_plus(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, residual: Option<&Tensor>) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    {
        let layer = cuda::linear::Linear { x, w, bias, residual };
        if layer.applies() {
            return layer.run();
        }
    }
    let y = linear(x, w)?;
    let y = bias.map_or(Ok(y.clone()), |bias| super::add::add_bias(y, bias))?;
    residual.map_or(Ok(y.clone()), |residual| super::add::add(y, residual))
}

/// cuBLAS through candle takes a matrix or its transpose; rows that lie apart are copied together first.
pub fn for_blas(x: &Tensor) -> Result<Tensor> {
    if x.is_contiguous() || x.t()?.is_contiguous() || x.device().is_cpu() { Ok(x.clone()) } else { x.contiguous() }
}

/// x (B, K), w (N, K) -> x w^T (B, N) for a few rows, as decoding has them. Where the op is fused a row's result does not depend on
/// the other rows, so a sample's text does not depend on how many are drawn beside it.
pub fn few_rows(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(x)
        && let Some(y) = cuda::gemv::rows(x, w)?
    {
        return Ok(y);
    }
    if !cpu::applies(x) {
        return linear(x, w);
    }
    let ((b, k), n) = (x.dims2()?, w.dim(0)?);
    cpu::tensor(gemv::rows(&cpu::slice(x)?, &cpu::slice(w)?, b, k), (b, n))
}
