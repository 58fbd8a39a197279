//! What a run leaves on disk, and what it leaves when it cannot begin or the disk is full.
#![allow(clippy::unwrap_used)]

mod run_support;

use std::fs;
use std::path::Path;
use std::process::Command;

use run_support::Sample;
use serde_json::Value;
use voicetune::run::Run;
use voicetune::run::checkpoint::Checkpoints;
use voicetune::run::log::History;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_folder_has_all_that_the_contract_says() {
    let sample = Sample::new();
    let stdout = sample.succeed(&["train", "lora", "--run", "first", "--max-steps", "9", "--json"]);
    let folder = sample.run("first");
    assert_eq!(fs::read_to_string(folder.join("events.jsonl")).unwrap(), stdout, "--json prints the log as it is written");
    assert_eq!(
        names(&folder),
        ["checkpoints", "dataset.jsonl", "events.jsonl", "journal.md", "manifest.yaml", "result.json", "worker.log"]
    );

    let run = Run::open(&folder).unwrap();
    let examples = run.examples().unwrap();
    assert_eq!(examples.len(), 8);
    assert_eq!(run.manifest.data.train.len() + run.manifest.data.validation.len(), 8);
    assert!(!run.manifest.data.validation.is_empty());

    let history = History::read(&folder).unwrap();
    assert_eq!(history.steps.iter().map(|s| s.step).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    assert_eq!(history.evals.iter().map(|e| e.step).collect::<Vec<_>>(), [0, 4, 8]);
    let trained: usize =
        examples.iter().filter(|e| history.steps[0].pairs.contains(&e.pair)).map(|e| e.mask.iter().filter(|&&m| m == 1).count()).sum();
    assert_eq!(history.steps[0].tokens, trained, "tokens are those that carry loss");
    let (first, last) = (&history.evals[0], &history.evals[2]);
    assert!(last.loss < first.loss, "nine steps teach something: {} -> {}", first.loss, last.loss);

    let best = history.evals[1..].iter().min_by(|a, b| a.loss.total_cmp(&b.loss)).unwrap();
    let result: Value = serde_json::from_str(&fs::read_to_string(folder.join("result.json")).unwrap()).unwrap();
    assert_eq!(result["step"], best.step);
    assert_eq!(Checkpoints::of(&folder).result().unwrap().step, best.step);
    let peft = folder.join(result["checkpoint"].as_str().unwrap());
    assert_eq!(names(&peft), ["adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", "state.json"]);

    let journal = fs::read_to_string(folder.join("journal.md")).unwrap();
    assert!(journal.starts_with("# ") && journal.contains("This journal is yours"), "{journal}");
    assert!(journal.contains(&format!("result: the checkpoint of step {}", best.step)), "{journal}");
}

#[test]
fn a_full_checkpoint_is_a_complete_model_folder() {
    let sample = Sample::new();
    sample.succeed(&["train", "full", "--run", "first", "--max-steps", "1"]);
    let checkpoint = sample.run("first").join("checkpoints/step-000001");
    let model = checkpoint.to_str().unwrap();
    for file in ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        assert!(checkpoint.join(file).is_file(), "{file}");
    }
    let score: Value = serde_json::from_str(&sample.succeed(&["score", "--model", model, "--ids", "5,6,7,8", "--json"])).unwrap();
    assert_eq!(score["logprobs"].as_array().unwrap().len(), 3);
}

#[test]
fn an_adapter_is_a_start_for_another_run() {
    let sample = Sample::new();
    sample.succeed(&["train", "lora", "--run", "first", "--max-steps", "8"]);
    let learnt = History::read(&sample.run("first")).unwrap().evals.last().unwrap().loss;
    let adapter = sample.run("first").join("checkpoints/step-000008");
    sample.succeed(&["train", "lora", "--run", "second", "--max-steps", "1", "--adapter-init", adapter.to_str().unwrap()]);
    let started = History::read(&sample.run("second")).unwrap().evals[0].loss;
    assert_eq!(started.to_bits(), learnt.to_bits());
    sample.fail(&["train", "full", "--adapter-init", adapter.to_str().unwrap()], &["--adapter-init is for `method: lora`"]);
    sample.fail(&["train", "lora", "--adapter-init", "pairs"], &["pairs: no adapter_config.json"]);
}

#[test]
fn a_run_can_be_confined_to_some_pairs() {
    let sample = Sample::new();
    sample.succeed(&["train", "lora", "--run", "two", "--pairs", "tier2/clock,tier2/ferry", "--max-steps", "1"]);
    let data = Run::open(&sample.run("two")).unwrap().manifest.data;
    assert_eq!([data.train, data.validation].concat().len(), 2);
    sample.fail(&["train", "lora", "--pairs", "tier2/hat"], &["there is no pair tier2/hat"]);
    sample.succeed(&["train", "--resume", "two", "--max-steps", "2"]);
}

/// What keeps a run from beginning is said, with exit status 1, and leaves no run folder.
#[test]
fn a_run_that_cannot_begin_leaves_nothing() {
    let check = |break_it: fn(&Sample), config: &str, parts: &[&str]| {
        let sample = Sample::new();
        break_it(&sample);
        sample.fail(&["train", config], parts);
        let left: Vec<_> = fs::read_dir(sample.path("runs")).into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == ".worker"), "{left:?}");
    };
    check(|s| fs::remove_dir_all(s.path("pairs/tier2")).unwrap(), "lora", &["no pair is ready", "status: ready"]);
    check(
        |s| fs::remove_dir_all(s.path("models/llama")).unwrap(),
        "lora",
        &["models/llama is not in the Hugging Face cache", "hf download models/llama"],
    );
    check(
        |s| {
            let weights = s.path("models/llama/model.safetensors");
            let length = fs::metadata(&weights).unwrap().len();
            fs::OpenOptions::new().write(true).open(&weights).unwrap().set_len(length - 100).unwrap();
        },
        "lora",
        &["models/llama/model.safetensors: cut short"],
    );
    check(
        |s| {
            let config = fs::read_to_string(s.path("models/llama/config.json")).unwrap();
            s.write("models/llama/config.json", &config.replace("\"llama\"", "\"mamba\""));
        },
        "lora",
        &["models/llama: its config.json", "mamba"],
    );
    check(
        |s| {
            let config = fs::read_to_string(s.path("models/llama/config.json")).unwrap();
            s.write("models/llama/config.json", &config.replace("\"hidden_size\":32", "\"hidden_size\":64"));
        },
        "lora",
        &["models/llama: its weights cannot be loaded"],
    );
    check(|_| {}, "loar", &["configs/loar.yaml", "lora"]);
    check(
        |s| s.write("configs/lora.yaml", "model: models/llama\nformat: chat\nmethod: lora\nepoch: 3\n"),
        "lora",
        &["configs/lora.yaml:4", "epochs"],
    );
}

/// With a file-size limit in place of a full disk: the write fails in the middle of the weights.
#[test]
fn a_full_disk_leaves_no_half_checkpoint() {
    let sample = Sample::new();
    let program = env!("CARGO_BIN_EXE_voicetune");
    let root = sample.root().to_str().unwrap();
    // Blocks of 512 or 1,024 bytes; the GPT-2 checkpoint has over 500 KiB, all else less than 50.
    let script = format!("trap '' XFSZ; ulimit -f 200; exec '{program}' --workspace '{root}' train full --run full-disk --max-steps 3");
    let output = Command::new("bash").args(["-c", &script]).current_dir(root).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("checkpoints/step-000003 was not written") && message.contains("model.safetensors"), "{message}");
    let folder = sample.run("full-disk");
    assert_eq!(names(&folder.join("checkpoints")), Vec::<String>::new());
    let history = History::read(&folder).unwrap();
    assert_eq!(history.steps.len(), 3);
    assert!(history.ended.unwrap().error.unwrap().contains("was not written"));
}
