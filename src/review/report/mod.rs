//! The report on a set of runs: all that is known of them, as plain data that is gathered from their files and rendered as HTML and Markdown.
//!
//! [`setup`] reads what the runs were made from and how their losses went, [`outputs`] what the arms wrote, [`measures`] what it is worth.
//! [`render`] adds no number of its own.

mod chart;
mod measures;
mod outputs;
mod render;
mod setup;
mod shown;
mod surprisal;
mod temperatures;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

pub use measures::{Editing, EditingArm, Reading, Standing};
pub use outputs::{ArmPart, DiffRow, Edit, PromptArm, PromptPart, SamplePart};
pub use render::{html, markdown};
pub use setup::{Curve, Point, RunPart, Setting};
pub use surprisal::{CellPart, SurprisalPart};
use temperatures::Measured;
pub use temperatures::{TemperatureArm, TemperatureArmTexts, TemperaturePart, TemperaturePrompt, TemperatureText, TemperatureVoice};

use crate::config::{Canary, Rubric, Temperature};
use crate::pairs::Pair;
use crate::review::voice::VoiceTable;
use crate::run::folder::Run;

/// What the report asks, at its head.
pub const QUESTION: &str = "Does fine-tuning capture what prompting could not: not the words or the length of sentences, but what gets cut, what gets \
    kept, and how a paragraph earns its ending? And does a model that was tuned to be helpful learn it better, or worse, than one that was not?";

/// All that a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'s> {
    /// In the order in which they are to stand.
    pub runs: &'s [Run],
    /// As they are now.
    pub pairs: &'s [Pair],
    pub rubric: &'s Rubric,
    pub canaries: &'s [Canary],
    /// That of `sampling.yaml`: what the numbers are of, where outputs were drawn at it.
    pub temperature: Temperature,
    /// The time of the report, RFC 3339.
    pub made: &'s str,
}

/// What `voicetune report --json` prints. Offsets count Unicode scalar values; an arm is named `<run's folder>/<arm>`; null is what cannot be said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub version: &'static str,
    pub made: String,
    pub question: &'static str,
    pub runs: Vec<RunPart>,
    /// The settings in which the runs differ.
    pub differing: Vec<Setting>,
    /// Of all that the numbers are of; outputs at other temperatures are in `temperatures` alone.
    pub temperature: Temperature,
    /// The arms in the order of the runs, the base before the fine-tuned one.
    pub arms: Vec<ArmPart>,
    pub reading: Reading,
    /// A run's drafts that were held out, and those it was trained on.
    pub editing: Vec<Editing>,
    pub voice: VoiceTable,
    /// The lowest first; empty where all outputs were drawn at one.
    pub temperatures: Vec<TemperaturePart>,
    pub side_by_side: Vec<TemperaturePrompt>,
    /// The writer's own held-out texts, scored token by token, as far as scores are kept.
    pub surprisal: Vec<SurprisalPart>,
    pub prompts: Vec<PromptPart>,
    /// What is absent or cannot be compared, in sentences.
    pub missing: Vec<String>,
    /// What the numbers do not show, in sentences.
    pub limits: Vec<String>,
}

impl Report {
    /// Reads the runs' files and measures. Fails where a file of a run cannot be read; what is merely not there is named in `missing`.
    pub fn of(sources: &Sources) -> Result<Report> {
        let mut missing = vec![];
        let runs = setup::runs(sources, &mut missing)?;
        let all = outputs::Texts::read(sources, &mut missing)?;
        let (temperature, texts) = outputs::chosen(&all, sources.temperature, &mut missing);
        texts.note_absent(sources, &mut missing);
        let editing = measures::editing(sources, &texts, &mut missing);
        let own = Measured::of(sources, temperature, &texts, &mut missing);
        let (temperatures, side_by_side) = temperatures::compared(sources, &all, (temperature, &own));
        let Measured { reading, voice, arms, prompts } = own;
        let surprisal = surprisal::held_out(sources, &runs, &mut missing);
        let limits = limits(&editing, &prompts);
        Ok(Report {
            version: env!("CARGO_PKG_VERSION"),
            made: sources.made.to_owned(),
            question: QUESTION,
            differing: setup::differing(sources.runs),
            runs,
            temperature,
            arms,
            reading,
            editing,
            voice,
            temperatures,
            side_by_side,
            surprisal,
            prompts,
            missing,
            limits,
        })
    }

    /// The names of the files that are written.
    pub const FILES: [&'static str; 2] = ["report.html", "report.md"];

    /// Writes both files into a folder, which is made where it is missing; only their owner can read them.
    pub fn write(&self, folder: &Path) -> Result<[std::path::PathBuf; 2]> {
        use crate::run::private::{create_folder, replace_file};
        create_folder(folder)?;
        let paths = Report::FILES.map(|name| folder.join(name));
        replace_file(&paths[0], html(self)?.as_bytes())?;
        replace_file(&paths[1], markdown(self)?.as_bytes())?;
        Ok(paths)
    }
}

/// The voice of the runs' arms alone, and what of it is absent, in sentences.
pub fn voice(sources: &Sources) -> Result<(VoiceTable, Vec<String>)> {
    let mut missing = vec![];
    let all = outputs::Texts::read(sources, &mut missing)?;
    let (_, texts) = outputs::chosen(&all, sources.temperature, &mut missing);
    texts.note_absent(sources, &mut missing);
    let table = measures::voice(sources, &texts, &mut missing);
    Ok((table, missing))
}

fn limits(editing: &[Editing], prompts: &[PromptPart]) -> Vec<String> {
    let mut limits: Vec<&str> = vec![
        "A loss counts words. A voice can shift where the loss does not, and the loss can fall where nothing but content was learned.",
        "One reader read. The win rates and the rubric say what she prefers, not what another reader would; the intervals hold the chance of \
         which samples were drawn, and none of her mood, of the order in which she read or of guessing which arm wrote a text.",
        "The readings of one prompt are not independent of one another, and there are few prompts: Wilson's intervals are too narrow for \
         a claim about prompts that were not asked.",
        "Bradley-Terry assumes that each arm has one strength for all prompts.",
        "Copied text is found word for word. A paraphrase of a training pair is not found, and eight common words in a row may be chance: compare \
         with the base arm, which was never trained on the pairs.",
        "The facts are listed by simple rules for English. The list has harmless entries, and an invented feeling, place or person in plain words is not on it.",
        "The voice's distances are those of function words, punctuation and lengths. A text can match them all and say nothing she would say. \
         Short outputs stand far off by chance alone.",
        "The pairs were read as they are now; what was changed since the run was made is measured against its present text.",
    ];
    if !editing.is_empty() {
        limits.push(
            "Agreement with an edit asks which sentences went. It does not ask whether what stayed was made better, and another good edit of \
             the same draft would cut other sentences: her own second edit would not reach a kappa of 1.",
        );
        limits.push(
            "In an answer to a draft, a copied span may be two passages of that draft which meet where she cut what stood between them: then it is \
             her cut that was found again, by memory or by judgement.",
        );
    }
    if prompts.iter().any(|prompt| prompt.arms.iter().flat_map(|arm| &arm.samples).any(|sample| sample.cut_short)) {
        limits.push("Some outputs end at the limit of new tokens. What they would have kept of a draft after it counts as cut.");
    }
    limits.into_iter().map(str::to_owned).collect()
}
