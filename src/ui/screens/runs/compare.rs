//! Runs side by side: what came of them, and the settings in which they differ.

use super::look::Look;
use super::row::{Entry, Row};
use crate::run::journal::duration;
use crate::ui::prose::{fitted, visible, width};

/// A line of the comparison: a name, and what each run has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Head(&'static str),
    Values(String, Vec<String>),
    Space,
}

/// A run, and what is known of it by a closer look.
pub type Known<'r> = (&'r Entry, &'r Row, Option<&'r Look>);

/// The most columns that one run takes.
const WIDEST: usize = 40;

pub fn lines(runs: &[Known]) -> Vec<Line> {
    let values =
        |name: &str, of: &dyn Fn(&Known) -> String| Line::Values(name.to_owned(), runs.iter().map(|run| visible(&of(run))).collect());
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let mut lines = vec![
        values("", &|(entry, ..)| entry.name.clone()),
        values("date", &|(entry, ..)| entry.day.clone()),
        values("model", &|(_, row, _)| row.summary.model.clone()),
        values("method", &|(_, row, _)| row.method().to_owned()),
        values("pairs", &|(_, row, _)| format!("{}+{}", row.summary.pairs[0], row.summary.pairs[1])),
        Line::Space,
        Line::Head("What came of them"),
        values("state", &|(_, row, _)| row.summary.state.word().to_owned()),
        values("steps", &|(_, row, _)| format!("{} of {}", row.summary.step, row.summary.steps)),
        values("time", &|(_, row, _)| duration(row.summary.seconds)),
        values("training loss", &|(_, row, _)| or_dash(row.summary.training_loss.map(|loss| format!("{loss:.3}")))),
        values("best validation", &|(_, row, _)| or_dash(row.summary.best.map(|best| format!("{:.3} at {}", best.loss, best.step)))),
        values("canaries", &|(_, row, _)| or_dash(row.canaries.map(|verdict| verdict.to_string()))),
        values("mean rubric", &|(_, row, _)| or_dash(row.rubric.map(|mean| format!("{mean:.2}")))),
        Line::Space,
        Line::Head("Settings that differ"),
    ];
    let looks: Option<Vec<&Look>> = runs.iter().map(|(_, _, look)| *look).collect();
    let before = lines.len();
    for (at, setting) in looks.iter().flat_map(|looks| looks.first()).flat_map(|look| look.settings.iter().enumerate()) {
        let all: Vec<String> = looks.iter().flatten().map(|look| visible(&look.settings[at].value)).collect();
        if all.iter().any(|value| *value != all[0]) {
            lines.push(Line::Values(setting.key.into(), all));
        }
    }
    if looks.is_some() && lines.len() == before {
        lines.push(Line::Values("none".into(), vec![]));
    }
    lines
}

/// The names' columns, and those of one run, for a width.
pub fn columns(lines: &[Line], room: usize) -> (usize, usize) {
    let (mut names, mut values, mut runs) = (0, 0, 1);
    for line in lines {
        if let Line::Values(name, all) = line {
            names = names.max(width(name));
            values = all.iter().map(|value| width(value)).chain([values]).max().unwrap_or(0);
            runs = runs.max(all.len());
        }
    }
    (names, values.min(WIDEST).min((room.saturating_sub(names) / runs).saturating_sub(2)))
}

/// A line's text in these columns.
pub fn text(name: &str, values: &[String], (names, each): (usize, usize)) -> String {
    let values: String = values.iter().map(|value| format!("  {}", fitted(value, each))).collect();
    fitted(name, names) + &values
}
