//! Moved sentences: free on both sides after the alignment, and alike enough that chance does not explain it.

use super::candidates::Candidate;
use super::similarity::Piece;

/// Out of place, only a likeness of this much counts: place no longer speaks for the pair.
const ALIKE: f64 = 0.5;

/// A sentence of fewer words is too common to be recognised in other words.
const FEWEST_WORDS: usize = 4;

/// The pairs of `candidates` that `chain` leaves free, best first, each sentence once.
pub fn moves(a: &[Piece], b: &[Piece], chain: &[Candidate], candidates: &[Candidate]) -> Vec<Candidate> {
    let (mut free_a, mut free_b) = (vec![true; a.len()], vec![true; b.len()]);
    for pair in chain {
        free_a[pair.draft.clone()].fill(false);
        free_b[pair.revision.clone()].fill(false);
    }
    let unique = Unique::new(a, b);
    let mut pairs: Vec<&Candidate> = candidates.iter().filter(|c| is_recognisable(a, b, c, &unique)).collect();
    pairs.sort_by(|x, y| {
        let place = |c: &Candidate| (c.draft.start, c.revision.start, c.draft.end, c.revision.end);
        y.weight.total_cmp(&x.weight).then_with(|| place(x).cmp(&place(y)))
    });
    let mut moved = Vec::new();
    for pair in pairs {
        if free_a[pair.draft.clone()].iter().all(|&f| f) && free_b[pair.revision.clone()].iter().all(|&f| f) {
            free_a[pair.draft.clone()].fill(false);
            free_b[pair.revision.clone()].fill(false);
            moved.push(pair.clone());
        }
    }
    moved
}

fn is_recognisable(a: &[Piece], b: &[Piece], pair: &Candidate, unique: &Unique) -> bool {
    let words = |run: &[Piece]| run.iter().map(|p| p.words.len()).sum::<usize>();
    let long = words(&a[pair.draft.clone()]).min(words(&b[pair.revision.clone()])) >= FEWEST_WORDS;
    let (first, landed) = (&a[pair.draft.start], &b[pair.revision.start]);
    let same = pair.draft.len() == 1 && pair.revision.len() == 1 && first.key == landed.key;
    same && (long || unique.holds(first.key)) || long && pair.similarity >= ALIKE
}

/// Which sentences stand exactly once in each text.
struct Unique {
    counts: Vec<(u32, u32)>,
}

impl Unique {
    fn new(a: &[Piece], b: &[Piece]) -> Self {
        let keys = a.iter().chain(b).map(|p| p.key as usize + 1).max().unwrap_or(0);
        let mut counts = vec![(0, 0); keys];
        a.iter().for_each(|p| counts[p.key as usize].0 += 1);
        b.iter().for_each(|p| counts[p.key as usize].1 += 1);
        Unique { counts }
    }

    fn holds(&self, key: u32) -> bool {
        self.counts[key as usize] == (1, 1)
    }
}
