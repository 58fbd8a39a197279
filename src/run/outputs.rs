//! `outputs/<prompt>/<arm>.jsonl`: every sample that was drawn from a run, with all that is needed to draw it again.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::private::{self, Torn};
use super::protocol::{Finish, Sample, Sampling, now};
use crate::config::bounded;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub prompt: String,
    pub arm: String,
    pub sample: usize,
    pub seed: u64,
    pub ids: Vec<u32>,
    pub text: String,
    pub finish: Finish,
    /// What the model was asked.
    pub prompt_text: String,
    /// The step whose weights answered, or beside which the base arm was drawn: of a checkpoint, or of a run that was training.
    pub checkpoint: usize,
    pub sampling: Sampling,
    /// RFC 3339, UTC.
    pub time: String,
}

impl Output {
    pub fn new(sample: &Sample, prompt_text: &str, checkpoint: usize, sampling: Sampling) -> Output {
        let Sample { prompt, arm, sample: number, seed, ids, text, finish, step: _ } = sample.clone();
        Output {
            prompt,
            arm,
            sample: number,
            seed,
            ids,
            text,
            finish,
            prompt_text: prompt_text.to_owned(),
            checkpoint,
            sampling,
            time: now(),
        }
    }
}

/// Appends to the run's outputs.
pub fn append(run: &Path, output: &Output) -> Result<()> {
    let folder = run.join("outputs").join(&output.prompt);
    private::create_folder(&folder)?;
    let path = folder.join(format!("{}.jsonl", output.arm));
    let line = serde_json::to_vec(output).with_context(|| format!("{}: a sample cannot be written", path.display()))?;
    private::append_line(&path, &line, Torn::Remove)
}

/// The prompts that have outputs, each with its arms, both sorted.
pub fn list(run: &Path) -> Result<Vec<(String, Vec<String>)>> {
    let root = run.join("outputs");
    let mut found = vec![];
    for prompt in names(&root)?.into_iter().filter(|name| root.join(name).is_dir()) {
        let arms: Vec<String> =
            names(&root.join(&prompt))?.iter().filter_map(|name| Some(name.strip_suffix(".jsonl")?.to_owned())).collect();
        found.push((prompt, arms));
    }
    found.retain(|(_, arms)| !arms.is_empty());
    Ok(found)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let shown = || format!("{}: cannot be listed", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.with_context(shown)?,
    };
    let mut names = vec![];
    for entry in entries {
        names.push(entry.with_context(shown)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// All outputs of one prompt and arm, in the order they were drawn; a torn last line is left out.
pub fn read(run: &Path, prompt: &str, arm: &str) -> Result<Vec<Output>> {
    let path = run.join("outputs").join(prompt).join(format!("{arm}.jsonl"));
    match bounded::read(&path, bounded::RECORDS) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(vec![]),
        Err(e) => Err(e).with_context(|| format!("{}: cannot be read", path.display())),
        Ok(bytes) => parse(&path, &bytes),
    }
}

/// The outputs of a file's contents; `path` stands in errors.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Output>> {
    let whole = bytes.iter().rposition(|&b| b == b'\n').unwrap_or(0);
    let lines = (1..).zip(bytes[..whole].split(|&b| b == b'\n')).filter(|(_, line)| !line.is_empty());
    lines.map(|(n, line)| serde_json::from_slice(line).with_context(|| format!("{}:{n}: not an output", path.display()))).collect()
}
