//! What the outputs are worth: the blind readings, the agreement with the writer's own edits, the distance from her voice.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Sources;
use super::outputs::{ArmTexts, Texts, draft_of, is_empty, is_tuned, label};
use crate::config::Temperature;
use crate::pairs::{Pair, Status, Tier};
use crate::review::agreement::Scores;
use crate::review::canary_sheet::{Both, CanarySheet};
use crate::review::canary_verdict;
use crate::review::edits::{self, Asked, Difference, Piece};
use crate::review::tally::{Mean, tally};
use crate::review::verdict::{self, ArmName, Pick};
use crate::review::voice::{ArmOutputs, VoiceTable};
use crate::run::folder::Run;

/// Draws every bootstrap's samples. Fixed, so that two people see one interval.
const SEED: u64 = 0;

/// The blind readings, counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    pub blind: usize,
    /// Readings with the names shown: none of the numbers is of them.
    pub open: usize,
    /// Readings at other temperatures than the report's: none of the numbers is of them either.
    pub elsewhere: usize,
    pub standings: Vec<Standing>,
    /// Whether comparisons link all arms that were compared, so that their strengths compare.
    pub connected: bool,
    /// The rubric's dimensions that were scored: id and name.
    pub dimensions: Vec<(String, String)>,
    pub canaries: Vec<CanarySheet>,
    /// How the canaries' verdict is found.
    pub rule: String,
}

/// One arm in the readings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    pub arm: ArmName,
    pub label: String,
    pub readings: u64,
    pub wins: u64,
    pub ties: u64,
    pub all_bad: u64,
    pub win_rate: Option<f64>,
    /// Wilson's, 95 %.
    pub win_interval: Option<(f64, f64)>,
    /// Bradley and Terry's; the strengths' geometric mean is 1.
    pub strength: Option<f64>,
    /// 95 %.
    pub strength_interval: Option<(f64, f64)>,
    pub overall: Option<Mean>,
    /// By the dimension's id.
    pub rubric: BTreeMap<String, Mean>,
}

/// The agreement of a run's arms with the writer's own edits of some drafts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Editing {
    pub run: String,
    /// Whether the run saw nothing of these pieces: neither the pair nor another of the same source.
    pub held_out: bool,
    /// The tier-1 pairs.
    pub pairs: Vec<String>,
    /// All sentences of the drafts, and those she cut.
    pub sentences: (usize, usize),
    /// The last sentences of paragraphs, and those she cut.
    pub endings: (usize, usize),
    /// Base before fine-tuned.
    pub arms: Vec<EditingArm>,
    pub cutting_nothing: [Scores; 2],
    pub cutting_at_random: [Scores; 2],
    /// Fine-tuned less base, for all sentences and for endings; null where an arm is missing.
    pub difference: Option<[Difference; 2]>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EditingArm {
    pub arm: ArmName,
    pub label: String,
    pub samples: usize,
    pub cut: Scores,
    pub endings: Scores,
}

/// The readings' part of the report, and the samples that were picked.
pub(super) struct Read {
    pub part: Reading,
    pub picks: BTreeMap<(String, ArmName), Pick>,
}

pub(super) fn reading(sources: &Sources, texts: &Texts, temperature: Temperature, missing: &mut Vec<String>) -> Read {
    let mut folders: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for run in sources.runs {
        folders.entry(run.folder.parent().unwrap_or(&run.folder).to_owned()).or_default().push(run.folder_name());
    }
    let (mut verdicts, mut picks, mut elsewhere) = (vec![], BTreeMap::new(), 0);
    for (folder, names) in &folders {
        let found = verdict::read(folder, names.iter().map(String::as_str));
        missing.extend(found.problems.iter().map(|problem| {
            let line = problem.line.map_or(String::new(), |line| format!(":{line}"));
            format!("{}{line}: {}", problem.file.display(), problem.message)
        }));
        let all = found.verdicts.len();
        let found = found.at(temperature, sources.temperature);
        elsewhere += all - found.verdicts.len();
        picks.extend(found.picks_by_arm());
        verdicts.extend(found.verdicts);
    }
    let (blind, open): (Vec<_>, Vec<_>) = verdicts.iter().map(|verdict| &verdict.reading).partition(|reading| reading.blind);
    if blind.is_empty() {
        missing.push("Nothing was read blind yet: there is no win rate, no rubric and no verdict on the canaries.".into());
    }
    let counted = tally(blind.iter().copied(), ArmName::clone);
    let mut arms = texts.arms(sources);
    arms.extend(counted.arms.iter().map(|arm| arm.arm.clone()).filter(|arm| !arms.contains(arm)).collect::<Vec<_>>());
    let mut standings: Vec<Standing> = (counted.arms.into_iter())
        .map(|arm| Standing {
            label: label(&arm.arm, &arms),
            readings: arm.readings,
            wins: arm.wins,
            ties: arm.ties,
            all_bad: arm.all_bad,
            win_rate: arm.win_rate(),
            win_interval: arm.win_interval(),
            strength: arm.strength,
            strength_interval: arm.strength_interval,
            overall: arm.overall,
            rubric: arm.rubric,
            arm: arm.arm,
        })
        .collect();
    standings.sort_by_key(|standing| arms.iter().position(|arm| *arm == standing.arm));
    let scored = |id: &String| standings.iter().any(|standing| standing.rubric.contains_key(id));
    let dimensions = sources.rubric.dimensions.iter().map(|dimension| (dimension.id.clone(), dimension.name.clone()));
    let mut dimensions: Vec<_> = dimensions.filter(|(id, _)| scored(id)).collect();
    // A score whose dimension has left the rubric is still a score.
    for id in standings.iter().flat_map(|standing| standing.rubric.keys()) {
        if !dimensions.iter().any(|(known, _)| known == id) {
            dimensions.push((id.clone(), id.clone()));
        }
    }
    let canary = |run: &Run| {
        let name = run.folder_name();
        let arm = |tuned: bool| arms.iter().find(|arm| arm.run() == name && is_tuned(arm) == tuned);
        let (base, tuned) = (arm(false)?, arm(true)?);
        let long = texts.prompts.get(canary_verdict::LONG).is_some_and(|all| all.iter().any(|texts| texts.arm.run() == name));
        Some(CanarySheet::of(&blind, &picks, sources.rubric, Both { base, tuned }, long))
    };
    let part = Reading {
        blind: blind.len(),
        open: open.len(),
        elsewhere,
        connected: counted.connected,
        dimensions,
        canaries: sources.runs.iter().filter_map(canary).collect(),
        rule: canary_verdict::rule(),
        standings,
    };
    Read { part, picks }
}

pub(super) fn editing(sources: &Sources, texts: &Texts, missing: &mut Vec<String>) -> Vec<Editing> {
    let mut found = vec![];
    for run in sources.runs {
        let name = run.folder_name();
        let drafts: Vec<(&Pair, Vec<_>)> = (texts.prompts.values())
            .filter_map(|all| {
                let own: Vec<_> = all.iter().filter(|texts| texts.arm.run() == name).collect();
                let pair = draft_of(sources, &own.first()?.samples.first()?.prompt_text)?;
                Some((pair, own))
            })
            .collect();
        let unanswered = held_out_drafts(sources, run).filter(|pair| !drafts.iter().any(|(answered, _)| answered.id == pair.id));
        for pair in unanswered {
            missing.push(format!(
                "{name}: no arm was given the held-out draft {}; put its prompt into a file and `voicetune generate {name} --prompt-file FILE`.",
                pair.id
            ));
        }
        for held_out in [true, false] {
            let of_part: Vec<_> = drafts.iter().filter(|(pair, _)| is_held_out(sources, run, pair) == held_out).collect();
            if of_part.is_empty() {
                continue;
            }
            let mut arms: Vec<&ArmName> = of_part.iter().flat_map(|(_, own)| own.iter().map(|texts| &texts.arm)).collect();
            arms.sort();
            arms.dedup();
            let samples = |own: &[&ArmTexts], arm: &ArmName| -> Vec<String> {
                let of_arm = own.iter().filter(|texts| texts.arm == *arm).flat_map(|texts| &texts.samples);
                of_arm.filter(|output| !is_empty(output)).map(|output| output.text.clone()).collect()
            };
            let pieces: Vec<(Piece, Vec<usize>)> = (of_part.iter())
                .map(|(pair, own)| {
                    let texts: Vec<Vec<String>> = arms.iter().map(|arm| samples(own, arm)).collect();
                    let borrowed: Vec<Vec<&str>> = texts.iter().map(|texts| texts.iter().map(String::as_str).collect()).collect();
                    (Piece::of(&pair.prompt, &pair.response, &borrowed), texts.iter().map(Vec::len).collect())
                })
                .collect();
            let counts: Vec<usize> = (0..arms.len()).map(|arm| pieces.iter().map(|(_, samples)| samples[arm]).sum()).collect();
            let pieces: Vec<Piece> = pieces.into_iter().map(|(piece, _)| piece).collect();
            let place = |tuned: bool| arms.iter().position(|arm| is_tuned(arm) == tuned);
            let both = [Asked::All, Asked::Endings];
            let difference =
                place(false).zip(place(true)).map(|(base, tuned)| both.map(|asked| edits::difference(&pieces, base, tuned, asked, SEED)));
            let all_arms = texts.arms(sources);
            found.push(Editing {
                run: name.clone(),
                held_out,
                pairs: of_part.iter().map(|(pair, _)| pair.id.clone()).collect(),
                sentences: edits::author(&pieces, Asked::All),
                endings: edits::author(&pieces, Asked::Endings),
                arms: (arms.iter().enumerate())
                    .map(|(at, arm)| EditingArm {
                        arm: (*arm).clone(),
                        label: label(arm, &all_arms),
                        samples: counts[at],
                        cut: edits::scores(&pieces, at, Asked::All, SEED),
                        endings: edits::scores(&pieces, at, Asked::Endings, SEED),
                    })
                    .collect(),
                cutting_nothing: both.map(|asked| edits::cutting_nothing(&pieces, asked)),
                cutting_at_random: both.map(|asked| edits::cutting_at_random(&pieces, asked, SEED)),
                difference,
            });
        }
    }
    found
}

fn held_out_drafts<'s>(sources: &Sources<'s>, run: &'s Run) -> impl Iterator<Item = &'s Pair> {
    sources.pairs.iter().filter(|pair| pair.tier == Tier::Draft && run.manifest.data.validation.contains(&pair.id))
}

fn is_held_out(sources: &Sources, run: &Run, pair: &Pair) -> bool {
    let train = &run.manifest.data.train;
    let same_piece = |other: &Pair| other.source == pair.source && train.contains(&other.id);
    !train.contains(&pair.id) && !sources.pairs.iter().any(same_piece)
}

pub(super) fn voice(sources: &Sources, texts: &Texts, missing: &mut Vec<String>) -> VoiceTable {
    // The responses of tier 3 are parts of the others.
    let finished = sources.pairs.iter().filter(|pair| pair.status == Status::Ready && pair.tier != Tier::Opening);
    let mut pieces: Vec<&str> = finished.map(|pair| pair.response.trim()).collect();
    pieces.sort_unstable();
    pieces.dedup();
    if pieces.len() < 3 {
        missing.push("There are fewer than three finished pieces of hers: her own spread, the scale of the voice, cannot be told.".into());
    }
    let all = texts.arms(sources);
    let outputs = |arm: &ArmName| {
        let outputs = texts.all().filter(|texts| texts.arm == *arm).flat_map(|texts| &texts.samples);
        let texts = outputs.filter(|output| !is_empty(output)).map(|output| output.text.as_str()).collect();
        ArmOutputs { arm: arm.clone(), label: label(arm, &all), texts }
    };
    VoiceTable::of(pieces, all.iter().map(outputs).collect())
}
