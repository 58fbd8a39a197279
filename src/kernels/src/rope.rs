//! Rotary position embedding (Su et al. 2021) in Hugging Face's half-split layout: element i of a head is paired with i + D/2.
//!
//! `x1' = x1 cos - x2 sin`, `x2' = x2 cos + x1 sin`; nothing is saved. Backward is the rotation by the negative angle. In place.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::ROWS;

/// Cosines and sines (positions, D/2) for the positions of the rows that are rotated.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    pub cos: &'a [f32],
    pub sin: &'a [f32],
}

/// Which way to turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Forward,
    Backward,
}

/// Rotates the first `heads` heads of size `d` of every row of `x` (N, stride); row i stands at `positions[i]`.
pub fn rotate(x: &mut [f32], stride: usize, heads: usize, d: usize, positions: &[u32], table: Table, turn: Turn) {
    (x.par_chunks_mut(ROWS * stride), positions.par_chunks(ROWS)).into_par_iter().for_each(|(x, positions)| {
        rows(x, stride, heads, d, positions, table.cos, table.sin, if turn == Turn::Forward { 1.0 } else { -1.0 })
    });
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn rows(x: &mut [f32], stride: usize, heads: usize, d: usize, positions: &[u32], cos: &[f32], sin: &[f32], sign: f32) {
    let half = d / 2;
    for (row, &position) in x.chunks_exact_mut(stride).zip(positions) {
        let at = position as usize * half;
        let (cos, sin) = (&cos[at..at + half], &sin[at..at + half]);
        for head in row[..heads * d].chunks_exact_mut(d) {
            let (a, b) = head.split_at_mut(half);
            for i in 0..half {
                let (x1, x2, s) = (a[i], b[i], sign * sin[i]);
                a[i] = x1 * cos[i] - x2 * s;
                b[i] = x2 * cos[i] + x1 * s;
            }
        }
    }
}
