//! Loading never aborts: every broken file is a problem with file, line and advice, beside the pairs that are good.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use voicetune::pairs::{Level, Problem, load, open};

const GOOD: &str = "tier: 1\nsource: s\nprompt: |\n  A draft.\nresponse: |\n  A piece.\nstatus: ready\nsplit: auto\nnotes: \"\"\n";

fn folder(files: &[(&str, &[u8])]) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let pairs = dir.path().join("pairs");
    fs::create_dir(&pairs).unwrap();
    for (name, bytes) in files {
        fs::create_dir_all(pairs.join(name).parent().unwrap()).unwrap();
        fs::write(pairs.join(name), bytes).unwrap();
    }
    (dir, pairs)
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| format!("{} {problem}", problem.level.word())).collect()
}

#[test]
fn a_broken_file_stays_untouched_and_the_others_are_loaded() {
    let broken = GOOD.replace("status: ready\n", "");
    let (_dir, pairs) = folder(&[
        ("tier2/b.yaml", GOOD.replace("tier: 1", "tier: 2").as_bytes()),
        ("tier1/x.yaml", broken.as_bytes()),
        ("tier1/a.yaml", GOOD.as_bytes()),
    ]);
    let (good, problems) = load(&pairs);
    assert_eq!(good.iter().map(|pair| pair.id.as_str()).collect::<Vec<_>>(), ["tier1/a", "tier2/b"]);
    assert_eq!((good[0].prompt.as_str(), good[0].response.as_str()), ("A draft.\n", "A piece.\n"));
    assert_eq!(lines(&problems), ["error pairs/tier1/x.yaml:8: the key `status` is missing; add it"]);
    assert_eq!(fs::read_to_string(pairs.join("tier1/x.yaml")).unwrap(), broken);
    assert_eq!(open(&pairs, "tier1/x").unwrap_err(), problems);
}

#[test]
fn split_and_notes_may_be_left_out() {
    let (_dir, pairs) = folder(&[("tier1/x.yaml", GOOD.replace("split: auto\nnotes: \"\"\n", "").as_bytes())]);
    let (good, problems) = load(&pairs);
    assert_eq!((good[0].split.word(), good[0].notes.as_str(), problems), ("auto", "", vec![]));
}

#[test]
fn every_mistake_is_named_with_its_line() {
    fn check(from: &str, to: &str, expected: &str) {
        assert!(GOOD.contains(from), "{from}");
        let (_dir, pairs) = folder(&[("tier1/x.yaml", GOOD.replacen(from, to, 1).as_bytes())]);
        let (good, problems) = load(&pairs);
        assert_eq!(lines(&problems), [format!("error pairs/tier1/x.yaml:{expected}")]);
        assert_eq!(good, []);
    }
    for key in ["source", "prompt", "response"] {
        check(&format!("{key}:"), &format!("{key}s:"), &format!("{}: unknown key `{key}s`; did you mean `{key}`?", line_of(key)));
    }
    check("tier: 1\n", "", "8: the key `tier` is missing; add it");
    check("notes: \"\"", "note: \"\"", "9: unknown key `note`; did you mean `notes`?");
    check(
        "notes: \"\"",
        "mood: bright",
        "9: unknown key `mood`; there is `tier`, `source`, `prompt`, `response`, `status`, `split`, `notes`",
    );
    check("tier: 1", "tier: 2", "1: tier 2 in the folder tier1; move the file to tier2, or change its tier");
    check("tier: 1", "tier: 7", "1: tier must be 1, 2, 3 or 4, not 7; the folder says tier1");
    check("tier: 1", "tier: one", "1: `tier: one`: expected a whole number, 0 or above");
    check("status: ready", "status: redy", "7: `status: redy`: `redy` is not allowed; it is one of draft, ready, discarded");
    check("split: auto", "split: test", "8: `split: test`: `test` is not allowed; it is one of auto, train, validation");
    check("notes: \"\"", "notes:", "9: `notes:`: there is no value; write one, or \"\" for an empty text");
    check("notes: \"\"", "source: t", "9: the key `source` is given twice; keep one of them");
    check("source: s", "source: \" \"", "2: the source is empty; name the piece the pair was made from: split and balance go by it");
    check("prompt: |\n  A draft.", "prompt: |\n  \n", "3: the prompt is empty; write it, or set `status: draft`");
    check("response: |\n  A piece.", "response: \"\"", "5: the response is empty; write it, or set `status: draft`");
    check("response: |\n  A piece.", "response:", "5: `response:`: there is no value; write one, or \"\" for an empty text");
    check("prompt: |\n  A draft.", "prompt: [a]", "3: `prompt: [a]`: expected a single value");
    check(
        "  A piece.",
        "  A piece.\n---\nIts end.",
        "7: this line ends the document, as it is not indented; indent it like the text around it",
    );
    check("  A piece.", "A piece.", "6: `A piece.`: this is not YAML: simple key expected ':'");
    check("source: s", "source: s: t", "2: `source: s: t`: this is not YAML: mapping values are not allowed in this context");
}

fn line_of(key: &str) -> usize {
    1 + GOOD.lines().position(|line| line.starts_with(key)).unwrap()
}

#[test]
fn all_that_is_wrong_with_the_values_is_said_at_once() {
    let text = GOOD.replace("tier: 1", "tier: 3").replace("source: s", "source: ''").replace("  A piece.", "");
    let (_dir, pairs) = folder(&[("tier1/x.yaml", text.as_bytes())]);
    let lines: Vec<Option<usize>> = load(&pairs).1.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(1), Some(2), Some(5)]);
}

#[test]
fn a_draft_may_be_half_written() {
    let text = GOOD.replace("status: ready", "status: draft").replace("response: |\n  A piece.", "response: \"\"");
    let (_dir, pairs) = folder(&[("tier1/x.yaml", text.as_bytes())]);
    let (good, problems) = load(&pairs);
    assert_eq!(good.len(), 1);
    assert_eq!(lines(&problems), ["warning pairs/tier1/x.yaml:5: the response is empty; write it before you set `status: ready`"]);
    assert!(open(&pairs, "tier1/x").is_ok());
}

#[test]
fn what_is_not_text_or_not_yaml_is_said() {
    fn check(bytes: &[u8], expected: &str) {
        let (_dir, pairs) = folder(&[("tier1/x.yaml", bytes)]);
        assert_eq!(lines(&load(&pairs).1), [format!("error pairs/tier1/x.yaml:{expected}")]);
    }
    check(b"tier: 1\nsource: caf\xe9\n", "2: is not UTF-8 text; save the file as UTF-8");
    check(b"\xff\xfet\0", "1: is not UTF-8 text; save the file as UTF-8");
    check(b"", "1: the file is empty; write its keys, or delete the file");
    check(b"just prose, no keys\n", "1: `just prose, no keys`: expected keys and values, not a single value");
    check(b"- a\n- b\n", "1: `- a`: expected keys and values, not a single value");
}

#[test]
fn files_that_do_not_count_are_named() {
    fn check(files: &[&str], expected: &[&str]) {
        let files: Vec<(&str, &[u8])> = files.iter().map(|name| (*name, GOOD.as_bytes())).collect();
        let (_dir, pairs) = folder(&files);
        assert_eq!(lines(&load(&pairs).1), expected);
    }
    let misplaced = "not read: pairs lie in tier1/, tier2/, tier3/ or tier4/ itself; move the file there";
    check(&["x.yaml"], &[&format!("error pairs/x.yaml: {misplaced}")]);
    check(&["tier5/x.yaml"], &[&format!("error pairs/tier5/x.yaml: {misplaced}")]);
    check(&["tier1/more/x.yml"], &[&format!("error pairs/tier1/more/x.yml: {misplaced}")]);
    check(&["tier1/x.yml"], &["error pairs/tier1/x.yml: not read: pairs end in .yaml; rename the file to tier1/x.yaml"]);
    check(
        &["tier1/x.yml", "tier1/x.yaml"],
        &["error pairs/tier1/x.yml: not read: tier1/x.yaml is there too, and both would be the pair `tier1/x`; keep one of them"],
    );
    // Left-over temporary files, notes and system clutter are nobody's pairs.
    check(&["README.md", "tier1/.x.yaml.tmp", "tier1/.DS_Store", "tier1/notes.txt", "tier1/a.yaml"], &[]);
}

#[cfg(target_os = "linux")]
#[test]
fn ids_that_differ_in_case_only_are_named() {
    let (_dir, pairs) = folder(&[("tier1/X.yaml", GOOD.as_bytes()), ("tier1/x.yaml", GOOD.as_bytes())]);
    let (good, problems) = load(&pairs);
    assert_eq!(good.len(), 2);
    assert_eq!(
        lines(&problems),
        ["warning pairs/tier1/x.yaml: differs from tier1/X.yaml in case only, which is one file on macOS and Windows; rename one"]
    );
}

#[test]
fn a_missing_folder_and_an_unreadable_file_are_problems() {
    let (_dir, pairs) = folder(&[]);
    std::os::unix::fs::symlink("nowhere", pairs.join("tier1")).unwrap();
    assert_eq!(load(&pairs), (vec![], vec![]));
    let (_dir, pairs) = folder(&[("tier1/a.yaml", GOOD.as_bytes())]);
    std::os::unix::fs::symlink("nowhere", pairs.join("tier1/x.yaml")).unwrap();
    let (good, problems) = load(&pairs);
    assert_eq!((good.len(), problems.len(), problems[0].level), (1, 1, Level::Error));
    assert!(problems[0].to_string().starts_with("pairs/tier1/x.yaml: cannot be read: "), "{}", problems[0]);
    let (good, problems) = load(Path::new("/nowhere/pairs"));
    assert_eq!((good.len(), problems.len()), (0, 1));
    assert!(problems[0].to_string().starts_with("pairs: cannot be read: "), "{}", problems[0]);
}

#[test]
fn files_from_other_systems_are_read() {
    let with_bom = format!("\u{feff}{GOOD}");
    let windows = GOOD.replace('\n', "\r\n");
    let (_dir, pairs) = folder(&[("tier1/bom.yaml", with_bom.as_bytes()), ("tier1/crlf.yaml", windows.as_bytes())]);
    let (good, problems) = load(&pairs);
    assert_eq!(problems, []);
    assert_eq!(good.iter().map(|pair| pair.prompt.as_str()).collect::<Vec<_>>(), ["A draft.\n"; 2]);
}

proptest! {
    /// A file of any bytes is a pair or a problem, never a panic, and never neither.
    #[test]
    fn any_bytes_are_a_pair_or_a_problem(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        (0..GOOD.len(), any::<u8>()).prop_map(|(at, byte)| { let mut bytes = GOOD.as_bytes().to_vec(); bytes[at] = byte; bytes }),
    ]) {
        let (_dir, pairs) = folder(&[("tier1/x.yaml", &bytes)]);
        let (good, problems) = load(&pairs);
        prop_assert!(good.len() == 1 || problems.iter().any(|problem| problem.level == Level::Error));
        prop_assert!(problems.iter().all(|problem| problem.line.is_none_or(|line| line >= 1)));
    }
}
