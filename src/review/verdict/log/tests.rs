use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::super::{Outcome, Reading, Score, Scores, Shown};
use super::*;

fn arm(run: &str, name: &str) -> ArmName {
    ArmName::new(run, name).unwrap()
}

/// A verdict of two arms of one run and two of another; `comment` makes it another one.
fn verdict(runs: [&str; 2], comment: &str, replaces: Option<&Verdict>) -> Verdict {
    let arms = [arm(runs[0], "llama-base"), arm(runs[0], "llama-tuned"), arm(runs[1], "gpt2-base"), arm(runs[1], "gpt2-tuned")];
    let scores: Scores = [(arms[1].clone(), [("rhythm".to_owned(), Score::new(4).unwrap())].into())].into();
    let reading = Reading {
        prompt: "A".into(),
        temperature: None,
        seed: u64::MAX,
        shown: arms.iter().map(|arm| Shown::new(arm.clone(), 2, "text")).collect(),
        blind: true,
        outcome: Outcome::Best(vec![arms[1].clone()]),
        scores,
        comment: comment.into(),
        replaces: replaces.map(|v| v.id.clone()),
    };
    Verdict::new(reading, "2026-11-22T10:00:00Z".into())
}

fn workspace(names: &[&str]) -> tempfile::TempDir {
    let runs = tempfile::tempdir().unwrap();
    names.iter().for_each(|name| fs::create_dir(runs.path().join(name)).unwrap());
    runs
}

fn text_of(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| [serde_json::to_vec(line).unwrap(), vec![b'\n']].concat()).collect()
}

fn standing(files: &[&[u8]]) -> Verdicts {
    let mut found = Found::default();
    files.iter().enumerate().for_each(|(i, bytes)| found.file(Path::new(&format!("runs/{i}/verdicts.jsonl")), bytes));
    found.standing()
}

fn comments(verdicts: &Verdicts) -> Vec<&str> {
    verdicts.verdicts.iter().map(|v| v.reading.comment.as_str()).collect()
}

#[test]
fn a_reading_of_two_runs_stands_in_both_and_counts_once() {
    let runs = workspace(&["one", "two", "three"]);
    let given = verdict(["one", "two"], "", None);
    append(runs.path(), &given).unwrap();
    let (one, two) = (fs::read(runs.path().join("one").join(FILE)).unwrap(), fs::read(runs.path().join("two").join(FILE)).unwrap());
    assert_eq!(one, two);
    assert_eq!(one, text_of(&[Line::Verdict(given.clone())]));
    let expected = Verdicts { verdicts: vec![given], ..Verdicts::default() };
    assert_eq!(read(runs.path(), ["one", "two", "three", "gone"]), expected);
    assert_eq!(read(runs.path(), ["two"]), expected);
    assert_eq!(read(runs.path(), []), Verdicts::default());
}

#[test]
fn only_the_owner_can_read_it() {
    let runs = workspace(&["one"]);
    append(runs.path(), &verdict(["one", "one"], "", None)).unwrap();
    assert_eq!(fs::metadata(runs.path().join("one").join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn giving_it_again_after_an_error_completes_it() {
    let runs = workspace(&["one"]);
    let given = verdict(["one", "two"], "", None);
    let error = append(runs.path(), &given).unwrap_err().to_string();
    assert!(error.contains("two/verdicts.jsonl"), "{error}");
    fs::create_dir(runs.path().join("two")).unwrap();
    append(runs.path(), &given).unwrap();
    assert_eq!(read(runs.path(), ["one", "two"]).verdicts, [given]);
    // A verdict that does not hold together is not written.
    let mut odd = verdict(["one", "two"], "", None);
    odd.reading.outcome = Outcome::Best(vec![]);
    assert!(append(runs.path(), &odd).is_err());
}

#[test]
fn a_correction_takes_the_place_of_what_it_names() {
    let first = verdict(["one", "two"], "first", None);
    let other = verdict(["one", "two"], "other", None);
    let second = verdict(["one", "two"], "second", Some(&first));
    let third = verdict(["one", "two"], "third", Some(&second));
    let rival = verdict(["one", "two"], "rival", Some(&first));
    let check = |files: &[&[&Verdict]], expected: &[&str]| {
        let files: Vec<Vec<u8>> =
            files.iter().map(|lines| text_of(&lines.iter().map(|v| Line::Verdict((*v).clone())).collect::<Vec<_>>())).collect();
        let found = standing(&files.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!((comments(&found), found.problems.len()), (expected.to_vec(), 0));
    };
    check(&[&[&first, &other]], &["first", "other"]);
    check(&[&[&first, &other, &second]], &["second", "other"]);
    check(&[&[&first, &other, &second, &third]], &["third", "other"]);
    // Corrected twice from the same state: the later line stands.
    check(&[&[&first, &second, &rival]], &["rival"]);
    // A crash came between the two files.
    check(&[&[&first, &other], &[&first, &second]], &["second", "other"]);
    check(&[&[&first, &second], &[&first, &other]], &["second", "other"]);
    // What it corrects is in a run that is not read.
    check(&[&[&second]], &["second"]);
    check(&[&[&third], &[&first]], &["third", "first"]);
    check(&[&[&third, &first, &second]], &["third"]);
}

#[test]
fn lines_that_correct_one_another_count_once() {
    let mut one = verdict(["one", "one"], "one", None);
    let mut two = verdict(["one", "one"], "two", Some(&one));
    (one.id, two.id) = ("a".into(), "b".into());
    (one.reading.replaces, two.reading.replaces) = (Some("b".into()), Some("a".into()));
    assert_eq!(comments(&standing(&[&text_of(&[Line::Verdict(one.clone()), Line::Verdict(two)])])), ["two"]);
    one.reading.replaces = Some("a".into());
    assert_eq!(comments(&standing(&[&text_of(&[Line::Verdict(one)])])), ["one"]);
}

#[test]
fn broken_lines_are_named_and_stay() {
    let runs = workspace(&["one"]);
    let path = runs.path().join("one").join(FILE);
    let good = verdict(["one", "one"], "good", None);
    let line = String::from_utf8(text_of(&[Line::Verdict(good)])).unwrap();
    let broken = [
        "{\"type\":\"dance\"}\n".to_owned(),
        "\u{feff}x\n".to_owned(),
        line.replace("\"rhythm\":4", "\"rhythm\":6"),
        line.replace("one/gpt2-tuned", "one/gpt2-base"),
        line.replace("\"good\"", "\"the same id\""),
    ];
    let before = [line.as_str(), "\n", &broken.concat(), "  \r\n"].concat();
    fs::write(&path, &before).unwrap();
    let found = read(runs.path(), ["one"]);
    assert_eq!(comments(&found), ["good"]);
    assert_eq!(found.problems.iter().map(|p| p.line.unwrap()).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    let shown: Vec<String> = found.problems.iter().map(Problem::to_string).collect();
    assert!(shown[2].starts_with("runs/one/verdicts.jsonl:5: not a verdict: 6 is no score; scores are 1 to 5"), "{}", shown[2]);
    assert!(shown[3].contains("one/gpt2-base is shown in two panes"), "{}", shown[3]);
    assert!(shown[4].contains("there is another verdict with the id"), "{}", shown[4]);
    append(runs.path(), &verdict(["one", "one"], "next", None)).unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with(&before));
    assert_eq!(comments(&read(runs.path(), ["one"])), ["good", "next"]);
}

#[test]
fn a_torn_last_line_is_ignored_wherever_it_was_torn() {
    let (first, second) = (verdict(["one", "one"], "première", None), verdict(["one", "one"], "second", None));
    let text = text_of(&[Line::Verdict(second.clone()), Line::Verdict(first)]);
    let start = text.iter().position(|&b| b == b'\n').unwrap() + 1;
    for end in start..text.len() - 1 {
        assert_eq!(standing(&[&text[..end]]), Verdicts { verdicts: vec![second.clone()], ..Verdicts::default() }, "torn after byte {end}");
    }
    // Only the line feed is missing, as some editors leave it.
    assert_eq!(standing(&[&text[..text.len() - 1]]).verdicts.len(), 2);
}

#[test]
fn a_torn_line_does_not_swallow_the_next_one() {
    let runs = workspace(&["one"]);
    let path = runs.path().join("one").join(FILE);
    let line = text_of(&[Line::Verdict(verdict(["one", "one"], "first", None))]);
    let check = |before: &[u8], expected: &[&str], problems: &[usize]| {
        fs::write(&path, before).unwrap();
        append(runs.path(), &verdict(["one", "one"], "next", None)).unwrap();
        let found = read(runs.path(), ["one"]);
        assert_eq!(comments(&found), expected);
        assert_eq!(found.problems.iter().map(|p| p.line.unwrap()).collect::<Vec<_>>(), problems);
        assert!(fs::read(&path).unwrap().starts_with(before), "what was torn is not removed");
    };
    check(b"", &["next"], &[]);
    check(&[&line[..], &line[..40]].concat(), &["first", "next"], &[2]);
    check(&line[..line.len() - 1], &["first", "next"], &[]);
}

#[test]
fn the_latest_pick_of_a_prompt_arm_and_temperature_counts() {
    let runs = workspace(&["one", "two"]);
    let pick = |run: &str, prompt: &str, temperature: Option<f64>, sample| Pick {
        time: "2026-11-22T10:00:00Z".into(),
        prompt: prompt.into(),
        temperature: temperature.map(Temperature::new),
        shown: Shown::new(arm(run, "llama-tuned"), sample, "text"),
    };
    let given = [
        pick("one", "A", None, 0),
        pick("one", "B", Some(0.8), 1),
        pick("two", "A", Some(0.8), 2),
        pick("one", "A", Some(1.2), 3),
        pick("one", "A", Some(1.2), 4),
    ];
    given.iter().for_each(|pick| append_pick(runs.path(), pick).unwrap());
    let found = read(runs.path(), ["one", "two"]);
    let picked: Vec<_> = found.picks.values().map(|p| (p.shown.arm.run(), p.prompt.as_str(), p.shown.sample)).collect();
    assert_eq!(picked, [("one", "A", 0), ("one", "A", 4), ("two", "A", 2), ("one", "B", 1)]);
    assert_eq!(fs::read_to_string(runs.path().join("one").join(FILE)).unwrap().lines().count(), 4);
    assert!(found.problems.is_empty());

    // A line that does not say its temperature is of the usual one, and gives way to one that does.
    let sample = |found: &Verdicts, prompt: &str, temperature: f64| {
        found.pick(prompt, &arm("one", "llama-tuned"), temperature.into(), Temperature::new(0.8)).map(|pick| pick.shown.sample)
    };
    assert_eq!([0.5, 0.8, 1.2].map(|t| sample(&found, "A", t)), [None, Some(0), Some(4)]);
    append_pick(runs.path(), &pick("one", "A", Some(0.8), 5)).unwrap();
    assert_eq!(sample(&read(runs.path(), ["one"]), "A", 0.8), Some(5));
    assert_eq!(found.at(Temperature::new(1.2), Temperature::new(0.8)).picks.len(), 1);
}

#[test]
fn readings_of_two_temperatures_are_not_counted_together() {
    let runs = workspace(&["one"]);
    let at = |comment: &str, temperature: Option<f64>| {
        let mut given = verdict(["one", "one"], comment, None);
        given.reading.temperature = temperature.map(Temperature::new);
        append(runs.path(), &given).unwrap();
    };
    at("before", None);
    at("usual", Some(0.8));
    at("hot", Some(1.2));
    let found = |temperature: f64| comments(&read(runs.path(), ["one"]).at(temperature.into(), Temperature::new(0.8))).join(" ");
    assert_eq!([0.5, 0.8, 1.2].map(found), ["", "before usual", "hot"]);
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_of_its_own() {
    let runs = workspace(&["one", "two"]);
    fs::create_dir(runs.path().join("one").join(FILE)).unwrap();
    append(runs.path(), &verdict(["two", "two"], "good", None)).unwrap();
    let found = read(runs.path(), ["one", "two"]);
    assert_eq!((comments(&found), found.problems.len()), (vec!["good"], 1));
    assert!(found.problems[0].to_string().starts_with("runs/one/verdicts.jsonl: cannot be read"));
}

#[test]
fn two_that_write_at_once_do_not_mix_their_lines() {
    let runs = workspace(&["one"]);
    let long = "x".repeat(20_000);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (runs, long) = (runs.path(), &long);
            scope
                .spawn(move || (0..8).for_each(|n| append(runs, &verdict(["one", "one"], &format!("{writer} {n} {long}"), None)).unwrap()));
        }
    });
    let found = read(runs.path(), ["one"]);
    assert_eq!((found.verdicts.len(), found.problems.len()), (32, 0));
}

proptest! {
    #[test]
    fn any_comment_comes_back(comment in any::<String>(), seed in any::<u64>()) {
        let mut given = verdict(["one", "two"], &comment, None);
        given.reading.seed = seed;
        let text = text_of(&[Line::Verdict(given.clone())]);
        prop_assert_eq!(text.iter().filter(|&&b| b == b'\n').count(), 1);
        prop_assert_eq!(standing(&[&text]).verdicts, vec![given]);
    }

    #[test]
    fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(standing(&[&bytes]).verdicts.is_empty());
    }
}
