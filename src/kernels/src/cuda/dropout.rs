//! Dropout whose mask is a pure function of a key and the element's index: the CPU's mask, made where it is used.

use candle_core::{Result, Tensor, bail};

use super::launch::{Grid, Image, empty, image, lanes, launch, rows, suffix};

const IMAGE: Image = image!("dropout");
const THREADS: usize = 256;

/// `x` (N, C), whose rows may lie apart, with each element dropped with probability `p` (0 to under 1). Its own backward: apply it to dy
/// with the same key.
pub fn apply(x: &Tensor, p: f64, key: u64) -> Result<Tensor> {
    let y = empty(x.shape(), x.dtype(), x.device())?;
    run(&y, x, p, key, false)?;
    Ok(y)
}

/// `into += apply(x)`, in the memory of `into` (N, C), whose rows may lie apart.
pub fn add(into: &Tensor, x: &Tensor, p: f64, key: u64) -> Result<()> {
    run(into, x, p, key, true)
}

fn run(y: &Tensor, x: &Tensor, p: f64, key: u64, add: bool) -> Result<()> {
    let (n, width) = x.dims2()?;
    if y.shape() != x.shape() || y.dtype() != x.dtype() {
        bail!("dropout of {:?} {:?} does not fit {:?} {:?}", x.dtype(), x.shape(), y.dtype(), y.shape());
    }
    let (threshold, scale) = ((p * 2f64.powi(32)) as u32, (1.0 / (1.0 - p)) as f32);
    let ((from, x_stride), (to, y_stride)) = (rows(x)?, rows(y)?);
    let v = lanes(x.dtype(), &[width, x_stride, y_stride], &[from, to]);
    let sizes = [width.into(), x_stride.into(), y_stride.into(), threshold.into(), scale.into(), key.into(), u32::from(add).into()];
    let grid = Grid { blocks: (n, width.div_ceil(THREADS * v)), threads: THREADS, shared: 0 };
    let args = [&[from, to][..], &sizes].concat();
    // SAFETY: n rows of `width` elements in both.
    unsafe { launch(x.device(), &IMAGE, &format!("dropout{}", suffix(x.dtype(), v)), grid, &args) }
}
