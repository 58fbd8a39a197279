//! The list of prompts.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::cut;
use crate::config::Temperature;
use crate::review::verdict::Reading;
use crate::ui::prose::{self, visible};
use crate::ui::screens::review::shelf::{Kind, Prompt, Shelf};
use crate::ui::screens::review::{Focus, Review};
use crate::ui::theme::Theme;
use crate::ui::widgets::{pane, window};

/// A row of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Head(Kind),
    Space,
    Prompt(usize),
}

impl Review {
    /// The prompt in a row of the list that is drawn into `list`.
    pub(in crate::ui::screens::review) fn prompt_at(&self, list: Rect, y: u16) -> Option<usize> {
        let rows = self.rows();
        let shown = self.shown_rows(&rows, list.height.saturating_sub(1));
        let row = usize::from(y.checked_sub(list.y + 1)?);
        match rows.get(shown.start + row).filter(|_| shown.start + row < shown.end)? {
            Row::Prompt(prompt) => Some(*prompt),
            Row::Head(_) | Row::Space => None,
        }
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![];
        let mut last = None;
        for (at, prompt) in self.prompts().enumerate() {
            if last != Some(prompt.kind) {
                if last.is_some() {
                    rows.push(Row::Space);
                }
                rows.push(Row::Head(prompt.kind));
                last = Some(prompt.kind);
            }
            rows.push(Row::Prompt(at));
        }
        rows
    }

    fn shown_rows(&self, rows: &[Row], height: u16) -> std::ops::Range<usize> {
        let cursor = rows.iter().position(|row| *row == Row::Prompt(self.cursor)).unwrap_or(0);
        window(cursor, rows.len(), usize::from(height))
    }

    pub(super) fn draw_list(&self, frame: &mut Frame, area: Rect, shelf: &Shelf, theme: &Theme) {
        let is_focused = self.focus == Focus::Prompts;
        let inner = pane(frame, area, theme, "Prompts", "read", is_focused);
        let rows = self.rows();
        let width = usize::from(inner.width);
        let lines = rows[self.shown_rows(&rows, inner.height)].iter().map(|row| match row {
            Row::Space => Line::raw(""),
            Row::Head(kind) => Line::styled(
                match kind {
                    Kind::Canary => "Canaries",
                    Kind::HeldOut => "Held-out pairs",
                    Kind::Free => "Your own",
                },
                theme.faint,
            ),
            Row::Prompt(at) => {
                let prompt = &shelf.prompts[*at];
                let samples = prompt.samples(self.temperature(shelf));
                let read = match samples {
                    0 => "–".to_owned(),
                    n => format!("{}/{n}", judged(shelf, prompt, self.temperature(shelf))),
                };
                let name = match prompt.kind {
                    Kind::Canary => format!("{}  {}", prompt.name, prompt.about),
                    Kind::HeldOut | Kind::Free => visible(&prompt.name),
                };
                let name = cut(&name, width.saturating_sub(4 + prose::width(&read)));
                let pad = width.saturating_sub(3 + prose::width(&name) + prose::width(&read));
                let is_here = *at == self.cursor;
                let mark = if is_here { " ▸ " } else { "   " };
                let style = match (is_here, is_focused) {
                    (true, true) => theme.cursor,
                    (true, false) => theme.cursor_elsewhere,
                    (false, _) => theme.text,
                };
                let count = if is_here { style } else { theme.faint };
                Line::from(vec![Span::raw(format!("{mark}{name}{}", " ".repeat(pad))), Span::styled(read, count)]).style(style)
            }
        });
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
    }
}

/// Standing verdicts on a prompt's samples at a temperature.
fn judged(shelf: &Shelf, prompt: &Prompt, temperature: Temperature) -> usize {
    let is_at = |reading: &Reading| reading.prompt == prompt.id && reading.is_at(temperature, shelf.temperature);
    let is_ours = |reading: &Reading| is_at(reading) && reading.arms().any(|arm| shelf.arm_of(arm).is_some());
    let samples = shelf.verdicts.verdicts.iter().filter(|verdict| is_ours(&verdict.reading));
    let mut samples: Vec<usize> = samples.filter_map(|verdict| verdict.reading.shown.first().map(|shown| shown.sample)).collect();
    samples.sort_unstable();
    samples.dedup();
    samples.len().min(prompt.samples(temperature))
}
