//! Where the reader is: the prompt, the sample, the pane, the row.

use super::shelf::{Prompt, Shelf};
use super::spread::{At, is_ordered};
use super::{Focus, Mode, Review, key};
use crate::config::Temperature;
use crate::review::verdict::asked;
use crate::ui::keys::Action;
use crate::ui::message::Effect;
use crate::ui::screen::Shared;
use crate::ui::widgets::move_cursor;

impl Review {
    pub(super) fn motion(&mut self, action: Action, shared: &Shared) {
        let page = self.columns.page();
        if let (Mode::Rating(dimension), Action::Up | Action::Down) = (&self.mode, action) {
            let count = self.shelf.as_ref().zip(self.prompt()).map_or(0, |(shelf, prompt)| asked(&shelf.rubric, prompt.long).count());
            self.mode = Mode::Rating(move_cursor(*dimension, count, 1, action).unwrap_or(*dimension));
            return;
        }
        let by_page = matches!(action, Action::PageUp | Action::PageDown);
        if self.focus == Focus::Prompts && !by_page {
            if let Some(to) = move_cursor(self.cursor, self.prompts().count(), page, action) {
                self.go_to(to);
            }
            return;
        }
        let panes = self.spread(shared).map_or(0, |spread| spread.panes.len());
        let page = page as isize;
        let delta = match action {
            Action::Up => -1,
            Action::Down => 1,
            Action::PageUp => 1 - page,
            Action::PageDown => page - 1,
            Action::First => isize::MIN / 2,
            _ => isize::MAX / 2,
        };
        self.scroll(self.pane.min(panes.saturating_sub(1)), delta);
    }

    pub(super) fn scroll(&mut self, pane: usize, delta: isize) {
        for (at, top) in self.tops.iter_mut().enumerate() {
            if at == pane || self.scrolls_together {
                *top = (*top).min(self.columns.last_top(at)).saturating_add_signed(delta).min(self.columns.last_top(at));
            }
        }
    }

    pub(super) fn move_focus(&mut self, by: isize, shared: &Shared) {
        let panes = self.spread(shared).map_or(0, |spread| spread.panes.len()) as isize;
        // The list stands before the first pane; while scoring or zoomed in there are only panes.
        let is_of_panes = matches!(self.mode, Mode::Rating(_) | Mode::Ranking(_) | Mode::Marks(_));
        let first = if is_of_panes || self.is_zoomed { 0 } else { -1 };
        let now = if self.focus == Focus::Prompts { -1 } else { self.pane as isize };
        let count = panes - first;
        if count <= 0 {
            return;
        }
        match (now - first + by).rem_euclid(count) + first {
            -1 => self.focus = Focus::Prompts,
            pane => (self.focus, self.pane) = (Focus::Panes, pane as usize),
        }
        if let Mode::Marks(cursor) = &mut self.mode {
            *cursor = 0;
        }
    }

    pub(super) fn go_to(&mut self, prompt: usize) {
        let to = prompt.min(self.prompts().count().saturating_sub(1));
        if to != self.cursor {
            self.cursor = to;
            self.at = At::Sample(0);
            self.across = None;
            self.tops = [0; 4];
            if matches!(self.mode, Mode::Rating(_) | Mode::Ranking(_) | Mode::Marks(_)) {
                self.mode = Mode::Reading;
            }
        }
    }

    /// How many samples can be walked through: those that are drawn, and those that are being drawn.
    pub(super) fn samples(&self, shelf: &Shelf, prompt: &Prompt, shared: &Shared) -> usize {
        let temperatures = match self.across {
            Some(_) => self.side_by_side(shelf, prompt),
            None => vec![self.temperature(shelf)],
        };
        let of = |&temperature: &Temperature| {
            let is_ordered = (0..shelf.runs.len()).any(|run| is_ordered(shelf, prompt, run, temperature, &shared.work));
            let drawn = prompt.samples(temperature);
            if is_ordered { drawn.max(shelf.samples) } else { drawn }
        };
        temperatures.iter().map(of).max().unwrap_or(0)
    }

    pub(super) fn walk(&mut self, by: isize, shared: &Shared) {
        let Some((shelf, prompt)) = self.shelf.as_ref().zip(self.prompt()) else { return };
        let last = self.samples(shelf, prompt, shared).saturating_sub(1);
        self.at = match self.at {
            At::Sample(sample) => At::Sample(sample.saturating_add_signed(by).min(last)),
            At::Picks => At::Sample(0),
        };
        self.tops = [0; 4];
        match &mut self.mode {
            Mode::Rating(dimension) => *dimension = 0,
            Mode::Ranking(_) => self.mode = Mode::Reading,
            _ => {}
        }
    }

    pub(super) fn compare_picks(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.at == At::Picks {
            self.at = At::Sample(0);
            return vec![];
        }
        let before = std::mem::replace(&mut self.at, At::Picks);
        if self.spread(shared).is_none_or(|spread| spread.panes.iter().all(|pane| pane.sample.is_none())) {
            self.at = before;
            let key = key(&shared.keymap, Action::Pick);
            return vec![Effect::say(format!("nothing is picked of this prompt yet; {key} picks the best sample of an arm"))];
        }
        self.tops = [0; 4];
        vec![]
    }
}
