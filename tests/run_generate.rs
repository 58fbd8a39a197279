//! `voicetune generate` and `voicetune score`.
#![allow(clippy::unwrap_used)]

mod run_support;

use run_support::Sample;
use serde_json::Value;
use voicetune::run::outputs;

fn lines(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn check_run(config: &str, arms: [&str; 2]) {
    let sample = Sample::new();
    sample.succeed(&["train", config, "--run", "first", "--max-steps", "6"]);
    let drawn = lines(&sample.succeed(&["generate", "first", "--seed", "5", "--json"]));
    // Two canaries, two arms, two samples; sample i has seed 5 + i in every arm.
    assert_eq!(drawn.len(), 8);
    for line in &drawn {
        assert_eq!(line["seed"].as_u64().unwrap(), 5 + line["sample"].as_u64().unwrap());
        let keys: Vec<_> = line.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["prompt", "arm", "sample", "seed", "ids", "text", "finish"]);
        assert!(line["ids"].as_array().unwrap().len() <= 12);
    }
    let of = |prompt: &str, arm: &str, sample: usize| {
        drawn.iter().find(|l| l["prompt"] == prompt && l["arm"] == arm && l["sample"] == sample).unwrap()["ids"].clone()
    };
    assert_ne!(of("A", arms[0], 0), of("A", arms[1], 0), "fine-tuning changed what is written");
    assert_ne!(of("A", arms[1], 0), of("A", arms[1], 1), "another seed, another text");
    let kept = outputs::read(&sample.run("first"), "A", arms[1]).unwrap();
    assert_eq!(kept.iter().map(|o| (o.sample, o.seed)).collect::<Vec<_>>(), [(0, 5), (1, 6)]);
    assert_eq!((kept[0].prompt_text.trim(), kept[0].sampling.max_new_tokens), ("About a clock.", 12));

    // One arm alone, one sample alone: the same text.
    let again = lines(&sample.succeed(&["generate", "first", "--arms", "tuned", "--samples", "1", "--seed", "6", "--json"]));
    assert_eq!(again.len(), 2);
    assert_eq!(again[0]["ids"], of("A", arms[1], 1));
    // The base arm of a run is the config's base model.
    let base = lines(&sample.succeed(&["generate", "--config", config, "--seed", "5", "--json"]));
    assert_eq!(base.len(), 4);
    assert_eq!(base[0]["ids"], of("A", arms[0], 0));
}

#[test]
fn both_arms_of_a_lora_run() {
    check_run("lora", ["llama-base", "llama-tuned"]);
}

#[test]
fn both_arms_of_a_full_run() {
    check_run("full", ["gpt2-base", "gpt2-tuned"]);
}

#[test]
fn prompts_that_do_not_fit_are_said() {
    let sample = Sample::new();
    let output = sample
        .voicetune(&["generate", "--config", "lora", "--prompt", "A hat.", "--max-new-tokens", "500", "--samples", "1", "--json"])
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && message.contains("of this model's 192 positions, so outputs end after"), "{message}");
    sample.write("long.txt", &"A hat, and then another hat. ".repeat(60));
    sample.fail(&["generate", "--config", "lora", "--prompt-file", "long.txt"], &["tokens leave no room in this model's 192 positions"]);
    sample.write("configs/canaries.yaml", "canaries:\n  - { id: C, about: long, long: true, prompt: About a clock. }\n");
    sample.fail(&["generate", "--config", "lora"], &["canary C asks for a long piece", "no prompt is left to answer"]);
}

#[test]
fn wrong_wishes_are_refused() {
    let sample = Sample::new();
    sample.fail(&["generate", "first"], &["there is no run yet"]);
    sample.fail(&["generate", "--config", "lora", "--arms", "tuned"], &["--config has a base arm only"]);
    sample.succeed(&["train", "lora", "--run", "first", "--max-steps", "1"]);
    sample.fail(&["generate", "first", "--checkpoint", "9"], &["no checkpoint of step 9; there are 1"]);
    for args in [&["--top-p", "0"][..], &["--temperature", "-1"], &["--prompt", "x", "--canaries"]] {
        let output = sample.voicetune(&[&["generate", "first"], args].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_text_is_scored() {
    let sample = Sample::new();
    sample.write("text.txt", "The clock was late, and nobody minded.");
    let score = |args: &[&str]| -> Value {
        serde_json::from_str(&sample.succeed(&[&["score", "--model", "models/llama", "--json"], args].concat())).unwrap()
    };
    let by_text = score(&["--text", "text.txt"]);
    let ids: Vec<String> = by_text["ids"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(by_text["logprobs"].as_array().unwrap().len(), ids.len() - 1);
    assert!(by_text["logprobs"].as_array().unwrap().iter().all(|p| p.as_f64().unwrap() < 0.0));
    assert_eq!(score(&["--ids", &ids.join(",")]), by_text);

    sample.succeed(&["train", "lora", "--run", "first", "--max-steps", "4"]);
    let adapter = sample.run("first").join("checkpoints/step-000004");
    assert_ne!(score(&["--text", "text.txt", "--adapter", adapter.to_str().unwrap()])["logprobs"], by_text["logprobs"]);

    sample.write("long.txt", &"A hat, and then another hat. ".repeat(60));
    sample.fail(&["score", "--model", "models/llama", "--text", "long.txt"], &["has 192 positions", "too many"]);
    sample.fail(&["score", "--model", "models/llama", "--ids", "1,999999"], &["id 999999 is not in the vocabulary"]);
}
