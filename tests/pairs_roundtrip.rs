//! Any text that a writer can paste survives saving and loading, and a canonical file survives it to the byte.
#![allow(clippy::unwrap_used)]

use std::fs;

use proptest::prelude::*;
use proptest::sample::select;
use voicetune::pairs::{Fingerprint, Pair, Split, Status, Tier, file_of, from_yaml, load, open, save, to_yaml};

fn pair(prompt: &str, response: &str) -> Pair {
    Pair {
        id: "tier1/x".into(),
        tier: Tier::Draft,
        source: "the-quiet-car".into(),
        prompt: prompt.into(),
        response: response.into(),
        status: Status::Draft,
        split: Split::Auto,
        notes: String::new(),
    }
}

/// Pieces of text that YAML reads as something else, or that some reader or writer of files has been known to change.
#[rustfmt::skip]
const HOSTILE: [&str; 58] = [
    "\n", "\n\n", " ", "  ", "\t", "\r\n", "\r", "\u{a0}", "\u{200b}", "\u{feff}", "\u{85}", "\u{2028}", "\u{2029}", "\0", "\u{7}", "\u{1b}[31m",
    "\u{7f}", "\u{9f}", "\u{fffd}", "\u{fffe}", "\u{ffff}", "\u{10ffff}", "\u{202e}", "\u{2066}", "\u{200f}", "👩\u{200d}👩\u{200d}👧", "🏳️\u{200d}🌈", "e\u{301}",
    "---", "...", "no", "1:30", "# x", "- x", "? x", ": x", "key: value", "| ", "> ", "%YAML 1.1", "&anchor", "*alias", "!!tag", "{a: b}", "[a]", "\"",
    "'", "\\n", "\\", "~", "null", "0x1F", "1e3", "2024-01-01", "<<", "=", "`", "word",
];

fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(prop_oneof![4 => select(&HOSTILE[..]).prop_map(String::from), 1 => any::<String>()], 0..12)
            .prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
        // Nothing but what ends and starts lines.
        1 => "[ \t\n]{0,8}",
    ]
}

/// A ready pair has something in its texts; what stands around the word is hostile.
fn filled_text() -> impl Strategy<Value = String> {
    (hostile_text(), hostile_text()).prop_map(|(before, after)| format!("{before}word{after}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_back_the_same(prompt in hostile_text(), response in hostile_text(), source in filled_text(), notes in hostile_text()) {
        let pair = Pair { source, notes, ..pair(&prompt, &response) };
        let text = to_yaml(&pair);
        let (read, problems) = from_yaml(&pair.id, &text);
        prop_assert_eq!(read.as_ref(), Some(&pair), "{}\n{:?}", text, problems);
    }

    #[test]
    fn a_ready_pair_is_read_back_without_a_word_of_complaint(prompt in filled_text(), response in filled_text()) {
        let pair = Pair { status: Status::Ready, ..pair(&prompt, &response) };
        prop_assert_eq!(from_yaml(&pair.id, &to_yaml(&pair)), (Some(pair), vec![]));
    }

    #[test]
    fn a_canonical_text_is_written_again_to_the_byte(prompt in hostile_text(), response in hostile_text()) {
        let first = to_yaml(&pair(&prompt, &response));
        let again = to_yaml(&from_yaml("tier1/x", &first).0.unwrap());
        prop_assert_eq!(again, first);
    }
}

#[test]
fn a_pair_goes_through_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let pairs = dir.path().join("pairs");
    let long = "no word of this paragraph is wrapped 1:30 ".repeat(1_400);
    let pair = Pair { tier: Tier::Note, id: "tier4/long".into(), status: Status::Ready, ..pair("A thesis.\n", &long) };
    let fingerprint = save(&pairs, &pair, Fingerprint::Absent).unwrap();
    let bytes = fs::read(file_of(&pairs, "tier4/long")).unwrap();
    assert_eq!(fingerprint, Fingerprint::of(&bytes));
    assert!(bytes.split(|&b| b == b'\n').any(|line| line.len() > long.len()), "the paragraph stays on one line");
    assert_eq!(load(&pairs), (vec![pair], vec![]));

    // Saved unchanged, the file does not change by a byte.
    let loaded = open(&pairs, "tier4/long").unwrap();
    save(&pairs, &loaded.pair, loaded.fingerprint).unwrap();
    assert_eq!(fs::read(file_of(&pairs, "tier4/long")).unwrap(), bytes);
}

#[test]
fn the_canonical_form_is_the_documented_one() {
    let ready = Pair { status: Status::Ready, notes: "For the autumn letter.".into(), ..pair("\tA draft.\n\nIts end.\n", "The piece.") };
    let expected = "\
tier: 1
source: the-quiet-car
prompt: |2
  \tA draft.

  Its end.
response: |-
  The piece.
status: ready
split: auto
notes: \"For the autumn letter.\"
";
    assert_eq!(to_yaml(&ready), expected);
    assert!(to_yaml(&Pair { notes: "One.\nTwo.".into(), ..ready }).ends_with("notes: |-\n  One.\n  Two.\n"));
    assert!(to_yaml(&pair("a", "b")).ends_with("notes: \"\"\n"));
}

#[test]
fn prose_is_a_literal_block_wherever_one_can_carry_it() {
    let check = |text: &str, expected: &str| {
        let yaml = to_yaml(&pair(text, "r"));
        let prompt = yaml.split_once("prompt: ").unwrap().1.split_once("response: ").unwrap().0;
        assert_eq!(prompt, expected, "{text:?}");
    };
    check("a", "|-\n  a\n");
    check("a\n", "|\n  a\n");
    check("a\n\n\n", "|+\n  a\n\n\n");
    check("\n\na", "|-\n\n\n  a\n");
    check("\n", "|+\n\n");
    check("\n\n", "|+\n\n\n");
    check(" a", "|2-\n   a\n");
    check("\n a", "|2-\n\n   a\n");
    check("  ", "|2-\n    \n");
    check("\ta", "|2-\n  \ta\n");
    check("a \n\t\n b\t", "|-\n  a \n  \t\n   b\t\n");
    check("---\n...\n# x\n- x", "|-\n  ---\n  ...\n  # x\n  - x\n");
    check("🏳️\u{200d}🌈\u{202e}\u{a0}\u{200b}", "|-\n  🏳️\u{200d}🌈\u{202e}\u{a0}\u{200b}\n");
    check("", "\"\"\n");
    check("a\r\nb", "\"a\\r\\nb\"\n");
    check("a\rb", "\"a\\rb\"\n");
    check("a\u{85}\u{2028}\u{2029}\u{feff}\0", "\"a\\N\\L\\P\\uFEFF\\0\"\n");
    check("\u{1b}[0m", "\"\\e[0m\"\n");
}

#[test]
fn a_source_is_plain_only_where_no_reader_takes_it_for_something_else() {
    let check = |source: &str, expected: &str| {
        let yaml = to_yaml(&Pair { source: source.into(), ..pair("p", "r") });
        assert_eq!(yaml.lines().nth(1).unwrap(), format!("source: {expected}"));
    };
    check("the-quiet-car", "the-quiet-car");
    check("The Quiet Car, again", "The Quiet Car, again");
    check("no", "\"no\"");
    check("1:30", "\"1:30\"");
    check("2024", "\"2024\"");
    check("a: b", "\"a: b\"");
    check("a # b", "\"a # b\"");
    let long = "a long name ".repeat(20);
    check(long.trim(), long.trim());
}

#[test]
fn the_sample_pairs_are_written_again_to_the_byte() {
    let pairs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pairs");
    let (good, problems) = load(&pairs);
    assert_eq!(problems, []);
    assert!(!good.is_empty());
    for pair in good {
        assert_eq!(to_yaml(&pair), fs::read_to_string(file_of(&pairs, &pair.id)).unwrap(), "{}", pair.id);
    }
}
