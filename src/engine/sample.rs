//! Drawing text: one prompt, several rows decoded in one batch over one copy of the weights, each with its own seed.
//!
//! Logits are processed in Hugging Face's order: repetition penalty, temperature, top-k, top-p.

use std::ops::ControlFlow;

use anyhow::{Result, bail};
use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::pass::Pass;
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
    model.prepare_positions(prompt.len() + new)?;

    // Base rows first: the adapter serves the rows from the first tuned one on.
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&i| rows[i].arm == Arm::Tuned);
    let tuned_from = order.iter().position(|&i| rows[i].arm == Arm::Tuned).unwrap_or(rows.len());

    let mut caches = model.caches(rows.len(), prompt.len() + new)?;
    let mut samplers: Vec<Sampler> = order.iter().map(|&i| Sampler::new(rows[i].seed, prompt, vocab)).collect();
    let mut outputs: Vec<Output> = rows.iter().map(|_| Output { ids: vec![], finish: Finish::Length }).collect();
    let mut open: Vec<bool> = vec![new > 0; rows.len()];
    let mut next = vec![0u32; rows.len()];
    let mut logits = prefill(model, prompt, tuned_from, rows.len(), &mut caches)?; // (B, V)

    for i in 0..new {
        let host: Vec<Vec<f32>> = logits.to_vec2()?;
        let mut drawn: Vec<Option<u32>> = vec![None; rows.len()];
        for (place, mut logits) in host.into_iter().enumerate() {
            let row = order[place];
            if !open[row] {
                continue;
            }
            let token = samplers[place].draw(&mut logits, sampling);
            next[place] = token;
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
        if i + 1 == new || !open.iter().any(|&open| open) {
            break;
        }
        let pass = Pass::decode(rows.len(), prompt.len() + i, tuned_from);
        let x = model.run(&next, &pass, &mut Some(&mut caches))?;
        logits = model.few_logits(&x)?;
    }
    Ok(outputs)
}

/// Runs the prompt once for each arm that has rows, fills their caches, and returns the logits after it (B, V).
///
/// Each arm runs alone, so that its numbers do not depend on which other arms are asked for.
fn prefill(model: &Model, prompt: &[u32], tuned_from: usize, rows: usize, caches: &mut [super::cache::LayerCache]) -> Result<Tensor> {
    let mut logits = vec![];
    for (arm, targets) in [(Arm::Base, 0..tuned_from), (Arm::Tuned, tuned_from..rows)] {
        if targets.is_empty() {
            continue;
        }
        caches.iter_mut().for_each(|cache| cache.targets = targets.clone());
        let n = prompt.len();
        let x = model.run(prompt, &Pass::sequences(&[n], arm.tuned_from(n), None), &mut Some(&mut *caches))?;
        let last = model.few_logits(&x.narrow(0, n - 1, 1)?.contiguous()?)?; // (1, V)
        logits.push(last.broadcast_as((targets.len(), last.dim(1)?))?.contiguous()?);
    }
    Ok(Tensor::cat(&logits, 0)?)
}

/// Draws the tokens of one row.
#[derive(Debug)]
pub struct Sampler {
    rng: ChaCha8Rng,
    /// Whether a token is in the prompt or was drawn.
    seen: Vec<bool>,
}

impl Sampler {
    pub fn new(seed: u64, prompt: &[u32], vocab: usize) -> Self {
        let mut seen = vec![false; vocab];
        prompt.iter().for_each(|&id| seen[id as usize] = true);
        Sampler { rng: ChaCha8Rng::seed_from_u64(seed), seen }
    }

    /// The next token. `logits` (V) are changed.
    pub fn draw(&mut self, logits: &mut [f32], sampling: &Sampling) -> u32 {
        self.penalise(logits, sampling.repetition_penalty);
        let token = if sampling.temperature == 0.0 {
            most_likely(logits)
        } else {
            let kept = filter(logits, sampling);
            self.pick(&kept)
        };
        self.seen[token as usize] = true;
        token
    }

    /// Divides positive logits of tokens in the prompt or drawn so far by the penalty, and multiplies negative ones.
    pub fn penalise(&self, logits: &mut [f32], penalty: f64) {
        if penalty == 1.0 {
            return;
        }
        let penalty = penalty as f32;
        for (logit, _) in logits.iter_mut().zip(&self.seen).filter(|&(_, &seen)| seen) {
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
        }
    }

    /// Draws from (token, probability) pairs that need not add up to 1.
    fn pick(&mut self, kept: &[(u32, f64)]) -> u32 {
        let total: f64 = kept.iter().map(|(_, p)| p).sum();
        let draw = (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * total;
        let mut sum = 0.0;
        for &(token, p) in kept {
            sum += p;
            if draw < sum {
                return token;
            }
        }
        kept.last().map_or(0, |&(token, _)| token)
    }
}

/// The first of the largest.
fn most_likely(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (i, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = i;
        }
    }
    best as u32
}

/// A logit that at least `k` of them reach, near the k-th largest: the k-th largest of the maxima of `4 k` or more stretches. One
/// quick pass; what is left to sort after it is short.
fn at_least(logits: &[f32], k: usize) -> f32 {
    let stretch = (logits.len() / (4 * k)).max(1);
    let mut maxima: Vec<f32> = logits.chunks(stretch).map(|part| part.iter().copied().fold(f32::NEG_INFINITY, f32::max)).collect();
    *maxima.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

/// Temperature, top-k and top-p: the tokens that stay, most likely first, with `e^(l - max)`. Equal logits stay in the order of their ids.
///
/// Top-k keeps every token whose logit is not below the k-th largest; top-p keeps the shortest head whose probability reaches p.
pub fn filter(logits: &[f32], sampling: &Sampling) -> Vec<(u32, f64)> {
    let scaled = |i: usize| logits[i] / sampling.temperature as f32;
    let descending = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let some = sampling.top_k > 0 && sampling.top_k < logits.len();
    let least = if some { at_least(logits, sampling.top_k) } else { f32::NEG_INFINITY };
    let mut ids: Vec<u32> = (0..logits.len() as u32).filter(|&id| logits[id as usize] >= least).collect();
    if some {
        let (_, kth, _) = ids.select_nth_unstable_by(sampling.top_k - 1, descending);
        let kth = logits[*kth as usize];
        ids.retain(|&id| logits[id as usize] >= kth);
    }
    ids.sort_unstable_by(descending);
    let max = f64::from(ids.first().map_or(0.0, |&id| scaled(id as usize)));
    let mut kept: Vec<(u32, f64)> = ids.iter().map(|&id| (id, (f64::from(scaled(id as usize)) - max).exp())).collect();
    if sampling.top_p < 1.0 {
        let total: f64 = kept.iter().map(|(_, p)| p).sum();
        // A token stays while what stands before it has not reached p; the first always does.
        let mut before = 0.0;
        let count = kept.iter().take_while(|(_, p)| {
            let stays = before < sampling.top_p * total;
            before += p;
            stays
        });
        let count = count.count().max(1);
        kept.truncate(count);
    }
    kept
}
