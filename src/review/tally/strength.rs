//! How strong each arm is by all comparisons: the model of Bradley and Terry, fitted with a little prior, and how sure its strengths are.

use super::Z;

/// How many comparisons with an imaginary arm of strength 1 each arm is given, half of them won. One in all moves an arm with dozens of
/// readings hardly at all, and keeps the strength of one that won or lost all its readings finite.
pub const PRIOR: f64 = 1.0;

/// That one arm was placed before another in a reading: 1, or half each way where they were placed alike. Arms are numbers from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    pub better: usize,
    pub worse: usize,
    pub share: f64,
}

/// Strengths of a Bradley-Terry model by the MM iteration (Hunter, "MM algorithms for generalized Bradley-Terry models", 2004,
/// eq. 3), with `prior` comparisons of each arm with an arm of strength 1, half of them won. `wins[i][j]` says how often i was placed
/// before j. Scaled to a geometric mean of 1 over the arms that were compared; `None` for the others.
///
/// With a prior the maximum is unique and finite. Without one it need not be, where an arm won all or none of its comparisons or some
/// arms never met; then the iteration ends at its limit.
pub fn bradley_terry(wins: &[Vec<f64>], prior: f64) -> Vec<Option<f64>> {
    let of = compared(wins);
    let strength = maximum(wins, &of, prior);
    let log_mean = of.iter().map(|&i| strength[i].ln()).sum::<f64>() / of.len().max(1) as f64;
    (0..wins.len()).map(|i| of.contains(&i).then(|| (strength[i].ln() - log_mean).exp())).collect()
}

/// 95 % intervals of the strengths under [`PRIOR`], of `arms` arms from the comparisons of each reading. On the logarithm's scale they are the
/// estimate and 1.96 standard errors either way, with the larger of two standard errors:
///
/// - that of the observed information, which takes all comparisons for independent;
/// - that of the sandwich (White, "Maximum likelihood estimation of misspecified models", 1982) with the readings as clusters, and G / (G - 1) for
///   G readings, which does not: a reading of four arms is six comparisons and one decision. With few readings, or with readings that all
///   came out alike, it is far too small, which is what the first is for.
///
/// `None` for an arm that was compared with no other.
pub fn intervals(readings: &[Vec<Comparison>], arms: usize) -> Vec<Option<(f64, f64)>> {
    let mut wins = vec![vec![0.0; arms]; arms];
    readings.iter().flatten().for_each(|one| wins[one.better][one.worse] += one.share);
    let of = compared(&wins);
    let strength = maximum(&wins, &of, PRIOR);
    let chance = |i: usize, j: usize| strength[i] / (strength[i] + strength[j]);
    let place = |arm: usize| of.iter().position(|&other| other == arm);

    // The observed information, and what each reading adds to the gradient at the maximum.
    let mut information = vec![vec![0.0; of.len()]; of.len()];
    for (a, &i) in of.iter().enumerate() {
        let against_prior = strength[i] / (strength[i] + 1.0);
        information[a][a] += PRIOR * against_prior * (1.0 - against_prior);
        for (b, &j) in of.iter().enumerate().filter(|(_, j)| **j != i) {
            let weight = (wins[i][j] + wins[j][i]) * chance(i, j) * chance(j, i);
            information[a][a] += weight;
            information[a][b] -= weight;
        }
    }
    let gradients: Vec<Vec<f64>> = (readings.iter().filter(|reading| !reading.is_empty()))
        .map(|reading| {
            let mut gradient = vec![0.0; of.len()];
            for one in reading {
                let step = one.share * chance(one.worse, one.better);
                if let (Some(better), Some(worse)) = (place(one.better), place(one.worse)) {
                    gradient[better] += step;
                    gradient[worse] -= step;
                }
            }
            gradient
        })
        .collect();

    let Some(covariance) = inverse(information) else { return vec![None; arms] };
    let clusters = gradients.len() as f64;
    let variance = |at: usize| {
        // How far this arm's log strength lies above the mean of all: scaling by the geometric mean moves every arm.
        let contrast: Vec<f64> = (0..of.len()).map(|other| f64::from(other == at) - 1.0 / of.len() as f64).collect();
        let spread = times(&covariance, &contrast);
        let informed = dot(&contrast, &spread);
        let clustered = gradients.iter().map(|gradient| dot(gradient, &spread).powi(2)).sum::<f64>() * clusters / (clusters - 1.0);
        if gradients.len() > 1 { informed.max(clustered) } else { informed }
    };
    let log_mean = of.iter().map(|&i| strength[i].ln()).sum::<f64>() / of.len().max(1) as f64;
    let interval = |arm: usize| {
        let at = place(arm)?;
        let (log, half) = (strength[arm].ln() - log_mean, Z * variance(at).max(0.0).sqrt());
        Some(((log - half).exp(), (log + half).exp()))
    };
    (0..arms).map(interval).collect()
}

/// The arms that were compared with another.
fn compared(wins: &[Vec<f64>]) -> Vec<usize> {
    (0..wins.len()).filter(|&i| (0..wins.len()).any(|j| met(wins, i, j) > 0.0)).collect()
}

fn met(wins: &[Vec<f64>], i: usize, j: usize) -> f64 {
    if i == j { 0.0 } else { wins[i][j] + wins[j][i] }
}

/// The strengths of the arms `of`, not scaled: the prior's arm has strength 1.
fn maximum(wins: &[Vec<f64>], of: &[usize], prior: f64) -> Vec<f64> {
    const CLOSE: f64 = 1e-13;
    const LIMIT: usize = 20_000;
    let mut strength = vec![1.0; wins.len()];
    for _ in 0..LIMIT {
        let mut moved: f64 = 0.0;
        // Each arm takes the newest strengths of the others: the cyclic form, which ascends as well and is faster.
        for &i in of {
            let won = of.iter().filter(|&&j| j != i).map(|&j| wins[i][j]).sum::<f64>() + prior / 2.0;
            let weight = of.iter().map(|&j| met(wins, i, j) / (strength[i] + strength[j])).sum::<f64>() + prior / (strength[i] + 1.0);
            let next = won / weight;
            moved = moved.max((next / strength[i] - 1.0).abs());
            // An arm without a win has strength 0 without a prior; kept above it, so that its logarithm is a number.
            strength[i] = next.max(f64::MIN_POSITIVE);
        }
        if moved < CLOSE {
            break;
        }
    }
    strength
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn times(matrix: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| dot(row, vector)).collect()
}

/// By Gauss and Jordan, with the largest pivot; `None` of a singular matrix.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = matrix.len();
    let mut inverse: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(i == j)).collect()).collect();
    for column in 0..n {
        let pivot = (column..n).max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        if matrix[pivot][column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        matrix.swap(column, pivot);
        inverse.swap(column, pivot);
        let scale = matrix[column][column];
        matrix[column].iter_mut().chain(&mut inverse[column]).for_each(|value| *value /= scale);
        for row in (0..n).filter(|row| *row != column) {
            let factor = matrix[row][column];
            for at in 0..n {
                matrix[row][at] -= factor * matrix[column][at];
                inverse[row][at] -= factor * inverse[column][at];
            }
        }
    }
    Some(inverse)
}
