//! `scores/<prompt>.jsonl`: how likely a run's arms find texts, token by token. What stands there is not computed again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::private::{self, Torn};
use super::protocol::{Rival, Scored};
use crate::config::bounded;

/// One line: a text that follows a prompt, scored by both arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// As in `outputs/`.
    pub prompt: String,
    pub prompt_text: String,
    /// The step of the tuned arm's checkpoint.
    pub checkpoint: usize,
    /// Of the prompt as the model reads it, then of the text.
    pub ids: Vec<u32>,
    /// Where the text's ids begin.
    pub from: usize,
    /// The text as its tokens make it up.
    pub text: String,
    /// Where each token of the text ends, in characters (Unicode scalar values) of it.
    pub ends: Vec<usize>,
    /// Tokens at the text's end that the model has no positions for: they were not scored.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
    pub base: ArmScores,
    pub tuned: ArmScores,
    /// RFC 3339, UTC.
    pub time: String,
}

/// What one arm says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmScores {
    /// `logprobs[i] = ln p(ids[i + 1] | ids[..= i])`, in nats.
    pub logprobs: Vec<f32>,
    /// The likeliest other token in the place of each token of the text.
    pub rivals: Vec<Rival>,
}

impl Scores {
    /// The log-probability of each token of the text.
    pub fn of_text<'s>(&self, arm: &'s ArmScores) -> &'s [f32] {
        arm.logprobs.get(self.from.saturating_sub(1)..).unwrap_or_default()
    }

    /// Whether the arrays have the lengths that they say.
    fn is_whole(&self) -> bool {
        let text = self.ids.len().checked_sub(self.from);
        let arms = [&self.base, &self.tuned];
        self.from > 0
            && text == Some(self.ends.len())
            && self.ends.is_sorted()
            && self.ends.last().copied().unwrap_or(0) <= self.text.chars().count()
            && arms.iter().all(|arm| arm.logprobs.len() + 1 == self.ids.len() && Some(arm.rivals.len()) == text)
    }
}

impl ArmScores {
    /// Of a sequence whose text begins at `from`.
    pub fn new(scored: Scored, from: usize) -> ArmScores {
        let before = from.saturating_sub(1).min(scored.rivals.len());
        ArmScores { logprobs: scored.logprobs, rivals: scored.rivals.into_iter().skip(before).collect() }
    }
}

fn path(run: &Path, prompt: &str) -> PathBuf {
    run.join("scores").join(format!("{prompt}.jsonl"))
}

/// Appends to the run's scores.
pub fn append(run: &Path, scores: &Scores) -> Result<()> {
    let path = path(run, &scores.prompt);
    private::create_folder(&run.join("scores"))?;
    let line = serde_json::to_vec(scores).with_context(|| format!("{}: scores cannot be written", path.display()))?;
    private::append_line(&path, &line, Torn::Remove)
}

/// All scores of texts that follow this prompt, in the order in which they were computed; a torn last line is left out.
pub fn read(run: &Path, prompt: &str) -> Result<Vec<Scores>> {
    let path = path(run, prompt);
    let text = match bounded::read_text(&path, bounded::RECORDS) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
        text => text.with_context(|| format!("{}: cannot be read", path.display()))?,
    };
    parse(&path, &text)
}

/// The lines of `scores/<prompt>.jsonl`.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Scores>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let line = |(at, line): (usize, &str)| {
        let shown = || format!("{}:{}: no scores; delete the line, and they are computed again", path.display(), at + 1);
        let scores: Scores = serde_json::from_str(line).with_context(shown)?;
        anyhow::ensure!(scores.is_whole(), shown());
        Ok(scores)
    };
    whole.lines().enumerate().map(line).collect()
}

/// The prompts that have scores, sorted.
pub fn list(run: &Path) -> Result<Vec<String>> {
    let folder = run.join("scores");
    let shown = || format!("{}: cannot be listed", folder.display());
    let entries = match fs::read_dir(&folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.with_context(shown)?,
    };
    let mut names = vec![];
    for entry in entries {
        let name = entry.with_context(shown)?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".jsonl").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Arm;
    use super::*;

    fn scores() -> Scores {
        let scored = |arm, first: f32| Scored {
            arm,
            step: None,
            logprobs: vec![-0.5, first, -2.0],
            rivals: ["a", "b", "c"].map(|text| Rival { text: text.into(), logprob: -1.25 }).to_vec(),
        };
        Scores {
            prompt: "A".into(),
            prompt_text: "What?".into(),
            checkpoint: 20,
            ids: vec![1, 2, 3, 4],
            from: 2,
            text: "é!".into(),
            ends: vec![1, 2],
            left_out: 0,
            base: ArmScores::new(scored(Arm::Base, -1.0), 2),
            tuned: ArmScores::new(scored(Arm::Tuned, -0.75), 2),
            time: "2026-11-22T10:00:00Z".into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(read(run.path(), "A").unwrap(), []);
        let one = scores();
        let other = Scores { checkpoint: 40, left_out: 3, ..scores() };
        append(run.path(), &one).unwrap();
        append(run.path(), &other).unwrap();
        let file = run.path().join("scores/A.jsonl");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}{{\"prompt\":\"A\",\"pro")).unwrap();
        assert_eq!(read(run.path(), "A").unwrap(), [one.clone(), other]);
        assert_eq!(list(run.path()).unwrap(), ["A"]);
        assert_eq!((one.of_text(&one.base), one.of_text(&one.tuned)), (&[-1.0, -2.0][..], &[-0.75, -2.0][..]));
        assert_eq!(one.base.rivals.iter().map(|rival| rival.text.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn a_line_that_does_not_hold_together_is_named() {
        let check = |change: fn(&mut Scores)| {
            let run = tempfile::tempdir().unwrap();
            let mut broken = scores();
            change(&mut broken);
            append(run.path(), &scores()).unwrap();
            append(run.path(), &broken).unwrap();
            let message = read(run.path(), "A").unwrap_err().to_string();
            assert!(message.contains("scores/A.jsonl:2: no scores"), "{message}");
        };
        check(|scores| {
            scores.ends.pop();
        });
        check(|scores| scores.ends = vec![2, 1]);
        check(|scores| scores.ends = vec![1, 9]);
        check(|scores| scores.from = 0);
        check(|scores| {
            scores.base.logprobs.pop();
        });
        check(|scores| drop(scores.tuned.rivals.pop()));
    }
}
