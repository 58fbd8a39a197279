//! Small things that several screens draw.

mod line_input;
mod list;
mod pane;
mod popup;

pub use line_input::LineInput;
pub use list::{move_cursor, window};
pub use pane::pane;
pub use popup::{Popup, choose};
