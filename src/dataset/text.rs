//! The text of a pair as it is trained on, and where its paragraphs end.

use std::ops::Range;

/// The text that a pair's YAML block stands for: line ends are LF, and white space at both ends is dropped (a literal block ends
/// in a line feed which is the file's, not the writer's). Nothing else is touched: no character is replaced, no line re-wrapped.
///
/// Both formats and both sides of a pair go through this, and so does every prompt that is generated from. Otherwise the model
/// would be trained on one context and asked for another.
pub(super) fn clean(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}

/// The range of `text` that the first `end` bytes of `clean(text)` were made of, in characters (Unicode scalar values).
pub(super) fn original(text: &str, end: usize) -> Range<usize> {
    let margin = text.len() - text.trim_start().len();
    let start = text[..margin].chars().count();
    let (mut chars, mut bytes) = (start, 0);
    let mut rest = text[margin..].chars().peekable();
    while bytes < end
        && let Some(c) = rest.next()
    {
        chars += 1;
        // The carriage return of a line end is not in the clean text.
        if c != '\r' || rest.peek() != Some(&'\n') {
            bytes += c.len_utf8();
        }
    }
    start..chars
}

/// Byte offsets of the end of each paragraph of a clean text. Paragraphs are separated by one or more blank lines (lines with
/// nothing but white space); the offset is that of the first character that does not belong to the paragraph.
pub(super) fn paragraph_ends(text: &str) -> Vec<usize> {
    let mut ends = vec![];
    let mut open = None; // the end of the last line that had text, while its paragraph may go on
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            ends.extend(open.take());
        } else {
            open = Some(at + line.trim_end().len());
        }
        at += line.len();
    }
    ends.extend(open);
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_loses_only_its_margins_and_carriage_returns() {
        let check = |input: &str, expected: &str| assert_eq!(clean(input), expected, "{input:?}");
        check("A line.\n", "A line.");
        check("\n\n  A line.  \n\n", "A line.");
        check("One\r\n\r\nTwo\r\n", "One\n\nTwo");
        check("tab\there,  two blanks, a lone \r stays", "tab\there,  two blanks, a lone \r stays");
        check("***\n\n“Quoted”—and so on…\n", "***\n\n“Quoted”—and so on…");
        check(" \n", "");
    }

    #[test]
    fn a_place_in_the_clean_text_is_one_in_the_writers() {
        let check = |text: &str, clean_part: &str, expected: &str| {
            assert!(clean(text).starts_with(clean_part), "{text:?}");
            let range = original(text, clean_part.len());
            assert_eq!(text.chars().skip(range.start).take(range.len()).collect::<String>(), expected, "{text:?}");
        };
        check("One.\n", "One.", "One.");
        check(" \r\n\u{a0}Öne—\r\n\r\nTwo.\r\n", "Öne—", "Öne—");
        check(" \r\n\u{a0}Öne—\r\n\r\nTwo.\r\n", "Öne—\n\nTwo.", "Öne—\r\n\r\nTwo.");
        check("a\rb\r\r\nc", "a\rb\r\nc", "a\rb\r\r\nc");
        check(" x ", "", "");
        check(" \n", "", "");
    }

    #[test]
    fn paragraphs_end_before_blank_lines() {
        let check = |text: &str, expected: &[&str]| {
            let prefixes: Vec<&str> = paragraph_ends(text).into_iter().map(|end| &text[..end]).collect();
            assert_eq!(prefixes, expected, "{text:?}");
        };
        check("", &[]);
        check("One.", &["One."]);
        check("One.\n\nTwo.", &["One.", "One.\n\nTwo."]);
        check("One,\nstill one.\n\n\n\nTwo.", &["One,\nstill one.", "One,\nstill one.\n\n\n\nTwo."]);
        check("One. \n \t\nTwo—é.\n", &["One.", "One. \n \t\nTwo—é."]);
    }
}
