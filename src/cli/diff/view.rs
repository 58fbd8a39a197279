//! The readable form of a diff: shares in the head, then draft and revision side by side, or one under the other on a narrow screen.

use crate::review::lanes::{Ink, Stretch, Tone, entries, marked};
use crate::review::marks::Marks;
use crate::review::outline::passages;
use crate::review::paragraphs::{paragraphs, piece_ending};
use crate::review::{Agreement, Alignment, Counts, Kind, ParagraphRow, head};
use crate::ui::prose::lanes::{GUTTER, SIGN, TWO_LANES, beside, lane, signed};
use crate::ui::prose::{Line, width, wrap};

fn head(alignment: &Alignment, rows: &[ParagraphRow], agreement: Option<&Agreement>, names: [&str; 2]) -> Vec<String> {
    let counts = Counts::of(alignment);
    let mut lines = vec![
        format!("draft: {} ({})", names[0], head::sentences(counts.draft)),
        format!("revision: {} ({})", names[1], head::sentences(counts.revision)),
        head::shares(counts).into_iter().map(|(_, text)| text).collect(),
    ];
    lines.extend(piece_ending(alignment).map(|ending| head::ending(ending, counts)));
    lines.push(head::paragraphs(rows));
    lines.extend(agreement.into_iter().flat_map(head::agreement));
    lines
}

/// A page in the making.
pub struct Page {
    out: String,
    columns: usize,
    coloured: bool,
}

/// The parts of one lane, each on lines of its own.
type Parts<'t> = Vec<Vec<Stretch<'t>>>;

impl Page {
    pub fn new(columns: usize, coloured: bool) -> Page {
        Page { out: String::new(), columns, coloured }
    }

    /// The whole view, by sentences or by paragraphs. `names` are what to call the two texts.
    pub fn render(
        mut self,
        alignment: &Alignment,
        agreement: Option<&Agreement>,
        copied: Option<&Marks>,
        names: [&str; 2],
        by_paragraphs: bool,
    ) -> String {
        let rows = paragraphs(alignment);
        let mut above = head(alignment, &rows, agreement, names);
        above.extend(copied.into_iter().flat_map(head::copied));
        for text in above {
            for line in wrap(&[(Ink::Plain.into(), &text)], self.columns) {
                self.line(&line);
            }
        }
        if by_paragraphs {
            for passage in passages(alignment, &rows) {
                self.line(&Line::new());
                self.block(passage.kind, || passage.single_lane(), || [passage.draft_lane(), passage.revision_lane()]);
            }
            return self.out;
        }
        for entry in entries(alignment, &copied.map(Marks::copied_bytes).unwrap_or_default()) {
            if entry.begins_paragraph {
                self.line(&Line::new());
            }
            self.block(entry.kind(), || vec![entry.single_lane()], || [vec![entry.draft_lane()], vec![entry.revision_lane()]]);
        }
        self.out
    }

    /// Draft left and revision right, or one lane with the changes in it.
    fn block<'t>(&mut self, kind: Kind, single: impl Fn() -> Parts<'t>, two: impl Fn() -> [Parts<'t>; 2]) {
        let wrapped = |parts: Parts<'t>, columns: usize| parts.into_iter().flat_map(|part| lane(&marked(part), columns)).collect();
        let lines = if self.columns >= TWO_LANES {
            let side = (self.columns - SIGN - width(GUTTER)) / 2;
            let [left, right] = two().map(|parts| wrapped(parts, side));
            beside(left, side, right)
        } else {
            wrapped(single(), self.columns - SIGN)
        };
        signed(kind, lines).iter().for_each(|line| self.line(line));
    }

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
