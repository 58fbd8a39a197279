//! Text for the terminal: nothing in it can act on the terminal, and it is wrapped by what its characters take up there.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::glyph::visible;

/// A line of stretches, each with how it is drawn.
pub type Line<T> = Vec<(T, String)>;

/// The columns a text takes up.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Breaks a text into lines of at most `columns` columns: at spaces, between wide characters, and inside words longer than a line. A cluster wider than a
/// line stands alone on one. Gives at least one line.
pub fn wrap<T: Copy + PartialEq>(text: &[(T, &str)], columns: usize) -> Vec<Line<T>> {
    let mut filler = Filler { columns, lines: Vec::new(), line: Vec::new(), used: 0, word: Vec::new(), word_used: 0, space: None };
    for (ink, stretch) in text {
        for cluster in visible(stretch).graphemes(true) {
            filler.cluster(*ink, cluster);
        }
    }
    filler.end_word();
    filler.lines.push(filler.line);
    filler.lines
}

/// The text filled up with spaces to this many columns, or cut where they end, with a mark.
pub fn fitted(text: &str, columns: usize) -> String {
    let mut shown = if width(text) <= columns { text.to_owned() } else { cut(text, columns) };
    shown.push_str(&" ".repeat(columns.saturating_sub(width(&shown))));
    shown
}

fn cut(text: &str, columns: usize) -> String {
    let (mut shown, mut used) = (String::new(), 1);
    for cluster in text.graphemes(true) {
        used += cluster.width();
        if used > columns {
            break;
        }
        shown.push_str(cluster);
    }
    if columns > 0 { shown + "…" } else { shown }
}

struct Filler<T> {
    columns: usize,
    lines: Vec<Line<T>>,
    line: Line<T>,
    used: usize,
    /// The word being read: it moves to the next line as a whole.
    word: Line<T>,
    word_used: usize,
    /// A space is owed before the next word, drawn like this.
    space: Option<T>,
}

impl<T: Copy + PartialEq> Filler<T> {
    fn cluster(&mut self, ink: T, cluster: &str) {
        if cluster.chars().all(char::is_whitespace) && cluster != "\u{a0}" {
            self.end_word();
            self.space = (self.used > 0).then_some(ink);
            return;
        }
        let width = cluster.width();
        let wide = width > 1;
        if wide && self.word_used > 0 || self.word_used + width > self.columns {
            self.end_word();
        }
        push(&mut self.word, ink, cluster);
        self.word_used += width;
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let gap = usize::from(self.space.is_some());
        if self.used > 0 && self.used + gap + self.word_used > self.columns {
            self.lines.push(std::mem::take(&mut self.line));
            self.used = 0;
        } else if let Some(ink) = self.space {
            push(&mut self.line, ink, " ");
            self.used += 1;
        }
        self.space = None;
        for (ink, text) in self.word.drain(..) {
            push(&mut self.line, ink, &text);
        }
        self.used += std::mem::take(&mut self.word_used);
    }
}

fn push<T: PartialEq>(line: &mut Line<T>, ink: T, text: &str) {
    match line.last_mut() {
        Some((last, run)) if *last == ink => run.push_str(text),
        _ => line.push((ink, text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Ink {
        Plain,
        Cut,
        New,
    }

    #[test]
    fn wraps_by_columns() {
        let check = |text: &str, columns: usize, expected: &[&str]| {
            let lines = wrap(&[(Ink::Plain, text)], columns);
            let plain: Vec<String> = lines.iter().map(|line| line.iter().map(|(_, t)| t.as_str()).collect()).collect();
            assert_eq!(plain, expected, "{text:?} in {columns}");
        };
        check("", 10, &[""]);
        check("one two three", 7, &["one two", "three"]);
        check("one  two\nthree", 20, &["one two three"]);
        check("unbreakable", 4, &["unbr", "eaka", "ble"]);
        check("a unbreakable", 4, &["a", "unbr", "eaka", "ble"]);
        check("駅で待った。", 6, &["駅で待", "った。"]);
        check("e\u{301}e\u{301} e\u{301}", 2, &["e\u{301}e\u{301}", "e\u{301}"]);
        check("👨‍👩‍👧 👨‍👩‍👧", 3, &["👨‍👩‍👧", "👨‍👩‍👧"]);
        check("10\u{a0}km far", 6, &["10\u{a0}km", "far"]);
    }

    #[test]
    fn texts_are_fitted_to_columns() {
        let check = |text: &str, columns: usize, expected: &str| assert_eq!(fitted(text, columns), expected, "{text:?} in {columns}");
        check("thumb", 7, "thumb  ");
        check("thumb", 5, "thumb");
        check("two words", 6, "two w…");
        check("駅で待った", 6, "駅で… ");
        check("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…");
        check("thumb", 0, "");
    }

    #[test]
    fn stretches_keep_their_ink() {
        let lines = wrap(&[(Ink::Plain, "the "), (Ink::Cut, "old"), (Ink::New, "new"), (Ink::Plain, " house")], 10);
        let expected: Vec<Line<Ink>> =
            vec![vec![(Ink::Plain, "the ".into()), (Ink::Cut, "old".into()), (Ink::New, "new".into())], vec![(Ink::Plain, "house".into())]];
        assert_eq!(lines, expected);
    }

    #[test]
    fn nothing_acts_on_the_terminal() {
        assert_eq!(visible("a\x1b[31mb\u{202e}c\u{9b}d\x7f\u{200b}"), "a␛[31mb⟨U+202E⟩c⟨U+009B⟩d␡⟨U+200B⟩");
        assert_eq!(visible("a\r\n\tb"), "a   b");
    }

    proptest::proptest! {
        #[test]
        fn lines_fit_and_hold_every_word(text in "[a-c駅é ]{0,60}", columns in 2..12_usize) {
            let lines = wrap(&[(Ink::Plain, &text)], columns);
            let plain: Vec<String> = lines.iter().map(|line| line.iter().map(|(_, t)| t.as_str()).collect()).collect();
            proptest::prop_assert!(plain.iter().all(|line| width(line) <= columns), "{plain:?}");
            let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(letters(&plain.concat()), letters(&text));
        }
    }
}
