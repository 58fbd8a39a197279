//! The foot of the right side: a gauge a model, split and share of the source, and what is wrong with the pair.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::Pairs;
use super::super::entry::Entry;
use super::super::library::percent;
use super::super::measure::Count;
use super::{fit, grouped};
use crate::dataset::{Fit, Gauge, Part};
use crate::pairs::{Level, Split, Status};
use crate::ui::prose::{visible, wrap};
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;
use crate::ui::widgets::pane;

pub fn view(pairs: &Pairs, frame: &mut Frame, area: Rect, shared: &Shared) {
    let theme = &shared.theme;
    let Some(entry) = pairs.current().filter(|_| !area.is_empty()) else { return };
    let state = match (entry.is_unsaved(), entry.pair().status) {
        (true, _) => "not saved",
        (false, Status::Ready) => "ready",
        (false, Status::Draft) => "draft",
        (false, Status::Discarded) => "discarded",
    };
    let inner = pane(frame, area, theme, fit(entry.id(), usize::from(area.width).saturating_sub(18)).trim_end(), state, false);
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
    let left_out = counted.iter().filter_map(|(model, gauge)| match &gauge.fit {
        Fit::Left(reason) if !is_stale => Some((Level::Warning, format!("{model} is not trained on it: {reason}"))),
        Fit::Failed(error) if !is_stale => Some((Level::Error, format!("{model}: {error}"))),
        _ => None,
    });
    let findings = shown.map_or(&[][..], |shown| shown.findings).iter().map(|finding| (finding.level, finding.message.clone()));
    let mut problems: Vec<(Level, String)> = findings.chain(left_out).collect();
    problems.sort_by_key(|(level, _)| *level);
    let missing: Vec<&str> = counts.iter().filter(|count| count.gauge.is_err()).map(|count| count.model.as_str()).collect();
    let room = height.saturating_sub(lines.len());
    lines.extend(problem_lines(&problems, width, room, theme));
    if !missing.is_empty() && lines.len() < height {
        let text = format!("not counted: {} (not downloaded)", missing.join(", "));
        lines.push(Line::styled(fit(&text, width), theme.faint));
    }
    lines
}

/// `pocket-llama  ████████░░░░    612 of 1,024  fits`
fn gauge_line(model: &str, gauge: &Gauge, is_stale: bool, width: usize, theme: &Theme) -> Line<'static> {
    let (long, short, style) = match &gauge.fit {
        _ if is_stale => ("counting …".into(), "…", theme.faint),
        Fit::Whole => ("fits".into(), "fits", theme.good),
        Fit::Cut(cut) if cut.paragraphs == 1 => ("✂ 1 paragraph cut off".into(), "✂ cut", theme.warning),
        Fit::Cut(cut) => (format!("✂ {} paragraphs cut off", cut.paragraphs), "✂ cut", theme.warning),
        Fit::Left(_) => ("! left out".to_owned(), "! left out", theme.error),
        Fit::Failed(_) => ("! not counted".to_owned(), "! failed", theme.error),
    };
    let (bar_width, numbers) = match width {
        84.. => (24, format!("{:>8} of {:>6}", grouped(gauge.tokens), grouped(gauge.limit))),
        60.. => (10, format!("{:>8} of {:>6}", grouped(gauge.tokens), grouped(gauge.limit))),
        _ => (6, format!("{:>7}/{:<6}", grouped(gauge.tokens), grouped(gauge.limit))),
    };
    let filled = (gauge.tokens * bar_width).div_ceil(gauge.limit.max(1)).min(bar_width);
    let bar = if is_stale { theme.faint } else { style };
    let room = width.saturating_sub(13 + bar_width + numbers.len() + 1);
    let verdict = if crate::ui::prose::width(&long) <= room { long } else { short.to_owned() };
    Line::from(vec![
        Span::styled(fit(model, 12) + " ", theme.text),
        Span::styled("█".repeat(filled), bar),
        Span::styled("░".repeat(bar_width - filled), theme.border),
        Span::styled(numbers, if is_stale { theme.faint } else { theme.text }),
        Span::raw(" "),
        Span::styled(fit(&verdict, room), style),
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

fn problem_lines(problems: &[(Level, String)], width: usize, room: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines: Vec<Line> = vec![];
    for (level, message) in problems {
        let (sign, style) = match level {
            Level::Error => ("‼ ", theme.error),
            Level::Warning => ("! ", theme.warning),
            Level::Info => ("· ", theme.faint),
        };
        let text = wrap(&[((), message.as_str())], width.saturating_sub(2).max(1));
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
