//! How much memory training takes, before anything is loaded: the weights and what belongs to them exactly, the rest by what the
//! passes keep and make.
//!
//! Both sums are held to measured runs (`tests` below), the GPU's for bf16; f16 takes more there, since its ops are candle's own.

use anyhow::Result;

use super::adapter::{check_targets, targeted};
use super::device::{self, Place};
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

    /// The part that is no estimate.
    pub fn certain(&self) -> u64 {
        self.weights + self.trained + self.moments
    }
}

/// Estimates the peak of training a model by a config.
///
/// # Errors
/// What the engine would refuse at the start: a precision or a state it does not compute in, an adapter for layers that are not there.
pub fn estimate(spec: &Spec, config: &Config, step: MicroStep, place: Place, free: Option<u64>) -> Result<Estimate> {
    device::check_precision(config.base_precision, place)?;
    optim::check_state(config.optimizer.state)?;
    let layout = layout::of(spec);
    let size = match config.base_precision {
        Precision::F32 => 4,
        _ => 2,
    };
    let parameters = spec.parameters();
    let blocks = layout.blocks.len() as u64;
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
        (_, Method::Full) => 4, // the master; the value counts as a weight
        (size, Method::Lora) => size,
    };
    let masters = if config.method == Method::Lora { 4 } else { 0 };
    let weights = parameters * size;
    let adapter = lora.map(|lora| (lora.rank, &lora.targets[..]));
    let kept = |keep| kept(&layout, adapter, step.tokens, keep, place) * size;
    let budget = free.filter(|_| place == Place::Gpu).map(|free| free.saturating_sub(weights) / 10 * 8);
    let keep = keep(config.recompute, budget, kept);
    let residual = step.tokens as u64 * spec.hidden() as u64 * size;
    // A block that runs again keeps everything while it does.
    let again = if keep == Keep::All { 0 } else { (kept(Keep::All) - kept(keep)) / blocks.max(1) };
    let activations = kept(keep) + residual + again;
    // On a GPU, where memory that is given back is used at once, gradients take the place of what they are made from, unless they are
    // there already from an earlier micro-step.
    let takes_turns = place == Place::Gpu && config.accumulate == 1;
    Ok(Estimate {
        weights,
        trained: trainable * (masters + copies + GRADIENT),
        moments: trainable * 8,
        activations: if takes_turns { activations.saturating_sub(trainable * GRADIENT) } else { activations },
        working: working(spec, &layout, step, size, place, config.method),
        program: if place == Place::Cpu { PROGRAM } else { CUDA },
        trainable,
    })
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

/// What to keep, where `bytes` says how much each choice takes: without a word from the config the most that `budget` holds.
pub(super) fn keep(recompute: Recompute, budget: Option<u64>, bytes: impl Fn(Keep) -> u64) -> Keep {
    match (recompute, budget) {
        (Recompute::None, _) | (Recompute::Auto, None) => Keep::All,
        (Recompute::Mlp, _) => Keep::Attention,
        (Recompute::Block, _) => Keep::Input,
        (Recompute::Auto, Some(budget)) => {
            [Keep::All, Keep::Attention].into_iter().find(|&keep| bytes(keep) <= budget).unwrap_or(Keep::Input)
        }
    }
}

/// What the blocks' forward keeps of `tokens` tokens for backward, in elements. `adapter`: rank and targets.
///
/// On the CPU: x, its norm, q/k/v, attention and its log-sum-exps, the middle, its norm, what the activation takes and gives, the
/// adapters' narrow products. A GPU makes the norms and what the activation gives again, and its figures in f32 are two elements each.
pub(super) fn kept(layout: &Layout, adapter: Option<(usize, &[String])>, tokens: usize, keep: Keep, place: Place) -> u64 {
    let Some(block) = layout.blocks.first() else { return 0 };
    let narrow = |linear| adapter.map_or(0, |(rank, targets)| (targeted(linear, targets).count() * rank) as u64);
    let [qkv, out, up, down] = block.linears().map(narrow);
    let (s, heads) = (Sizes::of(layout), layout.heads as u64);
    let (first, second) = match place {
        Place::Cpu => (3 * s.hidden + s.qkv + s.heads + heads + 4 + qkv + out, s.hidden + s.up + s.inner + up + down),
        Place::Gpu => (2 * s.hidden + s.qkv + s.heads + 2 * heads + 8 + qkv + 2 * out, s.up + up + down),
    };
    let a_token = match keep {
        Keep::All => first + second,
        Keep::Attention => first,
        Keep::Input => s.hidden,
    };
    a_token * tokens as u64 * layout.blocks.len() as u64
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

/// The larger of what the loss and what a block's backward pass need for themselves.
fn working(spec: &Spec, layout: &Layout, step: MicroStep, size: u64, place: Place, method: Method) -> u64 {
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
            let head = if method == Method::Full { 0 } else { n * s.hidden };
            size * (rows * vocab + narrow + head).max(mlp.max(attention))
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

    fn estimate_of(shape: &str, config: &str, [tokens, trained, longest]: [usize; 3], place: Place) -> Estimate {
        let text = format!("model: pocket:x\nformat: plain\n{config}");
        let config = config::parse(Path::new("c.yaml"), &text).unwrap();
        estimate(&Spec::named(shape).unwrap(), &config, MicroStep { tokens, trained, longest }, place, None).unwrap()
    }

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
            let gib = (estimate.total() - estimate.program) as f64 / f64::from(1 << 30);
            let off = gib / measured - 1.0;
            assert!(off.abs() < 0.05, "{shape} {config} {step:?}: {gib:.2} GiB, measured {measured} ({:+.1} %)", off * 100.0);
        };
        let lora = "method: lora\nbase_precision: bf16\n";
        check("llama-3.1-8b", lora, [2048, 2048, 2048], 21.65);
        check("llama-3.1-8b", lora, [8192, 8192, 2048], 39.06);
        check("llama-3.1-8b", lora, [8192, 8192, 8192], 39.06);
        check("llama-3.1-8b", &format!("{lora}recompute: mlp\n"), [8192, 8192, 8192], 25.43);
        check("gpt2-xl", "method: full\nbase_precision: bf16\n", [4096, 4096, 1024], 26.81);
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
            let estimate = estimate(&spec, &config, MicroStep::default(), Place::Cpu, None).unwrap();
            assert_eq!(estimate.trainable, model.trainable_parameters(), "{shape}");
        }
    }

    #[test]
    fn the_primary_models_take_what_their_types_say() {
        const GIB: u64 = 1 << 30;
        let llama = estimate_of("llama-3.1-8b", "method: lora\nbase_precision: bf16\n", [2047, 2000, 2047], Place::Gpu);
        assert_eq!((llama.weights, llama.trainable), (2 * 8_030_261_248, 41_943_040));
        assert!((18 * GIB..40 * GIB).contains(&llama.total()), "{llama:?}");
        let gpt2 = estimate_of("gpt2-xl", "method: full\nbase_precision: f32\n", [1023, 1000, 1023], Place::Gpu);
        assert_eq!(gpt2.certain(), 16 * 1_557_611_200); // value, gradient, two moments
    }

    #[test]
    fn what_the_engine_refuses_is_refused_here() {
        let check = |more: &str, expected: &str| {
            let config = config::parse(Path::new("c.yaml"), &format!("model: x\nformat: plain\n{more}")).unwrap();
            let spec = Spec::named("pocket-llama").unwrap();
            let message = estimate(&spec, &config, MicroStep::default(), Place::Cpu, None).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check("method: lora\nbase_precision: nf4\n", "nf4 is not built yet");
        check("method: lora\nbase_precision: bf16\n", "on the CPU the engine computes in f32 only");
        check(&format!("{FULL}optimizer: {{ state: int8 }}\n"), "int8 is not built yet");
        check(&format!("{LORA}lora: {{ targets: [c_attn] }}\n"), "lora target `c_attn` is no layer of this model");
    }
}
