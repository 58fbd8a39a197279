//! LayerNorm (Ba et al. 2016): `y = x' w + b`, `x' = (x - mean(x)) r`, `r = 1 / sqrt(var(x) + eps)`.
//!
//! Saved: mean and r a row. Backward, with `g = dy w`: `dx = r (g - mean(g) - x' mean(g x'))`, `dw = sum dy x'`, `db = sum dy`.
//! `y` and `dx` are written; `dw` and `db` are accumulated.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::ROWS;
use crate::rms_norm::dot;

/// What backward needs of each row.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Row {
    pub mean: f32,
    pub r: f32,
}

/// Forward over rows of `x` (N, C). Returns y (N, C) and the rows' statistics (N).
pub fn forward(x: &[f32], w: &[f32], b: &[f32], eps: f32) -> (Vec<f32>, Vec<Row>) {
    let c = w.len();
    let mut y = vec![0.0; x.len()];
    let mut saved = vec![Row::default(); x.len() / c];
    (y.par_chunks_mut(ROWS * c), saved.par_chunks_mut(ROWS), x.par_chunks(ROWS * c))
        .into_par_iter()
        .for_each(|(y, saved, x)| rows(y, saved, x, w, b, eps));
    (y, saved)
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn rows(y: &mut [f32], saved: &mut [Row], x: &[f32], w: &[f32], b: &[f32], eps: f32) {
    let c = w.len();
    let ones = vec![1.0; c];
    let mut centred = vec![0.0; c];
    for ((y, x), row) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(saved) {
        row.mean = dot(x, &ones) / c as f32;
        for (d, &x) in centred.iter_mut().zip(x) {
            *d = x - row.mean;
        }
        row.r = 1.0 / (dot(&centred, &centred) / c as f32 + eps).sqrt();
        for (((y, &d), &w), &b) in y.iter_mut().zip(&centred).zip(w).zip(b) {
            *y = d * row.r * w + b;
        }
    }
}

/// Backward: returns dx (N, C) and adds to `dw` and `db` (C each) where they are given.
pub fn backward(dy: &[f32], x: &[f32], saved: &[Row], w: &[f32], dw_db: Option<(&mut [f32], &mut [f32])>) -> Vec<f32> {
    let c = w.len();
    let mut dx = vec![0.0; x.len()];
    let width = if dw_db.is_some() { c } else { 0 };
    let (dws, dbs): (Vec<Vec<f32>>, Vec<Vec<f32>>) =
        (dx.par_chunks_mut(ROWS * c), dy.par_chunks(ROWS * c), x.par_chunks(ROWS * c), saved.par_chunks(ROWS))
            .into_par_iter()
            .map(|(dx, dy, x, saved)| {
                let (mut dw, mut db) = (vec![0.0; width], vec![0.0; width]);
                backward_rows(dx, dy, x, saved, w, &mut dw, &mut db);
                (dw, db)
            })
            .unzip();
    if let Some((dw, db)) = dw_db {
        crate::pointwise::add_all(dw, &dws);
        crate::pointwise::add_all(db, &dbs);
    }
    dx
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn backward_rows(dx: &mut [f32], dy: &[f32], x: &[f32], saved: &[Row], w: &[f32], dw: &mut [f32], db: &mut [f32]) {
    let c = w.len();
    let ones = vec![1.0; c];
    let (mut g, mut hat) = (vec![0.0; c], vec![0.0; c]);
    for (((dx, dy), x), row) in dx.chunks_exact_mut(c).zip(dy.chunks_exact(c)).zip(x.chunks_exact(c)).zip(saved) {
        for (((g, hat), (&dy, &x)), &w) in g.iter_mut().zip(&mut hat).zip(dy.iter().zip(x)).zip(w) {
            *g = dy * w;
            *hat = (x - row.mean) * row.r;
        }
        let mean = dot(&g, &ones) / c as f32;
        let along = dot(&g, &hat) / c as f32;
        for ((dx, &g), &hat) in dx.iter_mut().zip(&g).zip(&hat) {
            *dx = row.r * (g - mean - hat * along);
        }
        for ((dw, &dy), &hat) in dw.iter_mut().zip(dy).zip(&hat) {
            *dw += dy * hat;
        }
        for (db, &dy) in db.iter_mut().zip(dy) {
            *db += dy;
        }
    }
}
