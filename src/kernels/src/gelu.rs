//! GELU in its tanh form (Hendrycks and Gimpel 2016; GPT-2's `gelu_new`): `y = x/2 (1 + tanh z)`, `z = sqrt(2/pi) (x + 0.044715 x^3)`.
//!
//! Saved: x. Backward: `dx = dy ((1 + tanh z)/2 + x/2 (1 - tanh^2 z) sqrt(2/pi) (1 + 3 * 0.044715 x^2))`. Outputs are written.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::exp::tanh;

const BLOCK: usize = 1 << 13;
const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// Element by element.
pub fn forward(x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    (y.par_chunks_mut(BLOCK), x.par_chunks(BLOCK)).into_par_iter().for_each(|(y, x)| block(y, x));
    y
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn block(y: &mut [f32], x: &[f32]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = 0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x)));
    }
}

/// The gradient of x.
pub fn backward(dy: &[f32], x: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; x.len()];
    (dx.par_chunks_mut(BLOCK), dy.par_chunks(BLOCK), x.par_chunks(BLOCK)).into_par_iter().for_each(|(dx, dy, x)| backward_block(dx, dy, x));
    dx
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn backward_block(dx: &mut [f32], dy: &[f32], x: &[f32]) {
    for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
        let t = tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
        let slope = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
        *dx = dy * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope);
    }
}
