//! Prose for the terminal: wrapped by what characters take up, with nothing in it that could act on the terminal.

mod wrap;

pub use wrap::{Line, visible, width, wrap};
