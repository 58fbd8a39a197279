//! A sampling temperature as something to sort, compare and look up by.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// Samples of one temperature are read and counted together, those of two never.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct Temperature(f64);

impl Temperature {
    pub const fn new(value: f64) -> Temperature {
        Temperature(value + 0.0) // -0 is 0
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<f64> for Temperature {
    fn from(value: f64) -> Temperature {
        Temperature::new(value)
    }
}

impl From<Temperature> for f64 {
    fn from(temperature: Temperature) -> f64 {
        temperature.0
    }
}

impl PartialEq for Temperature {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Temperature {}

impl PartialOrd for Temperature {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Temperature {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Temperature {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Temperature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_are_ordered_and_read_as_numbers() {
        let mut all = [1.2, 0.5, -0.0, 0.8].map(Temperature::new);
        all.sort();
        assert_eq!(all.map(|t| t.to_string()), ["0", "0.5", "0.8", "1.2"]);
        assert_eq!(Temperature::new(0.0), Temperature::new(-0.0));
        assert_eq!(serde_json::to_string(&Temperature::new(0.8)).unwrap(), "0.8");
        assert_eq!(serde_json::from_str::<Temperature>("1").unwrap(), Temperature::new(1.0));
    }
}
