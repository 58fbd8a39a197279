//! GELU (tanh form) and SwiGLU.

use candle_core::{Result, Tensor, bail};

use super::launch::{Grid, Image, address, empty, image, lanes, launch, rows, suffix};

const IMAGE: Image = image!("activation");
const THREADS: usize = 256;

/// x (N, I) -> y, the first I columns of (N, I + room); the others are left unwritten.
pub fn gelu(x: &Tensor, room: usize) -> Result<Tensor> {
    forward("gelu", x, x.dim(1)?, room)
}

/// gate_up (N, 2I) -> y, the first I columns of (N, I + room); the others are left unwritten.
pub fn swiglu(gate_up: &Tensor, room: usize) -> Result<Tensor> {
    forward("swiglu", gate_up, gate_up.dim(1)? / 2, room)
}

/// The gradient of x (N, I) in its place; and in that of dy (N, I), whose rows may lie apart, what forward gave, if it is wanted `again`.
pub fn gelu_backward(dy: &Tensor, x: &Tensor, again: bool) -> Result<()> {
    backward("gelu_backward", dy, x, 1, again)
}

/// The gradient of gate_up (N, 2I) in its place; and in that of dy (N, I), whose rows may lie apart, what forward gave, if it is wanted
/// `again`.
pub fn swiglu_backward(dy: &Tensor, gate_up: &Tensor, again: bool) -> Result<()> {
    backward("swiglu_backward", dy, gate_up, 2, again)
}

fn forward(kernel: &str, x: &Tensor, width: usize, room: usize) -> Result<Tensor> {
    let n = x.dim(0)?;
    let y = empty((n, width + room), x.dtype(), x.device())?;
    let (from, to) = (address(x)?, address(&y)?);
    let v = lanes(x.dtype(), &[width, width + room], &[from, to]);
    let args = [from, to, width.into(), (width + room).into()];
    // SAFETY: n rows; the first `width` columns of y are written.
    unsafe { launch(x.device(), &IMAGE, &format!("{kernel}{}", suffix(x.dtype(), v)), grid(n, width, v), &args)? };
    Ok(y)
}

fn backward(kernel: &str, dy: &Tensor, x: &Tensor, halves: usize, again: bool) -> Result<()> {
    let (n, width) = dy.dims2()?;
    if dy.dtype() != x.dtype() || x.dims() != [n, halves * width] {
        bail!("a gradient {:?} {:?} does not fit {:?} {:?}", dy.dtype(), dy.shape(), x.dtype(), x.shape());
    }
    let ((d, stride), at) = (rows(dy)?, address(x)?);
    let v = lanes(dy.dtype(), &[width, stride], &[d, at]);
    let args = [d, at, width.into(), stride.into(), u32::from(again).into()];
    // SAFETY: n rows of dy, `stride` apart, and of x.
    unsafe { launch(x.device(), &IMAGE, &format!("{kernel}{}", suffix(x.dtype(), v)), grid(n, width, v), &args) }
}

fn grid(n: usize, width: usize, v: usize) -> Grid {
    Grid { blocks: (n, width.div_ceil(THREADS * v)), threads: THREADS, shared: 0 }
}
