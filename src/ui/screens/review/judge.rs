//! What the reader decides, and how it gets on record.

use super::draft::Draft;
use super::spread::At;
use super::tasks::Task;
use super::{Focus, Mode, Place, Review, key};
use crate::review::verdict::{ArmName, Outcome, Pick, Score, Shown, Verdict, Verdicts, asked};
use crate::run::protocol::now;
use crate::ui::keys::Action;
use crate::ui::message::Effect;
use crate::ui::screen::Shared;
use crate::ui::widgets::LineInput;

impl Review {
    pub(super) fn judge(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        match action {
            Action::Best => self.decide(shared, |draft, arm| draft.toggle_best(arm)),
            Action::Tie => self.decide(shared, |draft, _| draft.outcome = Some(Outcome::Tie)),
            Action::AllBad if matches!(self.mode, Mode::Rating(_)) => vec![Effect::say("scores go from 1 to 5")],
            Action::AllBad => self.decide(shared, |draft, _| draft.outcome = Some(Outcome::AllBad)),
            Action::Rank => self.begin_ranking(shared),
            Action::Place1 => self.place_next(0, shared),
            Action::Place2 => self.place_next(1, shared),
            Action::Place3 => self.place_next(2, shared),
            Action::Place4 => self.place_next(3, shared),
            Action::Alike => self.place_alike(),
            Action::DeleteBack => self.take_place_back(),
            Action::Accept => self.take_ranking(shared),
            Action::ScoreArms => self.begin_rating(shared),
            Action::Score1 => self.score(1, shared),
            Action::Score2 => self.score(2, shared),
            Action::Score3 => self.score(3, shared),
            Action::Score4 => self.score(4, shared),
            Action::Score5 => self.score(5, shared),
            Action::Cancel => {
                self.mode = Mode::Reading;
                vec![]
            }
            Action::Comment => match self.draft_here(shared) {
                Ok((_, draft)) => {
                    self.mode = Mode::Comment(LineInput::new(&draft.comment));
                    vec![]
                }
                Err(why) => vec![Effect::warn(why)],
            },
            Action::Pick => self.pick(shared),
            Action::Submit => self.submit(shared),
            _ => vec![],
        }
    }

    pub(super) fn comment(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        self.decide(shared, |draft, _| text.clone_into(&mut draft.comment))
    }

    pub(super) fn on_judged(&mut self, verdict: &Verdict, verdicts: &Result<Box<Verdicts>, String>) -> Vec<Effect> {
        let place = self.under_way.iter().find(|(_, draft)| draft.shown == verdict.reading.shown).map(|(place, _)| place.clone());
        let draft = place.and_then(|place| self.under_way.remove_entry(&place));
        match verdicts {
            Ok(verdicts) => {
                if let Some(shelf) = &mut self.shelf {
                    shelf.verdicts = (**verdicts).clone();
                }
                vec![]
            }
            Err(error) => {
                self.drafts.extend(draft);
                vec![Effect::error(error.clone())]
            }
        }
    }

    pub(super) fn on_picked(&mut self, verdicts: &Result<Box<Verdicts>, String>) -> Vec<Effect> {
        match verdicts {
            Ok(verdicts) => {
                if let Some(shelf) = &mut self.shelf {
                    shelf.verdicts = (**verdicts).clone();
                }
                vec![]
            }
            Err(error) => vec![Effect::error(error.clone())],
        }
    }

    /// Gives all verdicts whose outcome is decided.
    pub(super) fn submit_all(&mut self, shared: &Shared) -> Vec<Effect> {
        self.drafts.retain(|_, draft| !draft.is_empty());
        let decided: Vec<Place> = self.drafts.iter().filter(|(_, draft)| draft.outcome.is_some()).map(|(place, _)| place.clone()).collect();
        let mut effects: Vec<Effect> = decided.into_iter().flat_map(|place| self.put_on_record(&place)).collect();
        if let Some((id, temperature, at)) = self.drafts.keys().next().cloned() {
            // It cannot be recorded without an outcome: take her there.
            let prompt = self.prompts().position(|prompt| prompt.id == id);
            self.go_to(prompt.unwrap_or(self.cursor));
            self.at = at;
            self.temperature = Some(temperature);
            self.across = None;
            effects.push(Effect::Show(crate::ui::message::Tab::Review));
            effects.push(Effect::warn(self.undecided(shared)));
        }
        effects
    }

    /// What is decided so far on the texts in the panes, or why nothing can be decided.
    pub(super) fn draft_here(&self, shared: &Shared) -> Result<(Place, Draft), String> {
        let (Some(shelf), Some(place), Some(spread)) = (&self.shelf, self.place(), self.spread(shared)) else {
            return Err("there is nothing to judge yet".into());
        };
        if let Some(why) = self.not_judged(shared) {
            return Err(why);
        }
        let shown = spread.shown(shelf);
        if shown.is_empty() {
            return Err(format!("there is no text to judge yet; {} draws samples", key(&shared.keymap, Action::Generate)));
        }
        if !spread.is_whole() {
            return Err("the texts are still being written; judge them when all are whole".into());
        }
        let same = |draft: &&Draft| same_texts(&draft.shown, &shown);
        let draft = self.drafts.get(&place).filter(same).cloned();
        Ok((place, draft.unwrap_or_else(|| Draft::new(shown, spread.verdict))))
    }

    /// Changes the draft; `change` is told which arm has the focus.
    pub(super) fn decide(&mut self, shared: &Shared, change: impl FnOnce(&mut Draft, ArmName)) -> Vec<Effect> {
        match self.draft_here(shared) {
            Err(why) => vec![Effect::warn(why)],
            Ok((place, mut draft)) => {
                if let Some(arm) = self.arm_in_focus(shared).or_else(|| draft.shown.first().map(|shown| shown.arm.clone())) {
                    change(&mut draft, arm);
                    self.drafts.insert(place, draft);
                }
                vec![]
            }
        }
    }

    /// The arm of the pane that keys are about.
    fn arm_in_focus(&self, shared: &Shared) -> Option<ArmName> {
        let (shelf, spread) = (self.shelf.as_ref()?, self.spread(shared)?);
        let pane = spread.panes.get(self.pane.min(spread.panes.len().saturating_sub(1)))?;
        Some(shelf.arms[pane.arm].name.clone())
    }

    fn begin_rating(&mut self, shared: &Shared) -> Vec<Effect> {
        if let Err(why) = self.draft_here(shared) {
            return vec![Effect::warn(why)];
        }
        self.focus = Focus::Panes;
        self.mode = Mode::Rating(0);
        vec![]
    }

    /// Scores the dimension under the cursor and goes on to the next, after the last one to the next pane's first.
    fn score(&mut self, score: u8, shared: &Shared) -> Vec<Effect> {
        let Mode::Rating(dimension) = self.mode else { return vec![] };
        let (Some(shelf), Some(prompt), Some(score)) = (&self.shelf, self.prompt(), Score::new(score)) else { return vec![] };
        let ids: Vec<String> = asked(&shelf.rubric, prompt.long).map(|dimension| dimension.id.clone()).collect();
        let Some(id) = ids.get(dimension) else { return vec![] };
        let panes = self.spread(shared).map_or(0, |spread| spread.panes.len());
        let effects = self.decide(shared, |draft, arm| draft.score(arm, id, score));
        if !effects.is_empty() {
            return effects;
        }
        let is_last_pane = self.pane + 1 >= panes;
        match (dimension + 1 < ids.len(), is_last_pane) {
            (true, _) => self.mode = Mode::Rating(dimension + 1),
            (false, false) => {
                self.pane += 1;
                self.mode = Mode::Rating(0);
            }
            (false, true) => self.mode = Mode::Reading,
        }
        vec![]
    }

    fn pick(&mut self, shared: &Shared) -> Vec<Effect> {
        let (Some(shelf), Some(prompt), Some(spread)) = (&self.shelf, self.prompt(), self.spread(shared)) else { return vec![] };
        let pane = self.pane.min(spread.panes.len().saturating_sub(1));
        let Some(pane) = spread.panes.get(pane) else { return vec![] };
        let Some(shown) = pane.shown(shelf) else {
            return vec![Effect::warn("there is no text in this pane to pick")];
        };
        let text = format!("picked sample {} of {}", shown.sample + 1, pane.title);
        let pick = Box::new(Pick { time: now(), prompt: prompt.id.clone(), temperature: Some(pane.temperature), shown });
        vec![Effect::task(Task::Pick { pick, runs: shelf.run_names() }), Effect::say(text)]
    }

    fn submit(&mut self, shared: &Shared) -> Vec<Effect> {
        let place = match self.draft_here(shared) {
            Err(why) => return vec![Effect::warn(why)],
            Ok((_, draft)) if draft.is_empty() && draft.corrects.is_some() => return vec![Effect::say("this verdict is on record")],
            Ok((_, draft)) if draft.outcome.is_none() => return vec![Effect::warn(self.undecided(shared))],
            Ok((place, _)) => place,
        };
        self.mode = Mode::Reading;
        self.put_on_record(&place)
    }

    fn put_on_record(&mut self, place: &Place) -> Vec<Effect> {
        let (Some(shelf), Some(draft)) = (&self.shelf, self.drafts.get(place)) else { return vec![] };
        let was_blind = self.wants_blind && !self.seen.contains(place);
        let Some(reading) = draft.reading(&place.0, place.1, shelf.seed, was_blind) else { return vec![] };
        let verdict = Box::new(Verdict::new(reading, now()));
        let effect = Effect::task(Task::Judge { verdict, runs: shelf.run_names() });
        if let Some((place, draft)) = self.drafts.remove_entry(place) {
            self.under_way.insert(place, draft);
        }
        vec![effect]
    }

    fn undecided(&self, shared: &Shared) -> String {
        let key = |action| key(&shared.keymap, action);
        let what = match self.at {
            At::Sample(_) => "texts",
            At::Picks => "picks",
        };
        format!(
            "which of these {what} is best? {} marks the pane, {} ranks them all, {} is a tie, {} all bad",
            key(Action::Best),
            key(Action::Rank),
            key(Action::Tie),
            key(Action::AllBad)
        )
    }
}

fn same_texts(one: &[Shown], other: &[Shown]) -> bool {
    one.len() == other.len() && one.iter().all(|shown| other.contains(shown))
}
