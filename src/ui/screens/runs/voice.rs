//! The voice of some runs' arms beside the writer's own: every statistic as a row, with how many of her spreads an arm stands from her.

use super::details::Line;
use crate::review::voice::VoiceTable;
use crate::review::voice::table::Compared;
use crate::ui::prose::{fitted, visible, width};

/// Columns of the rows' names where there is room, as they are mostly, and the fewest of them; of her mean, of her spread, and the fewest of an arm.
const LONG_NAMES: usize = 36;
const NAMES: usize = 26;
const SHORT_NAMES: usize = 20;
const HERS: usize = 8;
const SPREAD: usize = 8;
const ARM: usize = 12;
/// With air between the columns.
const ROOMY_ARM: usize = 15;
/// Function words that are shown, those that tell most.
const WORDS: usize = 14;
/// The type-token curve is told every so many words.
const CURVE_ROWS: usize = 100;

/// Which columns there is room for.
struct Columns {
    names: usize,
    with_spread: bool,
    /// How many arms, and the columns of each.
    arms: (usize, usize),
}

impl Columns {
    fn of(columns: usize, table: &VoiceTable) -> Columns {
        let count = table.arms.len();
        // The spread goes first, then the ends of the names, then arms.
        let with_spread = columns >= NAMES + HERS + SPREAD + count * ARM;
        let names = columns.saturating_sub(HERS + count * ARM).clamp(SHORT_NAMES, NAMES);
        let room = columns.saturating_sub(names + HERS + if with_spread { SPREAD } else { 0 });
        let arms = count.min((room / ARM).max(1));
        let longest = table.arms.iter().map(|arm| width(&visible(&arm.label)) + 2).max().unwrap_or(0);
        let each = longest.max(ROOMY_ARM).clamp(ARM, (room / arms.max(1)).max(ARM));
        // What is left goes to the names.
        let names = if arms == count { (names + room.saturating_sub(arms * each)).clamp(names, LONG_NAMES) } else { names };
        Columns { names, with_spread, arms: (arms, each) }
    }

    fn line(&self, name: &str, hers: &str, spread: &str, arms: impl Iterator<Item = String>) -> String {
        let spread = if self.with_spread { format!("{spread:>SPREAD$}") } else { String::new() };
        let (count, each) = self.arms;
        let arms: String = arms.take(count).map(|arm| right(&arm, each)).collect();
        format!("{}{hers:>HERS$}{spread}{arms}", fitted(name, self.names))
    }

    fn row(&self, name: &str, compared: &Compared, scale: f64, digits: usize) -> String {
        let number = |value: f64| match scale * value {
            large if large >= 100.0 => format!("{large:.*}", digits.saturating_sub(1)),
            small => format!("{small:.digits$}"),
        };
        let arm = |at: usize| match compared.values[at] {
            None => "–".to_owned(),
            Some(value) => match value.z {
                Some(z) => format!("{} {z:+5.1}", number(value.value)),
                None => format!("{}      ", number(value.value)),
            },
        };
        self.line(name, &number(compared.hers), &number(compared.spread), (0..compared.values.len()).map(arm))
    }
}

pub fn lines(table: &VoiceTable, missing: &[String], columns: usize) -> Vec<Line> {
    let mut lines = vec![];
    if table.arms.is_empty() || table.pieces < 2 {
        lines.extend(missing.iter().map(|text| Line::Wrapped(text.clone())));
        return lines;
    }
    let at = Columns::of(columns, table);
    let titles = table.arms.iter().map(|arm| visible(&arm.label));
    lines.push(Line::Title(at.line("", "yours", "spread", titles)));
    let deltas = table.arms.iter().map(|arm| arm.delta.map_or("–".to_owned(), |delta| format!("{delta:.2}      ")));
    lines.push(Line::Plain(at.line("Burrows' Delta", &own_delta(table), "", deltas)));
    let counts = table.arms.iter().map(|arm| format!("{}      ", arm.texts));
    lines.push(Line::Plain(at.line("texts", &table.pieces.to_string(), "", counts)));
    lines.push(Line::Space);
    lines.extend(table.rows.iter().map(|row| Line::Plain(at.row(row.name, &row.compared, 1.0, 2))));
    lines.push(Line::Space);
    lines.push(Line::Head("Sentences by their length, % of all"));
    lines.extend(table.lengths.iter().map(|row| Line::Plain(at.row(&format!("{} words", row.name()), &row.compared, 100.0, 1))));
    lines.push(Line::Space);
    lines.push(Line::Head("Different words among the first"));
    let points = table.curve.iter().filter(|point| point.words % CURVE_ROWS == 0);
    lines.extend(points.map(|point| Line::Plain(at.row(&format!("{} words", point.words), &point.compared, 1.0, 1))));
    lines.push(Line::Space);
    lines.push(Line::Head("Function words that tell, % of the words"));
    lines.extend(table.telling_words().into_iter().take(WORDS).map(|row| Line::Plain(at.row(row.word, &row.compared, 100.0, 2))));
    lines.push(Line::Space);
    if at.arms.0 < table.arms.len() {
        lines.push(Line::Wrapped(format!("Arms that need a wider screen: {}.", table.arms.len() - at.arms.0)));
    }
    lines.push(Line::Wrapped(format!(
        "Yours: the mean of {} finished pieces; your Delta is that of each piece from the others. Behind an arm's mean stands how many of your own \
         piece-to-piece spreads it lies from yours. Marks, hedges and fillers are per 1,000 words.",
        table.pieces
    )));
    lines.extend(missing.iter().map(|text| Line::Wrapped(text.clone())));
    lines
}

fn own_delta(table: &VoiceTable) -> String {
    match table.own_deltas.len() {
        0 => "–".into(),
        n => format!("{:.2}", table.own_deltas.iter().sum::<f64>() / n as f64),
    }
}

/// At the right end of a column.
fn right(text: &str, columns: usize) -> String {
    let text = fitted(text, width(text).min(columns.saturating_sub(1)));
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(&text))))
}
