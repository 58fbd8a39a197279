//! Gradients of weights beside the pass that goes on: nothing reads them before the optimiser does, so on a GPU a second stream makes
//! them.

#[cfg(feature = "cuda")]
use candle_core::{DType, Device};
use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;

use super::gradient::Unsummed;
use super::ops::add;
use super::ops::product::{add_product, first_product};

/// Products and sums that may still be under way: until [`Beside::join`] they must not be read, nor their operands be written.
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
            let stream = self.stream(a.device())?;
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
        self.stream(a.device())?.new_gradient(a, b)
    }

    /// [`add::column_sums`] of dy (N, C), for [`Beside::add_up`].
    pub fn column_sums(&mut self, dy: &Tensor, unsummed: &mut Unsummed) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if cuda::applies(dy) {
            return self.stream(dy.device())?.column_sums(dy, &mut unsummed.shares);
        }
        add::column_sums(dy, unsummed)
    }

    /// Makes all sums whole that ops have left in parts.
    pub fn add_up(&mut self, unsummed: &mut Unsummed) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let Some(share) = unsummed.shares.first() {
            let device = share.device().clone();
            self.stream(&device)?.add_up(&std::mem::take(&mut unsummed.shares))?;
        }
        let _ = unsummed; // a GPU's alone
        Ok(())
    }

    /// `sum + x`, in the memory of `sum`.
    pub fn add(&mut self, sum: Tensor, x: &Tensor) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if cuda::applies(&sum) {
            self.stream(sum.device())?.add(&sum, x)?;
            return Ok(sum);
        }
        add::add(sum, x)
    }

    #[cfg(feature = "cuda")]
    fn stream(&mut self, device: &Device) -> Result<&mut cuda::beside::Beside> {
        Ok(match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(cuda::beside::Beside::new(device)?),
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

    /// What comes next may read all of it.
    pub fn join(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let Some(stream) = &mut self.stream {
            stream.join()?;
        }
        Ok(())
    }
}
