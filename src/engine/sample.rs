//! Drawing text: one prompt, several rows decoded in one batch over one copy of the weights, each with its own seed.
//!
//! Logits are processed in Hugging Face's order: repetition penalty, temperature, top-k, top-p (`sampler.rs`). How the next tokens come
//! about, on the host or on a GPU, is `decode.rs`'s.

use std::ops::ControlFlow;

use anyhow::{Result, bail};

use super::decode::{Decoder, Plan};
pub use super::sampler::{Sampler, WHOLE, filter};
use super::{Arm, Model};

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 takes the most likely token.
    pub temperature: f64,
    /// 0 keeps all.
    pub top_k: usize,
    /// 1 keeps all.
    pub top_p: f64,
    /// 1 for none; of tokens in the prompt and drawn so far (Keskar et al. 2019).
    pub repetition_penalty: f64,
    pub max_new_tokens: usize,
}

/// One sample to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub arm: Arm,
    pub seed: u64,
}

/// What came of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// New tokens, without the end token.
    pub ids: Vec<u32>,
    pub finish: Finish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model ended its turn.
    Stop,
    /// `max_new_tokens` or the context was reached.
    Length,
    /// The caller ended the generation.
    Cancelled,
}

/// Decodes all rows until each has ended. `watch(row, token)` is called for each new token, in the order of `rows`, and may end
/// the whole. Rows that have ended cost work until the last has.
///
/// # Errors
/// If the prompt is empty or leaves no room in the context.
pub fn generate(
    model: &mut Model,
    prompt: &[u32],
    rows: &[Row],
    sampling: &Sampling,
    stop: &[u32],
    watch: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
) -> Result<Vec<Output>> {
    let context = model.spec().context();
    if prompt.is_empty() {
        bail!("the prompt is empty: there is nothing to continue");
    }
    if prompt.len() >= context {
        bail!("the prompt has {} tokens and the model's context {context}: no room for an answer", prompt.len());
    }
    let vocab = model.spec().vocab();
    if let Some(id) = prompt.iter().find(|&&id| id as usize >= vocab) {
        bail!("token id {id} is outside the model's vocabulary of {vocab}; does the tokenizer belong to this model?");
    }
    let new = sampling.max_new_tokens.min(context - prompt.len());
    let mut outputs: Vec<Output> = rows.iter().map(|_| Output { ids: vec![], finish: Finish::Length }).collect();
    if new == 0 || rows.is_empty() {
        return Ok(outputs);
    }
    model.prepare_positions(prompt.len() + new)?;

    // Base rows first: the adapter serves the rows from the first tuned one on.
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&i| rows[i].arm == Arm::Tuned);
    let tuned_from = order.iter().position(|&i| rows[i].arm == Arm::Tuned).unwrap_or(rows.len());
    let seeds: Vec<u64> = order.iter().map(|&i| rows[i].seed).collect();
    let mut decoder = Decoder::new(model, &Plan { prompt, seeds: &seeds, tuned_from, sampling, new })?;

    let mut open: Vec<bool> = vec![true; rows.len()];
    for _ in 0..new {
        let mut drawn: Vec<Option<u32>> = vec![None; rows.len()];
        for (&row, token) in order.iter().zip(decoder.next()?) {
            if !open[row] {
                continue;
            }
            if stop.contains(&token) {
                open[row] = false;
                outputs[row].finish = Finish::Stop;
            } else {
                outputs[row].ids.push(token);
                drawn[row] = Some(token);
            }
        }
        for (row, token) in drawn.into_iter().enumerate() {
            if let Some(token) = token
                && watch(row, token).is_break()
            {
                (0..rows.len()).filter(|&row| open[row]).for_each(|row| outputs[row].finish = Finish::Cancelled);
                return Ok(outputs);
            }
        }
        if !open.iter().any(|&open| open) {
            break;
        }
    }
    Ok(outputs)
}
