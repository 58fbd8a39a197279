//! A few rows times a matrix at the speed of memory, as decoding has them, with what stands behind a product in a block: a low-rank
//! adapter, bias, activation and residual. A row's result does not depend on the other rows.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{Arg, Grid, Image, address, empty, first, image, launch_early, optional};

const IMAGE: Image = image!("gemv");

/// Rows that share one reading of the weights; more are taken in turns.
const AT_ONCE: usize = 16;
/// Tiles of 16 columns up to which a block takes 16 warps in place of 8. It decides how sums are split, so it must not depend on the
/// rows, nor on the card.
const FEW_TILES: usize = 132;

/// From what depth on blocks share the making of an adapter's h: where they do they must meet, in the L2 cache. It decides how sums are
/// split too.
const SHARED_DEPTH: usize = 2048;
/// Blocks that do so at most.
const SHARES: usize = 16;

/// What is done to the sums and the bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Nothing = 0,
    Gelu = 1,
    /// `silu(gate) up`: the weight's first N rows make gate, the next N up.
    SwiGlu = 2,
}

/// `+ h b^T` with `h = x a^T` in the rows from `tuned_from` on, and 0 in those before.
#[derive(Debug, Clone, Copy)]
pub struct LowRank<'a> {
    /// (R, K); R is a multiple of 8.
    pub a: &'a Tensor,
    /// (N, R), or (2N, R) with SwiGLU.
    pub b: &'a Tensor,
    /// (B, R) for the kernel to write. In bf16 all its bits must be 1 before, which says that it is still to be made; in f32 it must be
    /// 0 in the rows before `tuned_from`.
    pub h: &'a Tensor,
    pub tuned_from: usize,
    pub scratch: &'a Scratch,
}

/// Device memory that products of one stream share.
#[derive(Debug)]
pub struct Scratch {
    partials: Tensor,
    tickets: Tensor,
}

impl Scratch {
    /// For adapters of up to `width` columns.
    pub fn new(width: usize, device: &Device) -> Result<Self> {
        let parts = width.div_ceil(16);
        // Of each part: 16 or 32 columns of up to 16 rows.
        Ok(Scratch { partials: empty(parts * SHARES * 512, DType::F32, device)?, tickets: Tensor::zeros(parts, DType::U32, device)? })
    }
}

/// `then(x w^T + bias) + residual`
#[derive(Debug, Clone, Copy)]
pub struct Product<'a> {
    /// (B, K)
    pub x: &'a Tensor,
    /// (N, K), or (2N, K) with SwiGLU; rows may lie apart.
    pub w: &'a Tensor,
    pub bias: Option<&'a Tensor>,
    /// (B, N)
    pub residual: Option<&'a Tensor>,
    pub then: Then,
    pub adapter: Option<LowRank<'a>>,
}

impl<'a> Product<'a> {
    /// `x w^T`
    pub fn new(x: &'a Tensor, w: &'a Tensor) -> Self {
        Product { x, w, bias: None, residual: None, then: Then::Nothing, adapter: None }
    }

    /// Writes y (B, N), in f32 or the type of x. `y` may be the residual itself.
    pub fn write(&self, y: &Tensor) -> Result<()> {
        self.check(y)?;
        let rows = self.x.dim(0)?;
        for from in (0..rows).step_by(AT_ONCE) {
            let count = AT_ONCE.min(rows - from);
            let part = |t: &Tensor| t.narrow(0, from, count);
            let residual = self.residual.map(part).transpose()?;
            let (x, y) = (part(self.x)?, part(y)?);
            let h = self.adapter.map(|adapter| part(adapter.h)).transpose()?;
            let adapter = self.adapter.zip(h.as_ref());
            let adapter = adapter.map(|(adapter, h)| LowRank { h, tuned_from: adapter.tuned_from.saturating_sub(from), ..adapter });
            let product = Product { x: &x, residual: residual.as_ref(), adapter, ..*self };
            if x.dtype() == DType::F32 { product.f32(&y)? } else { product.bf16(&y)? }
        }
        Ok(())
    }

    fn check(&self, y: &Tensor) -> Result<()> {
        let ((b, k), (n, depth), (rows, width)) = (self.x.dims2()?, self.w.dims2()?, y.dims2()?);
        let dtype = self.x.dtype();
        let fits = rows == b
            && depth == k
            && n == if self.then == Then::SwiGlu { 2 * width } else { width }
            && takes(dtype)
            && self.w.dtype() == dtype
            && (y.dtype() == dtype || y.dtype() == DType::F32)
            && self.bias.is_none_or(|bias| bias.dims() == [n] && bias.dtype() == dtype)
            && self.residual.is_none_or(|residual| residual.dims() == y.dims() && residual.dtype() == dtype)
            && readable(self.x, self.w)?;
        if !fits {
            bail!("{:?} {:?} times {:?} {:?} does not give {:?}", dtype, self.x.shape(), self.w.dtype(), self.w.shape(), y.shape());
        }
        if let Some(LowRank { a, b: up, h, scratch, .. }) = self.adapter {
            let r = a.dim(0)?;
            let right = r % 8 == 0
                && a.dims() == [r, k]
                && up.dims() == [n, r]
                && h.dims() == [b, r]
                && [a, up, h].iter().all(|t| t.dtype() == dtype)
                && r.div_ceil(16) <= scratch.tickets.elem_count()
                && readable(h, up)?
                && readable(self.x, a)?;
            if !right {
                bail!("{:?} does not take an adapter of {:?} and {:?}", self.x.shape(), a.shape(), up.shape());
            }
        }
        Ok(())
    }

    fn bf16(&self, y: &Tensor) -> Result<()> {
        let ((rows, k), n) = (self.x.dims2()?, y.dim(1)?);
        let step = if self.then == Then::SwiGlu { 8 } else { 16 };
        let few = n.div_ceil(step) <= FEW_TILES;
        // Wide tiles pay where there are many rows, and enough tiles for every multiprocessor.
        let tiles = if rows > 8 && n / step >= 384 { 2 } else { 1 };
        let shares = if k < SHARED_DEPTH { 1 } else { (k / 512).min(SHARES) };
        let parts = match self.adapter {
            None => 0,
            Some(adapter) => adapter.a.dim(0)?.div_ceil(16 * tiles) * shares,
        };
        let name = format!("gemv_{}x{}{}", if rows > 8 { 16 } else { 8 }, 16 * tiles, if few { "_deep" } else { "" });
        let grid = Grid { blocks: (n.div_ceil(step * tiles) + parts, 1), threads: if few { 512 } else { 256 }, shared: 0 };
        // SAFETY: `check` compared all shapes; weights are not written while decoding.
        unsafe { launch_early(y.device(), &IMAGE, &name, grid, &self.args(y, shares)?) }
    }

    fn f32(&self, y: &Tensor) -> Result<()> {
        let (rows, n) = (self.x.dim(0)?, y.dim(1)?);
        if let Some(adapter) = self.adapter.filter(|adapter| adapter.tuned_from < rows) {
            let tuned = |t: &Tensor| t.narrow(0, adapter.tuned_from, rows - adapter.tuned_from);
            Product::new(&tuned(self.x)?, adapter.a).f32(&tuned(adapter.h)?)?;
        }
        let step = if self.then == Then::SwiGlu { 8 } else { 16 };
        // SAFETY: as above.
        unsafe { launch_early(y.device(), &IMAGE, "gemv_f32", Grid::rows(n.div_ceil(step), 256), &self.args(y, 1)?) }
    }

    fn args(&self, y: &Tensor, shares: usize) -> Result<Vec<Arg>> {
        let ((rows, k), n) = (self.x.dims2()?, y.dim(1)?);
        let none = Arg::from(0usize);
        let adapter = match self.adapter {
            None => [none; 5],
            Some(LowRank { a, b, h, scratch, .. }) => {
                [address(a)?, first(b)?, address(h)?, address(&scratch.partials)?, address(&scratch.tickets)?]
            }
        };
        let (r, ldb, tuned_from) = match self.adapter {
            None => (0, 0, 0),
            Some(adapter) => (adapter.a.dim(0)?, adapter.b.stride()[0], adapter.tuned_from),
        };
        let wide = usize::from(y.dtype() == DType::F32);
        let places = [first(self.x)?, first(self.w)?, optional(self.bias)?, optional(self.residual)?, address(y)?];
        let sizes = [self.x.stride()[0], self.w.stride()[0], k, r, ldb, n, n, rows, tuned_from, shares, self.then as usize, wide];
        Ok(places.into_iter().chain(adapter).chain(sizes.map(Arg::from)).collect())
    }
}

/// Whether there are kernels for a type: the others' decoding goes op by op.
pub fn takes(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::BF16)
}

/// Whether the rows of both start at 16-byte boundaries and lie in one piece each.
pub fn readable(x: &Tensor, w: &Tensor) -> Result<bool> {
    let lanes = 16 / x.dtype().size_in_bytes();
    let mut fine = true;
    for t in [x, w] {
        let ((rows, columns), stride) = (t.dims2()?, t.stride());
        fine &=
            columns % lanes == 0 && (stride[1] == 1 || columns == 1) && (rows == 1 || stride[0] % lanes == 0) && first(t)?.bits() % 16 == 0;
    }
    Ok(fine)
}

/// x (B, K), w (N, K) -> x w^T (B, N), or `None` where there is no kernel for the type, or rows do not start at 16-byte boundaries.
pub fn rows(x: &Tensor, w: &Tensor) -> Result<Option<Tensor>> {
    let ((b, k), (n, depth)) = (x.dims2()?, w.dims2()?);
    if k != depth || x.dtype() != w.dtype() {
        bail!("cannot multiply {:?} {:?} by {:?} {:?}", x.dtype(), x.shape(), w.dtype(), w.shape());
    }
    if b == 0 || !takes(x.dtype()) || !readable(x, w)? {
        return Ok(None);
    }
    let y = empty((b, n), x.dtype(), x.device())?;
    Product::new(x, w).write(&y)?;
    Ok(Some(y))
}
