//! What a model consists of: its tensors by their Hugging Face names, and which of them the engine keeps stacked as one.
//!
//! Projections that read the same input (q, k, v; gate, up) are one matrix here and several in the file. `llama.rs` and `gpt2.rs`
//! write the layouts down; everything else works on [`Layout`] and knows no architecture.

use super::spec::Spec;

/// A tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    pub name: String,
    /// As the engine keeps it: weights are (out, in).
    pub shape: Vec<usize>,
    /// GPT-2's `Conv1D`: the file holds (in, out).
    pub transposed: bool,
    pub init: Init,
}

/// How a model with random weights starts (GPT-2's and Llama's reference initialisation).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    Normal(f64),
    Ones,
    Zeros,
}

/// One or more tensors of the file, stacked along their first dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot(pub Vec<TensorSpec>);

#[derive(Debug, Clone)]
pub struct Linear {
    pub weight: Slot,
    pub bias: Option<Slot>,
}

#[derive(Debug, Clone)]
pub struct Norm {
    pub weight: Slot,
    /// With a bias it is a LayerNorm, without one an RMSNorm.
    pub bias: Option<Slot>,
}

#[derive(Debug, Clone)]
pub struct Block {
    pub norm_1: Norm,
    pub qkv: Linear,
    pub out: Linear,
    pub norm_2: Norm,
    /// Gate and up stacked (SwiGLU), or up alone (GELU).
    pub up: Linear,
    pub down: Linear,
    pub activation: Activation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    SwiGlu,
    Gelu,
}

#[derive(Debug, Clone)]
pub struct Layout {
    pub embedding: Slot,
    /// Learned positions.
    pub positions: Option<Slot>,
    pub blocks: Vec<Block>,
    pub norm: Norm,
    /// `None` where the head is the embedding.
    pub head: Option<Slot>,
    pub norm_eps: f64,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_size: usize,
    /// Tensor names may come with this prefix or without it.
    pub optional_prefix: Option<&'static str>,
}

/// The layout of a model of this shape.
pub fn of(spec: &Spec) -> Layout {
    match spec {
        Spec::Llama(spec) => super::llama::layout(spec),
        Spec::Gpt2(spec) => super::gpt2::layout(spec),
    }
}

impl Block {
    /// The linear layers, in the order of the forward pass.
    pub fn linears(&self) -> [&Linear; 4] {
        [&self.qkv, &self.out, &self.up, &self.down]
    }
}

impl Layout {
    /// All tensors of the checkpoint, in the order of the forward pass.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorSpec> {
        fn linear(linear: &Linear) -> impl Iterator<Item = &Slot> {
            std::iter::once(&linear.weight).chain(&linear.bias)
        }
        fn norm_slots(norm: &Norm) -> impl Iterator<Item = &Slot> {
            std::iter::once(&norm.weight).chain(&norm.bias)
        }
        std::iter::once(&self.embedding)
            .chain(&self.positions)
            .chain(self.blocks.iter().flat_map(|b| {
                norm_slots(&b.norm_1)
                    .chain(linear(&b.qkv))
                    .chain(linear(&b.out))
                    .chain(norm_slots(&b.norm_2))
                    .chain(linear(&b.up))
                    .chain(linear(&b.down))
            }))
            .chain(norm_slots(&self.norm))
            .chain(&self.head)
            .flat_map(|slot| &slot.0)
    }
}

impl Slot {
    /// A single tensor.
    pub fn one(name: impl std::fmt::Display, shape: &[usize], init: Init) -> Self {
        Slot(vec![TensorSpec { name: name.to_string(), shape: shape.to_vec(), transposed: false, init }])
    }

    /// The same tensors, kept in the file as (in, out).
    pub fn transposed(mut self) -> Self {
        self.0.iter_mut().for_each(|tensor| tensor.transposed = true);
        self
    }

    /// Stacked below one another.
    pub fn stack(slots: impl IntoIterator<Item = Slot>) -> Self {
        Slot(slots.into_iter().flat_map(|slot| slot.0).collect())
    }

    /// The shape of the whole.
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = self.0[0].shape.clone();
        shape[0] = self.0.iter().map(|tensor| tensor.shape[0]).sum();
        shape
    }
}
