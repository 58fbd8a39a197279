//! The small form and the questions.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use similar::{ChangeTag, TextDiff};

use super::super::dialog::{Dialog, Question};
use super::super::form::{Form, Purpose};
use super::fit;
use crate::ui::keys::{Action, Context};
use crate::ui::prose::{visible, wrap};
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;
use crate::ui::widgets::{Popup, choose};

pub fn form(form: &Form, frame: &mut Frame, area: Rect, shared: &Shared) {
    let theme = &shared.theme;
    let title = match &form.purpose {
        Purpose::New => "A new pair".to_owned(),
        Purpose::Properties(id) => visible(id),
    };
    let popup = Popup { title: &title, width: 62, height: form.fields.len() as u16 * 2 + 1 };
    let inner = popup.render(frame, area, theme);
    // The line with the caret comes last, so that the cursor stays in it.
    let order = (0..form.fields.len()).filter(|i| *i != form.cursor).chain([form.cursor]);
    for i in order {
        let Some(field) = form.fields.get(i) else { continue };
        let y = inner.y + 2 * i as u16;
        if y >= inner.bottom() {
            continue;
        }
        let style = if i == form.cursor { theme.title.patch(theme.accent) } else { theme.faint };
        let mark = if i == form.cursor { "›" } else { " " };
        frame.render_widget(Span::styled(format!("{mark} {:<8}", field.label), style), Rect { y, height: 1, ..inner });
        let line = Rect { x: inner.x + 10.min(inner.width), y, width: inner.width.saturating_sub(10), height: 1 };
        match i == form.cursor {
            true => field.input.view(frame, line, theme, field.placeholder),
            false if field.input.text().is_empty() => frame.render_widget(Span::styled(field.placeholder, theme.faint), line),
            false => frame.render_widget(Span::raw(fit(field.input.text(), usize::from(line.width))), line),
        }
    }
    let last = Rect { y: inner.bottom().saturating_sub(1), height: inner.height.min(1), ..inner };
    let line = match &form.error {
        Some(error) => Line::styled(format!("! {error}"), theme.error),
        None => {
            let key =
                shared.keymap.key_for(Context::Global, Action::NextPane).map_or(String::new(), |key| format!("{key} to the next line"));
            Line::styled(key, theme.faint)
        }
    };
    frame.render_widget(line, last);
}

pub fn question(dialog: &Dialog, frame: &mut Frame, area: Rect, shared: &Shared) {
    let theme = &shared.theme;
    if let Question::Compare { title, old, new, scroll, .. } = &dialog.question {
        return compare(title, old, new, *scroll, frame, area, theme);
    }
    let text: Vec<String> = dialog.question.text().iter().map(|line| visible(line)).collect();
    let answers = dialog.question.answers();
    let options: Vec<&str> = answers.iter().map(|(_, text)| *text).collect();
    choose(frame, area, theme, &visible(&dialog.question.title()), &text, &options, dialog.cursor);
}

/// What differs, with a few lines around it.
fn compare(title: &str, old: &str, new: &str, scroll: usize, frame: &mut Frame, area: Rect, theme: &Theme) {
    let popup = Popup { title: &visible(title), width: area.width.saturating_sub(8).min(110), height: area.height.saturating_sub(4) };
    let inner = popup.render(frame, area, theme);
    let width = usize::from(inner.width).saturating_sub(2).max(1);
    let diff = TextDiff::from_lines(old, new);
    let mut lines: Vec<Line> = vec![];
    for group in diff.grouped_ops(2) {
        if !lines.is_empty() {
            lines.push(Line::styled("  ⋮", theme.faint));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ("− ", theme.cut),
                ChangeTag::Insert => ("+ ", theme.new),
                ChangeTag::Equal => ("  ", theme.faint),
            };
            for (i, line) in wrap(&[((), change.value())], width).into_iter().enumerate() {
                let text: String = line.into_iter().map(|(_, text)| text).collect();
                lines.push(Line::styled(format!("{}{text}", if i == 0 { sign } else { "  " }), style));
            }
        }
    }
    let top = scroll.min(lines.len().saturating_sub(usize::from(inner.height)));
    frame.render_widget(Paragraph::new(lines.split_off(top)), inner);
}
