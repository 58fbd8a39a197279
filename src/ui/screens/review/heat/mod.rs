//! The heat map: how surprised base and fine-tuned are by a text, token by token. Any text of the prompt (the sample in the pane, what the
//! writer answered, her draft), scored by the arms of either run.

mod lines;
mod shown;
mod view;

use super::shelf::{Prompt, Shelf};
use super::spread::Content;
use super::tasks::Task;
use super::{Mode, Review, key};
use crate::config::Temperature;
use crate::review::surprisal::View;
use crate::run::protocol::Finish;
use crate::run::scoring::Subject;
use crate::ui::keys::Action;
use crate::ui::message::Effect;
use crate::ui::screen::Shared;
use crate::ui::screens::review::tasks::Ready;
use crate::ui::work::{ScoreOrder, ScoredText};
use shown::Shown;

/// A heat map that is open.
#[derive(Debug)]
pub struct Heat {
    which: Which,
    /// Position among the shelf's runs: whose arms score.
    run: usize,
    view: View,
    /// What comes for another ticket is not waited for any more.
    ticket: u64,
    state: State,
}

/// Which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Sample {
        arm: usize,
        temperature: Temperature,
        sample: usize,
    },
    /// What the writer answered.
    Own,
    /// Her draft, unchanged, as an answer to itself.
    Draft,
}

#[derive(Debug)]
enum State {
    /// It is tokenised, or waits for the engine.
    Coming,
    Shown(Box<Shown>),
    Failed(String),
}

impl Review {
    /// Opens the heat map of the text in the pane, or of the writer's own where names are hidden; closes it where it is open.
    pub(super) fn toggle_heat(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.heat.take().is_some() {
            return vec![];
        }
        let Some(&which) = self.scorable(shared).first() else {
            let (blind, generate) = (key(&shared.keymap, Action::Blind), key(&shared.keymap, Action::Generate));
            return vec![Effect::say(match self.spread(shared).is_some_and(|spread| spread.is_hidden && !spread.panes.is_empty()) {
                true => format!("a heat map would tell which arm wrote the text: give the verdict first, or show the names with {blind}"),
                false => format!("there is no text here to score yet; {generate} draws samples"),
            })];
        };
        let run = match which {
            Which::Sample { arm, .. } => self.shelf.as_ref().map_or(0, |shelf| shelf.arms[arm].run),
            Which::Own | Which::Draft => 0,
        };
        self.ask_scores(which, run, View::Tuned)
    }

    pub(super) fn act_on_heat(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        let texts = self.scorable(shared);
        let runs = self.shelf.as_ref().map_or(0, |shelf| shelf.runs.len());
        let Some(heat) = &mut self.heat else { return vec![] };
        match action {
            Action::HeatMap | Action::Cancel => self.heat = None,
            Action::HeatView => heat.view = heat.view.next(),
            Action::HeatText => {
                let at = texts.iter().position(|which| *which == heat.which).map_or(0, |at| at + 1);
                let (run, view) = (heat.run, heat.view);
                match texts.get(at % texts.len().max(1)) {
                    Some(&which) if which != heat.which => return self.ask_scores(which, run, view),
                    _ => return vec![Effect::say("there is no other text of this prompt to score")],
                }
            }
            Action::HeatModel => {
                let (which, run, view) = (heat.which, (heat.run + 1) % runs.max(1), heat.view);
                if run == heat.run {
                    return vec![Effect::say("there is no other run here to score by")];
                }
                return self.ask_scores(which, run, view);
            }
            action => {
                if let State::Shown(shown) = &mut heat.state {
                    shown.go(action, heat.view);
                }
            }
        }
        vec![]
    }

    pub(super) fn on_score_ready(&mut self, ticket: u64, ready: &Result<Ready, String>) -> Vec<Effect> {
        let Some(heat) = self.heat.as_mut().filter(|heat| heat.ticket == ticket) else { return vec![] };
        match ready {
            Err(error) => heat.state = State::Failed(error.clone()),
            Ok(Ready::Kept(scores)) => heat.show((**scores).clone(), None),
            Ok(Ready::New(request)) => return vec![Effect::Order(ScoreOrder { ticket, request: (**request).clone() }.into())],
        }
        vec![]
    }

    pub(super) fn on_scored(&mut self, ticket: u64, text: &Result<Box<ScoredText>, String>) {
        let Some(heat) = self.heat.as_mut().filter(|heat| heat.ticket == ticket) else { return };
        match text {
            Err(error) => heat.state = State::Failed(error.clone()),
            Ok(text) => heat.show(text.scores.clone(), text.step),
        }
    }

    /// What of this prompt can be scored: what the pane holds, where its arm may be known, then the writer's own.
    fn scorable(&self, shared: &Shared) -> Vec<Which> {
        let (Some(prompt), Some(spread)) = (self.prompt(), self.spread(shared)) else { return vec![] };
        let pane = spread.panes.get(self.pane.min(spread.panes.len().saturating_sub(1)));
        let sample = pane.filter(|pane| !spread.is_hidden && matches!(&pane.content, Content::Whole(text) if !text.ids.is_empty()));
        let sample = sample.and_then(|pane| Some(Which::Sample { arm: pane.arm, temperature: pane.temperature, sample: pane.sample? }));
        let own = prompt.response.as_ref().map(|_| Which::Own);
        let draft = prompt.finished.as_ref().map(|_| Which::Draft);
        sample.into_iter().chain(own).chain(draft).collect()
    }

    fn ask_scores(&mut self, which: Which, run: usize, view: View) -> Vec<Effect> {
        let (Some(shelf), Some(prompt)) = (&self.shelf, self.prompt()) else { return vec![] };
        let Some(scorer) = shelf.runs.get(run) else { return vec![] };
        let Some(subject) = subject(which, run, shelf, prompt) else { return vec![] };
        let ticket = self.last_ticket + 1;
        let prompt = (prompt.id.clone(), prompt.text.clone());
        let task = Task::Score { ticket, run: scorer.folder.clone(), prompt, subject };
        self.last_ticket = ticket;
        self.mode = Mode::Reading;
        self.heat = Some(Heat { which, run, view, ticket, state: State::Coming });
        vec![Effect::task(task)]
    }
}

impl Heat {
    fn show(&mut self, scores: crate::run::scores::Scores, step: Option<usize>) {
        self.state = match Shown::new(scores, step) {
            Some(shown) => State::Shown(Box::new(shown)),
            None => State::Failed("there is no token to score".into()),
        };
    }
}

/// The text itself. By the very tokens that were drawn, where the model that drew them scores.
fn subject(which: Which, run: usize, shelf: &Shelf, prompt: &Prompt) -> Option<Subject> {
    Some(match which {
        Which::Own => Subject::Text(prompt.response.clone()?),
        Which::Draft => Subject::Text(prompt.text.clone()),
        Which::Sample { arm, temperature, sample } => {
            let text = prompt.text(arm, temperature, sample)?;
            match shelf.arms[arm].run == run {
                true => Subject::Drawn { ids: text.ids.clone(), ended: text.finish == Finish::Stop },
                false => Subject::Text(text.text.clone()),
            }
        }
    })
}
