//! A transformer block, pre-norm: `x + attention(norm(x))`, then `+ mlp(norm(.))`, with an explicit backward.

use anyhow::Result;
use candle_core::Tensor;

use super::cache::LayerCache;
use super::gradient::{Gradient, Parts};
use super::layout::Activation;
use super::norm::{self, Norm, Want};
use super::ops::attention::{self, Heads};
use super::ops::rope::{Rotations, Turn};
use super::ops::{gelu, swiglu};
use super::params::Params;
use super::pass::Pass;
use super::projection::Projection;
use super::wide::Wide;

#[derive(Debug)]
pub struct Block {
    pub norm_1: Norm,
    pub qkv: Projection,
    pub out: Projection,
    pub norm_2: Norm,
    pub up: Projection,
    pub down: Projection,
    pub activation: Activation,
    pub heads: Heads,
}

/// What backward needs of a block's forward.
#[derive(Debug)]
pub struct Saved {
    norm_1: norm::Saved,
    qkv: Input,
    /// After the rotation: (N, stride).
    rotated: Tensor,
    attended: Wide,
    lse: Tensor,
    /// The adapter's narrow product of `attended`.
    out_h: Option<Tensor>,
    norm_2: norm::Saved,
    /// `None` where backward makes it again.
    mlp: Option<SavedMlp>,
}

#[derive(Debug)]
struct SavedMlp {
    up: Input,
    /// Before the activation: (N, 2I) or (N, I).
    raised: Tensor,
    down: Input,
}

/// What a projection's backward needs of its input.
#[derive(Debug)]
struct Input {
    /// (N, in); without it backward makes it again, which on a GPU costs one write beside passes that it makes anyway.
    x: Option<Tensor>,
    /// The adapter's narrow product (N, layers R).
    h: Option<Tensor>,
}

impl Input {
    fn of(x: &Wide, h: Option<Tensor>) -> Result<Self> {
        // A copy: in x's room it would keep all of x.
        let h = h.map(|h| if h.is_contiguous() { Ok(h) } else { h.contiguous() }).transpose()?;
        Ok(Input { x: Some(x.columns()?), h })
    }

    fn without_x(self) -> Self {
        Input { x: None, ..self }
    }

    fn is_gone(&self) -> bool {
        self.x.is_none()
    }

    /// x, or what backward made `again` of it.
    fn or(&self, again: Option<Tensor>) -> Result<Tensor> {
        self.x.clone().or(again).ok_or_else(|| anyhow::anyhow!("a projection's input was neither kept nor made again"))
    }
}

impl SavedMlp {
    /// As [`Saved::without_inputs`].
    fn without_inputs(self) -> Self {
        SavedMlp { up: self.up.without_x(), down: self.down.without_x(), ..self }
    }
}

impl Saved {
    /// Forgets what norms and activation gave, which [`Block::backward`] makes again: on a GPU beside the gradients.
    pub fn without_inputs(self) -> Self {
        Saved { qkv: self.qkv.without_x(), mlp: self.mlp.map(SavedMlp::without_inputs), ..self }
    }

    /// Forgets what [`Block::backward`] can make again from the rest: the second half, up to its last product.
    pub fn without_mlp(self) -> Self {
        Saved { mlp: None, ..self }
    }
}

impl Block {
    /// x (N, C) -> y (N, C)
    pub fn forward(
        &self,
        params: &Params,
        x: &Tensor,
        pass: &Pass,
        rope: Option<&Rotations>,
        cache: Option<&mut LayerCache>,
    ) -> Result<(Tensor, Saved)> {
        let (normed, norm_1) = self.norm_1.forward(params, x, self.qkv.room(pass))?;
        let h = self.qkv.narrow(params, &normed, pass)?;
        let mut rotated = self.qkv.product(params, &normed, h.as_ref(), pass, None)?;
        let qkv = Input::of(&normed, h)?;
        drop(normed);
        if let Some(rope) = rope {
            rotated = rope.apply(rotated, self.heads.query + self.heads.kv, self.heads.size, &pass.positions, Turn::Forward)?;
        }
        let (attended, lse) = self.attend(&rotated, pass, cache)?;
        let out_h = self.out.narrow(params, &attended, pass)?;
        let middle = self.out.product(params, &attended, out_h.as_ref(), pass, Some(x))?;

        let (normed, norm_2) = self.norm_2.forward(params, &middle, self.up.room(pass))?;
        let (active, h, mlp) = self.raise(params, normed, pass)?;
        let y = self.down.product(params, &active, h.as_ref(), pass, Some(norm_2.input()))?;
        Ok((y, Saved { norm_1, qkv, rotated, attended, lse, out_h, norm_2, mlp: Some(mlp) }))
    }

    /// q, k and v (N, stride) -> what attention gives (N, H D), and its log-sum-exp.
    fn attend(&self, rotated: &Tensor, pass: &Pass, cache: Option<&mut LayerCache>) -> Result<(Wide, Tensor)> {
        let width = self.heads.query * self.heads.size;
        match cache {
            Some(cache) if pass.decoding() => {
                cache.append(rotated, self.heads)?;
                let q = rotated.narrow(1, 0, width)?;
                let attended = attention::decode(&q, &cache.keys, &cache.values, cache.length, self.heads)?;
                Ok((Wide::new(attended.clone(), width), attended))
            }
            cache => {
                if let Some(cache) = cache {
                    cache.fill(rotated, &pass.lengths, self.heads)?;
                }
                let (attended, lse) = attention::forward_wide(rotated, &pass.lengths, self.heads, self.out.room(pass))?;
                Ok((Wide::new(attended, width), lse))
            }
        }
    }

    /// The MLP up to its last product: that product's input (N, I) and its narrow product, and what backward needs.
    fn raise(&self, params: &Params, normed: Wide, pass: &Pass) -> Result<(Wide, Option<Tensor>, SavedMlp)> {
        let h = self.up.narrow(params, &normed, pass)?;
        let room = self.down.room(pass);
        let (raised, active) = match self.activation {
            Activation::SwiGlu => {
                let raised = self.up.product(params, &normed, h.as_ref(), pass, None)?;
                let active = swiglu::forward_wide(&raised, room)?;
                (raised, active)
            }
            Activation::Gelu => self.up.product_gelu(params, &normed, h.as_ref(), pass, room)?,
        };
        let up = Input::of(&normed, h)?;
        drop(normed);
        let width = active.dim(1)? - room;
        let active = Wide::new(active, width);
        let h = self.down.narrow(params, &active, pass)?;
        let down = Input::of(&active, h.clone())?;
        Ok((active, h, SavedMlp { up, raised, down }))
    }

    /// dy (N, C) -> dx (N, C), which is left out where nobody needs it. The block below has the same biases.
    pub fn backward(
        &self,
        params: &mut Params,
        dy: Gradient,
        saved: Saved,
        pass: &Pass,
        rope: Option<&Rotations>,
        want_dx: bool,
    ) -> Result<Option<Gradient>> {
        let mlp = match saved.mlp {
            Some(mlp) => mlp,
            None => {
                let (normed, _) = self.norm_2.forward(params, saved.norm_2.input(), self.up.room(pass))?;
                let mlp = self.raise(params, normed, pass)?.2;
                if saved.qkv.is_gone() { mlp.without_inputs() } else { mlp }
            }
        };
        let (active, pending) = self.down.backward(params, &dy, mlp.down.h.as_ref(), pass, true)?;
        let Some(active) = active else { return Ok(None) };
        let (raised, again) = match self.activation {
            Activation::SwiGlu => {
                let (raised, again) = swiglu::backward_again(active, mlp.raised, mlp.down.is_gone())?;
                (raised.into(), again)
            }
            Activation::Gelu => {
                let sums = self.up.wants_sums(params).then_some(&mut params.unsummed);
                gelu::backward_again(active.whole()?, mlp.raised, mlp.down.is_gone(), sums)?
            }
        };
        self.down.finish(params, pending, &mlp.down.or(again)?, pass)?;
        let (h, pending) = self.up.backward(params, &raised, mlp.up.h.as_ref(), pass, true)?;
        let Some(h) = h.map(Parts::whole).transpose()? else { return Ok(None) };
        let want = Want { sums: self.out.wants_sums(params), again: mlp.up.is_gone() };
        let (dx, again) = self.norm_2.backward(params, &h, &saved.norm_2, Some(&dy.d), want)?;
        self.up.finish(params, pending, &mlp.up.or(again)?, pass)?;
        drop((raised, h, dy));

        let (attended, pending) = self.out.backward(params, &dx, saved.out_h.as_ref(), pass, true)?;
        let Some(attended) = attended.map(Parts::whole).transpose()? else { return Ok(None) };
        let forward = saved.attended.columns()?;
        self.out.finish(params, pending, &forward, pass)?;
        let mut dqkv = attention::backward(&attended, &saved.rotated, &forward, &saved.lse, &pass.lengths, self.heads)?;
        if let Some(rope) = rope {
            dqkv = rope.apply(dqkv, self.heads.query + self.heads.kv, self.heads.size, &pass.positions, Turn::Backward)?;
        }
        // Below the first block's norm nothing may be trained; then its input's gradient is not computed.
        let below = want_dx || params.is_trained(self.norm_1.weight);
        let (h, pending) = self.qkv.backward(params, &dqkv.into(), saved.qkv.h.as_ref(), pass, below)?;
        let (dx, again) = match h.map(Parts::whole).transpose()? {
            None => (None, if saved.qkv.is_gone() { Some(self.norm_1.again(params, &saved.norm_1)?) } else { None }),
            Some(h) => {
                let residual = want_dx.then_some(&dx.d);
                let want = Want { sums: want_dx && self.down.wants_sums(params), again: saved.qkv.is_gone() };
                let (dx, again) = self.norm_1.backward(params, &h, &saved.norm_1, residual, want)?;
                (want_dx.then_some(dx), again)
            }
        };
        self.qkv.finish(params, pending, &saved.qkv.or(again)?, pass)?;
        params.add_up()?;
        Ok(dx)
    }

    pub fn projections_mut(&mut self) -> [&mut Projection; 4] {
        [&mut self.qkv, &mut self.out, &mut self.up, &mut self.down]
    }
}
