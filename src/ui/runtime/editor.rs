//! `$VISUAL` or `$EDITOR`, with a text in a private temporary file.

use std::env;
use std::fs;
use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Returns the text as the editor left it.
///
/// # Errors
/// No editor could be run, it ended with an error, or what it left is not UTF-8.
pub(super) fn edit(text: &str, extension: &str) -> Result<String> {
    let editor = ["VISUAL", "EDITOR"].iter().find_map(|name| env::var(name).ok().filter(|value| !value.trim().is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".into());
    // Only its owner can read it, as tempfile makes it.
    let mut file = tempfile::Builder::new()
        .prefix("voicetune-")
        .suffix(&format!(".{extension}"))
        .tempfile()
        .context("no temporary file can be made")?;
    file.write_all(text.as_bytes()).context("the temporary file cannot be written")?;
    // The variable may hold arguments and quotes: the shell takes it apart, as for git and others.
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(file.path())
        .status()
        .with_context(|| format!("`{editor}` cannot be run; set EDITOR to an editor"))?;
    if !status.success() {
        bail!("`{editor}` ended with {status}; the text is as it was");
    }
    // Editors may replace the file: what is read is what now has its name.
    let bytes = fs::read(file.path()).context("what the editor left cannot be read")?;
    String::from_utf8(bytes).ok().with_context(|| format!("`{editor}` left a file that is not UTF-8; the text is as it was"))
}
