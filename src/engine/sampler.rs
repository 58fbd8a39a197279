//! The sampler on the host: the CPU's, and the oracle of the one on a GPU (`src/kernels/src/cuda/sample.cu`), which draws the same tokens
//! from the same logits.
//!
//! Probabilities are whole numbers, in parts of 2^44 of the likeliest token's. Their sums are exact, so they do not depend on the order
//! they are added up in; a token below 2^-45 of the likeliest is never drawn.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::sample::Sampling;

/// The share of the likeliest token.
pub const WHOLE: u64 = 1 << 44;

/// Draws the tokens of one row.
#[derive(Debug)]
pub struct Sampler {
    rng: ChaCha8Rng,
    /// Whether a token is in the prompt or was drawn.
    seen: Vec<bool>,
}

impl Sampler {
    pub fn new(seed: u64, prompt: &[u32], vocab: usize) -> Self {
        let mut seen = vec![false; vocab];
        prompt.iter().for_each(|&id| seen[id as usize] = true);
        Sampler { rng: ChaCha8Rng::seed_from_u64(seed), seen }
    }

    /// The next token. `logits` (V) are changed.
    pub fn draw(&mut self, logits: &mut [f32], sampling: &Sampling) -> u32 {
        self.penalise(logits, sampling.repetition_penalty);
        let token = if sampling.temperature == 0.0 {
            most_likely(logits)
        } else {
            let draw = self.bits();
            pick(&filter(logits, sampling), draw)
        };
        self.seen[token as usize] = true;
        token
    }

    /// Divides positive logits of tokens in the prompt or drawn so far by the penalty, and multiplies negative ones.
    pub fn penalise(&self, logits: &mut [f32], penalty: f64) {
        if penalty == 1.0 {
            return;
        }
        let penalty = penalty as f32;
        for (logit, _) in logits.iter_mut().zip(&self.seen).filter(|&(_, &seen)| seen) {
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
        }
    }

    /// 53 random bits: one draw's.
    pub fn bits(&mut self) -> u64 {
        self.rng.next_u64() >> 11
    }
}

/// The token whose part of all shares holds the place that `draw`, of 53 bits, points to.
fn pick(kept: &[(u32, u64)], draw: u64) -> u32 {
    let total: u64 = kept.iter().map(|(_, share)| share).sum();
    let place = ((u128::from(draw) * u128::from(total)) >> 53) as u64;
    let mut sum = 0;
    for &(token, share) in kept {
        sum += share;
        if place < sum {
            return token;
        }
    }
    kept.first().map_or(0, |&(token, _)| token)
}

/// The first of the largest.
fn most_likely(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (i, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = i;
        }
    }
    best as u32
}

/// A logit that at least `k` of them reach, near the k-th largest: the k-th largest of the maxima of `4 k` or more stretches. One
/// quick pass; what is left to sort after it is short.
fn at_least(logits: &[f32], k: usize) -> f32 {
    let stretch = (logits.len() / (4 * k)).max(1);
    let mut maxima: Vec<f32> = logits.chunks(stretch).map(|part| part.iter().copied().fold(f32::NEG_INFINITY, f32::max)).collect();
    *maxima.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

/// Temperature, top-k and top-p: the tokens that stay, most likely first, with their shares: [`WHOLE`] is the likeliest's. Equal logits
/// stay in the order of their ids.
///
/// Top-k keeps every token whose logit is not below the k-th largest; top-p keeps the shortest head whose probability reaches p.
pub fn filter(logits: &[f32], sampling: &Sampling) -> Vec<(u32, u64)> {
    let scaled = |id: u32| f64::from(logits[id as usize] / sampling.temperature as f32);
    let logit = |id: &u32| logits[*id as usize] + 0.0; // both zeros are one
    let descending = |a: &u32, b: &u32| logit(b).total_cmp(&logit(a)).then(a.cmp(b));
    let some = sampling.top_k > 0 && sampling.top_k < logits.len();
    let least = if some { at_least(logits, sampling.top_k) } else { f32::NEG_INFINITY };
    let mut ids: Vec<u32> = (0..logits.len() as u32).filter(|&id| logits[id as usize] >= least).collect();
    if some {
        let (_, kth, _) = ids.select_nth_unstable_by(sampling.top_k - 1, descending);
        let kth = logits[*kth as usize];
        ids.retain(|&id| logits[id as usize] >= kth);
    }
    ids.sort_unstable_by(descending);
    let max = ids.first().map_or(0.0, |&id| scaled(id));
    let mut kept: Vec<(u32, u64)> = ids.iter().map(|&id| (id, ((scaled(id) - max).exp() * WHOLE as f64 + 0.5).floor() as u64)).collect();
    if sampling.top_p < 1.0 {
        let total: u64 = kept.iter().map(|(_, share)| share).sum();
        let wanted = (sampling.top_p * total as f64).ceil() as u64;
        // A token stays while what stands before it has not reached p; the first always does.
        let mut before = 0;
        let count = kept.iter().take_while(|(_, share)| {
            let stays = before < wanted;
            before += share;
            stays
        });
        let count = count.count().max(1);
        kept.truncate(count);
    }
    kept
}
