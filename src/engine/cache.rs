//! Keys and values of past tokens, so that each new one costs one row of work.

use anyhow::Result;
use candle_core::{DType, Device, Tensor};

use super::ops::attention::Heads;

/// The cache of one block.
#[derive(Debug)]
pub struct LayerCache {
    /// (B, KV, capacity, D)
    pub keys: Tensor,
    /// (B, KV, capacity, D)
    pub values: Tensor,
    /// Positions filled.
    pub length: usize,
    /// The rows that the next [`LayerCache::fill`] writes: where each of its sequences goes.
    pub targets: std::ops::Range<usize>,
}

impl LayerCache {
    pub fn new(rows: usize, capacity: usize, heads: Heads, dtype: DType, device: &Device) -> Result<Self> {
        let shape = (rows, heads.kv, capacity, heads.size);
        Ok(LayerCache {
            keys: Tensor::zeros(shape, dtype, device)?,
            values: Tensor::zeros(shape, dtype, device)?,
            length: 0,
            targets: 0..rows,
        })
    }

    /// Takes the keys and values of one prompt (T rows of qkv) into all target rows.
    pub fn fill(&mut self, qkv: &Tensor, lengths: &[usize], heads: Heads) -> Result<()> {
        let length = lengths[0];
        for (cache, first) in [(&self.keys, heads.query), (&self.values, heads.query + heads.kv)] {
            let part = qkv.narrow(1, first * heads.size, heads.kv * heads.size)?.reshape((1, length, heads.kv, heads.size))?;
            let part = part.transpose(1, 2)?; // (1, KV, T, D)
            let rows = part.broadcast_as((self.targets.len(), heads.kv, length, heads.size))?.contiguous()?;
            let into = cache.narrow(0, self.targets.start, self.targets.len())?;
            into.slice_set(&rows, 2, 0)?;
        }
        self.length = length;
        Ok(())
    }

    /// Takes one new token a row: qkv (B, stride).
    pub fn append(&mut self, qkv: &Tensor, heads: Heads) -> Result<()> {
        let rows = qkv.dim(0)?;
        for (cache, first) in [(&self.keys, heads.query), (&self.values, heads.query + heads.kv)] {
            let part = qkv.narrow(1, first * heads.size, heads.kv * heads.size)?.contiguous()?;
            cache.slice_set(&part.reshape((rows, heads.kv, 1, heads.size))?, 2, self.length)?;
        }
        self.length += 1;
        Ok(())
    }
}
