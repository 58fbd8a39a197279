//! RMSNorm and LayerNorm, their statistics in f32.

use candle_core::{DType, Result, Tensor, bail};

use super::launch::{Grid, Image, address, empty, image, lanes, launch, optional, rows, suffix, wide};
use super::pointwise::Shares;
use super::precision::multiplies;

const IMAGE: Image = image!("norm");
const STAGED: Image = image!("norm_sums");
const THREADS: usize = 256;
/// Pieces of 16 bytes of a row that each lane of a warp holds at most, and the threads of its block: as norm.cu has them.
const HELD: usize = 8;
const HELD_THREADS: usize = 128;
/// Blocks that run at the same time. With sums over the rows a block takes as many rows as keep all blocks to these; norm.cu's up to twice
/// its warps.
const BLOCKS: usize = 264;
/// Rows narrower than this are held by the threads of a block of norm_sums.cu, in the shared memory that a kernel has unasked: at this
/// width it would be a few bytes short.
const STAGED_WIDTH: usize = THREADS * 8;
/// Rows that a block of it takes at least, if that leaves each multiprocessor one: the sums it leaves are to be added up too.
const STAGED_ROWS: usize = 4;

/// x (N, C), w (C), and b (C) for LayerNorm; without it RMSNorm. -> y, the first C columns of (N, C + room), of which the others are left
/// unwritten, and figures of each row in f32: r (N, 1), or mean and r (N, 2).
pub fn forward(x: &Tensor, w: &Tensor, b: Option<&Tensor>, eps: f64, room: usize) -> Result<(Tensor, Tensor)> {
    let (n, c) = check(x, w)?;
    if b.is_some_and(|b| b.dtype() != x.dtype() || b.dims() != [c]) {
        bail!("a norm of {:?} {:?} cannot take a bias {:?}", x.dtype(), x.shape(), b.map(Tensor::shape));
    }
    let y = wide(n, c, room, x.dtype(), x.device())?;
    let (to, stride) = rows(&y)?;
    let saved = empty((n, if b.is_some() { 2 } else { 1 }), DType::F32, x.device())?;
    let mut places = vec![address(x)?, address(w)?];
    places.extend(b.map(address).transpose()?);
    places.push(to);
    let v = lanes(x.dtype(), &[c, stride], &places);
    let sizes = [address(&saved)?, c.into(), stride.into(), (eps as f32).into()];
    let held = b.is_some() && v > 1 && c <= HELD * 32 * v;
    let (kernel, grid) = match b {
        Some(_) if held => ("layer_norm_held", Grid::rows(n.div_ceil(HELD_THREADS / 32), HELD_THREADS)),
        Some(_) => ("layer_norm", Grid::rows(n, THREADS)),
        None => ("rms_norm", Grid::rows(n, THREADS)),
    };
    let rows = held.then(|| n.into());
    let args: Vec<_> = places.into_iter().chain(sizes).chain(rows).collect();
    // SAFETY: n rows of c elements, a block or a warp each.
    unsafe { launch(x.device(), &IMAGE, &format!("{kernel}{}", suffix(x.dtype(), v)), grid, &args)? };
    Ok((y, saved))
}

/// What is wanted of a norm's backward beside dx.
#[derive(Debug, Clone, Copy, Default)]
pub struct Want {
    /// The gradients of w and b.
    pub weights: bool,
    /// The sums of dx over its rows: the gradient of a bias that was added to what dx is the gradient of.
    pub sums: bool,
    /// What forward gave.
    pub again: bool,
}

/// What a norm's backward gives; its sums over rows once they are added up.
#[derive(Debug)]
pub struct Gradients {
    /// (N, C)
    pub dx: Tensor,
    /// Of w (C) in f32.
    pub dw: Option<Tensor>,
    /// Of b (C) in f32.
    pub db: Option<Tensor>,
    /// (C) in f32.
    pub sums: Option<Tensor>,
    /// (N, C)
    pub again: Option<Tensor>,
}

/// dy (N, C), whose rows may lie apart; x, saved, w and b as forward had them. `residual` (N, C) is added to dx. What is to be summed over
/// rows is left in `shares`.
pub fn backward(
    dy: &Tensor,
    x: &Tensor,
    saved: &Tensor,
    (w, b): (&Tensor, Option<&Tensor>),
    residual: Option<&Tensor>,
    want: Want,
    shares: &mut Vec<Shares>,
) -> Result<Gradients> {
    let (n, c) = check(x, w)?;
    check(dy, w)?;
    if dy.dim(0)? != n || residual.is_some_and(|residual| residual.shape() != x.shape() || residual.dtype() != x.dtype()) {
        bail!("a gradient {:?} does not fit a norm of {:?}", dy.shape(), x.shape());
    }
    let device = x.device();
    let dx = empty((n, c), x.dtype(), device)?;
    let again = if want.again { Some(empty((n, c), x.dtype(), device)?) } else { None };
    let (d, stride) = rows(dy)?;
    let places = [d, address(x)?, address(w)?, optional(b)?];
    let more = [optional(residual)?, address(&dx)?, optional(again.as_ref())?];
    let v = lanes(x.dtype(), &[c, stride], &[&places[..], &more].concat());
    let of_weights = if want.weights { 1 + usize::from(b.is_some()) } else { 0 };
    let kinds = of_weights + usize::from(want.sums);
    let norm = if b.is_some() { "layer" } else { "rms" };
    let staged = kinds > 0 && !want.again && x.dtype() == DType::BF16 && v > 1 && c < STAGED_WIDTH && multiplies(DType::BF16, device)?;
    let (image, kernel, a_block, shared) = if staged {
        // Two stages of two rows of three matrices.
        (&STAGED, "_staged", n.div_ceil(BLOCKS).max((n / (BLOCKS / 2)).clamp(1, STAGED_ROWS)), 2 * 2 * 3 * c * 2)
    } else if kinds > 0 {
        let fits = [1, 2, 4, 8].into_iter().find(|rows| n.div_ceil(*rows) <= BLOCKS);
        (&IMAGE, "_sums", fits.unwrap_or(16), 0)
    } else {
        (&IMAGE, "", 1, 0)
    };
    let suffix = if staged { "" } else { suffix(x.dtype(), v) };
    let blocks = n.div_ceil(a_block);
    let partials = if kinds == 0 { None } else { Some(empty((blocks, kinds * c), DType::F32, device)?) };
    let sizes = [n.into(), c.into(), stride.into(), a_block.into(), u32::from(want.weights).into(), u32::from(want.sums).into()];
    let args = [&places[..], &[address(saved)?], &more, &[optional(partials.as_ref())?], &sizes].concat();
    let grid = Grid { blocks: (blocks, 1), threads: THREADS, shared };
    // SAFETY: n rows of c elements, and `kinds` rows of sums a block.
    unsafe { launch(device, image, &format!("{norm}_norm_backward{kernel}{suffix}"), grid, &args)? };
    let mut totals = vec![];
    if let Some(partials) = partials {
        let share;
        (share, totals) = Shares::new(partials, c)?;
        shares.push(share);
    }
    let mut totals = totals.into_iter();
    let mut next = |wanted: bool| if wanted { totals.next() } else { None };
    Ok(Gradients { dx, dw: next(want.weights), db: next(want.weights && b.is_some()), sums: next(want.sums), again })
}

fn check(x: &Tensor, w: &Tensor) -> Result<(usize, usize)> {
    let (n, c) = x.dims2()?;
    if w.dims() != [c] || w.dtype() != x.dtype() {
        bail!("a norm of {:?} {:?} cannot take {:?} {:?}", w.dtype(), w.shape(), x.dtype(), x.shape());
    }
    Ok((n, c))
}
