//! Characters that a reader does not see, or that act on what shows them; the report and the terminal put the same marks in their place.

use std::fmt::Write;

/// Whether `c`, in this grapheme cluster, must not be shown as it is: controls, directional controls, and characters without a look of
/// their own. Joiners and variation selectors are parts of what is seen, and so are the tags that spell the flags of England, Scotland
/// and Wales.
pub fn is_hidden(c: char, cluster: &str) -> bool {
    let alone = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}');
    let ranges = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}');
    let tag = matches!(c, '\u{e0000}'..='\u{e007f}') && !cluster.starts_with('\u{1f3f4}');
    c.is_control() || alone || ranges || tag
}

/// Writes the mark that stands for `c`: `␛`, `⟨U+202E⟩`.
pub fn push_mark(out: &mut String, c: char) {
    match c {
        '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
        '\x7f' => out.push('\u{2421}'),
        // Writing to a string does not fail.
        _ => _ = write!(out, "⟨U+{:04X}⟩", c as u32),
    }
}
