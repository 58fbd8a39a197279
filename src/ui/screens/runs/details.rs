//! One run in words: what it was made from, which settings were chosen, what came of it, and the writer's journal.

use super::look::Look;
use super::row::{Entry, Row};
use crate::review::canary_verdict::rule;
use crate::run::journal::duration;
use crate::ui::prose::{fitted, visible, width, wrap};

/// A line of the details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Head(&'static str),
    /// The same, of text that is not fixed.
    Title(String),
    /// A name with the spaces behind it, a value, and a faint remark.
    Value(String, String, String),
    /// Of a table: its columns are laid out already.
    Plain(String),
    Text(String),
    /// Faint as well, and as long as it likes.
    Wrapped(String),
    /// What needs attention.
    Alarm(String),
    Space,
}

/// `uncounted` is why no reading is counted, where none is.
pub fn lines(entry: &Entry, row: &Row, look: &Look, uncounted: Option<&str>, columns: usize) -> Vec<Line> {
    let summary = &row.summary;
    let keys = look.chosen(summary.method).map(|setting| width(setting.key));
    let names = keys.chain(["best validation".len()]).max().unwrap_or(0);
    let mut page = Page { columns: columns.max(10), names: names.min(columns / 2), lines: vec![] };
    page.head("How it went");
    page.value("state", summary.state.word());
    if let Some(error) = &look.error {
        page.wrapped(error, Line::Alarm);
    }
    page.value("steps", &format!("{} of {}, {} of training", summary.step, summary.steps, duration(summary.seconds)));
    if let Some(loss) = summary.training_loss {
        page.value("training loss", &format!("{loss:.3}"));
    }
    if let Some(best) = summary.best {
        page.value("best validation", &format!("{:.3} at step {}", best.loss, best.step));
    }
    let checkpoints: Vec<String> = look
        .checkpoints
        .iter()
        .map(|step| if Some(*step) == look.result { format!("{step} (the result)") } else { step.to_string() })
        .collect();
    page.value("checkpoints", if checkpoints.is_empty() { "none yet".into() } else { checkpoints.join(", ") }.as_str());
    if let Some(why) = uncounted {
        page.wrapped(why, Line::Alarm);
    }
    if let Some(verdict) = row.canaries {
        page.value("canaries", &verdict.to_string());
        page.wrapped(&format!("{} {}", verdict.meaning(), rule()), Line::Text);
    }
    if let Some(mean) = row.rubric {
        page.value("mean rubric", &format!("{mean:.2} of 5"));
    }
    look.advice.iter().for_each(|advice| page.wrapped(advice, Line::Text));

    page.head("Made from");
    page.value("folder", &entry.folder_name());
    page.value("begun", &row.created);
    look.made_from.iter().for_each(|line| page.wrapped(line, Line::Text));

    page.head("Settings that are not the defaults");
    for setting in look.chosen(summary.method) {
        page.value(setting.key, &setting.value);
        page.remark(setting.default.as_ref().map(|default| format!("default {default}")));
    }

    page.head("Journal");
    match look.journal.is_empty() {
        true => page.wrapped("journal.md is not there, or empty.", Line::Text),
        false => look.journal.lines().for_each(|line| page.wrapped(line, Line::Text)),
    }
    page.lines
}

struct Page {
    columns: usize,
    /// Columns of the names.
    names: usize,
    lines: Vec<Line>,
}

impl Page {
    fn head(&mut self, title: &'static str) {
        if !self.lines.is_empty() {
            self.lines.push(Line::Space);
        }
        self.lines.push(Line::Head(title));
    }

    fn value(&mut self, name: &str, value: &str) {
        let room = self.columns.saturating_sub(self.names + 2).max(10);
        for (at, line) in wrap(&[((), value)], room).into_iter().enumerate() {
            let name = fitted(if at == 0 { name } else { "" }, self.names) + "  ";
            self.lines.push(Line::Value(name, line.into_iter().map(|(_, text)| text).collect(), String::new()));
        }
    }

    /// Behind the last value, or below it where there is no room.
    fn remark(&mut self, remark: Option<String>) {
        let Some(text) = remark.map(|text| visible(&text)) else { return };
        if let Some(Line::Value(name, value, remark)) = self.lines.last_mut()
            && width(name) + width(value) + width(&text) + 3 <= self.columns
        {
            *remark = format!("   {text}");
            return;
        }
        for line in wrap(&[((), &text)], self.columns.saturating_sub(self.names + 2).max(10)) {
            let text = line.into_iter().map(|(_, text)| text).collect();
            self.lines.push(Line::Value(" ".repeat(self.names + 2), String::new(), text));
        }
    }

    fn wrapped(&mut self, text: &str, of: impl Fn(String) -> Line) {
        if text.trim().is_empty() {
            self.lines.push(Line::Space);
            return;
        }
        let lines = wrap(&[((), text)], self.columns);
        self.lines.extend(lines.into_iter().map(|line| of(line.into_iter().map(|(_, text)| text).collect())));
    }
}
