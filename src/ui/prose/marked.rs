//! Outputs with their marks in the terminal: copied spans underlined, invented facts in italics, and signs around both where there are no colours.

use ratatui::style::Style;

use super::{Line, wrap};
use crate::review::marks::{Mark, Marks, signed};
use crate::ui::theme::Theme;

/// How a marked stretch is drawn.
pub fn marked(mark: Mark, theme: &Theme) -> Style {
    let style = if mark.invented { theme.invented } else { theme.text };
    if mark.copied { style.patch(theme.verbatim) } else { style }
}

/// The text in lines, cut up where marks begin and end.
pub fn marked_lines(text: &str, marks: &Marks, columns: usize, has_signs: bool) -> Vec<Line<Mark>> {
    let mut lines = vec![];
    for paragraph in paragraphs(text) {
        let cut = marks.cut(text, paragraph);
        let wrapped = match has_signs {
            true => {
                let signed = signed(&cut);
                wrap(&signed.iter().map(|(mark, text)| (*mark, &**text)).collect::<Vec<_>>(), columns)
            }
            false => wrap(&cut, columns),
        };
        lines.extend(wrapped);
    }
    lines
}

/// The line in which the mark that begins at this byte begins; the first where it is in none.
pub fn line_of(text: &str, byte: usize, lines: &[Line<Mark>]) -> usize {
    // Letters are the same however a text is laid out; blanks are not. Signs hold none.
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
    let before = letters(&text[..byte]);
    let mut seen = 0;
    let holds = |line: &Line<Mark>| {
        seen += line.iter().map(|(_, text)| letters(text)).sum::<usize>();
        seen > before
    };
    lines.iter().position(holds).unwrap_or(0)
}

/// The bytes of each paragraph, without empty ones at either end.
fn paragraphs(text: &str) -> Vec<std::ops::Range<usize>> {
    let trimmed = text.trim_matches('\n');
    let mut start = text.len() - text.trim_start_matches('\n').len();
    let range = |paragraph: &str| {
        let range = start..start + paragraph.len();
        start = range.end + 1;
        range
    };
    trimmed.split('\n').map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::{Pair, Split, Status, Tier};
    use crate::review::marks::{Asked, Trained};

    fn plain_lines(text: &str, columns: usize) -> Vec<String> {
        let lines = text.trim_matches('\n').split('\n').flat_map(|paragraph| wrap(&[((), paragraph)], columns));
        lines.map(|line| line.into_iter().map(|(_, text)| text).collect()).collect()
    }

    #[test]
    fn marked_texts_are_laid_out_like_others() {
        let essay = "Every clock in the town told its own time.";
        let (tier, status, split) = (Tier::Note, Status::Ready, Split::Auto);
        let (prompt, response, notes) = (String::new(), essay.into(), String::new());
        let pair = Pair { id: "a".into(), tier, source: "a".into(), prompt, response, status, split, notes };
        let (trained, _) = Trained::on(&["a".into()], &[pair]);
        let text = "\n\nIt rained.\n\nYes, every clock in the town told its own time in Lyme, I said.\n";
        let marks = trained.marks(text, &Asked::new(""));
        for width in [8, 14, 40] {
            let lines = marked_lines(text, &marks, width, false);
            let plain: Vec<String> = lines.iter().map(|line| line.iter().map(|(_, text)| text.as_str()).collect()).collect();
            assert_eq!(plain, plain_lines(text, width));
            let at = line_of(text, marks.copied[0].span.bytes.0, &lines);
            assert!(plain[at].contains("every") && lines[at].iter().any(|(mark, _)| mark.copied), "{plain:?}");
        }
        let shown: Vec<String> =
            marked_lines(text, &marks, 90, true).iter().map(|line| line.iter().map(|(_, text)| text.as_str()).collect()).collect();
        assert_eq!(shown, ["It rained.", "", "Yes, [=every clock in the town told its own time=] in [?Lyme?], I said."]);
    }
}
