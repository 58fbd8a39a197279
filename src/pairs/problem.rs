//! What is wrong with a pair's file: where, and what to do.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Must be mended: the file is not used, or training on it would be wrong.
    Error,
    /// Ought to be looked at.
    Warning,
    /// Good to know.
    Info,
}

impl Level {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
        }
    }
}

/// A file below `pairs/` that cannot be used as it is, or not quite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub level: Level,
    /// As seen from the workspace, e.g. `pairs/tier1/quiet-car.yaml`.
    pub file: PathBuf,
    /// Counted from 1; none where no line is to blame.
    pub line: Option<usize>,
    /// What is wrong; what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}
