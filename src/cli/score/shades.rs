//! A scored text for the terminal: in shades where it shows colours, with a digit behind what surprises where it does not; or as a table.

use std::io::IsTerminal;

use clap::ValueEnum;

use crate::cli::style::{coloured, escape};
use crate::review::surprisal::{Cell, DIFFERENCE, SURPRISE, Shade, View, cells};
use crate::run::scores::Scores;
use crate::ui::prose::visible;
use crate::ui::settings::ThemeChoice;
use crate::ui::theme::{Depth, Theme};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Show {
    /// The text in shades of the base arm's surprisal
    Base,
    /// The text in shades of the fine-tuned arm's surprisal
    Tuned,
    /// The text in shades of the difference
    Difference,
    /// A line a token
    Tokens,
}

pub(super) fn shown(scores: &Scores, show: Show) -> String {
    let cells = cells(scores);
    let view = match show {
        Show::Base => View::Base,
        Show::Tuned => View::Tuned,
        Show::Difference => View::Difference,
        Show::Tokens => return table(&cells),
    };
    match coloured(std::io::stdout().is_terminal()) {
        true => shaded(&cells, view, &Theme::new(ThemeChoice::Auto, Depth::detect())),
        false => marked(&cells, view),
    }
}

fn table(cells: &[Cell]) -> String {
    let mut out = String::from("start\tend\tbase\ttuned\tdifference\ttext\n");
    for cell in cells {
        let text = visible(&cell.text.replace('\n', "¶"));
        let Cell { span, base, tuned, .. } = cell;
        out.push_str(&format!("{}\t{}\t{base:.3}\t{tuned:.3}\t{:.3}\t{text}\n", span.start, span.end, base - tuned));
    }
    out
}

fn shaded(cells: &[Cell], view: View, theme: &Theme) -> String {
    let mut out = String::new();
    let mut put = |shade: Shade, text: &str| {
        let escape = escape(theme.shade(shade));
        match text.is_empty() || escape.is_empty() {
            true => out.push_str(text),
            false => out.push_str(&format!("{escape}{text}\x1b[0m")),
        }
    };
    for cell in cells {
        let shade = cell.shade(view);
        for (part, text) in text_of(cell).split('\n').enumerate() {
            if part == 1 {
                put(shade, "¶");
            }
            if part > 0 {
                put(Shade::Even, "\n");
            }
            put(shade, &visible(text));
        }
    }
    out + "\n\n" + &legend(view) + "\n"
}

/// A digit behind each cell that is not of the lowest step; for a difference with the sign of what the fine-tuned arm gained.
fn marked(cells: &[Cell], view: View) -> String {
    const DIGITS: [char; 8] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷'];
    let digit = |step: usize| DIGITS[step.min(DIGITS.len() - 1)].to_string();
    let mut out = String::new();
    for cell in cells {
        let mark = match cell.shade(view) {
            Shade::Surprise(0) | Shade::Even => String::new(),
            Shade::Surprise(step) => digit(step),
            Shade::Less(step) => format!("⁺{}", digit(step + 1)),
            Shade::More(step) => format!("⁻{}", digit(step + 1)),
        };
        let text = text_of(cell);
        let words = text.trim_end_matches('\n');
        out.push_str(&words.split('\n').map(visible).collect::<Vec<_>>().join("\n"));
        out.push_str(&mark);
        out.push_str(&text[words.len()..]);
    }
    out + "\n\n" + &legend(view) + "\n"
}

fn text_of(cell: &Cell) -> &str {
    if cell.text.is_empty() { " ∎" } else { &cell.text }
}

fn legend(view: View) -> String {
    let steps = |steps: &[f64]| steps.iter().enumerate().map(|(at, from)| format!("{} from {from}", at + 1)).collect::<Vec<_>>().join(", ");
    match view {
        View::Base | View::Tuned => format!("surprisal by steps, in nats: {}", steps(&SURPRISE)),
        View::Difference => {
            format!("base less fine-tuned by steps, in nats: {}; + where the fine-tuned arm is less surprised", steps(&DIFFERENCE))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells() -> Vec<Cell> {
        let cell = |text: &str, base, tuned| Cell { text: text.into(), span: 0..text.chars().count(), tokens: 0..1, base, tuned };
        vec![cell("The", 0.2, 0.1), cell(" hall", 6.5, 3.0), cell(".\n\n", 1.2, 1.3), cell("\x1bIt", 2.0, 4.0), cell("", 0.6, 0.0)]
    }

    #[test]
    fn without_colours_steps_are_digits() {
        let check = |view: View, expected: &str| {
            assert_eq!(marked(&cells(), view).split("\n\nsurprisal").next().unwrap().split("\n\nbase").next().unwrap(), expected)
        };
        check(View::Base, "The hall⁶.²\n\n␛It³ ∎¹");
        check(View::Tuned, "The hall⁴.²\n\n␛It⁴ ∎");
        check(View::Difference, "The hall⁺³.\n\n␛It⁻² ∎⁺¹");
    }

    #[test]
    fn with_colours_steps_are_grounds_and_lines_end_without_one() {
        let theme = Theme::new(ThemeChoice::Dark, Depth::True);
        let text = shaded(&cells(), View::Base, &theme);
        assert!(text.contains("\x1b[48;2;156;54;44m hall\x1b[0m"), "{text:?}");
        assert!(text.contains("¶\x1b[0m\n\n") && text.contains("␛It"), "{text:?}");
    }

    #[test]
    fn the_table_has_a_line_a_cell() {
        let lines = table(&cells());
        assert_eq!(lines.lines().nth(3).unwrap(), "0\t3\t1.200\t1.300\t-0.100\t.¶¶");
        assert_eq!(lines.lines().count(), 6);
    }
}
