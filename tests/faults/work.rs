//! What is saved while a fault is injected, and what must hold afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::Device;
use voicetune::config::{self, Precision};
use voicetune::engine::Model;
use voicetune::engine::optim::AdamW;
use voicetune::engine::spec::Spec;
use voicetune::pairs::{self, Fingerprint, Journal, Pair, Split, Status, Tier};
use voicetune::review::verdict::{self, ArmName, Pick, Shown};
use voicetune::run::Run;
use voicetune::run::checkpoint::{Best, Checkpoints, State};
use voicetune::run::log::{History, Log};
use voicetune::run::manifest::Manifest;
use voicetune::run::outputs::{self, Output};
use voicetune::run::protocol::{Ended, Eval, Event, Finish, Outcome, Sampling, Saved};

/// One piece of work: the state before it, the work itself, and what must hold after it. The last is told whether the work said that it
/// was done.
pub struct Work {
    pub name: &'static str,
    pub prepare: fn(&Path),
    pub act: fn(&Path) -> Result<()>,
    pub check: fn(&Path, bool, &str),
}

pub const WORKS: &[Work] = &[
    Work { name: "new pair", prepare: folders, act: |folder| save_pair(folder, "tier1/new", Fingerprint::Absent), check: check_new_pair },
    Work { name: "pair", prepare: with_pair, act: |folder| save_pair(folder, "tier1/old", old_state(folder)), check: check_pair },
    Work { name: "move", prepare: with_pair, act: move_pair, check: check_move },
    Work { name: "journal", prepare: with_journal, act: record, check: check_journal },
    Work { name: "verdict", prepare: with_verdict, act: |folder| pick(folder, 2), check: check_verdict },
    Work { name: "events", prepare: with_events, act: |folder| log(folder, 2), check: check_events },
    Work { name: "output", prepare: with_output, act: |folder| output(folder, 2), check: check_output },
    Work { name: "checkpoint", prepare: with_checkpoints, act: |folder| checkpoint(folder, 4), check: check_checkpoints },
    Work {
        name: "run",
        prepare: |folder| drop(run(folder, "first").unwrap()),
        act: |folder| run(folder, "second").map(drop),
        check: check_runs,
    },
];

fn folders(folder: &Path) {
    for tier in Tier::ALL {
        fs::create_dir_all(folder.join(tier.folder())).unwrap();
    }
}

// Pairs.

fn pair(id: &str, response: &str) -> Pair {
    let (tier, source) = (Tier::Draft, "s".into());
    let (status, split, notes) = (Status::Ready, Split::Auto, String::new());
    Pair { id: id.into(), tier, source, prompt: "A draft.\n".into(), response: response.into(), status, split, notes }
}

fn long(word: &str) -> String {
    format!("{word} sentence.\n").repeat(2000)
}

fn with_pair(folder: &Path) {
    folders(folder);
    pairs::save(folder, &pair("tier1/old", &long("Old")), Fingerprint::Absent).unwrap();
}

fn old_state(folder: &Path) -> Fingerprint {
    Fingerprint::of(&fs::read(pairs::file_of(folder, "tier1/old")).unwrap())
}

fn save_pair(folder: &Path, id: &str, read: Fingerprint) -> Result<()> {
    pairs::save(folder, &pair(id, &long("New")), read)?;
    Ok(())
}

fn response(folder: &Path, id: &str) -> Option<String> {
    pairs::open(folder, id).ok().map(|loaded| loaded.pair.response)
}

fn check_new_pair(folder: &Path, done: bool, shown: &str) {
    match response(folder, "tier1/new") {
        Some(text) => assert_eq!(text, long("New"), "{shown}"),
        None => assert!(!done && !pairs::file_of(folder, "tier1/new").exists(), "{shown}"),
    }
}

fn check_pair(folder: &Path, done: bool, shown: &str) {
    let text = response(folder, "tier1/old").unwrap_or_else(|| panic!("{shown}: unreadable"));
    assert!(text == long("New") || (!done && text == long("Old")), "{shown}");
}

fn move_pair(folder: &Path) -> Result<()> {
    pairs::move_to_tier(folder, &pairs::open(folder, "tier1/old").unwrap(), Tier::Note)?;
    Ok(())
}

/// It is in one of the two places, or in both.
fn check_move(folder: &Path, done: bool, shown: &str) {
    let found = ["tier1/old", "tier4/old"].map(|id| response(folder, id));
    assert!(found.iter().flatten().all(|text| *text == long("Old")), "{shown}");
    assert!(found.iter().any(Option::is_some), "{shown}: gone");
    assert!(!done || (found[0].is_none() && found[1].is_some()), "{shown}");
}

// The journal. What an earlier process left stays whatever befalls this one.

fn with_journal(folder: &Path) {
    folders(folder);
    Journal::new(folder).record(&pair("tier1/left", "Left."), Fingerprint::Absent).unwrap();
}

fn record(folder: &Path) -> Result<()> {
    let mut journal = Journal::new(folder);
    journal.record(&pair("tier1/edited", "First."), Fingerprint::Absent)?;
    journal.record(&pair("tier1/edited", &long("Second")), Fingerprint::Absent)?;
    Ok(())
}

fn check_journal(folder: &Path, done: bool, shown: &str) {
    let (found, problems) = pairs::recoverable(folder, None);
    assert!(problems.is_empty(), "{shown}: {problems:?}");
    let of = |id: &str| found.iter().find(|unsaved| unsaved.pair.id == id).map(|unsaved| unsaved.pair.response.clone());
    assert_eq!(of("tier1/left").as_deref(), Some("Left."), "{shown}");
    match of("tier1/edited") {
        Some(text) => assert!(text == long("Second") || (!done && text == "First."), "{shown}"),
        None => assert!(!done, "{shown}"),
    }
}

// Verdicts, events, outputs: whole lines, and the next one can be read as well.

fn with_verdict(folder: &Path) {
    fs::create_dir_all(folder.join("run")).unwrap();
    pick(folder, 1).unwrap();
}

fn pick(folder: &Path, sample: usize) -> Result<()> {
    let shown = Shown { arm: ArmName::new("run", "llama-tuned").unwrap(), sample, text: String::new() };
    verdict::append_pick(folder, &Pick { time: String::new(), prompt: format!("P{sample}"), temperature: None, shown })
}

fn check_verdict(folder: &Path, done: bool, shown: &str) {
    let picked = || {
        let found = verdict::read(folder, ["run"]);
        assert!(found.problems.is_empty(), "{shown}: {:?}", found.problems);
        found.picks.len()
    };
    assert!(picked() == 2 || (!done && picked() == 1), "{shown}");
    pick(folder, 3).unwrap();
    assert!(picked() >= 2, "{shown}");
}

fn with_events(folder: &Path) {
    log(folder, 1).unwrap();
}

fn log(folder: &Path, step: usize) -> Result<()> {
    let mut log = Log::open(folder)?;
    log.append(&Event::Eval(Eval { step, loss: 2.5, tokens: 7 }))?;
    log.append(&Event::Saved(Saved { step, checkpoint: Checkpoints::name(step), result: true }))?;
    log.append(&Event::Ended(Ended::now(Outcome::Stopped, None)))
}

fn check_events(folder: &Path, done: bool, shown: &str) {
    let read = || {
        let history = History::read(folder).unwrap();
        assert!(history.problems.is_empty(), "{shown}: {:?}", history.problems);
        (history.evals.len(), history.saved.len())
    };
    let (evals, saved) = read();
    assert!(evals >= 1 && saved >= 1 && evals >= saved && (!done || (evals, saved) == (2, 2)), "{shown}: {evals}, {saved}");
    log(folder, 3).unwrap();
    assert_eq!(read(), (evals + 1, saved + 1), "{shown}");
}

fn with_output(folder: &Path) {
    output(folder, 1).unwrap();
}

fn output(folder: &Path, sample: usize) -> Result<()> {
    let sampling = Sampling { temperature: 0.8, top_p: 0.9, top_k: 50, repetition_penalty: 1.1, max_new_tokens: 9 };
    let output = Output {
        prompt: "A".into(),
        arm: "llama-tuned".into(),
        sample,
        seed: 42,
        ids: vec![1],
        text: long("An"),
        finish: Finish::Stop,
        prompt_text: "p".into(),
        checkpoint: 5,
        sampling,
        time: String::new(),
    };
    outputs::append(folder, &output)
}

fn check_output(folder: &Path, done: bool, shown: &str) {
    let count = || outputs::read(folder, "A", "llama-tuned").unwrap_or_else(|error| panic!("{shown}: {error:#}")).len();
    let before = count();
    assert!(before == 2 || (!done && before == 1), "{shown}");
    output(folder, 3).unwrap();
    assert_eq!(count(), before + 1, "{shown}");
}

// Checkpoints. Those of steps 1 to 3 are there, the best is that of step 1, and two stay besides.

fn with_checkpoints(folder: &Path) {
    (1..=3).for_each(|step| checkpoint(folder, step).unwrap());
}

fn model() -> (Model, AdamW) {
    let spec = Spec::parse(include_str!("../../fuzz/seeds/model_config/gpt2.json")).unwrap();
    let config = config::parse(Path::new("c.yaml"), "{ model: m, format: plain, method: lora, lora: { targets: [c_attn] } }").unwrap();
    let mut model = Model::random(&spec, &Device::Cpu, Precision::F32, 1).unwrap();
    model.add_lora(&config.lora, 1).unwrap();
    let optimizer = AdamW::new(&config.optimizer, &model).unwrap();
    (model, optimizer)
}

fn checkpoint(folder: &Path, step: usize) -> Result<()> {
    let (model, optimizer) = model();
    let best = Some(Best { step: 1, loss: 2.5 });
    let state = State { step, epoch: 1, cursor: step, seed: 42, loss: None, best, config_hash: "c".into(), data_hash: "d".into() };
    let write = |beside: &Path| {
        model.save_adapter(beside, "m")?;
        optimizer.save(&model, &beside.join("optimizer.safetensors"))
    };
    Checkpoints::of(folder).save(&state, 2, write).map(drop)
}

fn check_checkpoints(folder: &Path, done: bool, shown: &str) {
    let checkpoints = Checkpoints::of(folder);
    let list = checkpoints.list().unwrap();
    for checkpoint in &list {
        let (mut model, mut optimizer) = model();
        assert_eq!(checkpoints.state(checkpoint).unwrap().step, checkpoint.step, "{shown}");
        model.load_adapter(&checkpoint.path, 0.0).unwrap_or_else(|error| panic!("{shown}: {error:#}"));
        optimizer.load(&mut model, &checkpoint.path.join("optimizer.safetensors")).unwrap_or_else(|error| panic!("{shown}: {error:#}"));
    }
    let steps: Vec<usize> = list.iter().map(|checkpoint| checkpoint.step).collect();
    assert!(steps.contains(&1), "{shown}: the best is gone, of {steps:?}");
    assert!(steps.contains(&3), "{shown}: an earlier one is gone, of {steps:?}");
    assert!(!done || steps == [1, 3, 4], "{shown}: {steps:?}");
    assert_eq!(checkpoints.result().unwrap().step, 1, "{shown}");
}

// Run folders.

fn run(folder: &Path, name: &str) -> Result<Run> {
    let sample = Manifest::parse(include_str!("../fixtures/run/manifest.yaml")).unwrap();
    Run::create(folder, Manifest { name: name.into(), ..sample }, "")
}

fn check_runs(folder: &Path, done: bool, shown: &str) {
    let folders: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let runs = Run::list(folder).unwrap();
    assert_eq!(runs.len(), folders.len(), "{shown}: a folder that is no run");
    for run in &runs {
        run.examples().unwrap_or_else(|error| panic!("{shown}: {error:#}"));
        assert!(run.folder.join("journal.md").is_file(), "{shown}");
    }
    assert!(runs.len() == 2 || (!done && runs.len() == 1), "{shown}");
}
