//! e^x for f32 in plain arithmetic, so that loops over it become vector code.
//!
//! Range reduction `x = n ln 2 + r` with ln 2 in two parts (Cody and Waite), a degree-6 polynomial for `e^r` on
//! `|r| <= ln 2 / 2` (the coefficients of Cephes' `expf`), and the exponent put together from bits. Within 2 units in the last
//! place of the exact value; below -87.3 the result is 0, above 88.3 it is that of 88.3.

/// `e^x`. Not for x = NaN: the result is then some finite number.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // 1.5 * 2^23: adding and subtracting it rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;

    let clamped = x.clamp(-87.336_54, 88.376_26);
    let shifted = clamped * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let p = 1.987_569_1e-4_f32;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_65;
    let p = p * r + 0.5;
    let e_r = p * r * r + r + 1.0;
    // The low bits of `shifted` are n as an integer; the exponent field starts at bit 23.
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127).wrapping_shl(23));
    if x < -87.336_54 { 0.0 } else { e_r * power }
}

/// `tanh x` through [`exp`], within 4e-7 of the exact value.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    let magnitude = (1.0 - e) / (1.0 + e);
    if x < 0.0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_the_exact_value_over_the_whole_range() {
        for i in -87_000..=88_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.5e-7, "exp({x}) = {} against {exact}: {error:e}", exp(x));
            let error = (f64::from(tanh(x / 8.0)) - f64::from(x / 8.0).tanh()).abs();
            assert!(error < 4e-7, "tanh({}): {error:e}", x / 8.0);
        }
    }

    #[test]
    fn edges() {
        for (x, expected) in [(0.0, 1.0), (f32::NEG_INFINITY, 0.0), (-1000.0, 0.0), (-0.0, 1.0)] {
            assert_eq!(exp(x), expected, "exp({x})");
        }
        assert!(exp(1000.0).is_finite());
        assert_eq!(tanh(0.0), 0.0);
        assert_eq!(tanh(50.0), 1.0);
        assert_eq!(tanh(-50.0), -1.0);
    }
}
