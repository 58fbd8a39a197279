//! The layout of LlamaForCausalLM: RMSNorm, rotary positions, grouped heads, SwiGLU.

use super::layout::{Activation, Block, Init, Layout, Linear, Norm, Slot};
use super::spec::Llama;

/// Hugging Face's names and shapes.
pub fn layout(spec: &Llama) -> Layout {
    let normal = Init::Normal(0.02);
    let norm = |name: String| Norm { weight: Slot::one(name + ".weight", &[spec.hidden], Init::Ones), bias: None };
    let linear = |module: &str, names: &[(&str, usize)], input: usize, bias: bool| Linear {
        weight: Slot::stack(names.iter().map(|(name, out)| Slot::one(format_args!("{module}.{name}.weight"), &[*out, input], normal))),
        bias: bias
            .then(|| Slot::stack(names.iter().map(|(name, out)| Slot::one(format_args!("{module}.{name}.bias"), &[*out], Init::Zeros)))),
    };
    let (queries, kv) = (spec.heads * spec.head_size, spec.kv_heads * spec.head_size);
    let block = |i: usize| {
        let (attention, mlp) = (format!("model.layers.{i}.self_attn"), format!("model.layers.{i}.mlp"));
        Block {
            norm_1: norm(format!("model.layers.{i}.input_layernorm")),
            qkv: linear(&attention, &[("q_proj", queries), ("k_proj", kv), ("v_proj", kv)], spec.hidden, spec.attention_bias),
            out: linear(&attention, &[("o_proj", spec.hidden)], queries, spec.attention_bias),
            norm_2: norm(format!("model.layers.{i}.post_attention_layernorm")),
            up: linear(&mlp, &[("gate_proj", spec.intermediate), ("up_proj", spec.intermediate)], spec.hidden, spec.mlp_bias),
            down: linear(&mlp, &[("down_proj", spec.hidden)], spec.intermediate, spec.mlp_bias),
            activation: Activation::SwiGlu,
        }
    };
    Layout {
        embedding: Slot::one("model.embed_tokens.weight", &[spec.vocab, spec.hidden], normal),
        positions: None,
        blocks: (0..spec.layers).map(block).collect(),
        norm: norm("model.norm".into()),
        head: (!spec.tied).then(|| Slot::one("lm_head.weight", &[spec.vocab, spec.hidden], normal)),
        norm_eps: spec.norm_eps,
        heads: spec.heads,
        kv_heads: spec.kv_heads,
        head_size: spec.head_size,
        optional_prefix: None,
    }
}
