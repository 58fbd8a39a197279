//! A normalisation layer: RMSNorm without a bias, LayerNorm with one.

use anyhow::Result;
use candle_core::Tensor;
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;

use super::ops::{add::add, layer_norm, rms_norm};
use super::params::{ParamId, Params};
use super::wide::Wide;

#[derive(Debug)]
pub struct Norm {
    pub weight: ParamId,
    pub bias: Option<ParamId>,
    pub eps: f64,
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
            return self.fused(params, cuda::norm::Input { x, more: None }, room);
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

    /// The same of `more + x`, which is [`Saved::input`] then. Takes `more` whole, as [`add`] does.
    pub fn forward_sum(&self, params: &Params, more: Tensor, x: &Tensor, room: usize) -> Result<(Wide, Saved)> {
        #[cfg(feature = "cuda")]
        if cuda::applies(x) {
            return self.fused(params, cuda::norm::Input { x, more: Some(&more) }, room);
        }
        self.forward(params, &add(more, x)?, room)
    }

    #[cfg(feature = "cuda")]
    fn fused(&self, params: &Params, input: cuda::norm::Input, room: usize) -> Result<(Wide, Saved)> {
        let bias = self.bias.map(|bias| params.value(bias));
        let normed = cuda::norm::forward(input, params.value(self.weight), bias, self.eps, room)?;
        let x = normed.sum.unwrap_or_else(|| input.x.clone());
        let width = x.dim(1)?;
        Ok((Wide::new(normed.y, width), Saved { x, statistics: normed.saved }))
    }

    /// dy (N, C), whose rows may lie apart on a GPU -> dx (N, C) plus `residual` (N, C); and forward's y (N, C), if it is wanted again.
    pub fn backward(
        &self,
        params: &mut Params,
        dy: &Tensor,
        saved: &Saved,
        residual: Option<&Tensor>,
        want_again: bool,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let want = params.is_trained(self.weight);
        let w = params.value(self.weight);
        #[cfg(feature = "cuda")]
        if cuda::applies(&saved.x) {
            let weights = (w, self.bias.map(|bias| params.value(bias)));
            let gradients = cuda::norm::backward(dy, &saved.x, &saved.statistics, weights, residual, want, want_again)?;
            if let Some((dw, db)) = gradients.weights {
                self.add_grads(params, dw, db)?;
            }
            return Ok((gradients.dx, gradients.again));
        }
        let dx = match self.bias {
            None => {
                let (dx, dw) = rms_norm::backward(dy, &saved.x, &saved.statistics, w, want)?;
                if let Some(dw) = dw {
                    params.add_grad(self.weight, dw)?;
                }
                dx
            }
            Some(_) => {
                let (dx, gradients) = layer_norm::backward(dy, &saved.x, &saved.statistics, w, want)?;
                if let Some((dw, db)) = gradients {
                    self.add_grads(params, dw, db)?;
                }
                dx
            }
        };
        let dx = residual.map_or(Ok(dx.clone()), |residual| add(dx, residual))?;
        let again = if want_again { Some(self.again(params, saved)?) } else { None };
        Ok((dx, again))
    }

    /// Forward's y (N, C) once more.
    pub fn again(&self, params: &Params, saved: &Saved) -> Result<Tensor> {
        Ok(self.forward(params, &saved.x, 0)?.0.columns()?)
    }

    fn add_grads(&self, params: &mut Params, dw: Tensor, db: Tensor) -> Result<()> {
        params.add_grad(self.weight, dw)?;
        self.bias.map_or(Ok(()), |bias| params.add_grad(bias, db))
    }
}
