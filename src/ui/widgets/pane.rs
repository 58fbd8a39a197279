//! The frame of a pane: a rule with its title above, and nothing else, so that prose has the room.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders};

use crate::ui::theme::Theme;

/// Draws the pane's frame and returns what is inside. `right` is a short note at the right end of the rule.
pub fn pane(frame: &mut Frame, area: Rect, theme: &Theme, title: &str, right: &str, is_focused: bool) -> Rect {
    let (rule, name) = match is_focused {
        true => (theme.border_focused, theme.title.patch(theme.accent)),
        // The rule's colour would show through.
        false => (theme.border, theme.title.fg(Color::Reset)),
    };
    let mut block = Block::new().borders(Borders::TOP).border_style(rule).title(Line::from(vec![
        Span::styled(if is_focused { "━ " } else { "─ " }, rule),
        Span::styled(title.to_owned(), name),
        Span::raw(" "),
    ]));
    if !right.is_empty() {
        block = block.title(Line::from(Span::styled(format!(" {right} "), theme.faint)).right_aligned());
    }
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}
