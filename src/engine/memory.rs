//! How much memory training takes, before anything is loaded: the weights and what belongs to them exactly, the rest by what the
//! passes keep and make.
//!
//! Both sums are held to measured runs (`tests` below).

use anyhow::Result;
use voicetune_kernels::lines::stride;

use super::adapter::{check_targets, targeted};
use super::device::{self, Place, Survey};
use super::layout::{self, Activation, Layout};
use super::model::logits_at_once;
use super::optim;
use super::spec::Spec;
use crate::config::{Config, Lora, Method, Precision, Recompute};

/// What the program takes beside the model on the CPU: code, tokenizer, the allocator's slack. Measured.
const PROGRAM: u64 = 45 << 20;
/// What CUDA and its libraries take of a card.
const CUDA: u64 = 600 << 20;
/// Bytes of a weight's gradient, which is f32.
const GRADIENT: u64 = 4;
/// Queries that the fused attention takes at one time.
const QUERIES: u64 = 64;

/// The largest micro-step of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MicroStep {
    /// Tokens that go through the model.
    pub tokens: usize,
    /// Of these, the ones that carry loss.
    pub trained: usize,
    /// Tokens of the longest example.
    pub longest: usize,
}

/// Bytes at the peak of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    pub weights: u64,
    /// Masters and gradients of what is trained, and its values where they are not the masters.
    pub trained: u64,
    /// The optimiser's moments.
    pub moments: u64,
    /// What the forward pass keeps for the backward pass.
    pub activations: u64,
    /// What comes and goes: logits, or one block's gradients.
    pub working: u64,
    /// Beside the model.
    pub program: u64,
    /// How many numbers training changes.
    pub trainable: u64,
}

impl Estimate {
    pub fn total(&self) -> u64 {
        self.certain() + self.activations + self.working + self.program
    }

    /// What tensors take: all but what is beside the model.
    pub fn tensors(&self) -> u64 {
        self.total() - self.program
    }

    /// The part that is no estimate.
    pub fn certain(&self) -> u64 {
        self.weights + self.trained + self.moments
    }
}

/// Estimates the peak of training a model by a config, on a device with so much memory free.
///
/// # Errors
/// What the engine would refuse at the start: a precision or a state it does not compute in, an adapter for layers that are not there.
pub fn estimate(spec: &Spec, config: &Config, step: MicroStep, device: &Survey) -> Result<Estimate> {
    let place = device.place;
    device::check_precision(config.base_precision, place, device.no_bf16.as_deref())?;
    optim::check_state(config.optimizer.state)?;
    let layout = layout::of(spec);
    let size = match config.base_precision {
        Precision::F32 => 4,
        _ => 2,
    };
    let parameters = spec.parameters();
    let lora = (config.method == Method::Lora).then_some(&config.lora);
    let trainable = match lora {
        None => parameters,
        Some(lora) => {
            check_targets(&layout, &lora.targets)?;
            adapter_parameters(&layout, lora)
        }
    };
    let copies = match (size, config.method) {
        (4, _) => 0,
        // The value counts as a weight. In bf16 on a GPU it is half of the master.
        (_, Method::Full) if place == Place::Gpu && config.base_precision == Precision::Bf16 => 2,
        (_, Method::Full) => 4,
        (size, Method::Lora) => size,
    };
    let masters = if config.method == Method::Lora { 4 } else { 0 };
    // A frozen embedding that is not the head too goes to the host's memory (see `host_table`).
    let moved = place == Place::Gpu && lora.is_some() && layout.head.is_some();
    let embedding: usize = layout.embedding.shape().iter().product();
    let weights = (parameters - if moved { embedding as u64 } else { 0 }) * size;
    let moments = trainable * 8;
    let gradient = if rounds_gradients(place, config) { 2 } else { GRADIENT };
    let needs = Needs { spec, layout: &layout, adapter: lora.map(|lora| (lora.rank, &lora.targets[..])), size, place, step };
    let (trained, gradients) = (trainable * (masters + copies), trainable * gradient);
    // On a GPU, where memory that is given back is used at once, gradients take the place of what they are made from, unless they are
    // there already from an earlier micro-step.
    let takes_turns = place == Place::Gpu && config.accumulate == 1;
    let used = weights + trained + moments + if takes_turns { 0 } else { gradients };
    let room = match place {
        Place::Cpu => None,
        Place::Gpu => device.free.map(|free| room(used, free.saturating_sub(used), config.memory_limit.bytes())),
    };
    let activations = needs.activations(&needs.plan(config.recompute, room));
    Ok(Estimate {
        weights,
        trained: trained + gradients,
        moments,
        activations: if takes_turns { activations.saturating_sub(gradients) } else { activations },
        working: needs.working(),
        program: if place == Place::Cpu { PROGRAM } else { CUDA },
        trainable,
    })
}

/// Whether gradients of whole matrices are kept in bf16 (see `params`).
fn rounds_gradients(place: Place, config: &Config) -> bool {
    place == Place::Gpu && config.accumulate == 1 && config.method == Method::Full && config.base_precision == Precision::Bf16
}

/// What activations may take of a device of which tensors have `used` bytes and `free` ones are left: 80 % of these, or what a limit
/// on all tensors leaves.
pub(super) fn room(used: u64, free: u64, limit: Option<u64>) -> u64 {
    let most = free / 10 * 8;
    limit.map_or(most, |limit| limit.saturating_sub(used).min(most))
}

/// What a block's forward keeps until its backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    All,
    /// All but what its second half makes.
    Attention,
    /// What it took.
    Input,
}

/// What each block keeps: the last ones, whose backward comes first, more than the others. So their memory is free again when the
/// first one runs once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    blocks: usize,
    /// How many of the last blocks keep `more`.
    last: usize,
    more: Keep,
    rest: Keep,
}

impl Plan {
    fn all(blocks: usize, keep: Keep) -> Self {
        Plan { blocks, last: blocks, more: keep, rest: keep }
    }

    pub(super) fn keeps_all(&self) -> bool {
        self.more == Keep::All && self.last == self.blocks
    }

    pub(super) fn of_block(&self, block: usize) -> Keep {
        if block + self.last >= self.blocks { self.more } else { self.rest }
    }
}

/// What decides on the memory of a micro-step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs<'a> {
    pub spec: &'a Spec,
    pub layout: &'a Layout,
    /// Rank and targets; `None` where all weights are trained.
    pub adapter: Option<(usize, &'a [String])>,
    /// Bytes of an element.
    pub size: u64,
    pub place: Place,
    pub step: MicroStep,
}

impl Needs<'_> {
    /// Whether blocks keep what norms and activation gave. On a GPU these are made again in passes that backward makes anyway, for one part
    /// in a hundred of a step: worth it for adapters, which are trained where memory is short. Made again they may differ from forward's in
    /// the last bit, so this must not depend on what happens to be free.
    pub(super) fn keeps_inputs(&self) -> bool {
        self.place == Place::Cpu || self.adapter.is_none()
    }

    /// What to keep: without a word from the config the most that `room` holds.
    pub(super) fn plan(&self, recompute: Recompute, room: Option<u64>) -> Plan {
        let blocks = self.layout.blocks.len();
        let room = match (recompute, room) {
            (Recompute::None, _) | (Recompute::Auto, None) => return Plan::all(blocks, Keep::All),
            (Recompute::Mlp, _) => return Plan::all(blocks, Keep::Attention),
            (Recompute::Block, _) => return Plan::all(blocks, Keep::Input),
            (Recompute::Auto, Some(room)) => room,
        };
        let choices = [(Keep::All, Keep::Attention), (Keep::Attention, Keep::Input)]
            .into_iter()
            .flat_map(|(more, rest)| (1..=blocks).rev().map(move |last| Plan { blocks, last, more, rest }));
        let working = self.working();
        choices.into_iter().find(|plan| self.activations(plan) + working <= room).unwrap_or(Plan::all(blocks, Keep::Input))
    }

    /// Bytes that the forward pass keeps, with the residual stream and what blocks make again.
    fn activations(&self, plan: &Plan) -> u64 {
        let a_block = |keep| self.kept(keep);
        let (last, rest) = (plan.last as u64, (plan.blocks - plan.last) as u64);
        let again = |keep| a_block(Keep::All) - a_block(keep);
        let of_last = last * a_block(plan.more);
        let again = if rest == 0 { again(plan.more) } else { again(plan.more).max(again(plan.rest).saturating_sub(of_last)) };
        let residual = self.step.tokens as u64 * self.spec.hidden() as u64 * self.size;
        of_last + rest * a_block(plan.rest) + residual + again
    }

    /// Bytes that a block's forward keeps for backward.
    ///
    /// On the CPU: x, its norm, q/k/v, attention and its log-sum-exps, the middle, its norm, what the activation takes and gives, the
    /// adapters' narrow products. On a GPU figures in f32 are two elements each.
    fn kept(&self, keep: Keep) -> u64 {
        let Some(block) = self.layout.blocks.first() else { return 0 };
        let narrow = |linear| self.adapter.map_or(0, |(rank, targets)| (targeted(linear, targets).count() * rank) as u64);
        let [qkv, out, up, down] = block.linears().map(narrow);
        let (s, heads) = (Sizes::of(self.layout), self.layout.heads as u64);
        let (first, second) = match self.place {
            Place::Cpu => (3 * s.hidden + s.qkv + s.heads + heads + 4 + qkv + out, s.hidden + s.up + s.inner + up + down),
            Place::Gpu => {
                let attended = stride((s.heads + out) as usize, self.size as usize) as u64;
                let (first, second) = (2 * s.hidden + s.qkv + attended + 2 * heads + 8 + qkv + out, s.up + up + down);
                if self.keeps_inputs() { (first + s.hidden, second + s.hidden + s.inner) } else { (first, second) }
            }
        };
        let a_token = match keep {
            Keep::All => first + second,
            Keep::Attention => first,
            Keep::Input => s.hidden,
        };
        a_token * self.step.tokens as u64 * self.size
    }

    /// The larger of what the loss and what a block's backward pass need for themselves.
    fn working(&self) -> u64 {
        let Needs { spec, layout, size, place, step, .. } = *self;
        let (n, vocab) = (step.tokens as u64, spec.vocab() as u64);
        let rows = (step.trained as u64).min((logits_at_once(place) as u64 / vocab).max(1));
        let s = Sizes::of(layout);
        let narrow = rows * s.hidden * 4 + n * s.hidden * 2;
        let queries = (layout.heads * layout.head_size) as u64;
        match place {
            Place::Cpu => {
                let gradients = n * (5 * s.hidden + s.heads + s.qkv + s.up + s.inner);
                let heads = layout.heads * step.tokens.div_ceil(step.longest.max(1));
                let at_once = rayon::current_num_threads().min(heads) as u64;
                let attention = 3 * n * queries + 2 * at_once * QUERIES * step.longest as u64;
                4 * (rows * vocab + narrow).max(gradients + attention)
            }
            Place::Gpu => {
                // The gradients of what goes into the activation, of what comes out of it, and that once more; the block's own.
                let mlp = n * (s.up + 2 * s.inner + 2 * s.hidden);
                let parts = if layout.kv_heads < layout.heads { 4 * n * queries } else { 0 }; // f32
                let attention = n * (3 * s.hidden + s.heads + 2 * s.qkv + 4 * layout.heads as u64) + parts;
                let head = if self.adapter.is_none() { 0 } else { n * s.hidden };
                size * (rows * vocab + narrow + head).max(mlp.max(attention))
            }
        }
    }
}

/// Widths of a block, in elements a token.
struct Sizes {
    hidden: u64,
    qkv: u64,
    heads: u64,
    /// Before the activation.
    up: u64,
    /// After it.
    inner: u64,
}

impl Sizes {
    fn of(layout: &Layout) -> Sizes {
        let heads = (layout.heads * layout.head_size) as u64;
        let up = layout.blocks.first().map_or(0, |block| block.up.weight.shape()[0] as u64);
        let gated = layout.blocks.first().is_some_and(|block| block.activation == Activation::SwiGlu);
        Sizes {
            hidden: layout.embedding.shape()[1] as u64,
            qkv: heads + 2 * (layout.kv_heads * layout.head_size) as u64,
            heads,
            up,
            inner: if gated { up / 2 } else { up },
        }
    }
}

fn adapter_parameters(layout: &Layout, lora: &Lora) -> u64 {
    let linears = layout.blocks.iter().flat_map(layout::Block::linears);
    let layers = linears.flat_map(|linear| targeted(linear, &lora.targets));
    layers.map(|weight| (lora.rank * (weight.shape[0] + weight.shape[1])) as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn on(place: Place, free: Option<u64>) -> Survey {
        Survey { words: String::new(), place, free, no_bf16: None }
    }

    fn estimate_of(shape: &str, config: &str, step: [usize; 3], place: Place) -> Estimate {
        estimate_within(shape, config, step, place, None)
    }

    fn estimate_within(shape: &str, config: &str, [tokens, trained, longest]: [usize; 3], place: Place, free: Option<u64>) -> Estimate {
        let text = format!("model: pocket:x\nformat: plain\n{config}");
        let config = config::parse(Path::new("c.yaml"), &text).unwrap();
        estimate(&Spec::named(shape).unwrap(), &config, MicroStep { tokens, trained, longest }, &on(place, free)).unwrap()
    }

    const GIB: u64 = 1 << 30;
    const LORA: &str = "method: lora\nbase_precision: f32\n";
    const FULL: &str = "method: full\nbase_precision: f32\n";

    /// Peak resident sizes of release builds on two threads, sample pairs, without canaries (`ru_maxrss`, MiB).
    #[test]
    fn measured_runs_are_estimated_within_a_fifth() {
        let check = |shape: &str, config: &str, step: [usize; 3], measured: f64| {
            let mib = estimate_of(shape, config, step, Place::Cpu).total() as f64 / f64::from(1 << 20);
            let off = mib / measured - 1.0;
            println!("{shape} {} {}: {mib:.0} MiB of {measured} ({:+.1} %)", config.replace('\n', ", "), step[0], off * 100.0);
            assert!(off.abs() < 0.2, "{shape} {config} {step:?}: {mib:.0} MiB, measured {measured}");
        };
        check("pocket-llama", LORA, [1022, 980, 1022], 153.4);
        check("pocket-llama", LORA, [2031, 1826, 2031], 226.2);
        check("pocket-llama", LORA, [3952, 1826, 3952], 417.2);
        check("pocket-llama", LORA, [3900, 3500, 1022], 384.8); // four a batch
        check("pocket-llama", &format!("{LORA}recompute: block\n"), [3952, 1826, 3952], 201.0);
        check("pocket-llama", FULL, [3952, 1826, 3952], 434.3);
        check("pocket-gpt2", FULL, [508, 468, 508], 144.1);
        check("pocket-gpt2", FULL, [1023, 980, 1023], 198.5);
        check("pocket-gpt2", FULL, [3900, 3500, 1023], 433.7); // four a batch
        check("pocket-gpt2", &format!("{LORA}lora: {{ targets: [c_attn, c_proj, c_fc] }}\n"), [1023, 980, 1023], 146.1);
    }

    /// The most that tensors held in `voicetune bench train` on an H200 (GiB), all positions trained.
    #[test]
    fn measured_gpu_runs_are_estimated_within_a_twentieth() {
        let check = |shape: &str, config: &str, step: [usize; 3], measured: f64| {
            let estimate = estimate_of(shape, config, step, Place::Gpu);
            let gib = estimate.tensors() as f64 / GIB as f64;
            let off = gib / measured - 1.0;
            assert!(off.abs() < 0.05, "{shape} {config} {step:?}: {gib:.2} GiB, measured {measured} ({:+.1} %)", off * 100.0);
        };
        let lora = "method: lora\nbase_precision: bf16\n";
        check("llama-3.1-8b", lora, [2048, 2048, 2048], 20.66);
        check("llama-3.1-8b", lora, [8192, 8192, 2048], 38.22);
        check("llama-3.1-8b", lora, [8192, 8192, 8192], 38.23);
        check("gpt2-xl", "method: full\nbase_precision: bf16\n", [4096, 4096, 1024], 27.42);
        // On an H100.
        check("llama-3.1-8b", "method: lora\nbase_precision: f16\n", [2048, 2048, 2048], 20.66);
        check("gpt2-xl", "method: full\nbase_precision: f16\n", [4096, 4096, 1024], 30.32);
    }

    /// `voicetune bench train --shape llama-3.1-8b --precision bf16 --batch 1 --seq 8192 --memory 26` took 25.08 GiB.
    #[test]
    fn a_limit_is_kept_and_used() {
        let spec = Spec::named("llama-3.1-8b").unwrap();
        let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"].map(String::from);
        let layout = layout::of(&spec);
        let step = MicroStep { tokens: 8192, trained: 8192, longest: 8192 };
        let needs = Needs { spec: &spec, layout: &layout, adapter: Some((16, &targets)), size: 2, place: Place::Gpu, step };
        // Weights but for the embedding, and masters, values and moments of 42 million numbers.
        let used = 2 * (8_030_261_248 - 128_256 * 4096) + 41_943_040 * 14;
        let taken = |plan: &Plan| used + needs.activations(plan) + needs.working();
        let within = |limit: u64| needs.plan(Recompute::Auto, Some(room(used, 120 * GIB, Some(limit))));
        let plan = within(26 * GIB);
        assert!((0.95..1.05).contains(&(taken(&plan) as f64 / GIB as f64 / 25.08)), "{plan:?}: {}", taken(&plan));
        assert!(taken(&plan) <= 26 * GIB && taken(&Plan { last: plan.last + 1, ..plan }) > 26 * GIB, "{plan:?}");
        assert_eq!((plan.of_block(31), plan.of_block(0)), (Keep::All, Keep::Attention));
        assert!(within(100 * GIB).keeps_all());
        let plan = within(20 * GIB);
        assert_eq!((plan.of_block(31), plan.of_block(0)), (Keep::Attention, Keep::Input));
        assert_eq!(within(1), Plan::all(32, Keep::Input)); // too little for anything is for the device to say
        assert_eq!(needs.plan(Recompute::Mlp, Some(1)), Plan::all(32, Keep::Attention));
    }

    #[test]
    fn an_estimate_goes_by_the_configs_limit() {
        let of = |shape: &str, config: &str, step: [usize; 3], free: u64| {
            let config = format!("base_precision: bf16\n{config}");
            estimate_within(shape, &config, step, Place::Gpu, Some(free * GIB)).tensors() as f64 / GIB as f64
        };
        let llama = |more: &str, free: u64| of("llama-3.1-8b", &format!("method: lora\n{more}"), [8192; 3], free);
        let (all, least) = (llama("", 140), llama("recompute: block\n", 140));
        assert!(all > 37.0 && least < 21.0, "{all} {least}");
        let check = |more: &str, free: u64, expected: std::ops::RangeInclusive<f64>| {
            let taken = llama(more, free);
            assert!(expected.contains(&taken), "{more} of {free}: {taken}");
        };
        check("memory_limit: 26\n", 140, 24.5..=26.0);
        check("memory_limit: 26.5\naccumulate: 8\n", 140, 25.0..=26.5);
        check("memory_limit: 100\n", 140, all..=all);
        check("memory_limit: 5\n", 140, least..=least);
        check("memory_limit: 100\n", 30, least..=30.0); // what is free is a limit too
        // Where gradients come on top of one another, the estimate says so, and no choice would help.
        let gpt2 = |more: &str| of("gpt2-xl", &format!("method: full\n{more}"), [1024; 3], 140);
        assert_eq!(gpt2("memory_limit: 18\n"), gpt2("recompute: block\n"));
    }

    #[test]
    fn trainable_numbers_are_those_of_the_model() {
        use crate::engine::Model;
        for (shape, targets) in [("pocket-llama", "q_proj, down_proj"), ("pocket-gpt2", "c_attn, c_proj")] {
            let spec = Spec::named(shape).unwrap();
            let mut model = Model::random(&spec, &candle_core::Device::Cpu, Precision::F32, 1).unwrap();
            let text = format!("model: x\nformat: plain\n{LORA}lora: {{ rank: 3, targets: [{targets}] }}\n");
            let config = config::parse(Path::new("c.yaml"), &text).unwrap();
            model.add_lora(&config.lora, 1).unwrap();
            let estimate = estimate(&spec, &config, MicroStep::default(), &on(Place::Cpu, None)).unwrap();
            assert_eq!(estimate.trainable, model.trainable_parameters(), "{shape}");
        }
    }

    #[test]
    fn the_primary_models_take_what_their_types_say() {
        let llama = estimate_of("llama-3.1-8b", "method: lora\nbase_precision: bf16\n", [2047, 2000, 2047], Place::Gpu);
        assert_eq!((llama.weights, llama.trainable), (2 * (8_030_261_248 - 128_256 * 4096), 41_943_040)); // the embedding is the host's
        assert!((18 * GIB..40 * GIB).contains(&llama.total()), "{llama:?}");
        let gpt2 = estimate_of("gpt2-xl", "method: full\nbase_precision: f32\n", [1023, 1000, 1023], Place::Gpu);
        assert_eq!(gpt2.certain(), 16 * 1_557_611_200); // value, gradient, two moments
    }

    #[test]
    fn what_the_engine_refuses_is_refused_here() {
        let refused = |more: &str, device: &Survey, expected: &str| {
            let config = config::parse(Path::new("c.yaml"), &format!("model: x\nformat: plain\n{more}")).unwrap();
            let spec = Spec::named("pocket-llama").unwrap();
            let message = estimate(&spec, &config, MicroStep::default(), device).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        let check = |more: &str, expected: &str| refused(more, &on(Place::Cpu, None), expected);
        check("method: lora\nbase_precision: nf4\n", "nf4 is not built yet");
        check("method: lora\nbase_precision: bf16\n", "on the CPU the engine computes in f32 only");
        check(&format!("{FULL}optimizer: {{ state: int8 }}\n"), "int8 is not built yet");
        check(&format!("{LORA}lora: {{ targets: [c_attn] }}\n"), "lora target `c_attn` is no layer of this model");
        let old = Survey { no_bf16: Some("this card is too old".into()), ..on(Place::Gpu, None) };
        refused("method: lora\nbase_precision: bf16\n", &old, "this card is too old; set base_precision: f16");
        let config = config::parse(Path::new("c.yaml"), "model: x\nformat: plain\nmethod: lora\nbase_precision: f16\n").unwrap();
        assert!(estimate(&Spec::named("pocket-llama").unwrap(), &config, MicroStep::default(), &old).is_ok());
    }
}
