//! GELU (tanh form) and SwiGLU.

use candle_core::{Result, Tensor, bail};

use super::launch::{Grid, Image, address, empty, image, lanes, launch, suffix};

const IMAGE: Image = image!("activation");

/// Element by element.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    let y = empty(x.shape(), x.dtype(), x.device())?;
    let (from, to, n) = (address(x)?, address(&y)?, x.elem_count());
    let v = lanes(x.dtype(), &[n], &[from, to]);
    let name = format!("gelu{}", suffix(x.dtype(), v));
    // SAFETY: both have n elements.
    unsafe { launch(x.device(), &IMAGE, &name, Grid::over(n / v), &[from, to, n.into()])? };
    Ok(y)
}

/// The gradient of x.
pub fn gelu_backward(dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    check_same(dy, x, x.elem_count())?;
    let dx = empty(x.shape(), x.dtype(), x.device())?;
    let (d, from, to, n) = (address(dy)?, address(x)?, address(&dx)?, x.elem_count());
    let v = lanes(x.dtype(), &[n], &[d, from, to]);
    let name = format!("gelu_backward{}", suffix(x.dtype(), v));
    // SAFETY: all three have n elements.
    unsafe { launch(x.device(), &IMAGE, &name, Grid::over(n / v), &[d, from, to, n.into()])? };
    Ok(dx)
}

/// gate_up (N, 2I) -> y (N, I).
pub fn swiglu(gate_up: &Tensor) -> Result<Tensor> {
    let (rows, both) = gate_up.dims2()?;
    let (width, n) = (both / 2, rows * (both / 2));
    let y = empty((rows, width), gate_up.dtype(), gate_up.device())?;
    let (from, to) = (address(gate_up)?, address(&y)?);
    let v = lanes(y.dtype(), &[width], &[from, to]);
    let name = format!("swiglu{}", suffix(y.dtype(), v));
    // SAFETY: n elements are written, twice as many read.
    unsafe { launch(y.device(), &IMAGE, &name, Grid::over(n / v), &[from, to, n.into(), width.into()])? };
    Ok(y)
}

/// dy (N, I) -> the gradient of gate_up (N, 2I).
pub fn swiglu_backward(dy: &Tensor, gate_up: &Tensor) -> Result<Tensor> {
    let (n, width) = (dy.elem_count(), dy.dim(1)?);
    check_same(dy, gate_up, 2 * n)?;
    let dx = empty(gate_up.shape(), gate_up.dtype(), gate_up.device())?;
    let (d, from, to) = (address(dy)?, address(gate_up)?, address(&dx)?);
    let v = lanes(dy.dtype(), &[width], &[d, from, to]);
    let name = format!("swiglu_backward{}", suffix(dy.dtype(), v));
    // SAFETY: n elements of dy, twice as many of gate_up and its gradient.
    unsafe { launch(dy.device(), &IMAGE, &name, Grid::over(n / v), &[d, from, to, n.into(), width.into()])? };
    Ok(dx)
}

fn check_same(dy: &Tensor, x: &Tensor, elements: usize) -> Result<()> {
    if dy.dtype() != x.dtype() || x.elem_count() != elements {
        bail!("a gradient {:?} {:?} does not fit {:?} {:?}", dy.dtype(), dy.shape(), x.dtype(), x.shape());
    }
    Ok(())
}
