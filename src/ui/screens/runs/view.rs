//! Draws the runs: the table above, curves below; or one run's details; or runs side by side.

use std::path::Path;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line as Drawn, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::look::Look;
use super::row::{Entry, Row};
use super::table::Table;
use super::{Mode, Runs, Voice, canaries, compare, details, voice};
use crate::review::voice::VoiceTable;
use crate::review::voice::table::{Compared, LengthRow};
use crate::ui::keys::{Action, Context};
use crate::ui::prose::{fitted, visible, wrap};
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;

use crate::ui::widgets::{Chart, Mark, Series, pane, smoothed, window};

/// Below this the table has the screen for itself.
const CURVES_FROM: u16 = 16;
/// From this on the details stand beside the curves.
const DETAILS_BESIDE: u16 = 150;
/// From this width on the voice's curves stand beside its table.
const VOICE_BESIDE: u16 = 140;
/// Text in wider columns is hard to read.
const PROSE: u16 = 96;
/// Training loss is drawn as the mean of about as many steps.
const SMOOTHING: usize = 9;
/// What tells curves apart where there is no colour.
const SIGNS: [char; 6] = ['●', '◆', '▲', '■', '○', '◇'];

/// The table of this many runs, and what stands below it.
pub fn areas(area: Rect, runs: usize) -> [Rect; 2] {
    let room = area.height * 11 / 20;
    // A few lines more than needed, for the filter and the next runs.
    let table = match area.height < CURVES_FROM {
        true => area.height,
        false => room.min((runs as u16).saturating_add(5)).max(room.min(10)),
    };
    Layout::vertical([Constraint::Length(table), Constraint::Fill(1)]).areas(area)
}

/// The rows of the table, below its rule, the filter and the titles, above what is said of all of them.
pub fn rows_of(table: Rect, runs: &Runs) -> Rect {
    let head = 2 + u16::from(has_filter(runs));
    let foot = u16::from(runs.uncounted().is_some());
    let height = table.height.saturating_sub(head + foot);
    Rect { y: table.y + head.min(table.height), height, width: table.width.saturating_sub(1), ..table }
}

fn has_filter(runs: &Runs) -> bool {
    runs.is_typing || !runs.filter.text().is_empty()
}

pub fn view(frame: &mut Frame, area: Rect, runs: &Runs, shared: &Shared) {
    match runs.mode {
        Mode::Table => {
            let [above, below] = areas(area, runs.entries().len());
            table(frame, above, runs, shared);
            match below.width >= DETAILS_BESIDE && below.height > 0 {
                false => curves(frame, below, runs, shared),
                true => {
                    let [left, right] =
                        Layout::horizontal([Constraint::Fill(1), Constraint::Length(PROSE.min(below.width / 2))]).spacing(2).areas(below);
                    curves(frame, left, runs, shared);
                    one_run(frame, right, runs, shared, false);
                }
            }
        }
        Mode::Details => one_run(frame, area, runs, shared, true),
        Mode::Compare => side_by_side(frame, area, runs, shared),
        Mode::Canaries => {
            let inner = pane(frame, area, &shared.theme, "What the canaries say", "base → fine-tuned", true);
            let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2).min(PROSE), ..inner };
            let found = runs.found.iter().map(|&at| &runs.entries()[at]);
            let lines = canaries::lines(found, runs.uncounted(), inner.width as usize);
            scrolled(frame, inner, drawn(lines, inner.width, &shared.theme), (runs, &shared.theme), true);
        }
        Mode::Voice => of_voice(frame, area, runs, shared),
    }
}

fn table(frame: &mut Frame, area: Rect, runs: &Runs, shared: &Shared) {
    let theme = &shared.theme;
    let count = match (runs.found.len(), runs.entries().len()) {
        (_, 0) => String::new(),
        (found, all) if found < all => format!("{found} of {all}"),
        (_, 1) => "1 run".into(),
        (_, all) => format!("{all} runs"),
    };
    let marked = if runs.marked.is_empty() { String::new() } else { format!("{} marked · ", runs.marked.len()) };
    let inner = pane(frame, area, theme, "Runs", &format!("{marked}{count}"), true);
    let text = match &runs.listed {
        None => Some("Looking for runs …".to_owned()),
        Some(Err(error)) => Some(error.clone()),
        Some(Ok(listing)) if listing.entries.is_empty() => {
            let key = shared.keymap.key_for(Context::Global, Action::ShowTrain).map_or("the palette".to_owned(), |key| format!("`{key}`"));
            Some(format!("There is no run yet. Start one on the Train screen ({key}); it is listed here from its first step on."))
        }
        Some(Ok(_)) => None,
    };
    if let Some(text) = text {
        let at = Rect { x: inner.x + 2, width: inner.width.saturating_sub(4).min(PROSE), ..inner };
        frame.render_widget(Paragraph::new(visible(&text)).wrap(Wrap { trim: false }).style(theme.faint), at);
        return;
    }
    if has_filter(runs) {
        let line = Rect { x: inner.x + 4, width: inner.width.saturating_sub(4), height: 1.min(inner.height), ..inner };
        frame.render_widget(Span::styled("  / ", theme.accent), Rect { height: 1.min(inner.height), ..inner });
        match runs.is_typing {
            true => runs.filter.view(frame, line, theme, "name, model, method or state"),
            false => frame.render_widget(Span::styled(visible(runs.filter.text()), theme.text), line),
        }
    }
    let rows = rows_of(area, runs);
    if let Some(why) = runs.uncounted() {
        let foot = Rect { y: rows.bottom(), height: 1, ..rows }.intersection(area);
        frame.render_widget(Span::styled(fitted(&visible(&format!("    {why}")), usize::from(rows.width)), theme.warning), foot);
    }
    let table = Table::new(rows.width as usize, runs.entries());
    if let Some(y) = rows.y.checked_sub(1).filter(|&y| y > area.y && y < area.bottom()) {
        frame.render_widget(table.titles(theme), Rect { y, height: 1, ..area });
    }
    if runs.found.is_empty() {
        frame.render_widget(Span::styled("    no run matches", theme.faint), Rect { height: 1.min(rows.height), ..rows });
    }
    let lines = window(runs.cursor, runs.found.len(), rows.height as usize).map(|at| {
        let entry = &runs.entries()[runs.found[at]];
        table.row(entry, runs.marked.contains(&entry.folder), at == runs.cursor, theme)
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), rows);
}

/// The validation curves of the marked runs and of the one under the cursor, over one another; of one run alone training as well.
fn curves(frame: &mut Frame, area: Rect, runs: &Runs, shared: &Shared) {
    if area.height < 4 || runs.entries().is_empty() {
        return;
    }
    let theme = &shared.theme;
    let drawn = runs.drawn();
    let looks: Vec<(&Entry, &Row, &Look)> = drawn.iter().filter_map(|folder| known(runs, folder)).collect();
    let title = match looks.as_slice() {
        [(entry, ..)] => format!("Losses of {}", visible(&entry.name)),
        _ => "Validation losses".into(),
    };
    let inner = pane(frame, area, theme, &title, "", false);
    if let Some(Err(reason)) = runs.chosen().map(|entry| &entry.run) {
        let text = format!("This folder is no run that can be used: {reason}\n\nNothing is done to it; mend it, or move it away.");
        let at = Rect { x: inner.x + 2, width: inner.width.saturating_sub(4).min(PROSE), ..inner };
        frame.render_widget(Paragraph::new(visible_lines(&text)).wrap(Wrap { trim: false }), at);
        return;
    }
    if drawn.len() == 1
        && let Some(Err(error)) = runs.looks.get(drawn[0])
    {
        frame.render_widget(Paragraph::new(visible(error)).wrap(Wrap { trim: false }).style(theme.error), inner);
        return;
    }
    chart(frame, inner, &looks, theme);
}

fn visible_lines(text: &str) -> Vec<Drawn<'static>> {
    text.lines().map(|line| Drawn::raw(visible(line))).collect()
}

fn known<'r>(runs: &'r Runs, folder: &Path) -> Option<(&'r Entry, &'r Row, &'r Look)> {
    let (entry, row) = runs.row(folder)?;
    let look = runs.looks.get(folder)?.as_ref().ok()?;
    Some((entry, row, look))
}

fn chart(frame: &mut Frame, area: Rect, looks: &[(&Entry, &Row, &Look)], theme: &Theme) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let (mut series, mut marks) = (vec![], vec![]);
    for (i, (entry, row, look)) in looks.iter().enumerate() {
        let style = theme.curves[i % theme.curves.len()];
        let curves = &look.curves;
        let is_alone = looks.len() == 1;
        if is_alone {
            series.push(Series {
                label: "training".into(),
                points: smoothed(&curves.training, SMOOTHING),
                style: theme.faint,
                ..Series::default()
            });
        }
        let label = if is_alone { "validation".to_owned() } else { visible(&entry.name) };
        // A run without held-out pairs has its training loss alone.
        let points =
            if curves.validation.len() > 1 || is_alone { curves.validation.clone() } else { smoothed(&curves.training, SMOOTHING) };
        series.push(Series { label, points, style, sign: Some(SIGNS[i % SIGNS.len()]), ..Series::default() });
        if let Some(best) = row.summary.best.filter(|_| is_alone) {
            marks.push(Mark { at: (best.step as f64, best.loss), sign: '★', style: theme.accent });
        }
    }
    let steps = looks.iter().map(|(_, _, look)| look.curves.steps).max().unwrap_or(0);
    if series.iter().all(|series| series.points.is_empty()) {
        frame.render_widget(Span::styled(" No step has been taken yet.", theme.faint), Rect { height: 1.min(area.height), ..area });
        return;
    }
    frame.render_widget(&Chart { series: &series, steps, end: None, y: None, rules: &[], marks: &marks, has_axes: true, theme }, area);
}

fn one_run(frame: &mut Frame, area: Rect, runs: &Runs, shared: &Shared, is_alone: bool) {
    let theme = &shared.theme;
    let Some(entry) = runs.chosen() else { return };
    let inner = pane(frame, area, theme, &visible(&entry.name), "", is_alone);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2).min(PROSE), ..inner };
    let Some((_, row, look)) = known(runs, &entry.folder) else {
        let text = match (&entry.run, runs.looks.get(&entry.folder)) {
            (Err(reason), _) => reason.clone(),
            (_, Some(Err(error))) => error.clone(),
            _ => "Reading the run …".into(),
        };
        frame.render_widget(Paragraph::new(visible(&text)).wrap(Wrap { trim: false }), inner);
        return;
    };
    let lines = details::lines(entry, row, look, runs.uncounted(), inner.width as usize);
    scrolled(frame, inner, drawn(lines, inner.width, theme), (runs, theme), is_alone);
}

fn drawn(lines: Vec<details::Line>, width: u16, theme: &Theme) -> Vec<Drawn<'static>> {
    let one = |line| match line {
        details::Line::Head(title) => vec![Drawn::styled(title, theme.title)],
        details::Line::Title(title) => vec![Drawn::styled(title, theme.title)],
        details::Line::Value(name, value, remark) => {
            vec![Drawn::from(vec![Span::raw(name), Span::raw(value), Span::styled(remark, theme.faint)])]
        }
        details::Line::Plain(text) => vec![Drawn::raw(text)],
        details::Line::Text(text) => vec![Drawn::styled(text, theme.faint)],
        details::Line::Wrapped(text) => {
            let lines = wrap(&[((), &text)], usize::from(width).max(10)).into_iter();
            lines.map(|line| Drawn::styled(line.into_iter().map(|(_, text)| text).collect::<String>(), theme.faint)).collect()
        }
        details::Line::Alarm(text) => vec![Drawn::styled(text, theme.error)],
        details::Line::Space => vec![Drawn::raw("")],
    };
    lines.into_iter().flat_map(one).collect()
}

/// The table, and beside it where there is room the type-token curve over the lengths of sentences.
fn of_voice(frame: &mut Frame, area: Rect, runs: &Runs, shared: &Shared) {
    let theme = &shared.theme;
    let Some(Voice { folders, found }) = &runs.voice else { return };
    let names: Vec<String> =
        folders.iter().map(|folder| runs.row(folder).map_or(String::new(), |(entry, _)| visible(&entry.name))).collect();
    let title = format!("Voice of {}", names.join(", "));
    let table = match found {
        None => Err("Measuring …".to_owned()),
        Some(Err(error)) => Err(error.clone()),
        Some(Ok(measured)) => Ok(&**measured),
    };
    let (table, missing) = match table {
        Ok(measured) => measured,
        Err(text) => {
            let inner = pane(frame, area, theme, &title, "", true);
            let at = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2).min(PROSE), ..inner };
            return frame.render_widget(Paragraph::new(visible(&text)).wrap(Wrap { trim: false }).style(theme.faint), at);
        }
    };
    let [left, right] = match area.width >= VOICE_BESIDE && !table.curve.is_empty() {
        true => Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).spacing(2).areas(area),
        false => [area, Rect { width: 0, ..area }],
    };
    let inner = pane(frame, left, theme, &title, "(spreads from yours)", true);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let lines = voice::lines(table, missing, usize::from(inner.width));
    scrolled(frame, inner, drawn(lines, inner.width.min(PROSE), theme), (runs, theme), true);
    if right.width == 0 {
        return;
    }
    let [above, below] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(right);
    let curve: Vec<(f64, &Compared)> = table.curve.iter().map(|point| (point.words as f64, &point.compared)).collect();
    let words = table.curve.last().map_or(0, |point| point.words);
    courses(frame, above, ("Different words among the first words", &format!("{words} words")), table, &curve, theme);
    // A length stands at the middle of its stretch; the last, which has no end, as far on as the one before.
    let middle = |row: &LengthRow| row.to.map_or(row.from as f64 + 5.0, |to| (row.from + to) as f64 / 2.0);
    let longest = table.lengths.last().map_or(String::new(), LengthRow::name);
    let lengths: Vec<(f64, &Compared)> = table.lengths.iter().map(|row| (middle(row), &row.compared)).collect();
    courses(frame, below, ("Share of sentences by their words", &format!("{longest} words")), table, &lengths, theme);
}

/// The writer's mean and the arms' along some places; `end` is what the last place is called.
fn courses(frame: &mut Frame, area: Rect, (title, end): (&str, &str), table: &VoiceTable, rows: &[(f64, &Compared)], theme: &Theme) {
    let inner = pane(frame, area, theme, title, "", false);
    if inner.height < 4 {
        return;
    }
    let hers = rows.iter().map(|(at, row)| (*at, row.hers)).collect();
    let mut series = vec![Series { label: "you".into(), points: hers, style: theme.title, sign: Some('★'), ..Series::default() }];
    for (number, arm) in table.arms.iter().enumerate().take(SIGNS.len()) {
        let points = rows.iter().filter_map(|(at, row)| Some((*at, row.values[number]?.value))).collect();
        let (style, sign) = (theme.curves[number % theme.curves.len()], Some(SIGNS[number]));
        series.push(Series { label: visible(&arm.label), points, style, sign, ..Series::default() });
    }
    let steps = rows.last().map_or(0, |(at, _)| *at as usize);
    let end = Some(end.to_owned());
    frame.render_widget(&Chart { series: &series, steps, end, y: Some([0.0, 0.0]), rules: &[], marks: &[], has_axes: true, theme }, inner);
}

/// Keeps the scrolling inside the text, and says that there is more.
fn scrolled(frame: &mut Frame, area: Rect, lines: Vec<Drawn>, (runs, theme): (&Runs, &Theme), is_scrolled: bool) {
    let last = lines.len().saturating_sub(area.height as usize);
    runs.scroll.set(runs.scroll.get().min(if is_scrolled { last } else { usize::MAX }));
    let top = if is_scrolled { runs.scroll.get() } else { 0 };
    frame.render_widget(Paragraph::new(lines.into_iter().skip(top).take(area.height as usize).collect::<Vec<_>>()), area);
    if is_scrolled && top < last {
        let corner = Rect { x: area.right(), y: area.bottom().saturating_sub(1), width: 1, height: 1 };
        frame.render_widget(Span::styled("↓", theme.accent), corner.intersection(frame.area()));
    }
}

fn side_by_side(frame: &mut Frame, area: Rect, runs: &Runs, shared: &Shared) {
    let theme = &shared.theme;
    let rows: Vec<(&Entry, &Row)> = runs.marked.iter().filter_map(|folder| runs.row(folder)).collect();
    let all: Vec<compare::Known> = rows
        .into_iter()
        .map(|(entry, row)| (entry, row, runs.looks.get(&entry.folder).and_then(|look| look.as_ref().ok().map(|look| &**look))))
        .collect();
    let lines = compare::lines(&all);
    // Beside the text where there is room for both, else below it.
    let is_wide = area.width >= 130;
    let columns = compare::columns(&lines, if is_wide { area.width as usize / 2 } else { area.width as usize } - 4);
    let (text, below) = if is_wide {
        let width = (columns.0 + all.len() * (columns.1 + 2) + 4) as u16;
        let [text, curves] = Layout::horizontal([Constraint::Length(width), Constraint::Fill(1)]).spacing(2).areas(area);
        (text, curves)
    } else {
        let height = (lines.len() as u16 + 1).min(area.height.saturating_sub(9).max(area.height / 2));
        let [text, curves] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
        (text, curves)
    };
    let inner = pane(frame, text, theme, &format!("{} runs side by side", all.len()), "", true);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let drawn_lines = lines.iter().map(|line| match line {
        compare::Line::Head(title) => Drawn::styled(*title, theme.title),
        compare::Line::Space => Drawn::raw(""),
        compare::Line::Values(name, values) if name.is_empty() => {
            Drawn::from_iter([Span::raw(" ".repeat(columns.0))].into_iter().chain(values.iter().enumerate().map(|(i, name)| {
                let text = compare::text("", std::slice::from_ref(name), (0, columns.1));
                Span::styled(text, theme.curves[i % theme.curves.len()].patch(theme.title))
            })))
        }
        compare::Line::Values(name, values) => Drawn::raw(compare::text(name, values, columns)),
    });
    scrolled(frame, inner, drawn_lines.collect(), (runs, theme), true);
    let looks: Vec<(&Entry, &Row, &Look)> = all.iter().filter_map(|(entry, row, look)| Some((*entry, *row, (*look)?))).collect();
    let inner = pane(frame, below, theme, "Validation losses", "", false);
    if inner.height > 2 {
        chart(frame, inner, &looks, theme);
    }
}
