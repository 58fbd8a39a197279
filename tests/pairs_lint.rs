//! What `voicetune check` finds in a set of pairs, rule by rule, and the command's contract.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};
use voicetune::pairs::{Budget, Finding, Fingerprint, Level, Pair, Rule, Split, Status, Tier, findings_of, lint, over_budget, save};

/// A ready pair whose texts are its own, so that no rule finds anything in it.
fn pair(tier: Tier, name: &str, source: &str) -> Pair {
    Pair {
        id: format!("{}/{name}", tier.folder()),
        tier,
        source: source.into(),
        prompt: format!("The prompt {name} of tier {tier:?}."),
        response: format!("The response {name} of tier {tier:?}, at somewhat greater length."),
        status: Status::Ready,
        split: Split::Auto,
        notes: String::new(),
    }
}

/// One pair a tier from two sources each: nothing to find.
fn clean() -> Vec<Pair> {
    ["a", "b"].iter().flat_map(|source| Tier::ALL.map(|tier| pair(tier, source, source))).collect()
}

fn summary(findings: &[Finding]) -> Vec<(Level, Rule, Option<&str>)> {
    findings.iter().map(|finding| (finding.level, finding.rule, finding.pair.as_deref())).collect()
}

/// What is found once the clean set is changed.
fn check(change: impl FnOnce(&mut Vec<Pair>), expected: &[(Level, Rule, Option<&str>)]) {
    let mut pairs = clean();
    change(&mut pairs);
    let findings = lint(&pairs);
    assert_eq!(summary(&findings), expected, "{findings:#?}");
}

#[test]
fn a_clean_set_has_no_findings() {
    check(|_| {}, &[]);
}

#[test]
fn the_findings_of_one_pair_are_those_of_its_present_text() {
    let check = |pair: &Pair, findings: &[Finding], expected: &[(Level, Rule)]| {
        let found = findings_of(pair, findings);
        assert_eq!(found.iter().map(|finding| (finding.level, finding.rule)).collect::<Vec<_>>(), expected, "{found:#?}");
        assert!(found.iter().all(|finding| finding.pair.as_ref() == Some(&pair.id)));
    };
    let mut pairs = clean();
    pairs[4] = Pair { id: pairs[4].id.clone(), prompt: pairs[0].response.clone(), ..pairs[0].clone() };
    pairs[0].prompt = pairs[0].response.clone();
    let findings = lint(&pairs);
    let (duplicate, unedited) = ((Level::Error, Rule::Duplicate), (Level::Warning, Rule::Unedited));
    check(&pairs[4], &findings, &[duplicate, unedited]);
    check(&pairs[0], &findings, &[unedited]);
    check(&pairs[1], &findings, &[]);
    // Edited since: what its own text says is new, what other pairs say is not.
    let edited = Pair { prompt: "Other.\n---\n".into(), ..pairs[4].clone() };
    check(&edited, &findings, &[duplicate, (Level::Warning, Rule::Delimiter)]);
    let empty = Pair { response: " ".into(), ..pairs[1].clone() };
    check(&empty, &findings, &[(Level::Error, Rule::File), (Level::Warning, Rule::ShortResponse)]);
    check(&Pair { status: Status::Draft, ..empty }, &findings, &[(Level::Warning, Rule::File)]);
}

#[test]
fn drafts_and_discarded_pairs_are_not_looked_at() {
    check(
        |pairs| {
            let copies = [Status::Draft, Status::Discarded].map(|status| Pair {
                status,
                id: format!("tier1/{}", status.word()),
                ..pairs[0].clone()
            });
            pairs.extend(copies);
        },
        &[],
    );
}

#[test]
fn a_set_without_ready_pairs_is_an_error() {
    let [none, drafts] =
        [vec![], clean().into_iter().map(|pair| Pair { status: Status::Draft, ..pair }).collect()].map(|pairs: Vec<Pair>| lint(&pairs));
    for findings in [&none, &drafts] {
        assert_eq!(summary(findings), [(Level::Error, Rule::NoPairs, None)]);
    }
    assert!(none[0].message.contains("write pairs/tier1/NAME.yaml"), "{}", none[0].message);
    assert!(drafts[0].message.contains("8 have `status: draft`"), "{}", drafts[0].message);
}

#[test]
fn an_empty_tier_is_a_warning() {
    check(|pairs| pairs.retain(|pair| pair.tier != Tier::Opening), &[(Level::Warning, Rule::EmptyTier, None)]);
}

#[test]
fn a_source_on_both_sides_is_leakage() {
    check(
        |pairs| {
            pairs[0].split = Split::Validation;
            pairs[1].split = Split::Train;
        },
        &[(Level::Error, Rule::Leakage, Some("tier1/a"))],
    );
    // The split puts the automatic pairs of a source on the side of the explicit ones.
    check(|pairs| pairs[0].split = Split::Validation, &[]);
    check(
        |pairs| {
            pairs[0].split = Split::Validation;
            pairs[4].split = Split::Train;
        },
        &[],
    );
}

#[test]
fn one_text_under_two_sources_may_leak() {
    // Pair 2 is tier 3 of source a, pair 5 is tier 2 of source b.
    check(|pairs| pairs[5].response = pairs[2].response.clone(), &[(Level::Warning, Rule::Leakage, Some("tier2/b"))]);
    check(
        |pairs| {
            pairs[5].response = format!("  {}\n", pairs[2].response.to_uppercase());
            pairs[5].split = Split::Validation;
            pairs[2].split = Split::Train;
        },
        &[(Level::Error, Rule::Leakage, Some("tier2/b"))],
    );
}

#[test]
fn sources_spelt_in_two_ways_are_a_warning() {
    let rename = |pairs: &mut Vec<Pair>| {
        for (pair, source) in pairs.iter_mut().zip(["The Quiet Car", "the-quiet-car"].iter().cycle()) {
            pair.source = source.to_string();
        }
    };
    check(rename, &[(Level::Warning, Rule::SourceSpelling, None)]);
}

#[test]
fn repeated_pairs_are_found_once() {
    // In place of pair 1, so that source a keeps four pairs.
    let copy = |pairs: &mut Vec<Pair>| pairs[1] = Pair { id: "tier1/copy".into(), ..pairs[0].clone() };
    check(copy, &[(Level::Error, Rule::Duplicate, Some("tier1/copy"))]);
    let other_prompt = |pairs: &mut Vec<Pair>| {
        copy(pairs);
        pairs[1].prompt = "Another draft.".into();
    };
    check(other_prompt, &[(Level::Info, Rule::SameResponse, Some("tier1/copy"))]);
    // A tier-2 and a tier-3 pair of one essay share text by design.
    check(|pairs| pairs[2].response = pairs[1].response.clone(), &[]);
}

#[test]
fn texts_that_look_wrong_are_warnings() {
    check(|pairs| pairs[0].prompt = pairs[0].response.clone(), &[(Level::Warning, Rule::Unedited, Some("tier1/a"))]);
    check(|pairs| pairs[0].response = "Cut.".into(), &[(Level::Warning, Rule::ShortResponse, Some("tier1/a"))]);
    check(|pairs| pairs[3].response = "Short.".into(), &[(Level::Warning, Rule::ShortResponse, Some("tier4/a"))]);
    // Editing shortens, and a continuation has no length that it must have.
    check(|pairs| pairs[0].prompt = "word ".repeat(24), &[]);
    check(|pairs| pairs[2].response = "The end.".into(), &[]);
    check(|pairs| pairs[1].response.push_str("\n\n---\n\nMore."), &[(Level::Warning, Rule::Delimiter, Some("tier2/a"))]);
    check(|pairs| pairs[1].response.push_str("\n\n***\n\nMore."), &[]);
}

/// A set in which source `s` has `many` of `of` pairs and the others two each.
fn with_share(many: usize, of: usize) -> Vec<Pair> {
    (0..of)
        .map(|i| pair(Tier::ALL[i % 4], &format!("n{i}"), &if i < many { "s".into() } else { format!("other {}", (i - many) / 2) }))
        .collect()
}

#[test]
fn the_share_of_a_source_is_limited() {
    let check = |many, of, expected: Option<Level>| {
        let findings = lint(&with_share(many, of));
        let level = findings.iter().find(|finding| finding.rule == Rule::SourceShare).map(|finding| finding.level);
        assert_eq!(level, expected, "{many} of {of}");
    };
    check(3, 20, None);
    check(4, 20, Some(Level::Warning));
    check(5, 20, Some(Level::Error));
    // A smoke test of a few pairs cannot be spread.
    check(5, 19, None);
}

#[test]
fn two_to_four_pairs_a_source_are_right() {
    let check = |many, expected: Option<Level>| {
        let findings = lint(&with_share(many, many + 40));
        let level = findings.iter().find(|finding| finding.rule == Rule::SourceCount).map(|finding| finding.level);
        assert_eq!(level, expected, "{many}");
    };
    check(1, Some(Level::Info));
    check(2, None);
    check(4, None);
    check(5, Some(Level::Warning));
}

#[test]
fn a_pair_over_a_models_budget_is_a_warning() {
    let budget = |tokens| Budget { pair: "tier1/a".into(), model: "gpt2".into(), tokens, limit: 1024 };
    assert_eq!(over_budget(&[budget(1024)]), []);
    let findings = over_budget(&[budget(1025)]);
    assert_eq!(summary(&findings), [(Level::Warning, Rule::Budget, Some("tier1/a"))]);
    assert!(findings[0].message.starts_with("1025 tokens for gpt2, which takes 1024"), "{}", findings[0].message);
}

#[test]
fn the_sample_workspace_has_no_error() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (pairs, problems) = voicetune::pairs::load(&root.join("pairs"));
    assert!(pairs.len() >= 40, "{}", pairs.len());
    assert_eq!(problems, []);
    let errors: Vec<Finding> = lint(&pairs).into_iter().filter(|finding| finding.level == Level::Error).collect();
    assert_eq!(errors, []);
}

fn voicetune(workspace: &Path) -> Command {
    let mut command = Command::cargo_bin("voicetune").unwrap();
    command
        .env_remove("VOICETUNE_WORKSPACE")
        .env("NO_COLOR", "1")
        .env("HF_HUB_CACHE", workspace.join("no-cache"))
        .arg("--workspace")
        .arg(workspace);
    command
}

/// The models that are always at hand.
const POCKET: [&str; 4] = ["--config", "pocket-llama-lora", "--config", "pocket-gpt2-full"];

/// A new workspace with the given pairs in it.
fn workspace(pairs: &[Pair]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    Command::cargo_bin("voicetune").unwrap().arg("init").arg(dir.path()).assert().success();
    for pair in pairs {
        save(&dir.path().join("pairs"), pair, Fingerprint::Absent).unwrap();
    }
    dir
}

fn json_of(workspace: &Path, arguments: &[&str], code: i32) -> Value {
    let assert = voicetune(workspace).args(["check", "--json"]).args(arguments).assert().code(code);
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

#[test]
fn check_prints_the_contract_and_exits_by_it() {
    let dir = workspace(&clean());
    assert_eq!(json_of(dir.path(), &POCKET, 0)["findings"], json!([]));

    fs::write(dir.path().join("pairs/tier2/x.yaml"), "tier: 2\nsourse: s\n").unwrap();
    let message = "pairs/tier2/x.yaml:2: unknown key `sourse`; did you mean `source`?";
    let expected = json!([{"level": "error", "rule": "file", "pair": "tier2/x", "message": message}]);
    let report = json_of(dir.path(), &POCKET, 1);
    assert_eq!(report["findings"], expected);
    assert_eq!(report["budgets"].as_array().unwrap().len(), 16);
    assert_eq!(report.as_object().unwrap().len(), 2);

    let assert = voicetune(dir.path()).arg("check").args(POCKET).assert().code(1);
    let text = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(text.starts_with(&format!("error: {message}\n")), "{text}");
    assert!(text.ends_with("8 ready pairs from 2 sources, 0 of 16 token budgets exceeded; 1 error, 0 warnings, 0 notes\n"), "{text}");
}

#[test]
fn check_reads_the_configs_as_well() {
    let dir = workspace(&clean());
    fs::write(dir.path().join("configs/mine.yaml"), "model: pocket:llama\nformat: chat\nmethod: lora\nepoch: 1\n").unwrap();
    let finding = |message: &str| json!([{"level": "error", "rule": "config", "pair": null, "message": message}]);
    let broken = finding("configs/mine.yaml:4: unknown key `epoch`; did you mean `epochs`?");
    assert_eq!(json_of(dir.path(), &[], 1)["findings"][0], broken[0]);
    assert_eq!(json_of(dir.path(), &["--config", "mine"], 1)["findings"], broken);
    assert_eq!(json_of(dir.path(), &["--config", "pocket-gpt2-full"], 0)["findings"], json!([]));
    let unknown = finding("configs/mie.yaml: there is no such config; did you mean `mine`?");
    assert_eq!(json_of(dir.path(), &["--config", "mie"], 1)["findings"], unknown);
}

#[test]
fn check_counts_tokens_where_the_model_is_at_hand() {
    let dir = workspace(&clean());
    let report = json_of(dir.path(), &[], 0);
    let models: BTreeSet<&str> = report["budgets"].as_array().unwrap().iter().map(|b| b["model"].as_str().unwrap()).collect();
    assert_eq!(models, BTreeSet::from(["pocket-gpt2", "pocket-llama"]));
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 4, "{findings:?}");
    for (finding, config) in findings.iter().zip(["gpt2-xl-full-t4", "gpt2-xl-full", "llama-3.1-8b-lora-t4", "llama-3.1-8b-lora"]) {
        assert_eq!((&finding["level"], &finding["rule"]), (&json!("info"), &json!("config")));
        let message = finding["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{config}: tokens not counted: ")) && message.contains("`hf download "), "{message}");
    }
    let asked = json_of(dir.path(), &["--config", "gpt2-xl-full"], 0);
    assert_eq!((&asked["findings"][0]["level"], &asked["budgets"]), (&json!("warning"), &json!([])));
}

#[test]
fn check_says_which_pairs_a_model_is_not_trained_on() {
    let long = format!("{}\n\nThe end.", "Nine kettles. ".repeat(3));
    let mut pairs = clean();
    pairs[0].response = long.clone();
    pairs[1].response = format!("{} {}", "Nine kettles.".repeat(20), long);
    pairs[2].response = "It ends with <|endoftext|>, she said, and so it did.".into();
    let dir = workspace(&pairs);
    let config = "model: pocket:gpt2\nformat: plain\nmethod: full\nmax_tokens: 40\n";
    fs::write(dir.path().join("configs/cut.yaml"), config).unwrap();
    fs::write(dir.path().join("configs/skip.yaml"), format!("{config}overlong: skip\n")).unwrap();
    let check = |config: &str, expected: [&str; 3]| {
        let report = json_of(dir.path(), &["--config", config], 0);
        let findings = report["findings"].as_array().unwrap();
        for (pair, part) in pairs.iter().zip(expected) {
            let of_pair: Vec<&Value> = findings.iter().filter(|f| f["rule"] == "budget" && f["pair"] == pair.id.as_str()).collect();
            assert_eq!(of_pair.len(), 1, "{config} {}: {findings:?}", pair.id);
            assert!(of_pair[0]["message"].as_str().unwrap().contains(part), "{:?}", of_pair[0]);
        }
        // The special token is not encoded, so it has no count.
        assert_eq!(report["budgets"].as_array().unwrap().len(), 7);
    };
    check("cut", ["are cut off", "first paragraph", "special token"]);
    check("skip", ["`overlong: skip`", "`overlong: skip`", "special token"]);
}

#[test]
fn an_empty_workspace_is_told_what_to_do() {
    let dir = workspace(&[]);
    let report = json_of(dir.path(), &[], 1);
    assert_eq!(report["findings"][0]["rule"], "no-pairs");
}

#[test]
fn completions_name_the_commands() {
    let assert = Command::cargo_bin("voicetune").unwrap().args(["completions", "bash"]).assert().success();
    let script = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(["check", "init", "completions"].iter().all(|command| script.contains(command)));
}
