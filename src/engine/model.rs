//! A model on a device: the forward pass, the masked loss with its explicit backward, and log-probabilities.

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};

use super::block::{self, Block};
use super::cache::LayerCache;
use super::device::Place;
use super::gradient::Gradient;
use super::host_table::HostTable;
use super::layout::{self, Layout};
use super::memory::{Keep, MicroStep, Plan};
use super::norm::{Norm, Want};
use super::ops::attention::Heads;
use super::ops::cross_entropy::{self, Loss};
use super::ops::product::{self, few_rows};
use super::ops::{embedding, rope::Rotations, runner_up};
use super::params::{self, ParamId, Params};
use super::pass::Pass;
use super::pending::PendingLoss;
use super::projection::Projection;
use super::spec::Spec;
use super::weights::{Source, Store};
use super::wide::Wide;
use super::{Arm, LossSum, StepKey, device, memory};
use crate::config::Precision;
use crate::dataset::batch::Batch;

/// Logits that exist at one time, in elements: 64 MiB in f32 on the CPU. A GPU takes more, 256 MiB in bf16, so that the head's
/// weights are not read again for every few rows.
pub(super) fn logits_at_once(place: Place) -> usize {
    match place {
        Place::Cpu => 1 << 24,
        Place::Gpu => 1 << 27,
    }
}

/// How likely a token was where it stands, and what else could have stood there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenScore {
    /// In nats.
    pub logprob: f32,
    /// The likeliest other token.
    pub rival: u32,
    pub rival_logprob: f32,
}

/// Weights, and how to run them.
#[derive(Debug)]
pub struct Model {
    pub(super) spec: Spec,
    pub(super) params: Params,
    pub(super) blocks: Vec<Block>,
    pub(super) layout: Layout,
    pub(super) adapter: Option<super::adapter::AdapterConfig>,
    pub(super) embedding: ParamId,
    /// Bytes that tensors have or could have on a GPU, when it was last asked.
    device_memory: Option<u64>,
    /// The embedding's rows, once training has moved them off the device.
    pub(super) table: Option<HostTable>,
    pub(super) positions: Option<ParamId>,
    pub(super) norm: Norm,
    pub(super) head: ParamId,
    pub(super) rope: Option<Rotations>,
    /// Parameters that came with the checkpoint; adapters follow.
    pub(super) base_params: usize,
}

impl Model {
    /// Reads a checkpoint's weights.
    ///
    /// # Errors
    /// Names the file and the tensor that is missing, damaged or of another shape; a precision the device cannot compute in.
    pub fn load(spec: &Spec, source: &Source, device: &Device, precision: Precision) -> Result<Model> {
        let dtype = compute_type(precision, device)?;
        let store = Store::open(source)?;
        let prefix = layout::of(spec).optional_prefix;
        Self::build(spec, device, dtype, |slot| params::load(slot, &store, prefix, dtype, device))
    }

    /// Random weights of the same shape.
    pub fn random(spec: &Spec, device: &Device, precision: Precision, seed: u64) -> Result<Model> {
        let dtype = compute_type(precision, device)?;
        Self::build(spec, device, dtype, |slot| params::random(slot, seed, dtype, device))
    }

    fn build(spec: &Spec, device: &Device, dtype: DType, value: impl Fn(&layout::Slot) -> Result<Tensor>) -> Result<Model> {
        let layout = layout::of(spec);
        let mut params = Params::new(dtype, device.clone());
        let mut add = |slot: &layout::Slot| params.push(slot.clone(), &value(slot)?);
        let embedding = add(&layout.embedding)?;
        let positions = layout.positions.as_ref().map(&mut add).transpose()?;
        let heads = Heads {
            query: layout.heads,
            kv: layout.kv_heads,
            size: layout.head_size,
            scale: (1.0 / (layout.head_size as f64).sqrt()) as f32,
        };
        let mut blocks = vec![];
        for (i, b) in layout.blocks.iter().enumerate() {
            let mut norm = |norm: &layout::Norm| -> Result<Norm> {
                Ok(Norm { weight: add(&norm.weight)?, bias: norm.bias.as_ref().map(&mut add).transpose()?, eps: layout.norm_eps })
            };
            let (norm_1, norm_2) = (norm(&b.norm_1)?, norm(&b.norm_2)?);
            let mut linear = |place: u64, linear: &layout::Linear| -> Result<Projection> {
                let (weight, bias) = (add(&linear.weight)?, linear.bias.as_ref().map(&mut add).transpose()?);
                Ok(Projection { weight, bias, adapter: None, place: i as u64 * 4 + place })
            };
            let (qkv, out, up, down) = (linear(0, &b.qkv)?, linear(1, &b.out)?, linear(2, &b.up)?, linear(3, &b.down)?);
            blocks.push(Block { norm_1, qkv, out, norm_2, up, down, activation: b.activation, heads });
        }
        let norm =
            Norm { weight: add(&layout.norm.weight)?, bias: layout.norm.bias.as_ref().map(&mut add).transpose()?, eps: layout.norm_eps };
        let head = layout.head.as_ref().map(&mut add).transpose()?.unwrap_or(embedding);
        let rope = match spec {
            // Tables for what fits now; longer sequences make longer ones (see `prepare`).
            Spec::Llama(llama) => Some(Rotations::new(&llama.inverse_frequencies(), llama.context.min(4096), device)?),
            Spec::Gpt2(_) => None,
        };
        let base_params = params.len();
        Ok(Model {
            spec: spec.clone(),
            params,
            blocks,
            layout,
            adapter: None,
            embedding,
            table: None,
            device_memory: None,
            positions,
            norm,
            head,
            rope,
            base_params,
        })
    }

    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn device(&self) -> &Device {
        &self.params.device
    }

    /// Makes every weight trainable.
    pub fn train_full(&mut self) -> Result<()> {
        if self.adapter.is_some() {
            bail!("a model with an adapter is trained through the adapter");
        }
        if self.table.take().is_some() {
            let back = self.params.value(self.embedding).to_device(self.device())?;
            self.params.widen(self.embedding, back);
        }
        self.params.ids().try_for_each(|id| self.params.train(id))
    }

    /// How many numbers training changes.
    pub fn trainable_parameters(&self) -> u64 {
        self.params.trained_elements()
    }

    /// Forward and backward over one packed batch. Gradients of trainables are added to what is there, scaled by `scale`:
    /// 1 / the trained tokens of the whole optimiser step, so that the step's gradient is that of its mean loss per token. In f16 they
    /// are scaled up besides, until the optimiser takes them.
    ///
    /// # Errors
    /// If a sequence is longer than the context, or the device runs out of memory.
    pub fn accumulate(&mut self, batch: &Batch, scale: f64, step: StepKey) -> Result<PendingLoss> {
        let losses = self.forward_backward(batch, scale, step);
        self.params.beside.join()?;
        losses
    }

    /// The same, with gradients that may be under way still.
    fn forward_backward(&mut self, batch: &Batch, scale: f64, step: StepKey) -> Result<PendingLoss> {
        self.prepare(batch)?;
        self.free_the_embedding()?;
        self.params.rounds_gradients = step.micro_steps == 1;
        let scale = scale * self.params.loss_scale.factor();
        let pass = Pass::sequences(&batch.lengths, 0, Some(step));
        let rows = trained_rows(batch);
        if rows.is_empty() {
            return Ok(PendingLoss { losses: vec![], tokens: 0 });
        }
        let (plan, keeps_inputs) = self.plan(step, batch, rows.len());
        let kept = |saved: block::Saved| if keeps_inputs { saved } else { saved.without_inputs() };
        let mut x = self.embed(&batch.tokens, &pass)?;
        let mut saved: Vec<(Tensor, Option<block::Saved>)> = vec![];
        for (i, block) in self.blocks.iter().enumerate() {
            let (y, all) = block.forward(&self.params, &x, &pass, self.rope.as_ref(), None)?;
            let kept = match plan.of_block(i) {
                Keep::All => Some(kept(all)),
                Keep::Attention => Some(kept(all).without_mlp()),
                Keep::Input => None,
            };
            saved.push((x, kept));
            x = y;
        }
        let (losses, dx) = self.loss_backward(&x, batch, &rows, scale)?;
        let losses = PendingLoss { losses, tokens: rows.len() };
        drop(x);
        let mut dx = Gradient::from(dx);
        let embedding_trained = self.params.is_trained(self.embedding);
        for (i, block) in self.blocks.iter().enumerate().rev() {
            let Some((input, of_block)) = saved.pop() else { break };
            let of_block = match of_block {
                Some(of_block) => of_block,
                None => kept(block.forward(&self.params, &input, &pass, self.rope.as_ref(), None)?.1),
            };
            drop(input);
            let want_dx = i > 0 || embedding_trained;
            match block.backward(&mut self.params, dx, of_block, &pass, self.rope.as_ref(), want_dx)? {
                Some(below) => dx = below,
                None => return Ok(losses),
            }
        }
        self.params.add_up()?;
        if embedding_trained {
            self.params.beside.join()?; // the head may be the embedding
            let grad = self.params.take_grad(self.embedding)?;
            let grad = embedding::backward(grad, &batch.tokens, &dx.d)?;
            self.params.put_grad(self.embedding, grad);
            if let Some(positions) = self.positions {
                let grad = self.params.take_grad(positions)?;
                let grad = embedding::backward(grad, &pass.positions, &dx.d)?;
                self.params.put_grad(positions, grad);
            }
        }
        Ok(losses)
    }

    /// The loss of one packed batch, without gradients and without dropout.
    pub fn evaluate(&mut self, batch: &Batch) -> Result<LossSum> {
        self.prepare(batch)?;
        let rows = trained_rows(batch);
        let logprobs = self.logprobs_at(batch, &rows, Arm::Tuned)?;
        Ok(LossSum { sum: -logprobs.iter().map(|&l| f64::from(l)).sum::<f64>(), tokens: rows.len() })
    }

    /// `logprobs[i] = ln p(ids[i + 1] | ids[..= i])` in nats, one fewer than there are ids.
    pub fn logprobs(&mut self, ids: &[u32], arm: Arm) -> Result<Vec<f32>> {
        let Some(batch) = all_predicted(ids) else { return Ok(vec![]) };
        self.prepare(&batch)?;
        self.logprobs_at(&batch, &trained_rows(&batch), arm)
    }

    /// As [`Model::logprobs`], with the likeliest other token at each place.
    pub fn scores(&mut self, ids: &[u32], arm: Arm) -> Result<Vec<TokenScore>> {
        let Some(batch) = all_predicted(ids) else { return Ok(vec![]) };
        self.prepare(&batch)?;
        let mut scores = vec![];
        self.each_logits(&batch, &trained_rows(&batch), arm, &mut |logits, targets| {
            let rivals = runner_up::runner_up(logits, targets)?;
            let score = |(logprob, (rival, lead))| TokenScore { logprob, rival, rival_logprob: logprob + lead };
            scores.extend(cross_entropy::logprobs(logits, targets)?.into_iter().zip(rivals).map(score));
            Ok(())
        })?;
        Ok(scores)
    }

    /// All logits of one sequence (T, V) in f32: for tests and small inputs.
    pub fn logits(&mut self, ids: &[u32], arm: Arm) -> Result<Tensor> {
        let n = ids.len();
        self.prepare(&Batch { tokens: ids.to_vec(), targets: ids.to_vec(), weights: vec![1; n], lengths: vec![n] })?;
        let x = self.run(ids, &Pass::sequences(&[n], arm.tuned_from(n), None), &mut None)?;
        let h = self.norm.forward(&self.params, &x, 0)?.0.columns()?;
        Ok(h.matmul(&self.params.value(self.head).t()?)?.to_dtype(DType::F32)?)
    }

    fn logprobs_at(&self, batch: &Batch, rows: &[u32], arm: Arm) -> Result<Vec<f32>> {
        let mut logprobs = Vec::with_capacity(rows.len());
        self.each_logits(batch, rows, arm, &mut |logits, targets| {
            logprobs.extend(cross_entropy::logprobs(logits, targets)?);
            Ok(())
        })?;
        Ok(logprobs)
    }

    /// Gives the logits (N, V) of these rows with their targets, chunk by chunk: they exist for one chunk at a time.
    fn each_logits(&self, batch: &Batch, rows: &[u32], arm: Arm, take: &mut dyn FnMut(&Tensor, &[u32]) -> Result<()>) -> Result<()> {
        let n = batch.tokens.len();
        let x = self.run(&batch.tokens, &Pass::sequences(&batch.lengths, arm.tuned_from(n), None), &mut None)?;
        for rows in rows.chunks(self.rows_a_chunk()) {
            let h = self.norm.forward(&self.params, &self.pick(&x, rows)?, 0)?.0.columns()?;
            let logits = self.head_logits(&h)?.columns()?; // (rows, V)
            let targets: Vec<u32> = rows.iter().map(|&row| batch.targets[row as usize]).collect();
            take(&logits, &targets)?;
        }
        Ok(())
    }

    /// Checks what would otherwise fail deep inside, and makes the rotation tables long enough.
    pub(super) fn prepare(&mut self, batch: &Batch) -> Result<()> {
        let longest = batch.lengths.iter().copied().max().unwrap_or(0);
        let vocab = self.spec.vocab();
        if let Some(id) = batch.tokens.iter().chain(&batch.targets).find(|&&id| id as usize >= vocab) {
            bail!("token id {id} is outside the model's vocabulary of {vocab}; does the tokenizer belong to this model?");
        }
        self.prepare_positions(longest)
    }

    /// Makes the rotation tables at least `positions` long.
    pub(super) fn prepare_positions(&mut self, positions: usize) -> Result<()> {
        let context = self.spec.context();
        if positions > context {
            bail!("a sequence of {positions} tokens is longer than the model's context of {context}");
        }
        if let (Some(rope), Spec::Llama(llama)) = (&self.rope, &self.spec)
            && rope.positions() < positions
        {
            self.rope = Some(Rotations::new(&llama.inverse_frequencies(), positions.next_power_of_two().min(context), self.device())?);
        }
        Ok(())
    }

    /// Embedding and all blocks: ids (N) -> x (N, C) before the last norm.
    pub(super) fn run(&self, tokens: &[u32], pass: &Pass, caches: &mut Option<&mut [LayerCache]>) -> Result<Tensor> {
        let mut x = self.embed(tokens, pass)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let cache = caches.as_mut().map(|caches| &mut caches[i]);
            x = block.forward(&self.params, &x, pass, self.rope.as_ref(), cache)?.0;
        }
        Ok(x)
    }

    /// Logits (rows, V) in f32 of a few rows of x, each independent of the others.
    pub(super) fn few_logits(&self, x: &Tensor) -> Result<Tensor> {
        let h = self.norm.forward(&self.params, x, 0)?.0.columns()?;
        Ok(few_rows(&h, self.params.value(self.head))?.to_dtype(DType::F32)?)
    }

    pub(super) fn caches(&self, rows: usize, capacity: usize) -> Result<Vec<LayerCache>> {
        self.blocks.iter().map(|block| LayerCache::new(rows, capacity, block.heads, self.params.dtype, self.device())).collect()
    }

    fn embed(&self, tokens: &[u32], pass: &Pass) -> Result<Tensor> {
        let x = self.token_rows(&Tensor::new(tokens, self.device())?)?;
        match self.positions {
            None => Ok(x),
            Some(positions) => {
                let places = Tensor::new(&pass.positions[..], self.device())?;
                Ok(super::ops::add::add(embedding::forward(self.params.value(positions), &places)?, &x)?)
            }
        }
    }

    /// ids (N) -> their rows of the embedding (N, C).
    fn token_rows(&self, ids: &Tensor) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if let Some(table) = &self.table {
            use voicetune_kernels::cuda::{embedding::rows, host::Table};
            return Ok(rows(Table::Host(table), ids)?);
        }
        Ok(embedding::forward(self.params.value(self.embedding), ids)?)
    }

    /// Moves an embedding that is neither trained nor the head off a GPU, whose memory training needs more.
    fn free_the_embedding(&mut self) -> Result<()> {
        #[cfg(feature = "cuda")]
        if self.table.is_none()
            && self.device().is_cuda()
            && self.embedding != self.head
            && !self.params.is_trained(self.embedding)
            && let Some(table) = HostTable::new(self.params.value(self.embedding))?
        {
            self.params.widen(self.embedding, table.tensor().clone());
            self.table = Some(table);
        }
        Ok(())
    }

    /// The losses of the trained rows of x (N, C), chunk by chunk, and the gradient of x. Logits exist for one chunk at a time.
    fn loss_backward(&mut self, x: &Tensor, batch: &Batch, rows: &[u32], scale: f64) -> Result<(Vec<Loss>, Tensor)> {
        let mut losses = vec![];
        let mut gradients = vec![];
        for rows in rows.chunks(self.rows_a_chunk()) {
            let (h, saved) = self.norm.forward(&self.params, &self.pick(x, rows)?, 0)?;
            let h = h.columns()?;
            let logits = self.head_logits(&h)?;
            let targets: Vec<u32> = rows.iter().map(|&row| batch.targets[row as usize]).collect();
            let (loss, mut dlogits) = cross_entropy::forward_backward(logits.columns()?, &targets, scale)?;
            losses.push(loss);
            let head = self.params.get(self.head);
            if head.padded.is_some() {
                dlogits = logits.all().clone(); // where the gradient is now; in the columns of the rows of zeros it is zero
            }
            let dh = product::scaled_product(&dlogits, head.whole(), 1.0)?;
            if self.params.is_trained(self.head) {
                self.params.add_grad_product(self.head, &dlogits.t()?, &h, 1.0)?;
            }
            gradients.push(self.norm.backward(&mut self.params, &dh, &saved, None, Want::default())?.0.d);
            self.params.beside.join()?; // or this chunk's logits would be there beside the next one's
        }
        let dx = if gradients.len() == 1 { gradients.remove(0) } else { Tensor::cat(&gradients, 0)? }; // (trained rows, C)
        let dx = if rows.len() == x.dim(0)? {
            dx
        } else {
            let ids = Tensor::new(rows, self.device())?;
            Tensor::zeros(x.shape(), x.dtype(), self.device())?.index_add(&ids, &dx, 0)?
        };
        Ok((losses, dx))
    }

    /// h (rows, C) -> logits (rows, V), with columns behind them for the rows of zeros that the head may have.
    fn head_logits(&self, h: &Tensor) -> Result<Wide> {
        let head = self.params.get(self.head);
        Ok(Wide::new(product::linear(h, head.whole())?, head.value.dim(0)?))
    }

    fn rows_a_chunk(&self) -> usize {
        (logits_at_once(device::place(self.device())) / self.spec.vocab()).max(1)
    }

    /// Rows of x, which rise: a part of x itself if none is left out between them.
    fn pick(&self, x: &Tensor, rows: &[u32]) -> Result<Tensor> {
        match (rows.first(), rows.last()) {
            (Some(&first), Some(&last)) if (last - first) as usize + 1 == rows.len() => Ok(x.narrow(0, first as usize, rows.len())?),
            _ => Ok(x.index_select(&Tensor::new(rows, self.device())?, 0)?),
        }
    }

    /// What each block's forward keeps of this micro-step, and whether the projections' inputs are among it.
    fn plan(&mut self, step: StepKey, batch: &Batch, trained: usize) -> (Plan, bool) {
        let size = MicroStep { tokens: batch.tokens.len(), trained, longest: batch.lengths.iter().copied().max().unwrap_or(0) };
        let needs = memory::Needs {
            spec: &self.spec,
            layout: &self.layout,
            adapter: self.adapter.as_ref().map(|adapter| (adapter.r, &adapter.target_modules[..])),
            size: self.params.dtype.size_in_bytes() as u64,
            place: device::place(self.device()),
            step: size,
        };
        let inputs = needs.keeps_inputs();
        let Some(used) = device::tensor_bytes(self.device()) else { return (needs.plan(step.recompute, None), inputs) };
        let with = |all: u64| memory::room(used, all.saturating_sub(used), step.memory);
        // The driver takes a third of a millisecond to say what is free: it is asked where what it said last would not do twice over.
        if let Some(all) = self.device_memory {
            let plan = needs.plan(step.recompute, Some(with(all) / 2));
            if plan.keeps_all() {
                return (plan, inputs);
            }
        }
        self.device_memory = device::free_bytes(self.device()).map(|free| used + free);
        (needs.plan(step.recompute, self.device_memory.map(with)), inputs)
    }

    /// Writes `model.safetensors` with Hugging Face's names, in f32.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn save_weights(&self, folder: &std::path::Path) -> Result<()> {
        let mut tensors = vec![];
        for id in self.params.ids().take(self.base_params) {
            let param = self.params.get(id);
            tensors.extend(self.params.unstacked(id, &param.exact()?)?);
        }
        super::weights::save(&folder.join("model.safetensors"), &tensors)
    }

    /// Replaces the values of all weights: a resumed run's checkpoint.
    pub fn load_weights(&mut self, source: &Source) -> Result<()> {
        let store = Store::open(source)?;
        for id in self.params.ids().take(self.base_params) {
            let slot = self.params.get(id).slot.clone();
            let value = params::load(&slot, &store, self.layout.optional_prefix, DType::F32, &Device::Cpu)?;
            self.params.set(id, &value)?;
        }
        Ok(())
    }

    /// The trained parameters' gradients by checkpoint name, in f32: for tests.
    pub fn gradients(&self) -> Result<Vec<(String, Tensor)>> {
        let mut out = vec![];
        for id in self.params.trained() {
            let gradient = self.params.get(id).gradient().context("no gradient yet")??.to_dtype(DType::F32)?;
            let gradient = (gradient / self.params.loss_scale.factor())?;
            out.extend(self.params.unstacked(id, &gradient)?);
        }
        Ok(out)
    }
}

/// One sequence of which every token but the first is predicted; `None` where there is nothing to predict.
fn all_predicted(ids: &[u32]) -> Option<Batch> {
    let (targets, n) = (ids.get(1..).filter(|targets| !targets.is_empty())?, ids.len() - 1);
    Some(Batch { tokens: ids[..n].to_vec(), targets: targets.to_vec(), weights: vec![1; n], lengths: vec![n] })
}

fn trained_rows(batch: &Batch) -> Vec<u32> {
    (0..).zip(&batch.weights).filter(|&(_, &weight)| weight != 0).map(|(row, _)| row).collect()
}

fn compute_type(precision: Precision, device: &Device) -> Result<DType> {
    device::check_precision(precision, device::place(device), device::no_bf16(device).as_deref())?;
    match precision {
        Precision::F32 => Ok(DType::F32),
        Precision::Bf16 => Ok(DType::BF16),
        Precision::F16 => Ok(DType::F16),
        Precision::Nf4 => bail!("base_precision nf4 has no type to compute in"),
    }
}
