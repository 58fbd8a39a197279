//! What lies in the panes: which arm in which, whole or as it is written, and what may be shown of it while its name is hidden.

use std::cmp::min;
use std::collections::BTreeSet;

use super::shelf::{Prompt, Shelf, Text};
use crate::config::Temperature;
use crate::review::blind::Panes;
use crate::review::verdict::{ArmName, Shown, Verdict};
use crate::ui::work::{Order, ReadOrder, Work};

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

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub at: At,
    pub temperature: Temperature,
    pub wants_blind: bool,
}

/// The panes of one prompt.
#[derive(Debug)]
pub struct Spread<'a> {
    pub panes: Vec<Pane<'a>>,
    /// Whether the arms' names are hidden.
    pub is_hidden: bool,
    /// Whether the panes are one arm at its temperatures, which are read and never judged against one another.
    pub is_across: bool,
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
    pub temperature: Temperature,
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

impl Pane<'_> {
    /// The text in it, for the record.
    pub fn shown(&self, shelf: &Shelf) -> Option<Shown> {
        match (&self.content, self.sample) {
            (Content::Whole(text), Some(sample)) => Some(Shown::new(shelf.arms[self.arm].name.clone(), sample, &text.text)),
            _ => None,
        }
    }
}

/// What lies on the shelf for one prompt.
struct Lying<'a, 'w> {
    shelf: &'a Shelf,
    prompt: &'a Prompt,
    work: &'w Work,
}

impl<'a> Lying<'a, '_> {
    /// The sample that was picked. One that was drawn anew since is not the one that was picked.
    fn picked(&self, arm: usize, temperature: Temperature) -> Option<usize> {
        let Shelf { verdicts, arms, temperature: usual, .. } = self.shelf;
        let pick = verdicts.pick(&self.prompt.id, &arms[arm].name, temperature, *usual)?;
        self.prompt.text(arm, temperature, pick.shown.sample).filter(|text| pick.shown.is(&text.text)).map(|_| pick.shown.sample)
    }

    fn sample(&self, arm: usize, temperature: Temperature, at: At) -> Option<usize> {
        match at {
            At::Sample(sample) => Some(sample),
            At::Picks => self.picked(arm, temperature),
        }
    }

    fn content(&self, arm: usize, temperature: Temperature, at: At) -> Content<'a> {
        let Some(sample) = self.sample(arm, temperature, at) else { return Content::Missing };
        match self.prompt.text(arm, temperature, sample) {
            Some(text) => Content::Whole(text),
            None => written(self.shelf, self.prompt, arm, temperature, sample, self.work).map_or(Content::Missing, Content::Written),
        }
    }

    fn pane(&self, title: String, arm: usize, temperature: Temperature, at: At, content: Content<'a>) -> Pane<'a> {
        let sample = self.sample(arm, temperature, at);
        let is_picked = sample.is_some() && self.picked(arm, temperature) == sample;
        Pane { title, arm, temperature, sample, is_picked, content }
    }
}

impl<'a> Spread<'a> {
    /// Every arm at one temperature.
    pub fn new(shelf: &'a Shelf, prompt: &'a Prompt, view: View, work: &Work) -> Spread<'a> {
        let View { at, temperature, wants_blind } = view;
        let lying = Lying { shelf, prompt, work };
        let contents: Vec<Content> = (0..shelf.arms.len()).map(|arm| lying.content(arm, temperature, at)).collect();
        let present: BTreeSet<usize> = (0..contents.len()).filter(|&arm| contents[arm] != Content::Missing).collect();
        let verdict = verdict_on(shelf, prompt, temperature, &present, |arm| match &contents[arm] {
            Content::Whole(text) => lying.sample(arm, temperature, at).map(|sample| (sample, text.text.as_str())),
            _ => None,
        });
        let is_hidden = wants_blind && verdict.is_none();
        let index = |name: &ArmName| shelf.arm_of(name);
        let order: Vec<usize> = match (verdict, is_hidden) {
            // As they lay before her.
            (Some(verdict), _) => verdict.reading.arms().filter_map(index).collect(),
            (None, true) => {
                let names = present.iter().map(|&arm| shelf.arms[arm].name.clone());
                // The order at one temperature, known after its verdict, must not tell that at another.
                let key = match temperature == shelf.temperature {
                    true => prompt.id.clone(),
                    false => format!("{} at {temperature}", prompt.id),
                };
                Panes::shuffled(names, shelf.seed, &key, at.number()).arms().iter().filter_map(index).collect()
            }
            (None, false) if present.is_empty() => vec![],
            (None, false) => (0..contents.len()).collect(),
        };
        let missing = (0..contents.len()).filter(|arm| !order.contains(arm)).collect();
        let mut contents: Vec<Option<Content>> = contents.into_iter().map(Some).collect();
        let mut panes: Vec<Pane> = (order.into_iter().enumerate())
            .map(|(place, arm)| {
                let title = if is_hidden { format!("Pane {}", place + 1) } else { shelf.arms[arm].title.clone() };
                lying.pane(title, arm, temperature, at, contents[arm].take().unwrap_or(Content::Missing))
            })
            .collect();
        if is_hidden {
            in_step(&mut panes);
        }
        Spread { panes, is_hidden, is_across: false, verdict, missing }
    }

    /// One arm at several temperatures, side by side. `name` is what it may be called.
    pub fn across(shelf: &'a Shelf, prompt: &'a Prompt, across: &Across, at: At, temperatures: &[Temperature], work: &Work) -> Spread<'a> {
        let lying = Lying { shelf, prompt, work };
        let pane = |&temperature: &Temperature| {
            let title = format!("{} at {temperature}", across.name);
            lying.pane(title, across.arm, temperature, at, lying.content(across.arm, temperature, at))
        };
        let panes = temperatures.iter().map(pane).collect();
        Spread { panes, is_hidden: across.is_hidden, is_across: true, verdict: None, missing: vec![] }
    }

    /// Whether every text is there to be judged.
    pub fn is_whole(&self) -> bool {
        !self.panes.is_empty() && self.panes.iter().all(|pane| !matches!(pane.content, Content::Written(_)))
    }

    /// What the reader has before her, from the first pane to the last. Panes without a text are not among them.
    pub fn shown(&self, shelf: &Shelf) -> Vec<Shown> {
        self.panes.iter().filter_map(|pane| pane.shown(shelf)).collect()
    }

    /// The pane of an arm.
    pub fn title_of(&self, shelf: &Shelf, name: &ArmName) -> String {
        let pane = self.panes.iter().find(|pane| shelf.arms[pane.arm].name == *name);
        pane.map_or_else(|| name.to_string(), |pane| pane.title.clone())
    }
}

/// An arm that is read at several temperatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Across {
    /// Position among the shelf's arms.
    pub arm: usize,
    /// What it is called; `Pane 2` while its name is hidden.
    pub name: String,
    pub is_hidden: bool,
}

/// Whether samples of this prompt at this temperature are being drawn from a run, or wait for it.
pub fn is_ordered(shelf: &Shelf, prompt: &Prompt, run: usize, temperature: Temperature, work: &Work) -> bool {
    let folder = &shelf.runs[run].folder;
    let reads = |order: &ReadOrder| {
        order.run == *folder && order_temperature(shelf, order) == temperature && order.prompts.iter().any(|(id, _)| *id == prompt.id)
    };
    let waits = |order: &Order| matches!(order, Order::Read(order) if reads(order));
    work.reading().is_some_and(|reading| reads(&reading.state.order)) || work.queue().any(waits)
}

fn order_temperature(shelf: &Shelf, order: &ReadOrder) -> Temperature {
    order.temperature.map_or(shelf.temperature, Temperature::new)
}

/// What is written so far of a sample that is being drawn or is going to be.
fn written(shelf: &Shelf, prompt: &Prompt, arm: usize, temperature: Temperature, sample: usize, work: &Work) -> Option<String> {
    let arm = &shelf.arms[arm];
    if sample >= shelf.samples || !is_ordered(shelf, prompt, arm.run, temperature, work) {
        return None;
    }
    let is_its = |order: &ReadOrder| order.run == shelf.runs[arm.run].folder && order_temperature(shelf, order) == temperature;
    let reading = work.reading().filter(|reading| is_its(&reading.state.order));
    let text =
        reading.filter(|reading| reading.state.prompt.as_ref() == Some(&prompt.id)).and_then(|reading| reading.stream(arm.arm, sample));
    Some(text.unwrap_or_default().to_owned())
}

/// The latest verdict on exactly these texts, whatever their order.
fn verdict_on<'a, 't>(
    shelf: &'a Shelf,
    prompt: &Prompt,
    temperature: Temperature,
    present: &BTreeSet<usize>,
    text: impl Fn(usize) -> Option<(usize, &'t str)>,
) -> Option<&'a Verdict> {
    let is_on = |verdict: &&Verdict| {
        let shown = &verdict.reading.shown;
        verdict.reading.prompt == prompt.id
            && verdict.reading.is_at(temperature, shelf.temperature)
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
