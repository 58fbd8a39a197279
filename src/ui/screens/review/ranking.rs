//! A full ranking by keys: panes are placed one after another, the best first.

use super::{Focus, Mode, Review};
use crate::review::verdict::{ArmName, Outcome};
use crate::ui::message::Effect;
use crate::ui::screen::Shared;

/// Panes by place, the best first; those of one place are alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranking {
    pub places: Vec<Vec<usize>>,
    /// The next pane is as good as the last.
    pub is_alike: bool,
}

impl Ranking {
    pub fn holds(&self, pane: usize) -> bool {
        self.places.iter().any(|place| place.contains(&pane))
    }

    pub fn placed(&self) -> usize {
        self.places.iter().map(Vec::len).sum()
    }

    fn place(&mut self, pane: usize) {
        match self.places.last_mut().filter(|_| self.is_alike) {
            Some(last) => last.push(pane),
            None => self.places.push(vec![pane]),
        }
        self.is_alike = false;
    }

    /// Takes back the mark for alike, or else the last pane placed.
    fn take_back(&mut self) {
        if std::mem::take(&mut self.is_alike) {
            return;
        }
        if let Some(last) = self.places.last_mut() {
            last.pop();
        }
        self.places.retain(|place| !place.is_empty());
    }
}

impl Review {
    pub(super) fn begin_ranking(&mut self, shared: &Shared) -> Vec<Effect> {
        match self.draft_here(shared) {
            Err(why) => return vec![Effect::warn(why)],
            Ok((_, draft)) if draft.shown.len() < 2 => return vec![Effect::warn("a ranking needs two texts at least")],
            // One that was given before is begun anew: with digits that takes no longer than mending it.
            Ok(_) => {}
        }
        self.focus = Focus::Panes;
        self.mode = Mode::Ranking(Ranking::default());
        vec![]
    }

    /// Places a pane next; when the last one is placed, the ranking is taken.
    pub(super) fn place_next(&mut self, pane: usize, shared: &Shared) -> Vec<Effect> {
        let arms = self.arms_by_pane(shared);
        let Mode::Ranking(ranking) = &mut self.mode else { return vec![] };
        if arms.get(pane).is_none_or(Option::is_none) {
            return vec![Effect::warn(format!("there is no text in a pane {}", pane + 1))];
        }
        if ranking.holds(pane) {
            return vec![Effect::warn(format!("pane {} is placed already", pane + 1))];
        }
        ranking.place(pane);
        let is_last = ranking.placed() == arms.iter().flatten().count();
        self.pane = pane;
        if is_last { self.take_ranking(shared) } else { vec![] }
    }

    pub(super) fn place_alike(&mut self) -> Vec<Effect> {
        if let Mode::Ranking(ranking) = &mut self.mode {
            ranking.is_alike = !ranking.places.is_empty();
        }
        vec![]
    }

    pub(super) fn take_place_back(&mut self) -> Vec<Effect> {
        if let Mode::Ranking(ranking) = &mut self.mode {
            ranking.take_back();
        }
        vec![]
    }

    /// What is placed so far becomes the outcome; panes that were not placed stay without a place.
    pub(super) fn take_ranking(&mut self, shared: &Shared) -> Vec<Effect> {
        let arms = self.arms_by_pane(shared);
        let Mode::Ranking(ranking) = std::mem::replace(&mut self.mode, Mode::Reading) else { return vec![] };
        let of = |place: Vec<usize>| place.into_iter().filter_map(|pane| arms.get(pane).cloned().flatten()).collect::<Vec<ArmName>>();
        let groups: Vec<Vec<ArmName>> = ranking.places.into_iter().map(of).filter(|group| !group.is_empty()).collect();
        if groups.is_empty() {
            return vec![];
        }
        self.decide(shared, |draft, _| draft.outcome = Some(Outcome::Ranking(groups)))
    }

    /// The arm of each pane that has a text to be judged.
    fn arms_by_pane(&self, shared: &Shared) -> Vec<Option<ArmName>> {
        let (Some(shelf), Some(spread)) = (&self.shelf, self.spread(shared)) else { return vec![] };
        let shown = spread.shown(shelf);
        let arm = |arm: usize| shown.iter().map(|shown| &shown.arm).find(|name| **name == shelf.arms[arm].name).cloned();
        spread.panes.iter().map(|pane| arm(pane.arm)).collect()
    }
}
