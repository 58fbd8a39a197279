//! AdamW (Loshchilov and Hutter 2019), in PyTorch's order of operations, one pass over memory:
//! `p *= 1 - lr wd; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)`.

use multiversion::multiversion;
use rayon::prelude::*;

const BLOCK: usize = 1 << 14;

/// The figures of one step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub betas: [f64; 2],
    pub eps: f64,
    /// Counted from 1.
    pub t: u64,
    /// The gradient is multiplied by this first (clipping).
    pub grad_scale: f64,
}

/// Updates parameters and both moments in place.
pub fn update(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], step: &Step) {
    assert!(p.len() == g.len() && m.len() == g.len() && v.len() == g.len());
    let factors = step.factors();
    (p.par_chunks_mut(BLOCK), m.par_chunks_mut(BLOCK), v.par_chunks_mut(BLOCK), g.par_chunks(BLOCK))
        .into_par_iter()
        .for_each(|(p, m, v, g)| block(p, m, v, g, &factors));
}

/// What a step multiplies by, made once in f64 and rounded.
#[derive(Debug)]
pub(crate) struct Factors {
    pub decay: f32,
    pub b1: f32,
    pub c1: f32,
    pub b2: f32,
    pub c2: f32,
    pub size: f32,
    pub root: f32,
    pub eps: f32,
    pub grad_scale: f32,
}

impl Step {
    pub(crate) fn factors(&self) -> Factors {
        let [b1, b2] = self.betas;
        let exponent = i32::try_from(self.t).unwrap_or(i32::MAX);
        Factors {
            decay: (1.0 - self.learning_rate * self.weight_decay) as f32,
            b1: b1 as f32,
            c1: (1.0 - b1) as f32,
            b2: b2 as f32,
            c2: (1.0 - b2) as f32,
            size: (self.learning_rate / (1.0 - b1.powi(exponent))) as f32,
            root: (1.0 - b2.powi(exponent)).sqrt() as f32,
            eps: self.eps as f32,
            grad_scale: self.grad_scale as f32,
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2+fma"))]
fn block(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], f: &Factors) {
    for i in 0..g.len() {
        let g = g[i] * f.grad_scale;
        m[i] = f.b1 * m[i] + f.c1 * g;
        v[i] = f.b2 * v[i] + f.c2 * g * g;
        p[i] = p[i] * f.decay - f.size * m[i] / (v[i].sqrt() / f.root + f.eps);
    }
}
