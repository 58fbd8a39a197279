//! What is wrong with a file of `configs/`, and where.

use std::path::{Path, PathBuf};

use crate::config::yaml::Fault;

/// A config file that cannot be used. The message says what is allowed or what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", file.display(), line_suffix(*line))]
pub struct ConfigError {
    pub file: PathBuf,
    /// Counted from 1; none where no line is to blame, e.g. for a file that is not there.
    pub line: Option<usize>,
    pub message: String,
}

impl ConfigError {
    pub(super) fn new(file: &Path, fault: Fault) -> Self {
        ConfigError { file: file.to_path_buf(), line: fault.line, message: fault.message }
    }

    /// The same error with the file named as seen from `root`, which is shorter to read.
    pub(super) fn seen_from(mut self, root: &Path) -> Self {
        if let Ok(shorter) = self.file.strip_prefix(root) {
            self.file = shorter.to_path_buf();
        }
        self
    }
}

fn line_suffix(line: Option<usize>) -> String {
    line.map(|n| format!(":{n}")).unwrap_or_default()
}
