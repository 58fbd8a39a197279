//! The cells of a scored text in lines of the screen.

use unicode_segmentation::UnicodeSegmentation;

use crate::review::surprisal::Cell;
use crate::ui::prose::{Line, width, wrap};

/// Where a line of the text ends: the token is a choice of the writer's like any other.
const LINE_END: &str = "¶";
/// Where the text ends, before the token for that.
const END: &str = " ∎";

/// Lines of at most `columns` columns, each stretch with the number of its cell.
pub(super) fn lines(cells: &[Cell], columns: usize) -> Vec<Line<usize>> {
    let mut lines = vec![];
    let mut paragraph: Vec<(usize, &str)> = vec![];
    for (at, cell) in cells.iter().enumerate() {
        if cell.text.is_empty() {
            paragraph.push((at, END));
        }
        for (part, text) in cell.text.split('\n').enumerate() {
            if part == 1 {
                paragraph.push((at, LINE_END));
            }
            if part > 0 {
                lines.extend(wrap(&paragraph, columns));
                paragraph.clear();
            }
            paragraph.push((at, text));
        }
    }
    lines.extend(wrap(&paragraph, columns));
    lines
}

/// The line that a cell begins in; of one that cannot be seen (a space at a line's end), that of the cell before.
pub(super) fn line_of(lines: &[Line<usize>], cell: usize) -> usize {
    let begins_by = |line: &Line<usize>| line.iter().any(|(at, _)| *at <= cell);
    let has = |line: &Line<usize>| line.iter().any(|(at, _)| *at == cell);
    lines.iter().position(has).or_else(|| lines.iter().rposition(begins_by)).unwrap_or(0)
}

/// The cell in another line, above or below, that stands nearest under the cell's first column.
pub(super) fn beside(lines: &[Line<usize>], cell: usize, by: isize) -> Option<usize> {
    let from = line_of(lines, cell);
    let before = lines.get(from)?.iter().take_while(|(at, _)| *at < cell);
    let column: usize = before.map(|(_, text)| width(text)).sum();
    let mut to = from.saturating_add_signed(by).min(lines.len().saturating_sub(1));
    // Blank lines hold no cell.
    while lines[to].is_empty() && to != from {
        let next = to.saturating_add_signed(by.signum()).min(lines.len() - 1);
        if next == to {
            return None;
        }
        to = next;
    }
    let mut end = 0;
    let covers = |(_, text): &&(usize, String)| {
        end += text.graphemes(true).map(width).sum::<usize>();
        end > column
    };
    lines[to].iter().find(covers).or(lines[to].last()).map(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(texts: &[&str]) -> Vec<Cell> {
        texts.iter().map(|text| Cell { text: (*text).into(), span: 0..0, tokens: 0..1, base: 0.0, tuned: 0.0 }).collect()
    }

    fn marked(lines: &[Line<usize>]) -> Vec<String> {
        lines.iter().map(|line| line.iter().map(|(at, text)| format!("{at}[{text}]")).collect()).collect()
    }

    #[test]
    fn cells_keep_their_numbers_through_the_wrapping() {
        let check = |texts: &[&str], columns: usize, expected: &[&str]| assert_eq!(marked(&lines(&cells(texts), columns)), expected);
        check(&["The", " hall", " is", " shut", "."], 10, &["0[The]1[ hall]", "2[is]3[ shut]4[.]"]);
        check(&["One.", "\n\n", "Two", ".\n", "3"], 10, &["0[One.]1[¶]", "", "2[Two]3[.¶]", "4[3]"]);
        check(&["駅で", "待っ", "た", ""], 6, &["0[駅で]1[待]", "1[っ]2[た]3[ ∎]"]);
        check(&["a", ""], 10, &["0[a]1[ ∎]"]);
        check(&["\u{1b}[2J"], 10, &["0[␛[2J]"]);
    }

    #[test]
    fn the_cursor_goes_up_and_down() {
        let cells = cells(&["The", " hall", " is", " shut", ".", "\n\n", "It", " was", " cold"]);
        let lines = lines(&cells, 9);
        assert_eq!(marked(&lines), ["0[The]1[ hall]", "2[is]3[ shut]4[.]5[¶]", "", "6[It]7[ was]", "8[cold]"]);
        let check = |cell: usize, by: isize, expected: Option<usize>| assert_eq!(beside(&lines, cell, by), expected, "{cell} by {by}");
        check(0, 1, Some(2));
        check(1, 1, Some(3));
        check(3, 1, Some(7));
        check(7, -1, Some(3));
        check(0, -1, Some(0));
        check(8, 1, Some(8));
        check(7, 9, Some(8));
        assert_eq!((line_of(&lines, 4), line_of(&lines, 8)), (1, 4));
    }
}
