//! JSON as commands print it: one line, and nothing in it acts on a terminal. What does is escaped, as JSON allows for any character, so
//! whoever parses it has the texts as they are.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use crate::review::hidden::is_hidden;

/// The value as one line, with its line feed.
pub fn line(value: &impl Serialize) -> Result<String> {
    let mut bytes = vec![];
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Escaping)).context("what is to be printed cannot be written as JSON")?;
    bytes.push(b'\n');
    String::from_utf8(bytes).context("what is to be printed is no text")
}

struct Escaping;

impl Formatter for Escaping {
    /// A piece of a string without quotes, backslashes and the controls that JSON itself escapes.
    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| acts(*c)) {
            CompactFormatter.write_string_fragment(out, &rest[..at])?;
            c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?;
            rest = &rest[at + c.len_utf8()..];
        }
        CompactFormatter.write_string_fragment(out, rest)
    }
}

/// What a reader is shown a mark for, and joiners: here they are on their own.
fn acts(c: char) -> bool {
    is_hidden(c, "") || matches!(c, '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_and_nothing_else() {
        let check = |text: &str, expected: &str| assert_eq!(line(&text).unwrap(), format!("{expected}\n"));
        check("She said \"no\", 駅 👨🏽.", r#""She said \"no\", 駅 👨🏽.""#);
        check("\u{1b}[2J\u{9b}2J\u{7f}", r#""\u001b[2J\u009b2J\u007f""#);
        check("a\u{202e}b\u{2066}", r#""a\u202eb\u2066""#);
        check("\u{e0041}", r#""\udb40\udc41""#);
    }

    proptest! {
        #[test]
        fn the_text_is_as_it_was(text in any::<String>()) {
            let line = line(&text).unwrap();
            prop_assert!(!line.trim_end_matches('\n').contains(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
