//! Linear layers through cuBLASLt, whose products take bias, GELU and residual along: no pass over memory for each.

use candle_core::{DType, Result, Tensor, bail};

use super::launch::{Arg, address, empty, rows, wide};
use super::matmul::{self, Epilogue, Matrix, Product};

/// `y = x w^T + bias + residual` in bf16 or f16 with f32 sums: x (N, in) and w (out, in), whose rows may lie apart.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a> {
    pub x: &'a Tensor,
    pub w: &'a Tensor,
    /// (out)
    pub bias: Option<&'a Tensor>,
    /// (N, out)
    pub residual: Option<&'a Tensor>,
}

impl Linear<'_> {
    /// Whether cuBLASLt takes these operands: bf16 or f16 on a GPU, at the boundaries that its kernels want.
    pub fn applies(&self) -> bool {
        let aligned = |t: &Tensor| rows(t).is_ok_and(|(at, stride)| at.bits() % 16 == 0 && stride % 8 == 0);
        let half = self.x.device().is_cuda() && self.w.dtype() == self.x.dtype() && is_half(self.x.dtype());
        let out = self.w.dims()[0];
        half && out.is_multiple_of(8) && aligned(self.x) && aligned(self.w)
    }

    /// -> y (N, out)
    pub fn run(&self) -> Result<Tensor> {
        let y = empty((self.x.dim(0)?, self.w.dim(0)?), self.x.dtype(), self.x.device())?;
        self.into(&y, None)?;
        Ok(y)
    }

    /// -> y before the activation (N, out), and GELU (tanh form) of it, the first `out` columns of (N, out + room). Needs a bias and
    /// takes no residual.
    pub fn run_gelu(&self, room: usize) -> Result<(Tensor, Tensor)> {
        let (n, out) = (self.x.dim(0)?, self.w.dim(0)?);
        let before = empty((n, out), self.x.dtype(), self.x.device())?;
        let y = wide(n, out, room, self.x.dtype(), self.x.device())?;
        self.into(&y.narrow(1, 0, out)?, Some(&before))?;
        Ok((before, y))
    }

    fn into(&self, y: &Tensor, before_gelu: Option<&Tensor>) -> Result<()> {
        let ((n, depth), (out, depth_w), dtype) = (self.x.dims2()?, self.w.dims2()?, self.x.dtype());
        if !is_half(dtype) {
            bail!("no product of {dtype:?} takes bias and GELU along");
        }
        if depth != depth_w || self.bias.is_some_and(|bias| bias.dims() != [out] || bias.dtype() != dtype) {
            bail!("a layer of {:?} with bias {:?} cannot take {:?}", self.w.shape(), self.bias.map(Tensor::shape), self.x.shape());
        }
        if self.residual.is_some_and(|residual| residual.dims() != [n, out] || residual.dtype() != dtype) {
            bail!("a residual {:?} does not fit {n} rows of {out}", self.residual.map(Tensor::shape));
        }
        if before_gelu.is_some() && (self.bias.is_none() || self.residual.is_some()) {
            bail!("GELU within a product needs a bias and takes no residual");
        }
        let (x, w, to) = (rows(self.x)?, rows(self.w)?, rows(y)?);
        let residual = self.residual.map(rows).transpose()?;
        let bias = self.bias.map(address).transpose()?;
        let aux = before_gelu.map(rows).transpose()?;

        // cuBLAS counts by columns, so it is given `y^T = w x^T`.
        let matrix = |(at, stride): (Arg, usize), rows, columns| Matrix { at: at.bits(), rows, columns, stride, dtype };
        let d = matrix(to, out, n);
        let product = Product {
            a: (matrix(w, depth, out), true),
            b: (matrix(x, depth, n), false),
            c: residual.map_or(d, |residual| matrix(residual, out, n)),
            d,
            scale: 1.0,
            beta: if residual.is_some() { 1.0 } else { 0.0 },
            epilogue: match (bias, aux) {
                (None, _) => Epilogue::Nothing,
                (Some(bias), None) => Epilogue::Bias(bias.bits()),
                (Some(bias), Some((at, stride))) => Epilogue::Gelu { bias: bias.bits(), before: at.bits(), stride },
            },
        };
        // SAFETY: sizes and strides are the tensors' own, and all lie on this device.
        unsafe { matmul::run(&product, self.x.device()) }
    }
}

/// Whether these products are made in a type.
fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::BF16 | DType::F16)
}
