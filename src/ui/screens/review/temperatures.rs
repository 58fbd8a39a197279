//! The same prompt at several temperatures: all arms at one of them, or one arm at all of them side by side.
//!
//! A reading, a pick and a tally are of one temperature. One arm across temperatures is looked at, not judged; and what was looked at
//! so is not read blind any more at the temperatures that were not open before.

use super::shelf::{Prompt, Shelf};
use super::spread::{Across, At, Content, Spread, View};
use super::{Focus, Mode, Place, Review, key};
use crate::config::Temperature;
use crate::ui::keys::Action;
use crate::ui::message::Effect;
use crate::ui::screen::Shared;

/// As many as there are rows to remember.
const MOST: usize = 4;

impl Review {
    /// The temperature that is read.
    pub(super) fn temperature(&self, shelf: &Shelf) -> Temperature {
        self.temperature.unwrap_or(shelf.temperature)
    }

    pub(super) fn view_of(&self, shelf: &Shelf) -> View {
        View { at: self.at, temperature: self.temperature(shelf), wants_blind: self.wants_blind }
    }

    /// The temperatures that stand side by side: all there are, or those around the one that is read.
    pub(super) fn side_by_side(&self, shelf: &Shelf, prompt: &Prompt) -> Vec<Temperature> {
        let all = shelf.temperatures(prompt);
        let here = all.iter().position(|&t| t == self.temperature(shelf)).unwrap_or(0);
        let first = here.saturating_sub(MOST / 2).min(all.len().saturating_sub(MOST));
        all.into_iter().skip(first).take(MOST).collect()
    }

    /// To the pane's arm at all temperatures, and back to all arms at the pane's temperature.
    pub(super) fn toggle_across(&mut self, shared: &Shared) -> Vec<Effect> {
        let (Some(shelf), Some(prompt), Some(spread)) = (&self.shelf, self.prompt(), self.spread(shared)) else { return vec![] };
        let at = self.pane.min(spread.panes.len().saturating_sub(1));
        let Some(pane) = spread.panes.get(at) else {
            let key = key(&shared.keymap, Action::Generate);
            return vec![Effect::say(format!("there is no text at this temperature to compare with others yet; {key} draws samples"))];
        };
        let temperature = pane.temperature;
        let (across, pane) = match &self.across {
            None => {
                let across = Across { arm: pane.arm, name: pane.title.clone(), is_hidden: spread.is_hidden };
                let at = self.side_by_side(shelf, prompt).iter().position(|&t| t == temperature);
                (Some(across), at.unwrap_or(0))
            }
            Some(across) => {
                let view = View { temperature, ..self.view_of(shelf) };
                let panes = Spread::new(shelf, prompt, view, &shared.work).panes;
                (None, panes.iter().position(|pane| pane.arm == across.arm).unwrap_or(0))
            }
        };
        self.across = across;
        self.temperature = Some(temperature);
        self.pane = pane;
        self.focus = Focus::Panes;
        self.mode = Mode::Reading;
        self.tops = [0; 4];
        vec![]
    }

    /// The next temperature, lower or higher; across temperatures, its pane.
    pub(super) fn walk_temperatures(&mut self, by: isize, shared: &Shared) -> Vec<Effect> {
        let (Some(shelf), Some(prompt)) = (&self.shelf, self.prompt()) else { return vec![] };
        if self.across.is_some() {
            let last = self.side_by_side(shelf, prompt).len().saturating_sub(1);
            self.pane = self.pane.min(last).saturating_add_signed(by).min(last);
            self.focus = Focus::Panes;
            return vec![];
        }
        let all = shelf.temperatures(prompt);
        let here = all.iter().position(|&t| t == self.temperature(shelf)).unwrap_or(0);
        let Some(&to) = all.get(here.saturating_add_signed(by).min(all.len().saturating_sub(1))) else { return vec![] };
        let samples = prompt.samples(to);
        self.temperature = Some(to);
        if let At::Sample(sample) = self.at {
            self.at = At::Sample(sample.min(samples.saturating_sub(1)));
        }
        self.tops = [0; 4];
        if matches!(self.mode, Mode::Rating(_) | Mode::Ranking(_)) {
            self.mode = Mode::Reading;
        }
        match samples {
            0 => vec![Effect::say(format!(
                "nothing was drawn at temperature {to} yet; {} draws samples",
                key(&shared.keymap, Action::Generate)
            ))],
            _ => vec![],
        }
    }

    /// What lies open across temperatures: where the arm's name is known, each of them; else all but the one that was open before, whose
    /// text tells nothing new.
    pub(super) fn seen_across(&self, spread: &Spread) -> Vec<Place> {
        let (Some(shelf), Some(prompt)) = (&self.shelf, self.prompt()) else { return vec![] };
        let open = self.temperature(shelf);
        let with_text = spread.panes.iter().filter(|pane| pane.content != Content::Missing);
        let told = with_text.filter(|pane| !spread.is_hidden || pane.temperature != open);
        let places = told
            .flat_map(|pane| pane.sample.map(At::Sample).into_iter().chain([self.at]).map(|at| (prompt.id.clone(), pane.temperature, at)));
        places.collect()
    }

    /// Why a verdict cannot be given on what lies open, where it is one arm across temperatures.
    pub(super) fn not_judged(&self, shared: &Shared) -> Option<String> {
        let key = key(&shared.keymap, Action::Temperatures);
        self.across.as_ref().map(|_| format!("a verdict is on arms at one temperature: {key} goes back to them"))
    }
}
