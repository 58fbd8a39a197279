//! A few lines of text with a caret: the prose editor in a small pane, with its keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use crate::ui::editor::{Edit, Editor, Look, Motion};
use crate::ui::keys::{Action, Chord};
use crate::ui::theme::Theme;

#[derive(Debug)]
pub struct TextInput(Editor);

impl TextInput {
    /// With the caret behind the text.
    pub fn new(text: &str) -> TextInput {
        let mut editor = Editor::new(text);
        editor.apply(Edit::Move { motion: Motion::Bottom, select: false });
        TextInput(editor)
    }

    pub fn text(&self) -> String {
        self.0.text()
    }

    /// Takes over what another editor made of it.
    pub fn replace(&mut self, text: &str) {
        self.0.replace_text(text);
    }

    /// Actions that are no edits are passed over. `clipboard` is what pasting inserts.
    pub fn act(&mut self, action: Action, clipboard: &str) {
        match action {
            Action::Paste => self.paste(clipboard),
            action => _ = edit_of(action).map(|edit| self.0.apply(edit)),
        }
    }

    pub fn on_key(&mut self, chord: Chord) {
        if let Some(c) = chord.typed() {
            self.0.apply(Edit::Insert(c));
        }
    }

    pub fn paste(&mut self, text: &str) {
        self.0.apply(Edit::Paste(text.to_owned()));
    }

    pub fn view(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        self.0.render(area, frame.buffer_mut(), &look(theme), true);
        if let Some(at) = self.0.caret() {
            frame.set_cursor_position(at);
        }
    }
}

/// How the editor's marks look in a theme.
pub fn look(theme: &Theme) -> Look {
    Look {
        text: theme.text,
        mark: theme.warning.add_modifier(Modifier::BOLD),
        context: theme.context,
        cut_off: theme.cut_off,
        problem: theme.warning.add_modifier(Modifier::UNDERLINED),
        rule: theme.warning,
        found: theme.hit,
        selection: theme.selection,
    }
}

/// What an action does in the prose editor; `None` where it is none of its edits.
pub fn edit_of(action: Action) -> Option<Edit> {
    let step = |motion| Edit::Move { motion, select: false };
    let select = |motion| Edit::Move { motion, select: true };
    Some(match action {
        Action::Undo => Edit::Undo,
        Action::Redo => Edit::Redo,
        Action::SelectAll => Edit::SelectAll,
        Action::NewLine => Edit::Newline,
        Action::DeleteBack => Edit::Backspace,
        Action::DeleteForward => Edit::Delete,
        Action::DeleteWordBack => Edit::DeleteWordBack,
        Action::DeleteWordForward => Edit::DeleteWordForward,
        Action::DeleteToEnd => Edit::DeleteToLineEnd,
        Action::MoveLeft => step(Motion::Left),
        Action::MoveRight => step(Motion::Right),
        Action::MoveUp => step(Motion::Up),
        Action::MoveDown => step(Motion::Down),
        Action::MoveWordLeft => step(Motion::WordLeft),
        Action::MoveWordRight => step(Motion::WordRight),
        Action::MoveParagraphUp => step(Motion::ParagraphBack),
        Action::MoveParagraphDown => step(Motion::ParagraphForward),
        Action::MoveLineStart => step(Motion::RowStart),
        Action::MoveLineEnd => step(Motion::RowEnd),
        Action::MovePageUp => step(Motion::PageUp),
        Action::MovePageDown => step(Motion::PageDown),
        Action::MoveTop => step(Motion::Top),
        Action::MoveBottom => step(Motion::Bottom),
        Action::SelectLeft => select(Motion::Left),
        Action::SelectRight => select(Motion::Right),
        Action::SelectUp => select(Motion::Up),
        Action::SelectDown => select(Motion::Down),
        Action::SelectWordLeft => select(Motion::WordLeft),
        Action::SelectWordRight => select(Motion::WordRight),
        Action::SelectLineStart => select(Motion::RowStart),
        Action::SelectLineEnd => select(Motion::RowEnd),
        _ => return None,
    })
}
