//! What one new token a row passes through beside products: embedding, norms, and attention with the rotation before it and the
//! cache's new entry. Ids and positions are read on the device.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::host::Table;
use super::launch::{Grid, Image, address, empty, image, launch_early, optional};
use crate::attention::Heads;

const IMAGE: Image = image!("step");

/// Keys that a block takes at least; a row's keys are shared out over at most as many blocks.
const KEYS: usize = 64;

/// RMSNorm, or LayerNorm where it has a bias.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    pub weight: &'a Tensor,
    pub bias: Option<&'a Tensor>,
    pub eps: f64,
}

/// The kernels of one type: `_f32`, `_bf16`.
fn suffix(dtype: DType) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("f32"),
        DType::BF16 => Ok("bf16"),
        other => bail!("no kernel decodes in {other:?}"),
    }
}

/// Writes x (B, C): the embedding of each of `ids`, and of `positions` where they are learned. Sets all bits of `missing`, the h of the
/// step's adapters (see [`super::gemv::LowRank`]).
pub fn embed(tokens: Table, places: Option<&Tensor>, ids: &Tensor, positions: &Tensor, x: &Tensor, missing: Option<&Tensor>) -> Result<()> {
    let (b, c) = x.dims2()?;
    let alike = |t: &Tensor| t.dims().get(1) == Some(&c) && t.dtype() == x.dtype();
    let lanes = 16 / x.dtype().size_in_bytes();
    if !alike(tokens.tensor()) || !places.is_none_or(alike) || ids.dims() != [b] || positions.dims() != [b] || c % lanes != 0 {
        bail!("an embedding {:?} of {:?} ids does not fit {:?}", tokens.tensor().shape(), ids.shape(), x.shape());
    }
    let bytes = missing.map_or(0, |missing| missing.elem_count() * missing.dtype().size_in_bytes());
    if !bytes.is_multiple_of(4) {
        bail!("{bytes} bytes cannot be set 4 at a time");
    }
    let places = [tokens.address()?, optional(places)?, address(ids)?, address(positions)?, address(x)?, optional(missing)?];
    let args = [&places[..], &[c.into(), (bytes / 4).into()]].concat();
    // SAFETY: a block a row of c elements; ids and positions are the sampler's, below the tables' lengths.
    unsafe { launch_early(x.device(), &IMAGE, &format!("embed_{}", suffix(x.dtype())?), Grid::rows(b, 256), &args) }
}

/// Writes y (B, C): x, normalised.
pub fn norm(x: &Tensor, norm: Norm, y: &Tensor) -> Result<()> {
    let (b, c) = x.dims2()?;
    let lanes = 16 / x.dtype().size_in_bytes();
    let fits = |t: &Tensor| t.dims() == [c] && t.dtype() == x.dtype();
    if y.dims() != x.dims() || y.dtype() != x.dtype() || c % lanes != 0 || !fits(norm.weight) || !norm.bias.is_none_or(fits) {
        bail!("a norm of {:?} cannot take {:?} {:?}", norm.weight.shape(), x.dtype(), x.shape());
    }
    let places = [address(x)?, address(norm.weight)?, optional(norm.bias)?, address(y)?];
    if places.iter().any(|place| place.bits() % 16 != 0) {
        bail!("a row to normalise does not start at a 16-byte boundary");
    }
    let args = [&places[..], &[c.into(), (norm.eps as f32).into()]].concat();
    let threads = c.div_ceil(lanes).next_multiple_of(32).min(512);
    // SAFETY: a block a row of c elements.
    unsafe { launch_early(x.device(), &IMAGE, &format!("row_norm_{}", suffix(x.dtype())?), Grid::rows(b, threads), &args) }
}

/// Device memory for the shares of long caches.
#[derive(Debug)]
pub struct Scratch {
    partials: Tensor,
    tickets: Tensor,
    shares: usize,
}

impl Scratch {
    pub fn new(rows: usize, heads: Heads, capacity: usize, device: &Device) -> Result<Self> {
        let shares = capacity.div_ceil(KEYS).clamp(1, KEYS);
        let partials = empty(rows * heads.query * shares * (heads.size + 2), DType::F32, device)?;
        Ok(Scratch { partials, tickets: Tensor::zeros(rows * heads.query, DType::U32, device)?, shares })
    }
}

/// Whether [`attend`] has kernels for these heads.
pub fn applies(heads: Heads) -> bool {
    matches!(heads.size, 64 | 128) && heads.query.is_multiple_of(heads.kv)
}

/// What one new token a row attends to.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// (B, KV, capacity, D)
    pub keys: &'a Tensor,
    /// (B, KV, capacity, D)
    pub values: &'a Tensor,
    /// Cosines and sines (positions, D / 2), where q and k are still to be rotated.
    pub tables: Option<(&'a Tensor, &'a Tensor)>,
    /// (B), below the capacity: where each row's new token stands.
    pub positions: &'a Tensor,
    pub heads: Heads,
    pub scratch: &'a Scratch,
}

/// qkv (B, stride) -> out (B, H D). The new keys and values are written into their caches, and count.
pub fn attend(qkv: &Tensor, attention: Attention, out: &Tensor) -> Result<()> {
    let Attention { keys, values, tables, positions, heads, scratch } = attention;
    let (b, kv, capacity, d) = keys.dims4()?;
    let shapes = qkv.dims() == [b, heads.stride()]
        && values.dims() == keys.dims()
        && out.dims() == [b, heads.query * d]
        && positions.dims() == [b]
        && kv == heads.kv
        && d == heads.size
        && tables.is_none_or(|(cos, sin)| cos.dims() == sin.dims() && cos.dims()[0] >= capacity && cos.dims()[1] == d / 2);
    let types = [qkv, values, out].iter().all(|t| t.dtype() == keys.dtype());
    let room = scratch.shares >= capacity.div_ceil(KEYS).clamp(1, KEYS) && scratch.tickets.elem_count() >= b * heads.query;
    if !shapes || !types || !room || !applies(heads) {
        bail!("a cache of {:?} {:?} cannot take {:?} {:?}", keys.dtype(), keys.shape(), qkv.dtype(), qkv.shape());
    }
    let group = heads.query / heads.kv;
    // Query heads that one block takes: they share its keys.
    let together = [4, 2, 1].into_iter().find(|count| group.is_multiple_of(*count)).unwrap_or(1);
    let (cos, sin) = tables.unzip();
    let places = [
        address(qkv)?,
        address(keys)?,
        address(values)?,
        address(out)?,
        optional(cos)?,
        optional(sin)?,
        address(positions)?,
        address(&scratch.partials)?,
        address(&scratch.tickets)?,
    ];
    let args = [&places[..], &[capacity.into(), heads.query.into(), kv.into(), heads.scale.into()]].concat();
    let name = format!("attend_{d}_{together}_{}", suffix(qkv.dtype())?);
    let grid = Grid { blocks: (b * heads.query / together, scratch.shares), threads: 256, shared: 0 };
    // SAFETY: shapes were checked; positions are below the capacity by the caller's promise.
    unsafe { launch_early(qkv.device(), &IMAGE, &name, grid, &args) }
}
