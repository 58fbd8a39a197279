//! Drawing the screen.

mod dialogs;
mod foot;
mod list;
mod texts;

use ratatui::Frame;
use ratatui::layout::Rect;

use super::{Mode, Pairs, Reading};
use crate::pairs::{Pair, Status};
use crate::ui::prose::{fitted, visible};
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

/// A text of the writer's, made safe and exactly `columns` wide.
fn fit(text: &str, columns: usize) -> String {
    fitted(&visible(text), columns)
}
