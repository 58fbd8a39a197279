use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::*;

fn check(before: &str, edits: &[Edit], after: &str) {
    let mut editor = editor(before);
    draw(&editor, 11, 4);
    for edit in edits {
        editor.apply(edit.clone());
    }
    assert_eq!(marked(&editor), after, "{before:?} {edits:?}");
}

#[test]
fn the_text_is_kept_as_given_but_for_carriage_returns() {
    let check = |given: &str, kept: &str| {
        let editor = Editor::new(given);
        assert_eq!((editor.text().as_str(), editor.was_normalised()), (kept, given != kept), "{given:?}");
    };
    check("", "");
    check("a", "a");
    check("a\n", "a\n");
    check("\n\n\n", "\n\n\n");
    check("a\r\nb\rc\n\rd", "a\nb\nc\n\nd");
    check("\u{feff}a\u{85}\u{2028}\0", "\u{feff}a\u{85}\u{2028}\0");
}

#[test]
fn a_carriage_return_is_a_new_line() {
    check("a|b", &[Edit::Insert('\r'), Edit::Insert('\n')], "a\n\n|b");
}

#[test]
fn clusters_are_one_step() {
    let clusters = ["x", "é", "e\u{301}", "👨\u{200d}👩\u{200d}👧", "🇫🇷", "\u{1112}\u{1161}\u{11ab}", "क्षि", "👍🏽", "\u{202e}", "\n", "\t"];
    for cluster in clusters {
        check(&format!("a{cluster}|b"), &[Edit::Backspace], "a|b");
        check(&format!("a|{cluster}b"), &[Edit::Delete], "a|b");
        check(&format!("a{cluster}|b"), &[go(Motion::Left)], &format!("a|{cluster}b"));
        check(&format!("a|{cluster}b"), &[go(Motion::Right)], &format!("a{cluster}|b"));
        check(&format!("a{cluster}|b"), &[Edit::Backspace, Edit::Undo], &format!("a{cluster}|b"));
    }
    check("|a", &[Edit::Backspace, go(Motion::Left)], "|a");
    check("a|", &[Edit::Delete, go(Motion::Right)], "a|");
    // What is typed may join the cluster that follows: the caret goes behind it.
    check("|\u{301}b", &[Edit::Insert('e')], "e\u{301}|b");
    check("🇫x|🇷", &[Edit::Backspace], "🇫🇷|");
}

#[test]
fn words_and_paragraphs() {
    check("|one two", &[go(Motion::WordRight)], "one| two");
    check("one| two, three", &[go(Motion::WordRight)], "one two|, three");
    check("one two|, three", &[go(Motion::WordRight)], "one two, three|");
    check("one\n|two", &[go(Motion::WordLeft)], "one|\ntwo");
    check("one|\ntwo", &[go(Motion::WordRight)], "one\n|two");
    check("it isn't| so", &[go(Motion::WordLeft)], "it |isn't so");
    check("one tw|o", &[Edit::DeleteWordBack], "one |o");
    check("one |two", &[Edit::DeleteWordBack], "|two");
    check("one| two three", &[Edit::DeleteWordForward], "one| three");
    check("one\n|two", &[Edit::DeleteWordBack], "one|two");
    check("one [two| three", &[Edit::DeleteWordBack], "one | three");
    check("one |two\nthree", &[Edit::DeleteToLineEnd], "one |\nthree");
    check("one |\nthree", &[Edit::DeleteToLineEnd], "one |three");
    check("one\ntwo |three", &[Edit::DeleteToLineStart], "one\n|three");
    check("a\n\nb|b\n\nc", &[go(Motion::ParagraphForward)], "a\n\nbb\n\n|c");
    check("a\n\nbb\n\n|c", &[go(Motion::ParagraphForward)], "a\n\nbb\n\nc|");
    check("a\n\nb|b\n\nc", &[go(Motion::ParagraphBack)], "a\n\n|bb\n\nc");
    check("a\n\n|bb\n\nc", &[go(Motion::ParagraphBack)], "|a\n\nbb\n\nc");
    check("a\n\nb|b", &[go(Motion::Top)], "|a\n\nbb");
    check("a\n\nb|b", &[go(Motion::Bottom)], "a\n\nbb|");
}

#[test]
fn rows_are_those_of_the_screen() {
    // Ten columns: "one two " / "three four" / "five"
    check("one t|wo three four five", &[go(Motion::Down)], "one two three| four five");
    check("one two three| four five", &[go(Motion::Up)], "one t|wo three four five");
    check("one two thr|ee four five", &[go(Motion::RowStart)], "one two |three four five");
    check("one| two three four five", &[go(Motion::RowEnd)], "one two| three four five");
    check("one two t|hree four five", &[go(Motion::RowEnd)], "one two three four| five");
    check("one two three fou|r five", &[go(Motion::Down), go(Motion::Up)], "one two three fou|r five");
    check("|one two three four five", &[go(Motion::Up)], "|one two three four five");
    check("one| two", &[go(Motion::Up)], "|one two");
    check("one| two", &[go(Motion::Down)], "one two|");
    check("|a\nb\nc\nd\ne\nf", &[go(Motion::PageDown)], "a\nb\nc\n|d\ne\nf");
    check("a\nb\nc\nd\ne\n|f", &[go(Motion::PageUp)], "a\nb\n|c\nd\ne\nf");
    check("abc|\n\nabc", &[go(Motion::Down), go(Motion::Down)], "abc\n\nabc|");
    // The end of a row without a space is not the start of the next one.
    check("駅|駅駅駅駅駅駅", &[go(Motion::RowEnd), Edit::Insert('x')], "駅駅駅駅駅x|駅駅");
    check("駅|駅駅駅駅駅駅", &[go(Motion::RowEnd), go(Motion::RowStart)], "|駅駅駅駅駅駅駅");
}

#[test]
fn selections() {
    check("on|e", &[select(Motion::Right)], "on[e|");
    check("on|e", &[select(Motion::Left), select(Motion::Left)], "|on]e");
    check("[on|e", &[select(Motion::Left), select(Motion::Left)], "|one");
    check("o[n|e", &[go(Motion::Left)], "o|ne");
    check("o|n]e", &[go(Motion::Right)], "on|e");
    check("o[n|e", &[Edit::Insert('x')], "ox|e");
    check("o[n|e", &[Edit::Backspace], "o|e");
    check("o|n]e", &[Edit::Delete], "o|e");
    check("o|n]e", &[Edit::Cut], "o|e");
    check("o|ne", &[Edit::Cut], "o|ne");
    check("o|n]e", &[Edit::Newline], "o\n|e");
    check("o|ne\ntwo", &[Edit::SelectAll], "[one\ntwo|");
    check("o[n|e", &[Edit::SelectNone], "on|e");
    check("o[n|e", &[Edit::Paste("a\r\nb\rc".into())], "oa\nb\nc|e");
    assert_eq!(editor("o[ne\nt|wo").selected().unwrap(), "ne\nt");
    assert_eq!(editor("one|").selected(), None);
}

#[test]
fn undo_goes_by_words() {
    let check_typed = |text: &str, undos: usize, after: &str| {
        let edits = [typed(text), vec![Edit::Undo; undos]].concat();
        check("|.", &edits, after);
    };
    check_typed("one two", 1, "one |.");
    check_typed("one  two", 2, "|.");
    check_typed("one\ntwo", 1, "one\n|.");
    check_typed("one\ntwo", 2, "one|.");
    check("one two|", &[vec![Edit::Backspace; 4], vec![Edit::Undo]].concat(), "one two|");
    check("one two|", &[vec![Edit::Backspace; 6], vec![Edit::Undo]].concat(), "one|");
    check("|one two", &[vec![Edit::Delete; 5], vec![Edit::Undo, Edit::Undo]].concat(), "|one two");
    check("a|c", &[Edit::Insert('b'), go(Motion::Left), go(Motion::Right), Edit::Insert('b'), Edit::Undo], "ab|c");
    check("o[n|e", &[Edit::Insert('x'), Edit::Insert('y'), Edit::Undo], "o[n|e");
    check("o[n|e", &[Edit::Insert('x'), Edit::Undo, Edit::Redo], "ox|e");
    check("o[n|e", &[Edit::Paste("a\nb".into()), Edit::Undo], "o[n|e");
    check("o|e", &[Edit::Insert('n'), Edit::Undo, Edit::Insert('x'), Edit::Redo], "ox|e");
}

#[test]
fn an_external_editor_is_one_step_and_keeps_the_caret() {
    let check = |before: &str, text: &str, after: &str| {
        let mut editor = editor(before);
        let given = editor.text();
        assert_eq!(editor.replace_text(text), given != text);
        assert_eq!(marked(&editor), after);
        editor.apply(Edit::Undo);
        assert_eq!(editor.text(), given);
        editor.apply(Edit::Redo);
        assert_eq!(marked(&editor).replace(['[', ']'], ""), if given == text { before } else { after });
    };
    check("one two thr|ee", "one 2 three", "one 2 thr|ee");
    check("on|e two", "one 2 two", "on|e 2 two");
    check("one two|", "", "|");
    check("a|a", "aaa", "a|aa");
    check("one|", "one", "one|");
}

#[test]
fn changes_are_counted_and_undone_ones_are_no_edits() {
    let mut editor = Editor::new("a");
    assert!(!editor.is_edited());
    assert!(editor.apply(Edit::Insert('b')));
    assert!(!editor.apply(go(Motion::Left)));
    assert_eq!((editor.revision(), editor.is_edited()), (1, true));
    assert!(editor.apply(Edit::Undo));
    assert!(!editor.apply(Edit::Undo));
    assert_eq!((editor.revision(), editor.is_edited()), (2, false));
    editor.apply(Edit::Redo);
    editor.mark_saved();
    assert!(!editor.is_edited());
    editor.apply(Edit::Undo);
    assert!(editor.is_edited());
}

#[test]
fn search_goes_round() {
    let mut editor = editor("One |one ONE\n\u{201c}don\u{2019}t\u{201d} e\u{301}");
    let mut check = |pattern: &str, forward: bool, said: &str, after: &str| {
        assert_eq!(editor.find(pattern, forward).to_string(), said);
        assert_eq!(marked(&editor).lines().find(|line| line.contains('|')).unwrap(), after);
    };
    check("o", true, "2 of 4", "One [o|ne ONE");
    check("on", true, "2 of 4", "One [on|e ONE");
    check("one", true, "2 of 3", "One [one| ONE");
    check("one", true, "3 of 3", "One one [ONE|");
    check("one", true, "1 of 3", "[One| one ONE");
    check("one", false, "3 of 3", "One one [ONE|");
    check("ONE", false, "1 of 1", "One one [ONE|");
    check("don't", true, "1 of 1", "\u{201c}[don\u{2019}t|\u{201d} e\u{301}");
    check("\"", true, "2 of 2", "\u{201c}don\u{2019}t[\u{201d}| e\u{301}");
    check("e", true, "1 of 3", "On[e| one ONE");
    check("nowhere", true, "not found", "On[e| one ONE");
    editor.apply(Edit::Insert('!'));
    assert_eq!(editor.found(), Found::default());
}

#[derive(Debug, Clone)]
enum Act {
    Edit(Edit),
    Replace(String),
    Find(String, bool),
    Click(u16, u16, bool),
    Scroll(i32),
    Draw(u16, u16),
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "b", " ", "\n", "\r", "\u{301}", "👩", "\u{200d}", "👧", "🇫", "駅", "\t", "\x1b", "\u{202e}", "-", "\u{1112}", "\u{1161}",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn any_act() -> impl Strategy<Value = Act> {
    use Motion::*;
    let motions =
        vec![Left, Right, WordLeft, WordRight, Up, Down, RowStart, RowEnd, ParagraphBack, ParagraphForward, PageUp, PageDown, Top, Bottom];
    let plain = vec![
        Edit::Newline,
        Edit::Backspace,
        Edit::Delete,
        Edit::DeleteWordBack,
        Edit::DeleteWordForward,
        Edit::DeleteToLineEnd,
        Edit::DeleteToLineStart,
        Edit::SelectAll,
        Edit::SelectNone,
        Edit::Undo,
        Edit::Redo,
        Edit::Cut,
    ];
    prop_oneof![
        6 => any_text().prop_filter_map("a character", |text| text.chars().next().map(|c| Act::Edit(Edit::Insert(c)))),
        2 => any_text().prop_map(|text| Act::Edit(Edit::Paste(text))),
        6 => (prop::sample::select(motions), any::<bool>()).prop_map(|(motion, select)| Act::Edit(Edit::Move { motion, select })),
        5 => prop::sample::select(plain).prop_map(Act::Edit),
        1 => any_text().prop_map(Act::Replace),
        1 => ("[ab ]{0,2}", any::<bool>()).prop_map(|(pattern, forward)| Act::Find(pattern, forward)),
        2 => (0..14_u16, 0..8_u16, any::<bool>()).prop_map(|(x, y, extend)| Act::Click(x, y, extend)),
        1 => (-3..4).prop_map(Act::Scroll),
        1 => (0..14_u16, 0..8_u16).prop_map(|(width, height)| Act::Draw(width, height)),
    ]
}

/// The text as a list of clusters, between which the caret and the other end of the selection stand.
struct Model {
    before: Vec<String>,
    selected: Vec<String>,
    after: Vec<String>,
}

impl Model {
    fn of(editor: &Editor) -> Model {
        let caret = editor.selection.caret;
        let range = editor.selected_range().unwrap_or(caret..caret);
        let clusters = |range: Range<Place>| editor.text.slice(range).graphemes(true).map(str::to_owned).collect();
        Model {
            before: clusters(Place::default()..range.start),
            selected: clusters(range.clone()),
            after: clusters(range.end..editor.text.end()),
        }
    }

    fn apply(&mut self, edit: &Edit) {
        let selected = std::mem::take(&mut self.selected);
        match edit {
            Edit::Insert(c) => self.before.push(if *c == '\r' { "\n".into() } else { c.to_string() }),
            Edit::Newline => self.before.push("\n".into()),
            Edit::Paste(text) => self.before.push(text.replace("\r\n", "\n").replace('\r', "\n")),
            Edit::Backspace if selected.is_empty() => _ = self.before.pop(),
            Edit::Delete if selected.is_empty() && !self.after.is_empty() => _ = self.after.remove(0),
            Edit::Backspace | Edit::Delete | Edit::Cut => {}
            _ => self.selected = selected,
        }
    }

    fn text(&self) -> String {
        [self.before.concat(), self.selected.concat(), self.after.concat()].concat()
    }
}

proptest! {
    #[test]
    fn random_edits_agree_with_a_list_of_clusters(first in any_text(), acts in prop::collection::vec(any_act(), 0..40)) {
        let mut editor = Editor::new(&first);
        let first = editor.text();
        editor.rule(Some(Rule { at: 3, label: "here".into() }));
        editor.decorate(vec![Decoration { range: 1..5, kind: Kind::Context }]);
        let area = Rect::new(1, 1, 14, 8);
        let mut buffer = Buffer::empty(area);
        for act in acts {
            let (mut model, revision, text) = (Model::of(&editor), editor.revision(), editor.text());
            let mut expected = None;
            match act {
                Act::Edit(edit) => {
                    model.apply(&edit);
                    use Edit::*;
                    let modelled = matches!(edit, Insert(_) | Newline | Paste(_) | Backspace | Delete | Cut | Move { .. });
                    expected = modelled.then(|| model.text());
                    let changed = editor.apply(edit);
                    prop_assert!(changed || editor.text() == text);
                }
                Act::Replace(with) => {
                    editor.replace_text(&with);
                    expected = Some(with.replace("\r\n", "\n").replace('\r', "\n"));
                }
                Act::Find(pattern, forward) => _ = editor.find(&pattern, forward),
                Act::Click(x, y, extend) => editor.click(Position { x, y }, extend),
                Act::Scroll(rows) => editor.scroll(rows),
                Act::Draw(width, height) => {
                    let part = Rect { width, height, ..area };
                    editor.render(part, &mut buffer, &Look::default(), true);
                    prop_assert!(editor.caret().is_none_or(|at| part.contains(at)));
                }
            }
            if let Some(expected) = expected {
                prop_assert_eq!(editor.text(), expected);
            }
            prop_assert!(revision != editor.revision() || text == editor.text());
            for place in [Some(editor.selection.caret), editor.selection.anchor].into_iter().flatten() {
                prop_assert_eq!(editor.text.snap(place), place);
            }
            prop_assert!(!editor.text().contains('\r'));
            let acts_on_terminal = |c: char| c.is_control() || c == '\u{202e}';
            prop_assert!(!buffer.content.iter().any(|cell| cell.symbol().contains(acts_on_terminal)));
        }
        while editor.apply(Edit::Redo) {}
        let last = editor.text();
        while editor.apply(Edit::Undo) {}
        prop_assert_eq!(editor.text(), first);
        while editor.apply(Edit::Redo) {}
        prop_assert_eq!(editor.text(), last);
    }
}
