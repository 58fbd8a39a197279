//! The report on two runs whose files were written by hand: one whole, one that was interrupted and lacks an arm.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use voicetune::config::{self, Workspace};
use voicetune::hub::Tuning;
use voicetune::pairs;
use voicetune::review::report::{Report, Sources, html, markdown};
use voicetune::review::verdict::{self, ArmName, Outcome, Pick, Reading, Score, Shown, Verdict};
use voicetune::run::Run;
use voicetune::run::manifest::{Data, Manifest, Model};
use voicetune::run::outputs::{self, Output};
use voicetune::run::protocol::{Finish, Rival, Sampling};
use voicetune::run::scores::{self, ArmScores, Scores};

const TIME: &str = "2026-11-22T10:00:00Z";

/// Six sentences in two paragraphs, of which she cut the second, the fourth and the last.
const DRAFT: &str = "The ferry left at noon. Nobody knew the pilot's name. Gulls followed us to the bar.\n\nI had packed the blue lamp badly. Its glass broke in the hold. That is how such things end.";
const FINISHED: &str = "The ferry left at noon. Gulls followed us to the bar.\n\nIts glass broke in the hold.";
/// Cuts the second and the fourth, as she did, and the fifth, which she kept.
const TUNED: &str = "The ferry left at noon. Gulls followed us to the bar.\n\nThat is how such things end.";

const ESSAY: &str = "Every clock in the town told its own time, and the baker went by none of them.\n\nShe counted loaves.";
/// The interval of the strength of an arm that won one reading of two and tied the other.
const STRENGTH: (f64, f64) = (0.401_427_454_290_852, 5.765_914_083_693_25);
const NOTE: &str = "A bell is a clock that hurries.";

struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new() -> Fixture {
        let fixture = Fixture(tempfile::tempdir().unwrap());
        for folder in ["pairs/tier1", "pairs/tier2", "pairs/tier4", "configs", "runs"] {
            fs::create_dir_all(fixture.path(folder)).unwrap();
        }
        let pair = |id: &str, tier: u8, prompt: &str, response: &str| {
            let source = id.split('/').nth(1).unwrap();
            let text = format!("tier: {tier}\nsource: {source}\nprompt: {prompt:?}\nresponse: {response:?}\nstatus: ready\n");
            fs::write(fixture.path("pairs").join(format!("{id}.yaml")), text).unwrap();
        };
        pair("tier1/ferry", 1, DRAFT, FINISHED);
        pair("tier2/clocks", 2, "The clocks of a town.", ESSAY);
        pair("tier4/bell", 4, "Bells.", NOTE);
        fs::write(
            fixture.path("configs/canaries.yaml"),
            "canaries:\n  - { id: A, about: \"known, short\", long: false, prompt: The clocks of a town. }\n",
        )
        .unwrap();
        fixture.llama();
        fixture.gpt2();
        fixture.readings();
        fixture
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// Finished, both arms, one of three samples empty.
    fn llama(&self) {
        let run = self.run("llama", "model: m/Llama-Instruct\nformat: chat\nmethod: lora\n", Tuning::Instruct, Some("0e9e39f2"));
        self.events(&run, &[(1, 4.0), (2, 3.0)], &[(0, 3.5), (1, 3.25), (2, 3.375)], true);
        let draft = |arm: &str, text: &str| output(&run, "draft", arm, DRAFT, 0, text, Finish::Stop);
        draft("llama-base", DRAFT);
        draft("llama-tuned", TUNED);
        let canary = |arm: &str, sample, text: &str, finish| output(&run, "A", arm, "The clocks of a town.", sample, text, finish);
        canary("llama-base", 0, "Clocks are *nice*. <script>alert(1)</script> \u{202e}See https://x.example now.", Finish::Stop);
        canary("llama-base", 1, " \n", Finish::Stop);
        // Drawn anew: the later one counts.
        canary("llama-tuned", 0, "An earlier draw.", Finish::Stop);
        canary(
            "llama-tuned",
            0,
            "I met Harold in Lyme Regis in 1962. He told its own time, and the baker went by none of us.",
            Finish::Stop,
        );
        canary("llama-tuned", 1, "She counted loaves until", Finish::Length);
    }

    /// Interrupted after its first step; the base arm was not drawn.
    fn gpt2(&self) {
        let run = self.run("gpt2", "model: m/gpt2\nformat: plain\nmethod: full\nepochs: 5\n", Tuning::Base, None);
        self.events(&run, &[(1, 5.0)], &[(0, 4.5)], false);
        output(&run, "A", "gpt2-tuned", "The clocks of a town.", 0, "The town’s clocks: four.", Finish::Stop);
    }

    fn run(&self, name: &str, config: &str, tuning: Tuning, commit: Option<&str>) -> PathBuf {
        let config = config::parse(Path::new("c.yaml"), config).unwrap();
        let sample = Manifest::parse(include_str!("fixtures/run/manifest.yaml")).unwrap();
        let manifest = Manifest {
            name: name.into(),
            created: TIME.into(),
            device: "cpu".into(),
            model: Model { name: config.model.clone(), revision: "main".into(), commit: commit.map(str::to_owned), tuning },
            config,
            data: Data { train: vec!["tier2/clocks".into(), "tier4/bell".into()], validation: vec!["tier1/ferry".into()], ..sample.data },
            ..sample
        };
        let made = Run::create(&self.path("runs"), manifest, "").unwrap().folder;
        let folder = self.path("runs").join(format!("2026-11-22-{name}"));
        if made != folder {
            fs::rename(made, &folder).unwrap();
        }
        folder
    }

    fn events(&self, run: &Path, steps: &[(usize, f64)], evals: &[(usize, f64)], ended: bool) {
        let mut lines =
            vec![json!({"type": "started", "time": TIME, "version": "0.1.0", "device": "cpu", "from_step": 0, "steps": 2, "epochs": 1,
            "examples": [2, 1], "trainable_parameters": 10})];
        lines.extend(evals.iter().map(|(step, loss)| json!({"type": "eval", "step": step, "loss": loss, "tokens": 9})));
        lines.extend(steps.iter().map(|(step, loss)| {
            json!({"type": "step", "step": step, "epoch": 1, "loss": loss, "tokens": 9, "lr": 1e-4,
            "grad_norm": 1.0, "ms": 1500.0, "tokens_per_s": 6.0, "device_bytes": null, "pairs": ["tier4/bell"]})
        }));
        if ended {
            lines.push(json!({"type": "saved", "step": 1, "checkpoint": "checkpoints/step-000001", "result": true}));
            lines.push(json!({"type": "saved", "step": 2, "checkpoint": "checkpoints/step-000002", "result": false}));
            lines.push(json!({"type": "ended", "time": TIME, "outcome": "finished", "error": null}));
        }
        fs::write(run.join("events.jsonl"), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }

    /// Two blind ones, of which one was corrected, and one with the names shown.
    fn readings(&self) {
        let arm = |arm: &str| ArmName::new("2026-11-22-llama", arm).unwrap();
        let arms = [arm("llama-base"), arm("llama-tuned")];
        let reading = |outcome, blind, replaces: Option<&Verdict>| {
            let scores =
                arms.iter().zip([2, 4]).map(|(arm, score)| (arm.clone(), [("rhythm".to_owned(), Score::new(score).unwrap())].into()));
            let shown = arms.iter().map(|arm| Shown::new(arm.clone(), 0, "")).collect();
            let (prompt, replaces) = ("A".into(), replaces.map(|verdict| verdict.id.clone()));
            let reading = Reading {
                prompt,
                temperature: None,
                seed: 7,
                shown,
                blind,
                outcome,
                scores: scores.collect(),
                comment: String::new(),
                replaces,
            };
            let verdict = Verdict::new(reading, TIME.into());
            verdict::append(&self.path("runs"), &verdict).unwrap();
            verdict
        };
        let wrong = reading(Outcome::AllBad, true, None);
        reading(Outcome::Best(vec![arms[1].clone()]), true, Some(&wrong));
        reading(Outcome::Tie, true, None);
        reading(Outcome::Best(vec![arms[0].clone()]), false, None);
        let shown = Shown::new(arms[1].clone(), 1, "She counted loaves until");
        verdict::append_pick(&self.path("runs"), &Pick { time: TIME.into(), prompt: "A".into(), temperature: None, shown }).unwrap();
    }

    fn report(&self, names: &[&str]) -> Report {
        let workspace = Workspace::open(self.0.path()).unwrap();
        let runs: Vec<Run> = names.iter().map(|name| Run::find(&workspace.runs(), name).unwrap()).collect();
        let (pairs, _) = pairs::load(&workspace.pairs());
        let (rubric, canaries) = (workspace.rubric().unwrap(), workspace.canaries().unwrap());
        let temperature = workspace.sampling().unwrap().temperature.into();
        Report::of(&Sources { runs: &runs, pairs: &pairs, rubric: &rubric, canaries: &canaries, temperature, made: TIME }).unwrap()
    }

    fn voicetune(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = assert_cmd::Command::cargo_bin("voicetune").unwrap();
        command.env("NO_COLOR", "1").arg("--workspace").arg(self.0.path()).args(args).assert()
    }
}

fn output(run: &Path, prompt: &str, arm: &str, prompt_text: &str, sample: usize, text: &str, finish: Finish) {
    output_at(0.8, run, prompt, arm, prompt_text, sample, text, finish);
}

#[allow(clippy::too_many_arguments)] // as many as a line has
fn output_at(temperature: f64, run: &Path, prompt: &str, arm: &str, prompt_text: &str, sample: usize, text: &str, finish: Finish) {
    let sampling = Sampling { temperature, top_p: 0.9, top_k: 50, repetition_penalty: 1.1, max_new_tokens: 200 };
    let (prompt, arm, text, prompt_text) = (prompt.into(), arm.into(), text.into(), prompt_text.into());
    let seed = 42 + sample as u64;
    outputs::append(
        run,
        &Output { prompt, arm, sample, seed, ids: vec![1], text, finish, prompt_text, checkpoint: 1, sampling, time: TIME.into() },
    )
    .unwrap();
}

fn near(found: &Value, expected: f64) {
    assert!(found.as_f64().is_some_and(|found| (found - expected).abs() < 1e-9), "{found} is not {expected}");
}

#[test]
fn the_numbers_are_those_of_the_files() {
    let report = serde_json::to_value(Fixture::new().report(&["llama", "gpt2"])).unwrap();

    let run = &report["runs"][0];
    assert_eq!(
        (&run["state"], &run["tuning"], &run["commit"], &run["result"]),
        (&json!("finished"), &json!("an instruct model"), &json!("0e9e39f2"), &json!(1))
    );
    assert_eq!(run["curve"]["best"], json!({"step": 1, "loss": 3.25}));
    assert_eq!(report["runs"][1]["state"], "interrupted");
    let differing: Vec<_> =
        report["differing"].as_array().unwrap().iter().map(|setting| (setting["key"].as_str().unwrap(), &setting["values"])).collect();
    assert!(differing.contains(&("epochs", &json!([3, 5]))) && differing.contains(&("lora.rank", &json!([16, null]))), "{differing:?}");

    let arms: Vec<_> = report["arms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arm| {
            (
                arm["label"].as_str().unwrap(),
                arm["samples"].as_u64().unwrap(),
                arm["empty"].as_u64().unwrap(),
                arm["cut_short"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(arms, [("llama-base", 3, 1, 0), ("llama-tuned", 3, 0, 1), ("gpt2-tuned", 1, 0, 0)]);

    // A corrected verdict counts once, one with the names shown not at all.
    let reading = &report["reading"];
    assert_eq!((reading["blind"].as_u64(), reading["open"].as_u64()), (Some(2), Some(1)));
    let tuned = &reading["standings"][1];
    assert_eq!((tuned["wins"].as_u64(), tuned["ties"].as_u64(), tuned["all_bad"].as_u64()), (Some(1), Some(1), Some(0)));
    near(&tuned["win_rate"], 0.5);
    // statsmodels: proportion_confint(1, 2, method="wilson").
    near(&tuned["win_interval"][0], 0.094531205734230_74);
    near(&tuned["rubric"]["rhythm"]["mean"], 4.0);
    // statsmodels' logistic regression of one win and a tie, with the prior's rows; tests/fixtures/review/make-tally.py has the way.
    near(&tuned["strength_interval"][0], STRENGTH.0);
    near(&tuned["strength_interval"][1], STRENGTH.1);
    let canary = &reading["canaries"][0]["canaries"][0];
    assert_eq!((&canary["canary"], &canary["readings"], &canary["shifted"]), (&json!("A"), &json!(2), &Value::Null));
    assert_eq!((&canary["wins"], &canary["picked"]), (&json!({"base": 0, "tuned": 1}), &json!({"base": null, "tuned": 1})));
    near(&canary["difference"], 2.0);
    let voice = &report["voice"];
    assert_eq!((voice["function_words"].as_array().unwrap().len(), voice["lengths"].as_array().unwrap().len()), (70, 8));
    assert_eq!(voice["curve"], json!([]), "none of her pieces has 25 words");
    assert_eq!(reading["canaries"][0]["verdict"], "not_enough_readings");
    assert_eq!(reading["canaries"].as_array().unwrap().len(), 1);

    // Of six sentences she cut three: the tuned arm two of them and one other, the base arm none.
    let editing = &report["editing"][0];
    assert_eq!(
        (&editing["held_out"], &editing["pairs"], &editing["sentences"], &editing["endings"]),
        (&json!(true), &json!(["tier1/ferry"]), &json!([6, 3]), &json!([2, 1]))
    );
    let cut = |arm: usize| &editing["arms"][arm]["cut"];
    near(&cut(0)["kappa"], 0.0);
    near(&cut(0)["recall"], 0.0);
    near(&cut(1)["precision"], 2.0 / 3.0);
    near(&cut(1)["recall"], 2.0 / 3.0);
    near(&cut(1)["kappa"], 1.0 / 3.0);
    near(&editing["difference"][0]["kappa"]["value"], 1.0 / 3.0);
    assert_eq!(editing["cutting_nothing"][0]["precision"], Value::Null);
    near(&editing["cutting_nothing"][0]["kappa"], 0.0);
    // At random three of six: half of hers on average, and kappa about 0.
    assert!((editing["cutting_at_random"][0]["recall"].as_f64().unwrap() - 0.5).abs() < 0.02);
    assert!(editing["cutting_at_random"][0]["kappa"].as_f64().unwrap().abs() < 0.04);

    let sample = &report["prompts"][0]["arms"].as_array().unwrap().iter().find(|arm| arm["label"] == "llama-tuned").unwrap()["samples"][0];
    assert_eq!(
        sample["copied"],
        json!([{"start": 39, "end": 87, "words": 11, "pair": "tier2/clocks", "side": "response", "in_prompt": false}])
    );
    let facts: Vec<_> =
        sample["facts"].as_array().unwrap().iter().map(|fact| (fact["kind"].as_str().unwrap(), fact["text"].as_str().unwrap())).collect();
    assert_eq!(facts, [("name", "Harold"), ("place", "Lyme Regis"), ("year", "1962")]);

    let missing = report["missing"].to_string();
    for part in [
        "2026-11-22-gpt2 was interrupted after 1 of 2 steps",
        "no outputs of the base arm",
        "no arm was given the held-out draft tier1/ferry",
        "llama-base: 1 of 3 outputs are empty",
    ] {
        assert!(missing.contains(part), "`{part}` is not in {missing}");
    }
}

#[test]
fn markdown_reads_well() {
    let text = markdown(&Fixture::new().report(&["llama", "gpt2"])).unwrap();
    insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "[version]"));
}

#[test]
fn nothing_in_the_page_acts_or_is_loaded() {
    let page = html(&Fixture::new().report(&["llama", "gpt2"])).unwrap();
    for absent in ["<script", "\u{202e}", "src=", "<link", "@import", "url(", "href=\"http", "NaN"] {
        assert!(!page.contains(absent), "{absent:?} is in the page");
    }
    for present in [
        "&lt;script&gt;alert(1)",
        "⟨U+202E⟩See",
        "<svg class=\"chart\"",
        "title=\"copied: tier2/clocks\"",
        "title=\"invented: place\"",
        "An empty output.",
    ] {
        assert!(page.contains(present), "{present:?} is not in the page");
    }
    let opened = |tag: &str| page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
    for tag in ["table", "section", "details", "svg", "mark", "div", "p", "tr", "td"] {
        assert_eq!(opened(tag), page.matches(&format!("</{tag}>")).count(), "<{tag}>");
    }
}

/// The same numbers as without them: outputs, readings and picks at another temperature are counted apart.
#[test]
fn temperatures_are_compared_and_never_mixed() {
    let fixture = Fixture::new();
    let before = serde_json::to_value(fixture.report(&["llama", "gpt2"])).unwrap();
    assert_eq!((&before["temperature"], &before["temperatures"], &before["side_by_side"]), (&json!(0.8), &json!([]), &json!([])));
    let run = fixture.path("runs/2026-11-22-llama");
    let long = "The town slept, and no clock in it told anyone the time; nobody asked. ".repeat(20);
    let asked = "The clocks of a town.";
    output_at(1.2, &run, "A", "llama-tuned", asked, 0, &long, Finish::Length);
    output_at(1.2, &run, "A", "llama-base", asked, 0, "Hot and short.", Finish::Stop);
    let arm = |arm: &str| ArmName::new("2026-11-22-llama", arm).unwrap();
    let shown = [("llama-base", "Hot and short."), ("llama-tuned", long.as_str())].map(|(name, text)| Shown::new(arm(name), 0, text));
    let reading = Reading {
        prompt: "A".into(),
        temperature: Some(1.2.into()),
        seed: 7,
        shown: shown.to_vec(),
        blind: true,
        outcome: Outcome::Best(vec![arm("llama-tuned")]),
        scores: Default::default(),
        comment: String::new(),
        replaces: None,
    };
    verdict::append(&fixture.path("runs"), &Verdict::new(reading, TIME.into())).unwrap();
    let pick = Pick { time: TIME.into(), prompt: "A".into(), temperature: Some(1.2.into()), shown: shown[1].clone() };
    verdict::append_pick(&fixture.path("runs"), &pick).unwrap();

    let report = fixture.report(&["llama", "gpt2"]);
    let after = serde_json::to_value(&report).unwrap();
    for part in ["arms", "editing", "voice", "prompts", "missing"] {
        assert_eq!(after[part], before[part], "{part}");
    }
    assert_eq!((&after["reading"]["blind"], &after["reading"]["elsewhere"]), (&json!(2), &json!(1)));
    assert_eq!(after["reading"]["standings"], before["reading"]["standings"]);
    let parts = after["temperatures"].as_array().unwrap();
    assert_eq!(parts.iter().map(|part| part["temperature"].as_f64().unwrap()).collect::<Vec<_>>(), [0.8, 1.2]);
    let row =
        |temperature: usize, label: &str| parts[temperature]["arms"].as_array().unwrap().iter().find(|arm| arm["label"] == label).unwrap();
    let tuned = row(1, "llama-tuned");
    assert_eq!((&tuned["samples"], &tuned["words"], &tuned["cut_short"]), (&json!(1), &json!(280), &json!(1)));
    assert_eq!((&tuned["readings"], &tuned["wins"]), (&json!(1), &json!(1)));
    near(&tuned["voice"]["features"]["sentence_length"]["value"], 14.0);
    assert_eq!(row(1, "llama-base")["voice"], Value::Null, "three words are not enough for a voice");
    assert_eq!((&row(0, "llama-tuned")["readings"], &row(0, "llama-tuned")["wins"]), (&json!(2), &json!(1)));
    let side = &after["side_by_side"];
    assert_eq!((side.as_array().unwrap().len(), &side[0]["prompt"]), (1, &json!("A")));
    let texts = side[0]["arms"].as_array().unwrap().iter().find(|arm| arm["label"] == "llama-tuned").unwrap()["texts"].as_array().unwrap();
    assert_eq!(
        texts.iter().map(|text| (text["temperature"].as_f64().unwrap(), text["picked"].as_bool().unwrap())).collect::<Vec<_>>(),
        [(0.8, true), (1.2, true)]
    );
    let (page, plain) = (html(&report).unwrap(), markdown(&report).unwrap());
    for present in ["1 at other temperatures than 0.8", "Temperatures", "1 of 1"] {
        assert!(page.contains(present) && plain.contains(present), "{present:?}");
    }

    // Another usual temperature, at which nothing was drawn: what there is most of, and that is said.
    fs::write(fixture.path("configs/sampling.yaml"), "temperature: 0.3\n").unwrap();
    let report = serde_json::to_value(fixture.report(&["llama"])).unwrap();
    assert_eq!(report["temperature"], json!(0.8));
    assert!(report["missing"].to_string().contains("No output was drawn at 0.3"), "{}", report["missing"]);
}

#[test]
fn her_own_held_out_texts_are_shown_in_shades() {
    let fixture = Fixture::new();
    let without = html(&fixture.report(&["llama"])).unwrap();
    assert!(without.contains("`voicetune score RUN` scores them all"));
    let run = fixture.path("runs/2026-11-22-llama");
    // "The ferry", the rest, the end.
    let ends = vec![9, FINISHED.chars().count(), FINISHED.chars().count()];
    let arm = |logprobs: [f32; 4]| ArmScores {
        logprobs: logprobs.to_vec(),
        rivals: ["a", "b", "c"].map(|text| Rival { text: text.into(), logprob: -1.0 }).to_vec(),
    };
    let scores = |checkpoint, text: &str, base| Scores {
        prompt: "tier1-ferry-12345678".into(),
        prompt_text: DRAFT.into(),
        checkpoint,
        ids: vec![1, 2, 3, 4, 5],
        from: 2,
        text: text.into(),
        ends: ends.clone(),
        left_out: 0,
        base: arm([-9.0, base, -6.5, -0.25]),
        tuned: arm([-9.0, -1.5, -3.0, -0.25]),
        time: TIME.into(),
    };
    scores::append(&run, &scores(1, FINISHED, -2.0)).unwrap();
    scores::append(&run, &scores(2, FINISHED, -8.0)).unwrap(); // not the run's result
    scores::append(&run, &scores(1, &FINISHED.replace("ferry", "bonny"), -4.0)).unwrap(); // another text
    let report = fixture.report(&["llama"]);
    let part = serde_json::to_value(&report.surprisal).unwrap();
    assert_eq!((part.as_array().unwrap().len(), &part[0]["pair"], &part[0]["checkpoint"]), (1, &json!("tier1/ferry"), &json!(1)));
    assert_eq!((&part[0]["tokens"], &part[0]["cells"].as_array().unwrap().len()), (&json!(3), &3));
    near(&part[0]["base"], 8.75 / 3.0);
    near(&part[0]["tuned"], 4.75 / 3.0);
    near(&part[0]["difference"], 4.0 / 3.0);
    let page = html(&report).unwrap();
    for present in [
        "<span class=\"s3\" title=\"base 2.00, fine-tuned 1.50 nats\">The ferry</span>",
        "<span class=\"s6\" title=\"base 6.50, fine-tuned 3.00 nats\"> left at noon.",
        "<span class=\"l2\"",
        "<span class=\"l0\" title=\"base 2.00, fine-tuned 1.50 nats\">The ferry</span>",
        "title=\"base 0.25, fine-tuned 0.25 nats\">∎</span>",
    ] {
        assert!(page.contains(present), "{present:?} is not in the page");
    }
    assert!(markdown(&report).unwrap().contains("| tier1/ferry | 1 | 3 | 2.92 | 1.58 | +1.33 |"));
}

#[test]
fn the_command_writes_two_private_files() {
    let fixture = Fixture::new();
    let printed =
        String::from_utf8(fixture.voicetune(&["report", "llama", "gpt2", "llama"]).success().get_output().stdout.clone()).unwrap();
    let paths: Vec<&str> = printed.lines().collect();
    assert_eq!(paths.len(), 2);
    for (path, name) in paths.iter().zip(Report::FILES) {
        assert_eq!(Path::new(path), fixture.path("runs/2026-11-22-llama/report").join(name));
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let json = fixture.voicetune(&["report", "gpt2", "--json"]).success().get_output().stdout.clone();
    let object: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(object["runs"][0]["run"], "2026-11-22-gpt2");
    assert!(!fixture.path("runs/2026-11-22-gpt2/report").exists());
    fixture.voicetune(&["report", "none"]).code(1);
    fixture.voicetune(&["report"]).code(2);
}

#[test]
fn the_canaries_of_all_runs_are_printed() {
    let fixture = Fixture::new();
    let printed = |args: &[&str]| String::from_utf8(fixture.voicetune(args).success().get_output().stdout.clone()).unwrap();
    let text = printed(&["canaries"]);
    for present in [
        "2026-11-22-llama: not enough readings. Score more samples of the canaries",
        "A known topic, short  2.00 → 4.00 (+2.00), 2 and 2 readings: too few readings",
        "base won 0, tuned 1 of 2; picked: tuned sample 2",
        "C known topic, long   not asked of this model",
        "2026-11-22-gpt2: not enough readings",
        "The rule. A canary has shifted when",
    ] {
        assert!(text.contains(present), "`{present}` is not in {text}");
    }
    let one: Value = serde_json::from_str(&printed(&["canaries", "llama", "--json"])).unwrap();
    assert_eq!(one["runs"].as_array().unwrap().len(), 1);
    assert_eq!(one["runs"][0]["verdict"], "not_enough_readings");
    fs::remove_dir_all(fixture.path("runs/2026-11-22-gpt2/outputs")).unwrap();
    assert!(printed(&["canaries"]).contains("2026-11-22-gpt2: no samples yet"));
    fixture.voicetune(&["canaries", "none"]).code(1);
}

#[test]
fn a_diff_names_what_was_copied_from_a_runs_pairs() {
    let fixture = Fixture::new();
    let (draft, revision) = (fixture.path("draft.md"), fixture.path("revision.md"));
    fs::write(&draft, "The baker kept late hours.").unwrap();
    fs::write(&revision, "The baker kept late hours. He told its own time, and the baker went by none of us.").unwrap();
    let [draft, revision] = [&draft, &revision].map(|path| path.to_str().unwrap());
    let printed = |args: &[&str]| String::from_utf8(fixture.voicetune(args).success().get_output().stdout.clone()).unwrap();
    let text = printed(&["diff", draft, revision, "--run", "llama"]);
    assert!(text.contains("copied from the training pairs: 1 span of 11 words"), "{text}");
    assert!(text.contains("11 words of the response of tier2/clocks"), "{text}");
    assert!(text.contains("He [=told its own time, and the baker") && text.contains("none of=] us."), "{text}");
    let json: Value = serde_json::from_str(&printed(&["diff", draft, revision, "--run", "llama", "--json"])).unwrap();
    assert_eq!((&json["copied"][0]["words"], &json["copied"][0]["in_prompt"]), (&json!(11), &json!(false)));
    let plain: Value = serde_json::from_str(&printed(&["diff", draft, revision, "--json"])).unwrap();
    assert_eq!(plain.get("copied"), None);
}

#[test]
fn a_run_without_anything_is_reported_as_such() {
    let fixture = Fixture::new();
    let run = fixture.path("runs/2026-11-22-gpt2");
    fs::remove_file(run.join("events.jsonl")).unwrap();
    fs::remove_dir_all(run.join("outputs")).unwrap();
    let report = fixture.report(&["gpt2"]);
    let page = html(&report).unwrap();
    for present in ["no step was taken yet", "has no outputs", "Nothing was read blind yet", "There are no outputs."] {
        assert!(page.contains(present), "{present:?}");
        assert!(present.starts_with("There") || markdown(&report).unwrap().contains(present), "{present:?}");
    }
}
