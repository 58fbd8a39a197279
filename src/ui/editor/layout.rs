//! Soft wrap: which row and column each place of the text has at a width. A change wraps only the lines that it touched.

use unicode_segmentation::UnicodeSegmentation;

use super::text::Place;
use crate::ui::prose::{Glyph, glyph};

/// A row of the pane: the bytes of a line that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub line: usize,
    pub start: usize,
    pub end: usize,
    /// The line ends here.
    pub last: bool,
}

#[derive(Debug)]
pub struct Layout {
    width: usize,
    lines: Vec<Wrapped>,
    /// The first row of each line.
    first: Vec<usize>,
    rows: usize,
}

#[derive(Debug)]
struct Wrapped {
    /// Kept to tell which lines have changed.
    text: String,
    /// Where each of its rows ends, in bytes; at least one.
    ends: Vec<usize>,
}

/// A place as the pane shows it: the end of a wrapped row and the start of the next are the same place of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    pub place: Place,
    /// At the end of its row, not at the start of the next.
    pub at_row_end: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { width: 80, lines: Vec::new(), first: Vec::new(), rows: 0 }
    }
}

impl Layout {
    /// Brings the rows up to date with the text.
    pub fn update(&mut self, lines: &[String], width: usize) {
        let width = width.max(1);
        if self.width != width {
            self.width = width;
            self.lines.clear();
        }
        let same = |(wrapped, line): &(&Wrapped, &String)| wrapped.text == **line;
        let head = self.lines.iter().zip(lines).take_while(same).count();
        let (old, new) = (&self.lines[head..], &lines[head..]);
        let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
        if old.len() == tail && new.len() == tail && !self.first.is_empty() {
            return;
        }
        let wrapped = new[..new.len() - tail].iter().map(|line| Wrapped { text: line.clone(), ends: wrap(line, width) });
        let changed = head..self.lines.len() - tail;
        self.lines.splice(changed, wrapped);
        self.rows = 0;
        self.first.clear();
        for line in &self.lines {
            self.first.push(self.rows);
            self.rows += line.ends.len();
        }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// How many there are; at least one once a text was given.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The row at an index, or the last.
    pub fn row(&self, index: usize) -> Row {
        let index = index.min(self.rows.saturating_sub(1));
        let line = self.first.partition_point(|first| *first <= index).saturating_sub(1);
        let Some(wrapped) = self.lines.get(line) else { return Row { line: 0, start: 0, end: 0, last: true } };
        let nth = index - self.first[line];
        let start = if nth == 0 { 0 } else { wrapped.ends[nth - 1] };
        Row { line, start, end: wrapped.ends[nth], last: nth + 1 == wrapped.ends.len() }
    }

    /// The index of the row that shows a spot.
    pub fn row_of(&self, spot: Spot) -> usize {
        let Place { line, byte } = spot.place;
        let Some(wrapped) = self.lines.get(line) else { return 0 };
        let past = wrapped.ends.partition_point(|end| if spot.at_row_end { *end < byte } else { *end <= byte });
        self.first[line] + past.min(wrapped.ends.len() - 1)
    }

    /// The column of a place in a row that shows it.
    pub fn column(&self, row: Row, place: Place) -> usize {
        cells(self.text(row)).take_while(|cell| row.start + cell.start < place.byte).map(|cell| cell.glyph.width).sum()
    }

    /// The spot nearest to a column of a row.
    pub fn spot(&self, index: usize, column: usize) -> Spot {
        let row = self.row(index);
        let shown = self.text(row);
        let within = cells(shown).find(|cell| column < cell.column + cell.glyph.width).map(|cell| {
            // A mark is wide enough to have two sides.
            let past = cell.glyph.mark && (column - cell.column) * 2 >= cell.glyph.width;
            cell.start + if past { cell.cluster.len() } else { 0 }
        });
        let end = self.row_end(index);
        match within.map(|byte| row.start + byte) {
            Some(byte) if byte < end.place.byte => Spot { place: Place { line: row.line, byte }, at_row_end: false },
            _ => end,
        }
    }

    pub fn row_start(&self, index: usize) -> Spot {
        let row = self.row(index);
        Spot { place: Place { line: row.line, byte: row.start }, at_row_end: false }
    }

    /// Before the white space that a wrapped row ends with, or at the end of the line.
    pub fn row_end(&self, index: usize) -> Spot {
        let row = self.row(index);
        let shown = self.text(row);
        let written = if row.last { shown } else { shown.trim_end() };
        // A row of white space alone has no words to stop after.
        let byte = row.start + if written.is_empty() { shown.len() } else { written.len() };
        Spot { place: Place { line: row.line, byte }, at_row_end: !row.last && byte == row.end }
    }

    fn text(&self, row: Row) -> &str {
        self.lines.get(row.line).map_or("", |line| &line.text[row.start..row.end])
    }
}

/// A grapheme cluster in a row.
pub struct Cell<'a> {
    /// In bytes from the start of the row's text.
    pub start: usize,
    pub cluster: &'a str,
    pub column: usize,
    pub glyph: Glyph<'a>,
}

/// The clusters of a row's text, each with its column.
pub fn cells(row: &str) -> impl Iterator<Item = Cell<'_>> {
    let mut column = 0;
    row.grapheme_indices(true).map(move |(start, cluster)| {
        let glyph = glyph(cluster, column);
        let cell = Cell { start, cluster, column, glyph };
        column += cell.glyph.width;
        cell
    })
}

/// What the wrapping asks of a cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    /// Takes two columns, as the characters of East Asian scripts do: a row may end on either side.
    Wide,
    /// Does not begin a row.
    Closing,
    /// Does not end a row.
    Opening,
    /// A row may end after it, between letters.
    Hyphen,
    Letter,
    Other,
}

/// Where the rows of a line end. White space at the end of a row hangs over the edge. A cluster wider than a row has one for itself.
fn wrap(line: &str, width: usize) -> Vec<usize> {
    // A line that is short in bytes is not longer in columns, but for tabs and marks.
    if line.len() <= width && line.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return vec![line.len()];
    }
    let mut ends = Vec::new();
    let mut start = 0;
    while start < line.len() {
        start += row_length(&line[start..], width);
        ends.push(start);
    }
    if ends.is_empty() {
        ends.push(0);
    }
    ends
}

/// How many bytes of `rest`, which is not empty, go into the next row.
fn row_length(rest: &str, width: usize) -> usize {
    let mut may_end = None;
    let mut before = [Class::Other; 2];
    for cell in cells(rest) {
        let class = class(&cell);
        if class != Class::Space {
            if cell.start > 0 && may_end_between(before, class) {
                may_end = Some(cell.start);
            }
            if cell.start > 0 && cell.column + cell.glyph.width > width {
                return may_end.unwrap_or(cell.start);
            }
        }
        before = [before[1], class];
    }
    rest.len()
}

fn may_end_between([last_but_one, last]: [Class; 2], next: Class) -> bool {
    match (last, next) {
        (Class::Space, _) => true,
        (Class::Opening, _) | (_, Class::Closing | Class::Space) => false,
        (Class::Wide, _) | (_, Class::Wide) => true,
        (Class::Hyphen, Class::Letter) => last_but_one == Class::Letter,
        _ => false,
    }
}

fn class(cell: &Cell) -> Class {
    let Some(first) = cell.cluster.chars().next() else { return Class::Other };
    match first {
        '\u{a0}' | '\u{202f}' => Class::Other,
        _ if cell.glyph.mark => Class::Other,
        _ if first.is_whitespace() => Class::Space,
        '、' | '。' | '，' | '．' | '」' | '』' | '）' | '〉' | '》' | '】' | '！' | '？' | '：' | '；' | '・' | 'ー' | '”' | '’' | ')'
        | ']' | ',' | '.' | '!' | '?' | ':' | ';' => Class::Closing,
        '「' | '『' | '（' | '〈' | '《' | '【' | '“' | '‘' | '(' | '[' => Class::Opening,
        '-' | '\u{2010}' | '–' | '—' => Class::Hyphen,
        _ if cell.glyph.width > 1 => Class::Wide,
        _ if first.is_alphanumeric() => Class::Letter,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_a_reader_expects_it() {
        let check = |line: &str, width: usize, expected: &[&str]| {
            let mut start = 0;
            let rows: Vec<&str> = wrap(line, width).into_iter().map(|end| &line[std::mem::replace(&mut start, end)..end]).collect();
            assert_eq!(rows, expected, "{line:?} in {width}");
        };
        check("", 5, &[""]);
        check("one two three", 7, &["one two ", "three"]);
        check("one     two", 5, &["one     ", "two"]);
        check("one two", 3, &["one ", "two"]);
        check("     ", 3, &["     "]);
        check("unbreakable", 4, &["unbr", "eaka", "ble"]);
        check("a unbreakable", 4, &["a ", "unbr", "eaka", "ble"]);
        check("駅で待った。", 6, &["駅で待", "った。"]);
        check("駅で待た。", 8, &["駅で待", "た。"]);
        check("ab駅で", 4, &["ab駅", "で"]);
        check("駅", 1, &["駅"]);
        check("👨\u{200d}👩\u{200d}👧👨\u{200d}👩\u{200d}👧", 3, &["👨\u{200d}👩\u{200d}👧", "👨\u{200d}👩\u{200d}👧"]);
        check("e\u{301}e\u{301}e\u{301}", 2, &["e\u{301}e\u{301}", "e\u{301}"]);
        check("well-known -5", 7, &["well-", "known ", "-5"]);
        check("so—then", 4, &["so—", "then"]);
        check("10\u{a0}km far", 6, &["10\u{a0}km ", "far"]);
        check("a \u{202e} b", 9, &["a ", "\u{202e} ", "b"]);
        check("\tx", 4, &["\t", "x"]);
    }

    #[test]
    fn only_what_changed_is_wrapped_again() {
        let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
        let mut layout = Layout::default();
        for text in ["a\nb\nc", "a\nc", "a\nb b\nc\nc", "c", "", "\n", "c\nc\nc", "c\nc"] {
            for width in [3, 1] {
                layout.update(&lines(text), width);
                let mut fresh = Layout::default();
                fresh.update(&lines(text), width);
                assert_eq!(format!("{layout:?}"), format!("{fresh:?}"));
            }
        }
    }

    #[test]
    fn spots_and_columns_belong_together() {
        let mut layout = Layout::default();
        layout.update(&["one two three".into(), "駅で待つ".into()], 7);
        let check = |row: usize, column: usize, line: usize, byte: usize, at_row_end: bool| {
            assert_eq!(layout.spot(row, column), Spot { place: Place { line, byte }, at_row_end }, "row {row}, column {column}");
        };
        check(0, 4, 0, 4, false);
        check(0, 7, 0, 7, false);
        check(0, 30, 0, 7, false);
        check(1, 2, 0, 10, false);
        check(1, 30, 0, 13, false);
        check(2, 3, 1, 3, false);
        check(2, 6, 1, 9, true);
        check(3, 9, 1, 12, false);
        assert_eq!(layout.row_of(layout.row_end(2)), 2);
        assert_eq!(layout.row_of(Spot { at_row_end: false, ..layout.row_end(2) }), 3);
        assert_eq!(layout.column(layout.row(2), Place { line: 1, byte: 6 }), 4);
    }
}
