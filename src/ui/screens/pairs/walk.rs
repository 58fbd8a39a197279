//! Walking the list: the cursor, the tiers, the filter, and the texts that follow the cursor.

use super::form::{Field, Form, Purpose};
use super::list::Row;
use super::texts::{Side, Texts};
use super::{Mode, Pairs};
use crate::pairs::{Level, Tier};
use crate::ui::keys::{Action, Chord};
use crate::ui::message::Effect;
use crate::ui::screen::Shared;
use crate::ui::widgets::{LineInput, move_cursor};

const PAGE: usize = 10;

impl Pairs {
    pub(super) fn act_in_list(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if let Some(to) = move_cursor(self.list.cursor(), self.list.rows().len(), PAGE, action) {
            self.list.go_to(to);
            return self.turn_to_cursor();
        }
        match action {
            Action::EditPair => self.start_editing(None),
            Action::NextPane => self.start_editing(Some(Side::Prompt)),
            Action::PreviousPane => self.start_editing(Some(Side::Response)),
            Action::PreviousTier => self.step_tier(3),
            Action::NextTier => self.step_tier(1),
            Action::Filter => {
                self.mode = Mode::Filter;
                vec![]
            }
            Action::Cancel if self.list.is_filtered() => {
                self.list.filter = LineInput::default();
                self.relist()
            }
            Action::Sort => {
                self.list.cycle_sort(&self.library);
                self.turn_to_cursor()
            }
            Action::NewPair => {
                let fields = vec![
                    Field::new("name", "", "names the file: the-quiet-car"),
                    Field::new("source", "", "the essay or Note it is made from"),
                ];
                self.mode = Mode::Form(Form::new(Purpose::New, fields));
                vec![]
            }
            Action::NextProblem => self.go_to_problem(),
            Action::MaskPreview => self.next_mask(),
            Action::ExternalEditor => self.hand_out(),
            Action::Reload => self.read(),
            action => self.act_on_pair(action, shared),
        }
    }

    pub(super) fn act_in_filter(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Accept | Action::NextPane => {
                self.mode = Mode::List;
                vec![]
            }
            Action::Cancel => {
                self.mode = Mode::List;
                self.list.filter = LineInput::default();
                self.relist()
            }
            _ => vec![],
        }
    }

    pub(super) fn type_in_filter(&mut self, chord: Chord) -> Vec<Effect> {
        use crossterm::event::KeyCode::{Down, PageDown, PageUp, Up};
        let motion = match chord.code {
            Up => Action::Up,
            Down => Action::Down,
            PageUp => Action::PageUp,
            PageDown => Action::PageDown,
            _ => {
                return if self.list.filter.on_key(chord) { self.filtered() } else { vec![] };
            }
        };
        let to = move_cursor(self.list.cursor(), self.list.rows().len(), PAGE, motion);
        self.list.go_to(to.unwrap_or(0));
        self.turn_to_cursor()
    }

    /// The filter has changed: the best match is shown.
    pub(super) fn filtered(&mut self) -> Vec<Effect> {
        self.list.go_to(0);
        self.list.refresh(&self.library, None);
        self.turn_to_cursor()
    }

    /// The pairs have changed: the list follows, the cursor stays where it is.
    pub(super) fn relist(&mut self) -> Vec<Effect> {
        let id = self.texts.as_ref().map(|texts| texts.id().to_owned());
        self.list.refresh(&self.library, id.as_deref());
        self.turn_to_cursor()
    }

    pub(super) fn go_to_pair(&mut self, id: &str) -> Vec<Effect> {
        self.list.show(id, &self.library);
        let effects = self.turn_to_cursor();
        if self.list.id(&self.library) != Some(id) {
            return vec![Effect::warn(format!("there is no pair {id} any more"))];
        }
        effects
    }

    pub(super) fn show_tier(&mut self, tier: Tier) -> Vec<Effect> {
        self.list.show_tier(tier, &self.library);
        self.turn_to_cursor()
    }

    fn step_tier(&mut self, by: usize) -> Vec<Effect> {
        let at = usize::from(u8::from(self.list.tier())) - 1;
        self.show_tier(Tier::ALL[(at + by) % 4])
    }

    /// The texts of the pair under the cursor. Those that were left keep what can be undone in them.
    pub(super) fn turn_to_cursor(&mut self) -> Vec<Effect> {
        let id = self.current_id();
        if self.texts.as_ref().map(Texts::id) != id.as_deref() {
            let side = self.texts.as_ref().map_or(Side::Prompt, |texts| texts.side);
            if let Some(left) = self.texts.take().filter(Texts::has_history) {
                self.shelf.insert(left.id().to_owned(), left);
            }
            let shelved = id.and_then(|id| self.shelf.remove(&id));
            self.texts = shelved.or_else(|| self.current().map(|entry| Texts::of(entry.pair(), side)));
        }
        let task = super::current(&self.library, &self.list).and_then(|entry| self.gauges.look_at(entry));
        self.mark();
        task.map(Effect::task).into_iter().collect()
    }

    /// The next pair, in this tier or in one behind it, with an error or a warning.
    fn go_to_problem(&mut self) -> Vec<Effect> {
        let here = self.list.id(&self.library).unwrap_or("").to_owned();
        let is_bad = |id: &str| matches!(self.library.level(id), Some(Level::Error | Level::Warning));
        // Along the list as it is sorted, then through the other tiers by name.
        let of_list = self.list.rows().iter().skip(self.list.cursor() + 1).filter_map(|row| match row {
            Row::Pair(i) => self.library.entries.get(*i).map(super::Entry::id),
            Row::Broken(i) => self.library.broken().get(*i).map(|broken| &*broken.id),
        });
        let folder = self.list.tier().folder();
        let mut all: Vec<&str> = self.library.entries.iter().map(super::Entry::id).collect();
        all.extend(self.library.broken().iter().map(|broken| &*broken.id));
        all.sort_unstable();
        let is_behind = |id: &&str| !id.starts_with(folder) && **id > *folder;
        let behind = all.iter().copied().filter(is_behind);
        let before = all.iter().copied().filter(|id| !is_behind(id));
        let next = of_list.chain(behind).chain(before).find(|id| is_bad(id) && *id != here).map(str::to_owned);
        match next {
            Some(id) => self.go_to_pair(&id),
            None if is_bad(&here) => vec![Effect::say("no other pair has a problem")],
            None => vec![Effect::say("no pair has a problem")],
        }
    }
}
