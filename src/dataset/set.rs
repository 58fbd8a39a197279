//! The data set of a run: the examples of all ready pairs, what was left out and why, and a hash.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::batch::{Example, Part};
use super::encode::{Cut, EncodeProblem, Encoder, Reason};
use super::model_text::ModelText;
use super::split::split;
use crate::config::{Config, Templates};
use crate::pairs::{Budget, Pair, Status};

/// Everything a run trains and evaluates on. The same pairs, config and tokenizer give the same data set, whatever order the
/// pairs were read in.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// In the order of pair ids; each epoch of a run shuffles them anew.
    pub train: Vec<Example>,
    pub validation: Vec<Example>,
    /// Ready pairs without an example.
    pub left: Vec<Left>,
    /// Pairs whose response was cut; their examples are marked `cut`.
    pub shortened: Vec<Shortened>,
    /// As [`limit`] gives it.
    pub limit: usize,
}

/// A ready pair that this model is not trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub pair: String,
    pub split: Part,
    pub reason: Reason,
    /// Tokens of the whole pair; 0 where it was not encoded at all.
    pub tokens: usize,
    pub limit: usize,
}

/// A pair that this model sees only the beginning of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortened {
    pub pair: String,
    /// Tokens of the whole pair.
    pub tokens: usize,
    pub limit: usize,
    pub cut: Cut,
}

impl Dataset {
    /// Encodes all ready pairs. Pairs that do not fit are cut or left out as the config says, and listed; a leaking split, a
    /// tokenizer without the template's tokens, or no ready pair at all is an error.
    pub fn build(pairs: &[Pair], config: &Config, templates: &Templates, model: &ModelText) -> Result<Self> {
        let encoder = Encoder::new(&model.tokenizer, config.format, templates)?;
        let limit = limit(config, model);
        let parts = split(pairs, config.validation.fraction, config.seed)?;
        if parts.is_empty() {
            bail!("no pair is ready: write pairs into pairs/tier1 to pairs/tier4 and set `status: ready` in those to train on");
        }
        let mut set = Dataset { train: vec![], validation: vec![], left: vec![], shortened: vec![], limit };
        for (pair, split) in parts {
            let id = || pair.id.clone();
            let encoded = match encoder.pair(pair, limit, config.overlong) {
                Ok(encoded) => encoded,
                Err(EncodeProblem::LeftOut { reason, tokens }) => {
                    set.left.push(Left { pair: id(), split, reason, tokens, limit });
                    continue;
                }
                Err(EncodeProblem::Failed(error)) => return Err(error.context(format!("pair {}", pair.id))),
            };
            if let Some(cut) = encoded.cut {
                set.shortened.push(Shortened { pair: id(), tokens: encoded.tokens, limit, cut });
            }
            let example = Example { pair: id(), split, ids: encoded.ids, mask: encoded.mask, cut: encoded.cut.is_some() };
            match split {
                Part::Train => set.train.push(example),
                Part::Validation => set.validation.push(example),
            }
        }
        Ok(set)
    }

    /// Train examples, then validation examples.
    pub fn examples(&self) -> impl Iterator<Item = &Example> {
        self.train.iter().chain(&self.validation)
    }

    /// The contents of a run's `dataset.jsonl`: one example a line.
    pub fn jsonl(&self) -> Result<String> {
        self.examples().map(|e| Ok(serde_json::to_string(e).with_context(|| format!("pair {}", e.pair))? + "\n")).collect()
    }

    /// SHA-256 of [`Dataset::jsonl`], in hexadecimal: what `sha256sum dataset.jsonl` prints.
    pub fn hash(&self) -> Result<String> {
        Ok(hex::encode(Sha256::digest(self.jsonl()?)))
    }
}

/// A ready pair measured against a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The tokens of the whole pair; 0 where it was not encoded at all.
    pub budget: Budget,
    /// Why the model is not trained on it; `None` where it is, on all of it or on its beginning.
    pub left: Option<Reason>,
}

/// Measures each ready pair against a config, whatever the split.
pub fn budgets(pairs: &[Pair], config: &Config, templates: &Templates, model: &ModelText) -> Result<Vec<Measured>> {
    let encoder = Encoder::new(&model.tokenizer, config.format, templates)?;
    let limit = limit(config, model);
    let ready = pairs.iter().filter(|pair| pair.status == Status::Ready);
    ready
        .map(|pair| {
            let (tokens, left) = match encoder.pair(pair, limit, config.overlong) {
                Ok(encoded) => (encoded.tokens, None),
                Err(EncodeProblem::LeftOut { reason, tokens }) => (tokens, Some(reason)),
                Err(EncodeProblem::Failed(error)) => return Err(error.context(format!("pair {}", pair.id))),
            };
            Ok(Measured { budget: Budget { pair: pair.id.clone(), model: config.short_name(), tokens, limit }, left })
        })
        .collect()
}

/// The most tokens an example may have: the config's `max_tokens`, or the model's positions where those are fewer.
pub fn limit(config: &Config, model: &ModelText) -> usize {
    config.max_tokens.min(model.context)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::{pair, templates, tokenizer};
    use super::*;
    use crate::config::{self, Overlong};

    fn config(max_tokens: usize) -> Config {
        let text = format!("model: pocket:llama\nformat: chat\nmethod: lora\nmax_tokens: {max_tokens}\nvalidation: {{ fraction: 0.2 }}\n");
        config::parse(Path::new("configs/tiny.yaml"), &text).unwrap()
    }

    fn model(context: usize) -> ModelText {
        ModelText { tokenizer: tokenizer(), context }
    }

    /// Ten pairs of ten sources, one of them with two paragraphs.
    fn ten() -> Vec<Pair> {
        let of = |i: u8| {
            let letter = char::from(b'a' + i).to_string();
            let response = if i == 3 { "b\n\nc".to_owned() } else { letter.clone() };
            Pair { id: format!("tier2/{letter}"), source: letter.clone(), ..pair(&letter, &response) }
        };
        (0..10).map(of).collect()
    }

    #[test]
    fn every_ready_pair_is_somewhere() {
        let mut pairs = ten();
        pairs.push(Pair { id: "tier2/z".into(), source: "z".into(), ..pair("a", " \n") });
        pairs.push(Pair { id: "tier2/draft".into(), status: Status::Draft, ..pair("a", "b") });
        let set = Dataset::build(&pairs, &config(8), &templates(), &model(100)).unwrap();
        assert_eq!((set.train.len() + set.validation.len(), set.left.len(), set.shortened.len()), (10, 1, 1));
        assert_eq!(set.left[0].reason, Reason::EmptyResponse);
        let short = &set.shortened[0];
        assert_eq!((short.pair.as_str(), short.tokens, short.limit, short.cut), ("tier2/d", 10, 8, Cut { tokens: 4, paragraphs: 1 }));
        assert_eq!(set.examples().filter(|e| e.cut).map(|e| e.pair.as_str()).collect::<Vec<_>>(), ["tier2/d"]);
        assert!(set.examples().all(|e| e.ids.len() == e.mask.len() && e.ids.len() <= 8));
        assert!(set.train.iter().all(|e| e.split == Part::Train) && set.validation.iter().all(|e| e.split == Part::Validation));
    }

    #[test]
    fn the_models_positions_bound_the_limit() {
        let check = |max_tokens, context, expected| {
            assert_eq!(Dataset::build(&ten(), &config(max_tokens), &templates(), &model(context)).unwrap().limit, expected);
        };
        check(2048, 1024, 1024);
        check(2048, 131_072, 2048);
    }

    #[test]
    fn budgets_count_the_whole_pair_whatever_the_split() {
        let mut pairs = ten();
        pairs[0].split = crate::pairs::Split::Train;
        pairs.push(Pair { id: "tier2/leak".into(), source: "a".into(), split: crate::pairs::Split::Validation, ..pair("a", "b") });
        assert!(Dataset::build(&pairs, &config(8), &templates(), &model(100)).unwrap_err().to_string().contains("both sides"));
        let measured = budgets(&pairs, &config(8), &templates(), &model(100)).unwrap();
        assert_eq!(measured.len(), 11);
        let whole = Budget { pair: "tier2/d".into(), model: "pocket-llama".into(), tokens: 10, limit: 8 };
        assert_eq!(measured[3], Measured { budget: whole, left: None });
    }

    #[test]
    fn budgets_say_which_pairs_are_left_out() {
        let check = |pair: Pair, overlong, tokens, left| {
            let measured = budgets(&[pair], &Config { overlong, ..config(8) }, &templates(), &model(100)).unwrap();
            assert_eq!((measured[0].budget.tokens, measured[0].left.clone()), (tokens, left));
        };
        check(pair("d", "b"), Overlong::Skip, 7, None);
        check(pair("d", "b\n\nc"), Overlong::CutAtParagraph, 10, None);
        check(pair("d", "b\n\nc"), Overlong::Skip, 10, Some(Reason::TooLong));
        check(pair("d", "bbbbbbb"), Overlong::CutAtParagraph, 13, Some(Reason::FirstParagraph));
        check(pair("d", "<|end|>"), Overlong::CutAtParagraph, 0, Some(Reason::SpecialToken("<|end|>".into())));
    }

    #[test]
    fn nothing_ready_is_an_error_with_a_next_step() {
        let message = Dataset::build(&[], &config(8), &templates(), &model(100)).unwrap_err().to_string();
        assert!(message.contains("status: ready"), "{message}");
    }

    #[test]
    fn the_hash_is_of_the_lines_and_not_of_their_source() {
        let build = |pairs: &[Pair]| Dataset::build(pairs, &config(100), &templates(), &model(100)).unwrap();
        let set = build(&ten());
        let mut reversed = ten();
        reversed.reverse();
        reversed[0].notes = "not trained on".into();
        assert_eq!(set, build(&reversed));
        assert_eq!(set.hash().unwrap(), build(&reversed).hash().unwrap());
        reversed[0].response.push('x');
        assert_ne!(set.hash().unwrap(), build(&reversed).hash().unwrap());
        let jsonl = set.jsonl().unwrap();
        let lines: Vec<Example> = jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, set.examples().cloned().collect::<Vec<_>>());
        assert!(jsonl.lines().next().unwrap().starts_with(r#"{"pair":"tier2/"#));
    }
}
