//! Random weights, made where they are used: 8 billion draws on the host take over a minute.

use candle_core::{DType, Device, Result, Shape, Tensor, bail};

use super::launch::{Grid, Image, address, empty, image, launch, suffix};

const IMAGE: Image = image!("normal");

/// Draws of a normal distribution with mean 0: a function of `key` and the element's index alone.
pub fn normal(shape: impl Into<Shape>, std: f64, key: u64, dtype: DType, device: &Device) -> Result<Tensor> {
    if !matches!(dtype, DType::F32 | DType::BF16 | DType::F16) {
        bail!("normal draws are made in f32, bf16 or f16, not {dtype:?}");
    }
    let out = empty(shape, dtype, device)?;
    let n = out.elem_count();
    let args = [address(&out)?, n.into(), (std as f32).into(), key.into()];
    // SAFETY: the kernel writes the n elements of `out`.
    unsafe { launch(device, &IMAGE, &format!("normal{}", suffix(dtype, 1)), Grid::over(n.div_ceil(2)), &args)? };
    Ok(out)
}
