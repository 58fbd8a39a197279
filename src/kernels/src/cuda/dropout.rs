//! Dropout whose mask is a pure function of a key and the element's index: the CPU's mask, made where it is used.

use candle_core::{Result, Tensor};

use super::launch::{Grid, Image, address, empty, image, lanes, launch, suffix};

const IMAGE: Image = image!("dropout");

/// `x` with each element dropped with probability `p` (0 to under 1). Its own backward: apply it to dy with the same key.
pub fn apply(x: &Tensor, p: f64, key: u64) -> Result<Tensor> {
    let (threshold, scale) = ((p * 2f64.powi(32)) as u32, (1.0 / (1.0 - p)) as f32);
    let y = empty(x.shape(), x.dtype(), x.device())?;
    let (from, to, n) = (address(x)?, address(&y)?, x.elem_count());
    let v = lanes(x.dtype(), &[n], &[from, to]);
    let args = [from, to, n.into(), threshold.into(), scale.into(), key.into()];
    // SAFETY: both have n elements.
    unsafe { launch(x.device(), &IMAGE, &format!("dropout{}", suffix(x.dtype(), v)), Grid::over(n / v), &args)? };
    Ok(y)
}
