//! RMSNorm and LayerNorm, their statistics in f32.

use candle_core::{DType, Result, Tensor, bail};

use super::launch::{Arg, Grid, Image, address, empty, image, lanes, launch, optional, suffix};
use super::pointwise::{ROWS, column_totals};

const IMAGE: Image = image!("norm");
const THREADS: usize = 256;

/// x (N, C), w (C) -> y (N, C), r (N, 1) in f32.
pub fn rms(x: &Tensor, w: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
    let (n, c) = check(x, w)?;
    let (y, saved) = (empty((n, c), x.dtype(), x.device())?, empty((n, 1), DType::F32, x.device())?);
    let (a, b, to) = (address(x)?, address(w)?, address(&y)?);
    let v = lanes(x.dtype(), &[c], &[a, b, to]);
    let args = [a, b, to, address(&saved)?, c.into(), (eps as f32).into()];
    // SAFETY: n rows of c elements, a block each.
    unsafe { launch(x.device(), &IMAGE, &format!("rms_norm{}", suffix(x.dtype(), v)), Grid::rows(n, THREADS), &args)? };
    Ok((y, saved))
}

/// -> dx (N, C), and dw (C) in f32 if it is wanted.
pub fn rms_backward(dy: &Tensor, x: &Tensor, saved: &Tensor, w: &Tensor, want: bool) -> Result<(Tensor, Option<Tensor>)> {
    let dx = input_gradient("rms_norm_backward", dy, x, saved, w)?;
    let dw = if want { Some(weight_gradients(dy, x, saved, 1)?.0) } else { None };
    Ok((dx, dw))
}

/// x (N, C), w (C), b (C) -> y (N, C), and mean and r side by side (N, 2) in f32.
pub fn layer(x: &Tensor, w: &Tensor, b: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
    let (n, c) = check(x, w)?;
    check(x, b)?;
    let (y, saved) = (empty((n, c), x.dtype(), x.device())?, empty((n, 2), DType::F32, x.device())?);
    let (at, weight, bias, to) = (address(x)?, address(w)?, address(b)?, address(&y)?);
    let v = lanes(x.dtype(), &[c], &[at, weight, bias, to]);
    let args = [at, weight, bias, to, address(&saved)?, c.into(), (eps as f32).into()];
    // SAFETY: n rows of c elements, a block each.
    unsafe { launch(x.device(), &IMAGE, &format!("layer_norm{}", suffix(x.dtype(), v)), Grid::rows(n, THREADS), &args)? };
    Ok((y, saved))
}

/// -> dx (N, C), and dw and db (C each) in f32 if they are wanted.
pub fn layer_backward(dy: &Tensor, x: &Tensor, saved: &Tensor, w: &Tensor, want: bool) -> Result<(Tensor, Option<(Tensor, Tensor)>)> {
    let dx = input_gradient("layer_norm_backward", dy, x, saved, w)?;
    let gradients = if want { Some(weight_gradients(dy, x, saved, 2)?) } else { None };
    Ok((dx, gradients))
}

fn check(x: &Tensor, w: &Tensor) -> Result<(usize, usize)> {
    let (n, c) = x.dims2()?;
    if w.dims() != [c] || w.dtype() != x.dtype() {
        bail!("a norm of {:?} {:?} cannot take {:?} {:?}", w.dtype(), w.shape(), x.dtype(), x.shape());
    }
    Ok((n, c))
}

fn input_gradient(kernel: &str, dy: &Tensor, x: &Tensor, saved: &Tensor, w: &Tensor) -> Result<Tensor> {
    let (n, c) = check(x, w)?;
    check(dy, w)?;
    let dx = empty((n, c), x.dtype(), x.device())?;
    let (d, a, b, to) = (address(dy)?, address(x)?, address(w)?, address(&dx)?);
    let v = lanes(x.dtype(), &[c], &[d, a, b, to]);
    let args = [d, a, b, address(saved)?, to, c.into()];
    // SAFETY: n rows of c elements, a block each.
    unsafe { launch(x.device(), &IMAGE, &format!("{kernel}{}", suffix(x.dtype(), v)), Grid::rows(n, THREADS), &args)? };
    Ok(dx)
}

/// dw and db (C each); db means nothing where a row has one figure (RMSNorm).
fn weight_gradients(dy: &Tensor, x: &Tensor, saved: &Tensor, figures: usize) -> Result<(Tensor, Tensor)> {
    let (n, c) = x.dims2()?;
    let chunks = n.div_ceil(ROWS);
    let dw = empty((chunks, c), DType::F32, x.device())?;
    let db = if figures == 2 { Some(empty((chunks, c), DType::F32, x.device())?) } else { None };
    let grid = Grid { blocks: (c.div_ceil(32), chunks), threads: 256, shared: 0 };
    let sizes: [Arg; 4] = [n.into(), c.into(), ROWS.into(), figures.into()];
    let args = [&[address(dy)?, address(x)?, address(saved)?, address(&dw)?, optional(db.as_ref())?][..], &sizes].concat();
    // SAFETY: (n, c) elements are read, (chunks, c) written to each of the sums.
    unsafe { launch(x.device(), &IMAGE, &format!("norm_partials{}", suffix(x.dtype(), 1)), grid, &args)? };
    let dw = column_totals(&dw, x.device())?;
    let db = db.map_or(Ok(dw.clone()), |db| column_totals(&db, x.device()))?;
    Ok((dw, db))
}
