//! Linear layers that read the same input, as one product, with their low-rank adapters.
//!
//! `y = x W^T + b`, and on adapted columns `+ s (x A^T) B^T` with `s = alpha / r` (Hu et al. 2021). Backward:
//! `dB = s dy^T (x A^T)`, `dA = s (dy B)^T x`, `dx = dy W + s (dy B) A`; a frozen W gets no gradient.

use anyhow::Result;
use candle_core::Tensor;

use super::ops::product::{Columns, add_columns, add_product, few_rows, scaled_product};
use super::ops::{add, dropout};
use super::params::{ParamId, Params};
use super::pass::Pass;

#[derive(Debug)]
pub struct Projection {
    /// (out, in), the layers stacked.
    pub weight: ParamId,
    /// (out)
    pub bias: Option<ParamId>,
    pub adapter: Option<Adapter>,
    /// Tells this projection from all others of the model, for dropout.
    pub place: u64,
}

/// The adapters of a projection's layers.
#[derive(Debug)]
pub struct Adapter {
    /// The A matrices stacked: (layers R, in).
    pub a: ParamId,
    pub parts: Vec<AdapterPart>,
    pub rank: usize,
    pub scale: f64,
    pub dropout: f64,
}

/// One adapted layer.
#[derive(Debug)]
pub struct AdapterPart {
    /// (width, R)
    pub b: ParamId,
    /// Its columns of y.
    pub at: usize,
    pub width: usize,
}

/// What backward needs.
#[derive(Debug)]
pub struct Saved {
    x: Tensor,
    /// x A^T (N, layers R), with dropout on x.
    h: Option<Tensor>,
}

impl Projection {
    /// x (N, in) -> y (N, out)
    pub fn forward(&self, params: &Params, x: &Tensor, pass: &Pass) -> Result<(Tensor, Saved)> {
        let w = params.value(self.weight);
        let mut y = if pass.decoding() { few_rows(x, w)? } else { x.matmul(&w.t()?)? };
        if let Some(bias) = self.bias {
            y = add::add_bias(y, params.value(bias))?;
        }
        let n = x.dim(0)?;
        let rows = n - pass.tuned_from.min(n);
        let mut h = None;
        if let Some(adapter) = self.adapter.as_ref().filter(|_| rows > 0) {
            let x = dropout::apply(&x.narrow(0, n - rows, rows)?, adapter.dropout_now(pass), self.dropout_key(pass))?;
            let a = params.value(adapter.a);
            let through = if pass.decoding() { few_rows(&x, a)? } else { x.matmul(&a.t()?)? };
            let columns = adapter.columns(|i, part| {
                let h = through.narrow(1, i * adapter.rank, adapter.rank)?;
                Ok(Columns { at: part.at, a: h, b: params.value(part.b).t()? })
            })?;
            y = add_columns(y, &columns, rows, adapter.scale, pass.decoding())?;
            h = Some(through);
        }
        Ok((y, Saved { x: x.clone(), h }))
    }

    /// dy (N, out) -> dx (N, in), which is left out where nobody needs it.
    pub fn backward(&self, params: &mut Params, dy: &Tensor, saved: &Saved, pass: &Pass, want_dx: bool) -> Result<Option<Tensor>> {
        if params.is_trained(self.weight) {
            params.add_grad_product(self.weight, &dy.t()?, &saved.x, 1.0)?;
            if let Some(bias) = self.bias {
                params.add_grad(bias, add::column_sums(dy)?)?;
            }
        }
        let mut dx = want_dx.then(|| dy.matmul(params.value(self.weight))).transpose()?;
        let (Some(adapter), Some(h)) = (&self.adapter, &saved.h) else { return Ok(dx) };

        let mut dh = vec![];
        for (i, part) in adapter.parts.iter().enumerate() {
            let dy = dy.narrow(1, part.at, part.width)?;
            let h = h.narrow(1, i * adapter.rank, adapter.rank)?;
            if params.is_trained(part.b) {
                params.add_grad_product(part.b, &dy.t()?, &h, adapter.scale)?;
            }
            dh.push(scaled_product(&dy, params.value(part.b), adapter.scale)?);
        }
        let dh = if dh.len() == 1 { dh.remove(0) } else { Tensor::cat(&dh, 1)? }; // (N, layers R)
        let (p, key) = (adapter.dropout_now(pass), self.dropout_key(pass));
        if params.is_trained(adapter.a) {
            params.add_grad_product(adapter.a, &dh.t()?, &dropout::apply(&saved.x, p, key)?, 1.0)?;
        }
        if let Some(sum) = dx.take() {
            let a = params.value(adapter.a);
            dx = Some(if p == 0.0 { add_product(sum, &dh, a, 1.0)? } else { add::add(sum, &dropout::apply(&dh.matmul(a)?, p, key)?)? });
        }
        Ok(dx)
    }

    fn dropout_key(&self, pass: &Pass) -> u64 {
        pass.dropout.map_or(0, |key| voicetune_kernels::dropout::key(&[key, self.place]))
    }
}

impl Adapter {
    fn columns(&self, make: impl Fn(usize, &AdapterPart) -> Result<Columns>) -> Result<Vec<Columns>> {
        self.parts.iter().enumerate().map(|(i, part)| make(i, part)).collect()
    }

    /// Dropout is for training alone.
    fn dropout_now(&self, pass: &Pass) -> f64 {
        if pass.dropout.is_some() { self.dropout } else { 0.0 }
    }
}
