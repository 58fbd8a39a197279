//! What a grapheme cluster looks like in the terminal: itself, or a visible mark where it would act on the terminal or not be seen.

use std::borrow::Cow;

use ratatui::buffer::CellWidth;
use unicode_segmentation::UnicodeSegmentation;

use crate::review::hidden::{is_hidden, push_mark};

const TAB_STOP: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glyph<'a> {
    pub text: Cow<'a, str>,
    /// In columns, at least one.
    pub width: usize,
    /// Stands for something that cannot be shown.
    pub mark: bool,
}

/// `column` is where the cluster starts in its row: a tab reaches to the next stop.
pub fn glyph(cluster: &str, column: usize) -> Glyph<'_> {
    match cluster.as_bytes() {
        [b' '..=b'~'] => return Glyph { text: cluster.into(), width: 1, mark: false },
        b"\t" => {
            let width = TAB_STOP - column % TAB_STOP;
            return Glyph { text: " ".repeat(width).into(), width, mark: false };
        }
        _ => {}
    }
    let width = if cluster.contains(|c| is_hidden(c, cluster)) { 0 } else { usize::from(cluster.cell_width()) };
    if width > 0 {
        return Glyph { text: cluster.into(), width, mark: false };
    }
    let mut text = String::new();
    cluster.chars().for_each(|c| push_mark(&mut text, c));
    let width = text.chars().count();
    Glyph { text: text.into(), width, mark: true }
}

/// The text with every control, bidirectional and invisible character as a visible mark. Line ends and tabs become blanks: they are
/// laid out by the caller, as any white space.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        match cluster {
            "\n" | "\r" | "\t" | "\u{85}" | "\u{2028}" | "\u{2029}" => out.push(' '),
            "\r\n" => out.push_str("  "),
            cluster => out.push_str(&glyph(cluster, 0).text),
        }
    }
    out
}

/// As [`visible`], with line ends and tabs as they are: for what a command prints. A carriage return that ends no line is a mark, for
/// it would let a text write over what stands before it.
pub fn visible_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for cluster in text.graphemes(true) {
        match cluster {
            "\n" | "\r\n" => out.push('\n'),
            "\t" => out.push('\t'),
            cluster => out.push_str(&glyph(cluster, 0).text),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_shown_or_marked() {
        let check = |cluster: &str, text: &str, width: usize| {
            let found = glyph(cluster, 0);
            assert_eq!((found.text.as_ref(), found.width, found.mark), (text, width, text != cluster), "{cluster:?}");
        };
        check("a", "a", 1);
        check("e\u{301}", "e\u{301}", 1);
        check("駅", "駅", 2);
        check("👨\u{200d}👩\u{200d}👧", "👨\u{200d}👩\u{200d}👧", 2);
        check("🏴\u{e0067}\u{e007f}", "🏴\u{e0067}\u{e007f}", 2);
        check("a\u{e0067}", "⟨U+0061⟩⟨U+E0067⟩", 17);
        check("\x1b", "␛", 1);
        check("\x7f", "␡", 1);
        check("\u{9b}", "⟨U+009B⟩", 8);
        check("\u{202e}", "⟨U+202E⟩", 8);
        check("\u{2028}", "⟨U+2028⟩", 8);
        check("\u{301}", "⟨U+0301⟩", 8);
        check("\u{200d}", "⟨U+200D⟩", 8);
        assert_eq!(glyph("\t", 5).text, "   ");
    }

    #[test]
    fn what_a_command_prints_keeps_its_lines_and_nothing_else() {
        assert_eq!(visible_lines("a\x1b[31m\tb\r\nc\u{9b}2J\n\rd\u{202e}\u{85}"), "a␛[31m\tb\nc⟨U+009B⟩2J\n␍d⟨U+202E⟩⟨U+0085⟩");
    }
}
