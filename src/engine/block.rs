//! A transformer block, pre-norm: `x + attention(norm(x))`, then `+ mlp(norm(.))`, with an explicit backward.

use anyhow::Result;
use candle_core::Tensor;

use super::cache::LayerCache;
use super::layout::Activation;
use super::norm::{self, Norm};
use super::ops::attention::{self, Heads};
use super::ops::rope::{Rotations, Turn};
use super::ops::{add::add, gelu, swiglu};
use super::params::Params;
use super::pass::Pass;
use super::projection::{self, Projection};

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
    qkv: projection::Saved,
    /// After the rotation: (N, stride).
    rotated: Tensor,
    attended: Tensor,
    lse: Tensor,
    out: projection::Saved,
    norm_2: norm::Saved,
    up: projection::Saved,
    /// Before the activation: (N, 2I) or (N, I).
    raised: Tensor,
    down: projection::Saved,
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
        let (h, norm_1) = self.norm_1.forward(params, x)?;
        let (mut rotated, qkv) = self.qkv.forward(params, &h, pass)?;
        if let Some(rope) = rope {
            rotated = rope.apply(rotated, self.heads.query + self.heads.kv, self.heads.size, &pass.positions, Turn::Forward)?;
        }
        let (attended, lse) = match cache {
            Some(cache) if pass.decoding() => {
                cache.append(&rotated, self.heads)?;
                let q = rotated.narrow(1, 0, self.heads.query * self.heads.size)?;
                let attended = attention::decode(&q, &cache.keys, &cache.values, cache.length, self.heads)?;
                (attended.clone(), attended)
            }
            cache => {
                if let Some(cache) = cache {
                    cache.fill(&rotated, &pass.lengths, self.heads)?;
                }
                attention::forward(&rotated, &pass.lengths, self.heads)?
            }
        };
        let (a, out) = self.out.forward(params, &attended, pass)?;
        let x = add(a, x)?;
        let (h, norm_2) = self.norm_2.forward(params, &x)?;
        let (raised, up) = self.up.forward(params, &h, pass)?;
        let active = match self.activation {
            Activation::SwiGlu => swiglu::forward(&raised)?,
            Activation::Gelu => gelu::forward(&raised)?,
        };
        let (m, down) = self.down.forward(params, &active, pass)?;
        let y = add(m, &x)?;
        Ok((y, Saved { norm_1, qkv, rotated, attended, lse, out, norm_2, up, raised, down }))
    }

    /// dy (N, C) -> dx (N, C), which is left out where nobody needs it.
    pub fn backward(
        &self,
        params: &mut Params,
        dy: Tensor,
        saved: &Saved,
        pass: &Pass,
        rope: Option<&Rotations>,
        want_dx: bool,
    ) -> Result<Option<Tensor>> {
        let Some(active) = self.down.backward(params, &dy, &saved.down, pass, true)? else { return Ok(None) };
        let raised = match self.activation {
            Activation::SwiGlu => swiglu::backward(&active, &saved.raised)?,
            Activation::Gelu => gelu::backward(&active, &saved.raised)?,
        };
        let Some(h) = self.up.backward(params, &raised, &saved.up, pass, true)? else { return Ok(None) };
        let dx = add(self.norm_2.backward(params, &h, &saved.norm_2)?, &dy)?;

        let Some(attended) = self.out.backward(params, &dx, &saved.out, pass, true)? else { return Ok(None) };
        let mut dqkv = attention::backward(&attended, &saved.rotated, &saved.attended, &saved.lse, &pass.lengths, self.heads)?;
        if let Some(rope) = rope {
            dqkv = rope.apply(dqkv, self.heads.query + self.heads.kv, self.heads.size, &pass.positions, Turn::Backward)?;
        }
        // Below the first block's norm nothing may be trained; then its input's gradient is not computed.
        let below = want_dx || params.is_trained(self.norm_1.weight);
        match self.qkv.backward(params, &dqkv, &saved.qkv, pass, below)? {
            None => Ok(None),
            Some(h) => {
                let through = self.norm_1.backward(params, &h, &saved.norm_1)?;
                Ok(if want_dx { Some(add(through, &dx)?) } else { None })
            }
        }
    }

    pub fn projections_mut(&mut self) -> [&mut Projection; 4] {
        [&mut self.qkv, &mut self.out, &mut self.up, &mut self.down]
    }
}
