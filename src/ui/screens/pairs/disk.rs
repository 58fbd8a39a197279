//! Reading, saving and keeping: what goes to the lanes, and what comes back.

use super::dialog::{Dialog, Question};
use super::entry::Entry;
use super::history::Change;
use super::library::Survey;
use super::tasks::{Done, Loaded, Task};
use super::texts::Texts;
use super::{Keeping, Pairs, Reading, SurveyState};
use crate::pairs::{Kept, Pair, Problem, SaveError};
use crate::ui::message::{Effect, Io};

/// Saves a pair as it is now.
pub fn save(entry: &Entry, is_asked: bool) -> Effect {
    Effect::task(Task::Save { pair: Box::new(entry.pair().clone()), over: None, is_asked })
}

impl Pairs {
    pub(super) fn read(&mut self) -> Vec<Effect> {
        self.reading = if self.reading == Reading::Never { Reading::First } else { Reading::Again };
        let unsaved = self.library.unsaved().map(|entry| entry.id().to_owned()).collect();
        vec![Effect::task(Task::Load { unsaved })]
    }

    pub(super) fn save_current(&self) -> Vec<Effect> {
        match self.current() {
            Some(entry) if entry.is_unsaved() => vec![save(entry, true)],
            Some(entry) => vec![Effect::say(format!("{} is saved", entry.id()))],
            None => vec![],
        }
    }

    pub(super) fn save_pair(&self, id: &str) -> Option<Effect> {
        self.library.entry(id).filter(|entry| entry.is_unsaved()).map(|entry| save(entry, false))
    }

    pub(super) fn is_keeping_due(&self) -> bool {
        self.library.entries.iter().any(Entry::is_due)
    }

    /// Puts what has changed since the last time into the journal.
    pub(super) fn keep(&mut self) -> Vec<Effect> {
        let due = self.library.entries.iter_mut().filter(|entry| entry.is_due());
        due.map(|entry| {
            entry.mark_kept();
            Effect::task(Task::Keep(Box::new(entry.pair().clone())))
        })
        .collect()
    }

    pub(super) fn take_in(&mut self, done: &Done) -> Vec<Effect> {
        match done {
            Done::Loaded(loaded) => match loaded.take() {
                Some(loaded) => self.loaded(loaded),
                None => vec![],
            },
            Done::Saved { pair, result, is_asked } => self.saved(pair, result, *is_asked),
            Done::Kept { id, result } => self.kept(id, result),
            Done::Dropped(Ok(())) => vec![],
            Done::Dropped(Err(error)) => vec![Effect::warn(format!("a recovery copy could not be removed: {error}"))],
            Done::Opened { id, result: Ok(pair) } => {
                if let Some(entry) = self.library.entry_mut(id) {
                    entry.take((**pair).clone());
                }
                self.forget_texts(id);
                self.changed_on_disk()
            }
            Done::Opened { result: Err(problems), .. } => problems.iter().map(|problem| Effect::error(problem.to_string())).collect(),
            Done::Moved { pair, result: Ok(new), is_new } => self.moved(&pair.id, new, *is_new),
            Done::Moved { result: Err(error), .. } => vec![Effect::error(error.to_string())],
            Done::Removed { pair, result: Ok(()) } => {
                let mut effects = self.drop_pair(&pair.id);
                effects.extend(self.look_over());
                effects
            }
            Done::Removed { result: Err(error), .. } => vec![Effect::error(error.to_string())],
            Done::ReadBroken { id, result: Ok(text) } => {
                self.outside = Some(id.clone());
                vec![Effect::Do(Io::Edit { text: text.clone(), extension: "yaml" })]
            }
            Done::ReadBroken { result: Err(error), .. } => vec![Effect::error(error.clone())],
            Done::Surveyed(survey) => self.surveyed(survey.take().unwrap_or_default()),
            Done::Measured { id, revision, looked } => {
                self.gauges.looked(id.clone(), *revision, looked.clone());
                let next = super::current(&self.library, &self.list).and_then(|entry| self.gauges.look_at(entry));
                self.mark();
                next.map(Effect::task).into_iter().collect()
            }
        }
    }

    /// A journal that cannot be written is tried again at each tick. That it is kept elsewhere, or nowhere, is said once.
    fn kept(&mut self, id: &str, result: &Result<Kept, SaveError>) -> Vec<Effect> {
        let now = match result {
            Ok(Kept::Beside) => Keeping::Beside,
            Ok(Kept::Elsewhere { .. }) => Keeping::Elsewhere,
            Err(_) => Keeping::Nowhere,
        };
        let before = std::mem::replace(&mut self.keeping, now);
        if result.is_err()
            && let Some(entry) = self.library.entry_mut(id)
        {
            entry.mark_not_kept();
        }
        match result {
            _ if before == now => vec![],
            Ok(Kept::Beside) => vec![Effect::say("recovery copies can be written again")],
            Ok(Kept::Elsewhere { folder, why }) => {
                vec![Effect::warn(format!("unsaved edits are kept in {}, since the workspace takes none: {why}", folder.display()))]
            }
            Err(error) => vec![Effect::warn(format!("no recovery copy could be written, the edits are in memory only: {error}"))],
        }
    }

    fn loaded(&mut self, Loaded { entries, problems, unsaved }: Loaded) -> Vec<Effect> {
        let is_first = self.reading == Reading::First;
        self.reading = Reading::Done;
        let id = self.texts.as_ref().map(|texts| texts.id().to_owned());
        let elsewhere: Vec<&Problem> = problems.iter().filter(|problem| !problem.file.starts_with("pairs/tier")).collect();
        let note = elsewhere.first().map(|problem| Effect::warn(problem.to_string()));
        self.library.load(entries, problems);
        // What is on the screen may have become another text on disk.
        let is_current = |texts: &Texts| {
            let entry = self.library.entry(texts.id());
            entry.is_some_and(|e| e.is_unsaved() || (texts.prompt.text() == e.pair().prompt && texts.response.text() == e.pair().response))
        };
        self.texts = self.texts.take().filter(is_current);
        self.shelf.retain(|_, texts| is_current(texts));
        self.list.refresh(&self.library, id.as_deref());
        let mut effects = match self.wanted.take() {
            Some(id) => self.go_to_pair(&id),
            None => self.turn_to_cursor(),
        };
        effects.extend(note);
        effects.extend(self.look_over());
        if is_first {
            let count = unsaved.len();
            for (i, unsaved) in unsaved.into_iter().enumerate() {
                let disk = self.library.entry(&unsaved.pair.id).map(|entry| Box::new(entry.pair().clone()));
                let question = Question::Recover { unsaved: Box::new(unsaved), disk, left: count - 1 - i };
                self.dialogs.push_back(Dialog::new(question));
            }
        }
        effects
    }

    fn saved(&mut self, pair: &Pair, result: &Result<(), SaveError>, is_asked: bool) -> Vec<Effect> {
        let Some(entry) = self.library.entry_mut(&pair.id) else { return vec![] };
        match result {
            Ok(()) => {
                entry.mark_saved(pair);
                let mut effects = self.look_over();
                if is_asked {
                    effects.push(Effect::say(format!("{} is saved", pair.id)));
                }
                effects
            }
            Err(SaveError::Conflict(conflict)) => {
                let question = Question::Conflict { pair: Box::new(pair.clone()), conflict: conflict.clone() };
                self.dialogs.push_back(Dialog::new(question));
                vec![]
            }
            Err(error) => vec![Effect::error(error.to_string())],
        }
    }

    fn moved(&mut self, old: &str, new: &Pair, is_new: bool) -> Vec<Effect> {
        if let Some(entry) = self.library.entry_mut(old) {
            entry.change(|pair| {
                pair.id.clone_from(&new.id);
                pair.tier = new.tier;
            });
            entry.mark_saved(new);
        }
        if let Some(texts) = self.texts.as_mut().filter(|texts| texts.id() == old) {
            texts.rename(&new.id);
        }
        if let Some(mut texts) = self.shelf.remove(old) {
            texts.rename(&new.id);
            self.shelf.insert(new.id.clone(), texts);
        }
        self.history.renamed(old, &new.id);
        if is_new {
            self.history.push(Change::Moved { from: old.to_owned(), to: new.id.clone() });
        }
        self.library.recount();
        let mut effects = self.go_to_pair(&new.id);
        effects.push(Effect::say(format!("{old} is now {}", new.id)));
        effects.extend(self.look_over());
        effects
    }

    fn changed_on_disk(&mut self) -> Vec<Effect> {
        self.library.recount();
        let mut effects = self.relist();
        effects.extend(self.look_over());
        effects
    }

    /// Looks at all pairs together again, after a change has reached the disk.
    fn look_over(&mut self) -> Vec<Effect> {
        match self.survey {
            SurveyState::Idle => {
                self.survey = SurveyState::UnderWay;
                vec![Effect::task(Task::Survey)]
            }
            _ => {
                self.survey = SurveyState::Outdated;
                vec![]
            }
        }
    }

    fn surveyed(&mut self, survey: Survey) -> Vec<Effect> {
        self.library.take_survey(survey);
        self.gauges.surveyed();
        let again = super::current(&self.library, &self.list).and_then(|entry| self.gauges.look_at(entry));
        let mut effects: Vec<Effect> = again.map(Effect::task).into_iter().collect();
        if std::mem::take(&mut self.survey) == SurveyState::Outdated {
            effects.extend(self.look_over());
        }
        effects
    }

    pub(super) fn drop_pair(&mut self, id: &str) -> Vec<Effect> {
        self.library.entries.retain(|entry| entry.id() != id);
        self.forget_texts(id);
        self.library.recount();
        self.relist()
    }

    /// The editors of a pair whose texts came from elsewhere begin anew.
    pub(super) fn forget_texts(&mut self, id: &str) {
        self.shelf.remove(id);
        if self.texts.as_ref().is_some_and(|texts| texts.id() == id) {
            self.texts = None;
        }
    }
}
