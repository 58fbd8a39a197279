//! The same prompts at several temperatures: what each arm wrote at each of them, and how far it stands from her voice there. No number
//! here or elsewhere is of two temperatures together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Sources;
use super::measures;
use super::outputs::{self, PromptPart, Texts};
use crate::config::Temperature;
use crate::review::verdict::ArmName;
use crate::review::voice::Feature;
use crate::review::voice::table::VoiceValue;

/// Of fewer words a voice is not measured: rates of what comes a few times in a thousand words would be chance.
pub const ENOUGH: usize = 200;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TemperaturePart {
    pub temperature: Temperature,
    pub arms: Vec<TemperatureArm>,
}

/// An arm at a temperature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TemperatureArm {
    pub arm: ArmName,
    pub label: String,
    pub samples: usize,
    pub empty: usize,
    pub cut_short: usize,
    pub words: usize,
    /// Words in spans that were copied from a training pair.
    pub copied_words: usize,
    pub facts: usize,
    /// Blind readings at this temperature, and how many it won.
    pub readings: u64,
    pub wins: u64,
    /// Null where there are fewer than [`ENOUGH`] words.
    pub voice: Option<TemperatureVoice>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TemperatureVoice {
    /// Burrows' Delta from her pieces.
    pub delta: Option<f64>,
    pub features: BTreeMap<Feature, VoiceValue>,
}

/// A prompt that was answered at several temperatures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TemperaturePrompt {
    pub prompt: String,
    pub arms: Vec<TemperatureArmTexts>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TemperatureArmTexts {
    pub arm: ArmName,
    pub label: String,
    /// One of each temperature, the lowest first: the picked one, else the first.
    pub texts: Vec<TemperatureText>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TemperatureText {
    pub temperature: Temperature,
    pub sample: usize,
    pub picked: bool,
    pub cut_short: bool,
    pub words: usize,
    pub text: String,
}

/// Every temperature by itself, and the prompts that have several; nothing where there is one temperature alone.
pub(super) fn compared(sources: &Sources, all: &BTreeMap<Temperature, Texts>) -> (Vec<TemperaturePart>, Vec<TemperaturePrompt>) {
    if all.len() < 2 {
        return (vec![], vec![]);
    }
    let parts: Vec<(TemperaturePart, Vec<PromptPart>)> =
        all.iter().map(|(&temperature, texts)| part(sources, temperature, texts)).collect();
    let side_by_side = side_by_side(&parts);
    (parts.into_iter().map(|(part, _)| part).collect(), side_by_side)
}

fn part(sources: &Sources, temperature: Temperature, texts: &Texts) -> (TemperaturePart, Vec<PromptPart>) {
    // What is missing was said of the report's own temperature.
    let missing = &mut vec![];
    let reading = measures::reading(sources, texts, temperature, missing);
    let voice = measures::voice(sources, texts, missing);
    let (arms, prompts) = outputs::parts(sources, texts, &reading.picks, missing);
    let arms = arms.into_iter().map(|arm| {
        let at = voice.arms.iter().position(|of| of.arm == arm.arm);
        let standing = reading.part.standings.iter().find(|standing| standing.arm == arm.arm);
        let features = voice.rows.iter().filter_map(|row| Some((row.feature, (*row.compared.values.get(at?)?)?))).collect();
        TemperatureArm {
            voice: (arm.words >= ENOUGH).then(|| TemperatureVoice { delta: at.and_then(|at| voice.arms[at].delta), features }),
            readings: standing.map_or(0, |standing| standing.readings),
            wins: standing.map_or(0, |standing| standing.wins),
            arm: arm.arm,
            label: arm.label,
            samples: arm.samples,
            empty: arm.empty,
            cut_short: arm.cut_short,
            words: arm.words,
            copied_words: arm.copied_words,
            facts: arm.facts,
        }
    });
    (TemperaturePart { temperature, arms: arms.collect() }, prompts)
}

fn side_by_side(parts: &[(TemperaturePart, Vec<PromptPart>)]) -> Vec<TemperaturePrompt> {
    let mut found: Vec<TemperaturePrompt> = vec![];
    for (part, prompts) in parts {
        for prompt in prompts {
            let at = found.iter().position(|other| other.prompt == prompt.prompt).unwrap_or_else(|| {
                found.push(TemperaturePrompt { prompt: prompt.prompt.clone(), arms: vec![] });
                found.len() - 1
            });
            for arm in &prompt.arms {
                let arms = &mut found[at].arms;
                let at = arms.iter().position(|other| other.arm == arm.arm).unwrap_or_else(|| {
                    arms.push(TemperatureArmTexts { arm: arm.arm.clone(), label: arm.label.clone(), texts: vec![] });
                    arms.len() - 1
                });
                let shown = &arm.samples[arm.shown];
                arms[at].texts.push(TemperatureText {
                    temperature: part.temperature,
                    sample: shown.sample,
                    picked: shown.picked,
                    cut_short: shown.cut_short,
                    words: shown.words,
                    text: shown.text.clone(),
                });
            }
        }
    }
    for prompt in &mut found {
        prompt.arms.retain(|arm| arm.texts.len() > 1);
    }
    found.retain(|prompt| !prompt.arms.is_empty());
    found.sort_by(|a, b| a.prompt.cmp(&b.prompt));
    found
}
