//! What is said where there is nothing to read yet.

use crate::ui::keys::Action;
use crate::ui::screen::Shared;
use crate::ui::screens::review::shelf::{Prompt, Shelf};
use crate::ui::screens::review::{Review, key};

impl Review {
    pub(super) fn why_empty(&self) -> Vec<String> {
        if let Some(error) = &self.error {
            return vec![error.clone()];
        }
        match &self.shelf {
            None => vec!["Reading runs, samples and verdicts …".into()],
            Some(shelf) => {
                let mut said = vec![
                    "No run has a result yet.".to_owned(),
                    "Review lays the texts of base and fine-tuned models side by side, without their names, for you to judge. Train a model on the Train screen first; it can be read from its first checkpoint on.".to_owned(),
                ];
                said.extend(shelf.problems.iter().cloned());
                said
            }
        }
    }

    pub(super) fn why_no_prompt(&self, shelf: &Shelf, shared: &Shared) -> Vec<String> {
        let mut said = shelf.problems.clone();
        said.push(format!("There is no prompt to read: {} asks one of your own.", key(&shared.keymap, Action::FreePrompt)));
        said
    }

    pub(super) fn why_no_text(&self, shelf: &Shelf, prompt: &Prompt, shared: &Shared) -> Vec<String> {
        let asked: Vec<usize> = (0..shelf.arms.len()).filter(|&arm| shelf.is_asked(prompt, shelf.arms[arm].run)).collect();
        let arms = asked.iter().map(|&arm| shelf.arms[arm].title.as_str()).collect::<Vec<_>>().join(", ");
        let mut said = vec![];
        if asked.is_empty() {
            said.push("This prompt asks for a long piece, and no model here can write one.".into());
        } else {
            let temperature = self.temperature(shelf);
            said.push(match temperature == shelf.temperature {
                true => "Nothing was drawn of this prompt yet.".to_owned(),
                false => format!("Nothing was drawn of this prompt at temperature {temperature} yet."),
            });
            said.push(format!("{} draws {} samples of each arm: {arms}.", key(&shared.keymap, Action::Generate), shelf.samples));
        }
        for run in shelf.runs.iter().filter(|run| run.step.is_none()) {
            said.push(format!("{} has no checkpoint yet: it can be read when it has one.", run.name));
        }
        said.extend(shelf.problems.iter().cloned());
        said
    }
}
