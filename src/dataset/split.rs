//! Which pairs are trained on and which are held out. Pairs of one source are never divided: a topic and an opening made from
//! one essay share its text, and a loss on text that was trained on says nothing.

use std::collections::BTreeMap;
use std::fmt;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::batch::Part;
use crate::pairs::{Pair, Split, Status};

/// A source with pairs on both sides of the split, by the writer's own marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    pub source: String,
    /// Pair ids with `split: train`.
    pub train: Vec<String>,
    /// Pair ids with `split: validation`.
    pub validation: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Leaks(pub Vec<Leak>);

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, leak) in self.0.iter().enumerate() {
            let gap = if i == 0 { "" } else { "; " };
            write!(
                f,
                "{gap}source `{}` is on both sides of the split: {} is marked `split: train`, {} `split: validation`. Give all its pairs one mark",
                leak.source,
                leak.train.join(", "),
                leak.validation.join(", ")
            )?;
        }
        Ok(())
    }
}

/// The ready pairs with their parts, in the order of their ids.
///
/// A source goes where one of its pairs is marked to go. From the others, as many whole sources are held out, chosen by `seed`,
/// as bring the held-out pairs nearest to `fraction` of all ready pairs (the smaller number where two are equally near). At least
/// one source is always left to train on.
///
/// The result depends on the pairs, not on their order.
pub fn split(pairs: &[Pair], fraction: f64, seed: u64) -> Result<Vec<(&Pair, Part)>, Leaks> {
    let mut ready: Vec<&Pair> = pairs.iter().filter(|pair| pair.status == Status::Ready).collect();
    ready.sort_by(|a, b| a.id.cmp(&b.id));
    let mut sources: BTreeMap<&str, Vec<&Pair>> = BTreeMap::new();
    for &pair in &ready {
        sources.entry(&pair.source).or_default().push(pair);
    }

    let leaks: Vec<Leak> = sources.iter().filter_map(|(source, pairs)| leak(source, pairs)).collect();
    if !leaks.is_empty() {
        return Err(Leaks(leaks));
    }
    let mut parts: BTreeMap<&str, Part> = BTreeMap::new();
    let mut free: Vec<(&str, usize)> = vec![];
    for (source, pairs) in &sources {
        match pairs.iter().find_map(|pair| marked(pair)) {
            Some(part) => drop(parts.insert(source, part)),
            None => free.push((source, pairs.len())),
        }
    }
    let held_out: usize = parts.iter().filter(|(_, part)| **part == Part::Validation).map(|(source, _)| sources[source].len()).sum();
    let all_must_not_go = !parts.values().any(|&part| part == Part::Train);
    free.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let chosen =
        nearest_sum(&free.iter().map(|(_, n)| *n).collect::<Vec<_>>(), fraction * ready.len() as f64 - held_out as f64, all_must_not_go);
    for (&(source, _), chosen) in free.iter().zip(chosen) {
        parts.insert(source, if chosen { Part::Validation } else { Part::Train });
    }
    Ok(ready.into_iter().map(|pair| (pair, parts[pair.source.as_str()])).collect())
}

fn marked(pair: &Pair) -> Option<Part> {
    match pair.split {
        Split::Auto => None,
        Split::Train => Some(Part::Train),
        Split::Validation => Some(Part::Validation),
    }
}

fn leak(source: &str, pairs: &[&Pair]) -> Option<Leak> {
    let ids = |part| pairs.iter().filter(|pair| marked(pair) == Some(part)).map(|pair| pair.id.clone()).collect::<Vec<_>>();
    let (train, validation) = (ids(Part::Train), ids(Part::Validation));
    (!train.is_empty() && !validation.is_empty()).then(|| Leak { source: source.to_owned(), train, validation })
}

/// Which of `sizes` to take so that their sum is nearest to `target`, the smaller sum where two are equally near; never all of
/// them if `not_all`.
fn nearest_sum(sizes: &[usize], target: f64, not_all: bool) -> Vec<bool> {
    let total: usize = sizes.iter().sum();
    // reached[s]: the item whose turn first made the sum s possible.
    let mut reached: Vec<Option<usize>> = vec![None; total + 1];
    for (item, &size) in sizes.iter().enumerate() {
        for sum in (size..=total).rev() {
            let from = sum - size;
            let possible = from == 0 || reached[from].is_some(); // `reached[from]` is still that of the items before
            if reached[sum].is_none() && possible {
                reached[sum] = Some(item);
            }
        }
    }
    let distance = |sum: usize| (sum as f64 - target).abs();
    let mut best = 0;
    for sum in 1..=total {
        if reached[sum].is_some() && !(not_all && sum == total) && distance(sum) < distance(best) {
            best = sum;
        }
    }
    let mut taken = vec![false; sizes.len()];
    while let Some(item) = reached[best].filter(|_| best > 0) {
        taken[item] = true;
        best -= sizes[item];
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::super::testing::pair;
    use super::*;

    /// Pairs from lines such as `essay train` (source and mark), with ids in order.
    fn pairs(lines: &[&str]) -> Vec<Pair> {
        let of = |(i, line): (usize, &&str)| {
            let (source, mark) = line.split_once(' ').unwrap();
            let (status, split) = match mark {
                "auto" => (Status::Ready, Split::Auto),
                "train" => (Status::Ready, Split::Train),
                "validation" => (Status::Ready, Split::Validation),
                "draft" => (Status::Draft, Split::Validation),
                _ => (Status::Discarded, Split::Validation),
            };
            Pair { id: format!("p{i:02}"), source: source.into(), status, split, ..pair("a", "b") }
        };
        lines.iter().enumerate().map(of).collect()
    }

    fn held_out(pairs: &[Pair], fraction: f64, seed: u64) -> Vec<&str> {
        split(pairs, fraction, seed)
            .unwrap()
            .into_iter()
            .filter(|(_, part)| *part == Part::Validation)
            .map(|(pair, _)| pair.id.as_str())
            .collect()
    }

    #[test]
    fn marks_are_honoured_and_carry_their_source() {
        let pairs = pairs(&["a auto", "a validation", "b train", "b auto", "c auto", "d draft", "d auto"]);
        assert_eq!(held_out(&pairs, 0.0, 1), ["p00", "p01"]);
        assert!(split(&pairs, 0.5, 1).unwrap().iter().all(|(pair, _)| pair.id != "p05"), "drafts are not part of the data");
    }

    #[test]
    fn a_source_on_both_sides_is_an_error() {
        let pairs = pairs(&["a train", "a validation", "a auto", "b validation", "b discarded"]);
        let leaks = split(&pairs, 0.1, 1).unwrap_err();
        assert_eq!(leaks.0, [Leak { source: "a".into(), train: vec!["p00".into()], validation: vec!["p01".into()] }]);
        assert!(leaks.to_string().contains("source `a` is on both sides"));
    }

    #[test]
    fn the_fraction_is_met_as_nearly_as_whole_sources_allow() {
        let check = |sizes: &[usize], fraction, expected: usize| {
            let lines: Vec<String> = sizes.iter().enumerate().flat_map(|(s, &n)| vec![format!("s{s} auto"); n]).collect();
            let pairs = pairs(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            for seed in 0..20 {
                assert_eq!(held_out(&pairs, fraction, seed).len(), expected, "{sizes:?} {fraction} {seed}");
            }
        };
        check(&[1; 10], 0.2, 2);
        check(&[4, 4, 4, 3], 0.2, 3);
        check(&[2, 2, 2, 2, 2], 0.3, 2); // 3 are wanted; 2 and 4 are equally near
        check(&[5, 5, 5, 5], 0.07, 0);
        check(&[3], 0.5, 0);
        check(&[1, 9], 0.5, 1);
        check(&[1, 1], 0.5, 1);
        check(&[], 0.5, 0);
    }

    #[test]
    fn marked_pairs_count_towards_the_fraction() {
        let pairs = pairs(&["a validation", "a auto", "b auto", "c auto", "d auto", "e auto", "f auto", "g auto", "h auto", "i auto"]);
        assert_eq!(held_out(&pairs, 0.2, 5), ["p00", "p01"]);
        assert_eq!(held_out(&pairs, 0.3, 5).len(), 3);
    }

    #[test]
    fn the_seed_decides_and_the_order_of_files_does_not() {
        let lines: Vec<String> = (0..20).map(|i| format!("s{i} auto")).collect();
        let pairs = pairs(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let mut reversed = pairs.clone();
        reversed.reverse();
        assert_eq!(held_out(&pairs, 0.2, 3), held_out(&reversed, 0.2, 3));
        let different: std::collections::BTreeSet<_> = (0..10).map(|seed| held_out(&pairs, 0.2, seed)).collect();
        assert!(different.len() > 5, "{different:?}");
    }
}
