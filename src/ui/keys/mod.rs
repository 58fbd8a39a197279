//! Keys: what can be asked for, the one table that says by which key, and the table as the settings change it.

mod action;
mod chord;
mod keymap;
mod table;

pub use action::{Action, Context};
pub use chord::Chord;
pub use keymap::{Hint, Keymap};
pub use table::{Entry, TABLE};
