//! Draws a comparison: numbers above, lanes below, and a bar that shows where the changes are.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout as Split, Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line as Drawn, Span};
use ratatui::widgets::Paragraph;

use super::comparison::Level;
use super::layout::{Arrangement, Layout, Shape, side};
use super::reading::{Cursor, Reading, Shown};
use crate::review::lanes::{Ink, Tone, sign_ink};
use crate::review::{Kind, head};
use crate::ui::prose::lanes::{GUTTER, SIGN};
use crate::ui::prose::{Line, fitted, visible, width, wrap};
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;
use crate::ui::widgets::pane;

/// The gutter that marks the change under the cursor.
const MARGIN: u16 = 2;
/// What the writer's own text is called.
const OWN: &str = "your finished text";
/// From this height on there is an empty line in the head.
const ROOMY: usize = 30;
/// The sum of what was copied, and the first spans of it.
const COPIED_LINES: usize = 4;
/// The bar and the space before it.
const BAR: u16 = 3;

pub fn reading(frame: &mut Frame, area: Rect, reading: &Reading, shared: &Shared) {
    let theme = &shared.theme;
    let title = visible(&reading.subject.title);
    let Some(shown) = &reading.shown else {
        let inner = pane(frame, area, theme, &title, "", true);
        let text = if reading.subject.revisions.is_empty() {
            "There is no text to compare with the draft."
        } else {
            "Comparing the two texts …"
        };
        frame.render_widget(
            Span::styled(text, theme.faint),
            Rect { x: inner.x + MARGIN, width: inner.width.saturating_sub(MARGIN), ..inner },
        );
        return;
    };
    let columns = area.width.saturating_sub(MARGIN + BAR) as usize;
    let shape = shape(columns, reading, shown, theme);
    let side = side(&shown.comparison, shape.is_own);
    let (change, changes) = match reading.level {
        Level::Sentences => ("change", "changes"),
        Level::Paragraphs => ("paragraph changed", "paragraphs changed"),
    };
    let changes = match (side.changes(reading.level).len(), reading.cursor) {
        (0, _) => format!("no {change}"),
        (all, Some(Cursor::Change(at))) => format!("{change} {} of {all}", at + 1),
        (1, _) => format!("1 {change}"),
        (all, _) => format!("{all} {changes}"),
    };
    let inner = pane(frame, area, theme, &title, &changes, true);
    let head = head_lines([columns, inner.height as usize], reading, shown, shape, theme);
    let [above, body] = split(inner, head.len());
    frame.render_widget(Paragraph::new(head), Rect { x: above.x + MARGIN, width: above.width.saturating_sub(MARGIN + BAR), ..above });

    let layout = reading.layouts.get(shape, &shown.comparison);
    reading.height.set(body.height.max(1) as usize);
    let top = reading.top(&layout);
    let current = reading.cursor_lines(side, &layout);
    let lines = layout.lines.iter().enumerate().skip(top).take(body.height as usize).map(|(at, line)| {
        let is_current = current.as_ref().is_some_and(|lines| lines.contains(&at));
        let mark = Span::styled(if is_current { "▌ " } else { "  " }, theme.accent);
        Drawn::from_iter([mark].into_iter().chain(line.iter().map(|(tone, text)| Span::styled(text.as_str(), toned(*tone, theme)))))
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), Rect { width: body.width.saturating_sub(BAR), ..body });
    bar(frame, Rect { x: body.right().saturating_sub(2), width: 2.min(body.width), ..body }, &layout, top, theme);
}

/// How far down the bar a place on the screen is, from 0 to 1; `None` beside the bar.
pub fn bar_at(area: Rect, column: u16, row: u16, reading: &Reading) -> Option<f64> {
    let height = reading.height.get() as u16;
    let bar = Rect { x: area.right().saturating_sub(2), y: area.bottom().saturating_sub(height), width: 2, height };
    bar.contains(Position::new(column, row)).then(|| f64::from(row - bar.y) / f64::from(height.max(1)))
}

fn shape(columns: usize, reading: &Reading, shown: &Shown, theme: &Theme) -> Shape {
    let with_own = reading.with_writers_lane && shown.comparison.finished.is_some();
    let arrangement = Arrangement::for_width(columns + usize::from(MARGIN + BAR), with_own);
    Shape {
        generation: shown.generation,
        columns,
        arrangement,
        is_own: with_own && arrangement == Arrangement::Stacked,
        marks: theme.has_signs(),
        level: reading.level,
    }
}

/// What stands above, with an empty line below it, and the text.
fn split(area: Rect, head: usize) -> [Rect; 2] {
    // A very low window is for the text.
    let head = (head as u16).min(area.height / 2);
    Split::vertical([Constraint::Length(head), Constraint::Fill(1)]).areas(area)
}

/// Shares, endings and agreement, then the names of the lanes.
fn head_lines([columns, height]: [usize; 2], reading: &Reading, shown: &Shown, shape: Shape, theme: &Theme) -> Vec<Drawn<'static>> {
    let side = side(&shown.comparison, shape.is_own);
    let mut lines = wrapped(&head::shares(side.counts), columns, theme);
    let faint = |text: String| wrapped(&[(Ink::Faint, text)], columns, theme);
    let ending = side.ending.map(|ending| head::ending(ending, side.counts));
    lines.extend(faint(ending.into_iter().chain([head::paragraphs(&side.paragraphs)]).collect::<Vec<_>>().join(" · ")));
    let finished = shown.comparison.finished.as_ref();
    if let Some(finished) = finished.filter(|_| reading.with_writers_lane) {
        lines.extend(head::agreement(&finished.agreement).into_iter().flat_map(faint));
    }
    let marks = reading.subject.revisions[shown.revision].marks.as_ref();
    if let Some(marks) = marks.filter(|marks| !shape.is_own && !marks.copied.is_empty()) {
        lines.extend(head::copied(marks).into_iter().take(COPIED_LINES).flat_map(|line| faint(visible(&line))));
    }
    // A low window is for the text.
    let is_low = height < ROOMY;
    if !is_low {
        lines.push(Drawn::raw(""));
    }
    let lane = shape.arrangement.lane(columns);
    // Rather no number than half a word.
    let titled = |name: &str, count: usize| {
        let full = format!("{name} · {}", head::sentences(count));
        if width(&full) <= lane { full } else { name.to_owned() }
    };
    let draft = titled("draft", side.counts.draft);
    let name = if shape.is_own { OWN.to_owned() } else { name(reading, shown.revision) };
    let revision = titled(&name, side.counts.revision);
    let rule = || Span::styled(GUTTER, theme.faint);
    let title = |text: &str| Span::styled(format!("{:SIGN$}{}", "", fitted(text, lane)), theme.title);
    let second = |text: &str| Span::styled(fitted(text, lane), theme.title);
    match (shape.arrangement, finished) {
        (Arrangement::Stacked, _) => {
            let names = wrap(&[((), &format!("{draft}  →  {revision}"))], columns);
            lines.extend(
                names.into_iter().map(|line| Drawn::styled(line.into_iter().map(|(_, text)| text).collect::<String>(), theme.title)),
            );
        }
        (Arrangement::Three, Some(finished)) => {
            let own = titled(OWN, finished.side.counts.revision);
            lines.push(Drawn::from(vec![title(&draft), rule(), second(&revision), rule(), title(&own)]));
        }
        _ => lines.push(Drawn::from(vec![title(&draft), rule(), second(&revision)])),
    }
    lines.push(Drawn::raw(""));
    lines
}

/// `llama-tuned · sample 2 of 5`.
fn name(reading: &Reading, revision: usize) -> String {
    let samples = reading.samples(revision);
    let arm = visible(&reading.subject.revisions[revision].arm);
    match samples.len() {
        0 | 1 => arm,
        count => format!("{arm} · sample {} of {count}", samples.iter().position(|&i| i == revision).map_or(0, |at| at + 1)),
    }
}

fn wrapped(stretches: &[(Ink, String)], columns: usize, theme: &Theme) -> Vec<Drawn<'static>> {
    let borrowed: Vec<(Ink, &str)> = stretches.iter().map(|(ink, text)| (*ink, text.as_str())).collect();
    wrap(&borrowed, columns).into_iter().map(|line| drawn(line, theme)).collect()
}

fn drawn(line: Line<Ink>, theme: &Theme) -> Drawn<'static> {
    line.into_iter().map(|(ink, text)| Span::styled(text, style(ink, theme))).collect()
}

fn style(ink: Ink, theme: &Theme) -> Style {
    match ink {
        Ink::Plain => theme.text,
        Ink::Faint => theme.faint,
        Ink::Cut | Ink::GoneWords => theme.cut,
        Ink::Gone => theme.cut.remove_modifier(Modifier::CROSSED_OUT),
        Ink::New => theme.new,
        Ink::Reworded => theme.reworded,
        Ink::Moved => theme.moved,
        // Among words that stayed, a colour alone would not do, and underlined is what was copied.
        Ink::CameWords => theme.new.add_modifier(Modifier::BOLD),
    }
}

fn toned(tone: Tone, theme: &Theme) -> Style {
    let style = style(tone.ink, theme);
    if tone.is_copied { style.patch(theme.verbatim) } else { style }
}

/// Where the changes are in the whole text, and which part of it is on the screen.
fn bar(frame: &mut Frame, area: Rect, layout: &Layout, top: usize, theme: &Theme) {
    let (height, all) = (area.height as usize, layout.lines.len());
    if all <= height || area.width < 2 {
        return;
    }
    let row_of = |line: usize| (line * height / all).min(height - 1);
    let mut kinds: Vec<Option<Kind>> = vec![None; height];
    for (block, (kind, _)) in layout.blocks.iter().enumerate().filter(|(_, (kind, _))| *kind != Kind::Kept) {
        let lines = layout.lines_of(block..block + 1);
        for row in &mut kinds[row_of(lines.start)..=row_of(lines.end.saturating_sub(1).max(lines.start))] {
            // A cut is what is looked for.
            *row = if *row == Some(Kind::Cut) { *row } else { Some(*kind) };
        }
    }
    let thumb = row_of(top)..=row_of(top + height - 1);
    let rows = (0..height).map(|row| {
        let tick = match kinds[row] {
            Some(kind) => Span::styled("▪", style(sign_ink(kind), theme)),
            None => Span::raw(" "),
        };
        let track = if thumb.contains(&row) { Span::styled("┃", theme.faint) } else { Span::styled("│", theme.border) };
        Drawn::from(vec![tick, track])
    });
    frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), area);
}
