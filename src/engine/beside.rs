//! Gradients of weights beside the pass that goes on: nothing reads them before the optimiser does, so on a GPU a second stream makes
//! them.

#[cfg(feature = "cuda")]
use candle_core::DType;
use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;

use super::ops::product::{add_product, first_product, scaled_product};

/// Products that may still be under way: until [`Beside::join`] they must not be read, nor their operands be written.
#[derive(Debug, Default)]
pub struct Beside {
    #[cfg(feature = "cuda")]
    stream: Option<cuda::beside::Beside>,
}

impl Beside {
    /// `scale * a b` for a (M, K), b (K, N), added to `sum` (M, N) if there is one; else in f32, or in the operands' type if `rounded`.
    pub fn product(&mut self, sum: Option<Tensor>, a: &Tensor, b: &Tensor, scale: f64, rounded: bool) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if cuda::applies(a) {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => none.insert(cuda::beside::Beside::new(a.device())?),
            };
            return match sum {
                Some(sum) => stream.product(&sum, a, b, scale as f32, 1.0).map(|()| sum),
                None => stream.new_product(a, b, scale as f32, if rounded { a.dtype() } else { DType::F32 }),
            };
        }
        match sum {
            Some(sum) => add_product(sum, a, b, scale),
            None if rounded => scaled_product(a, b, scale),
            None => first_product(a, b, scale),
        }
    }

    /// To be called now and then: what older products read is given back.
    pub fn lap(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let Some(stream) = &mut self.stream {
            stream.lap()?;
        }
        Ok(())
    }

    /// What comes next may read all products.
    pub fn join(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let Some(stream) = &mut self.stream {
            stream.join()?;
        }
        Ok(())
    }
}
