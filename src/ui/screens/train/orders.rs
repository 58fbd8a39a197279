//! What the writer asks for on the Train screen: runs to start, queue, stop and go on with, values to edit and save; and what comes
//! back of the screen's tasks.

use std::path::Path;
use std::sync::Arc;

use super::ask::{Ask, What};
use super::figures::Figures;
use super::form::{Answer, Form};
use super::rows::Pick;
use super::tasks::{Done, Listed, Listing, RunRow, Task};
use super::{Edited, Focus, PAGE, Train, Watched};
use crate::config::Config;
use crate::run::folder::check_name;
use crate::run::summary::State;
use crate::ui::keys::Action;
use crate::ui::message::Effect;
use crate::ui::screen::Shared;
use crate::ui::widgets::move_cursor;
use crate::ui::work::{Stage, TrainOrder};

impl Train {
    /// The chosen config's file.
    pub(super) fn listed(&self) -> Option<&Listed> {
        self.listing.as_ref()?.configs.iter().find(|listed| listed.name == self.config)
    }

    /// The chosen config with the writer's values.
    pub(super) fn chosen(&self) -> Option<&Config> {
        self.edits.get(&self.config).map(|edited| &edited.config).or_else(|| self.listed()?.config.as_ref().ok())
    }

    /// Runs of the chosen config to go on with, and all that other processes train.
    pub(super) fn runs_to_show<'a>(&'a self, shared: &'a Shared) -> impl Iterator<Item = &'a RunRow> {
        let here = shared.work.training().and_then(|training| training.state.run.as_deref());
        let runs = self.listing.iter().flat_map(|listing| &listing.runs);
        runs.filter(move |run| {
            let is_ours = Some(run.folder.as_path()) == here;
            !is_ours && (run.state == State::Running || run.config.name == self.config && run.can_go_on())
        })
    }

    pub(super) fn run(&self, folder: &Path) -> Option<&RunRow> {
        self.listing.as_ref()?.runs.iter().find(|run| run.folder == folder)
    }

    pub(super) fn list(&mut self) -> Option<Effect> {
        (!std::mem::replace(&mut self.is_listing, true)).then(|| Effect::task(Task::List))
    }

    /// A pre-flight of the chosen config, where the last one is of another, or old. One is under way at a time.
    pub(super) fn ask_for_look(&mut self) -> Option<Effect> {
        let config = self.chosen()?.clone();
        let is_known = !self.look_is_old && self.look.as_ref().is_some_and(|(of, _)| *of == config);
        if is_known || self.looking.is_some() {
            return None;
        }
        self.look_is_old = false;
        self.looking = Some(config.clone());
        Some(Effect::task(Task::Look(Box::new(config))))
    }

    /// Takes what is shown of the run under way from its history.
    pub(super) fn renew(&mut self, shared: &Shared) {
        if let Some(training) = shared.work.training() {
            self.now = Figures::of(&training.history);
        }
        self.now_is_old = false;
        self.settle(shared);
    }

    /// Puts the cursor on something that is there.
    pub(super) fn settle(&mut self, shared: &Shared) {
        let picks = self.picks(shared);
        if !picks.is_empty() && !picks.contains(&self.pick) {
            let chosen = Pick::Config(self.config.clone());
            self.pick = if picks.contains(&chosen) { chosen } else { picks[0].clone() };
        }
    }

    pub(super) fn watches_live(&self) -> bool {
        let Some(watched) = &self.watched else { return false };
        self.run(&watched.folder).is_some_and(|run| run.state == State::Running) && watched.figures.outcome.is_none()
    }

    /// Reads on in the log of the run under the cursor while it grows.
    pub(super) fn read_on(&mut self) -> Vec<Effect> {
        let is_live = self.watches_live();
        let Some(watched) = self.watched.as_mut().filter(|watched| is_live && !watched.is_reading) else { return vec![] };
        watched.is_reading = true;
        vec![Effect::task(Task::Watch(watched.folder.clone()))]
    }

    /// Motions of the cursor at the left, or of the text at the right.
    pub(super) fn move_by(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if self.focus == Focus::Detail {
            // The view knows how far there is to go.
            if let Some(to) = move_cursor(self.scroll, 10_000, PAGE, action) {
                self.scroll = if action == Action::Last { 0 } else { to };
            }
            return vec![];
        }
        let picks = self.picks(shared);
        let at = picks.iter().position(|pick| *pick == self.pick).unwrap_or(0);
        match move_cursor(at, picks.len(), PAGE, action).and_then(|to| picks.into_iter().nth(to)) {
            Some(pick) => self.go(pick, shared),
            None => vec![],
        }
    }

    /// Puts the cursor there, and asks for what is shown of it.
    pub(super) fn go(&mut self, pick: Pick, shared: &Shared) -> Vec<Effect> {
        if pick == self.pick {
            return vec![];
        }
        (self.sample, self.scroll, self.form) = (None, 0, None);
        self.pick = pick.clone();
        match pick {
            Pick::Config(name) => {
                self.config = name;
                self.ask_for_look().into_iter().collect()
            }
            Pick::Run(folder) => {
                self.watched = Some(Watched { folder: folder.clone(), figures: Arc::default(), is_reading: true, error: None });
                vec![Effect::task(Task::Watch(folder))]
            }
            Pick::Now => {
                self.renew(shared);
                vec![]
            }
            Pick::Queued(_) => vec![],
        }
    }

    pub(super) fn walk_samples(&mut self, by: isize) -> Vec<Effect> {
        let count = self.figures().map_or(0, |figures| figures.samples.len());
        if count > 0 {
            let at = self.sample.unwrap_or(count - 1).saturating_add_signed(by).min(count - 1);
            // The last one goes on to follow what comes.
            self.sample = (at + 1 < count).then_some(at);
            self.scroll = 0;
        }
        vec![]
    }

    /// Of the run under the cursor.
    pub(super) fn figures(&self) -> Option<&Figures> {
        match &self.pick {
            Pick::Now => Some(&self.now),
            Pick::Run(folder) => self.watched.as_ref().filter(|watched| watched.folder == *folder).map(|watched| &*watched.figures),
            Pick::Config(_) | Pick::Queued(_) => None,
        }
    }

    pub(super) fn ask_to_start(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if let Pick::Run(folder) = self.pick.clone()
            && action == Action::StartTraining
        {
            return self.go_on(&folder, shared);
        }
        let Some(config) = self.chosen() else {
            return vec![Effect::warn("there is no config to start: choose one that can be read")];
        };
        let blocker = self.look.as_ref().filter(|(of, _)| of == config).and_then(|(_, look)| look.blocker());
        if let Some(blocker) = blocker {
            let first = blocker.lines().next().unwrap_or_default();
            return vec![Effect::error(format!("{} cannot start: {first}", config.name))];
        }
        let is_queued = shared.work.is_training() || shared.work.reading().is_some();
        self.ask = Some(Ask::new(What::Start { is_queued }, &config.name));
        vec![]
    }

    pub(super) fn act_on_ask(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        let Some(ask) = &mut self.ask else { return vec![] };
        match action {
            Action::Cancel => self.ask = None,
            Action::NextPane | Action::PreviousPane => ask.next_line(),
            Action::Accept if !ask.is_waiting => return self.take_answer(shared),
            _ => {}
        }
        vec![]
    }

    fn take_answer(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some(config) = self.chosen().cloned() else { return vec![] };
        let from = self.listed().map(|listed| listed.text.clone()).unwrap_or_default();
        let Some(ask) = &mut self.ask else { return vec![] };
        let name = ask.name().to_owned();
        if let Err(error) = check_name(name.trim_end_matches(".yaml")) {
            ask.refused = Some(error.to_string());
            return vec![];
        }
        match ask.what {
            What::SaveAs => {
                ask.is_waiting = true;
                vec![Effect::task(Task::SaveAs { config: Box::new(config), name, from })]
            }
            What::Start { .. } => {
                let order = TrainOrder::new(config, name);
                if ask.pairs().is_empty() {
                    return self.start(order, shared);
                }
                ask.is_waiting = true;
                vec![Effect::task(Task::Choose { order: Box::new(order), pairs: ask.pairs().to_owned() })]
            }
        }
    }

    fn start(&mut self, order: TrainOrder, shared: &Shared) -> Vec<Effect> {
        self.ask = None;
        self.form = None;
        let name = order.name.clone();
        let mut effects = vec![Effect::Order(order.into())];
        if shared.work.is_training() || shared.work.reading().is_some() {
            effects.push(Effect::say(format!("{name} is queued: it starts when what is under way has ended")));
        } else {
            // The row is there once the order is taken.
            (self.pick, self.sample, self.scroll) = (Pick::Now, None, 0);
        }
        effects
    }

    pub(super) fn stop(&mut self, shared: &Shared) -> Vec<Effect> {
        match (&self.pick, shared.work.training().map(|training| training.state.stage)) {
            (Pick::Queued(i), _) => vec![Effect::Cancel(*i), Effect::say("taken out of the queue")],
            (Pick::Run(folder), _) if self.run(folder).is_some_and(|run| run.state == State::Running) => {
                vec![Effect::warn("this run is trained inside another process, not by the worker: stop it there, with Ctrl-C")]
            }
            (_, None | Some(Stage::Ended)) => vec![Effect::warn("nothing is training")],
            _ => vec![Effect::StopTraining],
        }
    }

    /// The run under the cursor, else the latest one of the config.
    pub(super) fn resume_picked(&mut self, shared: &Shared) -> Vec<Effect> {
        let ended = shared.work.training().filter(|training| training.state.stage == Stage::Ended && self.pick == Pick::Now);
        let folder = match &self.pick {
            Pick::Run(folder) => Some(folder.clone()),
            _ => ended.and_then(|training| training.state.run.clone()),
        };
        let latest =
            || self.runs_to_show(shared).find(|run| run.config.name == self.config && run.can_go_on()).map(|run| run.folder.clone());
        match folder.or_else(latest) {
            Some(folder) => self.go_on(&folder, shared),
            None => vec![Effect::warn(format!("{} has no run that was left before its end", self.config))],
        }
    }

    fn go_on(&mut self, folder: &Path, shared: &Shared) -> Vec<Effect> {
        let Some(run) = self.run(folder) else {
            return vec![Effect::warn(format!("{}: no such run is there any more", folder.display()))];
        };
        if !run.can_go_on() {
            let why = match run.state {
                State::Running => "another process is training it",
                State::Finished => "it has done all of its steps; start a new run, for example with more epochs",
                _ => "it has no checkpoint to go on from; start a new run",
            };
            return vec![Effect::warn(format!("{}: {why}", run.folder_name()))];
        }
        let order = TrainOrder {
            only: run.only.clone(),
            resume: Some(run.folder.clone()),
            ..TrainOrder::new(run.config.clone(), run.name.clone())
        };
        self.config.clone_from(&order.config.name);
        self.start(order, shared)
    }

    /// What another screen wanted to go on with.
    pub(super) fn resume_asked(&mut self, shared: &Shared) -> Vec<Effect> {
        match self.resume.take() {
            Some(folder) => self.go_on(&folder, shared),
            None => vec![],
        }
    }

    pub(super) fn edit(&mut self) -> Vec<Effect> {
        let Some(file) = self.listed() else { return vec![] };
        match (&file.config, self.chosen()) {
            (Ok(file), Some(config)) => {
                self.form = Some(Form::new(config, file));
                self.pick = Pick::Config(self.config.clone());
                (self.focus, self.scroll) = (Focus::Detail, 0);
                vec![]
            }
            (Err(error), _) => vec![Effect::error(error.clone())],
            _ => vec![],
        }
    }

    pub(super) fn act_on_form(&mut self, action: Action) -> Vec<Effect> {
        let file = self.listing.as_ref().and_then(|listing| file_of(listing, &self.config));
        let config = self.edits.get(&self.config).map(|edited| &edited.config).or(file);
        let (Some(config), Some(form)) = (config, &mut self.form) else { return vec![] };
        match form.act(action, config) {
            Answer::Stay => vec![],
            Answer::Leave => {
                self.form = None;
                self.focus = Focus::List;
                vec![]
            }
            Answer::SaveAs => {
                self.ask = Some(Ask::new(What::SaveAs, &format!("{}-2", self.config)));
                vec![]
            }
            Answer::Changed(config) => {
                let changes = form.changes();
                if changes.is_empty() {
                    self.edits.remove(&self.config);
                } else {
                    self.edits.insert(self.config.clone(), Edited { config: *config, changes });
                }
                self.ask_for_look().into_iter().collect()
            }
        }
    }

    pub(super) fn on_own(&mut self, done: &Done, shared: &Shared) -> Vec<Effect> {
        match done {
            Done::Listed(listing) => {
                self.is_listing = false;
                self.take_listing(listing, shared)
            }
            Done::Looked { config, look } => {
                self.looking = None;
                self.look = Some(((**config).clone(), look.clone()));
                self.ask_for_look().into_iter().collect()
            }
            Done::Chosen(Ok(order)) => match &order.only {
                Some(ids) if self.ask.is_some() => {
                    let words = format!("{} on {} pairs: {}", order.name, ids.len(), ids.join(", "));
                    let mut effects = self.start((**order).clone(), shared);
                    effects.push(Effect::say(words));
                    effects
                }
                // The question was left meanwhile.
                _ => vec![],
            },
            Done::Chosen(Err(error)) | Done::Saved { saved: Err(error), .. } => {
                if let Some(ask) = &mut self.ask {
                    (ask.refused, ask.is_waiting) = (Some(error.clone()), false);
                }
                vec![]
            }
            Done::Saved { edited, saved: Ok(name) } => {
                self.ask = None;
                self.form = None;
                self.edits.remove(edited);
                self.config.clone_from(name);
                (self.pick, self.focus) = (Pick::Config(name.clone()), Focus::List);
                let mut effects = vec![Effect::say(format!("saved as configs/{name}.yaml; {edited} is as its file says again"))];
                effects.extend(self.list());
                effects
            }
            Done::Marked { sample, marks } => {
                self.on_marked(sample, marks);
                vec![]
            }
            Done::Watched { folder, figures } => {
                if let Some(watched) = self.watched.as_mut().filter(|watched| watched.folder == *folder) {
                    watched.is_reading = false;
                    match figures {
                        Ok(figures) => (watched.figures, watched.error) = (figures.clone(), None),
                        Err(error) => watched.error = Some(error.clone()),
                    }
                }
                vec![]
            }
        }
    }

    fn take_listing(&mut self, listing: &Result<Listing, String>, shared: &Shared) -> Vec<Effect> {
        match listing {
            Err(error) => self.list_error = Some(error.clone()),
            Ok(listing) => {
                let is_first = self.listing.is_none();
                // Values that are those of a file are no edits.
                self.edits.retain(|name, edited| file_of(listing, name).is_some_and(|file| *file != edited.config));
                self.listing = Some(listing.clone());
                self.list_error = None;
                if self.listed().is_none() {
                    self.config = first_choice(listing);
                }
                if is_first && self.pick == Pick::Config(String::new()) {
                    self.pick = if shared.work.is_training() { Pick::Now } else { Pick::Config(self.config.clone()) };
                }
                self.settle(shared);
            }
        }
        let mut effects = self.resume_asked(shared);
        effects.extend(self.ask_for_look());
        effects
    }
}

fn file_of<'a>(listing: &'a Listing, name: &str) -> Option<&'a Config> {
    listing.configs.iter().find(|listed| listed.name == name)?.config.as_ref().ok()
}

/// The config of the latest run, else the last one whose model is built in, else the first that can be read.
fn first_choice(listing: &Listing) -> String {
    let of_run = listing.runs.iter().map(|run| &run.config.name).find(|name| file_of(listing, name).is_some());
    let built_in = |listed: &&Listed| listed.config.as_ref().is_ok_and(|config| config.model.starts_with("pocket:"));
    let configs = &listing.configs;
    let readable = configs.iter().rfind(built_in).or_else(|| configs.iter().find(|listed| listed.config.is_ok()));
    of_run.or(readable.or(configs.first()).map(|listed| &listed.name)).cloned().unwrap_or_default()
}
