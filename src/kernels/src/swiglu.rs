//! SwiGLU (Shazeer 2020): `y = silu(g) u`, `silu(g) = g s`, `s = 1 / (1 + e^-g)`, over rows that hold gate and up side by side.
//!
//! Saved: gate and up themselves. Backward: `du = dy silu(g)`, `dg = dy u s (1 + g (1 - s))`. Both outputs are written.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::ROWS;
use crate::exp::exp;

/// `gate_up` (N, 2I) -> y (N, I).
pub fn forward(gate_up: &[f32], width: usize) -> Vec<f32> {
    let mut y = vec![0.0; gate_up.len() / 2];
    (y.par_chunks_mut(ROWS * width), gate_up.par_chunks(ROWS * 2 * width)).into_par_iter().for_each(|(y, x)| rows(y, x, width));
    y
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn rows(y: &mut [f32], gate_up: &[f32], width: usize) {
    for (y, row) in y.chunks_exact_mut(width).zip(gate_up.chunks_exact(2 * width)) {
        let (gate, up) = row.split_at(width);
        for ((y, &g), &u) in y.iter_mut().zip(gate).zip(up) {
            *y = g / (1.0 + exp(-g)) * u;
        }
    }
}

/// `dy` (N, I) -> gradient of gate_up (N, 2I).
pub fn backward(dy: &[f32], gate_up: &[f32], width: usize) -> Vec<f32> {
    let mut dx = vec![0.0; gate_up.len()];
    (dx.par_chunks_mut(ROWS * 2 * width), dy.par_chunks(ROWS * width), gate_up.par_chunks(ROWS * 2 * width))
        .into_par_iter()
        .for_each(|(dx, dy, x)| backward_rows(dx, dy, x, width));
    dx
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn backward_rows(dx: &mut [f32], dy: &[f32], gate_up: &[f32], width: usize) {
    for ((dx, dy), row) in dx.chunks_exact_mut(2 * width).zip(dy.chunks_exact(width)).zip(gate_up.chunks_exact(2 * width)) {
        let (gate, up) = row.split_at(width);
        let (dg, du) = dx.split_at_mut(width);
        for i in 0..width {
            let s = 1.0 / (1.0 + exp(-gate[i]));
            du[i] = dy[i] * gate[i] * s;
            dg[i] = dy[i] * up[i] * s * (1.0 + gate[i] * (1.0 - s));
        }
    }
}
