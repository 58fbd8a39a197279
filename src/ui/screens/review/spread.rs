//! What lies in the panes: which arm in which, whole or as it is written, and what may be shown of it while its name is hidden.

use std::cmp::min;
use std::collections::BTreeSet;

use super::shelf::{Prompt, Shelf, Text};
use crate::review::blind::Panes;
use crate::review::verdict::{ArmName, Shown, Verdict};
use crate::ui::work::{Order, Work};

/// Which sample of each arm is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// The same number of each, from 0.
    Sample(usize),
    /// The picked one of each.
    Picks,
}

impl At {
    /// Picks lie in an order of their own, apart from any sample's.
    fn number(self) -> usize {
        match self {
            At::Sample(sample) => sample,
            At::Picks => usize::MAX,
        }
    }
}

/// The panes of one prompt.
#[derive(Debug)]
pub struct Spread<'a> {
    pub panes: Vec<Pane<'a>>,
    /// Whether the arms' names are hidden.
    pub is_hidden: bool,
    /// The verdict on just these texts.
    pub verdict: Option<&'a Verdict>,
    /// Arms that are not among the panes.
    pub missing: Vec<usize>,
}

#[derive(Debug)]
pub struct Pane<'a> {
    pub title: String,
    /// Position among the shelf's arms.
    pub arm: usize,
    /// Which of the arm's samples; `None` where nothing was picked.
    pub sample: Option<usize>,
    pub is_picked: bool,
    pub content: Content<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'a> {
    Whole(&'a Text),
    /// As far as it may be shown.
    Written(String),
    Missing,
}

impl<'a> Spread<'a> {
    pub fn new(shelf: &'a Shelf, prompt: &'a Prompt, at: At, wants_blind: bool, work: &Work) -> Spread<'a> {
        let pick = |arm: usize| shelf.verdicts.picks.get(&(prompt.id.clone(), shelf.arms[arm].name.clone()));
        let whole = |arm: usize, sample: usize| prompt.texts.get(arm).and_then(|texts| texts.get(&sample));
        // A picked sample that was drawn anew since is not the one that was picked.
        let picked = |arm: usize| pick(arm).filter(|pick| whole(arm, pick.shown.sample).is_some_and(|text| pick.shown.is(&text.text)));
        let sample_of = |arm: usize| match at {
            At::Sample(sample) => Some(sample),
            At::Picks => picked(arm).map(|pick| pick.shown.sample),
        };
        let content = |arm: usize| {
            let Some(sample) = sample_of(arm) else { return Content::Missing };
            match whole(arm, sample) {
                Some(text) => Content::Whole(text),
                None => written(shelf, prompt, arm, sample, work).map_or(Content::Missing, Content::Written),
            }
        };
        let contents: Vec<Content> = (0..shelf.arms.len()).map(content).collect();
        let present: BTreeSet<usize> = (0..contents.len()).filter(|&arm| contents[arm] != Content::Missing).collect();
        let verdict = verdict_on(shelf, prompt, &present, |arm| match &contents[arm] {
            Content::Whole(text) => sample_of(arm).map(|sample| (sample, text.text.as_str())),
            _ => None,
        });
        let is_hidden = wants_blind && verdict.is_none();
        let index = |name: &ArmName| shelf.arm_of(name);
        let order: Vec<usize> = match (verdict, is_hidden) {
            // As they lay before her.
            (Some(verdict), _) => verdict.reading.arms().filter_map(index).collect(),
            (None, true) => {
                let names = present.iter().map(|&arm| shelf.arms[arm].name.clone());
                Panes::shuffled(names, shelf.seed, &prompt.id, at.number()).arms().iter().filter_map(index).collect()
            }
            (None, false) if present.is_empty() => vec![],
            (None, false) => (0..contents.len()).collect(),
        };
        let missing = (0..contents.len()).filter(|arm| !order.contains(arm)).collect();
        let mut contents: Vec<Option<Content>> = contents.into_iter().map(Some).collect();
        let mut panes: Vec<Pane> = (order.into_iter().enumerate())
            .map(|(at, arm)| Pane {
                title: if is_hidden { format!("Pane {}", at + 1) } else { shelf.arms[arm].title.clone() },
                arm,
                sample: sample_of(arm),
                is_picked: picked(arm).is_some_and(|pick| Some(pick.shown.sample) == sample_of(arm)),
                content: contents[arm].take().unwrap_or(Content::Missing),
            })
            .collect();
        if is_hidden {
            in_step(&mut panes);
        }
        Spread { panes, is_hidden, verdict, missing }
    }

    /// Whether every text is there to be judged.
    pub fn is_whole(&self) -> bool {
        !self.panes.is_empty() && self.panes.iter().all(|pane| !matches!(pane.content, Content::Written(_)))
    }

    /// What the reader has before her, from the first pane to the last. Panes without a text are not among them.
    pub fn shown(&self, shelf: &Shelf) -> Vec<Shown> {
        let shown = |pane: &Pane| match (&pane.content, pane.sample) {
            (Content::Whole(text), Some(sample)) => Some(Shown::new(shelf.arms[pane.arm].name.clone(), sample, &text.text)),
            _ => None,
        };
        self.panes.iter().filter_map(shown).collect()
    }

    /// The pane of an arm.
    pub fn title_of(&self, shelf: &Shelf, name: &ArmName) -> String {
        let pane = self.panes.iter().find(|pane| shelf.arms[pane.arm].name == *name);
        pane.map_or_else(|| name.to_string(), |pane| pane.title.clone())
    }
}

/// Whether samples of this prompt are being drawn from a run, or wait for it.
pub fn is_ordered(shelf: &Shelf, prompt: &Prompt, run: usize, work: &Work) -> bool {
    let folder = &shelf.runs[run].folder;
    let reads = |order: &crate::ui::work::ReadOrder| order.run == *folder && order.prompts.iter().any(|(id, _)| *id == prompt.id);
    let waits = |order: &Order| matches!(order, Order::Read(order) if reads(order));
    work.reading().is_some_and(|reading| reads(&reading.order)) || work.queue().any(waits)
}

/// What is written so far of a sample that is being drawn or is going to be.
fn written(shelf: &Shelf, prompt: &Prompt, arm: usize, sample: usize, work: &Work) -> Option<String> {
    let arm = &shelf.arms[arm];
    if sample >= shelf.samples || !is_ordered(shelf, prompt, arm.run, work) {
        return None;
    }
    let reading = work.reading().filter(|reading| reading.order.run == shelf.runs[arm.run].folder);
    let text = reading.filter(|reading| reading.prompt() == Some(&prompt.id)).and_then(|reading| reading.stream(arm.arm, sample));
    Some(text.unwrap_or_default().to_owned())
}

/// The latest verdict on exactly these texts, whatever their order.
fn verdict_on<'a, 't>(
    shelf: &'a Shelf,
    prompt: &Prompt,
    present: &BTreeSet<usize>,
    text: impl Fn(usize) -> Option<(usize, &'t str)>,
) -> Option<&'a Verdict> {
    let is_on = |verdict: &&Verdict| {
        let shown = &verdict.reading.shown;
        verdict.reading.prompt == prompt.id
            && shown.len() == present.len()
            && shown.iter().all(|shown| {
                let arm = shelf.arm_of(&shown.arm).filter(|arm| present.contains(arm));
                arm.and_then(&text).is_some_and(|(sample, text)| sample == shown.sample && shown.is(text))
            })
    };
    shelf.verdicts.verdicts.iter().rev().find(is_on)
}

/// Models write one after the other, which would tell their arms apart: while any text is unfinished, all panes show as much as the
/// shortest of them.
fn in_step(panes: &mut [Pane]) {
    let length = |text: &str| text.chars().count();
    let shortest = panes.iter().filter_map(|pane| if let Content::Written(text) = &pane.content { Some(length(text)) } else { None }).min();
    let Some(shortest) = shortest else { return };
    for pane in panes {
        let text = match &pane.content {
            Content::Whole(text) => &text.text,
            Content::Written(text) => text,
            Content::Missing => continue,
        };
        pane.content = Content::Written(text.chars().take(min(shortest, length(text))).collect());
    }
}
