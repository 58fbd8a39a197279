//! The table of runs: which columns there is room for, and what stands in them.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::row::{Entry, Row};
use crate::run::summary::State;
use crate::ui::prose::{fitted, visible, width};
use crate::ui::theme::Theme;

/// Between columns.
const GAP: usize = 2;
/// Of the mark before a row.
const MARK: usize = 4;
const SHORTEST_NAME: usize = 18;
const LONGEST_NAME: usize = 44;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Day,
    Model,
    Method,
    Pairs,
    Steps,
    Best,
    State,
    Canaries,
    Rubric,
}

/// In the order in which they stand.
const COLUMNS: [Column; 10] = [
    Column::Name,
    Column::Day,
    Column::Model,
    Column::Method,
    Column::Pairs,
    Column::Steps,
    Column::Best,
    Column::State,
    Column::Canaries,
    Column::Rubric,
];

/// The first to go where there is no room, one after another.
const DROPPED: [Column; 8] =
    [Column::Method, Column::Pairs, Column::Model, Column::Canaries, Column::Rubric, Column::Steps, Column::Day, Column::Best];

impl Column {
    fn title(self) -> &'static str {
        match self {
            Column::Name => "run",
            Column::Day => "date",
            Column::Model => "model",
            Column::Method => "method",
            Column::Pairs => "pairs",
            Column::Steps => "steps",
            Column::Best => "best validation",
            Column::State => "state",
            Column::Canaries => "canaries",
            Column::Rubric => "rubric",
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Column::Pairs | Column::Steps | Column::Best | Column::Rubric)
    }

    /// At least as wide as anything that can stand there, so that nothing jumps while a run goes on. Names are cut.
    fn width(self, entries: &[Entry]) -> usize {
        let longest =
            |text: &dyn Fn(&Row) -> usize| entries.iter().filter_map(|entry| Some(text(entry.run.as_ref().ok()?))).max().unwrap_or(0);
        let content = match self {
            Column::Name => entries.iter().map(|entry| width(&visible(&entry.name))).max().unwrap_or(0).clamp(SHORTEST_NAME, LONGEST_NAME),
            Column::Day => 10,
            Column::Model => longest(&|row| width(&row.summary.model)),
            Column::Method => 4,
            Column::Pairs => longest(&|row| pairs(row).len()),
            Column::Steps => longest(&|row| 2 * row.summary.steps.to_string().len() + 1),
            Column::Best => longest(&|row| row.summary.steps.to_string().len() + "12.345 at ".len()),
            Column::State => "! interrupted".len(),
            Column::Canaries => "voice without structure".len(),
            Column::Rubric => 4,
        };
        content.max(self.title().len())
    }

    fn text(self, row: &Row) -> String {
        let summary = &row.summary;
        match self {
            Column::Name | Column::Day => String::new(), // these stand in the entry
            Column::Model => visible(&summary.model),
            Column::Method => row.method().into(),
            Column::Pairs => pairs(row),
            Column::Steps if summary.steps == 0 => "-".into(),
            Column::Steps => format!("{}/{}", summary.step, summary.steps),
            Column::Best => summary.best.map_or("-".into(), |best| format!("{:.3} at {}", best.loss, best.step)),
            Column::State => format!("{} {}", sign(summary.state), summary.state.word()),
            Column::Canaries => row.canaries.map_or("-".into(), |verdict| verdict.to_string()),
            Column::Rubric => row.rubric.map_or("-".into(), |mean| format!("{mean:.2}")),
        }
    }
}

/// Train and held-out pairs.
fn pairs(row: &Row) -> String {
    let [train, validation] = row.summary.pairs;
    format!("{train}+{validation}")
}

pub fn sign(state: State) -> char {
    match state {
        State::Running => '●',
        State::Failed | State::Interrupted => '!',
        State::Finished => '✓',
        State::New | State::Stopped => ' ',
    }
}

pub fn state_style(state: State, theme: &Theme) -> Style {
    match state {
        State::Running => theme.accent,
        State::Finished => theme.good,
        State::Failed => theme.error,
        State::Interrupted => theme.warning,
        State::New | State::Stopped => theme.text,
    }
}

/// The columns for a width.
pub struct Table {
    columns: Vec<(Column, usize)>,
    room: usize,
}

impl Table {
    pub fn new(room: usize, entries: &[Entry]) -> Table {
        let mut columns: Vec<(Column, usize)> = COLUMNS.into_iter().map(|column| (column, column.width(entries))).collect();
        let needed = |columns: &[(Column, usize)]| MARK + columns.iter().map(|(_, width)| width + GAP).sum::<usize>() - GAP;
        for dropped in DROPPED {
            // A long name is cut before a column goes.
            let name = columns[0].1;
            if needed(&columns) - (name - SHORTEST_NAME.min(name)) <= room {
                break;
            }
            columns.retain(|(column, _)| *column != dropped);
        }
        let over = needed(&columns).saturating_sub(room);
        columns[0].1 = columns[0].1.saturating_sub(over).max(4);
        Table { columns, room }
    }

    pub fn titles(&self, theme: &Theme) -> Line<'static> {
        let cells = self.columns.iter().map(|(column, width)| match column.is_number() {
            true => format!("{:>width$}", column.title()),
            false => format!("{:<width$}", column.title()),
        });
        Line::styled(format!("{:MARK$}{}", "", cells.collect::<Vec<_>>().join(&" ".repeat(GAP))), theme.faint)
    }

    pub fn row(&self, entry: &Entry, is_marked: bool, is_under_cursor: bool, theme: &Theme) -> Line<'static> {
        let mark = format!("{} {} ", if is_under_cursor { "›" } else { " " }, if is_marked { "◆" } else { " " });
        let mut spans = vec![Span::styled(mark, theme.accent)];
        match &entry.run {
            Ok(row) => {
                for (i, (column, width)) in self.columns.iter().enumerate() {
                    let text = match column {
                        Column::Name => visible(&entry.name),
                        Column::Day => entry.day.clone(),
                        column => column.text(row),
                    };
                    let style = match column {
                        Column::State => state_style(row.summary.state, theme),
                        Column::Day | Column::Model | Column::Method | Column::Pairs => theme.faint,
                        _ => theme.text,
                    };
                    let gap = if i == 0 { 0 } else { GAP };
                    spans.push(Span::raw(" ".repeat(gap)));
                    let cell = if column.is_number() { format!("{text:>width$}") } else { fitted(&text, *width) };
                    spans.push(Span::styled(cell, style));
                }
            }
            Err(reason) => {
                let name = self.columns[0].1;
                spans.push(Span::raw(fitted(&visible(&entry.name), name)));
                let left = self.room.saturating_sub(MARK + name + GAP);
                spans.push(Span::styled(format!("{:GAP$}{}", "", fitted(&visible(&format!("! {reason}")), left)), theme.error));
            }
        }
        let used: usize = spans.iter().map(|span| width(&span.content)).sum();
        spans.push(Span::raw(" ".repeat(self.room.saturating_sub(used))));
        Line::from(spans).style(if is_under_cursor { theme.cursor } else { theme.text })
    }
}
