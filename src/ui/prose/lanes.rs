//! Entries of a comparison as lines of the terminal: lanes side by side, or one lane with the changes in the text.

use std::borrow::Cow;

use super::{Line, width, wrap};
use crate::review::Kind;
use crate::review::lanes::{Ink, Stretch, Tone, sign, sign_ink};

/// From this width on the two texts stand side by side.
pub const TWO_LANES: usize = 100;

/// Between two lanes.
pub const GUTTER: &str = " │ ";

/// Columns of the sign and the space behind it.
pub const SIGN: usize = 2;

/// One lane's text, wrapped.
pub fn lane(stretches: &[Stretch], columns: usize) -> Vec<Line<Tone>> {
    let borrowed: Vec<(Tone, &str)> = stretches.iter().map(|(tone, text): &(Tone, Cow<str>)| (*tone, &**text)).collect();
    wrap(&borrowed, columns)
}

/// Two lanes line by line, the left one `columns` wide.
pub fn beside(left: Vec<Line<Tone>>, columns: usize, right: Vec<Line<Tone>>) -> Vec<Line<Tone>> {
    let height = left.len().max(right.len());
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    let row = |_| {
        let mut line = left.next().unwrap_or_default();
        let taken: usize = line.iter().map(|(_, text)| width(text)).sum();
        line.push((Ink::Faint.into(), " ".repeat(columns.saturating_sub(taken)) + GUTTER));
        line.extend(right.next().unwrap_or_default());
        line
    };
    (0..height).map(row).collect()
}

/// The lines with the sign before the first.
pub fn signed(kind: Kind, mut lines: Vec<Line<Tone>>) -> Vec<Line<Tone>> {
    for (at, line) in lines.iter_mut().enumerate() {
        let sign = if at == 0 { sign(kind) } else { ' ' };
        line.insert(0, (sign_ink(kind).into(), format!("{sign:<SIGN$}")));
    }
    lines
}
