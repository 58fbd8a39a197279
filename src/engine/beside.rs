//! Gradients of weights beside the pass that goes on: nothing reads them before the optimiser does, so on a GPU a second stream makes
//! them.

#[cfg(feature = "cuda")]
use candle_core::DType;
use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;

use super::ops::product::{add_product, first_product};

/// Products that may still be under way: until [`Beside::join`] they must not be read, nor their operands be written.
#[derive(Debug, Default)]
pub struct Beside {
    #[cfg(feature = "cuda")]
    stream: Option<cuda::beside::Beside>,
}

impl Beside {
    /// `scale * a b` for a (M, K), b (K, N), in f32, added to `sum` (M, N) if there is one.
    pub fn product(&mut self, sum: Option<Tensor>, a: &Tensor, b: &Tensor, scale: f64) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if cuda::applies(a) {
            let stream = self.stream(a)?;
            return match sum {
                Some(sum) => stream.product(&sum, a, b, scale as f32, 1.0).map(|()| sum),
                None => stream.new_product(a, b, scale as f32, DType::F32),
            };
        }
        match sum {
            Some(sum) => add_product(sum, a, b, scale),
            None => first_product(a, b, scale),
        }
    }

    /// `a b` on a GPU, rounded once to the operands' type, and the sums of its squares: see [`cuda::beside::Beside::new_gradient`].
    #[cfg(feature = "cuda")]
    pub fn rounded(&mut self, a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
        self.stream(a)?.new_gradient(a, b)
    }

    #[cfg(feature = "cuda")]
    fn stream(&mut self, operand: &Tensor) -> Result<&mut cuda::beside::Beside> {
        Ok(match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(cuda::beside::Beside::new(operand.device())?),
        })
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
