//! Attention over packed sequences with Hopper's own instructions, where the card has them; the contract is `attention`'s.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use candle_core::cuda::{DeviceId, WrapErr};
use candle_core::{DType, Device, Result, Tensor, bail};

use super::attention::{Cost, tiles};
use super::launch::{Arg, Grid, Image, TensorMap, address, empty, image, launch, launch_clusters, launch_on, own_stream, rows};
use crate::attention::Heads;

const IMAGE: Image = image!("attention_hopper");

/// Queries, or keys, that one block takes; rows of the copy engine's panels.
const ROWS: usize = 128;
const PANEL: usize = 64;
/// A group of warps that copies and two that compute.
const THREADS: usize = 384;
/// Of an H100 or H200; each runs one block at a time.
const MULTIPROCESSORS: usize = 132;
/// Blocks of a cluster, which meet in shared memory: as many as every card allows.
const MOST_TOGETHER: usize = 8;

/// Whether this is bf16 on a card of compute capability 9.0, the only one that has these instructions.
pub(super) fn applies(qkv: &Tensor) -> Result<bool> {
    static KNOWN: LazyLock<Mutex<HashMap<DeviceId, bool>>> = LazyLock::new(Default::default);
    if qkv.dtype() != DType::BF16 {
        return Ok(false);
    }
    let Device::Cuda(device) = qkv.device() else { bail!("expected a CUDA device") };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&is) = known.get(&device.id()) {
        return Ok(is);
    }
    let is = device.cuda_stream().context().compute_capability().w()? == (9, 0);
    known.insert(device.id(), is);
    Ok(is)
}

/// qkv (N, stride) -> `out` (N, width), of which the first H D columns are written, and `lse` (N, H).
pub(super) fn forward(qkv: &Tensor, lengths: &[usize], heads: Heads, out: &Tensor, lse: &Tensor) -> Result<()> {
    let (d, device) = (heads.size, qkv.device());
    let (tiles, count) = tiles(lengths, ROWS, Cost::OfQueries, device)?;
    // Its own tile, two stages of keys and values, barriers: as in attention_hopper.cu.
    let grid = Grid { blocks: (heads.query, count), threads: THREADS, shared: 5 * ROWS * d * 2 + 128 };
    let (to, stride) = rows(out)?;
    let places = [to, address(lse)?, address(&tiles)?];
    let sizes: [Arg; 4] = [heads.query.into(), heads.kv.into(), heads.scale.into(), stride.into()];
    let args = [&places[..], &sizes].concat();
    // SAFETY: the tiles cover the rows of all three.
    unsafe { launch_on(own_stream(device)?.as_ref(), device, &IMAGE, &format!("hopper_forward_{d}"), grid, &[TensorMap::new(qkv)?], &args) }
}

/// Writes the gradient of qkv to `dqkv` (N, stride).
pub(super) fn backward(
    dqkv: &Tensor,
    dout: &Tensor,
    qkv: &Tensor,
    out: &Tensor,
    lse: &Tensor,
    lengths: &[usize],
    heads: Heads,
) -> Result<()> {
    let (d, device) = (heads.size, qkv.device());
    let padded: usize = lengths.iter().map(|length| length.next_multiple_of(PANEL)).sum();
    let figures = empty((heads.query, padded, 2), DType::F32, device)?;
    let (panels, count) = tiles(lengths, PANEL, Cost::OfQueries, device)?;
    let ((dout_at, dout_width), (out_at, out_width)) = (rows(dout)?, rows(out)?);
    let places = [dout_at, out_at, address(lse)?, address(&figures)?, address(&panels)?];
    let sizes = [count, heads.query, padded, dout_width, out_width].map(Arg::from);
    let args = [&places[..], &sizes].concat();
    // SAFETY: d / 8 threads for each row of each panel and head; rows that are not there are written, not read.
    unsafe { launch(device, &IMAGE, &format!("hopper_figures_{d}"), Grid::over(count * PANEL * heads.query * d / 8), &args)? };

    let shape: [Arg; 5] = [heads.stride().into(), heads.query.into(), heads.kv.into(), heads.scale.into(), padded.into()];
    let (by_queries, count) = tiles(lengths, ROWS, Cost::OfQueries, device)?;
    let stages = if d == 128 { 3 } else { 4 };
    let grid = Grid { blocks: (heads.query, count), threads: THREADS, shared: (2 * ROWS + stages * 2 * PANEL) * d * 2 + 128 };
    let args = [&[address(&figures)?, address(dqkv)?, address(&by_queries)?][..], &shape].concat();
    let maps = || -> Result<_> { Ok([TensorMap::new(qkv)?, TensorMap::new(dout)?]) };
    // SAFETY: the tiles cover all rows; the columns of q are written.
    unsafe { launch_on(own_stream(device)?.as_ref(), device, &IMAGE, &format!("hopper_backward_q_{d}"), grid, &maps()?, &args)? };

    let (by_keys, count) = tiles(lengths, ROWS, Cost::OfKeys, device)?;
    let cluster = cluster(lengths, heads);
    let together = heads.query / heads.kv / cluster;
    let shared = (2 * ROWS + 3 * 2 * PANEL) * d * 2 + 3 * PANEL * 8 + 128;
    let grid = Grid { blocks: (heads.kv * cluster, count), threads: THREADS, shared };
    let args = [&[address(&figures)?, address(dqkv)?, address(&by_keys)?][..], &shape, &[together.into()]].concat();
    // SAFETY: as above; the columns of k and v are written.
    unsafe { launch_clusters(device, &IMAGE, &format!("hopper_backward_kv_{d}"), grid, cluster, &maps()?, &args) }
}

/// How many blocks share the query heads of a key head. More of them need more time in all, since each fills its pipeline and adds
/// its sums to the others'; so they are as few as will do for no block to have more than its multiprocessor's share of the work.
fn cluster(lengths: &[usize], heads: Heads) -> usize {
    let group = heads.query / heads.kv;
    // Panels of queries that tiles of keys meet, as every query head has them.
    let panels = |length: usize| (0..length).step_by(ROWS).map(|start| (length - start).div_ceil(PANEL)).sum::<usize>();
    let all = heads.query * lengths.iter().copied().map(panels).sum::<usize>();
    let most = group * lengths.iter().map(|length| length.div_ceil(PANEL)).max().unwrap_or(0);
    let mut cluster = 1;
    while cluster < MOST_TOGETHER && group.is_multiple_of(2 * cluster) && most / cluster > all / MULTIPROCESSORS {
        cluster *= 2;
    }
    cluster
}
