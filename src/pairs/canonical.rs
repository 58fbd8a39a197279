//! A pair as YAML text: the one form in which it is saved, which any YAML 1.1 or 1.2 reader reads back exactly.

use super::Pair;

/// The pair's file: keys in their fixed order, prose as literal blocks, no line re-wrapped.
pub fn to_yaml(pair: &Pair) -> String {
    let Pair { id: _, tier, source, prompt, response, status, split, notes } = pair;
    [
        format!("tier: {}\n", u8::from(*tier)),
        format!("source: {}", scalar(source)),
        format!("prompt: {}", prose(prompt)),
        format!("response: {}", prose(response)),
        format!("status: {}\n", status.word()),
        format!("split: {}\n", split.word()),
        format!("notes: {}", note(notes)),
    ]
    .concat()
}

const INDENT: &str = "  ";

/// A text as a value, with its line end: a literal block where that can carry it exactly, else double-quoted.
fn prose(text: &str) -> String {
    match text.is_empty() || !text.chars().all(fits_a_block) {
        true => quoted(text),
        false => block(text),
    }
}

/// A note of one line stays on the line of its key.
fn note(text: &str) -> String {
    if text.contains('\n') { prose(text) } else { quoted(text) }
}

/// A literal block. serde-saphyr's `LitStr` writes the same but for one case: it gives an indentation indicator before leading
/// blanks only, and libyaml refuses a block without one whose first line starts with a tab.
fn block(text: &str) -> String {
    let content = text.trim_end_matches('\n');
    let line_ends = text.len() - content.len();
    let first_line = content.split('\n').find(|line| !line.is_empty()).unwrap_or_default();
    let indicator = if first_line.starts_with([' ', '\t']) { "2" } else { "" };
    let chomping = match line_ends {
        0 => "-",
        // Clipping, the default, drops every line end of a block that has nothing else.
        1 if !content.is_empty() => "",
        _ => "+",
    };
    let mut out = format!("|{indicator}{chomping}\n");
    for line in content.split('\n') {
        // Blank lines stay blank: blanks on them would be noise in every diff.
        if !line.is_empty() {
            out.push_str(INDENT);
            out.push_str(line);
        }
        out.push('\n');
    }
    // The content's last line carries one line end already; a block of nothing but line ends carries it in its one empty line.
    out.push_str(&"\n".repeat(line_ends.saturating_sub(1)));
    out
}

/// Whether a character survives in a literal block in every reader. CR, NEL, U+2028 and U+2029 are line breaks to YAML 1.1 and
/// folded into LF; a BOM may be dropped; the other control characters and non-characters are not allowed unescaped.
fn fits_a_block(c: char) -> bool {
    !matches!(c,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// A short text on one line: plain where no reader takes it for something else (`no`, `1:30`), else double-quoted.
fn scalar(text: &str) -> String {
    // Blocks are for prose; a long source's name stays on its line.
    let options = serde_yaml::ser_options! { prefer_block_scalars: false };
    // Serialising a `str` into a `String` has no way to fail: no I/O, no custom `Serialize`, and valid options.
    serde_yaml::to_string_with_options(&text, options).expect("a str serialises")
}

pub(super) fn quoted(text: &str) -> String {
    // As above.
    serde_yaml::to_string(&serde_yaml::DoubleQuoted(text)).expect("a str serialises")
}
