//! The right side: prompt and response, or the essay that is being cut.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::super::areas::Areas;
use super::super::entry::words;
use super::super::split::Cutting;
use super::super::texts::{Side, prose_area};
use super::super::{Mode, Pairs};
use super::{grouped, nothing, parts};
use crate::dataset::Fit;
use crate::ui::editor::Editor;
use crate::ui::keys::{Action, Context};
use crate::ui::prose::visible;
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;
use crate::ui::widgets::{look, pane};

pub fn view(pairs: &Pairs, frame: &mut Frame, areas: &Areas, shared: &Shared) {
    let theme = &shared.theme;
    let (Some(texts), Some(entry)) = (&pairs.texts, pairs.current()) else {
        return without_texts(pairs, frame, areas.texts, shared);
    };
    if !areas.is_stacked {
        for y in areas.divider.top()..areas.divider.bottom() {
            frame.buffer_mut()[(areas.divider.x, y)].set_char(if y == areas.divider.y { '┬' } else { '│' }).set_style(theme.border);
        }
    }
    let (prompt, response) = parts(entry.pair());
    let focus = pairs.focus();
    for (side, area, title) in
        [(Side::Prompt, areas.prompt, format!("Prompt: {prompt}")), (Side::Response, areas.response, format!("Response: {response}"))]
    {
        let is_focused = focus == Some(side);
        let mut inner = pane(frame, area, theme, &title, &note(pairs, side, area.width), is_focused);
        if let (Mode::Find(pattern), true) = (&pairs.mode, is_focused) {
            let line = Rect { y: inner.bottom().saturating_sub(1), height: inner.height.min(1), ..inner };
            inner.height = inner.height.saturating_sub(1);
            draw(texts.at(side), frame, prose_area(inner), theme, false);
            let found = texts.at(side).found().to_string();
            frame.render_widget(Line::styled(format!("{found:>width$} ", width = usize::from(line.width) - 1), theme.faint), line);
            frame.render_widget(Line::styled(" find ", theme.accent), line);
            pattern.view(frame, Rect { x: line.x + 6, width: line.width.saturating_sub(22), ..line }, theme, "what to look for");
            continue;
        }
        draw(texts.at(side), frame, prose_area(inner), theme, is_focused && pairs.dialogs.is_empty());
    }
}

pub fn cutting(cutting: &Cutting, frame: &mut Frame, area: Rect, shared: &Shared) {
    let theme = &shared.theme;
    let (opening, rest) = cutting.sizes();
    let note = format!("opening {} + rest {} words", grouped(opening), grouped(rest));
    let inner = pane(frame, area, theme, "Cut an opening", &note, true);
    draw(&cutting.editor, frame, prose_area(inner), theme, false);
}

fn draw(editor: &Editor, frame: &mut Frame, area: Rect, theme: &Theme, is_focused: bool) {
    editor.render(area, frame.buffer_mut(), &look(theme), is_focused);
    if let Some(at) = editor.caret().filter(|_| is_focused) {
        frame.set_cursor_position(at);
    }
}

/// At the right end of a pane's rule: its length; with the mask, what a model makes of it.
fn note(pairs: &Pairs, side: Side, width: u16) -> String {
    let Some(entry) = pairs.current() else { return String::new() };
    let text = match side {
        Side::Prompt => &entry.pair().prompt,
        Side::Response => &entry.pair().response,
    };
    let length = format!("{} words", grouped(words(text)));
    let masked = pairs.mask.and_then(|at| {
        let counts = pairs.gauges.of(entry)?;
        let (model, gauge) = counts.counts.iter().filter_map(|count| Some((&count.model, count.gauge.as_ref().ok()?))).nth(at)?;
        let what = match (&gauge.fit, side) {
            (Fit::Left(_) | Fit::Failed(_), _) => "left out",
            (_, Side::Prompt) => "context",
            (Fit::Cut(_), Side::Response) => "trained up to the cut",
            (Fit::Whole, Side::Response) => "trained",
        };
        Some(format!("{model}: {what}"))
    });
    match masked {
        Some(masked) if usize::from(width) > masked.len() + length.len() + 28 => format!("{masked} · {length}"),
        Some(masked) => masked,
        None => length,
    }
}

/// Where the texts would be, in words.
fn without_texts(pairs: &Pairs, frame: &mut Frame, area: Rect, shared: &Shared) {
    let theme = &shared.theme;
    let key = |action| shared.keymap.key_for(Context::Pairs, action).map_or("the command".into(), |key| key.to_string());
    let broken = pairs.list.id(&pairs.library).and_then(|id| pairs.library.broken_of(id));
    let (title, text) = match broken {
        Some(broken) => {
            let problem = &broken.problem;
            let place = problem.line.map_or(String::new(), |line| format!(", line {line}"));
            let file = visible(&problem.file.display().to_string());
            let message = visible(&problem.message);
            (
                "A file that holds no pair",
                format!(
                    "{file}{place}\n\n{message}\n\nNothing in it has been changed. {} opens it in $EDITOR.",
                    key(Action::ExternalEditor)
                ),
            )
        }
        None if nothing(pairs) => ("", String::new()),
        None => (
            "No pair",
            format!(
                "A pair is a prompt and the response that the model is to learn: a draft and what became of it, a topic and the essay on it, \
                 an opening and the rest, a topic and a Note.\n\n{} makes the first one. {} and {} go through the tiers.",
                key(Action::NewPair),
                key(Action::PreviousTier),
                key(Action::NextTier)
            ),
        ),
    };
    let inner = pane(frame, area, theme, title, "", false);
    let mut inner = prose_area(inner);
    inner.y += inner.height.min(1);
    inner.height = inner.height.saturating_sub(1);
    frame.render_widget(Paragraph::new(text).style(theme.text).wrap(Wrap { trim: false }), inner);
}
