//! What a device was given to do and has not said of yet. The host may launch the next step before it looks at this one.

use anyhow::{Result, ensure};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda::adamw::Clipped;

use super::ops::cross_entropy::Loss;
use super::{LossSum, Model};

/// Steps that stay in flight on a GPU while the host launches another one: what stops the host for a moment then stops the device only
/// if it takes longer than a step. More of them would gain little: a driver takes some thousand launches ahead of the device and then
/// lets the host wait, and a step of a large model has more.
const AHEAD: usize = 1;

/// How many steps the host may be ahead of what it has looked at. None on the CPU, which has done a step when it is launched, and none
/// where the factor on the loss, and so the next step, depends on how this one went.
pub fn ahead(model: &Model) -> usize {
    if model.device().is_cpu() || model.params.loss_scale.is_dynamic() { 0 } else { AHEAD }
}

/// The loss of a micro-step that may still be under way on a device.
#[derive(Debug)]
pub struct PendingLoss {
    pub(super) losses: Vec<Loss>,
    pub(super) tokens: usize,
}

impl PendingLoss {
    /// Waits for it.
    pub fn read(&self) -> Result<LossSum> {
        let sums = self.losses.iter().map(Loss::sum).collect::<candle_core::Result<Vec<f64>>>()?;
        Ok(LossSum { sum: sums.iter().sum(), tokens: self.tokens })
    }
}

/// An update that may still be under way on a device. Where the gradient turns out not to be finite, it changes nothing.
#[derive(Debug)]
pub struct PendingStep {
    pub(super) norm: Norm,
    /// In f16, where the gradient went beyond it: nothing was changed, and the step is to be made again. This is the factor on the loss
    /// from now on, half of what it was.
    pub overflow: Option<f64>,
}

impl PendingStep {
    /// Waits for the norm of the gradient over all trained parameters, before clipping.
    ///
    /// # Errors
    /// If it is not finite, but for an overflow: what is launched next works with the weights as they were before this step.
    pub fn grad_norm(&self) -> Result<f64> {
        let norm = self.norm.read()?;
        ensure!(
            norm.is_finite() || self.overflow.is_some(),
            "the gradient is not finite ({norm}); a lower learning_rate or a longer warm-up may help"
        );
        Ok(norm)
    }
}

/// The norm of a gradient.
#[derive(Debug)]
pub(super) enum Norm {
    Known(f64),
    #[cfg(feature = "cuda")]
    Sent(Clipped),
}

impl Norm {
    /// Waits for it.
    pub(super) fn read(&self) -> Result<f64> {
        match self {
            Norm::Known(norm) => Ok(*norm),
            #[cfg(feature = "cuda")]
            Norm::Sent(clipped) => Ok(clipped.norm()?),
        }
    }

    /// Whether it is known not to be finite.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Norm::Known(norm) if !norm.is_finite())
    }
}
