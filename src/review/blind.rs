//! Blind reading: which arm stands in which pane, and that nobody knows it before the verdict is in.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

use super::draw;
use super::verdict::ArmName;

/// The arms of one prompt behind their panes.
#[derive(Clone, PartialEq, Eq)]
pub struct Panes {
    arms: Vec<ArmName>,
    revealed: bool,
}

impl Panes {
    /// Shuffles the arms. The order depends on the seed, the prompt, the sample's number and the set of arms alone, so a reading
    /// that is taken up again shows what it showed before, and each prompt has its own.
    pub fn shuffled(arms: impl IntoIterator<Item = ArmName>, seed: u64, prompt: &str, sample: usize) -> Panes {
        let mut arms: Vec<ArmName> = arms.into_iter().collect();
        arms.sort();
        arms.dedup();
        let hash = Sha256::new().chain_update(seed.to_le_bytes()).chain_update((sample as u64).to_le_bytes()).chain_update(prompt);
        draw::shuffle(&mut arms, &mut ChaCha8Rng::from_seed(hash.finalize().into()));
        Panes { arms, revealed: false }
    }

    /// With the names shown from the start, in the order given: no blind reading.
    pub fn open(arms: Vec<ArmName>) -> Panes {
        Panes { arms, revealed: true }
    }

    pub fn reveal(&mut self) {
        self.revealed = true;
    }

    pub fn is_revealed(&self) -> bool {
        self.revealed
    }

    pub fn len(&self) -> usize {
        self.arms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.arms.is_empty()
    }

    /// `Pane 1`, and once it is revealed the arm's name. `pane` counts from 0; empty beyond the last.
    pub fn title(&self, pane: usize) -> String {
        match self.arms.get(pane) {
            Some(arm) if self.revealed => arm.to_string(),
            Some(_) => format!("Pane {}", pane + 1),
            None => String::new(),
        }
    }

    /// From the first pane to the last: for fetching the texts and writing the verdict. For the reader's eyes there is `title`.
    pub fn arms(&self) -> &[ArmName] {
        &self.arms
    }
}

impl std::fmt::Debug for Panes {
    /// Names are hidden here too: a message may end on the screen.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries((0..self.len()).map(|pane| self.title(pane))).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn arms() -> Vec<ArmName> {
        [("l", "llama-base"), ("l", "llama-tuned"), ("g", "gpt2-base"), ("g", "gpt2-tuned")]
            .map(|(run, arm)| ArmName::new(run, arm).unwrap())
            .to_vec()
    }

    #[test]
    fn a_reading_taken_up_again_shows_the_same_order() {
        let first = Panes::shuffled(arms(), 42, "A", 3);
        let mut backwards = arms();
        backwards.reverse();
        backwards.extend(arms());
        assert_eq!(Panes::shuffled(backwards, 42, "A", 3), first);
        assert_eq!(first.arms().iter().cloned().collect::<BTreeSet<_>>(), arms().into_iter().collect());
    }

    /// What a seed shuffled once it shuffles for good: verdicts that were begun under an older version are gone on with.
    #[test]
    fn the_order_of_a_seed_does_not_change_with_the_version() {
        let order = |prompt: &str, sample| {
            let panes = Panes::shuffled(arms(), 42, prompt, sample);
            panes.arms().iter().map(ArmName::arm).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            [order("A", 0), order("B", 0), order("A", 1)],
            [
                "gpt2-tuned llama-base gpt2-base llama-tuned",
                "llama-tuned llama-base gpt2-base gpt2-tuned",
                "llama-base llama-tuned gpt2-tuned gpt2-base"
            ]
        );
    }

    #[test]
    fn every_order_comes_about_equally_often() {
        let mut count: BTreeMap<Vec<ArmName>, u32> = BTreeMap::new();
        for (prompt, sample, seed) in (0..200).flat_map(|p| (0..4).flat_map(move |s| (0..3).map(move |seed| (p, s, seed)))) {
            *count.entry(Panes::shuffled(arms(), seed, &format!("prompt-{p}", p = prompt), sample).arms).or_default() += 1;
        }
        // 2,400 draws over 24 orders: 100 each, standard deviation 9.8.
        assert_eq!(count.len(), 24);
        let chi2: f64 = count.values().map(|&n| (f64::from(n) - 100.0).powi(2) / 100.0).sum();
        assert!(chi2 < 49.7, "{chi2}: chi-squared with 23 degrees of freedom is above this once in a thousand");
    }

    #[test]
    fn names_are_hidden_until_they_are_revealed() {
        let mut panes = Panes::shuffled(arms(), 1, "A", 0);
        assert_eq!((0..5).map(|pane| panes.title(pane)).collect::<Vec<_>>(), ["Pane 1", "Pane 2", "Pane 3", "Pane 4", ""]);
        assert_eq!(format!("{panes:?}"), r#"["Pane 1", "Pane 2", "Pane 3", "Pane 4"]"#);
        panes.reveal();
        assert_eq!(panes.title(2), panes.arms()[2].to_string());
        assert_eq!(Panes::open(arms()).title(0), "l/llama-base");
        assert!(Panes::shuffled([], 1, "A", 0).is_empty());
    }
}
