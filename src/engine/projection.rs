//! Linear layers that read the same input, as one product, with their low-rank adapters.
//!
//! `y = x W^T + b`, and on adapted columns `+ s (x A^T) B^T` with `s = alpha / r` (Hu et al. 2021). Backward:
//! `dB = s dy^T (x A^T)`, `dA = s (dy B)^T x`, `dx = dy W + s (dy B) A`; a frozen W gets no gradient.
//!
//! On a GPU the adapters are folded into the product: W lies in a matrix with R more columns a layer that hold `s B` on that layer's
//! rows, and `h = x A^T` behind x in its rows. Then `y = [x | h] [W | s B]^T` and `dy [W | s B] = [dy W | s dy B]`, each one product.

use anyhow::Result;
use candle_core::Tensor;

use super::gradient::{Gradient, Parts};
use super::ops::product::{Columns, add_columns, few_rows, linear, linear_plus, product_in_rows, scaled_product};
use super::ops::{add, dropout, gelu};
use super::params::{ParamId, Params};
use super::pass::Pass;
use super::wide::Wide;

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
    /// `[W | s B]` (out, in + layers R), where the adapters are folded into the product.
    pub folded: Option<Tensor>,
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

/// What the weights' gradients still need once the input's is made: that lets the input be made again as late as possible.
#[derive(Debug)]
pub struct Pending {
    /// (N, out), where the weight is trained.
    dy: Option<Tensor>,
    /// s dy B (N, layers R)
    dh: Option<Tensor>,
}

impl Projection {
    /// Columns that its input should have room for behind each row.
    pub fn room(&self, pass: &Pass) -> usize {
        self.adapter.as_ref().filter(|adapter| adapter.folded.is_some() && !pass.decoding()).map_or(0, Adapter::width)
    }

    /// x (N, in) -> h = x A^T (rows, layers R) of the rows that the adapter serves, with dropout on x; in x's room if it has any.
    pub fn narrow(&self, params: &Params, x: &Wide, pass: &Pass) -> Result<Option<Tensor>> {
        let columns = x.columns()?;
        let n = columns.dim(0)?;
        let rows = n - pass.tuned_from.min(n);
        let Some(adapter) = self.adapter.as_ref().filter(|_| rows > 0) else { return Ok(None) };
        let columns = dropout::apply(&columns.narrow(0, n - rows, rows)?, adapter.dropout_now(pass), self.dropout_key(pass))?;
        let a = params.value(adapter.a);
        #[cfg(feature = "cuda")]
        if self.is_folded(rows, x) {
            voicetune_kernels::cuda::product::product(x.all(), x.width(), &columns, &a.t()?, 1.0, 0.0)?;
            return Ok(Some(x.room()?));
        }
        Ok(Some(if pass.decoding() { few_rows(&columns, a)? } else { linear(&columns, a)? }))
    }

    /// x (N, in) and h from [`Projection::narrow`] -> y (N, out), with `residual` (N, out) added.
    pub fn product(&self, params: &Params, x: &Wide, h: Option<&Tensor>, pass: &Pass, residual: Option<&Tensor>) -> Result<Tensor> {
        let bias = self.bias.map(|bias| params.value(bias));
        if let Some((all, folded)) = self.as_one(params, x, h).filter(|_| !pass.decoding()) {
            return Ok(linear_plus(&all?, folded, bias, residual)?);
        }
        let (columns, w) = (x.columns()?, params.value(self.weight));
        let mut y = if pass.decoding() { few_rows(&columns, w)? } else { linear(&columns, w)? };
        if let Some(bias) = bias {
            y = add::add_bias(y, bias)?;
        }
        if let (Some(adapter), Some(h)) = (&self.adapter, h) {
            y = adapter.add(params, y, h, pass.decoding())?;
        }
        Ok(residual.map_or(Ok(y.clone()), |residual| add::add(y, residual))?)
    }

    /// y before GELU (N, out), and GELU of it with `room` columns behind its rows.
    pub fn product_gelu(&self, params: &Params, x: &Wide, h: Option<&Tensor>, pass: &Pass, room: usize) -> Result<(Tensor, Tensor)> {
        if let (Some((all, folded)), Some(bias)) = (self.as_one(params, x, h), self.bias)
            && !pass.decoding()
        {
            return Ok(gelu::of_linear(&all?, folded, params.value(bias), room)?);
        }
        let raised = self.product(params, x, h, pass, None)?;
        let active = gelu::forward_wide(&raised, room)?;
        Ok((raised, active))
    }

    /// Whether its backward needs the sums of dy.
    pub fn wants_sums(&self, params: &Params) -> bool {
        self.bias.is_some_and(|bias| params.is_trained(bias))
    }

    /// The operands of the whole layer as one product: with the adapter folded in, or where none serves these rows.
    fn as_one<'a>(&'a self, params: &'a Params, x: &Wide, h: Option<&Tensor>) -> Option<(candle_core::Result<Tensor>, &'a Tensor)> {
        match (h, self.adapter.as_ref().and_then(|adapter| adapter.folded.as_ref())) {
            (None, _) => Some((x.columns(), params.value(self.weight))),
            (Some(h), Some(folded)) if self.is_folded(h.dims()[0], x) => Some((Ok(x.all().clone()), folded)),
            _ => None,
        }
    }

    /// dy (N, out), and h from [`Projection::narrow`] -> dx (N, in), in parts; left out where nobody needs it. To be followed by
    /// [`Projection::finish`].
    pub fn backward(
        &self,
        params: &mut Params,
        dy: &Gradient,
        h: Option<&Tensor>,
        pass: &Pass,
        want_dx: bool,
    ) -> Result<(Option<Parts>, Pending)> {
        let trained = params.is_trained(self.weight);
        let Gradient { d: dy, sums } = dy;
        if let Some(bias) = self.bias.filter(|_| trained) {
            let sums = match sums {
                Some(sums) => sums.clone(),
                None => params.beside.column_sums(dy, &mut params.unsummed)?,
            };
            params.add_grad(bias, sums)?;
        }
        let dy_kept = trained.then(|| dy.clone());
        let (Some(adapter), Some(h)) = (&self.adapter, h) else {
            let dx = if want_dx { Some(scaled_product(dy, params.value(self.weight), 1.0)?) } else { None };
            return Ok((dx.map(|dx| Parts { dx, product: None }), Pending { dy: dy_kept, dh: None }));
        };
        for (i, part) in adapter.parts.iter().enumerate() {
            if params.is_trained(part.b) {
                let h = h.narrow(1, i * adapter.rank, adapter.rank)?;
                params.add_grad_product(part.b, &dy.narrow(1, part.at, part.width)?.t()?, &h, adapter.scale)?;
            }
        }
        let w = params.value(self.weight);
        let (dx, dh) = match &adapter.folded {
            Some(folded) => {
                let input = w.dim(1)?;
                let d = if want_dx {
                    product_in_rows(dy, folded)?
                } else {
                    scaled_product(dy, &folded.narrow(1, input, adapter.width())?, 1.0)?
                };
                let at = if want_dx { input } else { 0 };
                (want_dx.then(|| d.narrow(1, 0, input)).transpose()?, d.narrow(1, at, adapter.width())?)
            }
            None => (want_dx.then(|| dy.matmul(w)).transpose()?, adapter.dh(params, dy)?),
        };
        let (a, p) = (params.value(adapter.a), adapter.dropout_now(pass));
        let parts = match dx {
            Some(dx) if p == 0.0 => Some(Parts { dx, product: Some((dh.clone(), a.clone())) }),
            Some(dx) => {
                let dx = dropout::add(dx, &scaled_product(&dh, a, 1.0)?, p, self.dropout_key(pass))?;
                Some(Parts { dx, product: None })
            }
            None => None,
        };
        Ok((parts, Pending { dy: dy_kept, dh: Some(dh) }))
    }

    /// The gradients that need the input, x (N, in).
    pub fn finish(&self, params: &mut Params, pending: Pending, x: &Tensor, pass: &Pass) -> Result<()> {
        if let Some(dy) = pending.dy {
            params.add_only_product(self.weight, &dy.t()?, x)?;
        }
        if let (Some(adapter), Some(dh)) = (&self.adapter, pending.dh)
            && params.is_trained(adapter.a)
        {
            let x = dropout::apply(x, adapter.dropout_now(pass), self.dropout_key(pass))?;
            params.add_grad_product(adapter.a, &dh.t()?, &x, 1.0)?;
        }
        Ok(params.beside.lap()?)
    }

    /// Whether x has room, and the adapter serves all its rows.
    fn is_folded(&self, served: usize, x: &Wide) -> bool {
        let rows = x.all().dims()[0];
        self.adapter.as_ref().is_some_and(|adapter| served == rows && x.all().dims()[1] == x.width() + adapter.width())
    }

    fn dropout_key(&self, pass: &Pass) -> u64 {
        pass.dropout.map_or(0, |key| voicetune_kernels::dropout::key(&[key, self.place]))
    }
}

impl Adapter {
    /// Columns of all its layers' narrow products.
    pub fn width(&self) -> usize {
        self.parts.len() * self.rank
    }

    /// Adds `s h B^T` to the last rows of y, as many as h has.
    fn add(&self, params: &Params, y: Tensor, h: &Tensor, row_by_row: bool) -> Result<Tensor> {
        let columns = self.parts.iter().enumerate().map(|(i, part)| {
            let h = h.narrow(1, i * self.rank, self.rank)?;
            Ok(Columns { at: part.at, a: h, b: params.value(part.b).t()? })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        // A folded value is s B already.
        let scale = if self.folded.is_some() { 1.0 } else { self.scale };
        Ok(add_columns(y, &columns, h.dim(0)?, scale, row_by_row)?)
    }

    /// dy (N, out) -> s dy B (N, layers R), layer by layer.
    fn dh(&self, params: &Params, dy: &Tensor) -> Result<Tensor> {
        let parts = self.parts.iter().map(|part| scaled_product(&dy.narrow(1, part.at, part.width)?, params.value(part.b), self.scale));
        let mut parts = parts.collect::<candle_core::Result<Vec<_>>>()?;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, 1)? })
    }

    /// Dropout is for training alone.
    fn dropout_now(&self, pass: &Pass) -> f64 {
        if pass.dropout.is_some() { self.dropout } else { 0.0 }
    }
}
