//! AdamW over all parameters in one launch, in place, and the norm of all gradients. The formula is [`crate::adamw`]'s.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{Grid, Image, address, empty, image, launch, optional};
use crate::adamw::Step;

const IMAGE: Image = image!("adamw");
const THREADS: usize = 256;
/// Elements of one block's share: `CHUNK` in adamw.cu.
const CHUNK: usize = 65536;

/// A parameter, all of it contiguous and of one length: f32 master, moments and gradient, and the bf16 value that is computed with.
#[derive(Debug)]
pub struct Parameter<'a> {
    pub p: &'a Tensor,
    pub m: &'a Tensor,
    pub v: &'a Tensor,
    pub g: &'a Tensor,
    /// `None` where the master itself is computed with.
    pub value: Option<&'a Tensor>,
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
            if [a.p, a.m, a.v, a.g].iter().any(|t| t.dtype() != DType::F32 || t.elem_count() != n)
                || a.value.is_some_and(|value| value.dtype() != DType::BF16 || value.elem_count() != n)
            {
                bail!("a parameter of {:?} has a moment, gradient or value that does not fit", a.p.shape());
            }
            let places = [address(a.p)?, address(a.m)?, address(a.v)?, address(a.g)?, optional(a.value)?];
            if places.iter().any(|place| place.bits() % 16 != 0) {
                bail!("a parameter of {:?} does not start at a 16-byte boundary", a.p.shape());
            }
            table.extend(places.map(|place| place.bits() as i64));
            table.push(n as i64);
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
