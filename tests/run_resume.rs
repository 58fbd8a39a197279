//! A run that ended early goes on exactly as if it had not.
#![allow(clippy::unwrap_used)]

mod run_support;

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};

use run_support::worker::wait_for_step;
use run_support::{Sample, exact_history};
use voicetune::run::checkpoint::Checkpoints;
use voicetune::run::log::History;
use voicetune::run::protocol::Outcome;

fn check_killed_at_step_7(config: &str, weights: &str) {
    let sample = Sample::new();
    sample.succeed(&["train", config, "--run", "whole", "--max-steps", "12"]);
    let mut child = sample.start(&["train", config, "--run", "killed", "--json", "--in-process"]);
    wait_for_step(&mut child, 7);
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    let run = sample.run("killed");
    // The process may have come a few steps further before the signal did: as killed at step 7, only the checkpoint of step 5 exists.
    for checkpoint in Checkpoints::of(&run).list().unwrap() {
        if checkpoint.step > 5 {
            fs::remove_dir_all(checkpoint.path).unwrap();
        }
    }
    OpenOptions::new().append(true).open(run.join("events.jsonl")).unwrap().write_all(br#"{"type":"step","step":8,"lo"#).unwrap();

    sample.succeed(&["train", "--resume", "killed", "--max-steps", "12"]);

    let whole = sample.run("whole");
    assert_eq!(exact_history(&run), exact_history(&whole));
    assert_eq!(exact_history(&run).0.len(), 12);
    for file in [weights, "optimizer.safetensors", "state.json"] {
        let read = |run: &std::path::Path| fs::read(run.join("checkpoints/step-000012").join(file)).unwrap();
        assert!(read(&run) == read(&whole), "{file} differs");
    }
}

#[test]
fn a_killed_lora_run_goes_on_bit_for_bit() {
    check_killed_at_step_7("lora", "adapter_model.safetensors");
}

#[test]
fn a_killed_full_run_goes_on_bit_for_bit() {
    check_killed_at_step_7("full", "model.safetensors");
}

#[test]
fn an_interrupted_run_keeps_its_step_and_goes_on() {
    let sample = Sample::new();
    let mut child = sample.start(&["train", "lora", "--run", "halted", "--json", "--in-process"]);
    wait_for_step(&mut child, 2);
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    // Its output is read to the end, or it would wait for a reader.
    let rest: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let run = sample.run("halted");
    let history = History::read(&run).unwrap();
    assert_eq!(history.ended.unwrap().outcome, Outcome::Stopped);
    assert!(rest.last().unwrap().contains(r#""outcome":"stopped""#));
    let stopped = history.steps.last().unwrap().step;
    assert_eq!(Checkpoints::of(&run).find(None).unwrap().step, stopped, "the step under way was finished and saved");

    let last = (stopped + 3).to_string();
    sample.succeed(&["train", "--resume", "halted", "--max-steps", &last]);
    sample.succeed(&["train", "lora", "--run", "whole", "--max-steps", &last]);
    assert_eq!(exact_history(&run).0, exact_history(&sample.run("whole")).0);
}

#[test]
fn a_run_that_changed_is_refused_with_what_changed() {
    let sample = Sample::new();
    sample.succeed(&["train", "lora", "--run", "first", "--max-steps", "2"]);
    let config = fs::read_to_string(sample.path("configs/lora.yaml")).unwrap();

    sample.write("configs/lora.yaml", &config.replace("epochs: 40", "epochs: 41"));
    sample.fail(&["train", "--resume", "first"], &["cannot go on as it began", "config epochs: 40 -> 41", "--force"]);
    sample.write("configs/lora.yaml", &config);

    sample.write_pair("tier2/clock", "clock", "About a clock.", "Quite another text.");
    sample.write_pair("tier2/hat", "clock", "About a hat.", "A hat.");
    sample.fail(&["train", "--resume", "first"], &["data set: tier2/hat is new, tier2/clock was edited"]);

    // Forced, it goes on with what it began with.
    sample.succeed(&["train", "--resume", "first", "--force", "--max-steps", "4"]);
    let pairs: Vec<String> = History::read(&sample.run("first")).unwrap().steps.iter().flat_map(|s| s.pairs.clone()).collect();
    assert_eq!(pairs.len(), 8);
    assert!(!pairs.contains(&"tier2/hat".to_owned()));

    let dataset = sample.run("first").join("dataset.jsonl");
    fs::write(&dataset, "").unwrap();
    sample.fail(&["train", "--resume", "first", "--force"], &["dataset.jsonl: was changed after the run was made"]);
}

#[test]
fn a_run_without_anything_left_to_do_is_refused() {
    let sample = Sample::new();
    let config = fs::read_to_string(sample.path("configs/lora.yaml")).unwrap();
    sample.write("configs/lora.yaml", &config.replace("epochs: 40", "epochs: 1"));
    sample.succeed(&["train", "lora", "--run", "short"]);
    sample.fail(&["train", "--resume", "short"], &["the run has done all of its"]);
    sample.fail(&["train", "--resume", "other"], &["there is no run `other`", "-short"]);
}
