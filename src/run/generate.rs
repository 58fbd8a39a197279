//! Sampling one prompt: a row for each arm and seed, in one batch where the arms share their weights.

use std::ops::ControlFlow;

use anyhow::{Result, bail};

use super::protocol::{Arm, Event, Finish, Generate, Outcome, Sample, Sampling, Text};
use super::slot::{Kind, Slot};
use crate::dataset::TextStream;
use crate::engine::{self, sample};

/// Samples, and emits text as it comes and each sample when it is whole. Stopped samples are not emitted.
pub(super) fn generate(
    job: &Generate,
    slot: &mut Slot,
    is_stopped: &mut dyn FnMut() -> bool,
    emit: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Outcome> {
    let sampling = fitted(job, slot)?;
    for arms in batches(&job.arms, slot.kind) {
        let rows: Vec<Planned> =
            arms.iter().flat_map(|&arm| job.seeds.iter().enumerate().map(move |(sample, &seed)| Planned { arm, sample, seed })).collect();
        if sample_rows(job, &rows, sampling, slot, is_stopped, emit)? == Outcome::Stopped {
            return Ok(Outcome::Stopped);
        }
    }
    Ok(Outcome::Finished)
}

#[derive(Debug, Clone, Copy)]
struct Planned {
    arm: Arm,
    sample: usize,
    seed: u64,
}

/// The arms that are decoded together: all of them over one copy of the weights, unless every weight differs.
fn batches(arms: &[Arm], kind: Kind) -> Vec<Vec<Arm>> {
    match kind {
        Kind::Full => arms.iter().map(|&arm| vec![arm]).collect(),
        Kind::Adapter | Kind::Untuned => vec![arms.to_vec()],
    }
}

fn sample_rows(
    job: &Generate,
    rows: &[Planned],
    sampling: Sampling,
    slot: &mut Slot,
    is_stopped: &mut dyn FnMut() -> bool,
    emit: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Outcome> {
    let engine_rows: Vec<sample::Row> = rows.iter().map(|row| sample::Row { arm: row.arm.into(), seed: row.seed }).collect();
    let tokenizer = slot.tokenizer.clone();
    let (short_name, step) = (slot.short_name, slot.step);
    let model = if rows.iter().all(|row| row.arm == Arm::Base) { slot.base()? } else { slot.tuned()? };
    let mut streams: Vec<TextStream> = rows.iter().map(|_| tokenizer.stream()).collect();
    let mut error = None;
    let mut say = |row: usize, token: u32| -> Result<()> {
        let text = streams[row].push(token)?;
        let Planned { arm, sample, .. } = rows[row];
        if text.is_empty() { Ok(()) } else { emit(Event::Text(Text { prompt: job.prompt.id.clone(), arm, sample, text })) }
    };
    let mut watch = |row: usize, token: u32| {
        if let Err(e) = say(row, token) {
            error = Some(e);
            return ControlFlow::Break(());
        }
        if is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let outputs = sample::generate(model, &job.prompt.ids, &engine_rows, &sampling.into(), tokenizer.end_tokens(), &mut watch)?;
    if let Some(error) = error {
        return Err(error);
    }
    let mut outcome = Outcome::Finished;
    for (row, output) in rows.iter().zip(outputs) {
        let finish = match output.finish {
            sample::Finish::Stop => Finish::Stop,
            sample::Finish::Length => Finish::Length,
            sample::Finish::Cancelled => {
                outcome = Outcome::Stopped;
                continue;
            }
        };
        emit(Event::Sample(Sample {
            prompt: job.prompt.id.clone(),
            arm: row.arm.named(short_name),
            sample: row.sample,
            seed: row.seed,
            step,
            text: tokenizer.decode(&output.ids)?,
            ids: output.ids,
            finish,
        }))?;
    }
    Ok(outcome)
}

/// The sampling settings with no more new tokens than there are positions left after the prompt.
fn fitted(job: &Generate, slot: &Slot) -> Result<Sampling> {
    let (prompt, context) = (job.prompt.ids.len(), slot.model.spec().context());
    if prompt >= context {
        bail!("prompt {}: {prompt} tokens leave no room in the {context} positions of {}; shorten it", job.prompt.id, slot.files.name);
    }
    Ok(Sampling { max_new_tokens: job.sampling.max_new_tokens.min(context - prompt), ..job.sampling })
}

impl From<Arm> for engine::Arm {
    fn from(arm: Arm) -> engine::Arm {
        match arm {
            Arm::Base => engine::Arm::Base,
            Arm::Tuned => engine::Arm::Tuned,
        }
    }
}

impl From<Sampling> for sample::Sampling {
    fn from(s: Sampling) -> sample::Sampling {
        sample::Sampling {
            temperature: s.temperature,
            top_k: s.top_k,
            top_p: s.top_p,
            repetition_penalty: s.repetition_penalty,
            max_new_tokens: s.max_new_tokens,
        }
    }
}
