//! A box over the screen, and a question in one.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph, Wrap};

use crate::ui::theme::Theme;

/// The inner size wanted; less is taken where the screen is smaller.
#[derive(Debug, Clone, Copy)]
pub struct Popup<'t> {
    pub title: &'t str,
    pub width: u16,
    pub height: u16,
}

impl Popup<'_> {
    /// Clears the middle of `area`, draws the frame, and returns what is inside.
    pub fn render(&self, frame: &mut Frame, area: Rect, theme: &Theme) -> Rect {
        let outer =
            area.centered(Constraint::Length((self.width + 4).min(area.width)), Constraint::Length((self.height + 2).min(area.height)));
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(theme.border_focused)
            .padding(Padding::horizontal(1))
            .title(Line::styled(format!(" {} ", self.title), theme.title));
        let inner = block.inner(outer);
        frame.render_widget(Clear, outer);
        frame.render_widget(block, outer);
        inner
    }
}

/// A question: its reasons, and the answers with a cursor.
pub fn choose(frame: &mut Frame, area: Rect, theme: &Theme, title: &str, text: &[String], options: &[&str], cursor: usize) {
    let longest = text.iter().map(String::as_str).chain(options.iter().copied()).map(|t| Line::raw(t).width()).max().unwrap_or(0);
    let width = (longest as u16 + 4).clamp(30, 76).min(area.width.saturating_sub(4));
    let body = Paragraph::new(text.iter().map(|line| Line::raw(line.clone())).collect::<Vec<_>>()).wrap(Wrap { trim: false });
    let body_height = if text.is_empty() {
        0
    } else {
        text.iter().map(|t| Line::raw(t).width().div_ceil(width.max(1) as usize).max(1)).sum::<usize>() as u16
    };
    let gap = u16::from(body_height > 0);
    let inner = Popup { title, width, height: body_height + gap + options.len() as u16 }.render(frame, area, theme);
    frame.render_widget(body, Rect { height: body_height.min(inner.height), ..inner });
    let below = (body_height + gap).min(inner.height);
    let rows = options.iter().enumerate().map(|(i, option)| {
        let (mark, style) = if i == cursor { ("› ", theme.cursor) } else { ("  ", theme.text) };
        Line::raw(format!("{mark}{option:<pad$}", pad = inner.width.saturating_sub(2) as usize)).style(style)
    });
    frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), Rect { y: inner.y + below, height: inner.height - below, ..inner });
}
