//! A verdict in the making: what was decided on the texts in the panes and is not on record yet.

use crate::config::Temperature;
use crate::review::verdict::{ArmName, Outcome, Reading, Score, Scores, Shown, Verdict};

#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// As they lay in the panes when the first of it was decided.
    pub shown: Vec<Shown>,
    pub outcome: Option<Outcome>,
    pub scores: Scores,
    pub comment: String,
    /// The verdict that this one corrects.
    pub corrects: Option<Box<Verdict>>,
}

impl Draft {
    /// Begins with what the verdict says that is corrected, where there is one.
    pub fn new(shown: Vec<Shown>, corrects: Option<&Verdict>) -> Draft {
        let Some(verdict) = corrects else {
            return Draft { shown, outcome: None, scores: Scores::new(), comment: String::new(), corrects: None };
        };
        let reading = verdict.reading.clone();
        Draft {
            shown: reading.shown,
            outcome: Some(reading.outcome),
            scores: reading.scores,
            comment: reading.comment,
            corrects: Some(Box::new(verdict.clone())),
        }
    }

    /// Puts an arm among the best, or takes it out again. An arm without a text is passed over, here and in scoring.
    pub fn toggle_best(&mut self, arm: ArmName) {
        if !self.is_shown(&arm) {
            return;
        }
        let mut best = match self.outcome.take() {
            Some(Outcome::Best(best)) => best,
            _ => vec![],
        };
        match best.iter().position(|other| *other == arm) {
            Some(at) => _ = best.remove(at),
            None => best.push(arm),
        }
        self.outcome = (!best.is_empty()).then_some(Outcome::Best(best));
    }

    pub fn score(&mut self, arm: ArmName, dimension: &str, score: Score) {
        if self.is_shown(&arm) {
            self.scores.entry(arm).or_default().insert(dimension.to_owned(), score);
        }
    }

    fn is_shown(&self, arm: &ArmName) -> bool {
        self.shown.iter().any(|shown| shown.arm == *arm)
    }

    /// How many scores were given.
    pub fn scored(&self) -> usize {
        self.scores.values().map(std::collections::BTreeMap::len).sum()
    }

    /// Whether it says nothing, or nothing else than the verdict that it would correct.
    pub fn is_empty(&self) -> bool {
        match &self.corrects {
            None => self.outcome.is_none() && self.scored() == 0 && self.comment.is_empty(),
            Some(verdict) => {
                let was = &verdict.reading;
                self.outcome.as_ref() == Some(&was.outcome) && self.scores == was.scores && self.comment == was.comment
            }
        }
    }

    /// For the record; `None` while no outcome is decided. `was_blind`: whether the names were hidden all along.
    pub fn reading(&self, prompt: &str, temperature: Temperature, seed: u64, was_blind: bool) -> Option<Reading> {
        let outcome = self.outcome.clone()?;
        let blind = match &self.corrects {
            // Words and scores may be mended afterwards; another outcome was decided with the names known.
            Some(verdict) => verdict.reading.blind && verdict.reading.outcome == outcome,
            None => was_blind,
        };
        Some(Reading {
            prompt: prompt.to_owned(),
            temperature: Some(temperature),
            seed,
            shown: self.shown.clone(),
            blind,
            outcome,
            scores: self.scores.clone(),
            comment: self.comment.trim().to_owned(),
            replaces: self.corrects.as_ref().map(|verdict| verdict.id.clone()),
        })
    }
}
