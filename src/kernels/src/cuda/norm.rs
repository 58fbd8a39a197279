//! RMSNorm and LayerNorm, their statistics in f32.

use candle_core::{DType, Result, Tensor, bail};

use super::launch::{Arg, Grid, Image, address, empty, image, lanes, launch, optional, rows, suffix};
use super::pointwise::{ROWS, column_totals};

const IMAGE: Image = image!("norm");
const THREADS: usize = 256;

/// A row's input: x itself, or x + more, whose sum is wanted too.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub x: &'a Tensor,
    pub more: Option<&'a Tensor>,
}

/// What a norm's forward gives.
#[derive(Debug)]
pub struct Normed {
    /// (N, C + room), of which the first C columns are written.
    pub y: Tensor,
    /// Figures of each row in f32: r (N, 1), or mean and r (N, 2).
    pub saved: Tensor,
    /// x + more (N, C), if there was more.
    pub sum: Option<Tensor>,
}

/// Input (N, C), w (C), and b (C) for LayerNorm; without it RMSNorm.
pub fn forward(input: Input, w: &Tensor, b: Option<&Tensor>, eps: f64, room: usize) -> Result<Normed> {
    let x = input.x;
    let (n, c) = check(x, w)?;
    for other in b.into_iter().chain(input.more) {
        if other.dtype() != x.dtype() || other.elem_count() % c != 0 {
            bail!("a norm of {:?} {:?} cannot take {:?} {:?}", x.dtype(), x.shape(), other.dtype(), other.shape());
        }
    }
    if input.more.is_some_and(|more| more.shape() != x.shape()) {
        bail!("{:?} cannot be added to {:?}", input.more.map(Tensor::shape), x.shape());
    }
    let sum = if input.more.is_some() { Some(empty((n, c), x.dtype(), x.device())?) } else { None };
    let y = empty((n, c + room), x.dtype(), x.device())?;
    let saved = empty((n, if b.is_some() { 2 } else { 1 }), DType::F32, x.device())?;
    let mut places = vec![address(x)?, optional(input.more)?, optional(sum.as_ref())?, address(w)?];
    places.extend(b.map(address).transpose()?);
    places.push(address(&y)?);
    let v = lanes(x.dtype(), &[c, c + room], &places);
    let sizes = [address(&saved)?, c.into(), (c + room).into(), (eps as f32).into()];
    let name = format!("{}{}", if b.is_some() { "layer_norm" } else { "rms_norm" }, suffix(x.dtype(), v));
    // SAFETY: n rows of c elements, a block each.
    unsafe { launch(x.device(), &IMAGE, &name, Grid::rows(n, THREADS), &[&places[..], &sizes].concat())? };
    Ok(Normed { y, saved, sum })
}

/// What a norm's backward gives.
#[derive(Debug)]
pub struct Gradients {
    /// (N, C)
    pub dx: Tensor,
    /// Of w and b (C each) in f32, if they are wanted; that of b means nothing for RMSNorm.
    pub weights: Option<(Tensor, Tensor)>,
    /// What forward gave (N, C), if it is wanted.
    pub again: Option<Tensor>,
}

/// dy (N, C), whose rows may lie apart; x, saved, w and b as forward had them. `residual` (N, C) is added to dx.
pub fn backward(
    dy: &Tensor,
    x: &Tensor,
    saved: &Tensor,
    (w, b): (&Tensor, Option<&Tensor>),
    residual: Option<&Tensor>,
    want_weights: bool,
    want_again: bool,
) -> Result<Gradients> {
    let (n, c) = check(x, w)?;
    check(dy, w)?;
    if dy.dim(0)? != n || residual.is_some_and(|residual| residual.shape() != x.shape() || residual.dtype() != x.dtype()) {
        bail!("a gradient {:?} does not fit a norm of {:?}", dy.shape(), x.shape());
    }
    let dx = empty((n, c), x.dtype(), x.device())?;
    let again = if want_again { Some(empty((n, c), x.dtype(), x.device())?) } else { None };
    let (d, stride) = rows(dy)?;
    let places = [d, address(x)?, address(w)?, optional(b)?];
    let more = [optional(residual)?, address(&dx)?, optional(again.as_ref())?];
    let v = lanes(x.dtype(), &[c, stride], &[&places[..], &more].concat());
    let name = format!("{}{}", if b.is_some() { "layer_norm_backward" } else { "rms_norm_backward" }, suffix(x.dtype(), v));
    let args = [&places[..], &[address(saved)?], &more, &[c.into(), stride.into()]].concat();
    // SAFETY: n rows of c elements, a block each.
    unsafe { launch(x.device(), &IMAGE, &name, Grid::rows(n, THREADS), &args)? };
    let weights = if want_weights { Some(weight_gradients(dy, x, saved, if b.is_some() { 2 } else { 1 })?) } else { None };
    Ok(Gradients { dx, weights, again })
}

fn check(x: &Tensor, w: &Tensor) -> Result<(usize, usize)> {
    let (n, c) = x.dims2()?;
    if w.dims() != [c] || w.dtype() != x.dtype() {
        bail!("a norm of {:?} {:?} cannot take {:?} {:?}", w.dtype(), w.shape(), x.dtype(), x.shape());
    }
    Ok((n, c))
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
