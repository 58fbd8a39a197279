//! Colour on the command line: none when `NO_COLOR` is set or the output is not a terminal.

use std::io::IsTerminal;

/// `error:`, red where standard error shows colours.
pub fn error_prefix() -> &'static str {
    if coloured(std::io::stderr().is_terminal()) { "\x1b[1;31merror:\x1b[0m" } else { "error:" }
}

/// Whether to colour an output, given whether it is a terminal. An empty `NO_COLOR` counts as unset (no-color.org).
pub fn coloured(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

pub use crate::run::journal::counted;
