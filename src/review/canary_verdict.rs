//! What the canaries say of a fine-tuned arm, in words: was the content memorised, or did the voice generalise?

use std::fmt;

use super::tally::{Mean, Sum};
use super::verdict::{ArmName, Reading};
use crate::config::Rubric;

/// The canary of a known topic and a short piece.
pub const KNOWN: &str = "A";
/// Of a new topic and a short piece.
pub const NEW: &str = "B";
/// Of a known topic and a long piece.
pub const LONG: &str = "C";

/// How far the fine-tuned arm's mean score must stand above the base arm's. Half a step: scores are whole numbers, so
/// this is one step more on at least half of what is asked. A reader who wavers by a step on one or two of six dimensions moves a mean by less.
pub const SHIFT: f64 = 0.5;

/// How many readings each mean must be of: more than half of the five samples that are drawn of a prompt.
pub const READINGS: u64 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryVerdict {
    /// The known topic shifted and the new one did not.
    Memorised,
    /// Both topics shifted, and the long piece too where it was asked for.
    Generalised,
    /// Both topics shifted, but not what is asked of the long piece alone.
    VoiceWithoutStructure,
    /// Neither topic shifted.
    NoShift,
    /// The new topic shifted and the known one did not.
    Unclear,
    NotEnoughReadings,
}

/// The mean scores of one canary, base beside fine-tuned. `None` where nothing was scored.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Shift {
    pub base: Option<Mean>,
    pub tuned: Option<Mean>,
}

/// The canaries of one fine-tuned arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canaries {
    pub known: Shift,
    pub new: Shift,
    /// By the dimensions of long pieces alone. `None` for a model that is not asked for them.
    pub long: Option<Shift>,
}

impl Canaries {
    /// Reads the canaries' scores off all readings. `long`: whether the model is given the long canary.
    pub fn of(readings: &[&Reading], rubric: &Rubric, base: &ArmName, tuned: &ArmName, long: bool) -> Canaries {
        let structural = |id: &str| rubric.dimensions.iter().any(|dimension| dimension.id == id && dimension.long_only);
        // A rubric of the writer's own may have no such dimension; then the whole of it is asked.
        let any = rubric.dimensions.iter().any(|dimension| dimension.long_only);
        let shift = |prompt, counts: &dyn Fn(&str) -> bool| Shift {
            base: mean(readings, prompt, base, counts),
            tuned: mean(readings, prompt, tuned, counts),
        };
        Canaries {
            known: shift(KNOWN, &|_| true),
            new: shift(NEW, &|_| true),
            long: long.then(|| shift(LONG, &|id| !any || structural(id))),
        }
    }

    pub fn verdict(&self) -> CanaryVerdict {
        use CanaryVerdict::*;
        let (Some(known), Some(new)) = (self.known.shifted(), self.new.shifted()) else { return NotEnoughReadings };
        match (known, new, self.long.map(|long| long.shifted())) {
            (false, false, _) => NoShift,
            (true, false, _) => Memorised,
            (false, true, _) => Unclear,
            (true, true, None | Some(Some(true))) => Generalised,
            (true, true, Some(Some(false))) => VoiceWithoutStructure,
            (true, true, Some(None)) => NotEnoughReadings,
        }
    }

    /// What the verdict was read off: `A +1.20 (4 and 5 readings), B +0.10 (4 and 4), C not asked`.
    pub fn grounds(&self) -> String {
        let readings = |mean: Option<Mean>| mean.map_or(0, |mean| mean.count);
        let counts = |shift: &Shift| format!("{} and {} readings", readings(shift.base), readings(shift.tuned));
        let one = |id: &str, shift: &Shift| match shift.difference() {
            Some(difference) => format!("{id} {difference:+.2} ({})", counts(shift)),
            None => format!("{id} ({})", counts(shift)),
        };
        let long = self.long.as_ref().map_or(format!("{LONG} not asked"), |shift| one(LONG, shift));
        format!("{}, {}, {long}", one(KNOWN, &self.known), one(NEW, &self.new))
    }
}

impl Shift {
    /// Fine-tuned less base; `None` where one of them was not scored.
    pub fn difference(&self) -> Option<f64> {
        Some(self.tuned?.mean - self.base?.mean)
    }

    /// `None` where there are too few readings to say.
    pub fn shifted(&self) -> Option<bool> {
        let enough = self.base?.count >= READINGS && self.tuned?.count >= READINGS;
        // A difference of exactly the threshold may come out a rounding error below it.
        self.difference().filter(|_| enough).map(|difference| difference >= SHIFT - 1e-9)
    }
}

impl fmt::Display for CanaryVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CanaryVerdict::Memorised => "memorised",
            CanaryVerdict::Generalised => "generalised",
            CanaryVerdict::VoiceWithoutStructure => "voice without structure",
            CanaryVerdict::NoShift => "no shift",
            CanaryVerdict::Unclear => "unclear",
            CanaryVerdict::NotEnoughReadings => "not enough readings",
        })
    }
}

impl CanaryVerdict {
    /// What it means and what to do, to be shown beside it.
    pub fn meaning(self) -> &'static str {
        match self {
            CanaryVerdict::Memorised => "A sounds right and B does not: the model learned the content, not the voice.",
            CanaryVerdict::Generalised => "The voice came away from its topics.",
            CanaryVerdict::VoiceWithoutStructure => "The sentences are right; the piece that they make is not.",
            CanaryVerdict::NoShift => "The fine-tuned model sounds no more like you than the one it started from.",
            CanaryVerdict::Unclear => "B shifted and A did not, which nothing explains; read more samples.",
            CanaryVerdict::NotEnoughReadings => "Score more samples of the canaries, base and fine-tuned.",
        }
    }
}

/// The rule in words, to be shown beside a verdict.
pub fn rule() -> String {
    format!(
        "A canary has shifted when the fine-tuned arm's mean score is at least {SHIFT} above the base arm's, each over {READINGS} readings or more. \
         {KNOWN} (known topic) but not {NEW} (new topic): memorised. Both: generalised. Both, but not {LONG} (long piece), by what is asked of long \
         pieces alone: voice without structure. Neither: no shift. {NEW} but not {KNOWN}: unclear."
    )
}

/// Mean over readings of the mean of an arm's scores that count.
fn mean(readings: &[&Reading], prompt: &str, arm: &ArmName, counts: impl Fn(&str) -> bool) -> Option<Mean> {
    let mut all = Sum::default();
    for reading in readings.iter().filter(|reading| reading.prompt == prompt) {
        let mut own = Sum::default();
        let scores = reading.scores.get(arm).into_iter().flatten();
        scores.filter(|(id, _)| counts(id)).for_each(|(_, score)| own.add(f64::from(score.get())));
        if let Some(own) = own.mean() {
            all.add(own.mean);
        }
    }
    all.mean()
}

#[cfg(test)]
mod tests {
    use super::CanaryVerdict::*;
    use super::*;
    use crate::config::Dimension;
    use crate::review::verdict::{Outcome, Score, Scores, Shown};

    const ENOUGH: u64 = READINGS;

    fn shift(difference: f64, count: u64) -> Shift {
        Shift { base: Some(Mean { mean: 2.7, count }), tuned: Some(Mean { mean: 2.7 + difference, count }) }
    }

    #[test]
    fn the_rule() {
        let check = |known: Shift, new: Shift, long: Option<Shift>, expected: CanaryVerdict| {
            assert_eq!(Canaries { known, new, long }.verdict(), expected, "{known:?} {new:?} {long:?}");
        };
        let (yes, no, few, none) = (shift(SHIFT, ENOUGH), shift(SHIFT - 0.01, ENOUGH), shift(2.0, ENOUGH - 1), Shift::default());
        check(yes, no, Some(yes), Memorised);
        check(yes, no, Some(few), Memorised);
        check(yes, yes, Some(yes), Generalised);
        check(yes, yes, None, Generalised);
        check(yes, yes, Some(no), VoiceWithoutStructure);
        check(yes, yes, Some(few), NotEnoughReadings);
        check(yes, yes, Some(none), NotEnoughReadings);
        check(no, no, Some(yes), NoShift);
        check(shift(-2.0, 9), no, None, NoShift);
        check(no, yes, None, Unclear);
        check(few, yes, Some(yes), NotEnoughReadings);
        check(yes, few, Some(yes), NotEnoughReadings);
        check(none, none, None, NotEnoughReadings);
        check(Shift { base: None, ..yes }, yes, None, NotEnoughReadings);
    }

    #[test]
    fn the_scores_behind_it() {
        let dimension = |id: &str, long_only| Dimension {
            id: id.into(),
            name: id.into(),
            question: "?".into(),
            low: String::new(),
            high: String::new(),
            long_only,
        };
        let rubric = Rubric { dimensions: vec![dimension("rhythm", false), dimension("structure", true)] };
        let (base, tuned) = (ArmName::new("r", "base").unwrap(), ArmName::new("r", "tuned").unwrap());
        // Per prompt, and per arm: rhythm, structure (0: not asked).
        let reading = |prompt: &str, scores: [[u8; 2]; 2]| {
            let of = |[rhythm, structure]: [u8; 2]| {
                let given = [("rhythm", rhythm), ("structure", structure)].into_iter();
                given.filter_map(|(id, score)| Some((id.to_owned(), Score::new(score)?))).collect()
            };
            let scores: Scores = [(base.clone(), of(scores[0])), (tuned.clone(), of(scores[1]))].into();
            let shown = [&base, &tuned].map(|arm| Shown::new(arm.clone(), 0, "")).to_vec();
            let (outcome, comment) = (Outcome::Tie, String::new());
            Reading { prompt: prompt.into(), temperature: None, seed: 0, shown, blind: true, outcome, scores, comment, replaces: None }
        };
        let readings: Vec<Reading> = std::iter::repeat_n(
            [reading("A", [[2, 0], [4, 0]]), reading("B", [[2, 0], [3, 0]]), reading("C", [[2, 3], [5, 3]])],
            READINGS as usize,
        )
        .flatten()
        .collect();
        let all: Vec<&Reading> = readings.iter().collect();
        let canaries = Canaries::of(&all, &rubric, &base, &tuned, true);
        assert_eq!(canaries.verdict(), VoiceWithoutStructure);
        assert_eq!(canaries.grounds(), "A +2.00 (3 and 3 readings), B +1.00 (3 and 3 readings), C +0.00 (3 and 3 readings)");
        // Without dimensions of long pieces the whole rubric is asked of C: 2.5 and 4.
        let plain = Rubric { dimensions: vec![dimension("rhythm", false), dimension("structure", false)] };
        assert_eq!(Canaries::of(&all, &plain, &base, &tuned, true).long.unwrap().difference(), Some(1.5));
        let short = Canaries::of(&all[..3], &rubric, &base, &tuned, false);
        assert_eq!(short.verdict(), NotEnoughReadings);
        assert_eq!(short.grounds(), "A +2.00 (1 and 1 readings), B +1.00 (1 and 1 readings), C not asked");
        assert_eq!(
            Canaries::of(&[], &rubric, &base, &tuned, true).grounds(),
            "A (0 and 0 readings), B (0 and 0 readings), C (0 and 0 readings)"
        );
    }
}
