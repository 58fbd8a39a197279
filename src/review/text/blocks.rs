//! Paragraphs and, inside them, the units that no sentence crosses: list items, lines of verse, headings, the rest of a paragraph.

use std::ops::Range;

use super::ParagraphKind;

/// A paragraph before it is cut into sentences.
#[derive(Debug)]
pub struct Block {
    pub kind: ParagraphKind,
    pub units: Vec<Unit>,
}

/// Lines that are read as one run of text, each without its indent, quote and list marks.
#[derive(Debug)]
pub struct Unit {
    lines: Vec<Range<usize>>,
}

/// The longest line that may still be verse, in scalar values.
const VERSE_WIDTH: usize = 60;

/// Cuts a text into paragraphs.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut reader = Reader::default();
    for line in lines(text) {
        reader.line(text, line);
    }
    reader.flush(text);
    reader.blocks
}

impl Unit {
    /// The bytes it covers.
    pub fn range(&self) -> Range<usize> {
        self.lines[0].start..self.lines[self.lines.len() - 1].end
    }

    /// Its text with what stands between its lines turned to spaces, byte for byte, so that places in it are places in the text.
    pub fn prose(&self, text: &str) -> String {
        let mut out = String::with_capacity(self.range().len());
        let mut at = self.range().start;
        for line in &self.lines {
            out.extend(std::iter::repeat_n(' ', line.start - at));
            out.push_str(&text[line.clone()]);
            at = line.end;
        }
        out
    }

    /// A range of [`Unit::prose`] as a range of the text.
    pub fn shift(&self, range: Range<usize>) -> Range<usize> {
        let start = self.range().start;
        start + range.start..start + range.end
    }
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    units: Vec<Unit>,
    /// The last unit is a list item.
    in_list: bool,
    /// The last line ended in two spaces or a backslash: Markdown's hard break.
    hard_break: bool,
}

impl Reader {
    fn line(&mut self, text: &str, line: Range<usize>) {
        let content = unquoted(text, &line);
        let body = &text[content.clone()];
        if body.is_empty() || is_rule(body) {
            self.flush(text);
            return;
        }
        if let Some(title) = heading(body) {
            self.flush(text);
            let range = content.start + title.start..content.start + title.end;
            if !range.is_empty() {
                self.blocks.push(Block { kind: ParagraphKind::Heading, units: vec![Unit { lines: vec![range] }] });
            }
            return;
        }
        let marker = list_marker(body, self.units.is_empty() || self.in_list);
        let starts_unit = marker.is_some() || self.units.is_empty() || self.hard_break || body.starts_with(['|', '—', '–']);
        let start = content.start + marker.unwrap_or(0);
        self.hard_break = text[line].ends_with("  ") || body.ends_with('\\');
        let end = if body.ends_with('\\') { content.end - 1 } else { content.end };
        let range = start.min(end)..end;
        match self.units.last_mut() {
            Some(unit) if !starts_unit => unit.lines.push(range),
            _ => {
                self.in_list = marker.is_some();
                self.units.push(Unit { lines: vec![range] });
            }
        }
    }

    fn flush(&mut self, text: &str) {
        let units: Vec<Unit> = std::mem::take(&mut self.units).into_iter().flat_map(|unit| verse(text, unit)).collect();
        if !units.is_empty() {
            self.blocks.push(Block { kind: ParagraphKind::Prose, units });
        }
        self.in_list = false;
        self.hard_break = false;
    }
}

/// Lines without their terminators: LF, CRLF, a lone CR, and those of Unicode. A paragraph separator (U+2029) gives an empty line of its own.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = Some(0);
    let mut blank = None;
    std::iter::from_fn(move || {
        if let Some(at) = blank.take() {
            return Some(at..at);
        }
        let from = start?;
        let found = text[from..].char_indices().find(|(_, c)| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'));
        let Some((length, terminator)) = found else {
            start = None;
            return Some(from..text.len());
        };
        let end = from + length;
        start = Some(end + if text[end..].starts_with("\r\n") { 2 } else { terminator.len_utf8() });
        blank = (terminator == '\u{2029}').then_some(end);
        Some(from..end)
    })
}

/// The line without indent, trailing white space and the marks of block quotes.
fn unquoted(text: &str, line: &Range<usize>) -> Range<usize> {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let mut rest = text[line.clone()].trim_start_matches(blank);
    while let Some(inner) = rest.strip_prefix('>') {
        rest = inner.trim_start_matches(blank);
    }
    let start = line.end - rest.len();
    start..start + rest.trim_end_matches(blank).len()
}

/// `***`, `* * *`, `---`, `===`, `⁂` and the like: a break, not a sentence.
fn is_rule(body: &str) -> bool {
    let marks: Vec<char> = body.chars().filter(|c| !c.is_whitespace()).collect();
    let same = marks.iter().all(|&c| c == marks[0]);
    same && (matches!(marks[0], '⁂' | '⁕' | '❦') || marks.len() >= 3 && matches!(marks[0], '*' | '-' | '_' | '=' | '~' | '·' | '•' | '`'))
}

/// The title in `## Title ##`, as a range of `body`.
fn heading(body: &str) -> Option<Range<usize>> {
    let title = body.trim_start_matches('#');
    let level = body.len() - title.len();
    if !(1..=6).contains(&level) || !(title.is_empty() || title.starts_with([' ', '\t'])) {
        return None;
    }
    let inner = title.trim_start();
    let start = body.len() - inner.len();
    Some(start..start + inner.trim_end_matches('#').trim_end().len())
}

/// The length of a list mark with the white space after it. A number may only start a list, or go on with one, so that a wrapped line which
/// happens to begin with `30. ` stays prose.
fn list_marker(body: &str, may_number: bool) -> Option<usize> {
    let first = body.chars().next()?;
    let mark = if matches!(first, '-' | '*' | '+' | '•' | '◦' | '▪' | '‣') {
        first.len_utf8()
    } else {
        let digits = body.len() - body.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let letter = usize::from(digits == 0 && first.is_ascii_lowercase() && body[1..].starts_with(')'));
        let numbered = (1..=3).contains(&digits) && (may_number || body.starts_with("1."));
        match body[digits + letter..].chars().next() {
            Some('.') if numbered => digits + 1,
            Some(')') if numbered || letter == 1 => digits + letter + 1,
            _ => return None,
        }
    };
    let rest = &body[mark..];
    let inner = rest.trim_start();
    (inner.len() < rest.len() && !inner.is_empty()).then(|| body.len() - inner.len())
}

/// Splits a unit into its lines where they read as verse: several short lines, each opening with a capital.
fn verse(text: &str, unit: Unit) -> Vec<Unit> {
    let is_verse = unit.lines.len() > 1
        && unit.lines.iter().all(|line| {
            let body = &text[line.clone()];
            let opens = body.chars().find(|c| c.is_alphanumeric()).is_some_and(char::is_uppercase);
            opens && body.chars().count() <= VERSE_WIDTH
        });
    if is_verse { unit.lines.into_iter().map(|line| Unit { lines: vec![line] }).collect() } else { vec![unit] }
}
