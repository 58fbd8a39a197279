//! What follows from the answers to questions.

use super::Pairs;
use super::dialog::{Answer, Dialog, Question};
use super::entry::Entry;
use super::tasks::Task;
use crate::pairs::Unsaved;
use crate::ui::keys::Action;
use crate::ui::message::{Effect, Io};

impl Pairs {
    pub(super) fn act_in_dialog(&mut self, action: Action) -> Vec<Effect> {
        let Some(dialog) = self.dialogs.front_mut() else { return vec![] };
        if let Question::Compare { scroll, .. } = &mut dialog.question {
            match action {
                Action::Up => *scroll = scroll.saturating_sub(1),
                Action::Down => *scroll += 1,
                Action::PageUp => *scroll = scroll.saturating_sub(10),
                Action::PageDown => *scroll += 10,
                Action::First => *scroll = 0,
                Action::Last => *scroll = usize::MAX,
                Action::Accept | Action::Cancel => {
                    if let Some(Dialog { question: Question::Compare { back, .. }, .. }) = self.dialogs.pop_front() {
                        self.dialogs.push_front(Dialog::new(*back));
                    }
                }
                _ => {}
            }
            return vec![];
        }
        let last = dialog.question.answers().len().saturating_sub(1);
        match action {
            Action::Up => dialog.cursor = dialog.cursor.saturating_sub(1),
            Action::Down => dialog.cursor = (dialog.cursor + 1).min(last),
            Action::Accept => {
                if let (Some(answer), Some(dialog)) = (dialog.answer(), self.dialogs.pop_front()) {
                    return self.answer(dialog.question, answer);
                }
            }
            // What came from the editor is not thrown away by one key.
            Action::Cancel if matches!(dialog.question, Question::EditAgain { .. }) => dialog.cursor = 0,
            Action::Cancel => drop(self.dialogs.pop_front()),
            _ => {}
        }
        vec![]
    }

    fn answer(&mut self, question: Question, answer: Answer) -> Vec<Effect> {
        match (question, answer) {
            (Question::MoveTier { .. }, Answer::Tier(tier)) => match self.current() {
                Some(entry) => vec![Effect::task(Task::Move { pair: Box::new(entry.pair().clone()), tier })],
                None => vec![],
            },
            (Question::Conflict { pair, conflict }, Answer::KeepMine) => {
                let pair = self.library.entry(&pair.id).map_or(pair, |entry| Box::new(entry.pair().clone()));
                vec![Effect::task(Task::Save { pair, over: Some(conflict.fingerprint), is_asked: true })]
            }
            (Question::Conflict { pair, conflict }, Answer::TakeTheirs) => match conflict.theirs {
                Some(_) => vec![Effect::task(Task::Open(pair.id))],
                None => {
                    let mut effects = self.drop_pair(&pair.id);
                    effects.push(Effect::task(Task::Forget(pair.id)));
                    effects
                }
            },
            (Question::Conflict { pair, conflict }, Answer::ShowBoth) => {
                let (old, new) = (conflict.theirs.clone().unwrap_or_default(), conflict.mine.clone());
                let title = format!("{}: − theirs, + mine", pair.id);
                self.compare(title, old, new, Question::Conflict { pair, conflict })
            }
            (Question::Recover { unsaved, .. }, Answer::Recover) => self.recover(unsaved),
            (Question::Recover { unsaved, .. }, Answer::GiveUp) => vec![Effect::task(Task::GiveUp(unsaved))],
            (Question::Recover { unsaved, disk, left }, Answer::ShowBoth) => {
                let old = disk.as_deref().map(crate::pairs::to_yaml).unwrap_or_default();
                let new = crate::pairs::to_yaml(&unsaved.pair);
                let title = format!("{}: − the file, + the edits", unsaved.pair.id);
                self.compare(title, old, new, Question::Recover { unsaved, disk, left })
            }
            (Question::EditAgain { id, text, .. }, Answer::EditAgain) => {
                self.outside = Some(id);
                vec![Effect::Do(Io::Edit { text, extension: "yaml" })]
            }
            _ => vec![],
        }
    }

    fn compare(&mut self, title: String, old: String, new: String, back: Question) -> Vec<Effect> {
        let question = Question::Compare { title, old, new, back: Box::new(back), scroll: 0 };
        self.dialogs.push_front(Dialog::new(question));
        vec![]
    }

    /// The edits become this session's own, unsaved as they were.
    fn recover(&mut self, unsaved: Box<Unsaved>) -> Vec<Effect> {
        let pair = unsaved.pair.clone();
        let id = pair.id.clone();
        match self.library.entry_mut(&id) {
            Some(entry) => drop(entry.change(|old| *old = pair)),
            None => self.library.entries.push(Entry::made(pair)),
        }
        if let Some(entry) = self.library.entry_mut(&id) {
            entry.mark_kept();
        }
        self.forget_texts(&id);
        self.library.recount();
        let mut effects = self.go_to_pair(&id);
        effects.push(Effect::task(Task::TakeOver(unsaved)));
        effects
    }
}
