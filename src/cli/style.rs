//! Colour on the command line: none when `NO_COLOR` is set or the output is not a terminal.

use std::io::{IsTerminal, Write};

use ratatui::style::{Color, Modifier, Style};

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

/// The escape sequence that switches a style on; empty for the terminal's own. A reset ends it.
pub fn escape(style: Style) -> String {
    let mut codes = vec![];
    let modifiers = [(Modifier::BOLD, 1), (Modifier::DIM, 2), (Modifier::ITALIC, 3), (Modifier::UNDERLINED, 4), (Modifier::REVERSED, 7)];
    codes.extend(modifiers.iter().filter(|(modifier, _)| style.add_modifier.contains(*modifier)).map(|(_, code)| code.to_string()));
    codes.extend(style.fg.and_then(|color| colour(color, 30)));
    codes.extend(style.bg.and_then(|color| colour(color, 40)));
    if codes.is_empty() { String::new() } else { format!("\x1b[{}m", codes.join(";")) }
}

/// `first` is the code of black: 30 for letters, 40 for grounds.
fn colour(color: Color, first: u8) -> Option<String> {
    let basic = |at: u8| Some((first + at).to_string());
    match color {
        Color::Rgb(r, g, b) => Some(format!("{};2;{r};{g};{b}", first + 8)),
        Color::Indexed(at) => Some(format!("{};5;{at}", first + 8)),
        Color::Red => basic(1),
        Color::Green => basic(2),
        Color::Yellow => basic(3),
        Color::Blue => basic(4),
        Color::Magenta => basic(5),
        Color::Cyan => basic(6),
        Color::DarkGray => basic(60),
        _ => None,
    }
}

pub use crate::run::journal::counted;
