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
fn the_same_prompt_at_several_temperatures() {
    let sample = Sample::new();
    sample.write("configs/sampling.yaml", "max_new_tokens: 12\nsamples: 2\ntemperatures: [0.8, 1.2]\n");
    sample.succeed(&["train", "lora", "--run", "first", "--max-steps", "1"]);
    let draw = |args: &[&str]| lines(&sample.succeed(&[&["generate", "first", "--prompt", "About a hat.", "--json"], args].concat()));
    let places = |drawn: &[Value]| -> Vec<(String, u64, Option<f64>)> {
        drawn.iter().map(|l| (l["arm"].as_str().unwrap().to_owned(), l["seed"].as_u64().unwrap(), l["temperature"].as_f64())).collect()
    };
    let several = draw(&["--temperature", "0,1.2", "--temperature", "0"]);
    let expected = [0.0, 1.2].map(|t| ["llama-base", "llama-tuned"].map(|arm| [42, 43].map(|seed| (arm.to_owned(), seed, Some(t)))));
    assert_eq!(places(&several), expected.as_flattened().as_flattened());
    assert_eq!(several[0]["ids"], several[1]["ids"], "the likeliest token knows no seed");
    assert_ne!(several[4]["ids"], several[5]["ids"]);
    // One temperature alone: the same text, and the line as it always was.
    let alone = draw(&["--temperature", "1.2"]);
    assert_eq!(alone.iter().map(|l| &l["ids"]).collect::<Vec<_>>(), several[4..].iter().map(|l| &l["ids"]).collect::<Vec<_>>());
    assert!(alone[0].get("temperature").is_none());
    // Those of the settings.
    assert_eq!(
        draw(&["--all-temperatures", "--arms", "base", "--samples", "1"])
            .iter()
            .map(|l| l["temperature"].as_f64().unwrap())
            .collect::<Vec<_>>(),
        [0.8, 1.2]
    );
    // Each line on disk says the temperature it was drawn at.
    let prompt = several[0]["prompt"].as_str().unwrap();
    let kept = outputs::read(&sample.run("first"), prompt, "llama-base").unwrap();
    assert_eq!(kept.iter().map(|o| o.sampling.temperature).collect::<Vec<_>>(), [0.0, 0.0, 1.2, 1.2, 1.2, 1.2, 0.8, 1.2]);
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
    for args in [
        &["--top-p", "0"][..],
        &["--temperature", "-1"],
        &["--temperature", "0.5,x"],
        &["--temperature", "1", "--all-temperatures"],
        &["--prompt", "x", "--canaries"],
    ] {
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

#[test]
fn both_arms_of_a_run_score_a_text() {
    let sample = Sample::new();
    for (config, model) in [("lora", "models/llama"), ("full", "models/gpt2")] {
        sample.succeed(&["train", config, "--run", config, "--max-steps", "4"]);
        let run = sample.run(config);
        let held_out = lines(&sample.succeed(&["score", config, "--json"]));
        assert!(!held_out.is_empty());
        for line in &held_out {
            let (ids, from) = (line["ids"].as_array().unwrap(), line["from"].as_u64().unwrap() as usize);
            let ids: Vec<String> = ids.iter().map(Value::to_string).collect();
            // The base arm is the model that the run began with; the contract of a model's score holds for both.
            let base: Value =
                serde_json::from_str(&sample.succeed(&["score", "--model", model, "--json", "--ids", &ids.join(",")])).unwrap();
            assert_eq!(line["base"], base["logprobs"], "{config}");
            assert_ne!(line["logprobs"], line["base"], "{config}");
            assert_eq!(line["logprobs"].as_array().unwrap().len() + 1, ids.len());
            let ends: Vec<u64> = line["ends"].as_array().unwrap().iter().map(|end| end.as_u64().unwrap()).collect();
            assert!(ends.is_sorted() && ends.len() == ids.len() - from);
            assert_eq!(ends.last().copied(), Some(line["text"].as_str().unwrap().chars().count() as u64));
        }
        // What the run was evaluated on: the mean of the means by tokens is the validation loss.
        let of = |key: &str| -> f64 {
            let sum = |line: &Value| line["means"][key].as_f64().unwrap() * line["means"]["tokens"].as_f64().unwrap();
            held_out.iter().map(sum).sum::<f64>() / held_out.iter().map(|line| line["means"]["tokens"].as_f64().unwrap()).sum::<f64>()
        };
        let history = voicetune::run::log::History::read(&run).unwrap();
        let loss = |step: usize| history.evals.iter().find(|eval| eval.step == step).unwrap().loss;
        assert!((of("base") - loss(0)).abs() < 1e-4, "{config}: {} is not {}", of("base"), loss(0));
        assert!((of("tuned") - loss(4)).abs() < 1e-4, "{config}: {} is not {}", of("tuned"), loss(4));

        // Kept, and not computed again: weights that have changed since would say something else.
        let kept =
            || std::fs::read_dir(run.join("scores")).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect::<Vec<_>>();
        let before = kept();
        let file = sample.path(model).join("model.safetensors");
        let weights = std::fs::read(&file).unwrap();
        std::fs::write(&file, [&weights[..weights.len() / 2], &vec![0; weights.len() - weights.len() / 2]].concat()).unwrap();
        assert_eq!(lines(&sample.succeed(&["score", config, "--json"])), held_out);
        assert_eq!(kept(), before);
        std::fs::write(&file, weights).unwrap();

        // Another text for a pair's prompt, in words.
        sample.write("text.txt", "The clock was shut, and nobody minded.\n");
        let args = ["score", config, "--pair", "tier2/clock", "--text", "text.txt", "--show"];
        let printed = sample.succeed(&[&args[..], &["tokens"]].concat());
        assert!(printed.starts_with("tier2/clock: ") && printed.contains("nats a token"), "{printed}");
        assert!(printed.lines().nth(1).unwrap().starts_with("start\tend\tbase"), "{printed}");
        let marked = sample.succeed(&[&args[..], &["tuned"]].concat());
        assert!(marked.contains("∎") && marked.contains("surprisal by steps, in nats"), "{marked}");
    }
    sample.fail(&["score", "lora", "--text", "text.txt"], &["which prompt does the text answer?"]);
    sample.fail(&["score", "lora", "--pair", "tier2/none"], &["tier2/none"]);
    sample.fail(&["score", "lora", "--checkpoint", "9"], &["no checkpoint of step 9"]);
    for args in [
        &["score"][..],
        &["score", "lora", "--ids", "1,2"],
        &["score", "--model", "m", "--pair", "x", "--text", "t"],
        &["score", "lora", "--prompt", "x"],
    ] {
        assert_eq!(sample.voicetune(args).output().unwrap().status.code(), Some(2), "{args:?}");
    }
}
