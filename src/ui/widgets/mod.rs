//! Small things that several screens draw.

mod curve;
mod line_input;
mod list;
mod pane;
mod popup;
mod text_input;

pub use curve::{Chart, Look, Mark, Series, smoothed};
pub use line_input::LineInput;
pub use list::{move_cursor, window};
pub use pane::pane;
pub use popup::{Popup, choose};
pub use text_input::{TextInput, edit_of, look};
