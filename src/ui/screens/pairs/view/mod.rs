//! Drawing the screen.

mod dialogs;
mod foot;
mod list;
mod texts;

use ratatui::Frame;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;

use super::{Mode, Pairs, Reading};
use crate::pairs::{Pair, Status};
use crate::ui::prose::{visible, width};
use crate::ui::screen::Shared;

pub use list::{first_row, list_areas};

pub fn view(pairs: &Pairs, frame: &mut Frame, area: Rect, shared: &Shared) {
    let areas = pairs.areas(area);
    if !areas.list.is_empty() {
        list::view(pairs, frame, areas.list, shared);
    }
    if !areas.texts.is_empty() {
        match &pairs.mode {
            Mode::Cut(cutting) => texts::cutting(cutting, frame, areas.texts, shared),
            _ => texts::view(pairs, frame, &areas, shared),
        }
        foot::view(pairs, frame, areas.foot, shared);
    }
    match (&pairs.mode, pairs.dialogs.front()) {
        (_, Some(dialog)) => dialogs::question(dialog, frame, area, shared),
        (Mode::Form(form), None) => dialogs::form(form, frame, area, shared),
        _ => {}
    }
}

/// Whether there is nothing at all to show yet, and why.
fn nothing(pairs: &Pairs) -> bool {
    matches!(pairs.reading, Reading::Never | Reading::First)
}

fn sign(status: Status) -> &'static str {
    match status {
        Status::Ready => "●",
        Status::Draft => "○",
        Status::Discarded => "×",
    }
}

fn parts(pair: &Pair) -> (&'static str, &'static str) {
    match u8::from(pair.tier) {
        1 => ("draft", "finished essay"),
        2 => ("topic", "finished essay"),
        3 => ("opening", "continuation"),
        _ => ("topic", "finished Note"),
    }
}

/// A number with its thousands apart.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// At most `columns` columns of a text, with an ellipsis where it goes on, filled up with blanks.
fn fit(text: &str, columns: usize) -> String {
    let text = visible(text);
    let mut out = text.clone();
    if width(&text) > columns {
        out = String::new();
        for cluster in text.graphemes(true) {
            if width(&out) + width(cluster) + 1 > columns {
                break;
            }
            out.push_str(cluster);
        }
        if columns > 0 {
            out.push('…');
        }
    }
    let pad = columns.saturating_sub(width(&out));
    out + &" ".repeat(pad)
}
