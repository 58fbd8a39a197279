//! The same prompts at several temperatures: what each arm wrote at each of them, and how far it stands from her voice there. No number
//! here or elsewhere is of two temperatures together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Sources;
use super::measures::{self, Reading};
use super::outputs::{self, ArmPart, PromptPart, Texts};
use crate::config::Temperature;
use crate::review::verdict::ArmName;
use crate::review::voice::table::VoiceValue;
use crate::review::voice::{Feature, VoiceTable};

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

/// What is measured of the outputs at one temperature.
pub(super) struct Measured {
    pub reading: Reading,
    pub voice: VoiceTable,
    pub arms: Vec<ArmPart>,
    pub prompts: Vec<PromptPart>,
}

impl Measured {
    pub fn of(sources: &Sources, temperature: Temperature, texts: &Texts, missing: &mut Vec<String>) -> Measured {
        let reading = measures::reading(sources, texts, temperature, missing);
        let voice = measures::voice(sources, texts, missing);
        let (arms, prompts) = outputs::parts(sources, texts, &reading.picks, missing);
        Measured { reading: reading.part, voice, arms, prompts }
    }
}

/// Every temperature by itself, and the prompts that have several; nothing where there is one temperature alone. `own` is the report's.
pub(super) fn compared(
    sources: &Sources,
    all: &BTreeMap<Temperature, Texts>,
    own: (Temperature, &Measured),
) -> (Vec<TemperaturePart>, Vec<TemperaturePrompt>) {
    if all.len() < 2 {
        return (vec![], vec![]);
    }
    let others = all.iter().filter(|(temperature, _)| **temperature != own.0);
    // What is missing was said of the report's own temperature.
    let others: Vec<_> =
        others.map(|(&temperature, texts)| (temperature, Measured::of(sources, temperature, texts, &mut vec![]))).collect();
    let each: BTreeMap<Temperature, &Measured> =
        others.iter().map(|(temperature, measured)| (*temperature, measured)).chain([own]).collect();
    (each.iter().map(|(&temperature, measured)| part(temperature, measured)).collect(), side_by_side(&each))
}

fn part(temperature: Temperature, measured: &Measured) -> TemperaturePart {
    let Measured { reading, voice, arms, .. } = measured;
    let arms = arms.iter().map(|arm| {
        let at = voice.arms.iter().position(|of| of.arm == arm.arm);
        let standing = reading.standings.iter().find(|standing| standing.arm == arm.arm);
        let features = voice.rows.iter().filter_map(|row| Some((row.feature, (*row.compared.values.get(at?)?)?))).collect();
        TemperatureArm {
            voice: (arm.words >= ENOUGH).then(|| TemperatureVoice { delta: at.and_then(|at| voice.arms[at].delta), features }),
            readings: standing.map_or(0, |standing| standing.readings),
            wins: standing.map_or(0, |standing| standing.wins),
            arm: arm.arm.clone(),
            label: arm.label.clone(),
            samples: arm.samples,
            empty: arm.empty,
            cut_short: arm.cut_short,
            words: arm.words,
            copied_words: arm.copied_words,
            facts: arm.facts,
        }
    });
    TemperaturePart { temperature, arms: arms.collect() }
}

fn side_by_side(each: &BTreeMap<Temperature, &Measured>) -> Vec<TemperaturePrompt> {
    let mut found: Vec<TemperaturePrompt> = vec![];
    for (&temperature, measured) in each {
        for prompt in &measured.prompts {
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
                    temperature,
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
