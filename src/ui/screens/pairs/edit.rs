//! Editing the texts in place, searching in them, and handing the pair to `$EDITOR`.

use super::dialog::{Dialog, Question};
use super::entry::Entry;
use super::tasks::Task;
use super::texts::Side;
use super::{Mode, Pairs};
use crate::dataset::Fit;
use crate::pairs::{Pair, from_yaml, to_yaml};
use crate::ui::editor::{Decoration, Edit, Kind, Rule};
use crate::ui::keys::{Action, Chord};
use crate::ui::message::{Effect, Io};
use crate::ui::screen::Shared;
use crate::ui::widgets::{LineInput, edit_of};

impl Pairs {
    pub(super) fn start_editing(&mut self, side: Option<Side>) -> Vec<Effect> {
        if self.texts.is_none() && self.list.row().is_some() {
            return self.hand_out();
        }
        if let Some(texts) = &mut self.texts {
            texts.side = side.unwrap_or(texts.side);
            self.mode = Mode::Edit;
        }
        vec![]
    }

    pub(super) fn act_in_text(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if let Some(edit) = edit_of(action) {
            return self.edit(edit);
        }
        let Some(texts) = &mut self.texts else { return vec![] };
        match action {
            Action::Leave => {
                texts.editor().apply(Edit::SelectNone);
                texts.editor().clear_find();
                self.mode = Mode::List;
                self.relist()
            }
            Action::NextPane | Action::PreviousPane => {
                texts.side = texts.side.other();
                vec![]
            }
            Action::Save => self.save_current(),
            Action::Copy => match texts.editor().selected() {
                Some(text) => vec![Effect::Do(Io::Copy(text)), Effect::say("copied")],
                None => vec![Effect::say("nothing is selected: Shift and an arrow key select")],
            },
            Action::CutSelection => match texts.editor().selected() {
                Some(text) => {
                    let mut effects = self.edit(Edit::Cut);
                    effects.push(Effect::Do(Io::Copy(text)));
                    effects
                }
                None => vec![],
            },
            Action::Paste => self.edit(Edit::Paste(shared.clipboard.clone())),
            Action::Find => {
                let selected = texts.editor().selected().filter(|text| !text.contains('\n'));
                self.mode = Mode::Find(LineInput::new(&selected.unwrap_or_default()));
                self.find(true)
            }
            Action::FindNext => self.find_again(true),
            Action::FindPrevious => self.find_again(false),
            Action::ExternalEditor => self.hand_out(),
            _ => vec![],
        }
    }

    /// Changes the text with the caret, and with it the pair.
    pub(super) fn edit(&mut self, edit: Edit) -> Vec<Effect> {
        let Some(texts) = &mut self.texts else { return vec![] };
        if texts.editor().apply(edit) {
            let (side, text) = (texts.side, texts.editor().text());
            if let Some(entry) = self.library.entry_mut(texts.id()) {
                entry.change(|pair| match side {
                    Side::Prompt => pair.prompt = text,
                    Side::Response => pair.response = text,
                });
            }
        }
        vec![]
    }

    pub(super) fn act_in_find(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Accept => self.mode = Mode::Edit,
            Action::Cancel => {
                self.mode = Mode::Edit;
                if let Some(texts) = &mut self.texts {
                    texts.editor().clear_find();
                }
            }
            _ => {}
        }
        vec![]
    }

    pub(super) fn type_in_find(&mut self, chord: Chord) -> Vec<Effect> {
        use crossterm::event::KeyCode::{Down, Up};
        let Mode::Find(pattern) = &mut self.mode else { return vec![] };
        match chord.code {
            Down => self.find_again(true),
            Up => self.find_again(false),
            _ if pattern.on_key(chord) => self.find(true),
            _ => vec![],
        }
    }

    /// Shows the first hit of what has been typed so far.
    pub(super) fn find(&mut self, forward: bool) -> Vec<Effect> {
        if let (Mode::Find(pattern), Some(texts)) = (&self.mode, &mut self.texts) {
            match pattern.text() {
                "" => texts.editor().clear_find(),
                pattern => {
                    texts.editor().find(pattern, forward);
                    self.sought = pattern.to_owned();
                }
            }
        }
        vec![]
    }

    fn find_again(&mut self, forward: bool) -> Vec<Effect> {
        let Some(texts) = &mut self.texts else { return vec![] };
        if self.sought.is_empty() {
            return vec![];
        }
        let found = texts.editor().find(&self.sought, forward);
        vec![Effect::say(format!("{}: {found}", self.sought))]
    }

    /// Lays over the texts what has been counted: where a model stops reading, and the mask where it is asked for.
    pub(super) fn mark(&mut self) {
        let Some(texts) = &mut self.texts else { return };
        let counts = self.library.entry(texts.id()).and_then(|entry| self.gauges.of(entry));
        let Some(counts) = counts.filter(|counts| !counts.is_stale) else { return };
        let gauges: Vec<_> = counts.counts.iter().filter_map(|count| Some((&count.model, count.gauge.as_ref().ok()?))).collect();
        let masked = self.mask.and_then(|at| gauges.get(at));
        // The model that stops first is the one to write for, unless another was asked for.
        let first = gauges.iter().filter(|(_, gauge)| gauge.cut_at().is_some()).min_by_key(|(_, gauge)| gauge.cut_at());
        let ruled = masked.or(first).and_then(|(model, gauge)| Some((model, gauge.cut_at()?)));
        texts.response.rule(ruled.map(|(model, at)| Rule { at, label: format!("{model} reads no further") }));
        let (prompt, response) = match masked {
            None => (vec![], vec![]),
            Some((_, gauge)) => match gauge.fit {
                Fit::Whole | Fit::Cut(_) => {
                    let fallen = gauge.trained.end..texts.response.text().chars().count();
                    let of = |range: std::ops::Range<usize>, kind| (!range.is_empty()).then_some(Decoration { range, kind });
                    let fallen = if gauge.cut_at().is_some() { of(fallen, Kind::CutOff) } else { None };
                    (of(gauge.context.clone(), Kind::Context).into_iter().collect(), fallen.into_iter().collect())
                }
                Fit::Left(_) | Fit::Failed(_) => {
                    let all = |text: String| vec![Decoration { range: 0..text.chars().count(), kind: Kind::Context }];
                    (all(texts.prompt.text()), all(texts.response.text()))
                }
            },
        };
        texts.prompt.decorate(prompt);
        texts.response.decorate(response);
    }

    /// The mask of the first model, of the next, and none.
    pub(super) fn next_mask(&mut self) -> Vec<Effect> {
        let counts = self.current().and_then(|entry| self.gauges.of(entry));
        let models = counts.map_or(0, |counts| counts.counts.iter().filter(|count| count.gauge.is_ok()).count());
        if models == 0 {
            return vec![Effect::warn("no model's tokenizer is here yet, so that there is no mask to show")];
        }
        self.mask = match self.mask {
            None => Some(0),
            Some(at) if at + 1 < models => Some(at + 1),
            Some(_) => None,
        };
        self.mark();
        vec![]
    }

    /// Gives the pair under the cursor, as it is here, to `$EDITOR`; of a broken file its text.
    pub(super) fn hand_out(&mut self) -> Vec<Effect> {
        match self.current() {
            Some(entry) => {
                let text = to_yaml(entry.pair());
                self.outside = Some(entry.id().to_owned());
                vec![Effect::Do(Io::Edit { text, extension: "yaml" })]
            }
            None => match self.list.id(&self.library) {
                Some(id) => vec![Effect::task(Task::ReadBroken(id.to_owned()))],
                None => vec![],
            },
        }
    }

    /// What `$EDITOR` left of the pair.
    pub(super) fn come_back(&mut self, text: &str) -> Vec<Effect> {
        let Some(id) = self.outside.take() else { return vec![] };
        let (pair, faults) = from_yaml(&id, text);
        let Some(pair) = pair.map(|pair| Pair { id: id.clone(), ..pair }) else {
            let question = Question::EditAgain { id, text: text.to_owned(), faults };
            self.dialogs.push_front(Dialog::new(question));
            return vec![];
        };
        let Some(entry) = self.library.entry_mut(&id) else {
            // A broken file has been mended.
            self.library.entries.push(Entry::made(pair));
            self.library.mended(&id);
            let mut effects = self.go_to_pair(&id);
            effects.extend(self.save_pair(&id));
            return effects;
        };
        if !entry.change(|old| *old = pair) {
            return vec![Effect::say("nothing was changed")];
        }
        if let Some(texts) = self.texts.as_mut().filter(|texts| texts.id() == id) {
            texts.follow(entry.pair());
        }
        self.library.recount();
        let mut effects = self.relist();
        effects.push(Effect::say(format!("{id}: taken over, not saved yet")));
        effects
    }
}
