//! Draws a text with its marks, the list of them, and a ranking in the making.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{cut, indented};
use crate::review::marks::Marks;
use crate::ui::prose::marked::marked;
use crate::ui::prose::{self, visible};
use crate::ui::screens::review::Review;
use crate::ui::screens::review::marked::{Entry, entries};
use crate::ui::screens::review::ranking::Ranking;
use crate::ui::screens::review::spread::Spread;
use crate::ui::theme::Theme;
use crate::ui::widgets::{pane, window};

/// Of the source and what it is, before the words themselves.
const SOURCE: usize = 64;

impl Review {
    pub(super) fn draw_marked(&self, frame: &mut Frame, area: Rect, number: usize, text: &str, marks: &Marks, theme: &Theme) {
        let lines = self.columns.marked(text, marks, area.width, theme.has_signs());
        let last = self.columns.note(number, lines.len(), (area.width, area.height));
        let top = self.tops.get(number).copied().unwrap_or(0).min(last);
        let drawn = lines
            .iter()
            .skip(top)
            .take(usize::from(area.height))
            .map(|line| line.iter().map(|(mark, text)| Span::styled(text.as_str(), marked(*mark, theme))).collect::<Line>());
        frame.render_widget(Paragraph::new(drawn.collect::<Vec<_>>()), area);
    }

    pub(super) fn draw_marks(&self, frame: &mut Frame, area: Rect, spread: &Spread, cursor: usize, theme: &Theme) {
        let Some(shown) = spread.panes.get(self.pane.min(spread.panes.len().saturating_sub(1))) else { return };
        let marks = self.marks_of(spread, shown).unwrap_or_default();
        let entries = entries(&marks);
        let in_prompt = marks.copied.len() - marks.copied().count();
        let mut counts = marks.counts();
        if in_prompt > 0 {
            counts.push(format!("{in_prompt} more of the prompt"));
        }
        let title = format!("Copied and invented in {}", shown.title);
        let inner = indented(pane(frame, area, theme, &title, &counts.join(" · "), true));
        if entries.is_empty() {
            frame.render_widget(Line::styled("Nothing is marked in this text.", theme.faint), inner);
            return;
        }
        let cursor = cursor.min(entries.len() - 1);
        let text = match &shown.content {
            super::Content::Whole(text) => text.text.as_str(),
            _ => "",
        };
        // The words under the cursor in full, on the last lines.
        let below = 2.min(inner.height.saturating_sub(1));
        let height = usize::from(inner.height - below);
        let width = usize::from(inner.width);
        let rows = window(cursor, entries.len(), height).map(|at| {
            let (what, words) = match entries[at] {
                Entry::Copied(copied) => (format!("copied   {}", copied.source()), copied.span.of(text)),
                Entry::Invented(fact) => (format!("invented {} {}", fact.kind.word(), fact.text), fact.sentence.as_str()),
            };
            let (mark, style) = if at == cursor { ("▸ ", theme.cursor) } else { ("  ", theme.text) };
            let what = prose::fitted(&visible(&what), SOURCE.min(width / 2));
            let words = cut(&visible(words), width.saturating_sub(prose::width(&what) + 4));
            let row = format!("{mark}{what}  {words}");
            Line::styled(prose::fitted(&row, width), style)
        });
        let mut lines: Vec<Line> = rows.collect();
        lines.resize(height, Line::raw(""));
        let whole = match entries[cursor] {
            Entry::Copied(copied) => format!("“{}”", copied.span.of(text)),
            Entry::Invented(fact) => format!("“{}”", fact.sentence),
        };
        let whole = prose::wrap(&[((), whole.as_str())], width.max(1));
        lines.extend(
            whole
                .into_iter()
                .take(usize::from(below))
                .map(|line| Line::styled(line.into_iter().map(|(_, text)| text).collect::<String>(), theme.faint)),
        );
        frame.render_widget(Paragraph::new(lines), inner);
    }

    pub(super) fn draw_ranking(&self, frame: &mut Frame, area: Rect, ranking: &Ranking, spread: &Spread, theme: &Theme) {
        let inner = indented(pane(frame, area, theme, "Ranking, the best first", "", true));
        let title = |pane: &usize| spread.panes.get(*pane).map_or(String::new(), |pane| pane.title.clone());
        let alike = |place: &Vec<usize>| place.iter().map(title).collect::<Vec<_>>().join(" = ");
        let mut said = ranking.places.iter().map(alike).collect::<Vec<_>>().join(" > ");
        if !ranking.places.is_empty() {
            said.push_str(if ranking.is_alike { " = …" } else { " > …" });
        }
        // A hidden name is the pane's number already.
        let numbered = |pane: usize| if spread.is_hidden { title(&pane) } else { format!("{} {}", pane + 1, title(&pane)) };
        let left: Vec<String> = (0..spread.panes.len()).filter(|pane| !ranking.holds(*pane)).map(numbered).collect();
        let lines = vec![Line::raw(said), Line::styled(format!("Left: {}", left.join("   ")), theme.faint)];
        frame.render_widget(Paragraph::new(lines), inner);
    }
}
