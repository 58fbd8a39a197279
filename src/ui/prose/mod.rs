//! Prose for the terminal: wrapped by what characters take up, with nothing in it that could act on the terminal.

mod glyph;
pub mod lanes;
pub mod marked;
mod wrap;

pub use glyph::{Glyph, glyph, visible, visible_lines};
pub use wrap::{Line, fitted, width, wrap};
