//! Rotary position embedding, in place on the packed q/k/v rows.

use candle_core::{DType, Result, Tensor, bail};

use super::launch::{Grid, Image, Lists, address, image, lanes, launch, suffix};
use crate::rope::Turn;

const IMAGE: Image = image!("rope");

static POSITIONS: Lists<Vec<u32>> = Lists::new();

/// Rotates the first `heads` heads of size `d` in each row of x (N, stride), in its memory. `cos` and `sin` are (positions, D/2);
/// every one of `positions` must be below their length.
pub fn rotate(x: &Tensor, heads: usize, d: usize, positions: &[u32], cos: &Tensor, sin: &Tensor, turn: Turn) -> Result<()> {
    let (n, stride) = x.dims2()?;
    let half = d / 2;
    let table = cos.dim(0)?;
    if heads * d > stride || positions.len() != n || cos.dims() != [table, half] || sin.dims() != [table, half] {
        bail!("rotary tables {:?} do not fit {heads} heads of {d} in {:?}", cos.shape(), x.shape());
    }
    if positions.iter().max().is_some_and(|&position| position as usize >= table) {
        bail!("a position lies beyond the {table} of the rotary tables");
    }
    let positions = POSITIONS.get(positions.to_vec(), x.device(), |positions| Tensor::new(&positions[..], x.device()))?;
    let places = [address(x)?, address(&positions)?, address(cos)?, address(sin)?];
    let wide = lanes(DType::F32, &[half, stride], &places) > 1;
    let items = n * heads * half / if wide { 4 } else { 1 };
    if items > u32::MAX as usize {
        bail!("{n} rows of {heads} heads are too many to rotate at once");
    }
    let sign = if turn == Turn::Forward { 1f32 } else { -1.0 };
    let sizes = [items.into(), stride.into(), heads.into(), half.into(), sign.into()];
    let args = [&places[..], &sizes].concat();
    // SAFETY: rows, heads, pairs and positions were checked against the shapes.
    unsafe { launch(x.device(), &IMAGE, &format!("rope{}", suffix(x.dtype(), if wide { 4 } else { 1 })), Grid::over(items), &args) }
}
