//! Rotary position embedding, in place on the packed q/k/v rows; formula and contract in `voicetune_kernels::rope`.

use candle_core::{DType, Device, Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;
pub use voicetune_kernels::rope::Turn;
use voicetune_kernels::rope::{Table, rotate};

use crate::engine::cpu;

/// Cosines and sines (positions, D/2), in f32.
#[derive(Debug, Clone)]
pub struct Rotations {
    cos: Tensor,
    sin: Tensor,
}

impl Rotations {
    /// The tables for `positions` positions from the inverse frequencies (D/2). Angles are rounded to f32 before the cosine, as
    /// Hugging Face's are.
    pub fn new(inverse_frequencies: &[f32], positions: usize, device: &Device) -> Result<Self> {
        let angles = (0..positions).flat_map(|p| inverse_frequencies.iter().map(move |&f| p as f32 * f));
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles.map(|a| (f64::from(a).cos() as f32, f64::from(a).sin() as f32)).unzip();
        let shape = (positions, inverse_frequencies.len());
        Ok(Rotations { cos: Tensor::from_vec(cos, shape, device)?, sin: Tensor::from_vec(sin, shape, device)? })
    }

    /// How many positions the tables hold.
    pub fn positions(&self) -> usize {
        self.cos.dims()[0]
    }

    /// Cosines and sines (positions, D/2).
    #[cfg(feature = "cuda")]
    pub fn tables(&self) -> (&Tensor, &Tensor) {
        (&self.cos, &self.sin)
    }

    /// Rotates the first `heads` heads of size `d` in each row of x (N, stride), which must be of the caller's own making.
    pub fn apply(&self, x: Tensor, heads: usize, d: usize, positions: &[u32], turn: Turn) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if cuda::applies(&x) {
            cuda::rope::rotate(&x, heads, d, positions, &self.cos, &self.sin, turn)?;
            return Ok(x);
        }
        if !cpu::applies(&x) {
            return self.plain(&x, heads, d, positions, turn);
        }
        let (cos, sin) = (cpu::slice(&self.cos)?, cpu::slice(&self.sin)?);
        let stride = x.dim(1)?;
        cpu::in_place(&x, |x| rotate(x, stride, heads, d, positions, Table { cos: &cos, sin: &sin }, turn))?;
        Ok(x)
    }

    /// The same in candle tensor ops.
    pub fn plain(&self, x: &Tensor, heads: usize, d: usize, positions: &[u32], turn: Turn) -> Result<Tensor> {
        let (n, stride) = x.dims2()?;
        let positions = Tensor::new(positions, x.device())?;
        let cos = self.cos.index_select(&positions, 0)?.unsqueeze(1)?; // (N, 1, D/2)
        let sin = self.sin.index_select(&positions, 0)?.unsqueeze(1)?; // (N, 1, D/2)
        let sin = if turn == Turn::Forward { sin } else { sin.neg()? };
        let turned = x.narrow(1, 0, heads * d)?.to_dtype(DType::F32)?.reshape((n, heads, d))?;
        let (a, b) = (turned.narrow(2, 0, d / 2)?, turned.narrow(2, d / 2, d / 2)?); // (N, heads, D/2)
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        let turned = Tensor::cat(&[first, second], 2)?.reshape((n, heads * d))?.to_dtype(x.dtype())?;
        Tensor::cat(&[turned, x.narrow(1, heads * d, stride - heads * d)?], 1)
    }
}
