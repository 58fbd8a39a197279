//! Putting prompts to the arms, and handing texts on to the Diff screen.

use std::time::Instant;

use super::shelf::{Kind, Prompt};
use super::spread::{Content, is_ordered};
use super::{Review, key};
use crate::config::Temperature;
use crate::run::protocol::Arm;
use crate::ui::keys::Action;
use crate::ui::message::{DiffSubject, Effect, Open, Revision};
use crate::ui::screen::Shared;
use crate::ui::work::ReadOrder;

impl Review {
    /// Draws what is missing, or what would come out otherwise by now.
    pub(super) fn generate(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some((shelf, prompt)) = self.shelf.as_ref().zip(self.prompt()) else { return vec![] };
        // Across temperatures it is one arm that is asked, at each of them.
        let (wanted, arm) = match &self.across {
            Some(across) => (self.side_by_side(shelf, prompt), Some(across.arm)),
            None => (vec![self.temperature(shelf)], None),
        };
        let is_wanted = |at: usize| arm.is_none_or(|arm| arm == at);
        let is_current = |run: usize, temperature: Temperature| {
            let mut arms = (0..shelf.arms.len()).filter(|&at| shelf.arms[at].run == run && is_wanted(at));
            arms.all(|at| (0..shelf.samples).all(|sample| prompt.text(at, temperature, sample).is_some_and(|text| text.is_current)))
        };
        let of_arm = |run: usize| (0..shelf.arms.len()).any(|at| shelf.arms[at].run == run && is_wanted(at));
        let asked: Vec<usize> = (0..shelf.runs.len()).filter(|&run| of_arm(run) && shelf.is_asked(prompt, run)).collect();
        let ready: Vec<usize> = asked.iter().copied().filter(|&run| shelf.runs[run].step.is_some()).collect();
        let all = ready.iter().flat_map(|&run| wanted.iter().map(move |&temperature| (run, temperature)));
        let left: Vec<(usize, Temperature)> = all.filter(|&(run, temperature)| !is_current(run, temperature)).collect();
        let new = left.iter().copied().filter(|&(run, temperature)| !is_ordered(shelf, prompt, run, temperature, &shared.work));
        let new: Vec<(usize, Temperature)> = new.collect();
        if ready.is_empty() {
            let why = if asked.is_empty() { "no model here takes prompts for a long piece" } else { "these runs have no checkpoint yet" };
            return vec![Effect::warn(format!("nothing can be drawn: {why}"))];
        }
        if left.is_empty() {
            let key = key(&shared.keymap, Action::NextTemperature);
            let text = format!(
                "all samples of this prompt are drawn, and would come out the same; more of them are set in configs/sampling.yaml, {key} goes to another temperature"
            );
            return vec![Effect::say(text)];
        }
        if new.is_empty() {
            return vec![Effect::say("samples of this prompt are being drawn already")];
        }
        let arms = arm.map_or_else(|| vec![Arm::Base, Arm::Tuned], |at| vec![shelf.arms[at].arm]);
        let order = |(run, temperature): (usize, Temperature)| ReadOrder {
            run: shelf.runs[run].folder.clone(),
            arms: arms.clone(),
            prompts: vec![(prompt.id.clone(), prompt.text.clone())],
            samples: None,
            temperature: Some(temperature.get()),
        };
        let mut effects: Vec<Effect> = new.into_iter().map(|one| Effect::Order(order(one).into())).collect();
        if shared.work.is_training() {
            effects.push(Effect::say("a run is training: other models' samples are drawn when it has ended"));
        }
        effects
    }

    /// Puts a prompt of the writer's own to every arm.
    pub(super) fn ask(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        let Some(shelf) = &mut self.shelf else { return vec![] };
        let mut prompt = Prompt::free(text);
        let at = match shelf.prompts.iter().position(|other| other.id == prompt.id) {
            Some(at) => at,
            None => {
                prompt.texts = vec![Default::default(); shelf.arms.len()];
                self.own.push(prompt.clone());
                shelf.prompts.push(prompt);
                shelf.prompts.len() - 1
            }
        };
        self.go_to(at);
        self.generate(shared)
    }

    pub(super) fn open_diff(&self, shared: &Shared) -> Vec<Effect> {
        let (Some(prompt), Some(spread)) = (self.prompt(), self.spread(shared)) else { return vec![] };
        let mut revisions = vec![];
        let mut shown = 0;
        for (at, pane) in spread.panes.iter().enumerate() {
            if let (Content::Whole(text), Some(sample)) = (&pane.content, pane.sample) {
                if at == self.pane {
                    shown = revisions.len();
                }
                revisions.push(Revision { arm: pane.title.clone(), sample, text: text.text.clone(), marks: self.marks_of(&spread, pane) });
            }
        }
        if revisions.is_empty() {
            let key = key(&shared.keymap, Action::Generate);
            return vec![Effect::say(format!("there is no text to compare with the prompt yet; {key} draws samples"))];
        }
        let (title, draft, finished) = (prompt.name.clone(), prompt.text.clone(), prompt.finished.clone());
        // Of a prompt of her own nobody knows; it may be a draft.
        let is_topic = prompt.kind != Kind::Free && finished.is_none();
        let note = is_topic.then(|| Effect::say("this prompt is no draft: what was cut and kept of it says little about editing"));
        note.into_iter().chain([Effect::Open(Open::Diff(DiffSubject { title, draft, revisions, shown, finished }))]).collect()
    }

    pub(super) fn keep_pace(&mut self, shared: &Shared) {
        let Some(reading) = shared.work.reading().filter(|reading| reading.tokens > 0) else {
            self.pace = None;
            return;
        };
        let (since, _) = *self.pace.get_or_insert((Instant::now(), 0.0));
        let seconds = since.elapsed().as_secs_f64();
        self.pace = Some((since, if seconds > 0.5 { reading.tokens as f64 / seconds } else { 0.0 }));
    }
}
