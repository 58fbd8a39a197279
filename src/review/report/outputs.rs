//! What the arms wrote: every prompt with its samples, what is copied and what invented in them, and what was made of a draft.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use super::Sources;
use crate::config::Temperature;
use crate::pairs::{self, Pair, plain};
use crate::review::align::{Kind, align};
use crate::review::head;
use crate::review::marks::{self, Marks, Trained};
use crate::review::paragraphs::paragraphs;
use crate::review::shares::{Counts, Shares};
use crate::review::verdict::{ArmName, Pick};
use crate::review::words::Segment;
use crate::run::folder::Run;
use crate::run::outputs::{self, Output};
use crate::run::protocol::{Finish, Sampling};

/// An arm, summed up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmPart {
    pub arm: ArmName,
    /// The arm's name alone where it is the only one of that name, else the whole.
    pub label: String,
    pub tuned: bool,
    pub samples: usize,
    /// Samples without a word.
    pub empty: usize,
    /// Samples that ended at the limit of new tokens.
    pub cut_short: usize,
    pub words: usize,
    /// The steps of the checkpoints that answered, or beside which the base arm was drawn.
    pub checkpoints: Vec<usize>,
    pub sampling: Vec<Sampling>,
    /// Spans of 8 or more words that stand in a pair the run was trained on; those of the prompt do not count.
    pub copied_spans: usize,
    pub copied_words: usize,
    /// Spans of a training pair that the prompt holds too.
    pub from_prompt: usize,
    pub facts: usize,
}

/// A prompt with all its outputs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PromptPart {
    pub prompt: String,
    pub text: String,
    /// What a canary is there to find out.
    pub about: Option<String>,
    /// The tier-1 pair whose draft it is.
    pub draft_of: Option<String>,
    /// What the writer made of that draft.
    pub hers: Option<Edit>,
    pub arms: Vec<PromptArm>,
}

/// An arm's samples of one prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PromptArm {
    pub arm: ArmName,
    pub label: String,
    /// Which of `samples` to show: the one that was picked as the best, else the first.
    pub shown: usize,
    /// Never empty.
    pub samples: Vec<SamplePart>,
    /// What the shown one made of the draft.
    pub edit: Option<Edit>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SamplePart {
    pub sample: usize,
    pub seed: u64,
    pub picked: bool,
    /// Ended at the limit of new tokens.
    pub cut_short: bool,
    pub words: usize,
    pub text: String,
    /// `copied` and `facts`.
    #[serde(flatten)]
    pub marks: Marks,
    /// Of a draft's sentences.
    pub shares: Option<Shares>,
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edit {
    pub shares: Shares,
    /// What became of the paragraphs and their endings, in words.
    pub paragraphs: String,
    pub rows: Vec<DiffRow>,
}

/// A row of the alignment and its words: what stayed (`=`), went (`-`) and came (`+`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiffRow {
    pub kind: Kind,
    pub words: Vec<(char, String)>,
    /// Whether a paragraph begins here: the draft's or, for a new row, the revision's.
    pub opens: bool,
}

/// The outputs of all runs at one temperature.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    /// By prompt, then in the order of the runs, the base arm first.
    pub prompts: BTreeMap<String, Vec<ArmTexts>>,
}

/// One arm's samples of one prompt. A sample that was drawn anew under the same number takes the place of the earlier one.
#[derive(Debug, Clone)]
pub(super) struct ArmTexts {
    pub arm: ArmName,
    pub samples: Vec<Output>,
}

/// The temperature that the report's numbers are of, and its outputs: the usual one, unless nothing was drawn at it.
pub(super) fn chosen(all: &BTreeMap<Temperature, Texts>, usual: Temperature, missing: &mut Vec<String>) -> (Temperature, Texts) {
    let count = |texts: &Texts| texts.all().map(|arm| arm.samples.len()).sum::<usize>();
    // Of two with as many, the lower one.
    let most = || all.iter().rev().max_by_key(|(_, texts)| count(texts)).map_or(usual, |(temperature, _)| *temperature);
    let temperature = if all.contains_key(&usual) { usual } else { most() };
    if temperature != usual {
        missing
            .push(format!("No output was drawn at {usual}, the temperature in sampling.yaml: all numbers are of those at {temperature}."));
    }
    (temperature, all.get(&temperature).cloned().unwrap_or_default())
}

impl Texts {
    /// Reads all outputs, by the temperature they were drawn at.
    pub fn read(sources: &Sources, missing: &mut Vec<String>) -> Result<BTreeMap<Temperature, Texts>> {
        let mut all: BTreeMap<Temperature, Texts> = BTreeMap::new();
        for run in sources.runs {
            let name = run.folder_name();
            for (prompt, names) in outputs::list(&run.folder)? {
                for arm in names {
                    let Some(arm_name) = ArmName::new(&name, &arm) else { continue };
                    let mut samples: BTreeMap<Temperature, BTreeMap<usize, Output>> = BTreeMap::new();
                    for output in outputs::read(&run.folder, &prompt, &arm)? {
                        samples.entry(output.sampling.temperature.into()).or_default().insert(output.sample, output);
                    }
                    for (temperature, samples) in samples {
                        let texts = ArmTexts { arm: arm_name.clone(), samples: samples.into_values().collect() };
                        all.entry(temperature).or_default().prompts.entry(prompt.clone()).or_default().push(texts);
                    }
                }
            }
        }
        let mut asked: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
        for (prompt, arms) in all.values().flat_map(|texts| &texts.prompts) {
            asked.entry(prompt).or_default().extend(arms.iter().flat_map(|arm| &arm.samples).map(|output| plain(&output.prompt_text)));
        }
        for (prompt, _) in asked.iter().filter(|(_, texts)| texts.len() > 1) {
            missing.push(format!("Prompt {prompt} did not have the same words for all samples: its outputs do not compare."));
        }
        Ok(all)
    }

    /// Names the runs whose arms have no outputs here.
    pub fn note_absent(&self, sources: &Sources, missing: &mut Vec<String>) {
        for run in sources.runs {
            let name = run.folder_name();
            let has = |ending: &str| self.all().any(|texts| texts.arm.run() == name && texts.arm.arm().ends_with(ending));
            let which = match (has("-base"), has("-tuned")) {
                (true, true) => continue,
                (false, false) => "no outputs",
                (false, true) => "no outputs of the base arm",
                (true, false) => "no outputs of the fine-tuned arm",
            };
            missing.push(format!("{name} has {which}; `voicetune generate {name}` draws them."));
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &ArmTexts> {
        self.prompts.values().flatten()
    }

    /// The arms, in the order of the runs, the base before the fine-tuned one.
    pub fn arms(&self, sources: &Sources) -> Vec<ArmName> {
        let mut arms: Vec<ArmName> = self.all().map(|texts| texts.arm.clone()).collect();
        let place = |arm: &ArmName| sources.runs.iter().position(|run| run.folder_name() == arm.run());
        arms.sort_by_cached_key(|arm| (place(arm), arm.clone()));
        arms.dedup();
        arms
    }
}

/// The tier-1 pair whose draft this prompt is.
pub(super) fn draft_of<'s>(sources: &Sources<'s>, prompt: &str) -> Option<&'s Pair> {
    pairs::of_draft(sources.pairs, prompt)
}

pub(super) fn is_tuned(arm: &ArmName) -> bool {
    arm.arm().ends_with("-tuned")
}

pub(super) fn is_empty(output: &Output) -> bool {
    output.text.trim().is_empty()
}

/// What an arm is called in tables.
pub(super) fn label(arm: &ArmName, arms: &[ArmName]) -> String {
    let alone = arms.iter().filter(|other| other.arm() == arm.arm()).count() < 2;
    if alone { arm.arm().to_owned() } else { arm.to_string() }
}

/// All arms and all prompts. `picks` are the readings' best samples.
pub(super) fn parts(
    sources: &Sources,
    texts: &Texts,
    picks: &BTreeMap<(String, ArmName), Pick>,
    missing: &mut Vec<String>,
) -> (Vec<ArmPart>, Vec<PromptPart>) {
    let arms = texts.arms(sources);
    let trained: BTreeMap<String, Trained> =
        sources.runs.iter().map(|run| (run.folder_name(), trained(run, sources.pairs, missing))).collect();
    let mut prompts = vec![];
    for (prompt, all) in &texts.prompts {
        let text = all[0].samples[0].prompt_text.clone();
        let draft = draft_of(sources, &text);
        let asked = Asked { prompt: marks::Asked::new(&text), draft };
        let arm = |texts: &ArmTexts| {
            let pick = picks.get(&(prompt.clone(), texts.arm.clone()));
            asked.arm(texts, &trained[texts.arm.run()], pick, label(&texts.arm, &arms))
        };
        prompts.push(PromptPart {
            prompt: prompt.clone(),
            about: sources.canaries.iter().find(|canary| canary.id == *prompt).map(|canary| canary.about.clone()),
            draft_of: draft.map(|pair| pair.id.clone()),
            hers: draft.map(|pair| Edit::of(&pair.prompt, &pair.response)),
            arms: all.iter().map(arm).collect(),
            text,
        });
    }
    let sums: Vec<ArmPart> = arms.iter().map(|arm| sum(arm, label(arm, &arms), texts, &prompts)).collect();
    let settings: BTreeSet<String> =
        sums.iter().flat_map(|arm| &arm.sampling).map(|sampling| format!("{:?}", Sampling { max_new_tokens: 0, ..*sampling })).collect();
    if settings.len() > 1 {
        missing.push(
            "The outputs were not all drawn with the same sampling settings (see the arms): what differs between them may be the settings."
                .into(),
        );
    }
    for arm in sums.iter().filter(|arm| arm.empty > 0) {
        missing.push(format!(
            "{}: {} of {} outputs are empty; they are shown, and left out of agreement and voice.",
            arm.label, arm.empty, arm.samples
        ));
    }
    (sums, prompts)
}

/// What a run was trained on.
fn trained(run: &Run, pairs: &[Pair], missing: &mut Vec<String>) -> Trained {
    let ids = &run.manifest.data.train;
    let (trained, gone) = Trained::on(ids, pairs);
    if gone > 0 {
        let name = run.folder_name();
        missing.push(format!(
            "{name}: {gone} of its {} training pairs are no longer there; what was copied from them is not found.",
            ids.len()
        ));
    }
    trained
}

/// A prompt, prepared for measuring its outputs.
struct Asked<'a> {
    prompt: marks::Asked<'a>,
    draft: Option<&'a Pair>,
}

impl Asked<'_> {
    fn arm(&self, texts: &ArmTexts, trained: &Trained, pick: Option<&Pick>, label: String) -> PromptArm {
        let samples: Vec<SamplePart> = texts.samples.iter().map(|output| self.sample(output, trained, pick)).collect();
        let full = |part: &SamplePart| part.words > 0;
        let shown = samples.iter().position(|part| part.picked).or_else(|| samples.iter().position(full)).unwrap_or(0);
        let edit = self.draft.filter(|_| full(&samples[shown])).map(|pair| Edit::of(&pair.prompt, &samples[shown].text));
        PromptArm { arm: texts.arm.clone(), label, shown, samples, edit }
    }

    fn sample(&self, output: &Output, trained: &Trained, pick: Option<&Pick>) -> SamplePart {
        let text = output.text.as_str();
        SamplePart {
            sample: output.sample,
            seed: output.seed,
            picked: pick.is_some_and(|pick| pick.shown.sample == output.sample && pick.shown.is(text)),
            cut_short: output.finish == Finish::Length,
            words: text.unicode_words().count(),
            marks: trained.marks(text, &self.prompt),
            shares: self.draft.filter(|_| !is_empty(output)).map(|pair| Counts::of(&align(&pair.prompt, text)).shares()),
            text: text.to_owned(),
        }
    }
}

impl Edit {
    fn of(draft: &str, revision: &str) -> Edit {
        let alignment = align(draft, revision);
        let mut paragraph = None;
        let mut rows = vec![];
        for row in &alignment.rows {
            let here = match (&row.draft, &row.revision) {
                (Some(run), _) => (true, alignment.draft.sentences[run.start].paragraph),
                (None, Some(run)) => (false, alignment.revision.sentences[run.start].paragraph),
                (None, None) => continue,
            };
            let segment = |segment| match segment {
                Segment::Equal(text) => ('=', text.to_owned()),
                Segment::Delete(text) => ('-', text.to_owned()),
                Segment::Insert(text) => ('+', text.to_owned()),
            };
            rows.push(DiffRow {
                kind: row.kind,
                words: alignment.words(row).into_iter().map(segment).collect(),
                opens: paragraph != Some(here),
            });
            paragraph = Some(here);
        }
        Edit { shares: Counts::of(&alignment).shares(), paragraphs: head::paragraphs(&paragraphs(&alignment)), rows }
    }
}

fn sum(arm: &ArmName, label: String, texts: &Texts, prompts: &[PromptPart]) -> ArmPart {
    let outputs: Vec<&Output> = texts.all().filter(|texts| texts.arm == *arm).flat_map(|texts| &texts.samples).collect();
    let samples = || prompts.iter().flat_map(|prompt| &prompt.arms).filter(|part| part.arm == *arm).flat_map(|part| &part.samples);
    let copied = |in_prompt: bool| samples().flat_map(|sample| &sample.marks.copied).filter(move |copied| copied.in_prompt == in_prompt);
    let mut sampling: Vec<Sampling> = vec![];
    for output in &outputs {
        if !sampling.contains(&output.sampling) {
            sampling.push(output.sampling);
        }
    }
    ArmPart {
        arm: arm.clone(),
        label,
        tuned: is_tuned(arm),
        samples: outputs.len(),
        empty: outputs.iter().filter(|output| is_empty(output)).count(),
        cut_short: outputs.iter().filter(|output| output.finish == Finish::Length).count(),
        words: samples().map(|sample| sample.words).sum(),
        checkpoints: outputs.iter().map(|output| output.checkpoint).collect::<BTreeSet<_>>().into_iter().collect(),
        sampling,
        copied_spans: copied(false).count(),
        copied_words: copied(false).map(|copied| copied.words).sum(),
        from_prompt: copied(true).count(),
        facts: samples().map(|sample| sample.marks.facts.len()).sum(),
    }
}
