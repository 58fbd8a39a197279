//! AdamW over all parameters in one launch, in place, and the norm of all gradients. The formula is [`crate::adamw`]'s.

use candle_core::cuda::cudarc::driver::CudaStream;
use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{Arg, Grid, Image, Lists, Words, address, empty, image, launch, launch_on, rows};
use super::letter::Letter;
use crate::adamw::Step;

const IMAGE: Image = image!("adamw");
const THREADS: usize = 256;
/// Elements of a share, and the blocks that take it together to update: `CHUNK` and `PIECES` in adamw.cu.
const CHUNK: usize = 16384;
const PIECES: usize = 8;
/// Bytes at whose multiples masters, moments and gradients start.
const ALIGNMENT: u64 = 32;

/// What is trained.
#[derive(Debug, Clone, Copy)]
pub enum Master<'a> {
    /// In f32.
    Whole(&'a Tensor),
    /// The low halves of its elements, as the bits of a bf16 tensor: the high ones, rounded, are the value that is computed with, in bf16
    /// and contiguous. Together they are the f32 master to the last bit, in two bytes less.
    Low(&'a Tensor),
}

/// A parameter, contiguous and of one length: master, f32 moments, the gradient in f32 or bf16, and the value that is computed with.
#[derive(Debug)]
pub struct Parameter<'a> {
    pub p: Master<'a>,
    pub m: &'a Tensor,
    pub v: &'a Tensor,
    pub g: Tensor,
    /// What [`Beside::new_gradient`](super::beside::Beside::new_gradient) says of g besides.
    pub squares: Option<&'a Tensor>,
    /// `None` where the master itself is computed with.
    pub value: Option<Value<'a>>,
}

/// What is computed with: the master times a scale, in bf16, f16 or f32. A matrix's rows may lie apart.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    pub tensor: &'a Tensor,
    pub scale: f64,
}

impl Value<'_> {
    /// The last three words of the kernels' `Parameter` but for its length: address, width and stride, scale and size.
    fn words(self, elements: usize) -> Result<[u64; 3]> {
        let t = self.tensor;
        if t.elem_count() != elements || !matches!(t.dtype(), DType::BF16 | DType::F16 | DType::F32) {
            bail!("a value {:?} {:?} does not fit a parameter of {elements} elements", t.dtype(), t.shape());
        }
        let (at, width, stride) = if t.is_contiguous() {
            (address(t)?, 4, 4) // one row: any width that is its own stride
        } else {
            let (at, stride) = rows(t)?;
            (at, t.dim(1)?, stride)
        };
        let alignment = if width % 4 == 0 && stride % 4 == 0 { 4 * t.dtype().size_in_bytes() as u64 } else { 1 };
        if at.bits() % alignment != 0 {
            bail!("the value of a parameter of {:?} does not start at a {alignment}-byte boundary", t.shape());
        }
        Ok([at.bits(), width as u64 | (stride as u64) << 32, scale_and_type(self.scale, t.dtype())])
    }
}

/// What a value says in the last word of the kernels' `Parameter`: its scale, the bytes of its elements, and which type of two bytes.
fn scale_and_type(scale: f64, dtype: DType) -> u64 {
    u64::from((scale as f32).to_bits()) | (dtype.size_in_bytes() as u64) << 32 | u64::from(dtype == DType::F16) << 56
}

/// What its parameter says there: the bytes of the gradient's elements, and whether the master is in halves.
fn gradient_and_halves(gradient: DType, halves: bool) -> u64 {
    (gradient.size_in_bytes() as u64) << 40 | u64::from(halves) << 48
}

/// Writes a master in f32 as its halves: the value in bf16, and the bits that were rounded off.
pub fn split(master: &Tensor, value: &Tensor, low: &Tensor) -> Result<()> {
    let n = check_halves(master, value, low)?;
    let args = [address(master)?, address(value)?, address(low)?, n.into()];
    // SAFETY: all three have n elements.
    unsafe { launch(master.device(), &IMAGE, "split_halves", Grid::over(n), &args) }
}

/// The master in f32 that [`split`] took.
pub fn join(value: &Tensor, low: &Tensor) -> Result<Tensor> {
    let master = empty(value.shape(), DType::F32, value.device())?;
    let n = check_halves(&master, value, low)?;
    let args = [address(&master)?, address(value)?, address(low)?, n.into()];
    // SAFETY: as above.
    unsafe { launch(value.device(), &IMAGE, "join_halves", Grid::over(n), &args)? };
    Ok(master)
}

fn check_halves(master: &Tensor, value: &Tensor, low: &Tensor) -> Result<usize> {
    let n = master.elem_count();
    if master.dtype() != DType::F32 || [value, low].iter().any(|t| t.dtype() != DType::BF16 || t.elem_count() != n) {
        bail!("{:?} and {:?} are not the halves of {:?}", value.shape(), low.shape(), master.shape());
    }
    Ok(n)
}

/// Writes a value from its master alone, as an update would.
pub fn refresh(master: &Tensor, value: Value) -> Result<()> {
    let (n, device) = (master.elem_count(), master.device());
    let [at, place, scale] = value.words(n)?;
    let table = [address(master)?.bits(), 0, 0, 0, 0, at, n as u64, place, scale].map(|word| word as i64);
    let (table, shares) = (Tensor::new(&table, device)?, shares(&[n], device)?);
    let blocks = shares.dim(0)?;
    // SAFETY: one parameter, whose master and value have n elements.
    unsafe { launch(device, &IMAGE, "refresh_values", Grid::rows(blocks, THREADS), &[address(&table)?, address(&shares)?]) }
}

/// What was made of the lengths of a list of parameters: every step asks for the same ones.
static SHARES: Lists<Vec<usize>> = Lists::new();

/// Shares: which parameter, and which chunk of it: (shares, 2).
fn shares(lengths: &[usize], device: &Device) -> Result<Tensor> {
    SHARES.get(lengths.to_vec(), device, |lengths| {
        let of = |(i, n): (usize, &usize)| (0..n.div_ceil(CHUNK)).flat_map(move |chunk| [i as u32, chunk as u32]);
        let shares: Vec<u32> = lengths.iter().enumerate().flat_map(of).collect();
        let blocks = shares.len() / 2;
        Tensor::from_vec(shares, (blocks, 2), device)
    })
}

/// Where the sums of the squares of a gradient of n elements will be, share by share.
pub(super) fn room_for_squares(n: usize, device: &Device) -> Result<Tensor> {
    empty(n.div_ceil(CHUNK), DType::F32, device)
}

/// Adds up the squares of a gradient, in f32 or bf16, on a stream.
pub(super) fn squares(gradient: &Tensor, sums: &Tensor, stream: &CudaStream) -> Result<()> {
    let (n, bytes) = (gradient.elem_count(), gradient.dtype().size_in_bytes());
    let args = [address(gradient)?, bytes.into(), n.into(), address(sums)?];
    // SAFETY: a sum for each share of n elements.
    unsafe { launch_on::<Words>(stream, gradient.device(), &IMAGE, "squares_of", Grid::rows(sums.elem_count(), THREADS), &[], &args) }
}

/// Parameters ready for the kernels: their addresses and the blocks' shares, on the device.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Their memory must outlive the launches.
    _parameters: Vec<Parameter<'a>>,
    table: Tensor,
    shares: Tensor,
    blocks: usize,
    device: Device,
}

impl<'a> Batch<'a> {
    /// Checks the parameters and lists them for the device. There must be at least one.
    pub fn new(parameters: Vec<Parameter<'a>>, device: &Device) -> Result<Self> {
        let mut table = vec![];
        for a in &parameters {
            let n = a.m.elem_count();
            let is = |t: &Tensor, dtype: DType| t.dtype() == dtype && t.elem_count() == n;
            let master = match a.p {
                Master::Whole(p) => is(p, DType::F32),
                Master::Low(low) => {
                    is(low, DType::BF16) && a.value.is_some_and(|value| is(value.tensor, DType::BF16) && value.scale == 1.0)
                }
            };
            if !master || !is(a.m, DType::F32) || !is(a.v, DType::F32) || !(is(&a.g, DType::F32) || is(&a.g, DType::BF16)) {
                bail!("a parameter of {:?} has a master, moment or gradient that does not fit", a.m.shape());
            }
            let squares = a.squares.filter(|squares| squares.dtype() == DType::F32 && squares.elem_count() == n.div_ceil(CHUNK));
            if a.squares.is_some() && squares.is_none() {
                bail!("sums of squares {:?} do not fit a gradient of {n} elements", a.squares.map(Tensor::shape));
            }
            let (Master::Whole(p) | Master::Low(p)) = a.p;
            let places = [address(p)?, address(a.m)?, address(a.v)?, address(&a.g)?];
            let halves = matches!(a.p, Master::Low(_));
            let value_in_halves = a.value.filter(|_| halves).map(|value| address(value.tensor)).transpose()?;
            if places.into_iter().chain(value_in_halves).any(|place| place.bits() % ALIGNMENT != 0) {
                bail!("a parameter of {:?} does not start at a {ALIGNMENT}-byte boundary", a.m.shape());
            }
            let [value, place, scale] = a.value.map_or(Ok([0, 4 | 4 << 32, 0]), |value| value.words(n))?;
            let squares = squares.map_or(Ok(0), |squares| address(squares).map(Arg::bits))?;
            table.extend(places.map(|place| place.bits() as i64));
            let last = scale | gradient_and_halves(a.g.dtype(), halves);
            table.extend([squares, value, n as u64, place, last].map(|word| word as i64));
        }
        let lengths: Vec<usize> = parameters.iter().map(|a| a.m.elem_count()).collect();
        let (table, shares) = (Tensor::new(table, device)?, shares(&lengths, device)?);
        let blocks = shares.dim(0)?;
        Ok(Batch { _parameters: parameters, table, shares, blocks, device: device.clone() })
    }

    /// Finds the norm of all gradients times the step's factor on them, and the factor that clips it to `most` (0 for no clipping): by
    /// `most / (norm + 1e-6)` where that is below 1. Nothing is changed yet, and nothing waited for.
    pub fn clip(&self, step: &Step, most: f64) -> Result<Clipped> {
        let f = step.factors();
        let factors = Tensor::new(&[f.decay, f.b1, f.c1, f.b2, f.c2, f.size, f.root, f.eps, f.grad_scale], &self.device)?;
        let sums = empty(self.blocks, DType::F32, &self.device)?;
        let args = [address(&self.table)?, address(&self.shares)?, address(&sums)?];
        // SAFETY: `new` made the table and the shares.
        unsafe { launch(&self.device, &IMAGE, "squares", Grid::rows(self.blocks, THREADS), &args)? };
        let total = empty(1, DType::I64, &self.device)?; // the bits of an f64
        let args = [address(&sums)?, self.blocks.into(), address(&factors)?, address(&total)?, most.into()];
        // SAFETY: one sum a block, nine factors and one total.
        unsafe { launch(&self.device, &IMAGE, "clip", Grid::rows(1, 1024), &args)? };
        Ok(Clipped { factors, total: Letter::send(&total)? })
    }

    /// Updates masters, moments and values; does nothing where the norm is not finite.
    pub fn update(&self, clipped: &Clipped) -> Result<()> {
        let args = [address(&self.table)?, address(&self.shares)?, address(&clipped.factors)?];
        // SAFETY: `new` made the table and the shares; the caller's parameters are its own.
        unsafe { launch(&self.device, &IMAGE, "adamw", Grid::rows(self.blocks * PIECES, THREADS), &args) }
    }
}

/// A step's factors, of which the device makes the one on the gradients.
#[derive(Debug)]
pub struct Clipped {
    factors: Tensor,
    total: Letter,
}

impl Clipped {
    /// Waits for the norm of all gradients, before clipping.
    pub fn norm(&self) -> Result<f64> {
        let total = self.total.i64s()?.first().map_or(f64::NAN, |&bits| f64::from_bits(bits as u64));
        Ok(total.sqrt())
    }
}
