//! Causal attention over packed sequences, forward and backward, on tensor cores.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{Arg, Grid, Image, Lists, address, empty, image, launch, optional, rows, suffix, wide};
use super::precision::multiplies;
use crate::attention::Heads;

const IMAGE: Image = image!("attention");

/// Queries, or keys, that one block takes.
const ROWS: usize = 64;
const THREADS: usize = 128;

/// Rows of the other side that a stage of backward holds, for dq and for dk and dv: as in attention.cu.
fn stages(d: usize) -> (usize, usize) {
    match d {
        64 => (64, 64),
        _ if cfg!(turing) => (32, 16),
        _ => (32, 32),
    }
}

/// Whether the kernels for whole sequences apply: f16, or bf16 where that is multiplied, and heads of 64 or 128.
pub fn applies(qkv: &Tensor, heads: Heads) -> bool {
    super::applies(qkv) && matches!(heads.size, 64 | 128) && multiplies(qkv.dtype(), qkv.device()).unwrap_or(false)
}

/// qkv (N, stride), sequences of `lengths` -> o, the first H D columns of (N, H D + room), and log-sum-exp (N, H) in f32.
pub fn forward(qkv: &Tensor, lengths: &[usize], heads: Heads, room: usize) -> Result<(Tensor, Tensor)> {
    let n = check(qkv, lengths, heads)?;
    let (d, device) = (heads.size, qkv.device());
    let out = wide(n, heads.query * d, room, qkv.dtype(), device)?;
    let lse = empty((n, heads.query), DType::F32, device)?;
    #[cfg(hopper)]
    if super::attention_hopper::applies(qkv)? {
        super::attention_hopper::forward(qkv, lengths, heads, &out, &lse)?;
        return Ok((out, lse));
    }
    let (tiles, count) = tiles(lengths, ROWS, Cost::OfQueries, device)?;
    let grid = Grid { blocks: (heads.query, count), threads: THREADS, shared: 4 * ROWS * d * 2 };
    let (to, stride) = rows(&out)?;
    let args = [&[address(qkv)?, to, address(&lse)?, address(&tiles)?][..], &shape(heads, stride)].concat();
    // SAFETY: the tiles cover the n rows of all three.
    unsafe { launch(device, &IMAGE, &format!("attention_forward_{d}{}", suffix(qkv.dtype(), 1)), grid, &args)? };
    Ok((out, lse))
}

/// The gradient of qkv (N, stride) from that of o (N, H D); rows of `dout` and `out` may lie apart.
pub fn backward(dout: &Tensor, qkv: &Tensor, out: &Tensor, lse: &Tensor, lengths: &[usize], heads: Heads) -> Result<Tensor> {
    let n = check(qkv, lengths, heads)?;
    let (d, device) = (heads.size, qkv.device());
    if dout.dims() != [n, heads.query * d] || out.dims() != dout.dims() || lse.dims() != [n, heads.query] || dout.dtype() != qkv.dtype() {
        bail!("a gradient {:?} does not fit attention over {:?}", dout.shape(), qkv.shape());
    }
    let ((dout_at, dout_width), (out_at, out_width)) = (rows(dout)?, rows(out)?);
    if dout_at.bits() % 16 != 0 || dout_width % 8 != 0 || out_width % 4 != 0 {
        bail!("attention's gradient in rows of {dout_width} does not lie at 16-byte boundaries");
    }
    let dqkv = empty((n, heads.stride()), qkv.dtype(), device)?;
    #[cfg(hopper)]
    if super::attention_hopper::applies(qkv)? {
        super::attention_hopper::backward(&dqkv, dout, qkv, out, lse, lengths, heads)?;
        return Ok(dqkv);
    }
    let dtype = suffix(qkv.dtype(), 1);
    let delta = empty((n, heads.query), DType::F32, device)?;
    let args = [dout_at, out_at, address(&delta)?, n.into(), heads.query.into(), dout_width.into(), out_width.into()];
    // SAFETY: n * H heads of size d, a warp each.
    unsafe { launch(device, &IMAGE, &format!("attention_products_{d}{dtype}"), Grid::over(n * heads.query * 32), &args)? };

    let read = [address(qkv)?, dout_at, address(lse)?, address(&delta)?];
    let (keys, queries) = stages(d);

    let (by_queries, count) = tiles(lengths, ROWS, Cost::OfQueries, device)?;
    let grid = Grid { blocks: (heads.query, count), threads: THREADS, shared: (4 * keys + 2 * ROWS) * d * 2 };
    let args = [&read[..], &[address(&dqkv)?, address(&by_queries)?], &shape(heads, dout_width)].concat();
    // SAFETY: the tiles cover the n rows; the columns of q are written.
    unsafe { launch(device, &IMAGE, &format!("attention_backward_q_{d}{dtype}"), grid, &args)? };

    let grouped = heads.kv < heads.query;
    let parts = if grouped { Some(empty((2, n, heads.query * d), DType::F32, device)?) } else { None };
    let (by_keys, count) = tiles(lengths, ROWS, Cost::OfKeys, device)?;
    let grid = Grid { blocks: (heads.query, count), threads: THREADS, shared: (4 * queries + 2 * ROWS) * d * 2 + 4 * queries * 4 };
    let args =
        [&read[..], &[address(&dqkv)?, optional(parts.as_ref())?, address(&by_keys)?], &shape(heads, dout_width), &[n.into()]].concat();
    // SAFETY: as above; the columns of k and v are written, or all of `parts`.
    unsafe { launch(device, &IMAGE, &format!("attention_backward_kv_{d}{dtype}"), grid, &args)? };

    if let Some(parts) = parts {
        shares(&parts, &dqkv, heads)?;
    }
    Ok(dqkv)
}

/// Adds up the parts (2, N, KV group, D) of each key and value head into their columns of dqkv (N, stride).
fn shares(parts: &Tensor, dqkv: &Tensor, heads: Heads) -> Result<()> {
    let ((_, n, width), d) = (parts.dims3()?, heads.size);
    let group = width / (heads.kv * d);
    let sizes = [n, heads.stride(), heads.query, heads.kv, group, d].map(Arg::from);
    let args = [&[address(parts)?, address(dqkv)?][..], &sizes].concat();
    // SAFETY: the columns of k and v are written from `parts`, four at a time.
    unsafe {
        launch(dqkv.device(), &IMAGE, &format!("attention_shares{}", suffix(dqkv.dtype(), 1)), Grid::over(2 * n * heads.kv * d / 4), &args)
    }
}

fn shape(heads: Heads, width: usize) -> [Arg; 5] {
    [heads.stride().into(), heads.query.into(), heads.kv.into(), heads.scale.into(), width.into()]
}

fn check(qkv: &Tensor, lengths: &[usize], heads: Heads) -> Result<usize> {
    let n = lengths.iter().sum();
    if qkv.dims() != [n, heads.stride()] || !applies(qkv, heads) || !heads.query.is_multiple_of(heads.kv) || n == 0 {
        bail!("attention of {heads:?} over {n} tokens cannot take {:?} {:?}", qkv.dtype(), qkv.shape());
    }
    Ok(n)
}

/// What a share of the rows costs: which of them come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// As many keys as there are before its last query.
    OfQueries,
    /// As many queries as there are after its first key.
    OfKeys,
}

/// What a list of shares is made from: the sequences' lengths, rows of a share, its cost.
type Packing = (Vec<usize>, usize, Cost);

static TILES: Lists<Packing> = Lists::new();

/// The blocks' shares of `size` rows (count, 4): a sequence's first row, its length, the share's first row in it, and the sequence's
/// first row where each takes whole 64s. Shares of the most work come first, so that the last ones to finish are short.
pub(super) fn tiles(lengths: &[usize], size: usize, cost: Cost, device: &Device) -> Result<(Tensor, usize)> {
    let list = TILES.get((lengths.to_vec(), size, cost), device, |(lengths, size, cost)| {
        let mut tiles = vec![];
        let (mut first, mut padded) = (0, 0);
        for &length in lengths {
            tiles.extend((0..length).step_by(*size).map(|start| [first, length, start, padded].map(|at| at as u32)));
            first += length;
            padded += length.next_multiple_of(64);
        }
        tiles.sort_by_key(|&[_, length, start, _]| std::cmp::Reverse(if *cost == Cost::OfQueries { start } else { length - start }));
        Tensor::from_vec(tiles.as_flattened().to_vec(), (tiles.len(), 4), device)
    })?;
    let count = list.dim(0)?;
    Ok((list, count))
}
