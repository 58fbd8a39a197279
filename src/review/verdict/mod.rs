//! What a reader decided about the arms of one prompt: the outcome, the scores, the comment. The lines of `verdicts.jsonl`.
//!
//! [`log`] appends them and reads them back.

mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{Dimension, Rubric, Temperature};

pub use log::{Verdicts, append, append_pick, read};

/// One line of `verdicts.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    Verdict(Verdict),
    Pick(Pick),
}

/// An arm of a run, written `2026-11-22-first/llama-tuned`: the run's folder, the arm's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArmName {
    run: String,
    arm: String,
}

/// An output as the reader had it before her.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub arm: ArmName,
    /// Which of the arm's samples.
    pub sample: usize,
    /// Eight hex digits of the text's SHA-256: a sample that was drawn anew under the same number is not the one that was read.
    pub text: String,
}

/// A score from 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Score(u8);

/// By arm, then by the dimension's id. What was not scored is absent.
pub type Scores = BTreeMap<ArmName, BTreeMap<String, Score>>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// These are better than the others shown, and as good as one another. Of the others among themselves nothing is said.
    Best(Vec<ArmName>),
    /// Best first; arms of one group are as good as one another. An arm that is left out was not placed.
    Ranking(Vec<Vec<ArmName>>),
    /// All are as good as one another.
    Tie,
    /// None is worth keeping. Which is the worst is not said.
    AllBad,
}

/// All that the reader decided, and what she had before her.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// A canary's id, or the prompt's name in `outputs/`.
    pub prompt: String,
    /// At which all that was shown was drawn. Absent in lines from before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Temperature>,
    /// What the panes were shuffled by.
    pub seed: u64,
    /// From the first pane to the last.
    pub shown: Vec<Shown>,
    /// Whether the arms' names were hidden until the outcome was in.
    pub blind: bool,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: Scores,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// The verdict that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// A reading on record. A reading of arms of several runs stands in each of them, under one id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Sixteen hex digits of the SHA-256 of time and reading, so that writing it twice makes no second verdict.
    pub id: String,
    /// RFC 3339, UTC.
    pub time: String,
    #[serde(flatten)]
    pub reading: Reading,
}

/// Which of an arm's samples at a temperature is its best. A later pick of the same prompt, arm and temperature takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pick {
    /// RFC 3339, UTC.
    pub time: String,
    pub prompt: String,
    /// As in a [`Reading`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Temperature>,
    #[serde(flatten)]
    pub shown: Shown,
}

/// Why a reading cannot be a verdict. Says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("no arm was shown; a verdict needs at least one")]
    NothingShown,
    #[error("{0} is shown in two panes; show each arm once")]
    ShownTwice(ArmName),
    #[error("{0} is judged but was not shown; judge only what is shown")]
    NotShown(ArmName),
    #[error("{0} is placed twice; place each arm once")]
    PlacedTwice(ArmName),
    #[error("no arm is placed; pick one, or call it a tie or all bad")]
    NothingPlaced,
    #[error("the rubric does not ask `{dimension}` of this prompt; score one of: {asked}")]
    NotAsked { dimension: String, asked: String },
}

impl ArmName {
    /// `run` is the run's folder name, `arm` the arm's. `None` where one of them is empty or no plain file name.
    pub fn new(run: &str, arm: &str) -> Option<ArmName> {
        let plain = |name: &str| !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
        (plain(run) && plain(arm)).then(|| ArmName { run: run.to_owned(), arm: arm.to_owned() })
    }

    /// The folder's name below `runs/`.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// `llama-tuned`.
    pub fn arm(&self) -> &str {
        &self.arm
    }
}

impl fmt::Display for ArmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.arm)
    }
}

impl From<ArmName> for String {
    fn from(name: ArmName) -> String {
        name.to_string()
    }
}

impl TryFrom<String> for ArmName {
    type Error = String;

    fn try_from(text: String) -> Result<ArmName, String> {
        let named = text.split_once('/').and_then(|(run, arm)| ArmName::new(run, arm));
        named.ok_or_else(|| format!("`{text}` is no arm; an arm is written `<run>/<arm>`, e.g. `2026-11-22-first/llama-tuned`"))
    }
}

impl Shown {
    pub fn new(arm: ArmName, sample: usize, text: &str) -> Shown {
        Shown { arm, sample, text: hash(text.as_bytes(), 8) }
    }

    /// Whether this is the text that was read.
    pub fn is(&self, text: &str) -> bool {
        self.text == hash(text.as_bytes(), 8)
    }
}

impl Score {
    pub const LOWEST: u8 = 1;
    pub const HIGHEST: u8 = 5;

    /// `None` below 1 and above 5.
    pub fn new(score: u8) -> Option<Score> {
        (Score::LOWEST..=Score::HIGHEST).contains(&score).then_some(Score(score))
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

impl From<Score> for u8 {
    fn from(score: Score) -> u8 {
        score.0
    }
}

impl TryFrom<u8> for Score {
    type Error = String;

    fn try_from(score: u8) -> Result<Score, String> {
        Score::new(score).ok_or_else(|| format!("{score} is no score; scores are {} to {}", Score::LOWEST, Score::HIGHEST))
    }
}

/// The dimensions that are asked of a prompt: those of long pieces only where it asks for one.
pub fn asked(rubric: &Rubric, long: bool) -> impl Iterator<Item = &Dimension> {
    rubric.dimensions.iter().filter(move |dimension| long || !dimension.long_only)
}

impl Reading {
    /// The arms, from the first pane to the last.
    pub fn arms(&self) -> impl Iterator<Item = &ArmName> {
        self.shown.iter().map(|shown| &shown.arm)
    }

    /// Whether it is of texts at this temperature; one that does not say so is of the `usual` one, that of `sampling.yaml`.
    pub fn is_at(&self, temperature: Temperature, usual: Temperature) -> bool {
        self.temperature.unwrap_or(usual) == temperature
    }

    /// Whether it holds together: what is judged was shown, and nothing is placed twice.
    pub fn check(&self) -> Result<(), Fault> {
        let mut arms = BTreeSet::new();
        if let Some(twice) = self.arms().find(|arm| !arms.insert(*arm)) {
            return Err(Fault::ShownTwice(twice.clone()));
        }
        let placed: Vec<&ArmName> = match &self.outcome {
            Outcome::Best(best) => best.iter().collect(),
            Outcome::Ranking(groups) => groups.iter().flatten().collect(),
            Outcome::Tie | Outcome::AllBad => vec![],
        };
        let open = matches!(self.outcome, Outcome::Best(_) | Outcome::Ranking(_)) && placed.is_empty();
        let mut once = BTreeSet::new();
        if arms.is_empty() {
            Err(Fault::NothingShown)
        } else if open {
            Err(Fault::NothingPlaced)
        } else if let Some(other) = placed.iter().copied().chain(self.scores.keys()).find(|arm| !arms.contains(arm)) {
            Err(Fault::NotShown(other.clone()))
        } else if let Some(twice) = placed.into_iter().find(|arm| !once.insert(*arm)) {
            Err(Fault::PlacedTwice(twice.clone()))
        } else {
            Ok(())
        }
    }

    /// Whether only such dimensions are scored as the rubric asks of this prompt. Old lines are not held to this: rubrics change.
    pub fn check_scores(&self, rubric: &Rubric, long: bool) -> Result<(), Fault> {
        let ids: Vec<&str> = asked(rubric, long).map(|dimension| dimension.id.as_str()).collect();
        match self.scores.values().flat_map(BTreeMap::keys).find(|id| !ids.contains(&id.as_str())) {
            Some(other) => Err(Fault::NotAsked { dimension: other.clone(), asked: ids.join(", ") }),
            None => Ok(()),
        }
    }
}

impl Verdict {
    /// Puts a reading on record as of `time` (RFC 3339, UTC).
    pub fn new(reading: Reading, time: String) -> Verdict {
        let mut verdict = Verdict { id: String::new(), time, reading };
        // Plain data, keyed by strings: it always has a JSON form.
        verdict.id = hash(&serde_json::to_vec(&verdict).unwrap_or_default(), 16);
        verdict
    }
}

/// The first hex digits of the SHA-256.
fn hash(bytes: &[u8], digits: usize) -> String {
    let mut hex = hex::encode(Sha256::digest(bytes));
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(name: &str) -> ArmName {
        ArmName::try_from(name.to_owned()).unwrap()
    }

    fn reading(shown: &[&str], outcome: Outcome) -> Reading {
        Reading {
            prompt: "A".into(),
            temperature: None,
            seed: 7,
            shown: shown.iter().map(|name| Shown::new(arm(name), 0, name)).collect(),
            blind: true,
            outcome,
            scores: Scores::new(),
            comment: String::new(),
            replaces: None,
        }
    }

    #[test]
    fn arms_are_one_folder_and_one_name() {
        let check = |text: &str, good: bool| assert_eq!(ArmName::try_from(text.to_owned()).is_ok(), good, "{text}");
        check("2026-11-22-first/llama-tuned", true);
        check("llama-tuned", false);
        check("a/b/c", false);
        check("../b", false);
        check("/b", false);
        check("a/", false);
        check("a/..", false);
    }

    #[test]
    fn scores_are_1_to_5() {
        let check = |json: &str, good: bool| assert_eq!(serde_json::from_str::<Score>(json).is_ok(), good, "{json}");
        check("1", true);
        check("5", true);
        for json in ["0", "6", "-1", "3.5", "300", "\"3\"", "null"] {
            check(json, false);
        }
    }

    #[test]
    fn what_does_not_hold_together_is_no_verdict() {
        let check = |shown: &[&str], outcome: Outcome, expected: Result<(), Fault>| assert_eq!(reading(shown, outcome).check(), expected);
        let (base, tuned) = (arm("r/base"), arm("r/tuned"));
        let both = ["r/base", "r/tuned"];
        check(&both, Outcome::Tie, Ok(()));
        check(&["r/base"], Outcome::AllBad, Ok(()));
        check(&both, Outcome::Best(vec![tuned.clone()]), Ok(()));
        check(&both, Outcome::Ranking(vec![vec![tuned.clone()], vec![base.clone()]]), Ok(()));
        check(&[], Outcome::Tie, Err(Fault::NothingShown));
        check(&["r/base", "r/base"], Outcome::Tie, Err(Fault::ShownTwice(base.clone())));
        check(&["r/base"], Outcome::Best(vec![tuned.clone()]), Err(Fault::NotShown(tuned.clone())));
        check(&both, Outcome::Best(vec![]), Err(Fault::NothingPlaced));
        check(&both, Outcome::Ranking(vec![vec![], vec![]]), Err(Fault::NothingPlaced));
        check(&both, Outcome::Ranking(vec![vec![tuned.clone()], vec![tuned.clone()]]), Err(Fault::PlacedTwice(tuned.clone())));
        let mut scored = reading(&["r/base"], Outcome::Tie);
        scored.scores.insert(tuned.clone(), BTreeMap::new());
        assert_eq!(scored.check(), Err(Fault::NotShown(tuned)));
    }

    #[test]
    fn long_dimensions_are_asked_of_long_pieces_only() {
        let dimension = |id: &str, long_only| Dimension {
            id: id.into(),
            name: id.into(),
            question: "?".into(),
            low: String::new(),
            high: String::new(),
            long_only,
        };
        let rubric = Rubric { dimensions: vec![dimension("rhythm", false), dimension("opening", true)] };
        let ids = |long| asked(&rubric, long).map(|d| d.id.as_str()).collect::<Vec<_>>();
        assert_eq!((ids(false), ids(true)), (vec!["rhythm"], vec!["rhythm", "opening"]));
        let mut scored = reading(&["r/base"], Outcome::Tie);
        scored.scores.insert(arm("r/base"), [("opening".to_owned(), Score(4))].into());
        assert_eq!(scored.check_scores(&rubric, true), Ok(()));
        let expected = Fault::NotAsked { dimension: "opening".into(), asked: "rhythm".into() };
        assert_eq!(scored.check_scores(&rubric, false), Err(expected));
    }

    #[test]
    fn the_id_is_of_the_contents() {
        let verdict = |outcome, time: &str| Verdict::new(reading(&["r/base"], outcome), time.into());
        let first = verdict(Outcome::Tie, "2026-11-22T10:00:00Z");
        assert_eq!(first.id.len(), 16);
        assert_eq!(first, verdict(Outcome::Tie, "2026-11-22T10:00:00Z"));
        assert_ne!(first.id, verdict(Outcome::AllBad, "2026-11-22T10:00:00Z").id);
        assert_ne!(first.id, verdict(Outcome::Tie, "2026-11-22T10:00:01Z").id);
    }

    #[test]
    fn another_text_under_the_same_number_is_noticed() {
        let shown = Shown::new(arm("r/base"), 3, "The hives.");
        assert!(shown.is("The hives.") && !shown.is("The hive."));
    }
}
