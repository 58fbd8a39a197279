//! Gradients on their way down.

use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda::pointwise::Shares;

use super::ops::product::add_product;

/// The gradient of activations.
#[derive(Debug, Clone)]
pub struct Gradient {
    /// (N, C)
    pub d: Tensor,
    /// Its sums over the rows (C) in f32, where what made it took them along: the gradient of a bias that was added there. Whole once
    /// [`Params::add_up`](super::params::Params::add_up) was called.
    pub sums: Option<Tensor>,
}

impl From<Tensor> for Gradient {
    fn from(d: Tensor) -> Self {
        Gradient { d, sums: None }
    }
}

/// The gradient of a projection's input, which may lack the adapter's part: who takes it may add that in a pass of his own.
#[derive(Debug)]
pub struct Parts {
    /// (N, in), whose rows may lie apart.
    pub dx: Tensor,
    /// dh (N, layers R) and A (layers R, in), whose product is still to be added.
    pub product: Option<(Tensor, Tensor)>,
}

impl Parts {
    /// dx with all of its parts.
    pub fn whole(self) -> Result<Tensor> {
        match self.product {
            Some((dh, a)) => add_product(self.dx, &dh, &a, 1.0),
            None => Ok(self.dx),
        }
    }
}

/// Sums over rows that a GPU has in parts still: a block's are added up together.
#[derive(Debug, Default)]
pub struct Unsummed {
    #[cfg(feature = "cuda")]
    pub shares: Vec<Shares>,
}
