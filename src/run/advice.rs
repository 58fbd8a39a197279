//! What a run's curves say, in words, each with what to change. A pure function of the history; the interface shows it, and so can
//! anything else that reads a log.
//!
//! The thresholds are rules of thumb for what this program is used for: some dozens of pairs, some hundreds of steps of one or two
//! examples each, so that the loss of a single step says little.

use super::log::History;
use super::protocol::{Eval, Outcome, Step};

/// Something that the history shows. `Display` says it in words.
#[derive(Debug, Clone, PartialEq)]
pub enum Advice {
    /// The run broke off: a loss or a gradient that is no number, or a loss far above its start.
    Diverging {
        step: usize,
    },
    /// Spikes in the gradient's norm, out of the steps looked at.
    Oscillating {
        spikes: usize,
        steps: usize,
    },
    /// Validation rises from its minimum while training falls. `epoch` holds the minimum.
    Memorising {
        epoch: usize,
        lowest: f64,
        last: f64,
    },
    /// Validation moves less than single pairs make it move.
    Plateau {
        from: f64,
        to: f64,
    },
    NothingHeldOut,
    TooFewSteps {
        steps: usize,
    },
    /// It was stopped, or broke off, before its last step.
    EndedEarly {
        step: usize,
        steps: usize,
    },
    /// The loss is not the measure; to be shown beside all the others.
    ReadTheOutputs,
}

/// Steps that a mean is taken over: one step sees one or two pairs, whose losses differ by half a nat.
const WINDOW: usize = 10;
/// Below this, validation has not moved: in the run that taught the author this, it wandered between 2.82 and 2.85 all along.
const FLAT: f64 = 0.05;
/// A rise from the minimum by less than this is what another handful of held-out pairs would have shown.
const RISE: f64 = 0.05;
/// A loss this much above its first ones (in nats: e^1 times less likely text) is no noise.
const BLOWN_UP: f64 = 1.0;
/// A gradient this many times the median of its run is a spike: pairs of different length differ by a factor of two or three.
const SPIKE: f64 = 5.0;
/// Spikes in this share of the steps are a habit, not an odd pair.
const HABIT: f64 = 0.05;
/// Fewer optimiser steps than this hardly leave the warm-up, and leave no curve to read.
const FEW_STEPS: usize = 20;

/// What the history shows, the gravest first; the reminder to read the outputs last, once there is anything to read.
pub fn advice(history: &History) -> Vec<Advice> {
    let mut found = vec![];
    let diverging = diverging(history);
    let broke_off = diverging.is_some();
    found.extend(diverging);
    if !broke_off {
        found.extend(oscillating(&history.steps));
        found.extend(memorising(history).or_else(|| plateau(&history.evals)));
    }
    if let Some(started) = &history.started {
        if started.examples[1] == 0 {
            found.push(Advice::NothingHeldOut);
        }
        if started.steps < FEW_STEPS {
            found.push(Advice::TooFewSteps { steps: started.steps });
        }
        let step = history.steps.last().map_or(started.from_step, |last| last.step);
        let early = history.ended.as_ref().is_some_and(|ended| ended.outcome != Outcome::Failed || !broke_off) && step < started.steps;
        if early {
            found.push(Advice::EndedEarly { step, steps: started.steps });
        }
    }
    if history.steps.len() >= FEW_STEPS || history.ended.is_some() && !history.steps.is_empty() {
        found.push(Advice::ReadTheOutputs);
    }
    found
}

fn diverging(history: &History) -> Option<Advice> {
    let steps = &history.steps;
    // The training loop ends a run at a number that is none, and says so in these words.
    let refused = history
        .ended
        .as_ref()
        .and_then(|ended| ended.error.as_ref())
        .is_some_and(|error| error.contains("learning_rate") && (error.contains("NaN") || error.contains("inf")));
    if refused {
        return Some(Advice::Diverging { step: steps.last().map_or(1, |last| last.step + 1) });
    }
    if let Some(broken) = steps.iter().find(|step| !step.loss.is_finite() || !step.grad_norm.is_finite()) {
        return Some(Advice::Diverging { step: broken.step });
    }
    let (first, last) = (steps.get(..WINDOW)?, steps.get(steps.len().checked_sub(WINDOW)?..)?);
    (mean(last) > mean(first) + BLOWN_UP).then(|| Advice::Diverging { step: last[0].step })
}

fn oscillating(steps: &[Step]) -> Option<Advice> {
    if steps.len() < FEW_STEPS {
        return None;
    }
    let mut norms: Vec<f64> = steps.iter().map(|step| step.grad_norm).collect();
    norms.sort_by(f64::total_cmp);
    let median = norms[norms.len() / 2];
    let spikes = norms.iter().filter(|&&norm| norm > median * SPIKE).count();
    (spikes as f64 > steps.len() as f64 * HABIT).then_some(Advice::Oscillating { spikes, steps: steps.len() })
}

fn memorising(history: &History) -> Option<Advice> {
    let last = history.evals.last()?;
    let lowest = history.evals.iter().min_by(|a, b| a.loss.total_cmp(&b.loss))?;
    let falls = mean(tail(&history.steps, |step| step > lowest.step)?) < mean(head(&history.steps, lowest.step)?);
    let epoch = history.steps.iter().rfind(|step| step.step <= lowest.step).map_or(1, |step| step.epoch);
    (last.loss > lowest.loss + RISE && falls).then_some(Advice::Memorising { epoch, lowest: lowest.loss, last: last.loss })
}

/// The last steps of those after the minimum.
fn tail(steps: &[Step], after: impl Fn(usize) -> bool) -> Option<&[Step]> {
    let later = &steps[steps.iter().position(|step| after(step.step))?..];
    Some(&later[later.len().saturating_sub(WINDOW)..])
}

/// The steps up to the minimum; where that is the model before training, the first ones.
fn head(steps: &[Step], lowest: usize) -> Option<&[Step]> {
    let end = steps.iter().rposition(|step| step.step <= lowest).map_or(WINDOW.min(steps.len() / 2), |at| at + 1);
    steps.get(end.saturating_sub(WINDOW)..end).filter(|steps| !steps.is_empty())
}

fn plateau(evals: &[Eval]) -> Option<Advice> {
    // The first evaluation is of the model before training: with it, flat means that nothing was learnt that shows in this number.
    let losses = || evals.iter().map(|eval| eval.loss);
    let (low, high) = (losses().fold(f64::INFINITY, f64::min), losses().fold(f64::NEG_INFINITY, f64::max));
    (evals.len() >= 3 && high - low < FLAT).then_some(Advice::Plateau { from: low, to: high })
}

fn mean(steps: &[Step]) -> f64 {
    steps.iter().map(|step| step.loss).sum::<f64>() / steps.len() as f64
}

impl std::fmt::Display for Advice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Advice::Diverging { step } => write!(
                f,
                "Diverging at step {step}: the updates are too large. Set optimizer.learning_rate to a third of what it is, or a longer \
                 schedule.warmup_steps, and start again."
            ),
            Advice::Oscillating { spikes, steps } => write!(
                f,
                "Oscillating: the gradient jumped in {spikes} of {steps} steps. Halve optimizer.learning_rate, or set accumulate to 4 so that \
                 a step sees more pairs."
            ),
            Advice::Memorising { epoch: 0 | 1, lowest, last } => write!(
                f,
                "Memorising since the first epoch: validation rose from {lowest:.2} to {last:.2} while training fell. Use fewer epochs, a \
                 lower optimizer.learning_rate or lora.rank, or more pairs."
            ),
            Advice::Memorising { epoch, lowest, last } => write!(
                f,
                "Memorising since epoch {epoch}: validation rose from {lowest:.2} to {last:.2} while training fell. Set epochs to {epoch}, or \
                 bring more pairs; the checkpoint with the lowest validation loss is kept."
            ),
            Advice::Plateau { from, to } => write!(
                f,
                "Flat: validation stayed between {from:.2} and {to:.2}. The voice may have shifted all the same. If the outputs have not, try \
                 a higher optimizer.learning_rate, lora.rank or more epochs."
            ),
            Advice::NothingHeldOut => write!(
                f,
                "Nothing is held out, so memorising cannot be told from learning. Set validation.fraction to 0.07, or mark a source's pairs \
                 `split: validation`."
            ),
            Advice::TooFewSteps { steps } => {
                write!(f, "Only {steps} steps: hardly more than the warm-up. Use more epochs, more pairs, or a smaller accumulate.")
            }
            Advice::EndedEarly { step, steps } => {
                write!(f, "Ended after step {step} of {steps}: the learning rate never came down. Resume the run, or compare it as it is.")
            }
            Advice::ReadTheOutputs => {
                write!(
                    f,
                    "The loss is not the measure: runs with a flat loss have shifted the voice, and runs with a falling one only memorised. Read the outputs."
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::protocol::{Ended, Started};

    /// `steps` steps in `epochs` epochs, with losses, gradient norms and evaluations (step, loss).
    fn history(steps: usize, epochs: usize, loss: impl Fn(usize) -> f64, norm: impl Fn(usize) -> f64, evals: &[(usize, f64)]) -> History {
        let step = |step: usize| Step {
            step,
            epoch: (step - 1) * epochs / steps + 1,
            loss: loss(step),
            tokens: 300,
            lr: 1e-4,
            grad_norm: norm(step),
            ms: 100.0,
            tokens_per_s: 3000.0,
            device_bytes: None,
            pairs: vec!["tier1/a".into()],
        };
        let started = Started {
            time: "2026-11-22T10:00:00Z".into(),
            version: "0.1.0".into(),
            device: "cpu".into(),
            from_step: 0,
            steps,
            epochs,
            examples: [158, if evals.is_empty() { 0 } else { 12 }],
            trainable_parameters: 10,
        };
        History {
            started: Some(started),
            steps: (1..=steps).map(step).collect(),
            evals: evals.iter().map(|&(step, loss)| Eval { step, loss, tokens: 900 }).collect(),
            ended: Some(Ended::now(Outcome::Finished, None)),
            ..History::default()
        }
    }

    /// Falls in a straight line, with the noise of single pairs.
    fn falling(steps: usize, from: f64, to: f64) -> impl Fn(usize) -> f64 {
        move |step| from + (to - from) * step as f64 / steps as f64 + 0.3 * ((step * 7919 % 13) as f64 / 6.0 - 1.0)
    }

    fn steady(step: usize) -> f64 {
        1.0 + 0.1 * (step % 7) as f64
    }

    #[test]
    fn the_authors_own_runs_are_read_as_she_read_them() {
        // GPT-2: training 2.87 -> 0.83, validation 3.22 -> 3.59.
        let gpt2 = history(474, 3, falling(474, 2.87, 0.83), steady, &[(158, 3.22), (316, 3.35), (474, 3.59)]);
        assert_eq!(advice(&gpt2), [Advice::Memorising { epoch: 1, lowest: 3.22, last: 3.59 }, Advice::ReadTheOutputs]);
        // Llama: validation flat at 2.82 to 2.85, and yet the outputs had shifted.
        let llama = history(474, 3, falling(474, 2.9, 2.5), steady, &[(158, 2.85), (316, 2.82), (474, 2.84)]);
        assert_eq!(advice(&llama), [Advice::Plateau { from: 2.82, to: 2.85 }, Advice::ReadTheOutputs]);
    }

    #[test]
    fn memorising_begins_after_the_minimum() {
        let check = |evals: &[(usize, f64)], expected: Option<usize>| {
            let found = advice(&history(100, 5, falling(100, 3.0, 1.0), steady, evals));
            let epoch = found.iter().find_map(|a| if let Advice::Memorising { epoch, .. } = a { Some(*epoch) } else { None });
            assert_eq!(epoch, expected, "{evals:?}");
        };
        check(&[(0, 3.3), (20, 3.0), (40, 2.8), (60, 2.9), (80, 3.1), (100, 3.3)], Some(2));
        check(&[(0, 2.8), (20, 2.9), (40, 3.1)], Some(1));
        check(&[(0, 3.3), (20, 3.0), (40, 2.8), (60, 2.83)], None); // within what chance gives
        check(&[(0, 3.3), (20, 3.0), (40, 2.8)], None);
    }

    #[test]
    fn a_rise_with_rising_training_loss_is_no_memorising() {
        let found = advice(&history(100, 5, |step| 2.0 + step as f64 / 200.0, steady, &[(20, 2.5), (60, 2.6), (100, 2.8)]));
        assert_eq!(found, [Advice::ReadTheOutputs]);
    }

    #[test]
    fn spikes_are_a_high_learning_rate_when_they_are_a_habit() {
        let spiky = |every: usize| move |step: usize| if step.is_multiple_of(every) { 12.0 } else { steady(step) };
        let evals = [(50, 3.0), (100, 2.5)];
        let check = |every: usize, expected: bool| {
            let found = advice(&history(100, 2, falling(100, 3.0, 2.5), spiky(every), &evals));
            assert_eq!(found.iter().any(|a| matches!(a, Advice::Oscillating { .. })), expected, "every {every}: {found:?}");
        };
        check(10, true);
        check(40, false);
    }

    #[test]
    fn a_run_that_blew_up_is_diverging_and_nothing_else_is_read_from_it() {
        let rising = history(60, 2, |step| 3.0 + step as f64 / 20.0, steady, &[(30, 3.0), (60, 6.0)]);
        assert_eq!(advice(&rising)[0], Advice::Diverging { step: 51 });
        let nan = history(30, 1, |step| if step == 21 { f64::NAN } else { 3.0 }, steady, &[(30, 3.0)]);
        assert_eq!(advice(&nan)[0], Advice::Diverging { step: 21 });
        let mut failed = history(30, 1, falling(30, 3.0, 2.9), steady, &[(0, 3.0)]);
        failed.steps.truncate(4);
        let error = "step 5: the loss is NaN (pairs: tier1/a); lower optimizer.learning_rate or use base_precision: f32, and start again";
        failed.ended = Some(Ended::now(Outcome::Failed, Some(error.into())));
        assert_eq!(advice(&failed), [Advice::Diverging { step: 5 }, Advice::ReadTheOutputs]);
    }

    #[test]
    fn short_unwatched_and_unfinished_runs_are_named() {
        let mut short = history(12, 3, falling(12, 3.0, 2.0), steady, &[]);
        short.steps.truncate(5);
        short.ended = Some(Ended::now(Outcome::Stopped, None));
        let expected =
            [Advice::NothingHeldOut, Advice::TooFewSteps { steps: 12 }, Advice::EndedEarly { step: 5, steps: 12 }, Advice::ReadTheOutputs];
        assert_eq!(advice(&short), expected);
        assert_eq!(advice(&History::default()), []);
    }

    #[test]
    fn a_run_that_has_just_begun_gets_no_verdict() {
        let mut young = history(200, 2, falling(200, 3.0, 2.0), steady, &[(0, 3.1)]);
        young.steps.truncate(3);
        young.ended = None;
        assert_eq!(advice(&young), []);
    }
}
