//! The right pane while a run trains, and after: numbers, curves, canary samples, what the curves say and the log.

use std::path::Path;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::figures::Figures;
use super::look::{error_lines, scrolled};
use super::rows::{stage_word, without_day};
use super::{Train, Watched};
use crate::review::marks::Marks;
use crate::run::protocol::Outcome;
use crate::run::summary::State;
use crate::ui::keys::{Action, Context};
use crate::ui::prose::marked::{marked, marked_lines};
use crate::ui::prose::{visible, width, wrap};
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;
use crate::ui::widgets::{Chart, Look, Mark, Series, pane};
use crate::ui::work::Stage;

/// From here on the small charts stand beside the loss, and the samples beside the log.
const WIDE: u16 = 96;
/// From this height on there are empty lines around the numbers.
const ROOMY: u16 = 30;
/// Columns of a number with its name.
const NUMBER: usize = 23;
const NAME: usize = 13;
/// Columns of a pane's rule that its title and state leave free.
const RULE: usize = 6;
const WIDEST_PROSE: usize = 100;

/// What the right pane shows of a run.
struct Shown<'a> {
    figures: &'a Figures,
    title: String,
    state: &'a str,
    /// In place of the numbers, while there are none.
    waiting: Option<String>,
    error: Option<&'a str>,
    sample: Option<usize>,
    /// Knows what is marked in the sample.
    train: &'a Train,
    scroll: usize,
}

/// Below the pane's rule.
pub(super) fn inside(area: Rect) -> Rect {
    Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }
}

pub(super) fn view_now(train: &Train, frame: &mut Frame, area: Rect, shared: &Shared, is_focused: bool) {
    let Some(training) = shared.work.training() else { return };
    let folder = training.state.run.as_ref().and_then(|run| run.file_name());
    let waiting = match training.state.stage {
        _ if training.state.is_cancelled && training.state.stage != Stage::Ended => {
            Some("Stopping: what is under way is waited for; nothing was trained.")
        }
        Stage::Preparing => Some("Preparing: the pairs are read and tokenised."),
        Stage::Loading => Some("Loading: the weights go to the device."),
        Stage::Creating => Some("Making the run's folder."),
        Stage::Training if train.now.steps == 0 => Some("Starting."),
        Stage::Training | Stage::Stopping | Stage::Ended => None,
    };
    let shown = Shown {
        figures: &train.now,
        title: folder.map_or_else(|| training.state.order.name.clone(), |name| name.to_string_lossy().into_owned()),
        state: match training.state.stage {
            Stage::Stopping => "finishing the step",
            _ => stage_word(training),
        },
        waiting: waiting.map(Into::into),
        error: training.state.error.as_deref().or(training.log_error.as_deref()),
        sample: train.sample,
        train,
        scroll: train.scroll,
    };
    shown.view(frame, area, shared, is_focused);
}

pub(super) fn view_watched(train: &Train, folder: &Path, frame: &mut Frame, area: Rect, shared: &Shared, is_focused: bool) {
    let Some(Watched { figures, error, is_reading, .. }) = train.watched.as_ref().filter(|watched| watched.folder == *folder) else {
        return;
    };
    let state = match (figures.outcome, train.run(folder).map(|run| run.state)) {
        (None, Some(State::Running)) => "watching",
        (Some(Outcome::Finished), _) if figures.step >= figures.steps => "finished",
        (Some(Outcome::Failed), _) => "failed",
        (None, Some(State::Interrupted)) => "interrupted",
        _ => "stopped",
    };
    let shown = Shown {
        figures,
        title: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        state,
        waiting: (*is_reading && figures.steps == 0).then(|| "Reading the run's log…".into()),
        error: error.as_deref().or(figures.error.as_deref()),
        sample: train.sample,
        train,
        scroll: train.scroll,
    };
    shown.view(frame, area, shared, is_focused);
}

impl Shown<'_> {
    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, is_focused: bool) {
        let theme = &shared.theme;
        let title = visible(&self.title);
        let has_room = width(&title) + width(self.state) + RULE <= area.width.into();
        let inner = pane(frame, area, theme, if has_room { &title } else { without_day(&title) }, self.state, is_focused);
        if let Some(waiting) = &self.waiting {
            return scrolled(frame, inner, vec![Line::default(), Line::raw(format!(" {waiting}"))], 0);
        }
        let is_wide = inner.width >= WIDE;
        let mut top = self.error.map_or(vec![], |error| error_lines(error, theme, inner.width.into()));
        top.truncate(usize::from(inner.height / 3));
        top.extend(self.numbers(inner.width.into(), is_wide, theme));
        if inner.height >= ROOMY {
            top.insert(0, Line::default());
            top.push(Line::default());
        }
        let left = inner.height.saturating_sub(top.len() as u16);
        let charts = match left {
            // Too low for a chart that says anything.
            0..9 => 0,
            _ if is_wide => (left * 11 / 20).clamp(7, 26),
            _ => (left / 2).clamp(6, 14),
        };
        let [numbers, curves, below] =
            Layout::vertical([Constraint::Length(top.len() as u16), Constraint::Length(charts), Constraint::Fill(1)]).areas(inner);
        scrolled(frame, numbers, top, 0);
        if self.figures.steps > 0 && charts > 0 {
            if is_wide {
                let [loss, _, small] = Layout::horizontal([Constraint::Fill(7), Constraint::Length(2), Constraint::Fill(3)]).areas(curves);
                self.loss(frame, loss, theme);
                self.small_charts(frame, small, theme);
            } else {
                self.loss(frame, curves, theme);
            }
        }
        self.view_below(frame, below, is_wide, shared);
    }

    fn numbers(&self, columns: usize, is_wide: bool, theme: &Theme) -> Vec<Line<'static>> {
        let f = self.figures;
        let last = |points: &[(f64, f64)]| points.last().map(|point| point.1);
        let decimals = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.3}"));
        let mut numbers = vec![
            ("step", format!("{}/{}", f.step, f.steps)),
            ("epoch", format!("{}/{}", f.epoch, f.epochs)),
            match f.seconds_left {
                Some(seconds) => ("time left", clock(seconds)),
                None => ("time", clock(f.seconds)),
            },
            ("training", decimals(last(&f.smooth))),
            ("validation", decimals(last(&f.evals))),
            ("best ◆", decimals(f.best.map(|best| best.1))),
        ];
        if !is_wide {
            numbers.push(("learning rate", last(&f.rates).map_or("-".into(), |rate| format!("{rate:.1e}"))));
            numbers.push(("tokens/s", last(&f.speeds).map_or("-".into(), |speed| format!("{speed:.0}"))));
            if let Some(memory) = last(&f.memory) {
                numbers.push(("memory", format!("{memory:.1} GiB")));
            }
        }
        let most = (columns / (NUMBER + 1)).max(1);
        // Rows of the same length.
        let in_a_row = numbers.len().div_ceil(numbers.len().div_ceil(most));
        let line = |row: &[(&'static str, String)]| {
            let spans = row.iter().flat_map(|(name, value)| {
                [
                    Span::styled(format!(" {name:<NAME$} "), theme.faint),
                    Span::styled(format!("{value:<width$}", width = NUMBER - NAME - 1), theme.text),
                ]
            });
            Line::from(spans.collect::<Vec<_>>())
        };
        numbers.chunks(in_a_row).map(line).collect()
    }

    fn loss(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let f = self.figures;
        let [training, validation] = [theme.curves[0], theme.curves[1]];
        let series = [
            Series { points: f.losses.clone(), style: theme.faint, look: Look::Dots, ..Series::default() },
            Series { label: "training".into(), points: f.smooth.clone(), style: training, ..Series::default() },
            Series { label: "validation".into(), points: f.evals.clone(), style: validation, sign: Some('o'), ..Series::default() },
        ];
        let rules: Vec<(f64, String)> = f.epoch_starts.iter().map(|(step, epoch)| (*step, format!("epoch {epoch}"))).collect();
        let mark = f.best.map(|at| Mark { at, sign: '◆', style: theme.good });
        let chart =
            Chart { series: &series, steps: f.steps, end: None, y: None, rules: &rules, marks: mark.as_slice(), has_axes: true, theme };
        chart.render(area, frame.buffer_mut());
    }

    fn small_charts(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let f = self.figures;
        let last = |points: &[(f64, f64)]| points.last().map_or(0.0, |point| point.1);
        let mut charts = vec![
            ("learning rate", format!("{:.1e}", last(&f.rates)), &f.rates),
            ("tokens/s", format!("{:.0}", last(&f.speeds)), &f.speeds),
        ];
        if !f.memory.is_empty() {
            charts.push(("device memory", format!("{:.1} GiB", last(&f.memory)), &f.memory));
        }
        let areas = Layout::vertical(charts.iter().map(|_| Constraint::Fill(1))).split(area);
        for ((name, value, points), area) in charts.into_iter().zip(areas.iter()) {
            let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(*area);
            frame.render_widget(Line::from(vec![Span::styled(format!("{name:<NAME$} "), theme.faint), Span::raw(value)]), head);
            let series = [Series { points: points.clone(), style: theme.curves[4], ..Series::default() }];
            let chart =
                Chart { series: &series, steps: f.steps, end: None, y: Some([0.0, 0.0]), rules: &[], marks: &[], has_axes: false, theme };
            chart.render(Rect { height: body.height.saturating_sub(1).max(1).min(body.height), ..body }, frame.buffer_mut());
        }
    }

    fn view_below(&self, frame: &mut Frame, area: Rect, is_wide: bool, shared: &Shared) {
        if area.height == 0 {
            return;
        }
        if !is_wide {
            let columns = usize::from(area.width).min(WIDEST_PROSE);
            let mut lines = self.sample_lines(columns, shared);
            lines.extend(self.advice_lines(columns, &shared.theme));
            lines.extend(self.log_lines(columns, &shared.theme));
            return scrolled(frame, area, lines, self.scroll);
        }
        let [left, _, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(2), Constraint::Fill(1)]).areas(area);
        let columns = |area: Rect| usize::from(area.width).min(WIDEST_PROSE);
        scrolled(frame, left, self.sample_lines(columns(left), shared), self.scroll);
        let mut lines = self.advice_lines(columns(right), &shared.theme);
        lines.extend(self.log_lines(columns(right), &shared.theme));
        scrolled(frame, right, lines, 0);
    }

    fn sample_lines(&self, columns: usize, shared: &Shared) -> Vec<Line<'static>> {
        let theme = &shared.theme;
        let samples = &self.figures.samples;
        let Some(last) = samples.len().checked_sub(1) else { return vec![] };
        let at = self.sample.unwrap_or(last).min(last);
        let sample = &samples[at];
        let step = sample.step.unwrap_or_default();
        let mut head = format!("Canary {} after step {step}, {} of {}", visible(&sample.prompt), at + 1, samples.len());
        let key = |action| shared.keymap.key_for(Context::Train, action).map(|key| key.to_string());
        if let (Some(before), Some(next)) = (key(Action::PreviousSample), key(Action::NextSample)) {
            head += &format!("   {before} {next}");
        }
        let marks = self.train.marks_of(sample);
        let counts = marks.map(Marks::counts).unwrap_or_default();
        if !counts.is_empty() {
            head += &format!("   {}", counts.join(" · "));
        }
        let mut lines = vec![Line::default(), Line::styled(format!(" {head}"), theme.title)];
        let none = Marks::default();
        let text = marked_lines(&sample.text, marks.unwrap_or(&none), columns.saturating_sub(2).max(10), theme.has_signs());
        lines.extend(text.into_iter().map(|line| {
            let text = line.into_iter().map(|(mark, text)| Span::styled(text, marked(mark, theme)));
            std::iter::once(Span::raw(" ")).chain(text).collect::<Line>()
        }));
        lines
    }

    fn advice_lines(&self, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
        let advice = &self.figures.advice;
        if advice.is_empty() {
            return vec![];
        }
        let mut lines = vec![Line::default(), Line::styled(" What the curves say", theme.title)];
        lines.extend(advice.iter().flat_map(|advice| prose(advice, columns)).map(Line::raw));
        lines
    }

    /// The newest first.
    fn log_lines(&self, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
        let mut lines = vec![Line::default(), Line::styled(" Log", theme.title)];
        for line in self.figures.log.iter().rev() {
            let head = line.step.map_or_else(String::new, |step| format!("step {step}"));
            for (i, text) in prose(&line.words, columns.saturating_sub(11)).enumerate() {
                let head = if i == 0 { format!(" {head:<10}") } else { " ".repeat(11) };
                lines.push(Line::from(vec![Span::styled(head, theme.faint), Span::raw(text.trim_start().to_owned())]));
            }
        }
        lines
    }
}

fn prose(text: &str, columns: usize) -> impl Iterator<Item = String> {
    let lines = wrap(&[((), text)], columns.saturating_sub(2).max(10));
    lines.into_iter().map(|line| line.into_iter().fold(String::from(" "), |line, (_, text)| line + &text))
}

/// `0:42`, `1:02:05`.
fn clock(seconds: f64) -> String {
    let s = seconds.round().max(0.0) as u64;
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        hours => format!("{hours}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}
