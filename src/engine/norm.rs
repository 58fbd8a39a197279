//! A normalisation layer: RMSNorm without a bias, LayerNorm with one.

use anyhow::Result;
use candle_core::Tensor;

use super::ops::{layer_norm, rms_norm};
use super::params::{ParamId, Params};

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

impl Norm {
    /// x (N, C) -> y (N, C)
    pub fn forward(&self, params: &Params, x: &Tensor) -> Result<(Tensor, Saved)> {
        let w = params.value(self.weight);
        let (y, statistics) = match self.bias {
            None => rms_norm::forward(x, w, self.eps)?,
            Some(bias) => layer_norm::forward(x, w, params.value(bias), self.eps)?,
        };
        Ok((y, Saved { x: x.clone(), statistics }))
    }

    /// dy (N, C) -> dx (N, C)
    pub fn backward(&self, params: &mut Params, dy: &Tensor, saved: &Saved) -> Result<Tensor> {
        let want = params.is_trained(self.weight);
        let w = params.value(self.weight);
        match self.bias {
            None => {
                let (dx, dw) = rms_norm::backward(dy, &saved.x, &saved.statistics, w, want)?;
                if let Some(dw) = dw {
                    params.add_grad(self.weight, dw)?;
                }
                Ok(dx)
            }
            Some(bias) => {
                let (dx, gradients) = layer_norm::backward(dy, &saved.x, &saved.statistics, w, want)?;
                if let Some((dw, db)) = gradients {
                    params.add_grad(self.weight, dw)?;
                    params.add_grad(bias, db)?;
                }
                Ok(dx)
            }
        }
    }
}
