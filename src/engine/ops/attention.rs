//! Causal attention over packed sequences; formula and contract in `voicetune_kernels::attention`.

use candle_core::{Result, Tensor};
use voicetune_kernels::attention as fused;
pub use voicetune_kernels::attention::Heads;
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;

use crate::engine::cpu;

/// qkv (N, stride), sequences of `lengths` -> o (N, H D), log-sum-exp (N, H) in f32.
pub fn forward(qkv: &Tensor, lengths: &[usize], heads: Heads) -> Result<(Tensor, Tensor)> {
    forward_wide(qkv, lengths, heads, 0)
}

/// The same with `room` columns behind the rows of o, which only a GPU gives.
pub fn forward_wide(qkv: &Tensor, lengths: &[usize], heads: Heads, room: usize) -> Result<(Tensor, Tensor)> {
    #[cfg(feature = "cuda")]
    if cuda::attention::applies(qkv, heads) {
        return cuda::attention::forward(qkv, lengths, heads, room);
    }
    if room > 0 {
        let (out, lse) = plain::forward(qkv, lengths, heads)?;
        return Ok((out.pad_with_zeros(1, 0, room)?, lse));
    }
    if !cpu::applies(qkv) {
        return plain::forward(qkv, lengths, heads);
    }
    let n = qkv.dim(0)?;
    let (out, lse) = fused::forward(&cpu::slice(qkv)?, lengths, heads);
    Ok((cpu::tensor(out, (n, heads.query * heads.size))?, cpu::tensor(lse, (n, heads.query))?))
}

/// The gradient of qkv (N, stride) from that of o (N, H D).
pub fn backward(dout: &Tensor, qkv: &Tensor, out: &Tensor, lse: &Tensor, lengths: &[usize], heads: Heads) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::attention::applies(qkv, heads) {
        return cuda::attention::backward(dout, qkv, out, lse, lengths, heads);
    }
    if !cpu::applies(qkv) {
        return plain::backward(&dout.contiguous()?, qkv, &out.contiguous()?, lse, lengths, heads);
    }
    let dqkv = fused::backward(&cpu::slice(dout)?, &cpu::slice(qkv)?, &cpu::slice(out)?, &cpu::slice(lse)?, lengths, heads);
    cpu::tensor(dqkv, qkv.shape())
}

/// One new token a row: q (B, H D) against keys and values (B, KV, capacity, D), of which `length` positions count -> o (B, H D).
pub fn decode(q: &Tensor, keys: &Tensor, values: &Tensor, length: usize, heads: Heads) -> Result<Tensor> {
    if !cpu::applies(q) {
        return plain::decode(&q.contiguous()?, keys, values, length, heads);
    }
    let q = q.contiguous()?;
    let out = fused::decode(&cpu::slice(&q)?, &cpu::slice(keys)?, &cpu::slice(values)?, length, keys.dim(2)?, heads);
    cpu::tensor(out, q.shape())
}

/// The same in candle tensor ops, in chunks of queries so that scores never take more than a bounded part of memory.
pub mod plain {
    use candle_core::{D, DType, Device, Result, Tensor};

    use super::Heads;

    /// Elements of the scores of one chunk.
    const SCORES: usize = 1 << 26;

    /// Sequences of one length that lie side by side: they are one batch.
    struct Group {
        start: usize,
        count: usize,
        length: usize,
    }

    fn groups(lengths: &[usize]) -> Vec<Group> {
        let mut groups: Vec<Group> = vec![];
        let mut start = 0;
        for &length in lengths {
            match groups.last_mut() {
                Some(group) if group.length == length => group.count += 1,
                _ => groups.push(Group { start, count: 1, length }),
            }
            start += length;
        }
        groups
    }

    /// q, k and v of a group, each (S H, T, D); key and value heads repeated for their query heads.
    fn split(qkv: &Tensor, group: &Group, heads: Heads) -> Result<[Tensor; 3]> {
        let (s, t, d) = (group.count, group.length, heads.size);
        let rows = qkv.narrow(0, group.start, s * t)?;
        let take = |first: usize, count: usize| -> Result<Tensor> {
            let part = rows.narrow(1, first * d, count * d)?.reshape((s, t, count, d))?.transpose(1, 2)?; // (S, count, T, D)
            let repeats = heads.query / count;
            let part = part.unsqueeze(2)?.broadcast_as((s, count, repeats, t, d))?.contiguous()?;
            part.reshape((s * heads.query, t, d))
        };
        Ok([take(0, heads.query)?, take(heads.query, heads.kv)?, take(heads.query + heads.kv, heads.kv)?])
    }

    /// (S H, T, X) -> (S T, H X)
    fn join(x: &Tensor, group: &Group, heads: Heads) -> Result<Tensor> {
        let (s, t, h, width) = (group.count, group.length, heads.query, x.dim(2)?);
        x.reshape((s, h, t, width))?.transpose(1, 2)?.contiguous()?.reshape((s * t, h * width))
    }

    /// (S T, H X) -> (S H, T, X)
    fn part(x: &Tensor, group: &Group, heads: Heads) -> Result<Tensor> {
        let (s, t, h) = (group.count, group.length, heads.query);
        let rows = x.narrow(0, group.start, s * t)?;
        let width = rows.dim(1)? / h;
        rows.reshape((s, t, h, width))?.transpose(1, 2)?.contiguous()?.reshape((s * h, t, width))
    }

    fn chunks(group: &Group, heads: Heads) -> Vec<(usize, usize)> {
        let rows = (SCORES / (group.count * heads.query * group.length)).clamp(1, group.length);
        (0..group.length).step_by(rows).map(|first| (first, rows.min(group.length - first))).collect()
    }

    /// Scores of queries `first..first + rows` against all keys they may see, masked, in f32: (S H, rows, first + rows).
    fn scores(q: &Tensor, k: &Tensor, first: usize, rows: usize, heads: Heads) -> Result<Tensor> {
        let seen = first + rows;
        let scores = q.narrow(1, first, rows)?.matmul(&k.narrow(1, 0, seen)?.transpose(1, 2)?)?.to_dtype(DType::F32)?;
        (scores * f64::from(heads.scale))?.broadcast_add(&mask(first, rows, q.device())?)
    }

    /// 0 where query `first + i` may see key j, minus infinity where it may not: (1, rows, first + rows). Made on the device: copying
    /// it over took longer than the attention itself.
    fn mask(first: usize, rows: usize, device: &Device) -> Result<Tensor> {
        let seen = first + rows;
        let queries = Tensor::arange(first as u32, seen as u32, device)?.reshape((1, rows, 1))?;
        let keys = Tensor::arange(0, seen as u32, device)?.reshape((1, 1, seen))?;
        let hidden = keys.broadcast_gt(&queries)?;
        let zeros = Tensor::zeros((1, rows, seen), DType::F32, device)?;
        hidden.where_cond(&Tensor::full(f32::NEG_INFINITY, (1, rows, seen), device)?, &zeros)
    }

    pub fn forward(qkv: &Tensor, lengths: &[usize], heads: Heads) -> Result<(Tensor, Tensor)> {
        let (mut outs, mut lses) = (vec![], vec![]);
        for group in groups(lengths) {
            let [q, k, v] = split(qkv, &group, heads)?;
            let (mut out, mut lse) = (vec![], vec![]);
            for (first, rows) in chunks(&group, heads) {
                let scores = scores(&q, &k, first, rows, heads)?;
                let max = scores.max_keepdim(D::Minus1)?;
                let e = scores.broadcast_sub(&max)?.exp()?;
                let total = e.sum_keepdim(D::Minus1)?;
                let p = e.broadcast_div(&total)?.to_dtype(qkv.dtype())?;
                out.push(p.matmul(&v.narrow(1, 0, first + rows)?)?);
                lse.push((max + total.log()?)?); // (S H, rows, 1)
            }
            outs.push(join(&Tensor::cat(&out, 1)?, &group, heads)?);
            lses.push(join(&Tensor::cat(&lse, 1)?, &group, heads)?);
        }
        Ok((Tensor::cat(&outs, 0)?, Tensor::cat(&lses, 0)?))
    }

    pub fn backward(dout: &Tensor, qkv: &Tensor, out: &Tensor, lse: &Tensor, lengths: &[usize], heads: Heads) -> Result<Tensor> {
        let mut parts = vec![];
        for group in groups(lengths) {
            let [q, k, v] = split(qkv, &group, heads)?;
            let (dy, lse) = (part(dout, &group, heads)?, part(lse, &group, heads)?);
            let y = part(out, &group, heads)?;
            let delta = (dy.to_dtype(DType::F32)? * y.to_dtype(DType::F32)?)?.sum_keepdim(D::Minus1)?; // (S H, T, 1)
            let mut dq = vec![];
            let mut dk = Tensor::zeros(k.shape(), DType::F32, k.device())?;
            let mut dv = dk.clone();
            for (first, rows) in chunks(&group, heads) {
                let seen = first + rows;
                let p = scores(&q, &k, first, rows, heads)?.broadcast_sub(&lse.narrow(1, first, rows)?)?.exp()?;
                let dyc = dy.narrow(1, first, rows)?.contiguous()?;
                let dp = dyc.matmul(&v.narrow(1, 0, seen)?.transpose(1, 2)?)?.to_dtype(DType::F32)?;
                let ds = (&p * dp.broadcast_sub(&delta.narrow(1, first, rows)?)?)?;
                let (p, ds) = (p.to_dtype(qkv.dtype())?, (ds * f64::from(heads.scale))?.to_dtype(qkv.dtype())?);
                dq.push(ds.matmul(&k.narrow(1, 0, seen)?)?);
                let qc = q.narrow(1, first, rows)?.contiguous()?;
                let pad = |x: Tensor| x.to_dtype(DType::F32)?.pad_with_zeros(1, 0, group.length - seen);
                dk = (dk + pad(ds.transpose(1, 2)?.matmul(&qc)?)?)?;
                dv = (dv + pad(p.transpose(1, 2)?.matmul(&dyc)?)?)?;
            }
            let fold = |x: Tensor| -> Result<Tensor> {
                let (s, t, d) = (group.count, group.length, heads.size);
                let x = x.reshape((s, heads.kv, heads.query / heads.kv, t, d))?.sum(2)?; // (S, KV, T, D)
                x.transpose(1, 2)?.contiguous()?.reshape((s * t, heads.kv * d))?.to_dtype(qkv.dtype())
            };
            let dq = join(&Tensor::cat(&dq, 1)?, &group, heads)?;
            parts.push(Tensor::cat(&[dq, fold(dk)?, fold(dv)?], 1)?);
        }
        Tensor::cat(&parts, 0)
    }

    pub fn decode(q: &Tensor, keys: &Tensor, values: &Tensor, length: usize, heads: Heads) -> Result<Tensor> {
        let (b, d) = (q.dim(0)?, heads.size);
        let q = q.reshape((b * heads.kv, heads.query / heads.kv, d))?; // (B KV, G, D)
        let take = |cache: &Tensor| cache.narrow(2, 0, length)?.contiguous()?.reshape((b * heads.kv, length, d));
        let scores = (q.matmul(&take(keys)?.transpose(1, 2)?)?.to_dtype(DType::F32)? * f64::from(heads.scale))?;
        let e = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let p = e.broadcast_div(&e.sum_keepdim(D::Minus1)?)?.to_dtype(q.dtype())?;
        p.matmul(&take(values)?)?.reshape((b, heads.query * d))
    }
}
