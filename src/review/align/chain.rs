//! The heaviest chain: a set of candidates, in order and disjoint on both sides, with the greatest sum of weights.
//!
//! Weighted longest-increasing-subsequence over the draft's order, with a Fenwick tree of prefix maxima over the revision's: `O(K log K)` time and
//! `O(K + n)` memory for K candidates. See Fredman, "On computing the length of longest increasing subsequences" (1975), for the plain case.

use super::candidates::Candidate;

/// The heaviest chain, in order. Of chains of one weight always the same is chosen.
pub fn heaviest(candidates: &[Candidate]) -> Vec<Candidate> {
    let columns = candidates.iter().map(|c| c.revision.end).max().unwrap_or(0);
    let mut best = PrefixMaxima::new(columns);
    let mut links: Vec<Link> = vec![Link { total: 0.0, previous: None }; candidates.len()];

    let mut by_start: Vec<usize> = (0..candidates.len()).collect();
    by_start.sort_unstable_by_key(|&c| {
        (candidates[c].draft.start, candidates[c].revision.start, candidates[c].draft.end, candidates[c].revision.end)
    });
    let mut by_end = by_start.clone();
    by_end.sort_by_key(|&c| candidates[c].draft.end);

    let mut closed = by_end.into_iter().peekable();
    for c in by_start {
        let candidate = &candidates[c];
        // Chains may go on from whatever ends before this one begins.
        while let Some(done) = closed.next_if(|&d| candidates[d].draft.end <= candidate.draft.start) {
            best.raise(candidates[done].revision.end, links[done].total, done);
        }
        let (total, previous) = best.up_to(candidate.revision.start);
        links[c] = Link { total: total + candidate.weight, previous };
    }

    let mut last: Option<usize> = None;
    for c in 0..links.len() {
        if last.is_none_or(|l| links[c].total > links[l].total) {
            last = Some(c);
        }
    }
    let mut chain: Vec<Candidate> = std::iter::successors(last, |&c| links[c].previous).map(|c| candidates[c].clone()).collect();
    chain.reverse();
    chain
}

#[derive(Clone, Copy)]
struct Link {
    /// Weight of the heaviest chain that ends with this candidate.
    total: f64,
    previous: Option<usize>,
}

/// For each column the heaviest chain that ends at or before it.
struct PrefixMaxima {
    nodes: Vec<(f64, Option<usize>)>,
}

impl PrefixMaxima {
    fn new(columns: usize) -> Self {
        PrefixMaxima { nodes: vec![(0.0, None); columns + 1] }
    }

    fn raise(&mut self, column: usize, total: f64, candidate: usize) {
        let mut node = column;
        while node < self.nodes.len() && node > 0 {
            if total > self.nodes[node].0 {
                self.nodes[node] = (total, Some(candidate));
            }
            node += node & node.wrapping_neg();
        }
    }

    fn up_to(&self, column: usize) -> (f64, Option<usize>) {
        let mut node = column;
        let mut best = (0.0, None);
        while node > 0 {
            if self.nodes[node].0 > best.0 {
                best = self.nodes[node];
            }
            node -= node & node.wrapping_neg();
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(draft: std::ops::Range<usize>, revision: std::ops::Range<usize>, weight: f64) -> Candidate {
        Candidate { draft, revision, weight, similarity: weight }
    }

    /// The greatest weight by trying every subset.
    fn by_hand(candidates: &[Candidate]) -> f64 {
        let mut best: f64 = 0.0;
        for subset in 0..1_u32 << candidates.len() {
            let mut chosen: Vec<&Candidate> = (0..candidates.len()).filter(|c| subset >> c & 1 == 1).map(|c| &candidates[c]).collect();
            chosen.sort_by_key(|c| c.draft.start);
            if chosen.windows(2).all(|w| w[0].draft.end <= w[1].draft.start && w[0].revision.end <= w[1].revision.start) {
                best = best.max(chosen.iter().map(|c| c.weight).sum());
            }
        }
        best
    }

    proptest::proptest! {
        #[test]
        fn no_subset_is_heavier(raw in proptest::collection::vec((0..6_usize, 1..4_usize, 0..6_usize, 1..4_usize, 1..100_u32), 0..11)) {
            let candidates: Vec<Candidate> =
                raw.iter().map(|&(i, m, j, n, w)| candidate(i..i + m, j..j + n, f64::from(w))).collect();
            let chain = heaviest(&candidates);
            proptest::prop_assert!(chain.windows(2).all(|w| w[0].draft.end <= w[1].draft.start && w[0].revision.end <= w[1].revision.start));
            proptest::prop_assert_eq!(chain.iter().map(|c| c.weight).sum::<f64>(), by_hand(&candidates));
        }
    }
}
