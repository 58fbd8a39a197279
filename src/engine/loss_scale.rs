//! The factor on the loss under which gradients fit f16: what is below 6e-8 is zero there, and what is above 65,504 infinite
//! (Micikevicius et al. 2018).
//!
//! It starts high. A step whose gradient goes beyond f16 changes nothing and halves it; after some thousand good steps it is doubled,
//! since gradients grow small in training. It is a power of two, so that scaling rounds nothing that f16 can hold.

use candle_core::DType;

/// As of `torch.amp.GradScaler`.
const START: f64 = 65536.0;
/// Good steps after which it is doubled.
const PATIENCE: u64 = 2000;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    factor: f64,
    /// Steps since it was last changed; `None` where it never is.
    good: Option<u64>,
}

impl LossScale {
    /// That of a model that computes in this type: 1 in all but f16.
    pub fn of(dtype: DType) -> Self {
        match dtype {
            DType::F16 => LossScale { factor: START, good: Some(0) },
            _ => LossScale { factor: 1.0, good: None },
        }
    }

    /// What the loss is multiplied by, and the gradient divided by.
    pub fn factor(self) -> f64 {
        self.factor
    }

    /// Whether it changes with the gradients.
    pub fn is_dynamic(self) -> bool {
        self.good.is_some()
    }

    /// After a step that went well.
    pub fn keep(&mut self) {
        let Some(good) = &mut self.good else { return };
        *good += 1;
        if *good == PATIENCE {
            *good = 0;
            self.factor *= 2.0;
        }
    }

    /// After a gradient that was not finite. False if it is not the scale's fault: without one, that is without f16 or at a factor of 1.
    pub fn halve(&mut self) -> bool {
        let Some(good) = self.good.as_mut().filter(|_| self.factor > 1.0) else { return false };
        *good = 0;
        self.factor /= 2.0;
        true
    }

    /// To be saved, where it is dynamic: see [`LossScale::restore`].
    pub fn saved(self) -> Option<[f64; 2]> {
        Some([self.factor, self.good? as f64])
    }

    /// Goes on from what was saved. False if that is no scale of this kind.
    pub fn restore(&mut self, saved: &[f64]) -> bool {
        let (Some(good), &[factor, steps]) = (&mut self.good, saved) else { return false };
        let right = factor >= 1.0 && factor.is_finite() && (0.0..PATIENCE as f64).contains(&steps);
        if right {
            (*good, self.factor) = (steps as u64, factor);
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_at_each_overflow_and_doubles_after_many_good_steps() {
        let mut scale = LossScale::of(DType::F16);
        assert!(scale.halve() && scale.halve());
        assert_eq!(scale.factor(), START / 4.0);
        (0..PATIENCE - 1).for_each(|_| scale.keep());
        assert_eq!(scale.factor(), START / 4.0);
        scale.keep();
        assert_eq!(scale.factor(), START / 2.0);
        (0..PATIENCE - 1).for_each(|_| scale.keep());
        assert!(scale.halve(), "an overflow starts the count anew");
        (0..PATIENCE - 1).for_each(|_| scale.keep());
        assert_eq!(scale.factor(), START / 4.0);
    }

    #[test]
    fn at_one_a_gradient_that_is_not_finite_is_not_the_scales_fault() {
        let mut scale = LossScale::of(DType::F16);
        assert_eq!(std::iter::from_fn(|| scale.halve().then_some(())).count(), 16);
        assert_eq!(scale.factor(), 1.0);
    }

    #[test]
    fn other_types_have_none() {
        for dtype in [DType::F32, DType::BF16] {
            let mut scale = LossScale::of(dtype);
            scale.keep();
            assert!(!scale.halve() && scale.factor() == 1.0 && scale.saved().is_none() && !scale.restore(&[2.0, 0.0]));
        }
    }

    #[test]
    fn it_goes_on_where_it_was_saved() {
        let mut scale = LossScale::of(DType::F16);
        scale.halve();
        (0..5).for_each(|_| scale.keep());
        let mut restored = LossScale::of(DType::F16);
        assert!(restored.restore(&scale.saved().unwrap()));
        assert_eq!(restored, scale);
        for damaged in [&[][..], &[0.5, 0.0], &[f64::INFINITY, 0.0], &[4.0, 2000.0], &[4.0, -1.0], &[4.0]] {
            assert!(!restored.restore(damaged) && restored == scale, "{damaged:?}");
        }
    }
}
