//! Draws the heat map: means in the head, the text in shades, the scale and the token under the cursor below it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::shown::Shown;
use super::{Heat, State, Which};
use crate::review::surprisal::{Cell, DIFFERENCE, SURPRISE, Shade, View, odds};
use crate::run::scores::ArmScores;
use crate::ui::prose::{self, visible};
use crate::ui::screen::Shared;
use crate::ui::screens::review::Review;
use crate::ui::screens::review::shelf::{Prompt, Shelf};
use crate::ui::screens::review::view::{cut, indented};
use crate::ui::theme::Theme;
use crate::ui::widgets::pane;

/// Narrower columns are no pleasure to read, wider ones neither.
const NARROWEST: u16 = 56;
const WIDEST: u16 = 102;

impl Review {
    pub(in crate::ui::screens::review) fn draw_heat(
        &self,
        frame: &mut Frame,
        area: Rect,
        shelf: &Shelf,
        prompt: &Prompt,
        heat: &Heat,
        shared: &Shared,
    ) {
        let theme = &shared.theme;
        let head_rows = if area.height < 16 { 2 } else { 3 };
        let [head, body, foot] = Layout::vertical([Constraint::Length(head_rows), Constraint::Fill(1), Constraint::Length(4)]).areas(area);
        let run = shelf.runs.get(heat.run);
        let by = run.map_or(String::new(), |run| format!("by {}", run.name));
        let title = format!("Surprisal · {} · {}", visible(&prompt.name), what(heat.which, shelf));
        let room = usize::from(head.width).saturating_sub(prose::width(&by) + 8);
        let inner = indented(pane(frame, head, theme, &cut(&title, room), &by, false));
        match &heat.state {
            State::Failed(error) => self.draw_words(frame, body, error, theme),
            State::Coming => self.draw_words(frame, body, &waiting(heat, shared), theme),
            State::Shown(shown) => {
                frame.render_widget(Paragraph::new(means(shown, theme)), inner);
                draw_columns(frame, body, shown, heat.view, theme);
                draw_foot(frame, foot, shown, heat.view, theme);
            }
        }
    }

    fn draw_words(&self, frame: &mut Frame, area: Rect, words: &str, theme: &Theme) {
        let area = indented(area);
        let lines = self.columns.lines(words, area.width.min(WIDEST));
        frame.render_widget(Paragraph::new(lines.iter().map(|line| Line::raw(line.clone())).collect::<Vec<_>>()).style(theme.text), area);
    }
}

fn what(which: Which, shelf: &Shelf) -> String {
    match which {
        Which::Sample { arm, temperature, sample } => format!("{} at {temperature}, sample {}", shelf.arms[arm].title, sample + 1),
        Which::Own => "your own text".into(),
        Which::Draft => "your draft, unchanged".into(),
    }
}

fn waiting(heat: &Heat, shared: &Shared) -> String {
    let work = &shared.work;
    match work.scores(heat.ticket) {
        true => "Both arms are reading the text …".into(),
        false if work.is_training() => "Another run is training: the text is scored when that has ended.".into(),
        false if work.reading().is_some() => "Samples are being drawn: the text is scored after them.".into(),
        false => "Getting ready to score the text …".into(),
    }
}

/// The mean is the loss on this text.
fn means<'a>(shown: &Shown, theme: &Theme) -> Vec<Line<'a>> {
    let means = &shown.means;
    let difference = means.difference();
    let how = if difference >= 0.0 { "less surprised" } else { "more surprised" };
    let mut first = vec![
        Span::raw(format!("base {:.2}   fine-tuned {:.2}   ", means.base, means.tuned)),
        Span::styled(format!("{:.2} {how}", difference.abs()), theme.title),
        Span::styled("   nats a token", theme.faint),
    ];
    if shown.scores.left_out > 0 {
        first.push(Span::styled(format!("   the last {} tokens have no room in this model", shown.scores.left_out), theme.warning));
    }
    let step = match shown.step {
        Some(step) => format!("at step {step} of training, not kept"),
        None => format!("at step {}", shown.scores.checkpoint),
    };
    let second = format!("{} tokens, {step}. Surprisal is −ln p; its mean is the loss on this text.", means.tokens);
    vec![Line::from(first), Line::styled(second, theme.faint)]
}

/// As many views side by side as there is room for, the one that was chosen among them.
fn columns(view: View, width: u16) -> Vec<View> {
    match (width / NARROWEST, view) {
        (0 | 1, view) => vec![view],
        (2, View::Difference) => vec![View::Tuned, View::Difference],
        (2, _) => vec![View::Base, View::Tuned],
        _ => View::ALL.to_vec(),
    }
}

fn draw_columns(frame: &mut Frame, area: Rect, shown: &Shown, view: View, theme: &Theme) {
    let views = columns(view, area.width);
    let places = Layout::horizontal(vec![Constraint::Fill(1); views.len()]).spacing(2).split(area);
    for (&of, place) in views.iter().zip(places.iter()) {
        let place = Rect { width: place.width.min(WIDEST), ..*place };
        let (title, note) = match (views.len(), of) {
            (1, _) => (of.word().to_owned(), ""),
            (_, View::Difference) => (marked(of, view), "base − fine-tuned"),
            _ => (marked(of, view), ""),
        };
        let inner = indented(pane(frame, place, theme, &title, note, of == view));
        let (lines, top) = shown.lines(usize::from(inner.width), usize::from(inner.height));
        let stretch = |(at, text): &(usize, String)| {
            let ground = shown.cells.get(*at).map_or(theme.text, |cell| theme.shade(cell.shade(of)));
            let style = if *at == shown.cursor { ground.patch(cursor(theme)) } else { ground };
            Span::styled(text.clone(), style)
        };
        let rows =
            lines.iter().skip(top).take(usize::from(inner.height)).map(|line| Line::from(line.iter().map(stretch).collect::<Vec<_>>()));
        frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), inner);
    }
}

fn marked(of: View, view: View) -> String {
    if of == view { format!("▸ {}", of.word()) } else { of.word().to_owned() }
}

/// Reversed, which none of the shades is.
fn cursor(theme: &Theme) -> Style {
    theme.title.add_modifier(Modifier::REVERSED)
}

fn draw_foot(frame: &mut Frame, area: Rect, shown: &Shown, view: View, theme: &Theme) {
    let place = format!("{} of {}", shown.cursor + 1, shown.cells.len());
    let inner = indented(pane(frame, area, theme, "Under the cursor", &place, false));
    let mut lines = vec![legend(view, theme)];
    if let Some(cell) = shown.here() {
        let width = usize::from(inner.width);
        lines.push(Line::raw(cut(&values(cell), width)));
        lines.push(Line::styled(cut(&rivals(cell, shown), width), theme.faint));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// The scale, each step in its shade.
fn legend<'a>(view: View, theme: &Theme) -> Line<'a> {
    let sample = |shade: Shade, text: String| Span::styled(format!(" {text} "), theme.shade(shade));
    let mut spans = vec![];
    match view {
        View::Base | View::Tuned => {
            let from = std::iter::once("0".to_owned()).chain(SURPRISE.iter().map(f64::to_string));
            spans.extend(from.enumerate().map(|(step, from)| sample(Shade::Surprise(step), from)));
            spans.push(Span::styled(" and more nats", theme.faint));
        }
        View::Difference => {
            spans.push(Span::styled("more surprised ", theme.faint));
            spans.extend((0..DIFFERENCE.len()).rev().map(|step| sample(Shade::More(step), format!("−{}", DIFFERENCE[step]))));
            spans.push(sample(Shade::Even, "even".into()));
            spans.extend((0..DIFFERENCE.len()).map(|step| sample(Shade::Less(step), format!("{}", DIFFERENCE[step]))));
            spans.push(Span::styled(" less surprised, by nats", theme.faint));
        }
    }
    Line::from(spans)
}

fn values(cell: &Cell) -> String {
    let text = match cell.text.as_str() {
        "" => "the end".to_owned(),
        text => format!("“{}”", named(text)),
    };
    let difference = cell.value(View::Difference);
    let sign = if difference < 0.0 { "−" } else { "+" };
    format!(
        "{text}   base {:.2} ({})   fine-tuned {:.2} ({})   difference {sign}{:.2}",
        cell.base,
        odds(cell.base),
        cell.tuned,
        odds(cell.tuned),
        difference.abs()
    )
}

/// What was likeliest besides, by each arm.
fn rivals(cell: &Cell, shown: &Shown) -> String {
    if cell.tokens.len() > 1 {
        return format!("{} tokens together", cell.tokens.len());
    }
    let of = |name: &str, arm: &ArmScores| cell.rival(arm).map(|rival| format!("{name} “{}” ({:.2})", named(&rival.text), -rival.logprob));
    let both: Vec<String> = [of("base", &shown.scores.base), of("fine-tuned", &shown.scores.tuned)].into_iter().flatten().collect();
    format!("else likeliest: {}", both.join(" · "))
}

/// With its line ends in sight.
fn named(text: &str) -> String {
    visible(&text.replace('\n', "¶"))
}
