//! The demo on a small workspace with the real pocket models: what it prints, and that other commands read what it leaves.
#![allow(clippy::unwrap_used)]

mod run_support;

use run_support::Sample;
use serde_json::Value;

fn workspace() -> Sample {
    let sample = Sample::new();
    let configs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for name in ["pocket-llama-lora", "pocket-gpt2-full"] {
        let text = std::fs::read_to_string(configs.join(name).with_extension("yaml")).unwrap();
        assert!(text.contains("\nepochs: 3"));
        sample.write(&format!("configs/{name}.yaml"), &text.replace("\nepochs: 3", "\nepochs: 1"));
    }
    sample.write(
        "pairs/tier1/clock.yaml",
        "tier: 1\nsource: clock\nprompt: |\n  The clock was slow. I think it was slow. Nobody minded.\nresponse: |\n  The clock was slow. Nobody minded.\nstatus: ready\n",
    );
    sample
}

#[test]
fn four_outputs_a_prompt_and_a_drafts_shares() {
    let sample = workspace();
    let found: Value = serde_json::from_str(&sample.succeed(&["demo", "--samples", "2", "--json"])).unwrap();

    let runs = found["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert!(run["validation_before"].as_f64().unwrap() > 0.0 && run["validation_after"].as_f64().unwrap() > 0.0, "{run}");
    }
    for prompt in ["A", "B"] {
        for arm in ["llama-base", "llama-tuned", "gpt2-base", "gpt2-tuned"] {
            let drawn = found["samples"].as_array().unwrap().iter().filter(|s| s["prompt"] == prompt && s["arm"] == arm);
            let seeds: Vec<u64> = drawn.map(|s| s["seed"].as_u64().unwrap()).collect();
            assert_eq!(seeds, [42, 43], "{prompt} {arm}");
        }
    }
    let versions = found["draft"]["versions"].as_array().unwrap();
    let by: Vec<&str> = versions.iter().map(|v| v["by"].as_str().unwrap()).collect();
    assert_eq!(by, ["the writer", "llama-base", "llama-tuned", "gpt2-base", "gpt2-tuned"]);
    // She kept two of the three sentences and cut one.
    let hers = &versions[0]["shares"];
    assert!(
        (hers["kept"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9 && (hers["cut"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9,
        "{hers}"
    );

    // The runs are ordinary runs: others read them.
    let again = sample.succeed(&["generate", "demo-llama", "--arms", "tuned", "--samples", "1", "--json"]);
    let first: Value = serde_json::from_str(again.lines().next().unwrap()).unwrap();
    let drawn = found["samples"].as_array().unwrap();
    let same = drawn.iter().find(|s| s["prompt"] == "A" && s["arm"] == "llama-tuned" && s["seed"] == 42).unwrap();
    assert_eq!(first["ids"], same["ids"], "the same run, prompt and seed give the same text");
    sample.fail(&["train", "--resume", "demo-gpt2"], &["has done all of its"]);
}

#[test]
fn a_workspace_without_pairs_is_told_so() {
    let sample = workspace();
    std::fs::remove_dir_all(sample.path("pairs")).unwrap();
    std::fs::create_dir_all(sample.path("pairs")).unwrap();
    sample.fail(&["demo"], &["pair"]);
    assert!(!sample.path("runs").exists() || std::fs::read_dir(sample.path("runs")).unwrap().next().is_none(), "a run was left behind");
}
