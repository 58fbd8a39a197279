//! The left pane: the configs, what is under way and queued, and runs to go on with.

use std::path::PathBuf;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::Train;
use crate::config::Method;
use crate::run::summary::State;
use crate::ui::prose::visible;
use crate::ui::screen::Shared;
use crate::ui::widgets::{pane, window};
use crate::ui::work::{Order, Stage, Training};

/// What the cursor is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pick {
    Config(String),
    /// The run that the worker trains, or trained last.
    Now,
    /// By its place in the queue.
    Queued(usize),
    Run(PathBuf),
}

/// A line of the pane.
enum Row {
    Heading(&'static str),
    Blank,
    Choice(Pick, Cells),
}

struct Cells {
    /// One column, for what is not as it should be, or was changed.
    sign: &'static str,
    name: String,
    /// From the left, each shown where all of them up to it have room.
    more: Vec<String>,
}

/// Columns of the second and third cell.
const MORE: [usize; 2] = [12, 4];

impl Train {
    /// What the cursor can be on, from above.
    pub(super) fn picks(&self, shared: &Shared) -> Vec<Pick> {
        let choices = |row: Row| match row {
            Row::Choice(pick, _) => Some(pick),
            Row::Heading(_) | Row::Blank => None,
        };
        self.rows(shared).into_iter().filter_map(choices).collect()
    }

    /// What is drawn in this row of the pane, where it can be chosen.
    pub(super) fn pick_at(&self, row: usize, height: usize, shared: &Shared) -> Option<Pick> {
        let rows = self.rows(shared);
        let shown = window(self.cursor_row(&rows), rows.len(), height);
        match rows.into_iter().nth(shown.start + row) {
            Some(Row::Choice(pick, _)) if row < height => Some(pick),
            _ => None,
        }
    }

    pub(super) fn view_list(&self, frame: &mut Frame, area: Rect, shared: &Shared, is_focused: bool) {
        let theme = &shared.theme;
        let inner = pane(frame, area, theme, "Training", "", is_focused);
        let Some(listing) = &self.listing else {
            let text = self.list_error.clone().map_or_else(|| "Looking for configs…".into(), |error| visible(&error));
            let text = ratatui::widgets::Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: true });
            return frame.render_widget(text.style(if self.list_error.is_some() { theme.error } else { theme.faint }), inner);
        };
        let names = listing.configs.iter().map(|config| config.name.width()).max().unwrap_or(0);
        let rows = self.rows(shared);
        let shown = window(self.cursor_row(&rows), rows.len(), inner.height.into());
        for (row, y) in rows[shown].iter().zip(inner.y..) {
            let line = Rect { y, height: 1, ..inner };
            match row {
                Row::Blank => {}
                Row::Heading(text) => frame.render_widget(Span::styled(*text, theme.faint), line),
                Row::Choice(pick, cells) => {
                    let style = match (*pick == self.pick, is_focused) {
                        (true, true) => theme.cursor,
                        (true, false) => theme.cursor_elsewhere,
                        (false, _) => theme.text,
                    };
                    let mark = if *pick == self.pick { "›" } else { " " };
                    frame.render_widget(Line::raw(fit(mark, cells, names, inner.width.into())).style(style), line);
                }
            }
        }
    }

    fn cursor_row(&self, rows: &[Row]) -> usize {
        rows.iter().position(|row| matches!(row, Row::Choice(pick, _) if *pick == self.pick)).unwrap_or(0)
    }

    fn rows(&self, shared: &Shared) -> Vec<Row> {
        let Some(listing) = &self.listing else { return vec![] };
        let mut rows = vec![Row::Heading(" configs")];
        for listed in &listing.configs {
            let (sign, more) = match &listed.config {
                Err(_) => ("!", vec!["cannot be read".into()]),
                Ok(config) => {
                    let method = match config.method {
                        Method::Lora => "lora",
                        Method::Full => "full",
                    };
                    let sign = if self.edits.contains_key(&listed.name) { "*" } else { " " };
                    (sign, vec![config.short_name(), method.into()])
                }
            };
            rows.push(Row::Choice(Pick::Config(listed.name.clone()), Cells { sign, name: listed.name.clone(), more }));
        }
        if let Some(training) = shared.work.training() {
            let (sign, heading) = match training.state.stage {
                Stage::Ended if training.state.error.is_some() => ("!", " last run"),
                Stage::Ended => (" ", " last run"),
                _ => ("▸", " under way"),
            };
            rows.extend([Row::Blank, Row::Heading(heading)]);
            let name = training.state.run.as_ref().map_or_else(|| training.state.order.name.clone(), |run| folder_name(run));
            rows.push(Row::Choice(Pick::Now, Cells { sign, name, more: vec![stage_word(training).into()] }));
        }
        for (i, order) in shared.work.queue().enumerate() {
            if i == 0 {
                rows.extend([Row::Blank, Row::Heading(" queue")]);
            }
            let name = match order {
                Order::Train(order) => order.name.clone(),
                Order::Read(order) => format!("samples of {}", folder_name(&order.run)),
                Order::Score(order) => format!("surprisal by {}", folder_name(&order.request.run)),
            };
            rows.push(Row::Choice(Pick::Queued(i), Cells { sign: " ", name, more: vec![] }));
        }
        let runs: Vec<_> = self.runs_to_show(shared).collect();
        if !runs.is_empty() {
            rows.extend([Row::Blank, Row::Heading(" runs to go on with")]);
        }
        for run in runs {
            let sign = if run.state == State::Running { "▸" } else { " " };
            let more = vec![run.state.word().into()];
            rows.push(Row::Choice(Pick::Run(run.folder.clone()), Cells { sign, name: run.folder_name(), more }));
        }
        rows
    }
}

/// What the run is at, in a word.
pub(super) fn stage_word(training: &Training) -> &'static str {
    use crate::run::protocol::Outcome;
    match (training.state.stage, training.state.outcome) {
        (Stage::Ended, _) if training.state.error.is_some() => "failed",
        (Stage::Ended, Some(Outcome::Finished)) => "finished",
        (Stage::Ended, _) => "stopped",
        _ if training.state.is_cancelled => "stopping",
        (Stage::Preparing, _) => "preparing",
        (Stage::Loading | Stage::Creating, _) => "loading",
        (Stage::Training, _) => "training",
        (Stage::Stopping, _) => "stopping",
    }
}

fn folder_name(path: &std::path::Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The name of a run's folder without the day in front.
pub(super) fn without_day(name: &str) -> &str {
    let is_day = |day: &str| day.bytes().enumerate().all(|(i, b)| if matches!(i, 4 | 7 | 10) { b == b'-' } else { b.is_ascii_digit() });
    match name.split_at_checked("2026-11-22-".len()) {
        Some((day, rest)) if is_day(day) && !rest.is_empty() => rest,
        _ => name,
    }
}

/// The row's cells in so many columns; a name too long for them ends in an ellipsis.
fn fit(mark: &str, cells: &Cells, names: usize, columns: usize) -> String {
    let room = columns.saturating_sub(3);
    let mut name = visible(&cells.name);
    if name.width() > room {
        name = without_day(&name).to_owned();
    }
    let mut used = name.width().max(names.min(room));
    let mut line = format!("{mark}{} ", cells.sign);
    if name.width() > room {
        let mut cut = String::new();
        for c in name.chars() {
            if cut.width() + 2 > room {
                break;
            }
            cut.push(c);
        }
        return format!("{line}{cut}…");
    }
    line += &name;
    line += &" ".repeat(used - name.width());
    for (text, columns) in cells.more.iter().zip(MORE) {
        let columns = if cells.more.len() == 1 { text.width() } else { columns.max(text.width()) };
        if used + 2 + columns > room {
            break;
        }
        line += &format!("  {text:<columns$}");
        used += 2 + columns;
    }
    line
}
