//! The one training loop. Everything that trains goes through [`train`]; it knows no channel but the inbox it drains.

mod step;

use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::checkpoint::{self, Best, Checkpoints, State};
use super::engine_thread::{Recorder, serve_request};
use super::fault::Faults;
use super::generate;
use super::inbox::Inbox;
use super::manifest::config_hash;
use super::plan::Plan;
use super::protocol::{Arm, Eval, Event, Generate, Outcome, Prompt, Saved, Started, Train, now};
use super::slot::{Kind, Slot, load_weights};
use crate::config::{KeepBest, Method};
use crate::dataset::batch::{Batch, Example};
use crate::engine::optim::AdamW;
use crate::engine::{LossSum, device, pending};
use step::{InFlight, check_finite};

/// Trains the model in the slot to the job's last step, or until it is stopped. Whatever ends it early, the last checkpoint is
/// whole; an error leaves the slot's weights in no known state.
pub(super) fn train(job: &Train, slot: &mut Slot, inbox: &mut Inbox, recorder: &mut Recorder) -> Result<Outcome> {
    let plan = Plan::new(&job.examples, &job.config);
    ensure!(!plan.train.is_empty(), "there is no training example: every pair was held out or left out");
    check_ids(&job.examples, slot)?;
    Training::prepare(job, plan, slot, inbox.faults)?.run(slot, inbox, recorder)
}

/// A data set that was made with another tokenizer, or by hand, would make the engine read beside its tables.
fn check_ids(examples: &[Example], slot: &Slot) -> Result<()> {
    let vocab = slot.model.spec().vocab();
    match examples.iter().find(|example| example.ids.iter().any(|&id| id as usize >= vocab)) {
        Some(example) => bail!("{}: has a token that {} does not have (there are {vocab})", example.pair, slot.files.name),
        None => Ok(()),
    }
}

struct Training<'a> {
    job: &'a Train,
    plan: Plan<'a>,
    optimizer: AdamW,
    checkpoints: Checkpoints,
    /// The latest validation loss and the step it belongs to.
    evaluated: Option<Best>,
    best: Option<Best>,
    saved: usize,
    /// How many steps may be in flight when the next one is launched.
    ahead: usize,
    in_flight: VecDeque<InFlight>,
    /// When the latest step was settled.
    settled: Option<Instant>,
    faults: Faults,
}

impl<'a> Training<'a> {
    /// Makes the slot's model trainable, anew or as its checkpoint left it.
    fn prepare(job: &'a Train, plan: Plan<'a>, slot: &mut Slot, faults: Faults) -> Result<Self> {
        ensure!(slot.kind == Kind::Untuned, "{}: was fine-tuned already; load it again before training", slot.files.name);
        let checkpoints = Checkpoints::of(&job.run);
        let resumed = match job.resume_from {
            0 => None,
            step => Some(checkpoints.find(Some(step))?),
        };
        let (config, model) = (&job.config, &mut slot.model);
        let from = resumed.as_ref().map(|checkpoint| checkpoint.path.as_path());
        match config.method {
            Method::Lora => {
                match from.or(job.adapter_init.as_deref()) {
                    Some(folder) => {
                        model.load_adapter(folder, config.lora.dropout).with_context(|| format!("{}: the adapter", folder.display()))?;
                    }
                    None => model.add_lora(&config.lora, config.seed)?,
                }
                slot.kind = Kind::Adapter;
            }
            Method::Full => {
                model.train_full()?;
                if let Some(folder) = from {
                    load_weights(model, folder)?;
                }
                slot.kind = Kind::Full;
            }
        }
        slot.step = Some(job.resume_from);
        let mut optimizer = AdamW::new(&config.optimizer, &slot.model)?;
        let mut best = None;
        if let Some(checkpoint) = &resumed {
            let state = checkpoints.state(checkpoint)?;
            check_resumable(job, &state, &checkpoint.path)?;
            best = state.best;
            let file = checkpoint.path.join("optimizer.safetensors");
            optimizer.load(&mut slot.model, &file).with_context(|| format!("{}: cannot be loaded", file.display()))?;
        }
        let ahead = pending::ahead(&slot.model);
        let (in_flight, saved) = (VecDeque::new(), job.resume_from);
        Ok(Training { job, plan, optimizer, checkpoints, evaluated: None, best, saved, ahead, in_flight, settled: None, faults })
    }

    /// All steps, and what is due after each.
    fn run(&mut self, slot: &mut Slot, inbox: &mut Inbox, recorder: &mut Recorder) -> Result<Outcome> {
        let job = self.job;
        let last_step = job.last_step.map_or(self.plan.steps(), |n| n.min(self.plan.steps()));
        recorder.record(Event::Started(self.started(slot)))?;
        self.check_room(slot)?;
        if job.resume_from == 0 {
            self.evaluate(0, slot, recorder)?;
        }
        if inbox.is_stopped(job.job) {
            return Ok(Outcome::Stopped);
        }
        for step in job.resume_from + 1..=last_step {
            self.step(step, slot, recorder)?;
            slot.step = Some(step);
            let improved = self.plan.is_due(job.config.evaluate_every, step) && self.evaluate(step, slot, recorder)?;
            if improved || step == last_step || step.is_multiple_of(job.config.checkpoint_every) || inbox.is_stopped(job.job) {
                self.save(step, slot, recorder)?;
            }
            if self.plan.is_due(job.config.sample_every, step) && !inbox.is_stopped(job.job) {
                self.sample(slot, inbox, recorder)?;
            }
            while let Some(request) = inbox.take_request() {
                self.settle(0, slot, recorder)?;
                serve_request(&request, slot, inbox, recorder.outbox);
            }
            if inbox.is_stopped(job.job) && step < last_step {
                self.save(step, slot, recorder)?;
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Finished)
    }

    fn started(&self, slot: &Slot) -> Started {
        Started {
            time: now(),
            version: env!("CARGO_PKG_VERSION").into(),
            device: device::describe(slot.model.device()),
            from_step: self.job.resume_from,
            steps: self.plan.steps(),
            epochs: self.job.config.epochs,
            examples: [self.plan.train.len(), self.plan.validation.len()],
            trainable_parameters: slot.model.trainable_parameters(),
        }
    }

    /// Better to hear of a full disk before the first step than after the fiftieth.
    fn check_room(&self, slot: &Slot) -> Result<()> {
        self.checkpoints.check_room(checkpoint::bytes(slot.model.trainable_parameters(), self.job.config.optimizer.state))
    }

    /// Evaluates where anything is held out; says whether this is the best so far and shall be kept.
    fn evaluate(&mut self, step: usize, slot: &mut Slot, recorder: &mut Recorder) -> Result<bool> {
        if self.plan.validation.is_empty() {
            return Ok(false);
        }
        self.settle(0, slot, recorder)?;
        let mut sum = LossSum::default();
        for examples in self.plan.validation_batches() {
            sum += slot.model.evaluate(&Batch::pack(examples.iter().copied()))?;
        }
        ensure!(sum.tokens > 0, "the validation pairs hold no trained token; look at them with `voicetune encode`");
        let loss = sum.mean();
        let pairs: Vec<String> = self.plan.validation.iter().map(|e| e.pair.clone()).collect();
        check_finite("the validation loss", loss, step, &pairs)?;
        recorder.record(Event::Eval(Eval { step, loss, tokens: sum.tokens }))?;
        self.evaluated = Some(Best { step, loss });
        // Step 0 is the base model: nothing of it is saved, so it cannot be the result.
        let improved = step > 0 && self.job.config.keep_best == KeepBest::Validation && self.best.is_none_or(|best| loss < best.loss);
        if improved {
            self.best = Some(Best { step, loss });
        }
        Ok(improved)
    }

    fn save(&mut self, step: usize, slot: &Slot, recorder: &mut Recorder) -> Result<()> {
        if self.saved == step {
            return Ok(());
        }
        self.settle(0, slot, recorder)?;
        self.check_room(slot)?;
        let config = &self.job.config;
        let state = State {
            step,
            epoch: self.plan.step(step).epoch,
            cursor: self.plan.cursor(step),
            seed: config.seed,
            loss: self.evaluated.filter(|e| e.step == step).map(|e| e.loss),
            best: self.best,
            config_hash: config_hash(config)?,
            data_hash: self.job.data_hash.clone(),
        };
        let result = self.checkpoints.save(&state, config.keep_checkpoints, |folder| {
            match config.method {
                Method::Lora => slot.model.save_adapter(folder, &slot.files.name)?,
                Method::Full => {
                    slot.files.copy_companions(folder)?;
                    slot.model.save_weights(folder)?;
                }
            }
            self.optimizer.save(&slot.model, &folder.join("optimizer.safetensors"))
        })?;
        self.saved = step;
        recorder.record(Event::Saved(Saved { step, checkpoint: Checkpoints::name(step), result: result.step == step }))
    }

    /// One sample of each canary from the model as it is now.
    fn sample(&mut self, slot: &mut Slot, inbox: &mut Inbox, recorder: &mut Recorder) -> Result<()> {
        self.settle(0, slot, recorder)?;
        for canary in &self.job.canaries {
            let job = self.canary(canary);
            let outcome = generate::generate(&job, slot, &mut || inbox.is_stopped(self.job.job), &mut |event| recorder.record(event))?;
            if outcome == Outcome::Stopped {
                break;
            }
        }
        Ok(())
    }

    fn canary(&self, prompt: &Prompt) -> Generate {
        Generate {
            job: self.job.job,
            prompt: prompt.clone(),
            arms: vec![Arm::Tuned],
            seeds: vec![self.job.sample_seed],
            sampling: self.job.sampling,
        }
    }
}

fn check_resumable(job: &Train, state: &State, checkpoint: &Path) -> Result<()> {
    let shown = checkpoint.display();
    ensure!(
        state.config_hash == config_hash(&job.config)?,
        "{shown}: was made with another config, so it cannot be continued with this one"
    );
    ensure!(state.data_hash == job.data_hash, "{shown}: was trained on another data set, so it cannot be continued with this one");
    Ok(())
}

#[cfg(test)]
mod tests;
