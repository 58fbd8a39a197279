//! A few rows times a matrix at the speed of memory, as decoding has them.

use candle_core::{Result, Tensor, bail};

use super::launch::{Grid, Image, address, empty, image, lanes, launch, suffix};

const IMAGE: Image = image!("gemv");

/// The most rows at a time; more are cuBLAS's.
pub const ROWS: usize = 4;

/// x (B, K), w (N, K) -> x w^T (B, N), or `None` for more than [`ROWS`] rows and for rows that do not start at 16-byte boundaries.
pub fn rows(x: &Tensor, w: &Tensor) -> Result<Option<Tensor>> {
    let ((b, k), (n, depth)) = (x.dims2()?, w.dims2()?);
    if k != depth || x.dtype() != w.dtype() {
        bail!("cannot multiply {:?} {:?} by {:?} {:?}", x.dtype(), x.shape(), w.dtype(), w.shape());
    }
    if b == 0 || b > ROWS || !x.is_contiguous() || !w.is_contiguous() || lanes(x.dtype(), &[k], &[address(x)?, address(w)?]) == 1 {
        return Ok(None);
    }
    let y = empty((b, n), x.dtype(), x.device())?;
    let args = [address(x)?, address(w)?, address(&y)?, n.into(), k.into()];
    let grid = Grid { blocks: (n.div_ceil(4), 1), threads: 128, shared: 0 };
    // SAFETY: a warp each of n columns; rows of x and w are k long.
    unsafe { launch(x.device(), &IMAGE, &format!("gemv_{b}{}", suffix(x.dtype(), 1)), grid, &args)? };
    Ok(Some(y))
}
