//! Sums of activations: residuals, biases over rows, and sums of columns.

use candle_core::cuda::cudarc::driver::CudaStream;
use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{Grid, Image, Words, address, empty, image, lanes, launch, launch_on, own_stream, suffix};

const IMAGE: Image = image!("pointwise");

/// Rows that one block of a column's sum takes.
const ROWS: usize = 64;

/// `into += x`, in the memory of `into`.
pub fn add(into: &Tensor, x: &Tensor) -> Result<()> {
    add_on(own_stream(into.device())?.as_ref(), into, x)
}

/// The same on any stream of their device.
pub(super) fn add_on(stream: &CudaStream, into: &Tensor, x: &Tensor) -> Result<()> {
    if into.shape() != x.shape() || into.dtype() != x.dtype() {
        bail!("cannot add {:?} {:?} to {:?} {:?}", x.dtype(), x.shape(), into.dtype(), into.shape());
    }
    let (to, from, n) = (address(into)?, address(x)?, into.elem_count());
    let v = lanes(into.dtype(), &[n], &[to, from]);
    let name = format!("add{}", suffix(into.dtype(), v));
    // SAFETY: both have n elements.
    unsafe { launch_on::<Words>(stream, into.device(), &IMAGE, &name, Grid::over(n / v), &[], &[to, from, n.into()]) }
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

/// Sums over rows that are still in parts, and where [`add_up`] puts them: several ops' sums are added up in one launch.
#[derive(Debug)]
pub struct Shares {
    /// (chunks, kinds C)
    partials: Tensor,
    /// (kinds, C or a little more)
    totals: Tensor,
    c: usize,
}

impl Shares {
    /// From partial sums (chunks, kinds C), with what will be their totals: (C) for each kind, in f32.
    pub(super) fn new(partials: Tensor, c: usize) -> Result<(Self, Vec<Tensor>)> {
        let kinds = partials.dim(1)? / c;
        let totals = empty((kinds, c.next_multiple_of(4)), DType::F32, partials.device())?; // each begins at a 16-byte boundary
        let each = (0..kinds).map(|kind| totals.get(kind)?.narrow(0, 0, c)).collect::<Result<_>>()?;
        Ok((Shares { partials, totals, c }, each))
    }

    /// For the sums over the rows of x (N, C), which [`Shares::fill`] begins, and what will be their totals: (C) in f32.
    pub(super) fn of_rows(x: &Tensor) -> Result<(Self, Tensor)> {
        let (n, c) = x.dims2()?;
        let (share, mut sums) = Self::new(empty((n.div_ceil(ROWS).max(1), c), DType::F32, x.device())?, c)?;
        Ok((share, sums.remove(0)))
    }

    /// Adds up each [`ROWS`] rows of the x that these are for, on any stream of its device.
    pub(super) fn fill(&self, stream: &CudaStream, x: &Tensor) -> Result<()> {
        let ((n, c), chunks) = (x.dims2()?, self.partials.dim(0)?);
        let places = [address(x)?, address(&self.partials)?];
        let v = lanes(x.dtype(), &[c], &places);
        let grid = Grid { blocks: (c.div_ceil(32 * v), chunks), threads: 256, shared: 0 };
        let args = [&places[..], &[n.into(), c.into(), ROWS.into()]].concat();
        let name = format!("column_partials{}", suffix(x.dtype(), v));
        // SAFETY: (n, c) elements are read, (chunks, c) written.
        unsafe { launch_on::<Words>(stream, x.device(), &IMAGE, &name, grid, &[], &args) }
    }

    /// Where they lie.
    pub fn device(&self) -> &Device {
        self.totals.device()
    }

    /// What [`add_up`] reads and writes.
    pub(super) fn tensors(&self) -> [Tensor; 2] {
        [self.partials.clone(), self.totals.clone()]
    }

    /// An argument of `column_totals`.
    fn words(&self) -> Result<[u64; 4]> {
        let ((chunks, columns), stride) = (self.partials.dims2()?, self.totals.dim(1)?);
        let two = |low: usize, high: usize| low as u64 | (high as u64) << 32;
        Ok([address(&self.partials)?.bits(), address(&self.totals)?.bits(), two(chunks, columns), two(self.c, stride)])
    }
}

/// Adds up what is still in parts, each sum in the order of its parts.
pub fn add_up(shares: &[Shares]) -> Result<()> {
    let Some(first) = shares.first() else { return Ok(()) };
    add_up_on(own_stream(first.partials.device())?.as_ref(), shares)
}

/// The same on any stream of their device.
pub(super) fn add_up_on(stream: &CudaStream, shares: &[Shares]) -> Result<()> {
    for some in shares.chunks(4) {
        let mut words = [const { Words { _words: [0; 4] } }; 4]; // empty lists
        let mut blocks = 0;
        for (words, shares) in words.iter_mut().zip(some) {
            words._words = shares.words()?;
            let columns = shares.partials.dim(1)?;
            blocks += columns.div_ceil(if columns.is_multiple_of(4) { 128 } else { 32 });
        }
        let grid = Grid { blocks: (blocks, 1), threads: 1024, shared: 0 };
        // SAFETY: of each of the four (chunks, columns) elements are read, and C of each row of the totals written.
        unsafe { launch_on(stream, some[0].partials.device(), &IMAGE, "column_totals", grid, &words, &[])? };
    }
    Ok(())
}

/// Sums over the rows of x (N, C): what will be (C) in f32 once `shares` are added up.
pub fn column_sums(x: &Tensor, shares: &mut Vec<Shares>) -> Result<Tensor> {
    let (share, sums) = Shares::of_rows(x)?;
    share.fill(own_stream(x.device())?.as_ref(), x)?;
    shares.push(share);
    Ok(sums)
}
