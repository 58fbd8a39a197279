//! Additions: residuals, biases, gradients, and the sum of squares behind the gradient norm.

use multiversion::multiversion;
use rayon::prelude::*;

/// Elements a task.
const BLOCK: usize = 1 << 14;

/// `a += scale * b`.
pub fn add_scaled(a: &mut [f32], b: &[f32], scale: f32) {
    assert_eq!(a.len(), b.len());
    (a.par_chunks_mut(BLOCK), b.par_chunks(BLOCK)).into_par_iter().for_each(|(a, b)| block(a, b, scale));
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn block(a: &mut [f32], b: &[f32], scale: f32) {
    for (a, &b) in a.iter_mut().zip(b) {
        *a += scale * b;
    }
}

/// Adds `bias` (C) to each row of `x` (N, C).
pub fn add_bias(x: &mut [f32], bias: &[f32]) {
    let c = bias.len();
    x.par_chunks_mut(crate::ROWS * c).for_each(|x| {
        for row in x.chunks_exact_mut(c) {
            block(row, bias, 1.0);
        }
    });
}

/// Adds the column sums of `dy` (N, C) to `db` (C).
pub fn add_column_sums(db: &mut [f32], dy: &[f32]) {
    let c = db.len();
    let partials: Vec<Vec<f32>> = dy
        .par_chunks(crate::ROWS * c)
        .map(|dy| {
            let mut sums = vec![0.0; c];
            for row in dy.chunks_exact(c) {
                block(&mut sums, row, 1.0);
            }
            sums
        })
        .collect();
    add_all(db, &partials);
}

/// Adds each part to `total`, in order.
pub(crate) fn add_all(total: &mut [f32], parts: &[Vec<f32>]) {
    for part in parts {
        block(total, part, 1.0);
    }
}

/// Sum of squares in f64.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let parts: Vec<f64> = x.par_chunks(BLOCK).map(squares).collect();
    parts.iter().sum()
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn squares(x: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let eights = x.chunks_exact(8);
    let tail: f64 = eights.remainder().iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    for chunk in eights {
        for i in 0..8 {
            lanes[i] += f64::from(chunk[i]) * f64::from(chunk[i]);
        }
    }
    lanes.iter().sum::<f64>() + tail
}
