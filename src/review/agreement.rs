//! Agreement with the writer's own edit: of the sentences she cut, how many did the model cut?

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::align::{Alignment, Kind, align};
use super::draw::below;

/// How well the model's cuts agree with the author's, over all sentences of the draft and over the last ones of its paragraphs.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Agreement {
    pub cut: Scores,
    pub endings: Scores,
}

/// Scores of a model's cuts against the author's. A ratio of nothing to nothing is `None` (null in JSON).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Scores {
    /// Of the sentences the model cut, the share she cut.
    pub precision: Option<f64>,
    /// Of the sentences she cut, the share the model cut.
    pub recall: Option<f64>,
    /// The harmonic mean of the two: `2 tp / (2 tp + fp + fn)`.
    pub f1: Option<f64>,
    /// Cohen's kappa: agreement beyond chance, `(po - pe) / (1 - pe)` (Cohen, "A coefficient of agreement for nominal scales", 1960).
    pub kappa: Option<f64>,
    /// 95 % interval of kappa: percentile bootstrap over sentences.
    pub interval: Option<(f64, f64)>,
}

/// What the two did with one sentence of the draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub author: bool,
    pub model: bool,
}

/// Sentences by the two choices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Table {
    pub both_cut: u64,
    pub only_author: u64,
    pub only_model: u64,
    pub neither: u64,
}

/// How often the sentences are drawn anew for an interval.
pub const RESAMPLES: usize = 2000;

/// Scores the model's edit of `draft` against the author's. Moved and reworded sentences count as not cut. `seed` draws the bootstrap's samples: the same
/// seed gives the same interval.
pub fn agreement(draft: &str, model: &str, author: &str, seed: u64) -> Agreement {
    agreement_of(&align(draft, model), &align(draft, author), seed)
}

/// The same from two alignments of one draft.
pub fn agreement_of(model: &Alignment, author: &Alignment, seed: u64) -> Agreement {
    let choices: Vec<Choice> = cuts(author).into_iter().zip(cuts(model)).map(|(author, model)| Choice { author, model }).collect();
    let endings: Vec<Choice> =
        choices.iter().enumerate().filter(|(s, _)| author.draft.ends_paragraph(*s)).map(|(_, choice)| *choice).collect();
    Agreement { cut: Scores::of(&choices, seed), endings: Scores::of(&endings, seed) }
}

/// For each sentence of the draft, whether it was cut.
pub fn cuts(alignment: &Alignment) -> Vec<bool> {
    alignment.draft_rows().into_iter().map(|row| alignment.rows[row].kind == Kind::Cut).collect()
}

impl Scores {
    pub fn of(choices: &[Choice], seed: u64) -> Scores {
        let table = Table::of(choices.iter().copied());
        Scores {
            precision: table.precision(),
            recall: table.recall(),
            f1: table.f1(),
            kappa: table.kappa(),
            interval: table.kappa().and_then(|_| interval(choices, Table::kappa, seed)),
        }
    }
}

impl Table {
    pub fn of(choices: impl Iterator<Item = Choice>) -> Table {
        let mut table = Table::default();
        for choice in choices {
            match (choice.author, choice.model) {
                (true, true) => table.both_cut += 1,
                (true, false) => table.only_author += 1,
                (false, true) => table.only_model += 1,
                (false, false) => table.neither += 1,
            }
        }
        table
    }

    pub fn precision(&self) -> Option<f64> {
        ratio(self.both_cut, self.both_cut + self.only_model)
    }

    pub fn recall(&self) -> Option<f64> {
        ratio(self.both_cut, self.both_cut + self.only_author)
    }

    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.both_cut, 2 * self.both_cut + self.only_model + self.only_author)
    }

    /// `None` where chance alone gives full agreement: both cut everything, or both cut nothing.
    pub fn kappa(&self) -> Option<f64> {
        let author = self.both_cut + self.only_author;
        let model = self.both_cut + self.only_model;
        let all = author + self.only_model + self.neither;
        // In whole numbers, so that 0/0 is found exactly: pe = chance / all², po = agreed / all.
        let chance = author * model + (all - author) * (all - model);
        let agreed = (self.both_cut + self.neither) * all;
        (all * all != chance).then(|| (agreed as f64 - chance as f64) / (all * all - chance) as f64)
    }
}

/// Percentile interval (2.5 % to 97.5 %, linear between order statistics) of a statistic over [`RESAMPLES`] resamples of the choices. Resamples in which the
/// statistic is undefined are left out; `None` when that is more than half of them.
pub fn interval(choices: &[Choice], statistic: impl Fn(&Table) -> Option<f64>, seed: u64) -> Option<(f64, f64)> {
    if choices.is_empty() {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut once = || statistic(&Table::of((0..choices.len()).map(|_| choices[below(&mut rng, choices.len())])));
    percentiles((0..RESAMPLES).filter_map(|_| once()).collect())
}

/// From 2.5 % to 97.5 % of the values of [`RESAMPLES`] resamples; `None` where more than half of them had none.
pub(super) fn percentiles(mut values: Vec<f64>) -> Option<(f64, f64)> {
    if values.len() * 2 < RESAMPLES {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    Some((quantile(&values, 0.025), quantile(&values, 0.975)))
}

/// Quantile `q` of sorted values, linear between neighbours (type 7 of Hyndman and Fan, 1996: the default of R and NumPy).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
