//! Dropout whose mask is a pure function of a key and the element's index, so that recomputing and resuming repeat it exactly.
//!
//! The bits are those of SplitMix64 (Steele et al. 2014) at `key + index`, one draw an element; `y = x / (1 - p)` where kept.

use rayon::prelude::*;

const BLOCK: usize = 1 << 13;

/// `x` with each element dropped with probability `p` (0 to under 1). Its own backward: apply it to dy with the same key.
pub fn apply(x: &[f32], p: f64, key: u64) -> Vec<f32> {
    let (threshold, scale) = ((p * 2f64.powi(32)) as u32, (1.0 / (1.0 - p)) as f32);
    let mut y = vec![0.0; x.len()];
    (y.par_chunks_mut(BLOCK), x.par_chunks(BLOCK)).into_par_iter().enumerate().for_each(|(block, (y, x))| {
        let start = key.wrapping_add((block * BLOCK) as u64);
        for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
            let kept = draw(start.wrapping_add(i as u64)) >= threshold;
            *y = if kept { x * scale } else { 0.0 };
        }
    });
    y
}

/// 32 well-mixed bits of a counter.
#[inline(always)]
fn draw(counter: u64) -> u32 {
    let z = counter.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 32) as u32
}

/// A key for one use of dropout, mixed from what identifies it (seed, step, micro-step, layer, place).
pub fn key(parts: &[u64]) -> u64 {
    parts.iter().fold(0x243F_6A88_85A3_08D3, |key, &part| {
        let z = (key ^ part).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        (z ^ (z >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(17)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_the_share_asked_for_and_keeps_the_mean() {
        let x = vec![1.0f32; 200_000];
        for p in [0.0, 0.05, 0.5] {
            let y = apply(&x, p, key(&[42, 7]));
            let dropped = y.iter().filter(|&&y| y == 0.0).count() as f64 / x.len() as f64;
            let mean = y.iter().map(|&y| f64::from(y)).sum::<f64>() / x.len() as f64;
            assert!((dropped - p).abs() < 0.004, "dropped {dropped} of {p}");
            assert!((mean - 1.0).abs() < 0.01, "mean {mean}");
        }
    }

    #[test]
    fn the_mask_is_the_keys_alone() {
        let x: Vec<f32> = (0..40_000).map(|i| i as f32 + 1.0).collect();
        assert_eq!(apply(&x, 0.3, 5), apply(&x, 0.3, 5));
        assert_ne!(apply(&x, 0.3, key(&[1, 2])), apply(&x, 0.3, key(&[2, 1])));
    }
}
