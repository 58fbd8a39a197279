//! The last line: what was said last, or the keys of where one is.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::keys::{Action, Hint};
use super::message::{Level, Notice};
use super::prose::wrap;
use super::theme::Theme;

/// A notice takes no more of the screen.
const MOST_LINES: u16 = 4;

pub fn draw(frame: &mut Frame, area: Rect, notice: Option<&Notice>, hints: Vec<Hint>, theme: &Theme) {
    if let Some(notice) = notice {
        return say(frame, area, notice, theme);
    }
    let mut spans = vec![Span::raw(" ")];
    for hint in fitting(hints, usize::from(area.width)) {
        spans.push(Span::styled(hint.key, theme.accent));
        spans.push(Span::styled(format!(" {}   ", hint.label), theme.faint));
    }
    frame.render_widget(Line::from(spans), area);
}

/// A long notice stands over the screen's last lines: it goes with the next key.
fn say(frame: &mut Frame, area: Rect, notice: &Notice, theme: &Theme) {
    let (sign, style) = match notice.level {
        Level::Info => (" ", theme.text),
        Level::Warning => ("!", theme.warning),
        Level::Error => ("!", theme.error),
    };
    let lines = wrap(&[((), &notice.text)], usize::from(area.width).saturating_sub(3).max(10));
    let height = (lines.len() as u16).clamp(1, MOST_LINES.min(area.bottom().max(1)));
    let over = Rect { y: area.bottom().saturating_sub(height), height, ..area };
    let line = |(at, line): (usize, Vec<((), String)>)| {
        let text: String = line.into_iter().map(|(_, text)| text).collect();
        Line::styled(format!("{} {text}", if at == 0 { sign } else { " " }), style)
    };
    frame.render_widget(Clear, over);
    frame.render_widget(Paragraph::new(lines.into_iter().enumerate().map(line).collect::<Vec<_>>()), over);
}

/// The keys there is room for, the most useful first; where some are left out, the last is the one that lists them all.
fn fitting(mut hints: Vec<Hint>, columns: usize) -> Vec<Hint> {
    let width = |hint: &Hint| hint.key.width() + 1 + hint.label.width() + 3;
    let count = |hints: &[Hint], columns: usize| {
        let mut used = 1;
        let fits = |hint: &&Hint| {
            used += width(hint);
            used <= columns
        };
        hints.iter().take_while(fits).count()
    };
    let fit = count(&hints, columns);
    let help = hints.iter().position(|hint| hint.action == Action::Help).filter(|&at| at >= fit);
    match help.map(|at| hints.remove(at)) {
        None => hints.truncate(fit),
        Some(help) => {
            hints.truncate(count(&hints, columns.saturating_sub(width(&help))));
            hints.push(help);
        }
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_lists_all_keys_is_always_there() {
        let hint = |key: &str, label, action| Hint { key: key.into(), label, action };
        let all = || {
            vec![
                hint("g", "generate", Action::Generate),
                hint("p", "pick", Action::Pick),
                hint("?", "help", Action::Help),
                hint("q", "quit", Action::Quit),
            ]
        };
        let check = |columns: usize, expected: &str| {
            let shown: Vec<String> = fitting(all(), columns).into_iter().map(|hint| hint.key).collect();
            assert_eq!(shown.join(""), expected, "{columns}");
        };
        check(80, "gp?q");
        check(33, "gp?");
        check(25, "g?");
        check(12, "?");
    }
}
