//! The right pane before a start: what a run of the config would be, in words; or its values as a form.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::rows::Pick;
use super::{Focus, Train, live};
use crate::run::preflight::Level;
use crate::ui::keys::{Action, Context};
use crate::ui::prose::{visible, wrap};
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;
use crate::ui::widgets::pane;
use crate::ui::work::Order;

/// Prose is no wider than this.
const WIDEST: usize = 100;
/// Columns before what is found: a sign and the topic.
const MARGIN: usize = 15;

impl Train {
    pub(super) fn view_detail(&self, frame: &mut Frame, area: Rect, shared: &Shared) {
        let theme = &shared.theme;
        let is_focused = self.focus == Focus::Detail || self.form.is_some();
        if let Some(form) = &self.form {
            let right = if self.edits.contains_key(&self.config) { "* changed here" } else { "" };
            let inner = pane(frame, area, theme, &format!("Values of {}", visible(&self.config)), right, is_focused);
            return form.view(frame, inner, theme);
        }
        match &self.pick {
            Pick::Now => live::view_now(self, frame, area, shared, is_focused),
            Pick::Run(folder) => live::view_watched(self, folder, frame, area, shared, is_focused),
            Pick::Queued(index) => {
                let inner = pane(frame, area, theme, "In the queue", "", is_focused);
                self.paragraphs(frame, inner, &queued(shared.work.queue().nth(*index), shared));
            }
            Pick::Config(name) => {
                let right = if self.looking.is_some() { "looking…" } else { "" };
                let title = if name.is_empty() { "Before a start".into() } else { format!("Before a start of {}", visible(name)) };
                let inner = pane(frame, area, theme, &title, right, is_focused);
                self.paragraphs(frame, inner, &self.before_a_start(shared));
            }
        }
    }

    fn before_a_start<'a>(&'a self, shared: &'a Shared) -> Vec<Said<'a>> {
        let theme = &shared.theme;
        let key = |context, action| shared.keymap.key_for(context, action).map_or_else(|| "the palette".into(), |key| key.to_string());
        let Some(listed) = self.listed() else {
            let none = "configs/ has no training config. `voicetune init DIR` writes a set to start from.";
            return vec![plain(theme.text, if self.listing.is_some() { none } else { "Looking for configs…" })];
        };
        let config = match (&listed.config, self.chosen()) {
            (Err(error), _) => return vec![topic("!", theme.error, "config", error.clone())],
            (Ok(_), None) => return vec![],
            (Ok(_), Some(config)) => config,
        };
        let mut lines: Vec<Said> = self
            .edits
            .get(&self.config)
            .into_iter()
            .flat_map(|edited| &edited.changes)
            .map(|words| topic("*", theme.accent, "changed", words.clone()))
            .collect();
        let Some((of, look)) = &self.look else {
            lines.push(plain(theme.faint, "Looking at the model, the pairs and the memory…"));
            return lines;
        };
        if of != config {
            lines.push(plain(theme.faint, "Looking at the model, the pairs and the memory…"));
            return lines;
        }
        lines.push(match look.blocker() {
            Some(_) => {
                plain(theme.error, format!("This cannot start yet. Press {} to look again.", key(Context::Train, Action::Preflight)))
            }
            None => plain(
                theme.text,
                format!(
                    "Ready. Press {} to start, {} to change values first.",
                    key(Context::Train, Action::StartTraining),
                    key(Context::Train, Action::EditConfig)
                ),
            ),
        });
        lines.push(plain(theme.text, ""));
        let mut before = "";
        for (level, name, words) in &look.findings {
            let (sign, style) = match level {
                Level::Ok => (" ", theme.text),
                Level::Warning => ("!", theme.warning),
                Level::Blocker => ("×", theme.error),
            };
            lines.push(topic(sign, style, if *name == before { "" } else { name }, words.clone()));
            before = name;
        }
        lines
    }

    fn paragraphs(&self, frame: &mut Frame, area: Rect, paragraphs: &[Said]) {
        let lines: Vec<Line> = paragraphs.iter().flat_map(|paragraph| paragraph.lines(usize::from(area.width).min(WIDEST))).collect();
        scrolled(frame, area, lines, self.scroll);
    }
}

/// The lines from the one the writer scrolled to; the last screenful where that is further than they go.
pub(super) fn scrolled(frame: &mut Frame, area: Rect, lines: Vec<Line>, scroll: usize) {
    let last = lines.len().saturating_sub(area.height.into());
    let shown: Vec<Line> = lines.into_iter().skip(scroll.min(last)).take(area.height.into()).collect();
    frame.render_widget(Paragraph::new(shown), area);
}

/// A sign, a topic and what is said about it, with the words in a column of their own.
struct Said<'a> {
    sign: &'static str,
    topic: Option<&'a str>,
    words: String,
    style: Style,
    faint: Style,
}

fn topic<'a>(sign: &'static str, style: Style, topic: &'a str, words: String) -> Said<'a> {
    Said { sign, topic: Some(topic), words, style, faint: Style::default() }
}

fn plain<'a>(style: Style, words: impl Into<String>) -> Said<'a> {
    Said { sign: "", topic: None, words: words.into(), style, faint: style }
}

impl Said<'_> {
    fn lines(&self, columns: usize) -> Vec<Line<'static>> {
        let margin = if self.topic.is_some() { MARGIN } else { 1 };
        let wrapped: Vec<String> = self
            .words
            .split('\n')
            .flat_map(|line| wrap(&[((), line)], columns.saturating_sub(margin + 1).max(10)))
            .map(|line| line.into_iter().map(|(_, text)| text).collect())
            .collect();
        let head = |i: usize| match (self.topic, i) {
            (Some(topic), 0) => format!("{:<2}{topic:<width$}", self.sign, width = MARGIN - 2),
            _ => " ".repeat(margin),
        };
        wrapped
            .into_iter()
            .enumerate()
            .map(|(i, text)| Line::from(vec![Span::styled(head(i), self.faint.patch(self.style)), Span::styled(text, self.style)]))
            .collect()
    }
}

fn queued<'a>(order: Option<&Order>, shared: &Shared) -> Vec<Said<'a>> {
    let theme = &shared.theme;
    let mut lines = match order {
        None => return vec![],
        Some(Order::Read(order)) => {
            vec![plain(theme.text, format!("Samples for {} prompts of {}.", order.prompts.len(), order.run.display()))]
        }
        Some(Order::Score(order)) => {
            vec![plain(theme.text, format!("How likely a text is, by {}.", order.request.run.display()))]
        }
        Some(Order::Train(order)) => {
            let pairs = match &order.only {
                None => "all that are ready when it starts".into(),
                Some(ids) => ids.join(", "),
            };
            let mut lines = vec![
                topic(" ", theme.text, "config", order.config.name.clone()),
                topic(" ", theme.text, "model", order.config.model.clone()),
                topic(" ", theme.text, "pairs", pairs),
            ];
            if let Some(run) = &order.resume {
                lines.push(topic(" ", theme.text, "goes on with", run.file_name().unwrap_or_default().to_string_lossy().into_owned()));
            }
            lines
        }
    };
    lines.push(plain(theme.text, ""));
    if let Some(key) = shared.keymap.key_for(Context::Train, Action::StopTraining) {
        lines.push(plain(theme.text, format!("It starts when what is under way has ended. {key} takes it out of the queue.")));
    }
    lines
}

pub(super) fn error_lines(error: &str, theme: &Theme, columns: usize) -> Vec<Line<'static>> {
    topic("!", theme.error, "failed", error.to_owned()).lines(columns.min(WIDEST))
}
