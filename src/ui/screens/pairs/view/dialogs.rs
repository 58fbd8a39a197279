//! The small form and the questions.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use similar::{ChangeTag, DiffTag, TextDiff};

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
        for op in &group {
            if op.tag() == DiffTag::Replace && op.old_range().len() == op.new_range().len() {
                for (old, new) in op.old_range().zip(op.new_range()) {
                    let (old, new) = (diff.old_slice(old).unwrap_or(""), diff.new_slice(new).unwrap_or(""));
                    push_words(&mut lines, old, new, width, theme);
                }
                continue;
            }
            for change in diff.iter_changes(op) {
                push(&mut lines, change.tag(), &[(change.tag(), change.value())], width, theme);
            }
        }
    }
    let top = scroll.min(lines.len().saturating_sub(usize::from(inner.height)));
    frame.render_widget(Paragraph::new(lines.split_off(top)), inner);
}

/// A paragraph that was changed, with what went and what came inside.
fn push_words(lines: &mut Vec<Line<'static>>, old: &str, new: &str, width: usize, theme: &Theme) {
    let diff = TextDiff::from_words(old, new);
    let words: Vec<(ChangeTag, &str)> = diff.iter_all_changes().map(|change| (change.tag(), change.value())).collect();
    let mut spaced = vec![];
    // Struck-through and new words would stick together where neither has a blank.
    for (i, (tag, word)) in words.iter().enumerate() {
        if i > 0 && words[i - 1].0 != *tag && !word.starts_with(char::is_whitespace) && !words[i - 1].1.ends_with(char::is_whitespace) {
            spaced.push((ChangeTag::Equal, " "));
        }
        spaced.push((*tag, *word));
    }
    let shown = wrap(&spaced, width);
    for (i, line) in shown.into_iter().enumerate() {
        let mut spans = vec![Span::styled(if i == 0 { "~ " } else { "  " }, theme.reworded)];
        spans.extend(line.into_iter().map(|(tag, text)| Span::styled(text, ink(tag, theme.text, theme))));
        lines.push(Line::from(spans));
    }
}

fn push(lines: &mut Vec<Line<'static>>, tag: ChangeTag, text: &[(ChangeTag, &str)], width: usize, theme: &Theme) {
    let sign = match tag {
        ChangeTag::Delete => "− ",
        ChangeTag::Insert => "+ ",
        ChangeTag::Equal => "  ",
    };
    let style = ink(tag, theme.faint, theme);
    for (i, line) in wrap(text, width).into_iter().enumerate() {
        let text: String = line.into_iter().map(|(_, text)| text).collect();
        lines.push(Line::from(vec![Span::styled(if i == 0 { sign } else { "  " }, theme.faint), Span::styled(text, style)]));
    }
}

fn ink(tag: ChangeTag, equal: Style, theme: &Theme) -> Style {
    match tag {
        ChangeTag::Delete => theme.cut,
        ChangeTag::Insert => theme.new,
        ChangeTag::Equal => equal,
    }
}
