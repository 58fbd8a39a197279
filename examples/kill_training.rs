//! Kills training with SIGKILL at random moments, among them while it writes checkpoints, and holds what is left to its promises: no
//! file is unreadable, and a run that goes on has, to the last bit, the losses, evaluations and weights of one that was never killed.
//! Prints one JSON object; ends with a panic at the first promise that does not hold.
//!
//!     cargo build && cargo run --example kill_training -- 200

#![allow(clippy::unwrap_used)] // it ends where something is amiss

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

#[path = "../tests/run_support/mod.rs"]
mod run_support;

use run_support::{Sample, exact_history};
use voicetune::engine::AdapterConfig;
use voicetune::engine::weights::{Source, Store};
use voicetune::run::Run;
use voicetune::run::checkpoint::Checkpoints;
use voicetune::run::log::History;
use voicetune::run::manifest::Manifest;

/// Optimiser steps of a run; a checkpoint after each second one, so that many kills fall into the writing of one.
const STEPS: usize = 40;

#[derive(Default)]
struct Counts {
    kills: usize,
    /// Of these, before the run had its first checkpoint.
    before_the_first: usize,
    /// That left a checkpoint half written, or half removed, out of sight.
    within_a_checkpoint: usize,
    /// That left a line of the log torn.
    within_a_line: usize,
    resumed: usize,
    runs: usize,
    checkpoints_read: usize,
}

fn main() {
    let wanted: usize = std::env::args().nth(1).map_or(200, |n| n.parse().unwrap());
    let sample = Sample::new();
    let config = fs::read_to_string(sample.path("configs/lora.yaml")).unwrap();
    sample.write("configs/lora.yaml", &config.replace("checkpoint_every: 5", "checkpoint_every: 2"));
    let begun = Instant::now();
    train(&sample, "whole", false).wait().unwrap();
    let lasts = begun.elapsed();
    let whole = sample.run("whole");
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut counts = Counts::default();
    while counts.kills < wanted {
        counts.runs += 1;
        let name = format!("killed-{}", counts.runs);
        let mut exists = false;
        loop {
            let mut child = train(&sample, &name, exists);
            // Up to the time that the rest of the run takes; a little more, so that it comes to its end at last.
            std::thread::sleep(lasts.mul_f64(rng.random_range(0.02..1.1)));
            let is_killed = child.try_wait().unwrap().is_none();
            child.kill().ok();
            child.wait().unwrap();
            let run = run_of(&sample, &name);
            let last = run.as_ref().map_or(0, |run| look(run, &mut counts));
            if last == STEPS {
                assert_eq!(exact_history(&run.unwrap().folder), exact_history(&whole), "{name}: not as if it had never been killed");
                same_files(&sample.run(&name), &whole);
                break;
            }
            assert!(is_killed, "{name}: ended by itself after step {last}");
            counts.kills += 1;
            counts.before_the_first += usize::from(last == 0);
            if last == 0 {
                // Nothing to go on from: it begins anew, under its name.
                if let Some(run) = run {
                    fs::remove_dir_all(run.folder).unwrap();
                }
            }
            exists = last > 0;
            counts.resumed += usize::from(exists);
        }
    }
    let Counts { kills, before_the_first, within_a_checkpoint, within_a_line, resumed, runs, checkpoints_read } = counts;
    let result = json!({
        "kills": kills, "runs": runs, "resumed": resumed, "before_the_first_checkpoint": before_the_first,
        "within_the_writing_of_a_checkpoint": within_a_checkpoint, "within_a_line_of_the_log": within_a_line,
        "checkpoints_read": checkpoints_read, "unreadable_files": 0, "inexact_resumes": 0, "seconds": begun.elapsed().as_secs(),
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
}

fn train(sample: &Sample, name: &str, resumed: bool) -> Child {
    let steps = STEPS.to_string();
    let fresh = ["train", "lora", "--run", name, "--in-process", "--max-steps", &steps];
    let again = ["train", "--resume", name, "--in-process", "--max-steps", &steps];
    let mut command = sample.voicetune(if resumed { &again } else { &fresh });
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn run_of(sample: &Sample, name: &str) -> Option<Run> {
    let runs = sample.path("runs");
    // Each folder that can be seen is a whole run.
    for entry in fs::read_dir(&runs).ok()? {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().unwrap().starts_with('.') {
            Manifest::read(&path).unwrap();
        }
    }
    Run::list(&runs).unwrap().into_iter().find(|run| run.manifest.name == name)
}

/// Reads everything that the run has; returns the step of its last checkpoint.
fn look(run: &Run, counts: &mut Counts) -> usize {
    run.examples().unwrap();
    let history = History::read(&run.folder).unwrap();
    assert_eq!(history.problems, [], "{}", run.folder.display());
    let log = fs::read(run.folder.join("events.jsonl")).unwrap_or_default();
    counts.within_a_line += usize::from(!log.is_empty() && !log.ends_with(b"\n"));
    assert!(fs::read_to_string(run.folder.join("journal.md")).unwrap().starts_with("# "));
    let checkpoints = Checkpoints::of(&run.folder);
    let list = checkpoints.list().unwrap();
    for checkpoint in &list {
        assert_eq!(checkpoints.state(checkpoint).unwrap().step, checkpoint.step);
        AdapterConfig::read(&checkpoint.path).unwrap();
        for file in ["adapter_model.safetensors", "optimizer.safetensors"] {
            let store = Store::open(&Source::Files(vec![checkpoint.path.join(file)])).unwrap();
            store.names().iter().for_each(|name| drop(store.load(name, &candle_core::Device::Cpu).unwrap()));
        }
        counts.checkpoints_read += 1;
    }
    if !list.is_empty() && run.folder.join("result.json").exists() {
        checkpoints.result().unwrap();
    }
    let hidden = fs::read_dir(run.folder.join("checkpoints")).into_iter().flatten();
    let is_hidden = |name: &std::ffi::OsStr| name.to_str().unwrap().starts_with(".step-");
    counts.within_a_checkpoint += usize::from(hidden.into_iter().any(|entry| is_hidden(&entry.unwrap().file_name())));
    list.last().map_or(0, |last| last.step)
}

/// The last checkpoints are equal byte for byte.
fn same_files(run: &Path, whole: &Path) {
    for file in ["adapter_model.safetensors", "optimizer.safetensors", "state.json"] {
        let read = |run: &Path| fs::read(run.join(Checkpoints::name(STEPS)).join(file)).unwrap();
        assert!(read(run) == read(whole), "{}: {file} differs", run.display());
    }
}
