//! The readable form of a diff: shares in the head, then draft and revision side by side, or one under the other on a narrow screen.

use crate::review::lanes::{Entry, Ink, Tone, entries, marked};
use crate::review::marks::Marks;
use crate::review::paragraphs::piece_ending;
use crate::review::{Agreement, Alignment, Counts, head};
use crate::ui::prose::lanes::{GUTTER, SIGN, TWO_LANES, beside, lane, signed};
use crate::ui::prose::{Line, width, wrap};

/// The whole view, `columns` wide. `names` are what to call the two texts.
pub fn render(
    alignment: &Alignment,
    agreement: Option<&Agreement>,
    copied: Option<&Marks>,
    names: [&str; 2],
    columns: usize,
    coloured: bool,
) -> String {
    let mut page = Page { out: String::new(), coloured };
    let mut above = head(alignment, agreement, names);
    above.extend(copied.into_iter().flat_map(head::copied));
    for text in above {
        for line in wrap(&[(Ink::Plain.into(), &text)], columns) {
            page.line(&line);
        }
    }
    for entry in entries(alignment, &copied.map(Marks::copied_bytes).unwrap_or_default()) {
        if entry.begins_paragraph {
            page.line(&Line::new());
        }
        for line in lines(&entry, columns) {
            page.line(&line);
        }
    }
    page.out
}

fn head(alignment: &Alignment, agreement: Option<&Agreement>, names: [&str; 2]) -> Vec<String> {
    let counts = Counts::of(alignment);
    let mut lines = vec![
        format!("draft: {} ({})", names[0], head::sentences(counts.draft)),
        format!("revision: {} ({})", names[1], head::sentences(counts.revision)),
        head::shares(counts).into_iter().map(|(_, text)| text).collect(),
    ];
    lines.extend(piece_ending(alignment).map(|ending| head::ending(ending, counts)));
    lines.extend(agreement.into_iter().flat_map(head::agreement));
    lines
}

/// Draft left and revision right, or one lane with the changes in it.
fn lines(entry: &Entry, columns: usize) -> Vec<Line<Tone>> {
    let lines = if columns >= TWO_LANES {
        let side = (columns - SIGN - width(GUTTER)) / 2;
        beside(lane(&marked(entry.draft_lane()), side), side, lane(&marked(entry.revision_lane()), side))
    } else {
        lane(&marked(entry.single_lane()), columns - SIGN)
    };
    signed(entry.kind(), lines)
}

struct Page {
    out: String,
    coloured: bool,
}

impl Page {
    fn line(&mut self, line: &Line<Tone>) {
        let mut drawn = String::new();
        for (tone, text) in line {
            if self.coloured && *tone != Ink::Plain.into() && !text.is_empty() {
                drawn.push_str(escape(tone.ink));
                drawn.push_str(if tone.is_copied { "\x1b[4m" } else { "" });
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

/// The escape sequence that switches an ink on; all end with a reset.
fn escape(ink: Ink) -> &'static str {
    match ink {
        Ink::Plain => "",
        Ink::Faint => "\x1b[2m",
        Ink::Cut | Ink::GoneWords => "\x1b[9;31m",
        Ink::Gone => "\x1b[31m",
        Ink::New | Ink::CameWords => "\x1b[32m",
        Ink::Reworded => "\x1b[33m",
        Ink::Moved => "\x1b[36m",
    }
}
