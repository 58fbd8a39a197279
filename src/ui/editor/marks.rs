//! What the caller lays over the text, and the styles that the pane is drawn in.

use std::ops::Range;

use ratatui::style::{Modifier, Style};

use super::text::Swap;

/// A stretch of the text, in characters, that is drawn in its own way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoration {
    pub range: Range<usize>,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The model reads it and is not trained on it.
    Context,
    /// The model never sees it.
    CutOff,
    /// Something is wrong with it.
    Problem,
}

/// A horizontal line with a label, drawn into the blank line next to a place, or at the right edge where there is none. No row moves for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// In characters from the start of the text.
    pub at: usize,
    pub label: String,
}

/// The styles of the pane. `text` is laid down first, the others are patched over it in the order given here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub text: Style,
    /// The marks that stand for characters which cannot be shown.
    pub mark: Style,
    pub context: Style,
    pub cut_off: Style,
    pub problem: Style,
    pub rule: Style,
    /// What a search found.
    pub found: Style,
    pub selection: Style,
}

impl Default for Look {
    /// Without a colour: it stays readable under `NO_COLOR` and on any background.
    fn default() -> Self {
        let with = |modifier: Modifier| Style::new().add_modifier(modifier);
        Self {
            text: Style::new(),
            mark: with(Modifier::BOLD),
            context: with(Modifier::DIM),
            cut_off: with(Modifier::DIM | Modifier::ITALIC),
            problem: with(Modifier::UNDERLINED),
            rule: with(Modifier::DIM),
            found: with(Modifier::BOLD | Modifier::UNDERLINED),
            selection: with(Modifier::REVERSED),
        }
    }
}

impl Look {
    pub(super) fn of(&self, kind: Kind) -> Style {
        match kind {
            Kind::Context => self.context,
            Kind::CutOff => self.cut_off,
            Kind::Problem => self.problem,
        }
    }
}

/// Moves what lies over the text along with it, until the caller has looked at the new text.
pub(super) fn follow(decorations: &mut Vec<Decoration>, rule: &mut Option<Rule>, swap: Swap) {
    for decoration in decorations.iter_mut() {
        decoration.range = swap.shift(decoration.range.start)..swap.shift(decoration.range.end);
    }
    decorations.retain(|decoration| !decoration.range.is_empty());
    if let Some(rule) = rule {
        rule.at = swap.shift(rule.at);
    }
}
