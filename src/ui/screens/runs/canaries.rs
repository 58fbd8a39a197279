//! The canaries of all runs in words: what was scored, won and picked of A, B and C, the verdict, and the rule.

use super::details::Line;
use super::row::{Entry, Row};
use crate::review::canary_sheet::CanarySheet;
use crate::review::canary_verdict::rule;
use crate::run::summary::State;
use crate::ui::prose::{fitted, visible, width, wrap};

/// Columns of a canary's name and topic.
const NAMES: usize = 24;

/// In so many columns; `uncounted` is why nothing could be counted.
pub fn lines<'r>(runs: impl Iterator<Item = &'r Entry>, uncounted: Option<&str>, columns: usize) -> Vec<Line> {
    let mut lines = vec![];
    if let Some(why) = uncounted {
        lines.extend(wrapped(why, columns).map(Line::Alarm));
        return lines;
    }
    for entry in runs {
        let Ok(row) = &entry.run else { continue };
        lines.push(Line::Title(title(entry, row, columns)));
        match &row.sheet {
            None => lines.push(Line::Text("  No samples yet: they are drawn on the Review screen.".into())),
            Some(sheet) => of_sheet(sheet, columns, &mut lines),
        }
        lines.push(Line::Space);
    }
    if lines.is_empty() {
        lines.push(Line::Text("There is no run to show.".into()));
    }
    lines.push(Line::Head("The rule"));
    push_wrapped(&mut lines, &format!("{} Blind readings only.", rule()), columns, 0);
    lines
}

/// The run, and at the right its verdict.
fn title(entry: &Entry, row: &Row, columns: usize) -> String {
    let verdict = row.sheet.as_ref().map_or(String::new(), |sheet| sheet.words.clone());
    let state = match row.summary.state {
        State::Finished => String::new(),
        state => format!(", {}", state.word()),
    };
    let name = visible(&format!("{} · {} · {}{state}", entry.name, entry.day, row.summary.model));
    let room = columns.saturating_sub(width(&verdict) + 2);
    format!("{}  {verdict}", fitted(&name, room))
}

fn of_sheet(sheet: &CanarySheet, columns: usize, lines: &mut Vec<Line>) {
    push_wrapped(lines, sheet.meaning, columns, 2);
    for row in &sheet.canaries {
        let name = fitted(&format!("  {}  {}", row.canary, row.topic), NAMES);
        for (at, text) in [row.scores(), row.wins_and_picks()].into_iter().filter(|text| !text.is_empty()).enumerate() {
            for (line, text) in wrap(&[((), &text)], columns.saturating_sub(NAMES + 2).max(10)).into_iter().enumerate() {
                let name = if at + line == 0 { name.clone() } else { " ".repeat(NAMES) };
                let text: String = text.into_iter().map(|(_, text)| text).collect();
                let (value, remark) = if at == 0 { (text, String::new()) } else { (String::new(), text) };
                lines.push(Line::Value(name + "  ", value, remark));
            }
        }
    }
}

fn push_wrapped(lines: &mut Vec<Line>, text: &str, columns: usize, indent: usize) {
    lines.extend(wrapped(text, columns.saturating_sub(indent)).map(|text| Line::Text(format!("{:indent$}{text}", ""))));
}

fn wrapped(text: &str, columns: usize) -> impl Iterator<Item = String> {
    wrap(&[((), text)], columns.max(10)).into_iter().map(|line| line.into_iter().map(|(_, text)| text).collect())
}
