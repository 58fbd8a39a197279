//! The left pane: the tiers with their counts, the filter, and the pairs of one tier.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::dialog::tier_title;
use super::super::list::Row;
use super::super::{Mode, Pairs, Reading, entry};
use super::{fit, grouped, sign};
use crate::pairs::{Level, Status, Tier};
use crate::ui::keys::{Action, Context};
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;
use crate::ui::widgets::{pane, window};

/// The parts of the left pane.
#[derive(Debug, Clone, Copy)]
pub struct ListAreas {
    pub tiers: Rect,
    /// The rule with the order, and the filter below it.
    head: Rect,
    pub rows: Rect,
}

pub fn list_areas(area: Rect) -> ListAreas {
    // The first row is the rule of the pane.
    let [_, tiers, _, head, rows] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(4),
        Constraint::Length(u16::from(area.height > 16)),
        Constraint::Length(2),
        Constraint::Fill(1),
    ])
    .areas(area);
    ListAreas { tiers, head, rows }
}

/// The first of the rows that are seen.
pub fn first_row(pairs: &Pairs, rows: Rect) -> usize {
    window(pairs.list.cursor(), pairs.list.rows().len(), usize::from(rows.height)).start
}

pub fn view(pairs: &Pairs, frame: &mut Frame, area: Rect, shared: &Shared) {
    let theme = &shared.theme;
    let areas = list_areas(area);
    let is_focused = matches!(pairs.mode, Mode::List | Mode::Filter) && pairs.dialogs.is_empty();
    pane(frame, area, theme, "Tiers", "", is_focused);
    tiers(pairs, frame, areas.tiers, theme);
    head(pairs, frame, areas.head, shared, is_focused);
    rows(pairs, frame, areas.rows, shared, is_focused);
}

/// Each tier with its ready, draft and discarded pairs; with a filter, with its hits.
fn tiers(pairs: &Pairs, frame: &mut Frame, area: Rect, theme: &Theme) {
    let counts = pairs.library.counts();
    let room = usize::from(area.width);
    let is_filtered = pairs.list.is_filtered();
    let wide = room >= 37;
    for (tier, count) in Tier::ALL.into_iter().zip(counts) {
        let is_open = tier == pairs.list.tier();
        let numbers = match (is_filtered, wide) {
            (true, _) => format!("{:>4} found", pairs.list.hits(tier)),
            (false, true) => format!("{:>4}● {:>3}○ {:>3}×", count.ready, count.draft, count.discarded),
            (false, false) => format!("{:>4}● {:>2}○", count.ready, count.draft),
        };
        let left = room.saturating_sub(numbers.chars().count() + 2);
        let mark = if is_open { "▸ " } else { "  " };
        let name = if is_open { theme.title } else { theme.text };
        let line = Line::from(vec![
            Span::styled(mark, theme.accent),
            Span::styled(fit(tier_title(tier), left), name),
            Span::styled(numbers, theme.faint),
        ]);
        let y = area.y + u16::from(u8::from(tier)) - 1;
        if y < area.bottom() {
            frame.render_widget(line, Rect { y, height: 1, ..area });
        }
    }
}

/// The rule above the rows; below it the filter, or the names of the columns.
fn head(pairs: &Pairs, frame: &mut Frame, area: Rect, shared: &Shared, is_focused: bool) {
    let theme = &shared.theme;
    let order = format!("by {}", pairs.list.sort().word());
    let title = format!("{} {}", pairs.list.rows().len(), if pairs.list.rows().len() == 1 { "pair" } else { "pairs" });
    let line = pane(frame, area, theme, &title, &order, is_focused);
    let line = Rect { height: line.height.min(1), ..line };
    let text = Rect { x: line.x + 2, width: line.width.saturating_sub(2), ..line };
    match pairs.mode {
        Mode::Filter => {
            frame.render_widget(Span::styled("/", theme.accent), line);
            pairs.list.filter.view(frame, text, theme, "name, source or words");
        }
        _ if pairs.list.is_filtered() => {
            frame.render_widget(Span::styled("/", theme.accent), line);
            frame.render_widget(Span::styled(fit(pairs.list.filter.text(), usize::from(text.width)), theme.hit), text);
        }
        _ => {
            let room = usize::from(line.width);
            let names = format!("    {:<1$}words  ", "name", room.saturating_sub(11));
            frame.render_widget(Span::styled(names, theme.faint), line);
        }
    }
}

fn rows(pairs: &Pairs, frame: &mut Frame, area: Rect, shared: &Shared, is_focused: bool) {
    let theme = &shared.theme;
    if pairs.list.rows().is_empty() {
        let text = Paragraph::new(empty(pairs, shared)).style(theme.faint).wrap(ratatui::widgets::Wrap { trim: true });
        let inner = Rect { x: area.x + 2, width: area.width.saturating_sub(4), ..area };
        frame.render_widget(text, inner);
        return;
    }
    let range = window(pairs.list.cursor(), pairs.list.rows().len(), usize::from(area.height));
    for (y, i) in (area.y..area.bottom()).zip(range) {
        let row = Rect { y, height: 1, ..area };
        let is_here = i == pairs.list.cursor();
        let style = match (is_here, is_focused) {
            (true, true) => theme.cursor,
            (true, false) => theme.cursor_elsewhere,
            (false, _) => Style::new(),
        };
        frame.buffer_mut().set_style(row, style);
        frame.render_widget(line(pairs, pairs.list.rows()[i], usize::from(area.width), is_here, theme), row);
    }
}

/// `› ● name        1,234 !`, with `*` where it is not saved.
fn line(pairs: &Pairs, row: Row, room: usize, is_here: bool, theme: &Theme) -> Line<'static> {
    let cursor = Span::styled(if is_here { "› " } else { "  " }, theme.accent);
    let names = room.saturating_sub(12);
    match row {
        Row::Broken(i) => {
            let id = pairs.library.broken().get(i).map_or("", |broken| &broken.id);
            let name = fit(entry::name_of(id), names);
            Line::from(vec![cursor, Span::styled(format!("✗ {name}broken !"), theme.error)])
        }
        Row::Pair(i) => {
            let Some(entry) = pairs.library.entries.get(i) else { return Line::default() };
            let (mark, name) = match entry.pair().status {
                Status::Ready => (theme.good, theme.text),
                Status::Draft => (theme.faint, theme.text),
                Status::Discarded => (theme.faint, theme.faint),
            };
            let problem = match pairs.library.level(entry.id()) {
                Some(Level::Error) => Span::styled("‼", theme.error),
                Some(_) => Span::styled("!", theme.warning),
                None => Span::raw(" "),
            };
            Line::from(vec![
                cursor,
                Span::styled(sign(entry.pair().status), mark),
                Span::styled(if entry.is_unsaved() { "*" } else { " " }, theme.warning),
                Span::styled(fit(entry.name(), names), name),
                Span::styled(format!("{:>6} ", grouped(entry.words())), theme.faint),
                problem,
            ])
        }
    }
}

/// What to do where there is nothing.
fn empty(pairs: &Pairs, shared: &Shared) -> String {
    let key = |action| shared.keymap.key_for(Context::Pairs, action).map_or("the command".into(), |key| key.to_string());
    match pairs.reading {
        Reading::Never | Reading::First => "reading the pairs …".into(),
        _ if pairs.list.is_filtered() => "Nothing in this tier matches.".into(),
        _ => format!("No pair in this tier yet. {} makes one.", key(Action::NewPair)),
    }
}
