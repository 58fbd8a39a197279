//! Causal attention over packed sequences, forward and backward, on tensor cores.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{Arg, Grid, Image, address, empty, image, launch, optional};
use crate::attention::Heads;

const IMAGE: Image = image!("attention");

/// Queries, or keys, that one block takes.
const ROWS: usize = 64;
const THREADS: usize = 128;

/// Whether the kernels for whole sequences apply: bf16, heads of 64 or 128.
pub fn applies(qkv: &Tensor, heads: Heads) -> bool {
    super::applies(qkv) && qkv.dtype() == DType::BF16 && matches!(heads.size, 64 | 128)
}

/// qkv (N, stride), sequences of `lengths` -> o (N, H D), log-sum-exp (N, H) in f32.
pub fn forward(qkv: &Tensor, lengths: &[usize], heads: Heads) -> Result<(Tensor, Tensor)> {
    let n = check(qkv, lengths, heads)?;
    let (d, device) = (heads.size, qkv.device());
    let out = empty((n, heads.query * d), qkv.dtype(), device)?;
    let lse = empty((n, heads.query), DType::F32, device)?;
    let (tiles, count) = tiles(lengths, |_, start| start, device)?;
    let grid = Grid { blocks: (heads.query, count), threads: THREADS, shared: 4 * ROWS * d * 2 };
    let args = [&[address(qkv)?, address(&out)?, address(&lse)?, address(&tiles)?][..], &shape(heads)].concat();
    // SAFETY: the tiles cover the n rows of all three.
    unsafe { launch(device, &IMAGE, &format!("attention_forward_{d}"), grid, &args)? };
    Ok((out, lse))
}

/// The gradient of qkv (N, stride) from that of o (N, H D).
pub fn backward(dout: &Tensor, qkv: &Tensor, out: &Tensor, lse: &Tensor, lengths: &[usize], heads: Heads) -> Result<Tensor> {
    let n = check(qkv, lengths, heads)?;
    let (d, device) = (heads.size, qkv.device());
    if dout.dims() != [n, heads.query * d] || out.dims() != dout.dims() || lse.dims() != [n, heads.query] || dout.dtype() != qkv.dtype() {
        bail!("a gradient {:?} does not fit attention over {:?}", dout.shape(), qkv.shape());
    }
    let delta = empty((n, heads.query), DType::F32, device)?;
    let args = [address(dout)?, address(out)?, address(&delta)?, (n * heads.query).into()];
    // SAFETY: n * H heads of size d, a warp each.
    unsafe { launch(device, &IMAGE, &format!("attention_products_{d}"), Grid::over(n * heads.query * 32), &args)? };

    let dqkv = empty((n, heads.stride()), qkv.dtype(), device)?;
    let read = [address(qkv)?, address(dout)?, address(lse)?, address(&delta)?];
    // Rows of the other side that a stage holds: as in attention.cu.
    let stage = if d == 64 { 64 } else { 32 };

    let (by_queries, count) = tiles(lengths, |_, start| start, device)?;
    let grid = Grid { blocks: (heads.query, count), threads: THREADS, shared: (4 * stage + 2 * ROWS) * d * 2 };
    let args = [&read[..], &[address(&dqkv)?, address(&by_queries)?], &shape(heads)].concat();
    // SAFETY: the tiles cover the n rows; the columns of q are written.
    unsafe { launch(device, &IMAGE, &format!("attention_backward_q_{d}"), grid, &args)? };

    let grouped = heads.kv < heads.query;
    let parts = if grouped { Some(empty((2, n, heads.query * d), DType::F32, device)?) } else { None };
    let (by_keys, count) = tiles(lengths, |length, start| length - start, device)?;
    let grid = Grid { blocks: (heads.query, count), threads: THREADS, shared: (4 * stage + 2 * ROWS) * d * 2 + 4 * stage * 4 };
    let args = [&read[..], &[address(&dqkv)?, optional(parts.as_ref())?, address(&by_keys)?], &shape(heads), &[n.into()]].concat();
    // SAFETY: as above; the columns of k and v are written, or all of `parts`.
    unsafe { launch(device, &IMAGE, &format!("attention_backward_kv_{d}"), grid, &args)? };

    if let Some(parts) = parts {
        let args = [&[address(&parts)?, address(&dqkv)?, n.into()][..], &shape(heads), &[d.into()]].concat();
        // SAFETY: the columns of k and v are written from `parts`, four at a time.
        unsafe { launch(device, &IMAGE, "attention_shares", Grid::over(2 * n * heads.kv * d / 4), &args)? };
    }
    Ok(dqkv)
}

fn shape(heads: Heads) -> [Arg; 4] {
    [heads.stride().into(), heads.query.into(), heads.kv.into(), heads.scale.into()]
}

fn check(qkv: &Tensor, lengths: &[usize], heads: Heads) -> Result<usize> {
    let n = lengths.iter().sum();
    if qkv.dims() != [n, heads.stride()] || !applies(qkv, heads) || heads.query % heads.kv != 0 || n == 0 {
        bail!("attention of {heads:?} over {n} tokens cannot take {:?} {:?}", qkv.dtype(), qkv.shape());
    }
    Ok(n)
}

/// The blocks' shares: a sequence's first row, its length, and the share's first row in it. Shares of the most work come first, so
/// that the last ones to finish are short.
fn tiles(lengths: &[usize], work: impl Fn(usize, usize) -> usize, device: &Device) -> Result<(Tensor, usize)> {
    let mut tiles = vec![];
    let mut first = 0;
    for &length in lengths {
        tiles.extend((0..length).step_by(ROWS).map(|start| (work(length, start), [first as u32, length as u32, start as u32])));
        first += length;
    }
    tiles.sort_by_key(|&(work, _)| std::cmp::Reverse(work));
    let count = tiles.len();
    let list: Vec<u32> = tiles.into_iter().flat_map(|(_, tile)| tile).collect();
    Ok((Tensor::from_vec(list, (count, 3), device)?, count))
}
