//! Causal attention over packed sequences, with grouped heads: `o_i = sum_j p_ij v_j`, `p = softmax(scale q k^T)` over `j <= i`.
//!
//! q, k and v lie side by side in one buffer, rows `[q heads | k heads | v heads]`, as the fused projection writes them; no
//! sequence sees another. Scores exist only for one block of queries at a time (Dao et al. 2022). Saved: the log-sum-exp of each
//! row and head. Backward recomputes the block's p: with `delta_i = do_i . o_i`, `ds = p (do v^T - delta)`,
//! `dq = scale ds k`, `dk = scale ds^T q`, `dv = p^T do`. All outputs are written.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::exp::exp;
use crate::gemm::{Into, Mat, product};
use crate::rms_norm::dot;

/// Queries a block.
const QUERIES: usize = 64;

/// The layout of a packed q/k/v buffer.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; divides `query`.
    pub kv: usize,
    /// Head size.
    pub size: usize,
    /// Usually 1 / sqrt(size).
    pub scale: f32,
}

impl Heads {
    /// Length of a row `[q | k | v]`.
    pub fn stride(&self) -> usize {
        (self.query + 2 * self.kv) * self.size
    }

    fn width(&self) -> usize {
        self.query * self.size
    }

    /// Where in a row the key of query head `head` starts.
    fn key(&self, head: usize) -> usize {
        (self.query + head / (self.query / self.kv)) * self.size
    }

    fn value(&self, head: usize) -> usize {
        self.key(head) + self.kv * self.size
    }
}

/// `qkv` (N, stride), sequences of `lengths` one after another. Returns o (N, H D) and the log-sum-exps (N, H).
pub fn forward(qkv: &[f32], lengths: &[usize], heads: Heads) -> (Vec<f32>, Vec<f32>) {
    let n: usize = lengths.iter().sum();
    let mut out = vec![0.0; n * heads.width()];
    let mut lse = vec![0.0; n * heads.query];
    let mut blocks = vec![];
    let (mut out_rest, mut lse_rest) = (&mut out[..], &mut lse[..]);
    let mut start = 0;
    for &length in lengths {
        for first in (0..length).step_by(QUERIES) {
            let rows = QUERIES.min(length - first);
            let (out, rest) = out_rest.split_at_mut(rows * heads.width());
            out_rest = rest;
            let (lse, rest) = lse_rest.split_at_mut(rows * heads.query);
            lse_rest = rest;
            blocks.push((start, first, rows, out, lse));
        }
        start += length;
    }
    blocks.into_par_iter().for_each(|(start, first, rows, out, lse)| {
        let sequence = &qkv[start * heads.stride()..(start + first + rows) * heads.stride()];
        let mut p = vec![0.0; rows * (first + rows)];
        for head in 0..heads.query {
            forward_block(sequence, first, rows, head, heads, &mut p, out, lse);
        }
    });
    (out, lse)
}

/// One block of queries of one head; `sequence` is the part of qkv from the sequence's start to the block's end.
fn forward_block(sequence: &[f32], first: usize, rows: usize, head: usize, heads: Heads, p: &mut [f32], out: &mut [f32], lse: &mut [f32]) {
    let (stride, d, seen) = (heads.stride(), heads.size, first + rows);
    let q = Mat::strided(&sequence[first * stride + head * d..], rows, d, stride, 1);
    let k = Mat::strided(&sequence[heads.key(head)..], seen, d, stride, 1);
    let v = Mat::strided(&sequence[heads.value(head)..], seen, d, stride, 1);
    product(p, seen, q, k.t(), heads.scale, Into::Replace, false);
    for (i, row) in p.chunks_exact_mut(seen).enumerate() {
        let (visible, hidden) = row.split_at_mut(first + i + 1);
        hidden.fill(0.0);
        lse[i * heads.query + head] = softmax(visible);
    }
    product(&mut out[head * d..], heads.width(), Mat::rows(p, rows, seen), v, 1.0, Into::Replace, false);
}

/// The gradient of qkv (N, stride), from that of o, with o and the log-sum-exps that forward returned.
pub fn backward(dout: &[f32], qkv: &[f32], out: &[f32], lse: &[f32], lengths: &[usize], heads: Heads) -> Vec<f32> {
    let (stride, d, width) = (heads.stride(), heads.size, heads.width());
    let mut starts = vec![];
    let mut start = 0;
    for &length in lengths {
        starts.push(start);
        start += length;
    }
    let tasks: Vec<(usize, usize)> = (0..lengths.len()).flat_map(|s| (0..heads.query).map(move |h| (s, h))).collect();
    let gradients: Vec<[Vec<f32>; 3]> = tasks
        .par_iter()
        .map(|&(s, head)| {
            let (start, length) = (starts[s], lengths[s]);
            let rows = start..start + length;
            backward_head(
                &dout[rows.start * width..rows.end * width],
                &qkv[rows.start * stride..rows.end * stride],
                &out[rows.start * width..rows.end * width],
                &lse[rows.start * heads.query..rows.end * heads.query],
                length,
                head,
                heads,
            )
        })
        .collect();
    let mut dqkv = vec![0.0; qkv.len()];
    for (&(s, head), [dq, dk, dv]) in tasks.iter().zip(&gradients) {
        let rows = &mut dqkv[starts[s] * stride..(starts[s] + lengths[s]) * stride];
        for (i, row) in rows.chunks_exact_mut(stride).enumerate() {
            let at = i * d..(i + 1) * d;
            row[head * d..][..d].copy_from_slice(&dq[at.clone()]);
            // Query heads of one group share a key and value head: their gradients add up, in the order of the heads.
            add(&mut row[heads.key(head)..][..d], &dk[at.clone()]);
            add(&mut row[heads.value(head)..][..d], &dv[at]);
        }
    }
    dqkv
}

/// dq, dk and dv (T, D each) of one query head of one sequence.
fn backward_head(dout: &[f32], qkv: &[f32], out: &[f32], lse: &[f32], length: usize, head: usize, heads: Heads) -> [Vec<f32>; 3] {
    let (stride, d, width) = (heads.stride(), heads.size, heads.width());
    let mut dq = vec![0.0; length * d];
    let mut dk = vec![0.0; length * d];
    let mut dv = vec![0.0; length * d];
    let mut p = vec![0.0; QUERIES.min(length) * length];
    let mut ds = p.clone();
    for first in (0..length).step_by(QUERIES) {
        let rows = QUERIES.min(length - first);
        let seen = first + rows;
        let (p, ds) = (&mut p[..rows * seen], &mut ds[..rows * seen]);
        let q = Mat::strided(&qkv[first * stride + head * d..], rows, d, stride, 1);
        let k = Mat::strided(&qkv[heads.key(head)..], seen, d, stride, 1);
        let v = Mat::strided(&qkv[heads.value(head)..], seen, d, stride, 1);
        let dy = Mat::strided(&dout[first * width + head * d..], rows, d, width, 1);
        product(p, seen, q, k.t(), heads.scale, Into::Replace, false);
        product(ds, seen, dy, v.t(), 1.0, Into::Replace, false);
        for i in 0..rows {
            let row = first + i;
            let at = row * width + head * d;
            let delta = dot(&dout[at..at + d], &out[at..at + d]);
            let visible = i * seen..i * seen + row + 1;
            let hidden = visible.end..(i + 1) * seen;
            score_gradient(&mut p[visible.clone()], &mut ds[visible], lse[row * heads.query + head], delta);
            p[hidden.clone()].fill(0.0);
            ds[hidden].fill(0.0);
        }
        let (p, ds) = (Mat::rows(p, rows, seen), Mat::rows(ds, rows, seen));
        product(&mut dv, d, p.t(), dy, 1.0, Into::Add, false);
        product(&mut dq[first * d..], d, ds, k, heads.scale, Into::Replace, false);
        product(&mut dk, d, ds.t(), q, heads.scale, Into::Add, false);
    }
    [dq, dk, dv]
}

/// One new token a row against its cache. `q` (B, H D); `keys` and `values` (B, KV, capacity, D), of which the first `length`
/// positions count. Returns o (B, H D). Each row's result depends on that row alone, whatever the batch.
pub fn decode(q: &[f32], keys: &[f32], values: &[f32], length: usize, capacity: usize, heads: Heads) -> Vec<f32> {
    let (d, width) = (heads.size, heads.width());
    let group = heads.query / heads.kv;
    let mut out = vec![0.0; q.len()];
    out.par_chunks_mut(d).enumerate().for_each(|(i, out)| {
        let (row, head) = (i / heads.query, i % heads.query);
        let at = (row * heads.kv + head / group) * capacity * d;
        let query = &q[row * width + head * d..][..d];
        decode_head(query, &keys[at..at + length * d], &values[at..at + length * d], heads.scale, out);
    });
    out
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn decode_head(query: &[f32], keys: &[f32], values: &[f32], scale: f32, out: &mut [f32]) {
    let d = query.len();
    let mut p: Vec<f32> = keys.chunks_exact(d).map(|key| dot(query, key) * scale).collect();
    let highest = max(&p);
    for p in &mut p {
        *p = exp(*p - highest);
    }
    let total = sum(&p);
    for (p, value) in p.iter().zip(values.chunks_exact(d)) {
        let share = p / total;
        for (out, &value) in out.iter_mut().zip(value) {
            *out += share * value;
        }
    }
}

/// Softmax in place; returns the log-sum-exp.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn softmax(row: &mut [f32]) -> f32 {
    let highest = max(row);
    for x in row.iter_mut() {
        *x = exp(*x - highest);
    }
    let total = sum(row);
    let factor = 1.0 / total;
    for x in row.iter_mut() {
        *x *= factor;
    }
    highest + total.ln()
}

/// Turns scores into p and `do v^T` into ds, in place.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn score_gradient(p: &mut [f32], ds: &mut [f32], lse: f32, delta: f32) {
    for (p, ds) in p.iter_mut().zip(ds) {
        *p = exp(*p - lse);
        *ds = *p * (*ds - delta);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn add(a: &mut [f32], b: &[f32]) {
    for (a, &b) in a.iter_mut().zip(b) {
        *a += b;
    }
}

/// The largest, in 16 lanes.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let chunks = x.chunks_exact(16);
    let tail = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for chunk in chunks {
        for i in 0..16 {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    lanes.into_iter().fold(tail, f32::max)
}

/// The sum, in 16 lanes.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let chunks = x.chunks_exact(16);
    let tail: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for i in 0..16 {
            lanes[i] += chunk[i];
        }
    }
    lanes.iter().sum::<f32>() + tail
}
