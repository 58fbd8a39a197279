//! The one training loop. Everything that trains goes through [`train`]; it knows no channel but the inbox it drains.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::checkpoint::{self, Best, Checkpoints, State};
use super::engine_thread::{Recorder, serve_request};
use super::fault::Faults;
use super::generate;
use super::inbox::Inbox;
use super::manifest::config_hash;
use super::plan::{Plan, PlannedStep};
use super::protocol::{Arm, Eval, Event, Generate, Outcome, Overflow, Prompt, Saved, Started, Step, Train, now};
use super::slot::{Kind, Slot, load_weights};
use crate::config::{Config, KeepBest, Method};
use crate::dataset::batch::{Batch, Example};
use crate::engine::optim::{AdamW, StepReport};
use crate::engine::schedule::learning_rate;
use crate::engine::{LossSum, StepKey, device};

/// Trains the model in the slot to the job's last step, or until it is stopped. Whatever ends it early, the last checkpoint is
/// whole; an error leaves the slot's weights in no known state.
pub(super) fn train(job: &Train, slot: &mut Slot, inbox: &mut Inbox, recorder: &mut Recorder) -> Result<Outcome> {
    let plan = Plan::new(&job.examples, &job.config);
    ensure!(!plan.train.is_empty(), "there is no training example: every pair was held out or left out");
    check_ids(&job.examples, slot)?;
    let last_step = job.last_step.map_or(plan.steps(), |n| n.min(plan.steps()));
    let mut training = Training::prepare(job, plan, slot)?;
    recorder.record(Event::Started(training.started(slot)))?;
    training.check_room(slot)?;
    if job.resume_from == 0 {
        training.evaluate(0, slot, recorder)?;
    }
    for step in job.resume_from + 1..=last_step {
        if inbox.is_stopped(job.job) {
            return Ok(Outcome::Stopped);
        }
        training.step(step, slot, inbox.faults, recorder)?;
        slot.step = Some(step);
        let improved = training.plan.is_due(job.config.evaluate_every, step) && training.evaluate(step, slot, recorder)?;
        if improved || step == last_step || step.is_multiple_of(job.config.checkpoint_every) || inbox.is_stopped(job.job) {
            training.save(step, slot, recorder)?;
        }
        if training.plan.is_due(job.config.sample_every, step) && !inbox.is_stopped(job.job) {
            training.sample(slot, inbox, recorder)?;
        }
        while let Some(request) = inbox.take_request() {
            serve_request(&request, slot, inbox, recorder.outbox);
        }
        if inbox.is_stopped(job.job) && step < last_step {
            training.save(step, slot, recorder)?;
            return Ok(Outcome::Stopped);
        }
    }
    Ok(Outcome::Finished)
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
}

impl<'a> Training<'a> {
    /// Makes the slot's model trainable, anew or as its checkpoint left it.
    fn prepare(job: &'a Train, plan: Plan<'a>, slot: &mut Slot) -> Result<Self> {
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
        Ok(Training { job, plan, optimizer, checkpoints, evaluated: None, best, saved: job.resume_from })
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

    /// One optimiser step: the loss of all its micro-steps is divided by all their trained tokens, once.
    fn step(&mut self, step: usize, slot: &mut Slot, faults: Faults, recorder: &mut Recorder) -> Result<()> {
        let clock = Instant::now();
        let config = &self.job.config;
        let planned = self.plan.step(step);
        let batches: Vec<Batch> = planned.micro_steps.iter().map(|examples| Batch::pack(examples.iter().copied())).collect();
        let trained: usize = batches.iter().map(Batch::trained_tokens).sum();
        let pairs = pairs_of(&planned);
        if trained == 0 {
            bail!("step {step}: {} hold no token to train on; look at them with `voicetune encode`", pairs.join(", "));
        }
        let lr = learning_rate(&config.schedule, config.optimizer.learning_rate, step - 1, self.plan.steps());
        let (sum, report) = loop {
            let (sum, report) = self.attempt(step, &batches, lr, &pairs, slot, faults)?;
            let Some(loss_scale) = report.overflow else { break (sum, report) };
            recorder.record(Event::Overflow(Overflow { step, loss_scale }))?;
        };
        let loss = sum.mean();
        let seconds = clock.elapsed().as_secs_f64();
        let seen: usize = batches.iter().map(|batch| batch.tokens.len()).sum();
        recorder.record(Event::Step(Step {
            step,
            epoch: planned.epoch,
            loss,
            tokens: sum.tokens,
            lr,
            grad_norm: report.grad_norm,
            ms: seconds * 1000.0,
            tokens_per_s: seen as f64 / seconds,
            device_bytes: device::used_bytes(slot.model.device()),
            pairs,
        }))
    }

    /// All micro-steps and the update. In f16 the gradient may go beyond it: then nothing was changed, and with another factor on the loss
    /// the step is made again.
    fn attempt(
        &mut self,
        step: usize,
        batches: &[Batch],
        lr: f64,
        pairs: &[String],
        slot: &mut Slot,
        faults: Faults,
    ) -> Result<(LossSum, StepReport)> {
        let config = &self.job.config;
        let trained: usize = batches.iter().map(Batch::trained_tokens).sum();
        let shown = || format!("step {step} (pairs: {})", pairs.join(", "));
        let mut pending = vec![];
        for (micro, batch) in batches.iter().enumerate() {
            let key = step_key(config, step, micro, batches.len());
            faults.compute(step).with_context(shown)?;
            pending.push(slot.model.accumulate(batch, 1.0 / trained as f64, key).with_context(shown)?);
        }
        let (mut sum, mut loss) = (LossSum::default(), 0.0);
        let report = self.optimizer.step(&mut slot.model, lr, config.clip_grad_norm, || {
            for micro in &pending {
                sum += micro.read()?;
            }
            loss = faults.loss(step, sum.mean());
            check_finite("the loss", loss, step, pairs)
        });
        // What is said of the loss names the step and its pairs already.
        let report = if loss.is_finite() { report.with_context(shown)? } else { report? };
        if report.overflow.is_none() {
            check_finite("the gradient's norm", faults.grad_norm(step, report.grad_norm), step, pairs)?;
        }
        Ok((sum, report))
    }

    /// Evaluates where anything is held out; says whether this is the best so far and shall be kept.
    fn evaluate(&mut self, step: usize, slot: &mut Slot, recorder: &mut Recorder) -> Result<bool> {
        if self.plan.validation.is_empty() {
            return Ok(false);
        }
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
    fn sample(&self, slot: &mut Slot, inbox: &mut Inbox, recorder: &mut Recorder) -> Result<()> {
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

fn step_key(config: &Config, step: usize, micro: usize, micro_steps: usize) -> StepKey {
    StepKey {
        seed: config.seed,
        step: step as u64,
        micro: micro as u32,
        micro_steps: micro_steps as u32,
        recompute: config.recompute,
        memory: config.memory_limit.bytes(),
    }
}

fn pairs_of(planned: &PlannedStep) -> Vec<String> {
    planned.micro_steps.iter().flatten().map(|example: &&Example| example.pair.clone()).collect()
}

/// A run that has gone wrong says so at once: nothing is skipped, and no later checkpoint is written.
fn check_finite(what: &str, value: f64, step: usize, pairs: &[String]) -> Result<()> {
    ensure!(
        value.is_finite(),
        "step {step}: {what} is {value} (pairs: {}); lower optimizer.learning_rate or use base_precision: f32, and start a new run",
        pairs.join(", ")
    );
    Ok(())
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
mod tests {
    use super::*;
    use crate::config::{self, Recompute};

    /// On the CPU, where the tests train, nothing that is computed tells whether the engine has heard of the limit.
    #[test]
    fn the_engine_is_told_what_the_config_says_of_memory() {
        let of = |more: &str| {
            let text = format!("{{ model: m, format: chat, method: lora, seed: 7, {more} }}");
            step_key(&config::parse(Path::new("c.yaml"), &text).unwrap(), 3, 1, 2)
        };
        let key = StepKey { seed: 7, step: 3, micro: 1, micro_steps: 2, recompute: Recompute::Auto, memory: None };
        assert_eq!(of(""), key);
        assert_eq!(of("memory_limit: 26"), StepKey { memory: Some(26 << 30), ..key });
        assert_eq!(of("recompute: mlp"), StepKey { recompute: Recompute::Mlp, ..key });
    }
}
