//! What there is to read: the runs with their arms, the prompts, every sample, and the verdicts so far.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::config::{Rubric, Temperature, Workspace};
use crate::pairs::{self, Tier};
use crate::review::marks::Trained;
use crate::review::verdict::{self, ArmName, Verdicts};
use crate::run::Run;
use crate::run::checkpoint::Checkpoints;
use crate::run::outputs::{self, Output};
use crate::run::prepare::find_shape;
use crate::run::prompts::{LONG_PIECE, sampling_for, short_id};
use crate::run::protocol::{self, Finish, Sampling};

/// More runs than this give more arms than can be read side by side.
const MOST_RUNS: usize = 2;

#[derive(Debug, Clone)]
pub struct Shelf {
    pub runs: Vec<ReadRun>,
    /// Base and tuned of each run, in the runs' order.
    pub arms: Vec<Arm>,
    /// Canaries, then held-out pairs, then free prompts.
    pub prompts: Vec<Prompt>,
    pub verdicts: Verdicts,
    pub rubric: Rubric,
    /// The panes are shuffled by it.
    pub seed: u64,
    /// Samples that are drawn of each prompt and arm.
    pub samples: usize,
    /// At which samples are drawn and read unless another temperature is asked for.
    pub temperature: Temperature,
    /// Those that `sampling.yaml` wants read side by side.
    pub compared: Vec<Temperature>,
    /// What could not be read, in words.
    pub problems: Vec<String>,
}

/// A run as far as reading it goes.
#[derive(Debug, Clone)]
pub struct ReadRun {
    pub folder: PathBuf,
    pub name: String,
    /// Of the checkpoint that is its result; `None` while it has none.
    pub step: Option<usize>,
    /// Whether it was training when it was read: then its latest texts are of a step between checkpoints.
    pub is_training: bool,
    /// Whether prompts that ask for a whole essay are put to it.
    pub takes_long: bool,
    /// What is drawn now is drawn with this.
    pub sampling: Sampling,
    /// What it was trained on, to find what its arms copied.
    pub trained: Arc<Trained>,
}

#[derive(Debug, Clone)]
pub struct Arm {
    pub name: ArmName,
    /// Position among the runs.
    pub run: usize,
    pub arm: protocol::Arm,
    /// `llama-tuned`, with the run's name where two runs are of one model.
    pub title: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Canary,
    HeldOut,
    Free,
}

#[derive(Debug, Clone)]
pub struct Prompt {
    /// Its folder in `outputs/`.
    pub id: String,
    pub kind: Kind,
    /// In the list.
    pub name: String,
    /// What it is there for.
    pub about: String,
    pub text: String,
    /// Asks for a whole piece, so that the rubric's long dimensions are asked of it.
    pub long: bool,
    /// What the writer made of it, where it is a rough draft of hers.
    pub finished: Option<String>,
    /// What the writer answered, where it is one of her pairs.
    pub response: Option<String>,
    /// By arm, then by temperature and the sample's number.
    pub texts: Vec<Texts>,
}

/// The samples of one prompt and arm.
pub type Texts = BTreeMap<(Temperature, usize), Text>;

/// A whole sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub text: String,
    pub ids: Vec<u32>,
    pub finish: Finish,
    /// Whose weights wrote it, or beside which the base arm was drawn.
    pub step: usize,
    /// Whether drawing it again would give the same: same weights, same settings, same seed.
    pub is_current: bool,
}

impl Shelf {
    /// Reads `wanted`, or the latest run of each model where none is named; `training` is the run that trains now. Everything that cannot be
    /// read but one's runs is a problem in words, not an error.
    pub fn read(workspace: &Workspace, wanted: &[PathBuf], training: Option<&Path>) -> Result<Shelf> {
        let settings = workspace.sampling()?;
        let mut shelf = Shelf {
            runs: vec![],
            arms: vec![],
            prompts: vec![],
            verdicts: Verdicts::default(),
            rubric: workspace.rubric()?,
            seed: settings.seed,
            samples: settings.samples,
            temperature: settings.temperature.into(),
            compared: settings.temperatures.clone(),
            problems: vec![],
        };
        let mut runs = match wanted.is_empty() {
            true => latest(workspace)?,
            false => wanted.iter().map(|folder| Run::open(folder)).collect::<Result<Vec<Run>>>()?,
        };
        if runs.len() > MOST_RUNS {
            shelf.problems.push(format!("{} runs were asked for; the first {MOST_RUNS} are shown", runs.len()));
            runs.truncate(MOST_RUNS);
        }
        let (pairs, _) = pairs::load(&workspace.pairs());
        for run in &runs {
            shelf.add_run(workspace, run, &settings, &pairs, training)?;
        }
        shelf.title_arms();
        shelf.add_prompts(workspace, &runs, &pairs);
        for prompt in &mut shelf.prompts {
            prompt.texts = shelf.arms.iter().map(|arm| texts(prompt, arm, &shelf.runs[arm.run], shelf.seed, &mut shelf.problems)).collect();
        }
        let names = shelf.run_names();
        shelf.verdicts = verdict::read(&workspace.runs(), names.iter().map(String::as_str));
        shelf.problems.extend(shelf.verdicts.problems.iter().map(ToString::to_string));
        Ok(shelf)
    }

    pub fn run_names(&self) -> Vec<String> {
        self.runs.iter().map(|run| run.name.clone()).collect()
    }

    pub fn arm_of(&self, name: &ArmName) -> Option<usize> {
        self.arms.iter().position(|arm| arm.name == *name)
    }

    /// The temperatures at which a prompt can be read, the lowest first: those to compare, the usual one, those it was drawn at.
    pub fn temperatures(&self, prompt: &Prompt) -> Vec<Temperature> {
        let drawn = prompt.texts.iter().flat_map(|texts| texts.keys().map(|(temperature, _)| *temperature));
        let all: BTreeSet<Temperature> = self.compared.iter().copied().chain([self.temperature]).chain(drawn).collect();
        all.into_iter().collect()
    }

    /// Whether a prompt is put to a run at all.
    pub fn is_asked(&self, prompt: &Prompt, run: usize) -> bool {
        prompt.kind != Kind::Canary || !prompt.long || self.runs[run].takes_long
    }

    /// Takes in a sample that was just drawn, where it belongs to one of the arms.
    pub fn add(&mut self, folder: &Path, output: &Output) {
        let is_its = |arm: &Arm| self.runs[arm.run].folder == folder && arm.name.arm() == output.arm;
        let Some(at) = self.arms.iter().position(is_its) else { return };
        let index = self.arms[at].run;
        let text = Text::of(output, &self.runs[index], self.seed);
        if let Some(prompt) = self.prompts.iter_mut().find(|prompt| prompt.id == output.prompt) {
            // The run has been trained on: what it wrote before does not belong beside this.
            let of_run = self.arms.iter().zip(&mut prompt.texts).filter(|(arm, _)| arm.run == index);
            of_run.for_each(|(_, texts)| texts.retain(|_, other| other.step == text.step));
            prompt.texts[at].insert((output.sampling.temperature.into(), output.sample), text);
        }
    }

    fn add_run(
        &mut self,
        workspace: &Workspace,
        run: &Run,
        settings: &crate::config::Sampling,
        pairs: &[pairs::Pair],
        training: Option<&Path>,
    ) -> Result<()> {
        let config = &run.manifest.config;
        let revision = run.manifest.model.commit.as_ref().unwrap_or(&run.manifest.model.revision);
        let shape = find_shape(workspace.root(), &config.model, revision);
        let name = run.folder_name();
        let short_name = match &shape {
            Ok(shape) => shape.short_name.to_owned(),
            // The weights are elsewhere; what was drawn can be read all the same.
            Err(error) => {
                self.problems.push(format!("{name}: no samples can be drawn: {error:#}"));
                drawn_as(&run.folder).unwrap_or_else(|| config.short_name())
            }
        };
        for arm in [protocol::Arm::Base, protocol::Arm::Tuned] {
            let title = arm.named(&short_name);
            let Some(name) = ArmName::new(&name, &title) else { bail!("{}: not the folder of a run", run.folder.display()) };
            self.arms.push(Arm { name, run: self.runs.len(), arm, title });
        }
        let (trained, gone) = Trained::on(&run.manifest.data.train, pairs);
        if gone > 0 {
            self.problems
                .push(format!("{name}: {gone} of its training pairs are no longer there; what was copied from them is not marked"));
        }
        self.runs.push(ReadRun {
            trained: Arc::new(trained),
            step: Checkpoints::of(&run.folder).result().ok().map(|checkpoint| checkpoint.step),
            is_training: training == Some(run.folder.as_path()),
            takes_long: shape.is_ok_and(|shape| shape.context >= LONG_PIECE),
            sampling: sampling_for(settings, &config.short_name()),
            folder: run.folder.clone(),
            name,
        });
        Ok(())
    }

    /// Two runs of one model are told apart by their names.
    fn title_arms(&mut self) {
        let is_twice = |title: &str| self.arms.iter().filter(|arm| arm.name.arm() == title).count() > 1;
        let titles: Vec<String> = (self.arms.iter())
            .map(|arm| match is_twice(arm.name.arm()) {
                true => format!("{} · {}", arm.name.arm(), arm.name.run()),
                false => arm.title.clone(),
            })
            .collect();
        for (arm, title) in self.arms.iter_mut().zip(titles) {
            arm.title = title;
        }
    }

    fn add_prompts(&mut self, workspace: &Workspace, runs: &[Run], pairs: &[pairs::Pair]) {
        match workspace.canaries() {
            Err(error) => self.problems.push(error.to_string()),
            Ok(canaries) => self.prompts.extend(canaries.into_iter().map(|canary| Prompt {
                name: canary.id.clone(),
                id: canary.id,
                kind: Kind::Canary,
                about: canary.about,
                text: canary.prompt,
                long: canary.long,
                finished: None,
                response: None,
                texts: vec![],
            })),
        }
        let mut held_out: Vec<&String> = runs.iter().flat_map(|run| &run.manifest.data.validation).collect();
        held_out.sort();
        held_out.dedup();
        for id in held_out {
            match pairs::open(&workspace.pairs(), id) {
                Ok(loaded) => self.prompts.push(Prompt::of_pair(loaded.pair)),
                Err(problems) => self.problems.extend(problems.iter().take(1).map(|problem| format!("held-out pair {id}: {problem}"))),
            }
        }
        for run in runs {
            for id in folders(&run.folder.join("outputs")) {
                if self.prompts.iter().all(|prompt| prompt.id != id)
                    && let Some(text) = asked_in(&run.folder, &id)
                {
                    self.prompts.push(Prompt { id, ..Prompt::free(&text).known_from(pairs) });
                }
            }
        }
    }
}

impl Prompt {
    /// A prompt of the writer's own.
    pub fn free(text: &str) -> Prompt {
        Prompt {
            id: short_id("prompt", text),
            kind: Kind::Free,
            name: text.split_whitespace().take(12).collect::<Vec<_>>().join(" "),
            about: String::new(),
            text: text.to_owned(),
            long: false,
            finished: None,
            response: None,
            texts: vec![],
        }
    }

    /// With what the writer made of it, where it is the draft of one of her pairs.
    pub fn known_from(self, pairs: &[pairs::Pair]) -> Prompt {
        let Some(pair) = pairs::of_draft(pairs, &self.text) else { return self };
        let finished = Some(pair.response.clone());
        Prompt { about: format!("the draft of {}", pair.id), long: true, response: finished.clone(), finished, ..self }
    }

    fn of_pair(pair: pairs::Pair) -> Prompt {
        let about = match pair.tier {
            Tier::Draft => "a rough draft, held out",
            Tier::Topic => "a topic for an essay, held out",
            Tier::Opening => "an opening, held out",
            Tier::Note => "a topic for a Note, held out",
        };
        Prompt {
            id: short_id(&pair.id, &pair.prompt),
            kind: Kind::HeldOut,
            name: pair.id,
            about: about.into(),
            text: pair.prompt,
            long: matches!(pair.tier, Tier::Draft | Tier::Topic),
            finished: (pair.tier == Tier::Draft).then(|| pair.response.clone()),
            response: Some(pair.response),
            texts: vec![],
        }
    }

    /// How many samples there are at a temperature, of the arm that has most of them.
    pub fn samples(&self, temperature: Temperature) -> usize {
        let at =
            |texts: &Texts| texts.range((temperature, 0)..=(temperature, usize::MAX)).next_back().map_or(0, |((_, sample), _)| sample + 1);
        self.texts.iter().map(at).max().unwrap_or(0)
    }

    pub fn text(&self, arm: usize, temperature: Temperature, sample: usize) -> Option<&Text> {
        self.texts.get(arm)?.get(&(temperature, sample))
    }
}

impl Text {
    fn of(output: &Output, run: &ReadRun, seed: u64) -> Text {
        // The temperature is not asked: samples of another one are others.
        let wanted = Sampling { temperature: output.sampling.temperature, ..run.sampling };
        let is_by_result = !run.is_training && run.step == Some(output.checkpoint);
        let is_current = is_by_result && output.sampling == wanted && output.seed == seed.wrapping_add(output.sample as u64);
        Text { text: output.text.clone(), ids: output.ids.clone(), finish: output.finish, step: output.checkpoint, is_current }
    }
}

/// The latest run of each model that has a result, at most two: the chat model first.
fn latest(workspace: &Workspace) -> Result<Vec<Run>> {
    let mut all = Run::list(&workspace.runs())?;
    all.retain(|run| Checkpoints::of(&run.folder).result().is_ok());
    all.sort_by(|a, b| (&b.manifest.created, &b.folder).cmp(&(&a.manifest.created, &a.folder)));
    let mut found: Vec<Run> = vec![];
    for run in all {
        let model = run.manifest.config.short_name();
        if found.len() < MOST_RUNS && found.iter().all(|other| other.manifest.config.short_name() != model) {
            found.push(run);
        }
    }
    found.sort_by_key(|run| run.manifest.config.format != crate::config::Format::Chat);
    Ok(found)
}

/// The samples of the run's result, or while it trains of the latest step that any are of: of those with the same temperature and number the
/// one drawn last.
pub(super) fn texts(prompt: &Prompt, arm: &Arm, run: &ReadRun, seed: u64, problems: &mut Vec<String>) -> Texts {
    match outputs::read(&run.folder, &prompt.id, arm.name.arm()) {
        Ok(mut outputs) => {
            outputs.retain(|output| output.prompt_text == prompt.text);
            let latest = outputs.iter().map(|output| output.checkpoint).max().filter(|_| run.is_training);
            let step = latest.max(run.step);
            let of_step = outputs.iter().filter(|output| Some(output.checkpoint) == step);
            of_step.map(|output| ((output.sampling.temperature.into(), output.sample), Text::of(output, run, seed))).collect()
        }
        Err(error) => {
            problems.push(format!("{error:#}"));
            BTreeMap::new()
        }
    }
}

/// Names of the folders in a folder, sorted; none where it is missing.
fn folders(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut names: Vec<String> =
        entries.flatten().filter(|entry| entry.path().is_dir()).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The arms' files in a prompt's outputs, without their endings.
fn arms_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".jsonl").map(str::to_owned)).collect()
}

/// The model's name in the arms of what was drawn from a run.
fn drawn_as(run: &Path) -> Option<String> {
    let outputs = run.join("outputs");
    let mut arms = folders(&outputs).into_iter().flat_map(|prompt| arms_in(&outputs.join(prompt)));
    arms.find_map(|arm| arm.strip_suffix("-base").or_else(|| arm.strip_suffix("-tuned")).map(str::to_owned))
}

/// What was asked where a prompt's samples lie; of a file that cannot be read, nothing is known.
fn asked_in(run: &Path, prompt: &str) -> Option<String> {
    let arms = arms_in(&run.join("outputs").join(prompt));
    arms.iter().find_map(|arm| outputs::read(run, prompt, arm).ok()?.pop()).map(|output| output.prompt_text)
}
