//! What would have been the likeliest token, had the one that stands there been none of them. In candle tensor ops: it is asked of a
//! text that somebody looks at, not in training.

use candle_core::{D, DType, Result, Tensor};

/// Of each row of logits (N, V), the likeliest token but the target, and its logit less the target's: what its log-probability is
/// ahead by. A vocabulary has at least two tokens.
pub fn runner_up(logits: &Tensor, targets: &[u32]) -> Result<Vec<(u32, f32)>> {
    let logits = logits.to_dtype(DType::F32)?.contiguous()?; // rows of a padded head lie apart
    let ids = Tensor::new(targets, logits.device())?.unsqueeze(1)?; // (N, 1)
    let never = Tensor::full(f32::NEG_INFINITY, ids.shape(), logits.device())?;
    let best = logits.scatter_add(&ids, &never, D::Minus1)?.argmax_keepdim(D::Minus1)?; // (N, 1)
    let lead = (logits.gather(&best, D::Minus1)? - logits.gather(&ids, D::Minus1)?)?;
    let (best, lead) = (best.flatten_all()?.to_vec1::<u32>()?, lead.flatten_all()?.to_vec1::<f32>()?);
    Ok(best.into_iter().zip(lead).collect())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn the_likeliest_other_token_is_found() {
        let logits = Tensor::new(&[[0.5f32, 2.0, -1.0, 1.5], [0.5, 2.0, -1.0, 1.5], [3.0, 3.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        assert_eq!(runner_up(&logits, &[1, 2, 0]).unwrap(), [(3, -0.5), (1, 3.0), (1, 0.0)]);
    }
}
