//! What the screen looks like.

use ratatui::style::Modifier;

use super::*;
use Action as A;

#[test]
fn at_the_sizes_that_people_have() {
    let mut stage = Stage::new();
    stage.act(&[A::Last]);
    insta::assert_snapshot!("list-80x24", stage.terminal(80, 22).backend());
    insta::assert_snapshot!("list-120x36", stage.terminal(120, 34).backend());
    insta::assert_snapshot!("list-200x60", stage.terminal(200, 58).backend());
    insta::assert_snapshot!("list-40x12", stage.terminal(40, 10).backend());
}

#[test]
fn what_else_it_shows() {
    let mut stage = Stage::new();
    stage.act(&[A::First]);
    insta::assert_snapshot!("broken", stage.terminal(80, 22).backend());
    stage.act(&[A::NextTier, A::NextTier]);
    insta::assert_snapshot!("empty-tier", stage.terminal(80, 22).backend());
    stage.act(&[A::NewPair]).keys("rain");
    insta::assert_snapshot!("new-pair", stage.terminal(80, 22).backend());
    stage.act(&[A::Cancel, A::PreviousTier, A::CutOpening]);
    insta::assert_snapshot!("cut-opening", stage.terminal(80, 22).backend());
}

/// The response as drawn, with `{context}` and `[cut off]`, and a rule as it stands.
fn marked(stage: &Stage) -> String {
    let terminal = stage.terminal(100, 30);
    let buffer = terminal.backend().buffer();
    let mut out = String::new();
    let mut open = None;
    for y in 0..buffer.area.height {
        for x in 32..buffer.area.width {
            let cell = &buffer[(x, y)];
            let mark = match cell {
                cell if cell.symbol().trim().is_empty() => open,
                cell if cell.modifier.contains(Modifier::CROSSED_OUT) => Some(('[', ']')),
                cell if Some(cell.fg) == stage.shared.theme.context.fg && y < 22 && cell.symbol() != "─" => Some(('{', '}')),
                _ => None,
            };
            if mark != open {
                out.extend(open.map(|(_, end)| end));
                out.extend(mark.map(|(start, _)| start));
                open = mark;
            }
            out.push_str(cell.symbol());
        }
        let end = out.trim_end().len();
        out.truncate(end);
        out.push('\n');
    }
    out
}

#[test]
fn the_mask_and_the_cut_stand_in_the_text() {
    let mut stage = Stage::new();
    stage.act(&[A::Last, A::MaskPreview]);
    insta::assert_snapshot!("mask", marked(&stage));
}
