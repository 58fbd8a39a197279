//! The prompt and the response of one pair in their editors.

use ratatui::layout::Rect;

use crate::pairs::Pair;
use crate::ui::editor::Editor;

#[derive(Debug)]
pub struct Texts {
    id: String,
    pub prompt: Editor,
    pub response: Editor,
    pub side: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    #[default]
    Prompt,
    Response,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Prompt => Side::Response,
            Side::Response => Side::Prompt,
        }
    }
}

impl Texts {
    pub fn of(pair: &Pair, side: Side) -> Texts {
        Texts { id: pair.id.clone(), prompt: Editor::new(&pair.prompt), response: Editor::new(&pair.response), side }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn rename(&mut self, id: &str) {
        self.id = id.to_owned();
    }

    pub fn at(&self, side: Side) -> &Editor {
        match side {
            Side::Prompt => &self.prompt,
            Side::Response => &self.response,
        }
    }

    pub fn at_mut(&mut self, side: Side) -> &mut Editor {
        match side {
            Side::Prompt => &mut self.prompt,
            Side::Response => &mut self.response,
        }
    }

    /// The one with the caret.
    pub fn editor(&mut self) -> &mut Editor {
        self.at_mut(self.side)
    }

    /// Whether there is something to undo or redo.
    pub fn has_history(&self) -> bool {
        self.prompt.revision() + self.response.revision() > 0
    }

    /// Takes over what was made of the texts elsewhere, each in one step that can be undone.
    pub fn follow(&mut self, pair: &Pair) {
        for (editor, text) in [(&mut self.prompt, &pair.prompt), (&mut self.response, &pair.response)] {
            if editor.text() != *text {
                editor.replace_text(text);
            }
        }
    }
}

/// Prose is hard to read in longer lines.
const WIDEST: u16 = 100;

/// Where the prose of a pane stands in it.
pub fn prose_area(pane: Rect) -> Rect {
    let margin = u16::from(pane.width > 30);
    let width = pane.width.saturating_sub(2 * margin).min(WIDEST);
    Rect { x: pane.x + margin, width, ..pane }
}
