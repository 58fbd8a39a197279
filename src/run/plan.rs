//! Which examples each optimiser step sees: a pure function of the data, the config and the step, so that a resumed run needs to
//! know no more than its step.

use std::ops::Range;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::{Config, Every};
use crate::dataset::batch::{Example, Part};

/// The steps of a run. A step takes `batch` x `accumulate` examples; the last of an epoch may see fewer, and none crosses into the
/// next epoch.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    pub train: Vec<&'a Example>,
    pub validation: Vec<&'a Example>,
    batch: usize,
    accumulate: usize,
    epochs: usize,
    seed: u64,
}

/// One optimiser step.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStep<'a> {
    /// From 1.
    pub epoch: usize,
    pub micro_steps: Vec<Vec<&'a Example>>,
}

impl<'a> Plan<'a> {
    pub fn new(examples: &'a [Example], config: &Config) -> Plan<'a> {
        let part = |part| examples.iter().filter(|e| e.split == part).collect();
        Plan {
            train: part(Part::Train),
            validation: part(Part::Validation),
            batch: config.batch.max(1),
            accumulate: config.accumulate.max(1),
            epochs: config.epochs,
            seed: config.seed,
        }
    }

    pub fn steps_per_epoch(&self) -> usize {
        self.train.len().div_ceil(self.batch * self.accumulate)
    }

    /// Steps of all epochs.
    pub fn steps(&self) -> usize {
        self.steps_per_epoch() * self.epochs
    }

    /// Step `step`, counted from 1.
    pub fn step(&self, step: usize) -> PlannedStep<'a> {
        let epoch = (step - 1) / self.steps_per_epoch();
        let order = order(self.train.len(), self.seed, epoch);
        let examples: Vec<&Example> = order[self.window(step)].iter().map(|&i| self.train[i]).collect();
        PlannedStep { epoch: epoch + 1, micro_steps: examples.chunks(self.batch).map(<[_]>::to_vec).collect() }
    }

    /// How many examples of its epoch's order the run has seen after step `step`.
    pub fn cursor(&self, step: usize) -> usize {
        if step == 0 { 0 } else { self.window(step).end }
    }

    pub fn is_last_of_epoch(&self, step: usize) -> bool {
        step.is_multiple_of(self.steps_per_epoch())
    }

    /// Whether something that happens `every` so often happens after this step.
    pub fn is_due(&self, every: Every, step: usize) -> bool {
        match every {
            Every::Never => false,
            Every::Epoch => self.is_last_of_epoch(step),
            Every::Steps(n) => step.is_multiple_of(n) || step == self.steps(),
        }
    }

    /// The validation examples in the batches they are evaluated in.
    pub fn validation_batches(&self) -> impl Iterator<Item = &[&'a Example]> {
        self.validation.chunks(self.batch)
    }

    fn window(&self, step: usize) -> Range<usize> {
        let size = self.batch * self.accumulate;
        let start = (step - 1) % self.steps_per_epoch() * size;
        start..(start + size).min(self.train.len())
    }
}

/// The order in which an epoch (from 0) goes through its examples: shuffled anew each epoch, always the same for one seed.
fn order(examples: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64 + 1); // stream 0 belongs to the split
    let mut order: Vec<usize> = (0..examples).collect();
    order.shuffle(&mut rng);
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn examples(train: usize, validation: usize) -> Vec<Example> {
        let example = |pair: String, split| Example { pair, split, ids: vec![1, 2], mask: vec![0, 1], cut: false };
        let trained = (0..train).map(|i| example(format!("tier1/{i}"), Part::Train));
        trained.chain((0..validation).map(|i| example(format!("tier2/{i}"), Part::Validation))).collect()
    }

    fn plan(examples: &[Example], batch: usize, accumulate: usize, epochs: usize) -> Plan<'_> {
        let part = |part| examples.iter().filter(|e| e.split == part).collect();
        Plan { train: part(Part::Train), validation: part(Part::Validation), batch, accumulate, epochs, seed: 42 }
    }

    proptest! {
        #[test]
        fn every_epoch_sees_every_example_once(n in 1usize..40, batch in 1usize..5, accumulate in 1usize..5, epochs in 1usize..4) {
            let examples = examples(n, 3);
            let plan = plan(&examples, batch, accumulate, epochs);
            prop_assert_eq!(plan.steps(), n.div_ceil(batch * accumulate) * epochs);
            for epoch in 0..epochs {
                let mut seen = vec![];
                for step in epoch * plan.steps_per_epoch() + 1..=(epoch + 1) * plan.steps_per_epoch() {
                    let planned = plan.step(step);
                    prop_assert_eq!(planned.epoch, epoch + 1);
                    prop_assert!(planned.micro_steps.len() <= accumulate && planned.micro_steps.iter().all(|m| (1..=batch).contains(&m.len())));
                    seen.extend(planned.micro_steps.iter().flatten().map(|e| e.pair.clone()));
                    prop_assert_eq!(plan.cursor(step), seen.len());
                    prop_assert_eq!(plan.is_last_of_epoch(step), seen.len() == n);
                }
                prop_assert_eq!(seen.len(), n);
                prop_assert!(seen.iter().all(|pair| pair.starts_with("tier1/")));
                prop_assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), n);
            }
        }
    }

    #[test]
    fn epochs_differ_in_their_order_and_the_seed_fixes_it() {
        assert_ne!(order(20, 42, 0), order(20, 42, 1));
        assert_ne!(order(20, 42, 0), order(20, 43, 0));
        assert_eq!(order(20, 42, 3), order(20, 42, 3));
    }

    #[test]
    fn things_are_due_when_the_config_says() {
        let examples = examples(4, 0);
        let plan = plan(&examples, 1, 1, 2); // 8 steps
        let check = |every, expected: &[usize]| {
            assert_eq!((1..=plan.steps()).filter(|&s| plan.is_due(every, s)).collect::<Vec<_>>(), expected, "{every:?}");
        };
        check(Every::Never, &[]);
        check(Every::Epoch, &[4, 8]);
        check(Every::Steps(3), &[3, 6, 8]); // and at the end
    }
}
