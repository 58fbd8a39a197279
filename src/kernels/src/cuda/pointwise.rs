//! Sums of activations: residuals, biases over rows, and sums of columns.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{Grid, Image, address, empty, image, lanes, launch, suffix};

const IMAGE: Image = image!("pointwise");

/// Rows that one block of a column's sum takes.
pub(super) const ROWS: usize = 128;

/// `into += x`, in the memory of `into`.
pub fn add(into: &Tensor, x: &Tensor) -> Result<()> {
    if into.shape() != x.shape() || into.dtype() != x.dtype() {
        bail!("cannot add {:?} {:?} to {:?} {:?}", x.dtype(), x.shape(), into.dtype(), into.shape());
    }
    let (to, from, n) = (address(into)?, address(x)?, into.elem_count());
    let v = lanes(into.dtype(), &[n], &[to, from]);
    let name = format!("add{}", suffix(into.dtype(), v));
    // SAFETY: both have n elements.
    unsafe { launch(into.device(), &IMAGE, &name, Grid::over(n / v), &[to, from, n.into()]) }
}

/// Adds `bias` (C) to each row of `into` (N, C), in its memory.
pub fn add_bias(into: &Tensor, bias: &Tensor) -> Result<()> {
    let (n, c) = (into.elem_count(), bias.dim(0)?);
    if into.dim(1)? != c || into.dtype() != bias.dtype() {
        bail!("cannot add a bias {:?} to {:?}", bias.shape(), into.shape());
    }
    let (to, from) = (address(into)?, address(bias)?);
    let v = lanes(into.dtype(), &[c], &[to, from]);
    let name = format!("add_bias{}", suffix(into.dtype(), v));
    // SAFETY: n elements in rows of c.
    unsafe { launch(into.device(), &IMAGE, &name, Grid::over(n / v), &[to, from, n.into(), c.into()]) }
}

/// Sums over the rows of x (N, C): (C) in f32.
pub fn column_sums(x: &Tensor) -> Result<Tensor> {
    let (n, c) = x.dims2()?;
    let chunks = n.div_ceil(ROWS).max(1);
    let partials = empty((chunks, c), DType::F32, x.device())?;
    let grid = Grid { blocks: (c.div_ceil(32), chunks), threads: 256, shared: 0 };
    let args = [address(x)?, address(&partials)?, n.into(), c.into(), ROWS.into()];
    // SAFETY: (n, c) elements are read, (chunks, c) written.
    unsafe { launch(x.device(), &IMAGE, &format!("column_partials{}", suffix(x.dtype(), 1)), grid, &args)? };
    column_totals(&partials, x.device())
}

/// Sums of the columns of f32 partial sums (chunks, C), in order.
pub(super) fn column_totals(partials: &Tensor, device: &Device) -> Result<Tensor> {
    let (chunks, c) = partials.dims2()?;
    let sums = empty(c, DType::F32, device)?;
    let args = [address(partials)?, address(&sums)?, chunks.into(), c.into()];
    // SAFETY: (chunks, c) elements are read, c written.
    unsafe { launch(device, &IMAGE, "column_totals", Grid::over(c), &args)? };
    Ok(sums)
}
