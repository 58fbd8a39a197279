//! What a grapheme cluster looks like in the terminal: itself, or a visible mark where it would act on the terminal or not be seen.

use std::borrow::Cow;
use std::fmt::Write;

use ratatui::buffer::CellWidth;
use unicode_segmentation::UnicodeSegmentation;

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
    // The flags of England, Scotland and Wales are spelt with tags, which are invisible anywhere else.
    let unsafe_here = |c: char| c.is_control() || unseen(c) || (tag(c) && !cluster.starts_with('\u{1f3f4}'));
    let width = if cluster.contains(unsafe_here) { 0 } else { usize::from(cluster.cell_width()) };
    if width > 0 {
        return Glyph { text: cluster.into(), width, mark: false };
    }
    let mut text = String::new();
    for c in cluster.chars() {
        match c {
            '\0'..='\x1f' => text.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            '\x7f' => text.push('\u{2421}'),
            // Writing to a string does not fail.
            _ => _ = write!(text, "⟨U+{:04X}⟩", c as u32),
        }
    }
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

/// Directional controls, and characters without a look of their own. Joiners and variation selectors inside a cluster are not among them.
fn unseen(c: char) -> bool {
    let alone = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}');
    alone || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
}

fn tag(c: char) -> bool {
    matches!(c, '\u{e0000}'..='\u{e007f}')
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
}
