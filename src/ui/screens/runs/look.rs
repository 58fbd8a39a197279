//! A closer look at one run: its curves, its settings, its checkpoints and its journal.

use std::path::Path;

use anyhow::Result;

use crate::config::form::fields;
use crate::config::{Method, bounded};
use crate::run::Run;
use crate::run::advice::advice;
use crate::run::checkpoint::Checkpoints;
use crate::run::log::History;
use crate::run::manifest::Manifest;

#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    pub curves: Curves,
    /// Every key of the config, in the file's order.
    pub settings: Vec<Setting>,
    /// Steps of the checkpoints on disk, and the one that is the result.
    pub checkpoints: Vec<usize>,
    pub result: Option<usize>,
    /// Sentences on the data and the device.
    pub made_from: Vec<String>,
    /// What the curves say.
    pub advice: Vec<String>,
    /// Why it failed, where it did.
    pub error: Option<String>,
    /// `journal.md`, without the marks that voicetune put there.
    pub journal: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curves {
    /// Steps of all epochs.
    pub steps: usize,
    /// Steps and losses.
    pub training: Vec<(f64, f64)>,
    pub validation: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub key: &'static str,
    pub value: String,
    /// What holds where a config does not say; `None` for the keys that every config has.
    pub default: Option<String>,
}

impl Look {
    pub fn of(folder: &Path, history: &History) -> Result<Look> {
        let manifest = Run::open(folder)?.manifest;
        let checkpoints = Checkpoints::of(folder);
        let list = checkpoints.list()?;
        let result = checkpoints.result().ok().map(|checkpoint| checkpoint.step);
        Ok(Look {
            curves: Curves::of(history),
            settings: fields(&manifest.config).into_iter().map(|f| Setting { key: f.key, value: f.value, default: f.default }).collect(),
            checkpoints: list.into_iter().map(|checkpoint| checkpoint.step).collect(),
            result,
            made_from: made_from(&manifest),
            advice: advice(history).iter().map(ToString::to_string).collect(),
            error: history.ended.as_ref().and_then(|ended| ended.error.clone()),
            journal: journal(folder),
        })
    }

    /// The settings that are not as they would be by default, without those that this run makes no use of.
    pub fn chosen(&self, method: Method) -> impl Iterator<Item = &Setting> {
        let is_used = move |setting: &&Setting| method == Method::Lora || !setting.key.starts_with("lora.");
        self.settings.iter().filter(|setting| setting.default.as_ref() != Some(&setting.value)).filter(is_used)
    }
}

impl Curves {
    fn of(history: &History) -> Curves {
        let last = history.steps.last().map_or(0, |step| step.step);
        Curves {
            steps: history.started.as_ref().map_or(last, |started| started.steps),
            training: history.steps.iter().map(|step| (step.step as f64, step.loss)).collect(),
            validation: history.evals.iter().map(|eval| (eval.step as f64, eval.loss)).collect(),
        }
    }
}

fn made_from(manifest: &Manifest) -> Vec<String> {
    let data = &manifest.data;
    let count = |count: usize| if count == 1 { "1 pair".to_owned() } else { format!("{count} pairs") };
    let held_out = match data.validation.len() {
        0 => "none held out".to_owned(),
        n => format!("{} held out: {}", count(n), data.validation.join(", ")),
    };
    let mut lines = vec![format!("{} to train on, {held_out}", count(data.train.len()))];
    if let Some(only) = &manifest.only_pairs {
        lines.push(format!("confined to {}", only.join(", ")));
    }
    lines.push(format!("data {}", data.hash.get(..12).unwrap_or(&data.hash)));
    if let Some(adapter) = &manifest.adapter_init {
        lines.push(format!("began from the adapter in {adapter}"));
    }
    lines.push(format!("on {}, by voicetune {}", manifest.device, manifest.version));
    lines
}

fn journal(folder: &Path) -> String {
    let text = bounded::read_text(&folder.join("journal.md"), bounded::PROSE).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with("<!-- voicetune"));
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}
