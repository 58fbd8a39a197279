//! AdamW over all parameters in one launch, in place, and the norm of all gradients. The formula is [`crate::adamw`]'s.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{Grid, Image, address, empty, image, launch, rows};
use crate::adamw::Step;

const IMAGE: Image = image!("adamw");
const THREADS: usize = 256;
/// Elements of one block's share: `CHUNK` in adamw.cu.
const CHUNK: usize = 65536;

/// A parameter, contiguous and of one length: f32 master, moments and gradient, and the value that is computed with.
#[derive(Debug)]
pub struct Parameter<'a> {
    pub p: &'a Tensor,
    pub m: &'a Tensor,
    pub v: &'a Tensor,
    pub g: Tensor,
    /// `None` where the master itself is computed with.
    pub value: Option<Value<'a>>,
}

/// What is computed with: the master times a scale, in bf16 or f32. A matrix's rows may lie apart.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    pub tensor: &'a Tensor,
    pub scale: f64,
}

impl Value<'_> {
    /// The last three words of the kernels' `Parameter` but for its length: address, width and stride, scale and size.
    fn words(self, elements: usize) -> Result<[u64; 3]> {
        let t = self.tensor;
        if t.elem_count() != elements || !matches!(t.dtype(), DType::BF16 | DType::F32) {
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
        let scale = u64::from((self.scale as f32).to_bits());
        Ok([at.bits(), width as u64 | (stride as u64) << 32, scale | (t.dtype().size_in_bytes() as u64) << 32])
    }
}

/// Writes a value from its master alone, as an update would.
pub fn refresh(master: &Tensor, value: Value) -> Result<()> {
    let (n, device) = (master.elem_count(), master.device());
    let [at, place, scale] = value.words(n)?;
    let table = [address(master)?.bits(), 0, 0, 0, at, n as u64, place, scale].map(|word| word as i64);
    let shares: Vec<u32> = (0..n.div_ceil(CHUNK)).flat_map(|chunk| [0, chunk as u32]).collect();
    let (blocks, table, shares) = (shares.len() / 2, Tensor::new(&table, device)?, Tensor::new(shares, device)?);
    // SAFETY: one parameter, whose master and value have n elements.
    unsafe { launch(device, &IMAGE, "refresh_values", Grid::rows(blocks, THREADS), &[address(&table)?, address(&shares)?]) }
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
        let (mut table, mut shares) = (vec![], vec![]);
        for (i, a) in parameters.iter().enumerate() {
            let n = a.p.elem_count();
            if [a.p, a.m, a.v, &a.g].iter().any(|t| t.dtype() != DType::F32 || t.elem_count() != n) {
                bail!("a parameter of {:?} has a moment or a gradient that does not fit", a.p.shape());
            }
            let places = [address(a.p)?, address(a.m)?, address(a.v)?, address(&a.g)?];
            if places.iter().any(|place| place.bits() % 16 != 0) {
                bail!("a parameter of {:?} does not start at a 16-byte boundary", a.p.shape());
            }
            let [value, place, scale] = a.value.map_or(Ok([0, 4 | 4 << 32, 0]), |value| value.words(n))?;
            table.extend(places.map(|place| place.bits() as i64));
            table.extend([value, n as u64, place, scale].map(|word| word as i64));
            shares.extend((0..n.div_ceil(CHUNK)).flat_map(|chunk| [i as u32, chunk as u32]));
        }
        let blocks = shares.len() / 2;
        let (table, shares) = (Tensor::new(table, device)?, Tensor::new(shares, device)?);
        Ok(Batch { _parameters: parameters, table, shares, blocks, device: device.clone() })
    }

    /// The sum of the squares of all gradients.
    pub fn sum_of_squares(&self) -> Result<f64> {
        let sums = empty(self.blocks, DType::F32, &self.device)?;
        let args = [address(&self.table)?, address(&self.shares)?, address(&sums)?];
        // SAFETY: `new` made the table and the shares.
        unsafe { launch(&self.device, &IMAGE, "squares", Grid::rows(self.blocks, THREADS), &args)? };
        Ok(sums.to_vec1::<f32>()?.iter().map(|&sum| f64::from(sum)).sum())
    }

    /// Updates masters, moments and values.
    pub fn update(&self, step: &Step) -> Result<()> {
        let f = step.factors();
        let factors = Tensor::new(&[f.decay, f.b1, f.c1, f.b2, f.c2, f.size, f.root, f.eps, f.grad_scale], &self.device)?;
        let args = [address(&self.table)?, address(&self.shares)?, address(&factors)?];
        // SAFETY: `new` made the table and the shares; the caller's parameters are its own.
        unsafe { launch(&self.device, &IMAGE, "adamw", Grid::rows(self.blocks, THREADS), &args) }
    }
}
