//! `y = x W^T` for a few rows of x: each weight is read once, and each result is one dot product, so it does not depend on the batch.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::rms_norm::dot;

/// Weight rows a task.
const OUTPUTS: usize = 64;

/// x (B, K), w (N, K) -> y (B, N).
pub fn rows(x: &[f32], w: &[f32], b: usize, k: usize) -> Vec<f32> {
    let n = w.len() / k;
    let mut columns = vec![0.0; n * b]; // (N, B)
    columns.par_chunks_mut(OUTPUTS * b).zip(w.par_chunks(OUTPUTS * k)).for_each(|(y, w)| block(y, x, w, b, k));
    if b == 1 {
        return columns;
    }
    let mut y = vec![0.0; b * n];
    for (i, row) in y.chunks_exact_mut(n).enumerate() {
        row.iter_mut().zip(columns[i..].iter().step_by(b)).for_each(|(y, &c)| *y = c);
    }
    y
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn block(y: &mut [f32], x: &[f32], w: &[f32], b: usize, k: usize) {
    for (y, w) in y.chunks_exact_mut(b).zip(w.chunks_exact(k)) {
        for (y, x) in y.iter_mut().zip(x.chunks_exact(k)) {
            *y = dot(x, w);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_definition_and_does_not_depend_on_the_batch() {
        let (b, k, n) = (3, 37, 130);
        let x: Vec<f32> = (0..b * k).map(|i| ((i * 7) % 11) as f32 - 5.0).collect();
        let w: Vec<f32> = (0..n * k).map(|i| ((i * 5) % 13) as f32 - 6.0).collect();
        let y = rows(&x, &w, b, k);
        for i in 0..b {
            let alone = rows(&x[i * k..(i + 1) * k], &w, 1, k);
            for j in 0..n {
                let expected: f32 = (0..k).map(|l| x[i * k + l] * w[j * k + l]).sum();
                assert_eq!(y[i * n + j], expected);
                assert_eq!(alone[j].to_bits(), y[i * n + j].to_bits());
            }
        }
    }
}
