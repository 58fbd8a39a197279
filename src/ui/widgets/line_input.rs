//! One line of text with a caret: filters, names, comments.

use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Span;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::ui::keys::Chord;
use crate::ui::prose::visible;
use crate::ui::theme::Theme;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineInput {
    text: String,
    /// In bytes, at a boundary between grapheme clusters.
    caret: usize,
}

impl LineInput {
    /// With the caret behind the text.
    pub fn new(text: &str) -> LineInput {
        let mut input = LineInput::default();
        input.insert(text);
        input
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line ends and tabs become blanks.
    pub fn insert(&mut self, text: &str) {
        let line: String = text.replace("\r\n", " ").replace(['\r', '\n', '\t'], " ");
        self.text.insert_str(self.caret, &line);
        self.caret += line.len();
    }

    /// Whether the text has changed. Keys that mean nothing here are passed over.
    pub fn on_key(&mut self, chord: Chord) -> bool {
        let before = self.text.len();
        let by_word = chord.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match (chord.code, by_word) {
            (KeyCode::Char(c), false) => self.insert(c.encode_utf8(&mut [0; 4])),
            (KeyCode::Backspace, false) => self.delete(self.previous()..self.caret),
            (KeyCode::Backspace, true) | (KeyCode::Char('w'), true) => self.delete(self.word_start()..self.caret),
            (KeyCode::Char('u'), true) => self.delete(0..self.caret),
            (KeyCode::Delete, _) => self.delete(self.caret..self.next()),
            (KeyCode::Left, false) => self.caret = self.previous(),
            (KeyCode::Right, false) => self.caret = self.next(),
            (KeyCode::Left, true) => self.caret = self.word_start(),
            (KeyCode::Home, _) => self.caret = 0,
            (KeyCode::End, _) | (KeyCode::Right, true) => self.caret = self.text.len(),
            _ => {}
        }
        self.text.len() != before
    }

    /// Draws the line and puts the terminal's cursor at the caret.
    pub fn view(&self, frame: &mut Frame, area: Rect, theme: &Theme, placeholder: &str) {
        if area.is_empty() {
            return;
        }
        let before = visible(&self.text[..self.caret]);
        let room = area.width.saturating_sub(1) as usize;
        let mut hidden = before.width().saturating_sub(room);
        let all = visible(&self.text);
        let mut shown = all.as_str();
        let mut skipped = 0;
        while skipped < hidden {
            let Some(cluster) = shown.graphemes(true).next() else { break };
            skipped += cluster.width();
            shown = &shown[cluster.len()..];
        }
        hidden = skipped;
        let line = Rect { height: 1, ..area };
        let span = match self.text.is_empty() {
            true => Span::styled(placeholder, theme.faint),
            false => Span::styled(shown, theme.text),
        };
        frame.render_widget(span, line);
        frame.set_cursor_position((line.x + before.width().saturating_sub(hidden) as u16, line.y));
    }

    fn previous(&self) -> usize {
        self.text[..self.caret].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn next(&self) -> usize {
        self.caret + self.text[self.caret..].graphemes(true).next().map_or(0, str::len)
    }

    fn word_start(&self) -> usize {
        let mut words = self.text[..self.caret].unicode_word_indices();
        words.next_back().map_or(0, |(at, _)| at)
    }

    fn delete(&mut self, range: std::ops::Range<usize>) {
        self.caret = range.start;
        self.text.replace_range(range, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_go_by_whole_characters() {
        let check = |text: &str, keys: &[&str], expected: &str| {
            let mut input = LineInput::new(text);
            for key in keys {
                input.on_key(key.parse().unwrap());
            }
            let (before, after) = input.text.split_at(input.caret);
            assert_eq!(format!("{before}|{after}"), expected, "{text:?} {keys:?}");
        };
        check("", &["a", "space", "b"], "a b|");
        check("café 👨‍👩‍👧", &["backspace"], "café |");
        check("cafe\u{301}", &["backspace"], "caf|");
        check("🇩🇪🇫🇷", &["left"], "🇩🇪|🇫🇷");
        check("one two", &["ctrl-w"], "one |");
        check("one two", &["home", "delete", "right"], "n|e two");
        check("one two", &["left", "left", "ctrl-u"], "|wo");
        check("", &["backspace", "delete", "left", "right"], "|");
    }

    #[test]
    fn pasted_lines_become_one() {
        assert_eq!(LineInput::new("a\r\nb\tc").text(), "a b c");
    }
}
