//! What was read of a run's canaries, one by one, and what it says: scores of base and fine-tuned, picks, wins, and the verdict with its grounds.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::canary_verdict::{Canaries, CanaryVerdict, KNOWN, LONG, NEW, Shift};
use super::tally::{Mean, tally};
use super::verdict::{ArmName, Pick, Reading};
use crate::config::Rubric;
use crate::run::outputs;
use crate::run::protocol::Arm;

/// One run's canaries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CanarySheet {
    pub run: String,
    pub verdict: CanaryVerdict,
    pub words: String,
    pub meaning: &'static str,
    /// What the verdict was read off, in one line.
    pub grounds: String,
    pub canaries: Vec<CanaryRow>,
}

/// One canary of a run. Scores and wins are of blind readings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CanaryRow {
    pub canary: &'static str,
    /// What it is asked for.
    pub topic: &'static str,
    /// Whether the run's model is asked it at all.
    pub asked: bool,
    /// Mean scores; null where nothing was scored.
    pub base: Option<Mean>,
    pub tuned: Option<Mean>,
    /// Fine-tuned less base.
    pub difference: Option<f64>,
    /// Null where there are too few readings to say.
    pub shifted: Option<bool>,
    /// Which sample was picked as the arm's best.
    pub picked: Both<Option<usize>>,
    /// Readings in which the run's arms were shown.
    pub readings: u64,
    /// Readings that an arm won.
    pub wins: Both<u64>,
}

/// Something of the base arm and of the fine-tuned one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Both<T> {
    pub base: T,
    pub tuned: T,
}

impl CanarySheet {
    /// Reads the canaries off all `readings`, of which the blind ones count. `long`: whether the model is given the long canary.
    pub fn of(
        readings: &[&Reading],
        picks: &BTreeMap<(String, ArmName), Pick>,
        rubric: &Rubric,
        arms: Both<&ArmName>,
        long: bool,
    ) -> CanarySheet {
        let blind: Vec<&Reading> = readings.iter().copied().filter(|reading| reading.blind).collect();
        let canaries = Canaries::of(&blind, rubric, arms.base, arms.tuned, long);
        let verdict = canaries.verdict();
        let row = |canary: &'static str, topic: &'static str, shift: Option<Shift>| {
            let of_canary = blind.iter().copied().filter(|reading| reading.prompt == canary);
            let tally = tally(of_canary, ArmName::clone);
            let of_arm = |arm: &ArmName| tally.arms.iter().find(|tally| tally.arm == *arm);
            let picked = |arm: &ArmName| picks.get(&(canary.to_owned(), arm.clone())).map(|pick| pick.shown.sample);
            let both = [arms.base, arms.tuned].map(of_arm);
            let shift = shift.unwrap_or_default();
            CanaryRow {
                canary,
                topic,
                asked: canary != LONG || long,
                base: shift.base,
                tuned: shift.tuned,
                difference: shift.difference(),
                shifted: shift.shifted(),
                picked: Both { base: picked(arms.base), tuned: picked(arms.tuned) },
                readings: both.iter().flatten().map(|tally| tally.readings).max().unwrap_or(0),
                wins: Both { base: both[0].map_or(0, |tally| tally.wins), tuned: both[1].map_or(0, |tally| tally.wins) },
            }
        };
        CanarySheet {
            run: arms.tuned.run().to_owned(),
            verdict,
            words: verdict.to_string(),
            meaning: verdict.meaning(),
            grounds: canaries.grounds(),
            canaries: vec![
                row(KNOWN, "known topic, short", Some(canaries.known)),
                row(NEW, "new topic, short", Some(canaries.new)),
                row(LONG, "known topic, long", canaries.long),
            ],
        }
    }

    /// The canaries of the run in a folder, with its arms' names as its samples have them, or the readings where no samples are left. `None` of a run of
    /// which nothing was drawn and nothing read.
    pub fn of_run(
        folder: &Path,
        readings: &[&Reading],
        picks: &BTreeMap<(String, ArmName), Pick>,
        rubric: &Rubric,
    ) -> Result<Option<CanarySheet>> {
        let run = folder.file_name().unwrap_or_default().to_string_lossy();
        let drawn = outputs::list(folder)?;
        let read = readings.iter().flat_map(|reading| reading.arms()).filter(|arm| arm.run() == run).map(ArmName::arm);
        let mut names = drawn.iter().flat_map(|(_, arms)| arms.iter().map(String::as_str)).chain(read);
        let Some(model) = names.find_map(|name| name.strip_suffix("-base").or_else(|| name.strip_suffix("-tuned"))) else {
            return Ok(None);
        };
        let arm = |arm: Arm| ArmName::new(&run, &arm.named(model));
        let (Some(base), Some(tuned)) = (arm(Arm::Base), arm(Arm::Tuned)) else { return Ok(None) };
        // A model with a short context is not given the long canary, and has no answers to it.
        let long = drawn.iter().any(|(prompt, _)| prompt == LONG);
        Ok(Some(CanarySheet::of(readings, picks, rubric, Both { base: &base, tuned: &tuned }, long)))
    }

    /// Whether anything of it was scored.
    pub fn is_read(&self) -> bool {
        self.canaries.iter().any(|row| row.base.is_some() || row.tuned.is_some())
    }
}

impl CanaryRow {
    /// `2.70 → 3.90 (+1.20), 5 and 5 readings: shifted`; or why there is nothing to say.
    pub fn scores(&self) -> String {
        let of = |mean: Option<Mean>| mean.map_or("–".to_owned(), |mean| format!("{:.2}", mean.mean));
        let counts = [self.base, self.tuned].map(|mean| mean.map_or(0, |mean| mean.count));
        let word = match self.shifted {
            Some(true) => "shifted",
            Some(false) => "not shifted",
            None => "too few readings",
        };
        match (self.asked, self.difference) {
            (false, _) => "not asked of this model".into(),
            (true, None) if counts == [0, 0] => "not scored yet".into(),
            (true, difference) => {
                let difference = difference.map_or(String::new(), |difference| format!(" ({difference:+.2})"));
                format!("{} → {}{difference}, {} and {} readings: {word}", of(self.base), of(self.tuned), counts[0], counts[1])
            }
        }
    }

    /// `base won 1, tuned 3 of 5; picked: base sample 2, tuned sample 1`. Samples count from 1 here, as on the screens.
    pub fn wins_and_picks(&self) -> String {
        let mut said = vec![];
        if self.readings > 0 {
            said.push(format!("base won {}, tuned {} of {}", self.wins.base, self.wins.tuned, self.readings));
        }
        let sample = |arm: &str, sample: Option<usize>| sample.map(|sample| format!("{arm} sample {}", sample + 1));
        let picked: Vec<String> = [sample("base", self.picked.base), sample("tuned", self.picked.tuned)].into_iter().flatten().collect();
        if !picked.is_empty() {
            said.push(format!("picked: {}", picked.join(", ")));
        }
        said.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Dimension;
    use crate::review::verdict::{Outcome, Score, Shown};

    #[test]
    fn a_sheet_holds_what_was_read() {
        let dimension = Dimension {
            id: "rhythm".into(),
            name: "Rhythm".into(),
            question: "?".into(),
            low: String::new(),
            high: String::new(),
            long_only: false,
        };
        let rubric = Rubric { dimensions: vec![dimension] };
        let (base, tuned) = (ArmName::new("r", "llama-base").unwrap(), ArmName::new("r", "llama-tuned").unwrap());
        let arms = Both { base: &base, tuned: &tuned };
        let reading = |prompt: &str, blind, outcome, scores: [u8; 2]| Reading {
            prompt: prompt.into(),
            temperature: None,
            seed: 0,
            shown: [&base, &tuned].map(|arm| Shown::new(arm.clone(), 0, "")).to_vec(),
            blind,
            outcome,
            scores: [&base, &tuned].into_iter().cloned().zip(scores.map(|n| [("rhythm".into(), Score::new(n).unwrap())].into())).collect(),
            comment: String::new(),
            replaces: None,
        };
        let best = || Outcome::Best(vec![tuned.clone()]);
        let readings: Vec<Reading> = std::iter::repeat_n([reading("A", true, best(), [2, 4]), reading("B", true, Outcome::Tie, [2, 2])], 3)
            .flatten()
            .chain([reading("A", false, Outcome::Best(vec![base.clone()]), [5, 1])])
            .collect();
        let all: Vec<&Reading> = readings.iter().collect();
        let pick = Pick { time: String::new(), prompt: "A".into(), temperature: None, shown: Shown::new(tuned.clone(), 2, "") };
        let picks = [(("A".to_owned(), tuned.clone()), pick)].into();
        let sheet = CanarySheet::of(&all, &picks, &rubric, arms, false);
        assert_eq!((sheet.run.as_str(), sheet.verdict, sheet.words.as_str()), ("r", CanaryVerdict::Memorised, "memorised"));
        let said: Vec<_> = sheet.canaries.iter().map(|row| (row.canary, row.scores(), row.wins_and_picks())).collect();
        let expected = [
            ("A", "2.00 → 4.00 (+2.00), 3 and 3 readings: shifted", "base won 0, tuned 3 of 3; picked: tuned sample 3"),
            ("B", "2.00 → 2.00 (+0.00), 3 and 3 readings: not shifted", "base won 0, tuned 0 of 3"),
            ("C", "not asked of this model", ""),
        ];
        assert_eq!(said, expected.map(|(canary, scores, wins)| (canary, scores.to_owned(), wins.to_owned())));
        assert!(sheet.is_read());
        let unread = CanarySheet::of(&[], &BTreeMap::new(), &rubric, arms, true);
        assert!(!unread.is_read());
        assert_eq!(unread.canaries[2].scores(), "not scored yet");
        let few = CanarySheet::of(&all[..1], &BTreeMap::new(), &rubric, arms, true);
        assert_eq!(few.canaries[0].scores(), "2.00 → 4.00 (+2.00), 1 and 1 readings: too few readings");
    }
}
