//! What many verdicts say together: how often each arm won, how it was scored, and how strong it is by all comparisons.
//!
//! In a reading an arm **wins** where it stands in the first place and another arm does not; it **ties** where all stand there. An
//! all-bad reading counts against every arm's win rate and compares nobody with anybody.

mod strength;

use std::collections::BTreeMap;

pub use strength::{Comparison, PRIOR, bradley_terry, intervals};

use super::verdict::{ArmName, Outcome, Reading};

/// Per arm, in the order of their keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally<K> {
    pub arms: Vec<ArmTally<K>>,
    /// `beaten[i][j]`: how often arm i was placed before arm j; being placed alike counts half for both. Each pair of arms is counted
    /// in every reading that placed both.
    pub beaten: Vec<Vec<f64>>,
    /// Whether the comparisons link all arms that were compared at all. Where they do not, strengths compare within a group of linked
    /// arms only; across groups they stand on the prior.
    pub connected: bool,
}

/// What became of one arm.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmTally<K> {
    pub arm: K,
    /// Readings in which it was shown.
    pub readings: u64,
    pub wins: u64,
    pub ties: u64,
    pub all_bad: u64,
    /// Mean score by the dimension's id, over the readings that scored it.
    pub rubric: BTreeMap<String, Mean>,
    /// Mean over readings of each reading's mean score, so that a long piece, of which more is asked, does not count for more. `None`
    /// where nothing was scored.
    pub overall: Option<Mean>,
    /// Bradley-Terry strength; 2 against 1 means preferred two times in three. The strengths' geometric mean is 1. `None` where it
    /// was compared with no arm.
    pub strength: Option<f64>,
    /// 95 %; see [`intervals`].
    pub strength_interval: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Mean {
    pub mean: f64,
    /// How many values it is of; at least 1.
    pub count: u64,
}

/// Counts readings. `key` says which arms count as one: the whole name keeps runs apart, [`ArmName::arm`] takes them together. Non-blind
/// readings count like others; leave them out before, where that is wanted.
pub fn tally<'r, K: Ord + Clone>(readings: impl IntoIterator<Item = &'r Reading>, key: impl Fn(&ArmName) -> K) -> Tally<K> {
    let readings: Vec<&Reading> = readings.into_iter().collect();
    let mut keys: Vec<K> = readings.iter().flat_map(|reading| reading.arms()).map(&key).collect();
    keys.sort();
    keys.dedup();
    let index = |arm: &ArmName| keys.binary_search(&key(arm)).ok();
    let mut counts = vec![Counts::default(); keys.len()];
    let mut beaten = vec![vec![0.0; keys.len()]; keys.len()];
    let mut by_reading: Vec<Vec<Comparison>> = vec![];
    for reading in readings {
        for arm in reading.arms() {
            if let Some(at) = index(arm) {
                counts[at].add(reading, arm);
            }
        }
        let mut of_reading = vec![];
        for (better, worse, share) in comparisons(reading) {
            // Two arms that count as one say nothing about each other.
            if let (Some(better), Some(worse)) = (index(better), index(worse))
                && better != worse
            {
                beaten[better][worse] += share;
                of_reading.push(Comparison { better, worse, share });
            }
        }
        by_reading.push(of_reading);
    }
    let strengths = bradley_terry(&beaten, PRIOR);
    let intervals = intervals(&by_reading, keys.len());
    let connected = connected(&beaten);
    let strengths = strengths.into_iter().zip(intervals);
    let arms = keys.into_iter().zip(counts).zip(strengths).map(|((arm, counts), strength)| counts.tally(arm, strength)).collect();
    Tally { arms, beaten, connected }
}

impl<K> ArmTally<K> {
    /// Wins among the readings in which it was shown.
    pub fn win_rate(&self) -> Option<f64> {
        (self.readings > 0).then(|| self.wins as f64 / self.readings as f64)
    }

    /// 95 % interval of the win rate.
    pub fn win_interval(&self) -> Option<(f64, f64)> {
        wilson(self.wins, self.readings)
    }
}

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a proportion by Wilson's score (Wilson, "Probable inference", 1927). `None` of nothing.
pub fn wilson(successes: u64, all: u64) -> Option<(f64, f64)> {
    if all == 0 {
        return None;
    }
    let n = all as f64;
    let p = (successes as f64 / n).min(1.0);
    let scale = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / scale;
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
    // The interval holds the proportion, which at 0 and 1 rounding may deny.
    Some(((centre - half).clamp(0.0, p), (centre + half).clamp(p, 1.0)))
}

/// Where an arm was placed; 0 is the best place. `None` where nothing is said of it.
fn place(outcome: &Outcome, arm: &ArmName) -> Option<usize> {
    match outcome {
        Outcome::Best(best) => Some(if best.contains(arm) { 0 } else { 1 }),
        Outcome::Ranking(groups) => groups.iter().filter(|group| !group.is_empty()).position(|group| group.contains(arm)),
        Outcome::Tie => Some(0),
        Outcome::AllBad => None,
    }
}

/// Who was placed before whom in a reading, and how much that counts: 1, or half each way where they were placed alike.
fn comparisons(reading: &Reading) -> Vec<(&ArmName, &ArmName, f64)> {
    let mut found = vec![];
    for (better, worse) in reading.arms().flat_map(|one| reading.arms().map(move |other| (one, other))) {
        let (Some(first), Some(second)) = (place(&reading.outcome, better), place(&reading.outcome, worse)) else { continue };
        // Those that are not among the best were not compared with one another.
        let unplaced = matches!(reading.outcome, Outcome::Best(_)) && first == 1;
        if first < second {
            found.push((better, worse, 1.0));
        } else if first == second && better != worse && !unplaced {
            found.push((better, worse, 0.5));
        }
    }
    found
}

/// Whether every arm that met another can be reached from every other such arm along comparisons.
fn connected(beaten: &[Vec<f64>]) -> bool {
    let met = |i: usize, j: usize| i != j && beaten[i][j] + beaten[j][i] > 0.0;
    let all: Vec<usize> = (0..beaten.len()).filter(|&i| (0..beaten.len()).any(|j| met(i, j))).collect();
    let mut reached: Vec<usize> = all.first().copied().into_iter().collect();
    let mut next = 0;
    while let Some(&i) = reached.get(next) {
        let new: Vec<usize> = all.iter().copied().filter(|&j| met(i, j) && !reached.contains(&j)).collect();
        reached.extend(new);
        next += 1;
    }
    reached.len() == all.len()
}

/// An arm's tally in the making.
#[derive(Debug, Clone, Default)]
struct Counts {
    readings: u64,
    wins: u64,
    ties: u64,
    all_bad: u64,
    rubric: BTreeMap<String, Sum>,
    overall: Sum,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    sum: f64,
    count: u64,
}

impl Counts {
    fn add(&mut self, reading: &Reading, arm: &ArmName) {
        let first = |arm| place(&reading.outcome, arm) == Some(0);
        self.readings += 1;
        if reading.outcome == Outcome::AllBad {
            self.all_bad += 1;
        } else if reading.arms().all(first) {
            self.ties += 1;
        } else if first(arm) {
            self.wins += 1;
        }
        let mut own = Sum::default();
        for (dimension, score) in reading.scores.get(arm).into_iter().flatten() {
            let score = f64::from(score.get());
            self.rubric.entry(dimension.clone()).or_default().add(score);
            own.add(score);
        }
        if let Some(own) = own.mean() {
            self.overall.add(own.mean);
        }
    }

    fn tally<K>(self, arm: K, (strength, strength_interval): (Option<f64>, Option<(f64, f64)>)) -> ArmTally<K> {
        let Counts { readings, wins, ties, all_bad, rubric, overall } = self;
        let rubric = rubric.into_iter().filter_map(|(dimension, sum)| Some((dimension, sum.mean()?))).collect();
        ArmTally { arm, readings, wins, ties, all_bad, rubric, overall: overall.mean(), strength, strength_interval }
    }
}

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    pub(super) fn mean(self) -> Option<Mean> {
        (self.count > 0).then(|| Mean { mean: self.sum / self.count as f64, count: self.count })
    }
}

#[cfg(test)]
mod tests;
