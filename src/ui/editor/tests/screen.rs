use ratatui::style::{Modifier, Style};

use super::*;

/// What the rows show, without the spaces at their ends.
fn rows(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let row = |y: u16| {
        let mut skip = 0;
        let mut out = String::new();
        for x in area.left()..area.right() {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            out.push_str(symbol);
        }
        out.trim_end().to_owned()
    };
    (area.top()..area.bottom()).map(row).collect()
}

/// Where a style is, as one character a cell.
fn styled(buffer: &Buffer, modifier: Modifier) -> Vec<String> {
    let area = buffer.area;
    let cell = |x: u16, y: u16| if buffer[(x, y)].modifier.contains(modifier) { '#' } else { '.' };
    (area.top()..area.bottom()).map(|y| (area.left()..area.right()).map(|x| cell(x, y)).collect()).collect()
}

#[test]
fn text_is_wrapped_and_the_caret_stands_in_it() {
    let check = |text: &str, width: u16, expected: &[&str], caret: (u16, u16)| {
        let editor = editor(text);
        let buffer = draw(&editor, width, expected.len() as u16);
        assert_eq!(rows(&buffer), expected, "{text:?}");
        assert_eq!(editor.caret(), Some(Position::from(caret)), "{text:?}");
    };
    check("|", 5, &["", ""], (0, 0));
    check("\n\n|\n", 5, &["", "", "", ""], (0, 2));
    check("one two |three", 8, &["one two", "three"], (0, 1));
    check("one two| three", 8, &["one two", "three"], (7, 0));
    check("駅で待った|。", 7, &["駅で待", "った。"], (4, 1));
    check("a👨\u{200d}👩\u{200d}👧|b🇫🇷 e\u{301}", 6, &["a👨\u{200d}👩\u{200d}👧b", "🇫🇷 e\u{301}"], (3, 0));
    check("a\x1b|(31m", 8, &["a␛(31m"], (2, 0));
    check("a\u{202e}|b", 20, &["a⟨U+202E⟩b"], (9, 0));
    check("a\t|b", 9, &["a   b"], (4, 0));
    check("ab|c", 1, &["a", "b", "c"], (0, 2));
    check("駅|駅", 1, &["…", "…"], (0, 1));
    check("one      |", 5, &["one"], (4, 0));
}

#[test]
fn no_room_is_no_error() {
    for (width, height) in [(0, 0), (0, 5), (5, 0), (1, 1), (2, 1)] {
        for text in ["|", "\n\n|", "|a\u{202e}駅\tb\n\n👨\u{200d}👩\u{200d}👧"] {
            let mut editor = editor(text);
            editor.rule(Some(Rule { at: 1, label: "GPT-2 stops reading here".into() }));
            draw(&editor, width, height);
            assert_eq!(editor.caret().is_some(), width > 0 && height > 0);
            for motion in [Motion::Down, Motion::PageDown, Motion::RowEnd, Motion::PageUp] {
                editor.apply(go(motion));
            }
            editor.click(Position { x: 9, y: 9 }, true);
            editor.scroll(-3);
            draw(&editor, width, height);
        }
    }
    // An area that sticks out of the buffer is drawn as far as the buffer goes.
    let mut buffer = Buffer::empty(Rect::new(0, 0, 3, 1));
    editor("|one two").render(Rect::new(1, 0, 9, 9), &mut buffer, &Look::default(), true);
    assert_eq!(rows(&buffer), [" o"]);
}

#[test]
fn without_focus_there_is_no_caret() {
    let editor = editor("|a");
    let area = Rect::new(0, 0, 3, 1);
    editor.render(area, &mut Buffer::empty(area), &Look::default(), false);
    assert_eq!(editor.caret(), None);
}

#[test]
fn selection_and_hits_are_shown() {
    let mut editor = editor("one [two\n\nth|ree");
    assert_eq!(styled(&draw(&editor, 6, 4), Modifier::REVERSED), ["......", "####..", "#.....", "##...."]);
    editor.apply(Edit::SelectNone);
    editor.find("t", true);
    let buffer = draw(&editor, 6, 4);
    assert_eq!(styled(&buffer, Modifier::BOLD), ["......", "#.....", "......", "#....."]);
    assert_eq!(styled(&buffer, Modifier::REVERSED), ["......", "#.....", "......", "......"]);
    editor.clear_find();
    assert_eq!(styled(&draw(&editor, 6, 4), Modifier::BOLD), ["......"; 4]);
}

#[test]
fn decorations_follow_the_text() {
    let mut editor = editor("|one\n駅 two");
    editor.decorate(vec![Decoration { range: 2..5, kind: Kind::Context }, Decoration { range: 4..8, kind: Kind::Problem }]);
    let buffer = draw(&editor, 8, 2);
    assert_eq!(styled(&buffer, Modifier::DIM), ["..#.....", "##......"]);
    assert_eq!(styled(&buffer, Modifier::UNDERLINED), ["........", "#####..."]);
    editor.apply(Edit::Insert('x'));
    assert_eq!(styled(&draw(&editor, 8, 2), Modifier::DIM), ["...#....", "##......"]);
    editor.apply(Edit::Undo);
    assert_eq!(styled(&draw(&editor, 8, 2), Modifier::DIM), ["..#.....", "##......"]);
}

#[test]
fn the_rule_takes_a_blank_line_or_the_edge() {
    let check = |text: &str, at: usize, width: u16, expected: &[&str]| {
        let mut editor = editor(text);
        let plain = rows(&draw(&editor, width, expected.len() as u16));
        editor.rule(Some(Rule { at, label: "cut\x1b".into() }));
        let buffer = draw(&editor, width, expected.len() as u16);
        assert_eq!(rows(&buffer), expected, "{text:?} at {at}");
        // The text's own rows are where they were.
        for (plain, ruled) in plain.iter().zip(rows(&buffer)) {
            assert!(ruled.starts_with(plain.as_str()), "{plain:?} {ruled:?}");
        }
    };
    check("|one\n\ntwo", 3, 12, &["one", "╌╌ cut␛ ╌╌╌╌", "two"]);
    check("|one\n\ntwo", 4, 12, &["one", "╌╌ cut␛ ╌╌╌╌", "two"]);
    check("|one\n\ntwo", 5, 12, &["one", "╌╌ cut␛ ╌╌╌╌", "two"]);
    check("|one\n\ntwo", 3, 6, &["one", "╌╌ cut", "two"]);
    check("|one\ntwo", 3, 20, &["one       ╌╌ cut␛ ╌╌", "two"]);
    check("|one two three", 14, 8, &["one two", "three  ╌"]);
    check("|one", 99, 4, &["one╌"]);
    let mut editor = editor("|a\n\nb");
    editor.rule(Some(Rule { at: 1, label: "cut".into() }));
    editor.apply(Edit::Newline);
    assert_eq!(rows(&draw(&editor, 9, 4)), ["", "a", "╌╌ cut ╌╌", "b"]);
}

#[test]
fn the_view_follows_the_caret_and_scrolls_without_it() {
    let mut editor = editor("|1\n2\n3\n4\n5\n6");
    draw(&editor, 5, 3);
    assert_eq!(editor.scroll_state(), Scroll { first: 0, visible: 3, rows: 6 });
    editor.apply(go(Motion::Bottom));
    assert_eq!(rows(&draw(&editor, 5, 3)), ["4", "5", "6"]);
    editor.scroll(-99);
    assert_eq!(rows(&draw(&editor, 5, 3)), ["1", "2", "3"]);
    assert_eq!((editor.caret(), marked(&editor).as_str()), (None, "1\n2\n3\n4\n5\n6|"));
    editor.apply(Edit::Insert('x'));
    assert_eq!(rows(&draw(&editor, 5, 3)), ["4", "5", "6x"]);
    editor.scroll(99);
    assert_eq!(editor.scroll_state().first, 3);
}

#[test]
fn a_resize_keeps_the_row_on_top() {
    let mut editor = editor("|one two three four five six seven eight nine ten");
    draw(&editor, 11, 2);
    editor.scroll(2);
    assert_eq!(rows(&draw(&editor, 11, 2)), ["five six", "seven"]);
    assert_eq!(rows(&draw(&editor, 6, 2)), ["five", "six"]);
}

#[test]
fn a_shrinking_pane_keeps_the_caret_in_sight() {
    let editor = editor("1\n2\n3\n4|");
    draw(&editor, 5, 4);
    assert_eq!(rows(&draw(&editor, 5, 2)), ["3", "4"]);
    assert_eq!(editor.caret(), Some(Position { x: 1, y: 1 }));
}

#[test]
fn the_mouse_points_at_clusters() {
    let mut editor = editor("|one 駅\u{202e} two\nthree");
    draw(&editor, 14, 3);
    let mut check = |x: u16, y: u16, expected: &str| {
        editor.click(Position { x, y }, false);
        assert_eq!(marked(&editor), expected.replace('~', "\u{202e}"), "{x}, {y}");
    };
    check(1, 0, "o|ne 駅~ two\nthree");
    check(5, 0, "one |駅~ two\nthree");
    check(11, 0, "one 駅|~ two\nthree");
    check(1, 1, "one 駅|~ two\nthree");
    check(6, 1, "one 駅~| two\nthree");
    check(99, 2, "one 駅~ two\nthree|");
    check(0, 99, "one 駅~ two\nthree|");
    editor.double_click(Position { x: 2, y: 2 });
    assert_eq!(editor.selected().unwrap(), "three");
    editor.click(Position { x: 1, y: 2 }, false);
    editor.drag(Position { x: 3, y: 2 });
    assert_eq!(editor.selected().unwrap(), "hr");
    editor.drag(Position { x: 0, y: 0 });
    assert_eq!(editor.selected().unwrap(), "one 駅\u{202e} two\nt");
}

#[test]
fn the_look_is_the_callers() {
    let editor = editor("|a\u{200b}");
    let area = Rect::new(0, 0, 12, 1);
    let mut buffer = Buffer::empty(area);
    let look = Look { text: Style::new().red().on_blue(), mark: Style::new().green(), ..Look::default() };
    editor.render(area, &mut buffer, &look, true);
    let colours: Vec<_> = [0, 1, 11].iter().map(|x| (buffer[(*x, 0)].fg, buffer[(*x, 0)].bg)).collect();
    use ratatui::style::Color::{Blue, Green, Red};
    assert_eq!(colours, [(Red, Blue), (Green, Blue), (Red, Blue)]);
}
