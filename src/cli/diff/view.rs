//! The readable form of a diff: shares in the head, then draft and revision side by side, or one under the other on a narrow screen.

use crate::review::paragraphs::piece_ending;
use crate::review::{Agreement, Alignment, Counts, Ending, Kind, Row, Scores, Segment};
use crate::ui::prose::{width, wrap};

/// From this width on the two texts stand side by side.
const TWO_COLUMNS: usize = 100;

/// Between the columns.
const GUTTER: &str = " │ ";

/// How a stretch of text is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Plain,
    Faint,
    /// Struck through.
    Cut,
    /// The colour of a cut, not struck through.
    Gone,
    New,
    Reworded,
    Moved,
}

type Line = crate::ui::prose::Line<Ink>;

impl Ink {
    /// The escape sequence that switches it on; all end with a reset.
    fn escape(self) -> &'static str {
        match self {
            Ink::Plain => "",
            Ink::Faint => "\x1b[2m",
            Ink::Cut => "\x1b[9;31m",
            Ink::Gone => "\x1b[31m",
            Ink::New => "\x1b[32m",
            Ink::Reworded => "\x1b[33m",
            Ink::Moved => "\x1b[36m",
        }
    }
}

/// The whole view, `columns` wide. `names` are what to call the two texts.
pub fn render(alignment: &Alignment, agreement: Option<&Agreement>, names: [&str; 2], columns: usize, coloured: bool) -> String {
    let mut page = Page { out: String::new(), coloured };
    for text in head(alignment, agreement, names) {
        for line in wrap(&[(Ink::Plain, &text)], columns) {
            page.line(&line);
        }
    }
    let entries = entries(alignment);
    let mut paragraphs = (None, None);
    for entry in &entries {
        let here = entry.paragraphs(alignment);
        if here.0.is_some_and(|p| Some(p) != paragraphs.0) || here.1.is_some_and(|p| Some(p) != paragraphs.1) {
            page.line(&Line::new());
        }
        paragraphs = (here.0.or(paragraphs.0), here.1.or(paragraphs.1));
        if columns >= TWO_COLUMNS { page.beside(alignment, entry, columns) } else { page.stacked(alignment, entry, columns) }
    }
    page.out
}

/// What is shown at one place.
enum Entry<'r> {
    Row(&'r Row),
    /// Where a moved sentence stands in the revision.
    Landing(&'r Row),
}

impl Entry<'_> {
    /// The paragraphs it continues, in the draft and in the revision.
    fn paragraphs(&self, alignment: &Alignment) -> (Option<usize>, Option<usize>) {
        match self {
            Entry::Row(row) => (draft_paragraph(alignment, row), revision_paragraph(alignment, row).filter(|_| row.kind != Kind::Moved)),
            Entry::Landing(row) => (None, revision_paragraph(alignment, row)),
        }
    }
}

/// The rows, with a landing for each moved one, so that either side reads from top to bottom.
fn entries<'r>(alignment: &'r Alignment) -> Vec<Entry<'r>> {
    let rows_of_revision = alignment.revision_rows();
    let mut entries = Vec::new();
    let mut next = 0;
    // All rows but the moved ones stand in the revision's order: whatever lies between two of them has moved there.
    let landings = |from: usize, to: usize| {
        let rows = rows_of_revision[from..to].iter().map(|&r| &alignment.rows[r]);
        let mut rows: Vec<&'r Row> = rows.collect();
        rows.dedup_by_key(|row| row.revision.clone());
        rows.into_iter().map(Entry::Landing)
    };
    for row in &alignment.rows {
        if let Some(run) = row.revision.as_ref().filter(|_| row.kind != Kind::Moved) {
            entries.extend(landings(next, run.start));
            next = run.end;
        }
        entries.push(Entry::Row(row));
    }
    entries.extend(landings(next, rows_of_revision.len()));
    entries
}

struct Page {
    out: String,
    coloured: bool,
}

impl Page {
    /// Draft left, revision right.
    fn beside(&mut self, alignment: &Alignment, entry: &Entry, columns: usize) {
        let side = (columns - 2 - width(GUTTER)) / 2;
        let (sign, left, right) = match entry {
            Entry::Landing(row) => {
                ('>', vec![(Ink::Faint, came_from(alignment, row))], vec![(Ink::Moved, alignment.revision_text(row).to_owned())])
            }
            Entry::Row(row) => {
                let (old, new) = (alignment.draft_text(row).to_owned(), alignment.revision_text(row).to_owned());
                match row.kind {
                    Kind::Kept => (' ', vec![(Ink::Plain, old)], vec![(Ink::Plain, new)]),
                    Kind::Cut => ('-', vec![(Ink::Cut, old)], Vec::new()),
                    Kind::New => ('+', Vec::new(), vec![(Ink::New, new)]),
                    Kind::Moved => ('>', vec![(Ink::Moved, old)], vec![(Ink::Faint, went_to(alignment, row))]),
                    Kind::Reworded => {
                        let words = alignment.words(row);
                        let is = |wanted: fn(&Segment) -> bool| words.iter().filter(|s| wanted(s)).map(marked).collect::<Vec<_>>();
                        ('~', is(|s| !matches!(s, Segment::Insert(_))), is(|s| !matches!(s, Segment::Delete(_))))
                    }
                }
            }
        };
        let (left, right) = (wrap(&borrowed(&left), side), wrap(&borrowed(&right), side));
        for at in 0..left.len().max(right.len()) {
            let empty = Line::new();
            let (left, right) = (left.get(at).unwrap_or(&empty), right.get(at).unwrap_or(&empty));
            let taken: usize = left.iter().map(|(_, text)| width(text)).sum();
            let mut line = vec![(sign_ink(sign), sign_text(sign, at))];
            line.extend_from_slice(left);
            line.push((Ink::Faint, " ".repeat(side - taken.min(side)) + GUTTER));
            line.extend_from_slice(right);
            self.line(&line);
        }
    }

    /// One text, with the changes in it.
    fn stacked(&mut self, alignment: &Alignment, entry: &Entry, columns: usize) {
        let (sign, text) = match entry {
            Entry::Landing(row) => {
                ('>', vec![(Ink::Faint, came_from(alignment, row) + ": "), (Ink::Moved, alignment.revision_text(row).to_owned())])
            }
            Entry::Row(row) => match row.kind {
                Kind::Kept => (' ', vec![(Ink::Plain, alignment.draft_text(row).to_owned())]),
                Kind::Cut => ('-', vec![(Ink::Cut, alignment.draft_text(row).to_owned())]),
                Kind::New => ('+', vec![(Ink::New, alignment.revision_text(row).to_owned())]),
                Kind::Moved => {
                    ('>', vec![(Ink::Faint, went_to(alignment, row) + ": "), (Ink::Moved, alignment.draft_text(row).to_owned())])
                }
                Kind::Reworded => ('~', alignment.words(row).iter().map(marked).collect()),
            },
        };
        for (at, mut line) in wrap(&borrowed(&text), columns - 2).into_iter().enumerate() {
            line.insert(0, (sign_ink(sign), sign_text(sign, at)));
            self.line(&line);
        }
    }

    fn line(&mut self, line: &Line) {
        let mut drawn = String::new();
        for (ink, text) in line {
            if self.coloured && *ink != Ink::Plain && !text.is_empty() {
                drawn.push_str(ink.escape());
                drawn.push_str(text);
                drawn.push_str("\x1b[0m");
            } else {
                drawn.push_str(text);
            }
        }
        self.out.push_str(drawn.trim_end_matches(' '));
        self.out.push('\n');
    }
}

fn head(alignment: &Alignment, agreement: Option<&Agreement>, names: [&str; 2]) -> Vec<String> {
    let counts = Counts::of(alignment);
    let size = |count: usize| match count {
        0 => "no sentence: empty".to_owned(),
        1 => "1 sentence".to_owned(),
        n => format!("{n} sentences"),
    };
    let mut head =
        vec![format!("draft: {} ({})", names[0], size(counts.draft)), format!("revision: {} ({})", names[1], size(counts.revision))];
    let shares = counts.shares();
    let percent = |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.0}\u{a0}%", 100.0 * s));
    head.push(format!(
        "kept {}, - cut {}, ~ reworded {}, > moved {} of the draft; + new {} of the revision",
        percent(shares.kept),
        percent(shares.cut),
        percent(shares.reworded),
        percent(shares.moved),
        percent(shares.new)
    ));
    if let Some(ending) = piece_ending(alignment) {
        let what = match ending {
            Ending::Kept => "kept",
            Ending::Sharpened => "sharpened",
            Ending::Cut if counts.revision == 0 => "cut",
            Ending::Cut => "cut: an earlier sentence ends the piece",
            Ending::New => "new",
        };
        head.push(format!("last sentence: {what}"));
    }
    if let Some(agreement) = agreement {
        head.push(format!("agreement with the author's cuts: {}", scores(&agreement.cut)));
        head.push(format!("agreement on paragraph endings cut: {}", scores(&agreement.endings)));
    }
    head
}

fn scores(scores: &Scores) -> String {
    let number = |value: Option<f64>| value.map_or("undefined".to_owned(), |v| format!("{v:.2}"));
    let interval = scores.interval.map_or(String::new(), |(low, high)| format!(" (95 %: {low:.2} to {high:.2})"));
    let Scores { precision, recall, f1, kappa, .. } = *scores;
    format!("precision {}, recall {}, F1 {}, kappa {}{interval}", number(precision), number(recall), number(f1), number(kappa))
}

fn went_to(alignment: &Alignment, row: &Row) -> String {
    format!("(moved to paragraph {})", revision_paragraph(alignment, row).map_or(0, |p| p + 1))
}

fn came_from(alignment: &Alignment, row: &Row) -> String {
    format!("(moved from paragraph {})", draft_paragraph(alignment, row).map_or(0, |p| p + 1))
}

fn draft_paragraph(alignment: &Alignment, row: &Row) -> Option<usize> {
    Some(alignment.draft.sentences[row.draft.as_ref()?.start].paragraph)
}

fn revision_paragraph(alignment: &Alignment, row: &Row) -> Option<usize> {
    Some(alignment.revision.sentences[row.revision.as_ref()?.start].paragraph)
}

/// Words with their marks: colour is never the only sign.
fn marked(segment: &Segment) -> (Ink, String) {
    match segment {
        Segment::Equal(text) => (Ink::Plain, (*text).to_owned()),
        Segment::Delete(text) => (Ink::Cut, format!("[-{text}-]")),
        Segment::Insert(text) => (Ink::New, format!("{{+{text}+}}")),
    }
}

fn borrowed(text: &[(Ink, String)]) -> Vec<(Ink, &str)> {
    text.iter().map(|(ink, text)| (*ink, text.as_str())).collect()
}

fn sign_ink(sign: char) -> Ink {
    match sign {
        '-' => Ink::Gone,
        '~' => Ink::Reworded,
        '+' => Ink::New,
        '>' => Ink::Moved,
        _ => Ink::Plain,
    }
}

fn sign_text(sign: char, line: usize) -> String {
    if line == 0 { format!("{sign} ") } else { "  ".to_owned() }
}
