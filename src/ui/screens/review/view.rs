//! Draws the Review screen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_segmentation::UnicodeSegmentation;

use super::layout::Areas;
use super::shelf::{Kind, Prompt, Shelf};
use super::spread::{At, Content, Pane, Spread, is_ordered};
use super::{Focus, Mode, Review, key};
use crate::review::tally::tally;
use crate::review::verdict::{ArmName, Outcome, Reading, asked};
use crate::run::protocol::Finish;
use crate::ui::keys::Action;
use crate::ui::prose::{self, visible};
use crate::ui::screen::Shared;
use crate::ui::theme::Theme;
use crate::ui::widgets::{LineInput, pane, window};

/// A row of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Head(Kind),
    Space,
    Prompt(usize),
}

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
            Mode::Prompt(line) => draw_line(frame, areas.foot, theme, "Prompt", line, "what every arm is asked"),
            Mode::Reading => self.draw_verdict(frame, areas.foot, shelf, prompt, &spread, shared),
        }
    }

    /// The prompt in a row of the list that is drawn into `list`.
    pub(super) fn prompt_at(&self, list: Rect, y: u16) -> Option<usize> {
        let rows = self.rows();
        let shown = self.shown_rows(&rows, list.height.saturating_sub(1));
        let row = usize::from(y.checked_sub(list.y + 1)?);
        match rows.get(shown.start + row).filter(|_| shown.start + row < shown.end)? {
            Row::Prompt(prompt) => Some(*prompt),
            Row::Head(_) | Row::Space => None,
        }
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![];
        let mut last = None;
        for (at, prompt) in self.prompts().enumerate() {
            if last != Some(prompt.kind) {
                if last.is_some() {
                    rows.push(Row::Space);
                }
                rows.push(Row::Head(prompt.kind));
                last = Some(prompt.kind);
            }
            rows.push(Row::Prompt(at));
        }
        rows
    }

    fn shown_rows(&self, rows: &[Row], height: u16) -> std::ops::Range<usize> {
        let cursor = rows.iter().position(|row| *row == Row::Prompt(self.cursor)).unwrap_or(0);
        window(cursor, rows.len(), usize::from(height))
    }

    fn draw_list(&self, frame: &mut Frame, area: Rect, shelf: &Shelf, theme: &Theme) {
        let is_focused = self.focus == Focus::Prompts;
        let inner = pane(frame, area, theme, "Prompts", "read", is_focused);
        let rows = self.rows();
        let width = usize::from(inner.width);
        let lines = rows[self.shown_rows(&rows, inner.height)].iter().map(|row| match row {
            Row::Space => Line::raw(""),
            Row::Head(kind) => Line::styled(
                match kind {
                    Kind::Canary => "Canaries",
                    Kind::HeldOut => "Held-out pairs",
                    Kind::Free => "Your own",
                },
                theme.faint,
            ),
            Row::Prompt(at) => {
                let prompt = &shelf.prompts[*at];
                let samples = prompt.samples();
                let read = match samples {
                    0 => "–".to_owned(),
                    n => format!("{}/{n}", judged(shelf, prompt)),
                };
                let name = match prompt.kind {
                    Kind::Canary => format!("{}  {}", prompt.name, prompt.about),
                    Kind::HeldOut | Kind::Free => visible(&prompt.name),
                };
                let name = cut(&name, width.saturating_sub(4 + prose::width(&read)));
                let pad = width.saturating_sub(3 + prose::width(&name) + prose::width(&read));
                let is_here = *at == self.cursor;
                let mark = if is_here { " ▸ " } else { "   " };
                let style = match (is_here, is_focused) {
                    (true, true) => theme.cursor,
                    (true, false) => theme.cursor_elsewhere,
                    (false, _) => theme.text,
                };
                let count = if is_here { style } else { theme.faint };
                Line::from(vec![Span::raw(format!("{mark}{name}{}", " ".repeat(pad))), Span::styled(read, count)]).style(style)
            }
        });
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
    }

    fn draw_head(&self, frame: &mut Frame, area: Rect, shelf: &Shelf, prompt: &Prompt, spread: &Spread, shared: &Shared) {
        let title = match prompt.kind {
            Kind::Canary => format!("{} · {}", prompt.name, prompt.about),
            Kind::HeldOut => format!("{} · {}", prompt.name, prompt.about),
            Kind::Free => "A prompt of your own".to_owned(),
        };
        let which = match self.at {
            At::Sample(sample) => format!("sample {} of {}", sample + 1, prompt.samples().max(shelf.samples).max(sample + 1)),
            At::Picks => "the picked samples".to_owned(),
        };
        let blind = if spread.is_hidden { "blind" } else { "names shown" };
        let right = format!("{which} · {blind}");
        let room = usize::from(area.width).saturating_sub(prose::width(&right) + 8);
        let inner = pane(frame, area, &shared.theme, &cut(&visible(&title), room), &right, false);
        let text = Rect { height: inner.height.min(2), ..indented(inner) };
        let mut lines = self.columns.lines(&prompt.text, text.width).iter().take(3).cloned().collect::<Vec<_>>();
        lines.retain(|line| !line.is_empty());
        let is_longer = lines.len() > usize::from(text.height) || prompt.text.lines().count() > 1;
        lines.truncate(usize::from(text.height));
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
        let note = pane_note(shown, usize::from(area.width).saturating_sub(prose::width(&shown.title) + 12));
        let inner = match areas.is_single && spread.panes.len() > 1 {
            true => {
                let inner = pane(frame, area, theme, "", &note, is_focused);
                let room = usize::from(area.width).saturating_sub(prose::width(&note) + 4);
                let tabs = tab_line(spread, number, is_focused, |shown| self.is_best(shown, spread), room, theme);
                let width = tabs.width() as u16;
                frame.render_widget(tabs, Rect { x: area.x, width: width.min(area.width), height: 1, ..area });
                inner
            }
            false => pane(frame, area, theme, &self.title(shown, spread, is_current), &note, is_focused),
        };
        let text = indented(inner);
        let words = match &shown.content {
            Content::Missing => "No sample here.".to_owned(),
            Content::Whole(text) if text.text.trim().is_empty() => "An empty text: the model ended at once.".to_owned(),
            Content::Whole(whole) => return self.draw_text(frame, text, number, &whole.text),
            Content::Written(part) if part.is_empty() => "To be written …".to_owned(),
            Content::Written(part) => return self.draw_text(frame, text, number, part),
        };
        let words = if shown.sample.is_none() {
            format!("Nothing picked of this arm; {} picks.", key(&shared.keymap, Action::Pick))
        } else {
            words
        };
        self.columns.note(number, 1, text.height);
        frame.render_widget(Line::styled(words, theme.faint), text);
    }

    fn draw_text(&self, frame: &mut Frame, area: Rect, number: usize, text: &str) {
        let lines = self.columns.lines(text, area.width);
        let last = self.columns.note(number, lines.len(), area.height);
        let top = self.tops.get(number).copied().unwrap_or(0).min(last);
        let shown = lines.iter().skip(top).take(usize::from(area.height)).map(|line| Line::raw(line.as_str()));
        frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), area);
    }

    /// Marked where keys are about it, and where it is among the best.
    fn title(&self, shown: &Pane, spread: &Spread, is_current: bool) -> String {
        let here = if is_current && spread.panes.len() > 1 { "▸ " } else { "" };
        let best = if self.is_best(shown, spread) { " ★" } else { "" };
        format!("{here}{}{best}", shown.title)
    }

    fn is_best(&self, shown: &Pane, spread: &Spread) -> bool {
        let outcome = self.outcome(spread);
        let Some(shelf) = &self.shelf else { return false };
        matches!(outcome, Some(Outcome::Best(best)) if best.contains(&shelf.arms[shown.arm].name))
    }

    /// What is decided on these texts, on record or not yet.
    fn outcome<'a>(&'a self, spread: &Spread<'a>) -> Option<&'a Outcome> {
        let draft = self.place().and_then(|place| self.drafts.get(&place).or_else(|| self.under_way.get(&place)));
        match draft {
            Some(draft) => draft.outcome.as_ref(),
            None => spread.verdict.map(|verdict| &verdict.reading.outcome),
        }
    }

    fn draw_verdict(&self, frame: &mut Frame, area: Rect, shelf: &Shelf, prompt: &Prompt, spread: &Spread, shared: &Shared) {
        let theme = &shared.theme;
        let is_drawing = (0..shelf.runs.len()).any(|run| is_ordered(shelf, prompt, run, &shared.work));
        let right = self.progress(shared);
        let inner = pane(frame, area, theme, "Verdict", &right, false);
        let draft = self.place().and_then(|place| self.drafts.get(&place)).filter(|draft| !draft.is_empty());
        let key = |action| key(&shared.keymap, action);
        let mut lines: Vec<Line> = vec![];
        match (draft, spread.verdict) {
            (Some(draft), _) => {
                let mut said = vec![match &draft.outcome {
                    Some(outcome) => in_words(outcome, |arm| spread.title_of(shelf, arm)),
                    None => "no outcome yet".to_owned(),
                }];
                let asked = asked(&shelf.rubric, prompt.long).count() * draft.shown.len();
                if draft.scored() > 0 {
                    said.push(format!("{} of {asked} scores", draft.scored()));
                }
                if !draft.comment.is_empty() {
                    said.push(format!("“{}”", visible(&draft.comment)));
                }
                lines.push(Line::raw(said.join(" · ")));
                let submit = key(Action::Submit);
                lines.push(Line::styled(
                    match draft.corrects.is_some() {
                        true => format!("{submit} puts the correction on record"),
                        false => format!("{submit} gives the verdict and shows the names"),
                    },
                    theme.faint,
                ));
            }
            (None, Some(verdict)) => {
                let reading = &verdict.reading;
                let mut said = vec![in_words(&reading.outcome, |arm| spread.title_of(shelf, arm))];
                said.push(if reading.blind { "read blind".into() } else { "names known".into() });
                if !reading.comment.is_empty() {
                    said.push(format!("“{}”", visible(&reading.comment)));
                }
                lines.push(Line::raw(said.join(" · ")));
                lines.push(Line::styled(running_tally(shelf, usize::from(inner.width).saturating_sub(2)), theme.faint));
            }
            (None, None) if spread.panes.is_empty() => lines.push(Line::styled("Nothing to judge yet.", theme.faint)),
            (None, None) => lines.push(Line::styled(
                format!(
                    "{} best   {} tie   {} all bad   {} rubric   {} comment",
                    key(Action::Best),
                    key(Action::Tie),
                    key(Action::AllBad),
                    key(Action::ScoreArms),
                    key(Action::Comment)
                ),
                theme.faint,
            )),
        }
        if !spread.panes.is_empty() && !spread.missing.is_empty() && !is_drawing {
            lines.push(Line::styled(self.what_is_missing(shelf, prompt, spread, shared), theme.faint));
        }
        frame.render_widget(Paragraph::new(lines), indented(inner));
    }

    /// How far the drawing of samples is.
    fn progress(&self, shared: &Shared) -> String {
        let Some(reading) = shared.work.reading() else { return String::new() };
        let waiting = shared.work.queue().count();
        let stop = key(&shared.keymap, Action::StopGenerating);
        let more = if waiting > 0 { format!(" · {waiting} more to come") } else { String::new() };
        match (self.pace, reading.total()) {
            (_, 0) => "getting ready to draw samples".to_owned(),
            (None, _) => format!("loading the model{more}"),
            (Some((_, rate)), total) => format!("{:>2} of {total} samples · {rate:>4.0} tokens/s{more} · {stop} stops", reading.done),
        }
    }

    /// While names are hidden, only how many: by their absence the others would be known.
    fn what_is_missing(&self, shelf: &Shelf, prompt: &Prompt, spread: &Spread, shared: &Shared) -> String {
        let name = |arms: &[usize]| match (spread.is_hidden, arms.len()) {
            (true, 1) => "one arm".to_owned(),
            (true, n) => format!("{n} arms"),
            (false, _) => arms.iter().map(|&arm| shelf.arms[arm].title.as_str()).collect::<Vec<_>>().join(", "),
        };
        let (asked, not): (Vec<usize>, Vec<usize>) = spread.missing.iter().partition(|&&arm| shelf.is_asked(prompt, shelf.arms[arm].run));
        let mut said = vec![];
        if !asked.is_empty() {
            let what = if self.at == At::Picks { "not picked yet" } else { "not drawn" };
            said.push(format!("{what}: {}", name(&asked)));
        }
        if !not.is_empty() {
            said.push(format!("not asked for a long piece: {}", name(&not)));
        }
        if !asked.is_empty() && self.at != At::Picks {
            said.push(format!("{} draws", key(&shared.keymap, Action::Generate)));
        }
        said.join(" · ")
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is drawn")]
    fn draw_rubric(&self, frame: &mut Frame, area: Rect, shelf: &Shelf, prompt: &Prompt, spread: &Spread, cursor: usize, theme: &Theme) {
        let pane_at = self.pane.min(spread.panes.len().saturating_sub(1));
        let Some(shown) = spread.panes.get(pane_at) else { return };
        let dimensions: Vec<_> = asked(&shelf.rubric, prompt.long).collect();
        let Some(dimension) = dimensions.get(cursor) else { return };
        let draft = self.place().and_then(|place| self.drafts.get(&place));
        let recorded = spread.verdict.map(|verdict| &verdict.reading.scores);
        let name = &shelf.arms[shown.arm].name;
        let scores = draft.map(|draft| &draft.scores).or(recorded).and_then(|scores| scores.get(name));
        let title = format!("{}: {}", shown.title, visible(&dimension.name));
        let inner = pane(frame, area, theme, &title, &format!("{} of {}", cursor + 1, dimensions.len()), true);
        let text = indented(inner);
        let width = text.width;
        let mut lines: Vec<Line> =
            self.columns.lines(&dimension.question, width).iter().take(2).map(|line| Line::raw(line.clone())).collect();
        for (score, meaning) in [(1, &dimension.low), (5, &dimension.high)] {
            let said = self.columns.lines(meaning, width.saturating_sub(4));
            let more = if said.len() > 1 { " …" } else { "" };
            let first = said.first().map_or("", String::as_str);
            let first = if more.is_empty() { first.to_owned() } else { cut(first, usize::from(width).saturating_sub(6)) };
            lines.push(Line::from(vec![
                Span::styled(format!("{score}   "), theme.accent),
                Span::styled(format!("{first}{more}"), theme.faint),
            ]));
        }
        lines.push(Line::raw(""));
        let mut spans = vec![];
        for (at, dimension) in dimensions.iter().enumerate() {
            let score = scores.and_then(|scores| scores.get(&dimension.id)).map_or("–".to_owned(), |score| score.get().to_string());
            let is_here = at == cursor;
            let label = if width >= 90 { format!("{} ", visible(&dimension.id)) } else { String::new() };
            let text = if is_here { format!("[{label}{score}]") } else { format!(" {label}{score} ") };
            spans.push(Span::styled(text, if is_here { theme.title.patch(theme.accent) } else { theme.text }));
        }
        lines.push(Line::from(spans));
        // The row of scores stays in sight whatever the room.
        let height = usize::from(text.height);
        if lines.len() > height && height > 0 {
            lines.drain(height.saturating_sub(1)..lines.len() - 1);
        }
        frame.render_widget(Paragraph::new(lines), text);
    }

    fn why_empty(&self) -> Vec<String> {
        if let Some(error) = &self.error {
            return vec![error.clone()];
        }
        match &self.shelf {
            None => vec!["Reading runs, samples and verdicts …".into()],
            Some(shelf) => {
                let mut said = vec![
                    "No run has a result yet.".to_owned(),
                    "Review lays the texts of base and fine-tuned models side by side, without their names, for you to judge. Train a model on the Train screen first; it can be read from its first checkpoint on.".to_owned(),
                ];
                said.extend(shelf.problems.iter().cloned());
                said
            }
        }
    }

    fn why_no_prompt(&self, shelf: &Shelf, shared: &Shared) -> Vec<String> {
        let mut said = shelf.problems.clone();
        said.push(format!("There is no prompt to read: {} asks one of your own.", key(&shared.keymap, Action::FreePrompt)));
        said
    }

    fn why_no_text(&self, shelf: &Shelf, prompt: &Prompt, shared: &Shared) -> Vec<String> {
        let asked: Vec<usize> = (0..shelf.arms.len()).filter(|&arm| shelf.is_asked(prompt, shelf.arms[arm].run)).collect();
        let arms = asked.iter().map(|&arm| shelf.arms[arm].title.as_str()).collect::<Vec<_>>().join(", ");
        let mut said = vec![];
        if asked.is_empty() {
            said.push("This prompt asks for a long piece, and no model here can write one.".into());
        } else {
            said.push("Nothing was drawn of this prompt yet.".to_owned());
            said.push(format!("{} draws {} samples of each arm: {arms}.", key(&shared.keymap, Action::Generate), shelf.samples));
        }
        for run in shelf.runs.iter().filter(|run| run.step.is_none()) {
            said.push(format!("{} has no checkpoint yet: it can be read when it has one.", run.name));
        }
        said.extend(shelf.problems.iter().cloned());
        said
    }
}

/// Standing verdicts on a prompt's samples.
fn judged(shelf: &Shelf, prompt: &Prompt) -> usize {
    let is_ours = |reading: &Reading| reading.prompt == prompt.id && reading.arms().any(|arm| shelf.arm_of(arm).is_some());
    let samples = shelf.verdicts.verdicts.iter().filter(|verdict| is_ours(&verdict.reading));
    let mut samples: Vec<usize> = samples.filter_map(|verdict| verdict.reading.shown.first().map(|shown| shown.sample)).collect();
    samples.sort_unstable();
    samples.dedup();
    samples.len().min(prompt.samples())
}

fn in_words(outcome: &Outcome, title: impl Fn(&ArmName) -> String) -> String {
    let list = |arms: &[ArmName]| arms.iter().map(&title).collect::<Vec<_>>().join(" and ");
    match outcome {
        Outcome::Best(best) => format!("Best: {}", list(best)),
        Outcome::Ranking(groups) => groups.iter().map(|group| list(group)).collect::<Vec<_>>().join(" > "),
        Outcome::Tie => "A tie".into(),
        Outcome::AllBad => "All bad".into(),
    }
}

/// How often each arm won so far, the most successful first; as many as there is room for.
fn running_tally(shelf: &Shelf, room: usize) -> String {
    let readings = shelf.verdicts.verdicts.iter().map(|verdict| &verdict.reading);
    let tally = tally(readings.filter(|reading| reading.arms().all(|arm| shelf.arm_of(arm).is_some())), ArmName::clone);
    let mut arms = tally.arms;
    arms.sort_by(|a, b| b.win_rate().partial_cmp(&a.win_rate()).unwrap_or(std::cmp::Ordering::Equal));
    let mut said = "Won so far: ".to_owned();
    for (at, arm) in arms.iter().enumerate() {
        let title = shelf.arm_of(&arm.arm).map_or_else(|| arm.arm.to_string(), |at| shelf.arms[at].title.clone());
        let one = format!("{}{title} {} of {}", if at > 0 { " · " } else { "" }, arm.wins, arm.readings);
        if prose::width(&said) + prose::width(&one) > room {
            said.push_str(" …");
            break;
        }
        said.push_str(&one);
    }
    said
}

/// Beside a pane's title, as much as there is room for: nothing that tells one model from another.
fn pane_note(shown: &Pane, room: usize) -> String {
    let mut said = vec![];
    if shown.is_picked {
        said.push("picked".to_owned());
    }
    match &shown.content {
        Content::Whole(text) => {
            if text.finish == Finish::Length {
                said.push("not ended".into());
            }
            said.push(format!("{} words", text.text.split_whitespace().count()));
        }
        Content::Written(_) => said.push("being written".into()),
        Content::Missing => {}
    }
    while said.len() > 1 && prose::width(&said.join(" · ")) > room {
        said.pop();
    }
    said.join(" · ")
}

fn tab_line(
    spread: &Spread,
    current: usize,
    is_focused: bool,
    is_best: impl Fn(&Pane) -> bool,
    room: usize,
    theme: &Theme,
) -> Line<'static> {
    let rule = if is_focused { theme.border_focused } else { theme.border };
    let mut spans = vec![Span::styled(if is_focused { "━ " } else { "─ " }, rule)];
    let all: usize = spread.panes.iter().map(|pane| prose::width(&pane.title) + 5).sum();
    for (at, shown) in spread.panes.iter().enumerate() {
        let is_here = at == current;
        // Where not all fit, the others are numbers.
        let best = if is_best(shown) { " ★" } else { "" };
        let title = if all <= room || is_here { format!("{}{best}", shown.title) } else { format!("{}{best}", at + 1) };
        let style = if is_here { theme.title.patch(theme.accent) } else { theme.faint };
        spans.push(Span::styled(format!("{}{title}", if is_here { "▸" } else { " " }), style));
        spans.push(Span::raw("  "));
    }
    Line::from(spans)
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
fn indented(area: Rect) -> Rect {
    Rect { x: area.x + 1.min(area.width), width: area.width.saturating_sub(2), ..area }
}

/// The start of a text that fits, with `…` where it is cut.
fn cut(text: &str, columns: usize) -> String {
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
