//! The y axis: round numbers, few of them, and a range that ends at one of them or half-way, so that it seldom changes while values come.

/// Rows between two numbers, at least.
const SPACING: u16 = 3;

pub(super) struct Scale {
    low: f64,
    high: f64,
    step: f64,
    decimals: usize,
}

impl Scale {
    /// Holds `low` to `high` in so many rows. A scale that shows no numbers keeps to the values.
    pub(super) fn new([low, high]: [f64; 2], rows: u16, has_numbers: bool) -> Scale {
        let is_level = high - low <= 1e-12 * high.abs().max(low.abs());
        let span = if is_level { low.abs().max(1e-6) * 0.1 } else { high - low };
        let gaps = (rows / SPACING).clamp(1, 6);
        let step = round_above(span / f64::from(gaps));
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        if !has_numbers {
            return Scale { low: low - span * 0.05, high: low + span * 1.05, step, decimals };
        }
        // There are two numbers at least.
        let grain = if gaps == 1 || is_level { step } else { step / 2.0 };
        let (low, mut high) = ((low / grain + 1e-9).floor() * grain, (high / grain - 1e-9).ceil() * grain);
        if high - low < grain / 2.0 {
            high += step;
        }
        Scale { low, high, step, decimals }
    }

    /// From 0 at the bottom to 1 at the top.
    pub(super) fn share(&self, y: f64) -> f64 {
        (y - self.low) / (self.high - self.low)
    }

    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let first = (self.low / self.step - 1e-9).ceil() * self.step;
        let count = ((self.high - first) / self.step + 1e-9).floor().max(0.0) as usize;
        (0..=count).map(move |i| first + self.step * i as f64).map(|value| (value, self.label(value)))
    }

    pub(super) fn label_width(&self) -> u16 {
        self.ticks().map(|(_, label)| label.len()).max().unwrap_or(0) as u16
    }

    fn label(&self, value: f64) -> String {
        let value = if value.abs() < self.step / 2.0 { 0.0 } else { value };
        format!("{value:.*}", self.decimals)
    }
}

/// The next of 1, 2, 5, 10, 20, ... that is not below.
fn round_above(x: f64) -> f64 {
    let power = 10_f64.powf(x.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|&step| step >= x * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round_and_hold_their_values() {
        let check = |low: f64, high: f64, rows: u16, expected: &str| {
            let scale = Scale::new([low, high], rows, true);
            let labels: Vec<String> = scale.ticks().map(|(_, label)| label).collect();
            assert_eq!(labels.join(" "), expected, "{low} to {high} in {rows}");
            assert!(scale.share(low) >= -1e-9 && scale.share(high) <= 1.0 + 1e-9);
        };
        check(2.13, 3.91, 12, "2.0 2.5 3.0 3.5 4.0");
        check(0.0, 1.0, 6, "0.0 0.5 1.0");
        check(2.5, 2.5, 6, "2.4 2.6");
        check(0.0, 0.001, 3, "0.000 0.001");
        check(-40.0, 4000.0, 9, "0 2000 4000");
        check(0.0, 0.0, 6, "0.00000000 0.00000005");
    }
}
