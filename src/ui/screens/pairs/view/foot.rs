//! The foot of the right side: a gauge a model, split and share of the source, and what is wrong with the pair.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::entry::Entry;
use super::super::library::percent;
use super::super::measure::Count;
use super::super::{Mode, Pairs};
use super::{fit, grouped};
use crate::dataset::{Fit, Gauge, Part};
use crate::pairs::{Finding, Level, Split, Status};
use crate::ui::prose::{visible, wrap};
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;
use crate::ui::widgets::pane;

pub fn view(pairs: &Pairs, frame: &mut Frame, area: Rect, shared: &Shared) {
    if area.is_empty() {
        return;
    }
    let theme = &shared.theme;
    let Some(entry) = pairs.current().filter(|_| !matches!(pairs.mode, Mode::Cut(_))) else {
        pane(frame, area, theme, "", "", false);
        return;
    };
    let state = match (entry.is_unsaved(), entry.pair().status) {
        (true, _) => "not saved",
        (false, Status::Ready) => "ready",
        (false, Status::Draft) => "draft",
        (false, Status::Discarded) => "discarded",
    };
    let inner = pane(frame, area, theme, &fit(entry.id(), usize::from(area.width).saturating_sub(18)).trim_end().to_owned(), state, false);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let lines = lines(pairs, entry, usize::from(inner.width), usize::from(inner.height), theme);
    for (y, line) in (inner.y..inner.bottom()).zip(lines) {
        frame.render_widget(line, Rect { y, height: 1, ..inner });
    }
}

/// The most needed first, as many as there is room for.
fn lines(pairs: &Pairs, entry: &Entry, width: usize, height: usize, theme: &Theme) -> Vec<Line<'static>> {
    let shown = pairs.gauges.of(entry);
    let is_stale = shown.is_none_or(|shown| shown.is_stale);
    let counts: &[Count] = shown.map_or(&[], |shown| shown.counts);
    let counted: Vec<_> = counts.iter().filter_map(|count| Some((&*count.model, count.gauge.as_ref().ok()?))).collect();
    let mut lines: Vec<Line> = counted.iter().map(|(model, gauge)| gauge_line(model, gauge, is_stale, width, theme)).collect();
    if shown.is_none() {
        lines.push(Line::styled("counting tokens …", theme.faint));
    }
    lines.push(split_line(pairs, entry, width, theme));
    let problems = pairs.library.findings(entry.pair());
    let missing: Vec<&str> = counts.iter().filter(|count| count.gauge.is_err()).map(|count| count.model.as_str()).collect();
    let room = height.saturating_sub(lines.len());
    lines.extend(problem_lines(&problems, width, room, theme));
    if !missing.is_empty() && lines.len() < height {
        let text = format!("not counted: {} (not downloaded)", missing.join(", "));
        lines.push(Line::styled(fit(&text, width), theme.faint));
    }
    lines
}

/// `pocket-llama  ████████░░░░    612 of 1,024 tokens  fits`
fn gauge_line(model: &str, gauge: &Gauge, is_stale: bool, width: usize, theme: &Theme) -> Line<'static> {
    let (verdict, style) = match &gauge.fit {
        _ if is_stale => ("counting …".to_owned(), theme.faint),
        Fit::Whole => ("fits".to_owned(), theme.good),
        Fit::Cut(cut) => {
            let paragraphs =
                if cut.paragraphs == 1 { "the last paragraph is".into() } else { format!("the last {} paragraphs are", cut.paragraphs) };
            (format!("✂ {paragraphs} cut off"), theme.warning)
        }
        Fit::Left(reason) => (format!("! left out: {reason}"), theme.error),
        Fit::Failed(error) => (format!("! {error}"), theme.error),
    };
    let numbers = format!("{:>7} of {:>6}", grouped(gauge.tokens), grouped(gauge.limit));
    let name = fit(model, 13);
    let bar_width = if width >= 84 { 24 } else { 8 };
    let filled = (gauge.tokens * bar_width).div_ceil(gauge.limit.max(1)).min(bar_width);
    let bar = if is_stale { theme.faint } else { style };
    let used = 13 + bar_width + numbers.len() + 4;
    Line::from(vec![
        Span::styled(name, theme.text),
        Span::styled("█".repeat(filled), bar),
        Span::styled("░".repeat(bar_width - filled), theme.border),
        Span::styled(numbers, if is_stale { theme.faint } else { theme.text }),
        Span::raw("  "),
        Span::styled(fit(&verdict, width.saturating_sub(used)), style),
    ])
}

fn split_line(pairs: &Pairs, entry: &Entry, width: usize, theme: &Theme) -> Line<'static> {
    let pair = entry.pair();
    let part = match (pair.status, pair.split) {
        (Status::Draft | Status::Discarded, _) => "not trained on".to_owned(),
        (_, Split::Train) => "train".to_owned(),
        (_, Split::Validation) => "held out".to_owned(),
        (_, Split::Auto) => match (pairs.library.part(entry.id()), pairs.library.leak()) {
            (Some(Part::Train), _) => "auto: train".to_owned(),
            (Some(Part::Validation), _) => "auto: held out".to_owned(),
            (None, Some(_)) => "auto: undecided, a source is on both sides".to_owned(),
            (None, None) => "auto".to_owned(),
        },
    };
    let (of_source, all) = pairs.library.share(&pair.source);
    let share = format!("{of_source} of {all} ready pairs ({} %)", percent(of_source, all));
    let source = visible(&pair.source);
    let long = format!("split {part}   ·   source {source}: {share}");
    let text = if crate::ui::prose::width(&long) <= width { long } else { format!("{part} · {source} {} %", percent(of_source, all)) };
    Line::styled(fit(&text, width), theme.faint)
}

fn problem_lines(problems: &[Finding], width: usize, room: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines: Vec<Line> = vec![];
    for finding in problems {
        let (sign, style) = match finding.level {
            Level::Error => ("‼ ", theme.error),
            Level::Warning => ("! ", theme.warning),
            Level::Info => ("· ", theme.faint),
        };
        let text = wrap(&[((), finding.message.as_str())], width.saturating_sub(2).max(1));
        for (i, line) in text.into_iter().enumerate() {
            let text: String = line.into_iter().map(|(_, text)| text).collect();
            lines.push(Line::from(vec![Span::styled(if i == 0 { sign } else { "  " }, style), Span::styled(text, style)]));
        }
    }
    let hidden = lines.len() > room;
    lines.truncate(room);
    if let (true, Some(last)) = (hidden, lines.last_mut()) {
        let text: String = last.spans.iter().map(|span| span.content.as_ref()).collect();
        let style = last.spans.last().map_or(theme.faint, |span| span.style);
        *last = Line::styled(fit(&format!("{text} …"), width), style);
    }
    lines
}
