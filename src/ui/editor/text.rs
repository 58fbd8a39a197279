//! The text under the editor, by lines, and its low-level history: a wrapper of `tui-textarea`, which keeps both. Places here are lines and bytes that
//! lie between grapheme clusters; the crate counts in characters, and its wrapping and drawing, which measure by character too, are not used.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use tui_textarea::{CursorMove, TextArea};
use unicode_segmentation::GraphemeCursor;

/// A line of the text and a byte in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    pub line: usize,
    pub byte: usize,
}

/// What a change did to the offsets of the text, all counted in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swap {
    pub at: usize,
    pub removed: usize,
    pub inserted: usize,
}

impl Swap {
    /// Where the character that stood at `offset` is after the change; what was inside the removed part goes to the end of the new one.
    pub fn shift(self, offset: usize) -> usize {
        if offset <= self.at { offset } else { offset.saturating_sub(self.removed).max(self.at) + self.inserted }
    }

    pub fn inverse(self) -> Swap {
        Swap { at: self.at, removed: self.inserted, inserted: self.removed }
    }
}

#[derive(Debug)]
pub struct Text {
    area: TextArea<'static>,
}

/// The text with every kind of line end as a line feed.
pub fn normalised(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(text) }
}

impl Text {
    /// `text` is normalised.
    pub fn new(text: &str) -> Self {
        let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        area.set_max_histories(usize::MAX);
        Self { area }
    }

    /// At least one.
    pub fn lines(&self) -> &[String] {
        self.area.lines()
    }

    pub fn line(&self, line: usize) -> &str {
        self.lines().get(line).map_or("", String::as_str)
    }

    pub fn end(&self) -> Place {
        let line = self.lines().len() - 1;
        Place { line, byte: self.line(line).len() }
    }

    pub fn is(&self, text: &str) -> bool {
        self.lines().iter().map(String::as_str).eq(text.split('\n'))
    }

    pub fn slice(&self, range: Range<Place>) -> String {
        let Range { start, end } = range;
        if start.line == end.line {
            return self.line(start.line)[start.byte..end.byte].to_owned();
        }
        let mut out = self.line(start.line)[start.byte..].to_owned();
        for line in start.line + 1..end.line {
            out.push('\n');
            out.push_str(self.line(line));
        }
        out.push('\n');
        out.push_str(&self.line(end.line)[..end.byte]);
        out
    }

    /// How many characters stand before `place`.
    pub fn offset(&self, place: Place) -> usize {
        let before: usize = self.lines()[..place.line].iter().map(|line| line.chars().count() + 1).sum();
        before + self.line(place.line)[..place.byte].chars().count()
    }

    /// The place after `offset` characters, or the end of a shorter text.
    pub fn place(&self, offset: usize) -> Place {
        let mut left = offset;
        for (line, text) in self.lines().iter().enumerate() {
            let length = text.chars().count();
            if left <= length {
                let byte = text.char_indices().nth(left).map_or(text.len(), |(byte, _)| byte);
                return Place { line, byte };
            }
            left -= length + 1;
        }
        self.end()
    }

    /// The first place at or after `place` that lies between grapheme clusters.
    pub fn snap(&self, place: Place) -> Place {
        let line = self.line(place.line);
        let mut cursor = GraphemeCursor::new(place.byte, line.len(), true);
        if cursor.is_boundary(line, 0).unwrap_or(true) {
            return place;
        }
        let byte = cursor.next_boundary(line, 0).ok().flatten().unwrap_or(line.len());
        Place { line: place.line, byte }
    }

    /// Puts `with`, which is normalised, in the place of `range`. Gives what it did to the offsets, and how many entries it put into the history.
    pub fn splice(&mut self, range: Range<Place>, with: &str) -> (Swap, usize) {
        let removed = self.slice(range.clone()).chars().count();
        let swap = Swap { at: self.offset(range.start), removed, inserted: with.chars().count() };
        let column = self.line(range.start.line)[..range.start.byte].chars().count();
        let (Ok(row), Ok(column)) = (u16::try_from(range.start.line), u16::try_from(column)) else {
            return (swap, self.replace_all(range, with));
        };
        self.area.move_cursor(CursorMove::Jump(row, column));
        let mut entries = usize::from(removed > 0 && self.area.delete_str(removed));
        let mut characters = with.chars();
        match (characters.next(), characters.next()) {
            (None, _) => {}
            (Some(one), None) => {
                self.area.insert_char(one);
                entries += 1;
            }
            (Some(_), Some(_)) => entries += usize::from(self.area.insert_str(with)),
        }
        (swap, entries)
    }

    /// The crate's caret cannot be sent past row or column 65,535. Out there a change replaces the text as a whole.
    fn replace_all(&mut self, range: Range<Place>, with: &str) -> usize {
        let (top, end) = (Place::default(), self.end());
        let whole = [&self.slice(top..range.start), with, &self.slice(range.end..end)].concat();
        self.area.move_cursor(CursorMove::Jump(0, 0));
        let removed = usize::from(self.area.delete_str(self.offset(end)));
        removed + usize::from(!whole.is_empty() && self.area.insert_str(&whole))
    }

    pub fn undo(&mut self, entries: usize) {
        for _ in 0..entries {
            self.area.undo();
        }
    }

    pub fn redo(&mut self, entries: usize) {
        for _ in 0..entries {
            self.area.redo();
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.lines().iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "\n" })?;
            f.write_str(line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_past_what_the_crate_can_count_are_changes_all_the_same() {
        let long = "x".repeat(70_000);
        let mut text = Text::new(&long);
        let at = Place { line: 0, byte: 69_000 };
        let (swap, entries) = text.splice(at..Place { line: 0, byte: 69_010 }, "yé\nz");
        assert_eq!(swap, Swap { at: 69_000, removed: 10, inserted: 4 });
        assert!(text.is(&["x".repeat(69_000).as_str(), "yé\nz", &"x".repeat(990)].concat()));
        text.undo(entries);
        assert!(text.is(&long));
        text.redo(entries);
        assert_eq!(text.lines().len(), 2);
    }

    #[test]
    fn offsets_follow_a_change() {
        let swap = Swap { at: 5, removed: 3, inserted: 1 };
        let check = |offset: usize, expected: usize| assert_eq!(swap.shift(offset), expected, "{offset}");
        check(4, 4);
        check(5, 5);
        check(6, 6);
        check(8, 6);
        check(9, 7);
    }
}
