//! Below the panes: the verdict, or the rubric.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::tally::Running;
use super::{cut, indented};
use crate::review::verdict::{ArmName, Outcome, asked};
use crate::ui::keys::Action;
use crate::ui::prose::{self, visible};
use crate::ui::screen::Shared;
use crate::ui::screens::review::shelf::{Prompt, Shelf};
use crate::ui::screens::review::spread::{At, Spread, is_ordered};
use crate::ui::screens::review::{Review, key, training};
use crate::ui::theme::Theme;
use crate::ui::widgets::pane;

impl Review {
    pub(super) fn draw_verdict(&self, frame: &mut Frame, area: Rect, shelf: &Shelf, prompt: &Prompt, spread: &Spread, shared: &Shared) {
        let theme = &shared.theme;
        let temperature = self.temperature(shelf);
        let is_drawing = (0..shelf.runs.len()).any(|run| is_ordered(shelf, prompt, run, temperature, &shared.work));
        let width = usize::from(area.width.saturating_sub(2));
        let progress = self.progress(shared);
        // The verdict has a line, and what goes on beside it.
        let room = usize::from(area.height).saturating_sub(if progress.is_empty() { 2 } else { 3 });
        let tally = spread.verdict.map(|_| Running::of(shelf, temperature, width, room));
        let note = match (in_progress(shelf, prompt, shared), &tally) {
            (note, Some(tally)) if note.is_empty() => tally.note.to_owned(),
            (note, _) => note,
        };
        let inner = pane(frame, area, theme, "Verdict", &note, false);
        let draft = self.place().and_then(|place| self.drafts.get(&place)).filter(|draft| !draft.is_empty());
        let key = |action| key(&shared.keymap, action);
        let mut lines: Vec<Line> = vec![];
        match (draft, spread.verdict) {
            (Some(draft), _) if !spread.is_across => {
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
                lines.push(Line::raw(cut(&said.join(" · "), width)));
                let submit = key(Action::Submit);
                lines.push(Line::styled(
                    match draft.corrects.is_some() {
                        true => format!("{submit} puts the correction on record"),
                        false => format!("{submit} gives the verdict and shows the names"),
                    },
                    theme.faint,
                ));
            }
            (_, Some(verdict)) => {
                let reading = &verdict.reading;
                let mut said = vec![in_words(&reading.outcome, |arm| spread.title_of(shelf, arm))];
                said.push(if reading.blind { "read blind".into() } else { "names known".into() });
                match reading.scores.values().map(BTreeMap::len).sum::<usize>() {
                    0 => {}
                    1 => said.push("1 score".into()),
                    scores => said.push(format!("{scores} scores")),
                }
                if !reading.comment.is_empty() {
                    said.push(format!("“{}”", visible(&reading.comment)));
                }
                lines.push(Line::raw(cut(&said.join(" · "), width)));
                lines.extend(tally.into_iter().flat_map(|tally| tally.lines).map(|line| Line::styled(line, theme.faint)));
            }
            (_, None) if !spread.is_whole() && !progress.is_empty() => {}
            (_, None) if spread.is_across => {
                let (pick, back) = (key(Action::Pick), key(Action::Temperatures));
                let text =
                    format!("One arm at several temperatures, to be looked at: {pick} picks, {back} goes back to all arms at one of them.");
                let said = self.columns.lines(&text, inner.width.saturating_sub(2));
                lines.extend(said.iter().map(|line| Line::styled(line.clone(), theme.faint)));
            }
            (_, None) if spread.panes.is_empty() => lines.push(Line::styled("Nothing to judge yet.", theme.faint)),
            (_, None) => lines.push(Line::styled(
                format!(
                    "{} best   {} rank   {} tie   {} all bad   {} rubric   {} comment",
                    key(Action::Best),
                    key(Action::Rank),
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
        if !progress.is_empty() {
            lines.push(Line::raw(progress));
        }
        frame.render_widget(Paragraph::new(lines), indented(inner));
    }

    /// How far the drawing of samples is.
    fn progress(&self, shared: &Shared) -> String {
        let Some(reading) = shared.work.reading() else { return String::new() };
        let waiting = shared.work.queue().count();
        let stop = key(&shared.keymap, Action::StopGenerating);
        let more = if waiting > 0 { format!(" · {waiting} more to come") } else { String::new() };
        match (self.pace, reading.state.total) {
            (_, 0) => "getting ready to draw samples".to_owned(),
            (None, _) => format!("loading the model{more}"),
            (Some((_, rate)), total) => format!("{:>2} of {total} samples · {stop} stops · {rate:>4.0} tokens/s{more}", reading.state.done),
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
    pub(super) fn draw_rubric(
        &self,
        frame: &mut Frame,
        area: Rect,
        shelf: &Shelf,
        prompt: &Prompt,
        spread: &Spread,
        cursor: usize,
        theme: &Theme,
    ) {
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
        let ids: Vec<String> = dimensions.iter().map(|dimension| visible(&dimension.id)).collect();
        let has_labels = ids.iter().map(|id| prose::width(id) + 4).sum::<usize>() <= usize::from(width);
        let mut spans = vec![];
        for (at, (dimension, id)) in dimensions.iter().zip(&ids).enumerate() {
            let score = scores.and_then(|scores| scores.get(&dimension.id)).map_or("–".to_owned(), |score| score.get().to_string());
            let is_here = at == cursor;
            let label = if has_labels { format!("{id} ") } else { String::new() };
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
}

/// Which run is still training, where one is: its texts are of a step on the way. It names no pane.
fn in_progress(shelf: &Shelf, prompt: &Prompt, shared: &Shared) -> String {
    let training = training(shared);
    let Some(at) = shelf.runs.iter().position(|run| Some(run.folder.as_path()) == training) else { return String::new() };
    let of_run = shelf.arms.iter().zip(&prompt.texts).filter(|(arm, _)| arm.run == at);
    let step = of_run.flat_map(|(_, texts)| texts.values()).map(|text| text.step).max();
    let step = step.map_or(String::new(), |step| format!(": its texts are of step {step}"));
    format!("{} is still training{step}", visible(&shelf.runs[at].name))
}

fn in_words(outcome: &Outcome, title: impl Fn(&ArmName) -> String) -> String {
    let list = |arms: &[ArmName]| arms.iter().map(&title).collect::<Vec<_>>().join(" and ");
    match outcome {
        Outcome::Best(best) => format!("Best: {}", list(best)),
        Outcome::Ranking(groups) => {
            let alike = |arms: &Vec<ArmName>| arms.iter().map(&title).collect::<Vec<_>>().join(" = ");
            groups.iter().map(alike).collect::<Vec<_>>().join(" > ")
        }
        Outcome::Tie => "A tie".into(),
        Outcome::AllBad => "All bad".into(),
    }
}
