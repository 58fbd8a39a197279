//! Cross-entropy of logits against target ids, summed: `loss = sum over rows of ln(sum_j e^(l_j)) - l_target`.
//!
//! The gradient is made in place of the logits in the same pass: `dl_j = scale (softmax(l)_j - [j = target])`.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::exp::exp;

/// Turns `logits` (N, V) into the gradient of `scale * loss`; returns the loss, summed over rows in f64, not scaled.
pub fn forward_backward(logits: &mut [f32], vocab: usize, targets: &[u32], scale: f32) -> f64 {
    let losses: Vec<f64> = logits
        .par_chunks_mut(vocab)
        .zip(targets.par_iter())
        .map(|(row, &target)| {
            let target_logit = row[target as usize];
            let (max, sum) = exponentials(row);
            multiply(row, scale / sum);
            row[target as usize] -= scale;
            f64::from(max) + f64::from(sum).ln() - f64::from(target_logit)
        })
        .collect();
    losses.iter().sum()
}

/// `ln softmax(logits)[target]` for each row.
pub fn logprobs(logits: &[f32], vocab: usize, targets: &[u32]) -> Vec<f32> {
    logits
        .par_chunks(vocab)
        .zip(targets.par_iter())
        .map(|(row, &target)| {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            // In f64, with the library's exp: the figure is read by people, the cost is not noticed.
            let sum: f64 = row.iter().map(|&l| f64::from(l - max).exp()).sum();
            (f64::from(row[target as usize]) - f64::from(max) - sum.ln()) as f32
        })
        .collect()
}

/// Replaces each l by e^(l - max); returns max and the sum.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn exponentials(row: &mut [f32]) -> (f32, f32) {
    let max = crate::attention::max(row);
    for l in row.iter_mut() {
        *l = exp(*l - max);
    }
    (max, crate::attention::sum(row))
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn multiply(row: &mut [f32], factor: f32) {
    for e in row {
        *e *= factor;
    }
}
