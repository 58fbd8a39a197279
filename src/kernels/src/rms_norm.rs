//! RMSNorm (Zhang and Sennrich 2019): `y = x / rms(x) * w`, `rms(x) = sqrt(mean(x^2) + eps)`.
//!
//! Saved: `r = 1 / rms` a row. Backward, with `x' = x r`, `g = dy w`: `dx = r (g - x' mean(g x'))`, `dw = sum over rows of dy x'`.
//! `y`, `r` and `dx` are written; `dw` is accumulated.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::ROWS;

/// Forward over rows of `x` (N, C). Returns y (N, C) and r (N).
pub fn forward(x: &[f32], w: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>) {
    let c = w.len();
    let mut y = vec![0.0; x.len()];
    let mut r = vec![0.0; x.len() / c];
    (y.par_chunks_mut(ROWS * c), r.par_chunks_mut(ROWS), x.par_chunks(ROWS * c))
        .into_par_iter()
        .for_each(|(y, r, x)| rows(y, r, x, w, eps));
    (y, r)
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn rows(y: &mut [f32], r: &mut [f32], x: &[f32], w: &[f32], eps: f32) {
    let c = w.len();
    for ((y, x), r) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(r) {
        let mean = dot(x, x) / c as f32;
        *r = 1.0 / (mean + eps).sqrt();
        for ((y, &x), &w) in y.iter_mut().zip(x).zip(w) {
            *y = x * *r * w;
        }
    }
}

/// Backward: returns dx (N, C) and adds to `dw` (C) where one is given.
pub fn backward(dy: &[f32], x: &[f32], r: &[f32], w: &[f32], dw: Option<&mut [f32]>) -> Vec<f32> {
    let c = w.len();
    let mut dx = vec![0.0; x.len()];
    let wants_dw = dw.is_some();
    let partials: Vec<Vec<f32>> = (dx.par_chunks_mut(ROWS * c), dy.par_chunks(ROWS * c), x.par_chunks(ROWS * c), r.par_chunks(ROWS))
        .into_par_iter()
        .map(|(dx, dy, x, r)| {
            let mut partial = vec![0.0; if wants_dw { c } else { 0 }];
            backward_rows(dx, dy, x, r, w, &mut partial);
            partial
        })
        .collect();
    if let Some(dw) = dw {
        crate::pointwise::add_all(dw, &partials);
    }
    dx
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn backward_rows(dx: &mut [f32], dy: &[f32], x: &[f32], r: &[f32], w: &[f32], dw: &mut [f32]) {
    let c = w.len();
    let mut g = vec![0.0; c];
    for (((dx, dy), x), &r) in dx.chunks_exact_mut(c).zip(dy.chunks_exact(c)).zip(x.chunks_exact(c)).zip(r) {
        for ((g, &dy), &w) in g.iter_mut().zip(dy).zip(w) {
            *g = dy * w;
        }
        let mean = dot(&g, x) * r / c as f32;
        for ((dx, &g), &x) in dx.iter_mut().zip(&g).zip(x) {
            *dx = r * (g - x * r * mean);
        }
        for ((dw, &dy), &x) in dw.iter_mut().zip(dy).zip(x) {
            *dw += dy * x * r;
        }
    }
}

/// Sum of products in 16 lanes: the same order whatever the vector width, and a chain short enough to vectorise.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (a16, b16) = (a.chunks_exact(16), b.chunks_exact(16));
    let tail: f32 = a16.remainder().iter().zip(b16.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a16.zip(b16) {
        for i in 0..16 {
            lanes[i] += a[i] * b[i];
        }
    }
    lanes.iter().sum::<f32>() + tail
}
