//! How the pairs spread over tiers and source pieces.

use std::collections::BTreeMap;

use super::{Pair, Status, Tier};

/// Counts of a set of pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    pub tiers: [TierCount; 4],
    /// Sources of ready pairs, the most used first.
    pub sources: Vec<SourceCount>,
    pub ready: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierCount {
    pub tier: Tier,
    pub ready: usize,
    pub draft: usize,
    pub discarded: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCount {
    pub source: String,
    /// Ready pairs made from it.
    pub ready: usize,
}

impl Balance {
    pub fn of(pairs: &[Pair]) -> Self {
        let count = |tier, status| pairs.iter().filter(|pair| pair.tier == tier && pair.status == status).count();
        let tiers = Tier::ALL.map(|tier| TierCount {
            tier,
            ready: count(tier, Status::Ready),
            draft: count(tier, Status::Draft),
            discarded: count(tier, Status::Discarded),
        });
        let mut by_source: BTreeMap<&str, usize> = BTreeMap::new();
        for pair in pairs.iter().filter(|pair| pair.status == Status::Ready) {
            *by_source.entry(&pair.source).or_default() += 1;
        }
        let mut sources: Vec<SourceCount> =
            by_source.into_iter().map(|(source, ready)| SourceCount { source: source.to_string(), ready }).collect();
        // Stable, so that sources with as many pairs stay in alphabetical order.
        sources.sort_by_key(|count| std::cmp::Reverse(count.ready));
        let ready = tiers.iter().map(|tier| tier.ready).sum();
        Balance { tiers, sources, ready }
    }
}
