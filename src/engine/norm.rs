//! A normalisation layer: RMSNorm without a bias, LayerNorm with one.

use anyhow::Result;
use candle_core::Tensor;
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;

use super::gradient::Gradient;
use super::ops::{add::add, layer_norm, rms_norm};
use super::params::{ParamId, Params};
use super::wide::Wide;

#[derive(Debug)]
pub struct Norm {
    pub weight: ParamId,
    pub bias: Option<ParamId>,
    pub eps: f64,
}

/// What is wanted of backward beside the gradient of the input.
#[derive(Debug, Clone, Copy, Default)]
pub struct Want {
    /// The sums of that gradient, where they cost nothing.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "only a GPU's op takes them along"))]
    pub sums: bool,
    /// Forward's y.
    pub again: bool,
}

/// What backward needs.
#[derive(Debug)]
pub struct Saved {
    x: Tensor,
    statistics: Tensor,
}

impl Saved {
    /// What was normalised (N, C).
    pub fn input(&self) -> &Tensor {
        &self.x
    }
}

impl Norm {
    /// x (N, C) -> y (N, C) with `room` columns behind its rows, which only a GPU gives.
    pub fn forward(&self, params: &Params, x: &Tensor, room: usize) -> Result<(Wide, Saved)> {
        #[cfg(feature = "cuda")]
        if cuda::applies(x) {
            let bias = self.bias.map(|bias| params.value(bias));
            let (y, statistics) = cuda::norm::forward(x, params.value(self.weight), bias, self.eps, room)?;
            return Ok((Wide::new(y, x.dim(1)?), Saved { x: x.clone(), statistics }));
        }
        debug_assert_eq!(room, 0);
        let w = params.value(self.weight);
        let (y, statistics) = match self.bias {
            None => rms_norm::forward(x, w, self.eps)?,
            Some(bias) => layer_norm::forward(x, w, params.value(bias), self.eps)?,
        };
        let width = y.dim(1)?;
        Ok((Wide::new(y, width), Saved { x: x.clone(), statistics }))
    }

    /// dy (N, C), whose rows may lie apart on a GPU -> dx (N, C) plus `residual` (N, C); and forward's y (N, C), if it is wanted.
    pub fn backward(
        &self,
        params: &mut Params,
        dy: &Tensor,
        saved: &Saved,
        residual: Option<&Tensor>,
        want: Want,
    ) -> Result<(Gradient, Option<Tensor>)> {
        let trained = params.is_trained(self.weight);
        let w = params.value(self.weight);
        #[cfg(feature = "cuda")]
        if cuda::applies(&saved.x) {
            let weights = (w, self.bias.map(|bias| params.value(bias)));
            let mut shares = vec![];
            let want = cuda::norm::Want { weights: trained, sums: want.sums, again: want.again };
            let gradients = cuda::norm::backward(dy, &saved.x, &saved.statistics, weights, residual, want, &mut shares)?;
            params.unsummed.shares.extend(shares);
            self.add_grads(params, gradients.dw, gradients.db)?;
            return Ok((Gradient { d: gradients.dx, sums: gradients.sums }, gradients.again));
        }
        let dx = match self.bias {
            None => {
                let (dx, dw) = rms_norm::backward(dy, &saved.x, &saved.statistics, w, trained)?;
                self.add_grads(params, dw, None)?;
                dx
            }
            Some(_) => {
                let (dx, gradients) = layer_norm::backward(dy, &saved.x, &saved.statistics, w, trained)?;
                let (dw, db) = gradients.unzip();
                self.add_grads(params, dw, db)?;
                dx
            }
        };
        let dx = residual.map_or(Ok(dx.clone()), |residual| add(dx, residual))?;
        let again = if want.again { Some(self.again(params, saved)?) } else { None };
        Ok((dx.into(), again))
    }

    /// Forward's y (N, C) once more.
    pub fn again(&self, params: &Params, saved: &Saved) -> Result<Tensor> {
        Ok(self.forward(params, &saved.x, 0)?.0.columns()?)
    }

    fn add_grads(&self, params: &mut Params, dw: Option<Tensor>, db: Option<Tensor>) -> Result<()> {
        for (id, gradient) in [(Some(self.weight), dw), (self.bias, db)] {
            if let (Some(id), Some(gradient)) = (id, gradient) {
                params.add_grad(id, gradient)?;
            }
        }
        Ok(())
    }
}
