//! Small things that several screens draw.

mod curve;
mod line_input;
mod list;
mod pane;
mod popup;

pub use curve::{Chart, Look, Mark, Series, smoothed};
pub use line_input::LineInput;
pub use list::{move_cursor, window};
pub use pane::pane;
pub use popup::{Popup, choose};
