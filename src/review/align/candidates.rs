//! Which runs of sentences may belong together: found through shared words over the whole texts, and pair by pair in small gaps.

use std::ops::Range;

use super::similarity::{self, Piece};

/// A run of the draft and a run of the revision that may belong together: one sentence each, or one and up to [`LONGEST`].
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub draft: Range<usize>,
    pub revision: Range<usize>,
    /// Above 0; the alignment maximises the sum.
    pub weight: f64,
    pub similarity: f64,
}

impl Candidate {
    /// Two sentences that are the same.
    pub fn identical(i: usize, j: usize) -> Candidate {
        Candidate { draft: i..i + 1, revision: j..j + 1, weight: 1.0, similarity: 1.0 }
    }
}

/// The longest run that was merged into one sentence, or split from one.
const LONGEST: usize = 3;

/// Less alike than this is a cut and a new sentence, not a rewording.
const REWORDED: f64 = 0.33;

/// The same, for the only sentence between two aligned neighbours, where its place speaks for it too.
const REWORDED_IN_PLACE: f64 = 0.25;

/// The share of a sentence's words that must be found in the one it was merged into (or split from).
const CONTAINED: f64 = 0.36;

/// A merge must be worth a little more than its best single pair.
const GROUP_COST: f64 = 0.02;

/// Words in more sentences of the revision than this are not looked up, unless a sentence has no two rarer ones.
const COMMON: usize = 48;

/// At most so many candidates a sentence, the nearest in place first: bounds the work on texts that repeat themselves.
const NEAREST: usize = 96;

/// Gaps of at most so many pairs of sentences are compared pair by pair.
const GAP_PAIRS: usize = 144;

/// Pairs (and merges and splits) found through an index of the revision's words.
pub fn indexed(a: &[Piece], b: &[Piece], draft: Range<usize>, revision: Range<usize>) -> Vec<Candidate> {
    let words = a.iter().chain(b).flat_map(|p| &p.words).map(|w| w.id as usize + 1).max().unwrap_or(0);
    let mut index: Vec<Vec<u32>> = vec![Vec::new(); words];
    for j in revision.clone() {
        for word in &b[j].words {
            let list = &mut index[word.id as usize];
            if list.last() != Some(&(j as u32)) {
                list.push(j as u32);
            }
        }
    }
    let mut scorer = Scorer::new(a, b);
    let mut near = vec![0.0_f64; b.len()];
    for i in draft.clone() {
        let mut rare: Vec<(usize, u32, f64)> =
            a[i].words.iter().map(|w| (index[w.id as usize].len(), w.id, w.weight)).filter(|w| w.0 > 0).collect();
        rare.sort_unstable_by_key(|w| (w.0, w.1));
        rare.dedup_by_key(|w| w.1);
        let mut touched = Vec::new();
        for (rank, &(sentences, id, weight)) in rare.iter().enumerate() {
            if sentences > COMMON && rank >= 2 {
                break;
            }
            for &j in &index[id as usize] {
                if near[j as usize] == 0.0 {
                    touched.push(j as usize);
                }
                near[j as usize] += weight;
            }
        }
        let expected = revision.start + (i - draft.start) * revision.len() / draft.len();
        touched.retain(|&j| std::mem::take(&mut near[j]) >= 0.2 * a[i].weight.min(b[j].weight));
        touched.sort_unstable_by_key(|&j| (a[i].key != b[j].key, j.abs_diff(expected), j));
        touched.truncate(NEAREST);
        for j in touched {
            scorer.consider(i, j, &draft, &revision);
        }
    }
    scorer.found
}

/// All pairs inside the gaps that a chain leaves, where the gap is small.
pub fn in_gaps(a: &[Piece], b: &[Piece], chain: &[Candidate], draft: Range<usize>, revision: Range<usize>) -> Vec<Candidate> {
    let mut scorer = Scorer::new(a, b);
    for (gap_a, gap_b) in gaps(chain, draft, revision) {
        if gap_a.len() * gap_b.len() <= GAP_PAIRS {
            for i in gap_a.clone() {
                for j in gap_b.clone() {
                    scorer.consider(i, j, &gap_a, &gap_b);
                }
            }
        }
    }
    scorer.found
}

/// Where exactly one free sentence of each side is left between two aligned neighbours: that pair, if it is at all alike.
pub fn lone_pairs(
    a: &[Piece],
    b: &[Piece],
    chain: &[Candidate],
    moved: &[Candidate],
    draft: Range<usize>,
    revision: Range<usize>,
) -> Vec<Candidate> {
    let (mut taken_a, mut taken_b) = (vec![false; a.len()], vec![false; b.len()]);
    for pair in moved {
        taken_a[pair.draft.clone()].fill(true);
        taken_b[pair.revision.clone()].fill(true);
    }
    let lone = |gap: Range<usize>, taken: &[bool]| {
        let mut free = gap.filter(|&s| !taken[s]);
        free.next().filter(|_| free.next().is_none())
    };
    let mut found = Vec::new();
    for (gap_a, gap_b) in gaps(chain, draft, revision) {
        let (Some(i), Some(j)) = (lone(gap_a, &taken_a), lone(gap_b, &taken_b)) else { continue };
        let alike = similarity::similarity(&a[i..=i], &b[j..=j]);
        if alike >= REWORDED_IN_PLACE {
            found.push(Candidate { draft: i..i + 1, revision: j..j + 1, weight: alike, similarity: alike });
        }
    }
    found
}

fn gaps(chain: &[Candidate], draft: Range<usize>, revision: Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
    let (mut i, mut j) = (draft.start, revision.start);
    let mut gaps = Vec::new();
    for pair in chain {
        gaps.push((i..pair.draft.start, j..pair.revision.start));
        (i, j) = (pair.draft.end, pair.revision.end);
    }
    gaps.push((i..draft.end, j..revision.end));
    gaps.retain(|(a, b)| !a.is_empty() && !b.is_empty());
    gaps
}

struct Scorer<'p> {
    a: &'p [Piece],
    b: &'p [Piece],
    found: Vec<Candidate>,
}

impl<'p> Scorer<'p> {
    fn new(a: &'p [Piece], b: &'p [Piece]) -> Self {
        Scorer { a, b, found: Vec::new() }
    }

    /// The pair `(i, j)`, and the merges and splits around it that lie within the two ranges.
    fn consider(&mut self, i: usize, j: usize, draft: &Range<usize>, revision: &Range<usize>) {
        let (a, b) = (self.a, self.b);
        let alike = if a[i].key == b[j].key { 1.0 } else { similarity::similarity(&a[i..=i], &b[j..=j]) };
        if alike >= REWORDED {
            // Among equal pairs the one whose neighbours match as well is the better.
            let before = i > 0 && j > 0 && a[i - 1].key == b[j - 1].key;
            let after = a.get(i + 1).zip(b.get(j + 1)).is_some_and(|(x, y)| x.key == y.key);
            let context = 0.01 * f64::from(u8::from(before) + u8::from(after));
            self.push(i..i + 1, j..j + 1, alike, context);
        }
        if a[i].key == b[j].key {
            return;
        }
        for run in runs_at(i, draft) {
            let members: Vec<&Piece> = a[run.clone()].iter().collect();
            self.group(run, j..j + 1, &members, &b[j], alike);
        }
        for run in runs_at(j, revision) {
            let members: Vec<&Piece> = b[run.clone()].iter().collect();
            self.group(i..i + 1, run, &members, &a[i], alike);
        }
    }

    fn group(&mut self, draft: Range<usize>, revision: Range<usize>, members: &[&Piece], whole: &Piece, single: f64) {
        let belongs = |m: usize| {
            let others: Vec<&Piece> = members.iter().enumerate().filter(|(o, _)| *o != m).map(|(_, p)| *p).collect();
            similarity::contained(members[m], &others, whole) >= CONTAINED
        };
        if members.iter().any(|m| m.key == whole.key) || !(0..members.len()).all(belongs) {
            return;
        }
        let alike = similarity::similarity(&self.a[draft.clone()], &self.b[revision.clone()]);
        if alike >= REWORDED && alike > single {
            self.push(draft, revision, alike, -GROUP_COST);
        }
    }

    fn push(&mut self, draft: Range<usize>, revision: Range<usize>, similarity: f64, extra: f64) {
        let mass = (similarity::mass(&self.a[draft.clone()]) + similarity::mass(&self.b[revision.clone()])) / 2.0;
        // The threshold is a little lower here, so that a pair that just reaches it still weighs more than nothing.
        let weight = (similarity - REWORDED + 0.03 + extra) * mass;
        self.found.push(Candidate { draft, revision, weight, similarity });
    }
}

/// Runs of 2 to [`LONGEST`] sentences that begin at `at`, within a range. Those that only pass through it are met from their own beginning.
fn runs_at(at: usize, within: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
    let end = within.end;
    (2..=LONGEST).map(move |length| at..at + length).filter(move |run| run.end <= end)
}
