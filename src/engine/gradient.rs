//! Gradients on their way down.

use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda::pointwise::{Shares, add_up};

/// The gradient of activations.
#[derive(Debug, Clone)]
pub struct Gradient {
    /// (N, C)
    pub d: Tensor,
    /// Its sums over the rows (C) in f32, where what made it took them along: the gradient of a bias that was added there. Whole once
    /// [`Unsummed::add_up`] was called.
    pub sums: Option<Tensor>,
}

impl From<Tensor> for Gradient {
    fn from(d: Tensor) -> Self {
        Gradient { d, sums: None }
    }
}

/// Sums over rows that a GPU has in parts still: a block's are added up together.
#[derive(Debug, Default)]
pub struct Unsummed {
    #[cfg(feature = "cuda")]
    pub shares: Vec<Shares>,
}

impl Unsummed {
    /// Makes all sums whole that ops have left here.
    pub fn add_up(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        add_up(&std::mem::take(&mut self.shares))?;
        Ok(())
    }
}
