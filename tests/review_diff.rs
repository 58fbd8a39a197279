//! `voicetune diff` as a user meets it.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::{Value, json};

const DRAFT: &str = "The train was late. I had expected nothing else of a Sunday. The old house stood on the hill — 🎉 alone.\n\nMy grandmother kept bees.\n";
const REVISION: &str = "The train was late. The new house stood on the hill — 🎉 alone. Nobody had a watch.\n\nMy grandmother kept bees.\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
        Folder(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn diff(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("voicetune").unwrap();
        command.current_dir(self.0.path()).env_remove("NO_COLOR").arg("diff").args(arguments);
        command
    }

    fn shown(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.diff(arguments).assert().success().get_output().stdout.clone()).unwrap()
    }
}

fn sample() -> Folder {
    Folder::new(&[("draft.md", DRAFT), ("essay.md", REVISION), ("empty.md", "")])
}

#[test]
fn json_is_the_contract() {
    let found: Value = serde_json::from_str(&sample().shown(&["draft.md", "essay.md", "--json"])).unwrap();
    let expected = json!({
        "sentences": [
            {"kind": "kept", "draft": [0, 19], "revision": [0, 19]},
            {"kind": "cut", "draft": [20, 60], "revision": null},
            {"kind": "reworded", "draft": [61, 103], "revision": [20, 62]},
            {"kind": "new", "draft": null, "revision": [63, 82]},
            {"kind": "kept", "draft": [105, 130], "revision": [84, 109]},
        ],
        "shares": {"kept": 0.5, "cut": 0.25, "reworded": 0.25, "moved": 0.0, "new": 0.25},
    });
    assert_eq!(found, expected);
}

#[test]
fn json_with_the_author_adds_agreement() {
    let found: Value = serde_json::from_str(&sample().shown(&["draft.md", "essay.md", "--author", "essay.md", "--json"])).unwrap();
    let all: Value = json!({"precision": 1.0, "recall": 1.0, "f1": 1.0, "kappa": 1.0});
    for (key, value) in all.as_object().unwrap() {
        assert_eq!(found["agreement"]["cut"][key], *value, "{key}");
    }
    assert_eq!(found["agreement"]["cut"]["interval"], json!([1.0, 1.0]));
    assert_eq!(found["agreement"]["endings"]["precision"], Value::Null, "no ending was cut");
}

#[test]
fn json_of_empty_texts_holds_nulls() {
    let folder = sample();
    let found: Value = serde_json::from_str(&folder.shown(&["empty.md", "empty.md", "--json"])).unwrap();
    let null_shares = json!({"kept": null, "cut": null, "reworded": null, "moved": null, "new": null});
    assert_eq!(found, json!({"sentences": [], "shares": null_shares}));
    let found: Value = serde_json::from_str(&folder.shown(&["empty.md", "essay.md", "--json"])).unwrap();
    assert_eq!((&found["shares"]["kept"], &found["shares"]["new"]), (&Value::Null, &json!(1.0)));
}

#[test]
fn two_columns() {
    let expected = "\
draft: draft.md (4 sentences)
revision: essay.md (4 sentences)
kept 50 %, - cut 25 %, ~ reworded 25 %, > moved 0 % of the draft; + new 25 % of the revision
last sentence: kept
paragraphs: 1 kept, 1 reworked; their endings: 1 kept, 1 new

  The train was late.                              │ The train was late.
- I had expected nothing else of a Sunday.         │
~ The [-old-] house stood on the hill — 🎉 alone.  │ The {+new+} house stood on the hill — 🎉 alone.
+                                                  │ Nobody had a watch.

  My grandmother kept bees.                        │ My grandmother kept bees.
";
    assert_eq!(sample().shown(&["draft.md", "essay.md", "--width", "101"]), expected);
}

#[test]
fn stacked_when_narrow() {
    let expected = "\
draft: draft.md (4 sentences)
revision: essay.md (4 sentences)
kept 50 %, - cut 25 %, ~ reworded
25 %, > moved 0 % of the draft; +
new 25 % of the revision
last sentence: kept
paragraphs: 1 kept, 1 reworked;
their endings: 1 kept, 1 new

  The train was late.
- I had expected nothing else of a
  Sunday.
~ The [-old-]{+new+} house stood on
  the hill — 🎉 alone.
+ Nobody had a watch.

  My grandmother kept bees.
";
    assert_eq!(sample().shown(&["draft.md", "essay.md", "--width", "36"]), expected);
}

#[test]
fn paragraphs_with_their_endings() {
    let expected = "\
~ ¶ 1 · 3 sentences                                │ ¶ 1 · 2 of 3 sentences left · ending new
  The old house stood on the hill — 🎉 alone.      │ Nobody had a watch.

  ¶ 2 · 1 sentence                                 │ ¶ 2 · kept · ending kept
  My grandmother kept bees.                        │ My grandmother kept bees.
";
    let shown = sample().shown(&["draft.md", "essay.md", "--paragraphs", "--width", "101"]);
    assert!(shown.contains("last sentence: kept\n") && shown.ends_with(expected), "{shown}");
    let found: Value = serde_json::from_str(&sample().shown(&["draft.md", "essay.md", "--paragraphs", "--json"])).unwrap();
    let rows = json!([
        {"kind": "reworded", "draft": [0, 103], "revision": [0, 82], "ending": "new"},
        {"kind": "kept", "draft": [105, 130], "revision": [84, 109], "ending": "kept"},
    ]);
    assert_eq!(found["paragraphs"], rows);
}

#[test]
fn moved_sentences_say_where_they_went_and_came_from() {
    let draft = "My grandmother kept bees.\n\nThe train was late on Sunday. We waited in the cold hall. A child cried by the door.";
    let revision = "The train was late on Sunday. We waited in the cold hall. A child cried by the door.\n\nMy grandmother kept bees.";
    let folder = Folder::new(&[("a", draft), ("b", revision)]);
    let shown = folder.shown(&["a", "b", "--width", "80"]);
    assert!(shown.contains("> (moved to paragraph 2): My grandmother kept bees."), "{shown}");
    assert!(shown.contains("> (moved from paragraph 1): My grandmother kept bees."), "{shown}");
    let shown = folder.shown(&["a", "b", "--width", "120"]);
    assert!(shown.contains("> My grandmother kept bees."), "{shown}");
    assert!(shown.contains("│ (moved to paragraph 2)"), "{shown}");
    assert!(shown.contains("│ My grandmother kept bees."), "{shown}");
}

#[test]
fn agreement_is_in_the_head() {
    let shown = sample().shown(&["draft.md", "essay.md", "--author", "essay.md", "--width", "160"]);
    assert!(
        shown.contains("agreement with the author's cuts: precision 1.00, recall 1.00, F1 1.00, kappa 1.00 (95 %: 1.00 to 1.00)"),
        "{shown}"
    );
    assert!(shown.contains("agreement on paragraph endings cut: precision undefined"), "{shown}");
}

#[test]
fn empty_files_are_shown_as_such() {
    let shown = sample().shown(&["draft.md", "empty.md"]);
    assert!(shown.contains("revision: empty.md (no sentence: empty)"), "{shown}");
    assert!(shown.contains("last sentence: cut"), "{shown}");
    let shown = sample().shown(&["empty.md", "empty.md"]);
    assert!(shown.contains("kept -, - cut -"), "{shown}");
}

#[test]
fn nothing_from_a_file_acts_on_the_terminal() {
    let hostile = "The \x1b[31mtrain\x07 was \u{202e}late\u{9b}2J. \x1b]0;title\x07 We sat.";
    let folder = Folder::new(&[("a", hostile), ("b", "The train was late.")]);
    for width in ["60", "120"] {
        let shown = folder.shown(&["a", "b", "--width", width]);
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");
        assert!(shown.contains('␛') && shown.contains("⟨U+202E⟩"), "{shown}");
    }
}

#[test]
fn standard_input() {
    let folder = sample();
    let found = folder.diff(&["-", "essay.md", "--json"]).write_stdin(DRAFT).assert().success();
    let named = folder.shown(&["draft.md", "essay.md", "--json"]);
    assert_eq!(String::from_utf8_lossy(&found.get_output().stdout), named);
    folder.diff(&["-", "-"]).write_stdin(DRAFT).assert().code(2).stderr(predicate::str::contains("only one of the texts"));
}

#[test]
fn errors_name_the_file_and_the_next_step() {
    let folder = sample();
    let check = |arguments: &[&str], code: i32, wanted: &[&str]| {
        let assert = folder.diff(arguments).assert().code(code).stdout("");
        let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        wanted.iter().for_each(|w| assert!(stderr.contains(w), "{stderr}"));
    };
    std::fs::write(folder.path("latin1.md"), b"One line.\nCaf\xe9.\n").unwrap();
    std::fs::create_dir(folder.path("folder")).unwrap();
    check(&["draft.md", "missing.md"], 1, &["missing.md", "give a text or Markdown file"]);
    check(&["latin1.md", "essay.md"], 1, &["latin1.md, line 2", "not UTF-8", "iconv"]);
    check(&["draft.md", "folder"], 1, &["folder: is a folder"]);
    check(&["draft.md"], 2, &["REVISION"]);
    check(&["draft.md", "essay.md", "--width", "3"], 2, &["--width"]);
}
