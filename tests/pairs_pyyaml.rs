//! PyYAML, a YAML 1.1 reader that shares no code with ours, reads back the text of every pair that we save.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use voicetune::pairs::{Fingerprint, Pair, Split, Status, Tier, save};

const PIECES: [&str; 44] = [
    "\n",
    "\n\n",
    " ",
    "   ",
    "\t",
    "\r\n",
    "\r",
    "\u{a0}",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\0",
    "\u{7}",
    "\u{1b}",
    "\u{7f}",
    "\u{9f}",
    "\u{fffe}",
    "\u{202e}",
    "\u{200f}",
    "👩\u{200d}👩\u{200d}👧",
    "---",
    "...",
    "no",
    "1:30",
    "# x",
    "- x",
    "? x",
    "key: value",
    "%YAML 1.1",
    "&a",
    "*a",
    "!!str",
    "{a: b}",
    "[a]",
    "\"",
    "'",
    "\\n",
    "~",
    "null",
    "2024-01-01",
    "<<",
    "=",
    "The bus is late, and",
];

/// Texts each of which has once broken a reader or a writer, then as many more drawn from the pieces, the same ones every time.
fn texts(count: usize) -> Vec<String> {
    let mut texts: Vec<String> = PIECES.iter().map(|piece| piece.to_string()).collect();
    texts.extend(
        ["", "\ta", "\n\ta", " a", "\n a", "a\n ", "a\n\t", "a \nb", "a\n\n\n", "\n\n", "  \n  ", "a\r\nb\r\n", "a\u{2028}b\n"]
            .map(String::from),
    );
    texts.push("a long paragraph, on one line ".repeat(2_000));
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(prop_oneof![5 => select(&PIECES[..]).prop_map(String::from), 1 => any::<String>()], 0..10);
    while texts.len() < count {
        texts.push(strategy.new_tree(&mut runner).unwrap().current().concat());
    }
    texts
}

#[test]
fn pyyaml_reads_back_what_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let pairs_folder = dir.path().join("pairs");
    let texts = texts(420);
    let mut expected: BTreeMap<String, Value> = BTreeMap::new();
    for (i, two) in texts.chunks(2).enumerate() {
        let tier = Tier::ALL[i % 4];
        let [prompt, response] = [&two[0], &two[1]].map(String::clone);
        let pair = Pair {
            id: format!("{}/pair-{i}", tier.folder()),
            tier,
            source: format!("{response}."),
            notes: prompt.clone(),
            prompt,
            response,
            status: Status::Draft,
            split: Split::Auto,
        };
        save(&pairs_folder, &pair, Fingerprint::Absent).unwrap();
        let Pair { id, source, prompt, response, notes, .. } = pair;
        let values = json!({"tier": u8::from(tier), "source": source, "prompt": prompt, "response": response, "status": "draft", "split": "auto", "notes": notes});
        expected.insert(id, values);
    }
    let read = read_with_pyyaml(&pairs_folder);
    assert_eq!(read.len(), expected.len());
    for (id, values) in expected {
        assert_eq!(read[&id], values, "{id}: {}", std::fs::read_to_string(pairs_folder.join(format!("{id}.yaml"))).unwrap());
    }
}

/// The pairs of this repository as well: they are written by hand.
#[test]
fn pyyaml_reads_the_sample_pairs_as_we_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pairs");
    let (pairs, problems) = voicetune::pairs::load(&folder);
    assert_eq!(problems, []);
    let read = read_with_pyyaml(&folder);
    assert_eq!(read.len(), pairs.len());
    for pair in pairs {
        let [prompt, response] = [&pair.prompt, &pair.response].map(|text| Value::from(text.as_str()));
        assert_eq!((&read[&pair.id]["prompt"], &read[&pair.id]["response"]), (&prompt, &response), "{}", pair.id);
    }
}

fn read_with_pyyaml(pairs: &Path) -> BTreeMap<String, Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pyyaml/read_pairs.py");
    let output = python().arg(script).arg(pairs).env("PYTHONIOENCODING", "utf-8").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Python with PyYAML and its libyaml reader: the machine's own, or one that is installed below the target folder, once.
fn python() -> Command {
    static PACKAGES: OnceLock<Option<PathBuf>> = OnceLock::new();
    let packages = PACKAGES.get_or_init(|| {
        let imports = |mut python: Command| python.args(["-c", "from yaml import CSafeLoader"]).output().is_ok_and(|o| o.status.success());
        if imports(Command::new("python3")) {
            return None;
        }
        let packages = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pyyaml");
        if !imports(with_packages(&packages)) {
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"];
            let installed = Command::new("python3").args(pip).arg(&packages).arg("pyyaml==6.0.2").status();
            assert!(
                installed.is_ok_and(|status| status.success()) && imports(with_packages(&packages)),
                "this test needs python3 with PyYAML, which could not be installed: python3 -m pip install pyyaml==6.0.2"
            );
        }
        Some(packages)
    });
    packages.as_deref().map_or_else(|| Command::new("python3"), with_packages)
}

fn with_packages(packages: &Path) -> Command {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", packages);
    python
}
