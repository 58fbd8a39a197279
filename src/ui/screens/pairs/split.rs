//! Cutting an opening: the essay, and the places where it can be parted.

use crate::pairs::{Pair, splits};
use crate::ui::editor::{Decoration, Editor, Kind, Rule};

use super::entry::words;

/// How much of the continuation is in sight below the line, in characters.
const AHEAD: usize = 400;

/// An essay with the split line in it.
#[derive(Debug)]
pub struct Cutting {
    pub essay: Box<Pair>,
    pub editor: Editor,
    places: Vec<usize>,
    at: usize,
}

impl Cutting {
    /// None where the essay has one paragraph only. The line begins a third of the way down.
    pub fn new(essay: &Pair) -> Option<Cutting> {
        let essay = Pair { response: essay.response.replace("\r\n", "\n").replace('\r', "\n"), ..essay.clone() };
        let places = splits(&essay.response);
        let third = essay.response.chars().count() / 3;
        let at = places.iter().position(|place| *place >= third).unwrap_or(places.len().checked_sub(1)?);
        let mut cutting = Cutting { editor: Editor::new(&essay.response), essay: Box::new(essay), places, at };
        cutting.mark(false);
        Some(cutting)
    }

    /// In characters of the response.
    pub fn place(&self) -> usize {
        self.places[self.at]
    }

    pub fn step(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.places.len() - 1);
        self.mark(by < 0);
    }

    /// In words: the opening, and its continuation.
    pub fn sizes(&self) -> (usize, usize) {
        let text = &self.essay.response;
        let at = text.char_indices().nth(self.place()).map_or(text.len(), |(at, _)| at);
        (words(&text[..at]), words(&text[at..]))
    }

    fn mark(&mut self, from_below: bool) {
        let place = self.place();
        let before: String = self.essay.response.chars().take(place).collect();
        let end = before.trim_end().chars().count();
        let label = "the opening ends here".into();
        self.editor.rule(Some(Rule { at: end, label }));
        self.editor.decorate(vec![Decoration { range: 0..end, kind: Kind::Context }]);
        // The caret is not drawn. Where it stands is in sight, and so is the line: above it going down, below it going up.
        self.editor.go_to(if from_below { end } else { place + AHEAD });
    }
}
