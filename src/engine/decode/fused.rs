//! Decoding on a GPU: a step's kernels are recorded once as a graph, and replayed for every token. Ids, positions, the cache's length
//! and the sampler's state lie on the device; the host gives out one launch a step and reads the ids one step behind.

use anyhow::Result;
use candle_core::{DType, Tensor};
use voicetune_kernels::cuda::gemv::{self, LowRank, Product, Then};
use voicetune_kernels::cuda::graph::{Graph, Mailbox};
use voicetune_kernels::cuda::host::Table;
use voicetune_kernels::cuda::step::Norm;
use voicetune_kernels::cuda::{self, sample, step};

use super::{LayerCache, Plan, Sampler, prefill};
use crate::engine::block::Block;
use crate::engine::layout::Activation;
use crate::engine::params::ParamId;
use crate::engine::projection::{Adapter, Projection};
use crate::engine::{Model, norm};

/// Whether the kernels serve this model: f32 or bf16 (not f16) on a CUDA device, heads of 64 or 128, and rows of weights that start at 16-byte
/// boundaries.
pub(super) fn applies(model: &Model) -> bool {
    let fits = |id: ParamId| {
        let w = model.params.value(id);
        cuda::applies(w) && gemv::takes(w.dtype()) && gemv::readable(w, w).unwrap_or(false)
    };
    let block = |block: &Block| {
        step::applies(block.heads) && [&block.qkv, &block.out, &block.up, &block.down].iter().all(|projection| fits(projection.weight))
    };
    fits(model.head) && model.blocks.iter().all(block)
}

/// A decoding that is under way.
#[derive(Debug)]
pub(in crate::engine) struct Fused<'a> {
    walk: Walk<'a>,
    graph: Option<Graph>,
    mailbox: Mailbox,
    steps: usize,
    /// Steps that were given to the device, and steps that were read.
    launched: usize,
    read: usize,
}

impl<'a> Fused<'a> {
    pub fn new(model: &'a Model, plan: &Plan) -> Result<Self> {
        let mailbox = Mailbox::new(plan.seeds.len(), model.device())?;
        Ok(Fused { walk: Walk::new(model, plan)?, graph: None, mailbox, steps: plan.new, launched: 0, read: 0 })
    }

    /// The next token of each row, in the plan's order.
    pub fn next(&mut self) -> Result<Vec<u32>> {
        // The device is one step ahead, so that it never waits for the host.
        while self.launched < self.steps && self.launched < self.read + 2 {
            self.launch()?;
        }
        self.read += 1;
        Ok(self.mailbox.receive(self.read - 1)?)
    }

    fn launch(&mut self) -> Result<()> {
        match (self.launched, &self.graph) {
            // What follows the prompt.
            (0, _) => self.walk.draw()?,
            (_, Some(graph)) => graph.replay()?,
            // The first step loads the kernels, which a recording cannot; the second is recorded.
            (1, None) => self.walk.step()?,
            (2, None) => {
                self.graph = Graph::record(self.walk.model.device(), || self.walk.step().map_err(candle_core::Error::msg))?;
                match &self.graph {
                    Some(graph) => graph.replay()?,
                    None => self.walk.step()?,
                }
            }
            (_, None) => self.walk.step()?,
        }
        self.mailbox.send(&self.walk.state.drawn.narrow(0, self.launched, 1)?, self.launched)?;
        self.launched += 1;
        Ok(())
    }
}

/// One token a row through the model, in memory that stays where it is.
#[derive(Debug)]
struct Walk<'a> {
    model: &'a Model,
    caches: Vec<LayerCache>,
    adapters: Option<Adapters>,
    state: sample::State,
    settings: sample::Settings,
    attention: step::Scratch,
    /// The residual stream (B, C), and it normalised.
    x: Tensor,
    normalised: Tensor,
    qkv: Tensor,
    attended: Tensor,
    /// After the activation (B, I).
    active: Tensor,
    logits: Tensor,
}

impl<'a> Walk<'a> {
    fn new(model: &'a Model, plan: &Plan) -> Result<Self> {
        let (rows, device, dtype) = (plan.seeds.len(), model.device(), model.params.dtype);
        let capacity = plan.prompt.len() + plan.new;
        let mut caches = model.caches(rows, capacity)?;
        let x = prefill(model, plan, &mut caches)?;
        let block = &model.blocks[0];
        let (heads, inner) = (block.heads, model.params.value(block.down.weight).dim(1)?);
        let empty = |width: usize, dtype: DType| Tensor::zeros((rows, width), dtype, device);
        let vocab = model.spec.vocab();
        let draws: Vec<Vec<u64>> = plan.seeds.iter().map(|&seed| bits(seed, plan.new)).collect();
        let adapters = if plan.tuned_from < rows { Adapters::new(model, rows, plan.tuned_from)? } else { None };
        Ok(Walk {
            caches,
            adapters,
            state: sample::State::new(plan.prompt, &draws, vocab, device)?,
            settings: sample::Settings {
                temperature: plan.sampling.temperature as f32,
                top_k: plan.sampling.top_k,
                top_p: plan.sampling.top_p,
                repetition_penalty: plan.sampling.repetition_penalty as f32,
            },
            attention: step::Scratch::new(rows, heads, capacity, device)?,
            normalised: empty(x.dim(1)?, dtype)?,
            x,
            qkv: empty(heads.stride(), dtype)?,
            attended: empty(heads.query * heads.size, dtype)?,
            active: empty(inner, dtype)?,
            logits: empty(vocab, DType::F32)?,
            model,
        })
    }

    /// From the last tokens drawn to the next.
    fn step(&self) -> Result<()> {
        let (params, state) = (&self.model.params, &self.state);
        let places = self.model.positions.map(|id| params.value(id));
        // In f32 the kernels make h before its product; in bf16 the product waits for it.
        let missing = self.adapters.as_ref().map(|adapters| &adapters.h).filter(|h| h.dtype() == DType::BF16);
        let table = self.model.table.as_ref().map_or(Table::Device(params.value(self.model.embedding)), Table::Host);
        step::embed(table, places, &state.tokens, &state.positions, &self.x, missing)?;
        let tables = self.model.rope.as_ref().map(|rope| rope.tables());
        for (i, (block, cache)) in self.model.blocks.iter().zip(&self.caches).enumerate() {
            let then = match block.activation {
                Activation::SwiGlu => Then::SwiGlu,
                Activation::Gelu => Then::Gelu,
            };
            self.normalise(&block.norm_1)?;
            self.product(4 * i, &block.qkv, &self.normalised, Then::Nothing, &self.qkv)?;
            let attention = step::Attention {
                keys: &cache.keys,
                values: &cache.values,
                tables,
                positions: &state.positions,
                heads: block.heads,
                scratch: &self.attention,
            };
            step::attend(&self.qkv, attention, &self.attended)?;
            self.product(4 * i + 1, &block.out, &self.attended, Then::Nothing, &self.x)?;
            self.normalise(&block.norm_2)?;
            self.product(4 * i + 2, &block.up, &self.normalised, then, &self.active)?;
            self.product(4 * i + 3, &block.down, &self.active, Then::Nothing, &self.x)?;
        }
        self.draw()
    }

    /// The head, and the next tokens.
    fn draw(&self) -> Result<()> {
        self.normalise(&self.model.norm)?;
        Product::new(&self.normalised, self.model.params.value(self.model.head)).write(&self.logits)?;
        Ok(self.state.draw(&self.logits, &self.settings)?)
    }

    /// A projection's y, added to the residual stream where it is written there.
    fn product(&self, place: usize, projection: &Projection, x: &Tensor, then: Then, y: &Tensor) -> Result<()> {
        let value = |id: ParamId| self.model.params.value(id);
        let adapter = self.adapters.as_ref().and_then(|adapters| adapters.of(place));
        let product = Product {
            bias: projection.bias.map(value),
            residual: std::ptr::eq(y, &self.x).then_some(y),
            then,
            adapter,
            ..Product::new(x, value(projection.weight))
        };
        Ok(product.write(y)?)
    }

    fn normalise(&self, norm: &norm::Norm) -> Result<()> {
        let value = |id: ParamId| self.model.params.value(id);
        let norm = Norm { weight: value(norm.weight), bias: norm.bias.map(value), eps: norm.eps };
        Ok(step::norm(&self.x, norm, &self.normalised)?)
    }
}

/// Each row's random bits for all its steps: those that the sampler on the host would draw.
fn bits(seed: u64, steps: usize) -> Vec<u64> {
    let mut sampler = Sampler::new(seed, &[], 0);
    (0..steps).map(|_| sampler.bits()).collect()
}

/// The adapters as products want them, made for one decoding.
#[derive(Debug)]
struct Adapters {
    /// By place: four to a block.
    list: Vec<Option<Stacked>>,
    /// Of all of them, end to end.
    h: Tensor,
    scratch: gemv::Scratch,
    tuned_from: usize,
}

/// A projection's adapters side by side: `y += h b^T`, `h = x a^T`.
#[derive(Debug)]
struct Stacked {
    a: Tensor,
    /// `s B` of each layer in its own rows and columns, 0 elsewhere. Its rows may lie apart.
    b: Tensor,
    h: Tensor,
}

impl Adapters {
    fn new(model: &Model, rows: usize, tuned_from: usize) -> Result<Option<Self>> {
        let projections = model.blocks.iter().flat_map(|block| [&block.qkv, &block.out, &block.up, &block.down]);
        let both = projections.map(|projection| projection.adapter.as_ref().map(|adapter| stacked(model, projection, adapter)).transpose());
        let both = both.collect::<Result<Vec<Option<(Tensor, Tensor)>>>>()?;
        let widths = || both.iter().flatten().map(|(a, _)| a.dims()[0]);
        let Some(widest) = widths().max() else { return Ok(None) };
        let h = Tensor::zeros(rows * widths().sum::<usize>(), model.params.dtype, model.device())?;
        let mut at = 0;
        let list = both.into_iter().map(|both| {
            let Some((a, b)) = both else { return Ok(None) };
            let width = a.dim(0)?;
            let own = h.narrow(0, at, rows * width)?.reshape((rows, width))?;
            at += rows * width;
            Ok(Some(Stacked { a, b, h: own }))
        });
        let list = list.collect::<Result<Vec<_>>>()?;
        Ok(Some(Adapters { list, h, scratch: gemv::Scratch::new(widest, model.device())?, tuned_from }))
    }

    fn of(&self, place: usize) -> Option<LowRank<'_>> {
        let Stacked { a, b, h } = self.list[place].as_ref()?;
        Some(LowRank { a, b, h, tuned_from: self.tuned_from, scratch: &self.scratch })
    }
}

/// A projection's a and b.
fn stacked(model: &Model, projection: &Projection, adapter: &Adapter) -> Result<(Tensor, Tensor)> {
    let params = &model.params;
    let (out, a) = (params.value(projection.weight).dim(0)?, params.value(adapter.a));
    if let Some(folded) = &adapter.folded {
        // The columns beside W are what is wanted.
        return Ok((a.clone(), folded.narrow(1, a.dim(1)?, adapter.width())?));
    }
    // A width that allows no folding: columns of zeros up to one that the kernels read.
    let spare = adapter.width().next_multiple_of(8) - adapter.width();
    let mut columns = vec![];
    for part in &adapter.parts {
        let b = (params.get(part.b).exact()?.to_dtype(DType::F32)? * adapter.scale)?.to_dtype(a.dtype())?;
        columns.push(b.pad_with_zeros(0, part.at, out - part.at - part.width)?);
    }
    let b = Tensor::cat(&columns, 1)?.pad_with_zeros(1, 0, spare)?.contiguous()?;
    Ok((a.pad_with_zeros(0, 0, spare)?.contiguous()?, b))
}
