//! The learning rate of each optimiser step, as transformers' schedules define it.

use crate::config::{Schedule, ScheduleName};

/// The rate of step `step` (from 0) of `total`: `peak` times `constant_with_warmup`, `linear` or `cosine` of transformers.
/// With a warm-up of W steps the first step's rate is 0 and step W's is `peak`.
pub fn learning_rate(schedule: &Schedule, peak: f64, step: usize, total: usize) -> f64 {
    let (warmup, at) = (schedule.warmup_steps, step as f64);
    if step < warmup {
        return peak * at / warmup.max(1) as f64;
    }
    let left = total.saturating_sub(warmup).max(1) as f64;
    let progress = (at - warmup as f64) / left;
    peak * match schedule.name {
        ScheduleName::Constant => 1.0,
        ScheduleName::Linear => ((total as f64 - at) / left).max(0.0),
        ScheduleName::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_transformers() {
        let cases: serde_json::Value = serde_json::from_str(include_str!("../../tests/fixtures/engine/schedules.json")).unwrap();
        let cases = cases["cases"].as_array().unwrap();
        assert!(cases.len() >= 6);
        for case in cases {
            let schedule = Schedule {
                name: serde_json::from_value(case["name"].clone()).unwrap(),
                warmup_steps: case["warmup_steps"].as_u64().unwrap() as usize,
            };
            let total = case["total_steps"].as_u64().unwrap() as usize;
            for (step, expected) in case["multipliers"].as_array().unwrap().iter().enumerate() {
                let rate = learning_rate(&schedule, 3.0, step, total);
                assert!((rate / 3.0 - expected.as_f64().unwrap()).abs() < 1e-12, "{schedule:?} of {total} at {step}: {rate}");
            }
        }
    }
}
