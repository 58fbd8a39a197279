//! A text made ready to be scored by a run's arms: given its prompt, through the run's own template.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::folder::Run;
use super::prepare::find_model;
use super::protocol::{Arm, Job, Load, Score, Scored, Tuned, now};
use super::scores::{self, ArmScores, Scores};
use crate::dataset::{Encoder, ModelText, TokenText};
use crate::engine::spec::Spec;
use crate::hub::ModelFiles;

/// What is scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Any text, tokenised and ended as a pair's response is.
    Text(String),
    /// What this model wrote, by the very tokens it wrote; and whether it ended there.
    Drawn { ids: Vec<u32>, ended: bool },
}

/// A text with its prompt as the model reads them, and how to load the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The run's folder.
    pub run: PathBuf,
    pub checkpoint: Checkpoint,
    /// Its job is the sender's to choose.
    pub load: Load,
    /// As in `outputs/`.
    prompt: String,
    prompt_text: String,
    ids: Vec<u32>,
    from: usize,
    text: TokenText,
    left_out: usize,
}

/// A run at a checkpoint, with the text side of its model.
#[derive(Debug)]
pub struct Scorer<'r> {
    run: &'r Run,
    checkpoint: Checkpoint,
    files: ModelFiles,
    spec: Spec,
    text: ModelText,
}

impl<'r> Scorer<'r> {
    /// # Errors
    /// If the model's files cannot be found.
    pub fn new(workspace: &Path, run: &'r Run, checkpoint: Checkpoint) -> Result<Scorer<'r>> {
        let model = &run.manifest.model;
        let (files, spec, text) = find_model(workspace, &run.manifest.config.model, model.commit.as_ref().unwrap_or(&model.revision))?;
        Ok(Scorer { run, checkpoint, files, spec, text })
    }

    /// `prompt` is the prompt's id, which names the file of its scores. A text that is longer than the model's positions is scored as
    /// far as they go.
    ///
    /// # Errors
    /// If the text is empty or has a special token written out in it, or the prompt leaves no room.
    pub fn request(&self, prompt: &str, prompt_text: &str, subject: &Subject) -> Result<Request> {
        let Scorer { run, checkpoint, files, spec, text } = self;
        let config = &run.manifest.config;
        let encoder = Encoder::new(&text.tokenizer, config.format, &run.manifest.templates)?;
        let (mut ids, from) = match subject {
            Subject::Text(text) => encoder.answered(prompt_text, text)?,
            Subject::Drawn { ids, ended } => {
                ensure!(!ids.is_empty(), "the text is empty");
                let prompt = encoder.prompt(prompt_text)?;
                let end = if *ended { vec![encoder.end()?] } else { vec![] };
                ([prompt.as_slice(), ids, &end].concat(), prompt.len())
            }
        };
        let context = spec.context();
        ensure!(from < context, "the prompt's {from} tokens leave no room for the text in the {context} positions of {}", files.name);
        let left_out = ids.len().saturating_sub(context);
        ids.truncate(context);
        Ok(Request {
            text: text.tokenizer.token_text(ids.get(from..).context("the text follows the prompt")?)?,
            run: run.folder.clone(),
            checkpoint: checkpoint.clone(),
            load: Load {
                job: 0,
                files: files.clone(),
                precision: config.base_precision,
                tuned: Some(Tuned::of(config.method, &checkpoint.path)),
            },
            prompt: prompt.to_owned(),
            prompt_text: prompt_text.to_owned(),
            ids,
            from,
            left_out,
        })
    }
}

impl Request {
    /// What was computed of it before.
    pub fn kept(&self) -> Result<Option<Scores>> {
        let is_it = |scores: &Scores| {
            scores.checkpoint == self.checkpoint.step
                && scores.ids == self.ids
                && scores.from == self.from
                && scores.left_out == self.left_out
        };
        Ok(scores::read(&self.run, &self.prompt)?.into_iter().rfind(is_it))
    }

    /// The command for the engine thread.
    pub fn score(&self, job: Job) -> Score {
        Score { job, ids: self.ids.clone(), arms: vec![Arm::Base, Arm::Tuned] }
    }

    /// What the arms said, with the text it was said of.
    ///
    /// # Errors
    /// If one of the arms is missing, or did not give numbers: those could be neither kept nor sent as JSON.
    pub fn scores(&self, scored: Vec<Scored>) -> Result<Scores> {
        let are_numbers = |of: &Scored| of.logprobs.iter().copied().chain(of.rivals.iter().map(|rival| rival.logprob)).all(f32::is_finite);
        ensure!(scored.iter().all(are_numbers), "the model gives no probabilities: its weights are damaged, or training has diverged");
        let (base, tuned) = scored.into_iter().partition::<Vec<Scored>, _>(|scored| scored.arm == Arm::Base);
        let arm = |of: Vec<Scored>| of.into_iter().next().map(|scored| ArmScores::new(scored, self.from)).context("an arm was not scored");
        Ok(Scores {
            prompt: self.prompt.clone(),
            prompt_text: self.prompt_text.clone(),
            checkpoint: self.checkpoint.step,
            ids: self.ids.clone(),
            from: self.from,
            text: self.text.text.clone(),
            ends: self.text.ends.clone(),
            left_out: self.left_out,
            base: arm(base)?,
            tuned: arm(tuned)?,
            time: now(),
        })
    }
}
