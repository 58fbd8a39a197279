//! `configs/canaries.yaml`: the fixed prompts that are answered after every run.

use serde::{Deserialize, Serialize};

use super::yaml::{self, Fault};

/// A fixed prompt. A: known topic, short. B: new topic, short. C: known topic, long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Names the prompt in tables and folders, e.g. `A`.
    pub id: String,
    /// What the prompt is there to find out.
    pub about: String,
    /// Asks for a long piece, which a model with a short context is not given.
    pub long: bool,
    pub prompt: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    canaries: Vec<serde_yaml::Spanned<Canary>>,
}

pub fn parse(text: &str) -> Result<Vec<Canary>, Fault> {
    let file: File = yaml::parse(text)?;
    if file.canaries.is_empty() {
        return Err(Fault { line: None, message: "there is no canary; add one: `- {id: A, about: …, long: false, prompt: …}`".into() });
    }
    let mut canaries: Vec<Canary> = Vec::new();
    for spanned in file.canaries {
        let line = yaml::line_of(&spanned);
        let canary = spanned.value;
        if !names_a_folder(&canary.id) {
            return Err(Fault::at(line, format!("the id `{}` must be letters, digits, `-` or `_`: it names a folder", canary.id)));
        }
        if canary.prompt.trim().is_empty() {
            return Err(Fault::at(line, format!("canary {} has an empty prompt; write one", canary.id)));
        }
        if canaries.iter().any(|other| other.id.eq_ignore_ascii_case(&canary.id)) {
            return Err(Fault::at(line, format!("two canaries have the id {}; rename one", canary.id)));
        }
        canaries.push(canary);
    }
    Ok(canaries)
}

/// Outputs go to `runs/<run>/outputs/<id>/`.
fn names_a_folder(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
