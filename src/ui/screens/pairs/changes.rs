//! What is done to pairs from the list: made, copied, discarded, marked, moved, cut; and how that is taken back.

use super::dialog::{Dialog, Question};
use super::entry::{Entry, name_of};
use super::form::{Field, Form, Purpose};
use super::history::{Change, Properties};
use super::split::Cutting;
use super::tasks::Task;
use super::texts::Side;
use super::{Mode, Pairs, disk};
use crate::pairs::{Pair, Split, Status, duplicate, fresh_id, opening};
use crate::ui::keys::{Action, Context};
use crate::ui::message::Effect;
use crate::ui::screen::Shared;

impl Pairs {
    pub(super) fn act_on_pair(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        match action {
            Action::UndoChange => return self.undo_change(),
            Action::RedoChange => return self.redo_change(),
            _ => {}
        }
        let Some(pair) = self.current().map(Entry::pair) else { return vec![] };
        match action {
            Action::Save => self.save_current(),
            Action::ToggleReady => self.toggle_ready(),
            Action::DiscardPair if pair.status == Status::Discarded => {
                let key = shared.keymap.key_for(Context::Pairs, Action::ToggleReady).map_or(String::new(), |key| format!(" ({key})"));
                vec![Effect::say(format!("{} is discarded already; mark it ready{key} to bring it back", pair.id))]
            }
            Action::DiscardPair => {
                let id = pair.id.clone();
                let mut effects = self.set(&id, |pair| pair.status = Status::Discarded);
                let key =
                    shared.keymap.key_for(Context::Pairs, Action::UndoChange).map_or(String::new(), |key| format!("; {key} takes it back"));
                effects.push(Effect::say(format!("{id} is discarded, its file stays{key}")));
                effects
            }
            Action::CycleSplit => {
                let id = pair.id.clone();
                let split = match pair.split {
                    Split::Auto => Split::Train,
                    Split::Train => Split::Validation,
                    Split::Validation => Split::Auto,
                };
                self.set(&id, |pair| pair.split = split)
            }
            Action::DuplicatePair => {
                let copy = duplicate(pair, |id| self.library.is_taken(id));
                self.add(copy)
            }
            Action::MoveTier => {
                let question = Question::MoveTier { from: pair.tier };
                self.dialogs.push_back(Dialog::new(question));
                vec![]
            }
            Action::Properties => {
                self.mode = Mode::Form(properties(pair));
                vec![]
            }
            Action::CutOpening => match Cutting::new(pair) {
                Some(cutting) => {
                    self.mode = Mode::Cut(Box::new(cutting));
                    vec![]
                }
                None => vec![Effect::warn(format!("{}: the response has one paragraph only, there is no place to cut it", pair.id))],
            },
            _ => vec![],
        }
    }

    fn toggle_ready(&mut self) -> Vec<Effect> {
        let Some(pair) = self.current().map(Entry::pair) else { return vec![] };
        let id = pair.id.clone();
        if pair.status == Status::Ready {
            return self.set(&id, |pair| pair.status = Status::Draft);
        }
        let empty = match (pair.prompt.trim().is_empty(), pair.response.trim().is_empty()) {
            (true, true) => Some("prompt and response are empty: write them first"),
            (true, false) => Some("the prompt is empty: write it first"),
            (false, true) => Some("the response is empty: write it first"),
            (false, false) => None,
        };
        match empty {
            Some(why) => vec![Effect::warn(format!("{id} cannot be ready: {why}"))],
            None => self.set(&id, |pair| pair.status = Status::Ready),
        }
    }

    /// Changes a pair's properties and saves it.
    fn set(&mut self, id: &str, change: impl FnOnce(&mut Pair)) -> Vec<Effect> {
        let Some(entry) = self.library.entry_mut(id) else { return vec![] };
        let before = Properties::of(entry.pair());
        if !entry.change(change) {
            return vec![];
        }
        let after = Properties::of(entry.pair());
        self.history.push(Change::Properties { before: Box::new(before), after: Box::new(after), id: id.to_owned() });
        self.library.recount();
        let mut effects = self.relist();
        effects.extend(self.save_pair(id));
        effects
    }

    /// A new pair, with the cursor on it.
    fn add(&mut self, pair: Pair) -> Vec<Effect> {
        self.history.push(Change::Made(Box::new(pair.clone())));
        self.put(pair)
    }

    fn put(&mut self, pair: Pair) -> Vec<Effect> {
        let id = pair.id.clone();
        let entry = Entry::made(pair);
        let save = disk::save(&entry, false);
        self.library.entries.push(entry);
        self.library.recount();
        let mut effects = self.go_to_pair(&id);
        effects.push(save);
        effects
    }

    fn undo_change(&mut self) -> Vec<Effect> {
        match self.history.undo() {
            Some(change) => self.apply(change, false),
            None => vec![Effect::say("nothing to take back; the texts have their own undo")],
        }
    }

    fn redo_change(&mut self) -> Vec<Effect> {
        match self.history.redo() {
            Some(change) => self.apply(change, true),
            None => vec![Effect::say("nothing to do again")],
        }
    }

    fn apply(&mut self, change: Change, again: bool) -> Vec<Effect> {
        let gone = |id: &str| vec![Effect::warn(format!("there is no pair {id} any more"))];
        match change {
            Change::Properties { before, after, id } => {
                let Some(entry) = self.library.entry_mut(&id) else { return gone(&id) };
                let (from, to) = if again { (before, after) } else { (after, before) };
                entry.change(|pair| to.set_over(&from, pair));
                self.library.recount();
                let mut effects = self.go_to_pair(&id);
                effects.extend(self.save_pair(&id));
                effects
            }
            Change::Made(pair) if again => self.put(*pair),
            Change::Made(pair) => match self.library.entry(&pair.id) {
                None => gone(&pair.id),
                Some(entry) if *entry.pair() != *pair => {
                    vec![Effect::warn(format!("{} has been written in since it was made: discard it instead", pair.id))]
                }
                Some(_) => vec![Effect::task(Task::Remove(pair))],
            },
            Change::Moved { from, to } => {
                let (now, then) = if again { (from, to) } else { (to, from) };
                match self.library.entry(&now) {
                    None => gone(&now),
                    Some(entry) => vec![Effect::task(Task::Rename { pair: Box::new(entry.pair().clone()), id: then, is_new: false })],
                }
            }
        }
    }

    pub(super) fn act_in_form(&mut self, action: Action) -> Vec<Effect> {
        let Mode::Form(form) = &mut self.mode else { return vec![] };
        match action {
            Action::Cancel => self.mode = Mode::List,
            Action::NextPane => form.step(true),
            Action::PreviousPane => form.step(false),
            Action::Accept if !form.is_last() => form.step(true),
            Action::Accept | Action::Save => return self.take_form(),
            _ => {}
        }
        vec![]
    }

    fn take_form(&mut self) -> Vec<Effect> {
        let Mode::Form(form) = std::mem::replace(&mut self.mode, Mode::List) else { return vec![] };
        match form.purpose.clone() {
            Purpose::New => self.make(form),
            Purpose::Properties(id) => self.take_properties(form, &id),
        }
    }

    fn make(&mut self, mut form: Form) -> Vec<Effect> {
        let name = form.value("name").unwrap_or_default().to_owned();
        let source = form.value("source").unwrap_or_default().to_owned();
        if name.is_empty() && source.is_empty() {
            form.error = Some("a pair needs a name".into());
            form.cursor = 0;
            self.mode = Mode::Form(form);
            return vec![];
        }
        let (name, source) = match (name.is_empty(), source.is_empty()) {
            (true, _) => (source.clone(), source),
            (_, true) => (name.clone(), name),
            _ => (name, source),
        };
        let tier = self.list.tier();
        let id = fresh_id(tier, &name, |id| self.library.is_taken(id));
        let empty = String::new;
        let pair = Pair { id, tier, source, prompt: empty(), response: empty(), status: Status::Draft, split: Split::Auto, notes: empty() };
        let mut effects = self.add(pair);
        effects.extend(self.start_editing(Some(Side::Prompt)));
        effects
    }

    fn take_properties(&mut self, mut form: Form, id: &str) -> Vec<Effect> {
        let value = |label| form.value(label).map(str::to_owned);
        let (name, source, notes) = (value("name").unwrap_or_default(), value("source").unwrap_or_default(), value("notes"));
        let new_id = format!("{}/{name}", id.split_once('/').map_or("", |(folder, _)| folder));
        let is_same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        let error = match () {
            () if name.is_empty() => Some("a pair needs a name".to_owned()),
            () if source.is_empty() => Some("a pair needs a source: the essay or Note it is made from".to_owned()),
            () if !is_same(&new_id, id) && self.library.is_taken(&new_id) => Some(format!("there is a pair {new_id} already")),
            () => None,
        };
        if error.is_some() {
            form.error = error;
            self.mode = Mode::Form(form);
            return vec![];
        }
        let mut effects = self.set(id, |pair| {
            pair.source = source;
            pair.notes = notes.unwrap_or_else(|| pair.notes.clone());
        });
        if let Some(entry) = self.library.entry(id).filter(|_| new_id != id) {
            effects.push(Effect::task(Task::Rename { pair: Box::new(entry.pair().clone()), id: new_id, is_new: true }));
        }
        effects
    }

    pub(super) fn act_in_cutting(&mut self, action: Action) -> Vec<Effect> {
        let Mode::Cut(cutting) = &mut self.mode else { return vec![] };
        match action {
            Action::Up => cutting.step(-1),
            Action::Down => cutting.step(1),
            Action::PageUp => cutting.step(-5),
            Action::PageDown => cutting.step(5),
            Action::First => cutting.step(isize::MIN),
            Action::Last => cutting.step(isize::MAX),
            Action::Cancel | Action::EditPair => self.mode = Mode::List,
            Action::Accept => {
                let pair = opening(&cutting.essay, cutting.place(), |id| self.library.is_taken(id));
                self.mode = Mode::List;
                let id = pair.id.clone();
                let mut effects = self.add(pair);
                effects.push(Effect::say(format!("{id} is made, as a draft")));
                return effects;
            }
            _ => {}
        }
        vec![]
    }
}

fn properties(pair: &Pair) -> Form {
    let mut fields = vec![
        Field::new("name", name_of(&pair.id), "names the file"),
        Field::new("source", &pair.source, "the essay or Note it is made from"),
    ];
    // A line would make one of several.
    if !pair.notes.contains('\n') {
        fields.push(Field::new("notes", &pair.notes, "your own, never trained on"));
    }
    Form::new(Purpose::Properties(pair.id.clone()), fields)
}
