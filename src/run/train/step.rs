//! Optimiser steps. One is *launched* when the device has been given all of it, and *settled* when its loss and its gradient's norm have
//! been looked at; in between it is in flight. On a GPU the host launches the next step while one is in flight, so that the device need
//! not wait while the host is held up.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::Training;
use crate::config::Config;
use crate::dataset::batch::{Batch, Example};
use crate::engine::pending::{PendingLoss, PendingStep};
use crate::engine::schedule::learning_rate;
use crate::engine::{LossSum, StepKey, device};
use crate::run::engine_thread::Recorder;
use crate::run::fault::Faults;
use crate::run::plan::PlannedStep;
use crate::run::protocol::{Event, Overflow, Step};
use crate::run::slot::Slot;

/// A step that was launched and not settled yet.
pub(super) struct InFlight {
    step: usize,
    epoch: usize,
    lr: f64,
    pairs: Vec<String>,
    /// All tokens, prompts included.
    tokens: usize,
    begun: Instant,
    /// Of each micro-step.
    losses: Vec<PendingLoss>,
    update: PendingStep,
}

impl Training<'_> {
    /// One optimiser step: the loss of all its micro-steps is divided by all their trained tokens, once. It is settled as soon as `ahead`
    /// more are in flight.
    pub(super) fn step(&mut self, step: usize, slot: &mut Slot, recorder: &mut Recorder) -> Result<()> {
        match self.launch(step, slot, recorder) {
            Ok(launched) => self.in_flight.push_back(launched),
            Err(error) => {
                // What was wrong with a step before this one is to be said first.
                self.settle(0, slot, recorder)?;
                return Err(error);
            }
        }
        self.settle(self.ahead, slot, recorder)
    }

    /// Waits for the oldest steps in flight until `left` are left, checks and records them. To be called with 0 before anyone looks at the
    /// model, saves it, or is told about it.
    pub(super) fn settle(&mut self, left: usize, slot: &Slot, recorder: &mut Recorder) -> Result<()> {
        let (mut landed, mut wrong) = (vec![], None);
        while self.in_flight.len() > left && wrong.is_none() {
            let Some(flown) = self.in_flight.pop_front() else { break };
            match flown.look(self.faults) {
                Ok(seen) => landed.push((flown, seen)),
                Err(error) => wrong = Some(error),
            }
        }
        if let Some((first, _)) = landed.first() {
            // While the step before was in flight, the device was not at this one yet.
            let begun = self.settled.map_or(first.begun, |settled| settled.max(first.begun));
            let now = Instant::now();
            self.settled = Some(now);
            // Of steps that are waited for together the last may be over when the first is looked at: they share the time by their tokens.
            let tokens_per_s = landed.iter().map(|(flown, _)| flown.tokens).sum::<usize>() as f64 / (now - begun).as_secs_f64();
            for (flown, (sum, grad_norm)) in landed {
                recorder.record(Event::Step(Step {
                    step: flown.step,
                    epoch: flown.epoch,
                    loss: sum.mean(),
                    tokens: sum.tokens,
                    lr: flown.lr,
                    grad_norm,
                    ms: flown.tokens as f64 / tokens_per_s * 1000.0,
                    tokens_per_s,
                    device_bytes: device::used_bytes(slot.model.device()),
                    pairs: flown.pairs,
                }))?;
            }
        }
        wrong.map_or(Ok(()), Err)
    }

    /// Launches all of a step. In f16 the gradient may go beyond it: then nothing was changed, and with another factor on the loss the step
    /// is made again.
    fn launch(&mut self, step: usize, slot: &mut Slot, recorder: &mut Recorder) -> Result<InFlight> {
        let begun = Instant::now();
        let planned = self.plan.step(step);
        let batches: Vec<Batch> = planned.micro_steps.iter().map(|examples| Batch::pack(examples.iter().copied())).collect();
        let pairs = pairs_of(&planned);
        if batches.iter().all(|batch| batch.trained_tokens() == 0) {
            bail!("step {step}: {} hold no token to train on; look at them with `voicetune encode`", pairs.join(", "));
        }
        let config = &self.job.config;
        let lr = learning_rate(&config.schedule, config.optimizer.learning_rate, step - 1, self.plan.steps());
        let tokens = batches.iter().map(|batch| batch.tokens.len()).sum();
        loop {
            let (losses, update) = self.attempt(step, &batches, lr, slot).with_context(|| shown(step, &pairs))?;
            let launched = InFlight { step, epoch: planned.epoch, lr, pairs: pairs.clone(), tokens, begun, losses, update };
            let Some(loss_scale) = launched.update.overflow else { return Ok(launched) };
            launched.loss(self.faults)?;
            recorder.record(Event::Overflow(Overflow { step, loss_scale }))?;
        }
    }

    /// All micro-steps and the update.
    fn attempt(&mut self, step: usize, batches: &[Batch], lr: f64, slot: &mut Slot) -> Result<(Vec<PendingLoss>, PendingStep)> {
        let config = &self.job.config;
        let trained: usize = batches.iter().map(Batch::trained_tokens).sum();
        let mut losses = vec![];
        for (micro, batch) in batches.iter().enumerate() {
            self.faults.compute(step)?;
            losses.push(slot.model.accumulate(batch, 1.0 / trained as f64, step_key(config, step, micro, batches.len()))?);
        }
        Ok((losses, self.optimizer.step(&mut slot.model, lr, config.clip_grad_norm)?))
    }
}

impl InFlight {
    /// Waits for the loss.
    fn loss(&self, faults: Faults) -> Result<LossSum> {
        let mut sum = LossSum::default();
        for micro in &self.losses {
            sum += micro.read().with_context(|| shown(self.step, &self.pairs))?;
        }
        check_finite("the loss", faults.loss(self.step, sum.mean()), self.step, &self.pairs)?;
        Ok(sum)
    }

    /// Waits for the loss and for the norm of the gradient.
    fn look(&self, faults: Faults) -> Result<(LossSum, f64)> {
        let loss = self.loss(faults)?;
        let norm = self.update.grad_norm().with_context(|| shown(self.step, &self.pairs))?;
        check_finite("the gradient's norm", faults.grad_norm(self.step, norm), self.step, &self.pairs)?;
        Ok((loss, norm))
    }
}

pub(super) fn step_key(config: &Config, step: usize, micro: usize, micro_steps: usize) -> StepKey {
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

fn shown(step: usize, pairs: &[String]) -> String {
    format!("step {step} (pairs: {})", pairs.join(", "))
}

/// A run that has gone wrong says so at once: nothing is skipped, and no later checkpoint is written.
pub(super) fn check_finite(what: &str, value: f64, step: usize, pairs: &[String]) -> Result<()> {
    ensure!(
        value.is_finite(),
        "step {step}: {what} is {value} (pairs: {}); lower optimizer.learning_rate or use base_precision: f32, and start a new run",
        pairs.join(", ")
    );
    Ok(())
}
