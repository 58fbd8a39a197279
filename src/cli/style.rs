//! Colour on the command line: none when `NO_COLOR` is set or the output is not a terminal.

use std::io::{IsTerminal, Write};

use crate::ui::prose::visible_lines;

/// `error:`, red where standard error shows colours.
pub fn error_prefix() -> &'static str {
    if coloured(std::io::stderr().is_terminal()) { "\x1b[1;31merror:\x1b[0m" } else { "error:" }
}

/// Whether to colour an output, given whether it is a terminal. An empty `NO_COLOR` counts as unset (no-color.org).
pub fn coloured(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// What [`say!`] does. Whether anyone still reads it is no concern of the work that is done.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{}", visible_lines(line)).ok();
}

/// Says what a command failed with. A terminal that is gone does not make it another failure.
pub fn fail(error: &str) {
    writeln!(std::io::stderr(), "{} {}", error_prefix(), visible_lines(error)).ok();
}

pub use crate::run::journal::counted;
