//! `voicetune encode` on a small workspace.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;
use voicetune::dataset::Example;

fn workspace(pairs: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for tier in 1..=4 {
        fs::create_dir_all(folder.path().join(format!("pairs/tier{tier}"))).unwrap();
    }
    fs::create_dir(folder.path().join("configs")).unwrap();
    for (name, text) in [
        ("chat", "model: pocket:llama\nformat: chat\nmethod: lora\nvalidation: { fraction: 0.0 }\n"),
        ("plain", "model: pocket:gpt2\nformat: plain\nmethod: full\nmax_tokens: 24\n"),
        ("skip", "model: pocket:gpt2\nformat: plain\nmethod: full\nmax_tokens: 24\noverlong: skip\n"),
        ("untemplated", "model: pocket:gpt2\nformat: chat\nmethod: full\n"),
        ("absent", "model: someone/absent\nformat: chat\nmethod: lora\n"),
    ] {
        fs::write(folder.path().join(format!("configs/{name}.yaml")), text).unwrap();
    }
    for (id, text) in pairs {
        fs::write(folder.path().join(format!("pairs/{id}.yaml")), text).unwrap();
    }
    folder
}

fn pair(tier: u8, source: &str, response: &str, rest: &str) -> String {
    let response = response.replace('\n', "\n  ");
    format!("tier: {tier}\nsource: {source}\nprompt: |\n  Trains at night.\nresponse: |\n  {response}\nstatus: ready\n{rest}")
}

fn encode(workspace: &Path, args: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("voicetune").unwrap();
    command.arg("--workspace").arg(workspace).arg("encode").args(args).env_remove("NO_COLOR").assert()
}

#[test]
fn json_is_one_example_a_line() {
    let folder = workspace(&[
        ("tier2/b", &pair(2, "b", "The carriage is empty.", "split: validation\n")),
        ("tier4/a", &pair(4, "a", "Nobody gets off.", "")),
    ]);
    let output = encode(folder.path(), &["--config", "chat", "--json"]).success().get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(r#"{"pair":"tier4/a","split":"train","ids":[4091,4093,"#), "{text}");
    assert!(lines[1].starts_with(r#"{"pair":"tier2/b","split":"validation","ids":[4091,4093,"#), "{text}");
    for line in lines {
        assert!(line.ends_with(r#"1,1],"cut":false}"#), "{line}");
        let example: Example = serde_json::from_str(line).unwrap();
        assert_eq!(example.ids.len(), example.mask.len());
        assert_eq!(example.ids.last(), Some(&4095), "the end of the turn is trained");
    }
}

#[test]
fn the_preview_marks_trained_text_without_colours() {
    let folder = workspace(&[("tier4/a", &pair(4, "a", "Nobody gets off.", ""))]);
    encode(folder.path(), &["--config", "plain", "--pair", "tier4/a"])
        .success()
        .stdout(contains("Trains at night.\n\n---\n\n⟦Nobody gets off.<|endoftext|>⟧\n"))
        .stdout(contains("── tier4/a (train): "))
        .stdout(contains("\x1b").not());
    encode(folder.path(), &["--config", "plain", "--tokens"]).success().stdout(contains("1 \"<|endoftext|>\""));
}

#[test]
fn what_does_not_fit_is_said() {
    let folder = workspace(&[
        ("tier4/cut", &pair(4, "a", "Short.\n\nThis second paragraph is too long to fit with the first.", "")),
        ("tier4/out", &pair(4, "b", "This only paragraph is by far too long to fit the two dozen tokens that there are.", "")),
    ]);
    encode(folder.path(), &["--config", "plain"])
        .success()
        .stdout(contains("trained, cut\n").and(contains("⟦Short.⟧")))
        .stderr(contains("tier4/cut: cut: it has ").and(contains("the last 1 paragraph (")))
        .stderr(contains("tier4/out: left out of train: not even").and(contains("limit 24")))
        .stderr(contains("1 cut, 1 left out"));
    encode(folder.path(), &["--config", "skip", "--json"])
        .success()
        .stdout("")
        .stderr(contains("tier4/cut: left out").and(contains("tier4/out: left out")));
    encode(folder.path(), &["--config", "plain", "--pair", "tier4/out"]).code(1).stdout("").stderr(contains("left out"));
}

#[test]
fn failures_say_what_to_do() {
    let check = |pairs: &[(&str, &str)], args: &[&str], expected: &[&str]| {
        let folder = workspace(pairs);
        let assert = encode(folder.path(), args).code(1);
        let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        for part in expected {
            assert!(stderr.contains(part), "{stderr}");
        }
    };
    let a = pair(4, "a", "Nobody gets off.", "");
    let one: &[(&str, &str)] = &[("tier4/night-train", &a)];
    check(&[], &["--config", "chat"], &["no pair is ready", "status: ready"]);
    check(one, &["--config", "chat", "--pair", "tier4/night-trian"], &["tier4/night-trian", "did you mean `tier4/night-train`?"]);
    check(one, &["--config", "untemplated"], &["pocket:gpt2 has no chat template", "format: plain"]);
    check(one, &["--config", "absent"], &["someone/absent", "`hf download someone/absent`"]);
    let draft = a.replace("status: ready", "status: draft");
    check(&[("tier4/d", &draft)], &["--config", "chat", "--pair", "tier4/d"], &["pairs/tier4/d.yaml is draft", "status: ready"]);
    let (train, validation) = (format!("{a}split: train\n"), format!("{a}split: validation\n"));
    let leaking: &[(&str, &str)] = &[("tier4/x", &train), ("tier4/y", &validation)];
    check(leaking, &["--config", "chat"], &["source `a` is on both sides", "tier4/x", "tier4/y"]);
}

#[test]
fn a_broken_pair_is_named_and_the_others_are_encoded() {
    let folder = workspace(&[("tier4/a", &pair(4, "a", "Nobody gets off.", "")), ("tier4/broken", "tier: 4\nsource: b\nprompt: x\n")]);
    encode(folder.path(), &["--config", "plain", "--json"])
        .code(1)
        .stdout(contains("tier4/a"))
        .stderr(contains("pairs/tier4/broken.yaml").and(contains("`response`")));
}
