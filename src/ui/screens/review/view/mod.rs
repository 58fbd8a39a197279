//! Draws the Review screen.

mod foot;
mod list;
mod marks;
mod tally;
mod words;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_segmentation::UnicodeSegmentation;

use super::layout::Areas;
use super::shelf::{Kind, Prompt, Shelf};
use super::spread::{At, Content, Pane, Spread};
use super::{Focus, Mode, Review, key};
use crate::review::marks::Marks;
use crate::review::verdict::Outcome;
use crate::run::protocol::Finish;
use crate::ui::keys::{Action, Context};
use crate::ui::prose::{self, visible};
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;
use crate::ui::widgets::{LineInput, pane};

impl Review {
    pub(super) fn draw(&self, frame: &mut Frame, area: Rect, shared: &Shared) {
        let theme = &shared.theme;
        let Some(shelf) = self.shelf.as_ref().filter(|shelf| !shelf.runs.is_empty()) else {
            let inner = pane(frame, area, theme, "Review", "", true);
            return paragraphs(frame, inner, &self.why_empty(), theme);
        };
        let (Some(prompt), Some(spread)) = (self.prompt(), self.spread(shared)) else {
            let inner = pane(frame, area, theme, "Review", "", true);
            return paragraphs(frame, inner, &self.why_no_prompt(shelf, shared), theme);
        };
        if let Some(heat) = &self.heat {
            return self.draw_heat(frame, area, shelf, prompt, heat, shared);
        }
        let areas = Areas::new(area, self.wanted_areas(spread.panes.len()));
        if let Some(list) = areas.list {
            self.draw_list(frame, list, shelf, theme);
        }
        if areas.head.is_empty() {
            return;
        }
        self.draw_head(frame, areas.head, shelf, prompt, &spread, shared);
        if spread.panes.is_empty() {
            let between = Rect { y: areas.head.bottom(), height: areas.foot.y.saturating_sub(areas.head.bottom()), ..areas.head };
            paragraphs(frame, between, &self.why_no_text(shelf, prompt, shared), theme);
        }
        for (number, rect) in &areas.panes {
            self.draw_pane(frame, *rect, *number, &spread, &areas, shared);
        }
        match &self.mode {
            Mode::Rating(dimension) => self.draw_rubric(frame, areas.foot, shelf, prompt, &spread, *dimension, theme),
            Mode::Comment(line) => draw_line(frame, areas.foot, theme, "Comment", line, "what the scores do not say"),
            Mode::Prompt(text) => {
                let (ask, leave) = (prompt_key(shared, Action::Accept), prompt_key(shared, Action::Cancel));
                let inner = pane(frame, areas.foot, theme, "What every arm is asked", &format!("{ask} asks · {leave} cancels"), true);
                text.view(frame, indented(inner), theme);
            }
            Mode::Ranking(ranking) => self.draw_ranking(frame, areas.foot, ranking, &spread, theme),
            Mode::Marks(cursor) => self.draw_marks(frame, areas.foot, &spread, *cursor, theme),
            Mode::Reading => self.draw_verdict(frame, areas.foot, shelf, prompt, &spread, shared),
        }
    }

    fn draw_head(&self, frame: &mut Frame, area: Rect, shelf: &Shelf, prompt: &Prompt, spread: &Spread, shared: &Shared) {
        let title = match prompt.kind {
            Kind::Canary => format!("{} · {}", prompt.name, prompt.about),
            Kind::HeldOut => format!("{} · {}", prompt.name, prompt.about),
            Kind::Free if prompt.about.is_empty() => "A prompt of your own".to_owned(),
            Kind::Free => format!("A prompt of your own · {}", prompt.about),
        };
        let which = match self.at {
            At::Sample(sample) => match self.samples(shelf, prompt, shared) {
                0 => "no sample yet".to_owned(),
                all => format!("sample {} of {}", sample + 1, all.max(sample + 1)),
            },
            At::Picks => "the picked samples".to_owned(),
        };
        let blind = if spread.is_hidden { "blind" } else { "names shown" };
        let at = match spread.is_across {
            true => format!("{} temperatures", spread.panes.len()),
            false => format!("at {}", self.temperature(shelf)),
        };
        let right = format!("{which} · {at} · {blind}");
        let room = usize::from(area.width).saturating_sub(prose::width(&right) + 8);
        let inner = pane(frame, area, &shared.theme, &cut(&visible(&title), room), &right, false);
        let text = Rect { height: inner.height.min(2), ..indented(inner) };
        let height = usize::from(text.height);
        let whole = self.columns.lines(&prompt.text, text.width);
        let mut lines: Vec<String> = whole.iter().filter(|line| !line.is_empty()).take(height + 1).cloned().collect();
        let is_longer = lines.len() > height;
        lines.truncate(height);
        if let Some(last) = lines.last_mut().filter(|_| is_longer) {
            *last = format!("{} …", cut(last, usize::from(text.width).saturating_sub(2)));
        }
        let lines: Vec<Line> = lines.into_iter().map(|line| Line::styled(line, shared.theme.faint)).collect();
        frame.render_widget(Paragraph::new(lines), text);
    }

    fn draw_pane(&self, frame: &mut Frame, area: Rect, number: usize, spread: &Spread, areas: &Areas, shared: &Shared) {
        let theme = &shared.theme;
        let shown = &spread.panes[number];
        let is_current = self.pane.min(spread.panes.len() - 1) == number;
        let is_focused = is_current && self.focus == Focus::Panes;
        let others = if areas.is_single { 4 * spread.panes.len() } else { 0 };
        let marks = self.marks_of(spread, shown);
        let title = self.title(shown, spread, is_current);
        let note = pane_note(shown, marks.as_deref(), usize::from(area.width).saturating_sub(prose::width(&title) + 7 + others));
        let inner = match areas.is_single && spread.panes.len() > 1 {
            true => {
                let inner = pane(frame, area, theme, "", &note, is_focused);
                let room = usize::from(area.width).saturating_sub(prose::width(&note) + 4);
                let tabs = tab_line(spread, number, is_focused, |shown| self.place_mark(shown, spread), room, theme);
                let width = tabs.width() as u16;
                frame.render_widget(tabs, Rect { x: area.x, width: width.min(area.width), height: 1, ..area });
                inner
            }
            false => pane(frame, area, theme, &title, &note, is_focused),
        };
        let text = indented(inner);
        let words = match &shown.content {
            Content::Missing => "No sample here.".to_owned(),
            Content::Whole(text) if text.text.trim().is_empty() => "An empty text: the model ended at once.".to_owned(),
            Content::Whole(whole) => match &marks {
                Some(marks) => return self.draw_marked(frame, text, number, &whole.text, marks, theme),
                None => return self.draw_text(frame, text, number, &whole.text),
            },
            Content::Written(part) if part.is_empty() && spread.is_hidden => {
                "Being written … It is shown when every arm has begun, so that who writes first betrays nothing.".to_owned()
            }
            Content::Written(part) if part.is_empty() => "To be written …".to_owned(),
            Content::Written(part) => return self.draw_text(frame, text, number, part),
        };
        let words = if shown.sample.is_none() {
            format!("Nothing picked of this arm; {} picks.", key(&shared.keymap, Action::Pick))
        } else {
            words
        };
        self.columns.note(number, 1, (text.width, text.height));
        let lines = self.columns.lines(&words, text.width);
        let lines: Vec<Line> = lines.iter().map(|line| Line::styled(line.clone(), theme.faint)).collect();
        frame.render_widget(Paragraph::new(lines), text);
    }

    fn draw_text(&self, frame: &mut Frame, area: Rect, number: usize, text: &str) {
        let lines = self.columns.lines(text, area.width);
        let last = self.columns.note(number, lines.len(), (area.width, area.height));
        let top = self.tops.get(number).copied().unwrap_or(0).min(last);
        let shown = lines.iter().skip(top).take(usize::from(area.height)).map(|line| Line::raw(line.as_str()));
        frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), area);
    }

    /// Marked where keys are about it, and where it is among the best.
    fn title(&self, shown: &Pane, spread: &Spread, is_current: bool) -> String {
        let here = if is_current && spread.panes.len() > 1 { "▸ " } else { "" };
        format!("{here}{}{}", shown.title, self.place_mark(shown, spread))
    }

    /// Behind a title: a star for the best, in a ranking the place.
    fn place_mark(&self, shown: &Pane, spread: &Spread) -> String {
        let Some(shelf) = &self.shelf else { return String::new() };
        let arm = &shelf.arms[shown.arm].name;
        match self.outcome(spread) {
            Some(Outcome::Best(best)) if best.contains(arm) => " ★".into(),
            Some(Outcome::Ranking(groups)) => {
                groups.iter().position(|group| group.contains(arm)).map_or(String::new(), |place| format!(" #{}", place + 1))
            }
            _ => String::new(),
        }
    }

    /// What is decided on these texts, on record or not yet.
    fn outcome<'a>(&'a self, spread: &Spread<'a>) -> Option<&'a Outcome> {
        let draft = self.place().and_then(|place| self.drafts.get(&place).or_else(|| self.under_way.get(&place)));
        match draft {
            Some(draft) => draft.outcome.as_ref(),
            None => spread.verdict.map(|verdict| &verdict.reading.outcome),
        }
    }
}

/// Beside a pane's title, as much as there is room for: nothing that tells one model from another while names are hidden, and then there are no marks.
fn pane_note(shown: &Pane, marks: Option<&Marks>, room: usize) -> String {
    let mut said = vec![];
    if shown.is_picked {
        said.push("picked".to_owned());
    }
    match &shown.content {
        Content::Whole(text) => {
            said.extend(marks.into_iter().flat_map(Marks::counts));
            if text.finish == Finish::Length {
                said.push("not ended".into());
            }
            said.push(format!("{} words", text.text.split_whitespace().count()));
        }
        Content::Written(_) => said.push("being written".into()),
        Content::Missing => {}
    }
    while prose::width(&said.join(" · ")) > room {
        match said.pop() {
            // Rather half a word on what was copied than none.
            Some(last) if said.is_empty() && last.ends_with(" words copied") => {
                let short = last.replace(" words", "");
                return if prose::width(&short) <= room { short } else { String::new() };
            }
            Some(_) => {}
            None => break,
        }
    }
    said.join(" · ")
}

fn tab_line(
    spread: &Spread,
    current: usize,
    is_focused: bool,
    place_mark: impl Fn(&Pane) -> String,
    room: usize,
    theme: &Theme,
) -> Line<'static> {
    let rule = if is_focused { theme.border_focused } else { theme.border };
    let mut spans = vec![Span::styled(if is_focused { "━ " } else { "─ " }, rule)];
    let title = |shown: &Pane| format!("{}{}", shown.title, place_mark(shown));
    let all: usize = spread.panes.iter().map(|shown| prose::width(&title(shown)) + 3).sum();
    for (at, shown) in spread.panes.iter().enumerate() {
        let is_here = at == current;
        // Where not all fit, the others are numbers.
        let title = if all <= room || is_here { title(shown) } else { (at + 1).to_string() };
        let style = if is_here { theme.title.patch(theme.accent) } else { theme.faint };
        spans.push(Span::styled(format!("{}{title}", if is_here { "▸" } else { " " }), style));
        spans.push(Span::raw("  "));
    }
    Line::from(spans)
}

/// A key while a prompt is written.
fn prompt_key(shared: &Shared, action: Action) -> String {
    shared.keymap.key_for(Context::Ask, action).map_or_else(|| "the palette".into(), |key| key.to_string())
}

fn draw_line(frame: &mut Frame, area: Rect, theme: &Theme, title: &str, line: &LineInput, placeholder: &str) {
    let inner = pane(frame, area, theme, title, "", true);
    line.view(frame, indented(inner), theme, placeholder);
}

/// Sentences, each a paragraph with a blank line after it.
fn paragraphs(frame: &mut Frame, area: Rect, said: &[String], theme: &Theme) {
    let inner = indented(area);
    let width = usize::from(inner.width.min(90)).max(1);
    let mut lines = vec![Line::raw("")];
    for sentence in said {
        lines.extend(
            prose::wrap(&[((), sentence.as_str())], width)
                .into_iter()
                .map(|line| Line::raw(line.into_iter().map(|(_, text)| text).collect::<String>())),
        );
        lines.push(Line::raw(""));
    }
    frame.render_widget(Paragraph::new(lines).style(theme.text), inner);
}

/// A column of air on both sides.
pub(super) fn indented(area: Rect) -> Rect {
    Rect { x: area.x + 1.min(area.width), width: area.width.saturating_sub(2), ..area }
}

/// The start of a text that fits, with `…` where it is cut.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if prose::width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    for cluster in text.graphemes(true) {
        if prose::width(&out) + prose::width(cluster) >= columns {
            break;
        }
        out.push_str(cluster);
    }
    format!("{}…", out.trim_end())
}
