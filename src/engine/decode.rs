//! The walk that decoding makes: the prompt once for each arm, then one new token a row and step, all rows together.
//!
//! Two ways give the same tokens where the logits are the same: op by op with the sampler on the host, which serves the CPU and every
//! type and shape; and `decode/fused.rs`, on a GPU, where a step is one recorded graph and the sampler runs there too.

#[cfg(feature = "cuda")]
mod fused;

use std::ops::Range;

use anyhow::Result;
use candle_core::Tensor;

use super::cache::LayerCache;
use super::pass::Pass;
use super::sample::Sampling;
use super::sampler::Sampler;
use super::{Arm, Model};

/// What is to be decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    pub prompt: &'a [u32],
    /// Of each row, base rows first.
    pub seeds: &'a [u64],
    /// The first row that the adapter serves.
    pub tuned_from: usize,
    pub sampling: &'a Sampling,
    /// Steps at most, 1 or more.
    pub new: usize,
}

/// Draws the rows' tokens, step by step.
#[derive(Debug)]
pub(super) enum Decoder<'a> {
    Plain(Plain<'a>),
    #[cfg(feature = "cuda")]
    Fused(Box<fused::Fused<'a>>),
}

impl<'a> Decoder<'a> {
    /// Runs the prompt. The model's rotation tables must be long enough already.
    pub fn new(model: &'a Model, plan: &Plan<'a>) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if fused::applies(model) {
            return Ok(Decoder::Fused(Box::new(fused::Fused::new(model, plan)?)));
        }
        Ok(Decoder::Plain(Plain::new(model, plan)?))
    }

    /// The next token of each row. At most `new` times.
    pub fn next(&mut self) -> Result<Vec<u32>> {
        match self {
            Decoder::Plain(plain) => plain.next(),
            #[cfg(feature = "cuda")]
            Decoder::Fused(fused) => fused.next(),
        }
    }
}

/// The way that serves every device and type.
#[derive(Debug)]
pub(super) struct Plain<'a> {
    model: &'a Model,
    plan: Plan<'a>,
    caches: Vec<LayerCache>,
    samplers: Vec<Sampler>,
    /// (B, C) after the last block, of the newest token.
    x: Tensor,
    step: usize,
    drawn: Vec<u32>,
}

impl<'a> Plain<'a> {
    fn new(model: &'a Model, plan: &Plan<'a>) -> Result<Self> {
        let rows = plan.seeds.len();
        let mut caches = model.caches(rows, plan.prompt.len() + plan.new)?;
        let x = prefill(model, plan, &mut caches)?;
        let samplers = plan.seeds.iter().map(|&seed| Sampler::new(seed, plan.prompt, model.spec().vocab())).collect();
        Ok(Plain { model, plan: *plan, caches, samplers, x, step: 0, drawn: vec![] })
    }

    fn next(&mut self) -> Result<Vec<u32>> {
        if self.step > 0 {
            let pass = Pass::decode(self.plan.seeds.len(), self.plan.prompt.len() + self.step - 1, self.plan.tuned_from);
            self.x = self.model.run(&self.drawn, &pass, &mut Some(&mut self.caches))?;
        }
        let mut logits: Vec<Vec<f32>> = self.model.few_logits(&self.x)?.to_vec2()?; // (B, V)
        self.drawn = self.samplers.iter_mut().zip(&mut logits).map(|(sampler, logits)| sampler.draw(logits, self.plan.sampling)).collect();
        self.step += 1;
        Ok(self.drawn.clone())
    }
}

/// Runs the prompt once for each arm that has rows, fills their caches, and returns x (B, C) after the last block, of its last token.
///
/// Each arm runs alone, so that its numbers do not depend on which other arms are asked for.
fn prefill(model: &Model, plan: &Plan, caches: &mut [LayerCache]) -> Result<Tensor> {
    let n = plan.prompt.len();
    let arms: [(Arm, Range<usize>); 2] = [(Arm::Base, 0..plan.tuned_from), (Arm::Tuned, plan.tuned_from..plan.seeds.len())];
    let mut last = vec![];
    for (arm, targets) in arms.into_iter().filter(|(_, targets)| !targets.is_empty()) {
        caches.iter_mut().for_each(|cache| cache.targets = targets.clone());
        let x = model.run(plan.prompt, &Pass::sequences(&[n], arm.tuned_from(n), None), &mut Some(&mut *caches))?;
        last.push(x.narrow(0, n - 1, 1)?.broadcast_as((targets.len(), x.dim(1)?))?.contiguous()?);
    }
    Ok(Tensor::cat(&last, 0)?)
}
