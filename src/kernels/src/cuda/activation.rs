//! GELU (tanh form) and SwiGLU.

use candle_core::{DType, Result, Tensor, bail};

use super::launch::{Grid, Image, address, empty, image, lanes, launch, optional, rows, suffix, wide};
use super::pointwise::Shares;
use super::precision::multiplies;

const IMAGE: Image = image!("activation");
const THREADS: usize = 256;
/// Blocks that keep all multiprocessors busy: with sums over the rows each takes several rows, up to 16, since what it leaves is to be added
/// up too.
const ENOUGH_BLOCKS: usize = 264;
/// Rows and columns that a block takes where it adds a product.
const ROWS: usize = 16;
const COLUMNS: usize = 2 * THREADS;
/// Up to this K it pays: 2,048 rows of 14,336 columns take an H200 93 us at 16, and 10 more for each further 16; the pass that is saved
/// takes 35 to 55.
const DEEPEST: usize = 64;

/// x (N, I) -> y, the first I columns of (N, I + room); the others are left unwritten.
pub fn gelu(x: &Tensor, room: usize) -> Result<Tensor> {
    forward("gelu", x, x.dim(1)?, room)
}

/// gate_up (N, 2I) -> y, the first I columns of (N, I + room); the others are left unwritten.
pub fn swiglu(gate_up: &Tensor, room: usize) -> Result<Tensor> {
    forward("swiglu", gate_up, gate_up.dim(1)? / 2, room)
}

/// The gradient of x (N, I) in its place; and in that of dy (N, I), whose rows may lie apart, what forward gave, if it is wanted
/// `again`. With `shares`, what will be the sums of the gradient over its rows (I) in f32 once they are added up.
pub fn gelu_backward(dy: &Tensor, x: &Tensor, again: bool, shares: Option<&mut Vec<Shares>>) -> Result<Option<Tensor>> {
    let (n, width) = dy.dims2()?;
    if dy.dtype() != x.dtype() || x.dims() != [n, width] {
        bail!("a gradient {:?} {:?} does not fit {:?} {:?}", dy.dtype(), dy.shape(), x.dtype(), x.shape());
    }
    let ((d, stride), at) = (rows(dy)?, address(x)?);
    let v = lanes(dy.dtype(), &[width, stride], &[d, at]);
    // A row's lanes shared out evenly over its blocks.
    let blocks_a_row = (width / v).div_ceil(THREADS);
    let threads = (width / v).div_ceil(blocks_a_row).next_multiple_of(32);
    let a_block = if shares.is_some() { (n * blocks_a_row / ENOUGH_BLOCKS).clamp(1, 16) } else { 2 };
    let blocks = n.div_ceil(a_block);
    let partials = if shares.is_some() { Some(empty((blocks, width), DType::F32, x.device())?) } else { None };
    let args = [d, at, optional(partials.as_ref())?, n.into(), width.into(), stride.into(), a_block.into(), u32::from(again).into()];
    let grid = Grid { blocks: (blocks, blocks_a_row), threads, shared: 0 };
    // SAFETY: n rows of dy, `stride` apart, and of x; a row of sums for each block of rows.
    unsafe { launch(x.device(), &IMAGE, &format!("gelu_backward{}", suffix(x.dtype(), v)), grid, &args)? };
    let (Some(shares), Some(partials)) = (shares, partials) else { return Ok(None) };
    let (share, mut sums) = Shares::new(partials, width)?;
    shares.push(share);
    Ok(Some(sums.remove(0)))
}

/// The gradient of gate_up (N, 2I) in its place; and in that of dy (N, I), whose rows may lie apart, what forward gave, if it is wanted
/// `again`.
pub fn swiglu_backward(dy: &Tensor, gate_up: &Tensor, again: bool) -> Result<()> {
    let (n, width) = dy.dims2()?;
    if dy.dtype() != gate_up.dtype() || gate_up.dims() != [n, 2 * width] {
        bail!("a gradient {:?} {:?} does not fit {:?} {:?}", dy.dtype(), dy.shape(), gate_up.dtype(), gate_up.shape());
    }
    let ((d, stride), at) = (rows(dy)?, address(gate_up)?);
    let v = lanes(dy.dtype(), &[width, stride], &[d, at]);
    let args = [d, at, width.into(), stride.into(), u32::from(again).into()];
    // SAFETY: n rows of dy, `stride` apart, and of gate_up.
    unsafe { launch(dy.device(), &IMAGE, &format!("swiglu_backward{}", suffix(dy.dtype(), v)), grid(n, width, v), &args) }
}

/// [`swiglu_backward`] from `dy + dh a`: dh (N, K), whose rows may lie apart, and a (K, I). So an adapter's part of a gradient needs no
/// pass over memory of its own. Only where [`adds_product`] says so.
pub fn swiglu_backward_with(dy: &Tensor, dh: &Tensor, a: &Tensor, gate_up: &Tensor, again: bool) -> Result<()> {
    let ((n, width), depth) = (dy.dims2()?, dh.dim(1)?);
    if dh.dim(0)? != n || a.dims() != [depth, width] || gate_up.dims() != [n, 2 * width] || !adds_product(dy, dh, a, gate_up)? {
        bail!("{:?} and {:?} times {:?} cannot be added up for SwiGLU of {:?}", dy.shape(), dh.shape(), a.shape(), gate_up.shape());
    }
    let ((d, stride), (h, h_stride)) = (rows(dy)?, rows(dh)?);
    let places = [d, h, address(a)?, address(gate_up)?];
    let sizes = [n.into(), width.into(), depth.into(), stride.into(), h_stride.into(), u32::from(again).into()];
    let grid = Grid { blocks: (width.div_ceil(COLUMNS), n.div_ceil(ROWS)), threads: THREADS, shared: 0 };
    // SAFETY: n rows of dy, dh and gate_up, and `depth` of a, `width` columns each; of dy and dh as far apart as they are.
    unsafe { launch(dy.device(), &IMAGE, &format!("swiglu_backward_with{}", suffix(dy.dtype(), 1)), grid, &[&places[..], &sizes].concat()) }
}

/// Whether [`swiglu_backward_with`] takes these: f16, or bf16 where that is multiplied, K a multiple of 8 up to 64, and all rows at 16-byte
/// boundaries.
pub fn adds_product(dy: &Tensor, dh: &Tensor, a: &Tensor, gate_up: &Tensor) -> Result<bool> {
    let all = [dy, dh, a, gate_up];
    let (width, depth) = (dy.dim(1)?, dh.dim(1)?);
    let dtype = dy.dtype();
    if depth > DEEPEST || !all.iter().all(|t| t.device().is_cuda() && t.dtype() == dtype) || !multiplies(dtype, dy.device())? {
        return Ok(false);
    }
    let ((d, stride), (h, h_stride)) = (rows(dy)?, rows(dh)?);
    Ok(lanes(dtype, &[width, depth, stride, h_stride], &[d, h, address(a)?, address(gate_up)?]) > 1)
}

fn forward(kernel: &str, x: &Tensor, width: usize, room: usize) -> Result<Tensor> {
    let n = x.dim(0)?;
    let y = wide(n, width, room, x.dtype(), x.device())?;
    let (from, (to, stride)) = (address(x)?, rows(&y)?);
    let v = lanes(x.dtype(), &[width, stride], &[from, to]);
    let args = [from, to, width.into(), stride.into()];
    // SAFETY: n rows; the first `width` columns of y are written.
    unsafe { launch(x.device(), &IMAGE, &format!("{kernel}{}", suffix(x.dtype(), v)), grid(n, width, v), &args)? };
    Ok(y)
}

fn grid(n: usize, width: usize, v: usize) -> Grid {
    Grid { blocks: (n, width.div_ceil(THREADS * v)), threads: THREADS, shared: 0 }
}
