//! The layout of GPT2LMHeadModel: LayerNorm before each part, learned positions, GELU, a head tied to the embedding.

use super::layout::{Activation, Block, Init, Layout, Linear, Norm, Slot};
use super::spec::Gpt2;

/// Hugging Face's names and shapes. Linear layers are `Conv1D` there: (in, out) in the file.
pub fn layout(spec: &Gpt2) -> Layout {
    let norm = |name: String| Norm {
        weight: Slot::one(format_args!("{name}.weight"), &[spec.hidden], Init::Ones),
        bias: Some(Slot::one(format_args!("{name}.bias"), &[spec.hidden], Init::Zeros)),
    };
    let linear = |name: String, out: usize, input: usize, std: f64| Linear {
        weight: Slot::one(format_args!("{name}.weight"), &[out, input], Init::Normal(std)).transposed(),
        bias: Some(Slot::one(format_args!("{name}.bias"), &[out], Init::Zeros)),
    };
    // GPT-2 scales what is added to the residual stream by the number of additions (Radford et al. 2019, section 2.3).
    let residual = 0.02 / (2.0 * spec.layers as f64).sqrt();
    let block = |i: usize| Block {
        norm_1: norm(format!("transformer.h.{i}.ln_1")),
        qkv: linear(format!("transformer.h.{i}.attn.c_attn"), 3 * spec.hidden, spec.hidden, 0.02),
        out: linear(format!("transformer.h.{i}.attn.c_proj"), spec.hidden, spec.hidden, residual),
        norm_2: norm(format!("transformer.h.{i}.ln_2")),
        up: linear(format!("transformer.h.{i}.mlp.c_fc"), spec.intermediate, spec.hidden, 0.02),
        down: linear(format!("transformer.h.{i}.mlp.c_proj"), spec.hidden, spec.intermediate, residual),
        activation: Activation::Gelu,
    };
    Layout {
        embedding: Slot::one("transformer.wte.weight", &[spec.vocab, spec.hidden], Init::Normal(0.02)),
        positions: Some(Slot::one("transformer.wpe.weight", &[spec.context, spec.hidden], Init::Normal(0.01))),
        blocks: (0..spec.layers).map(block).collect(),
        norm: norm("transformer.ln_f".into()),
        head: None,
        norm_eps: spec.norm_eps,
        heads: spec.heads,
        kv_heads: spec.heads,
        head_size: spec.hidden / spec.heads,
        optional_prefix: Some("transformer."),
    }
}
