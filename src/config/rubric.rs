//! `configs/rubric.yaml`: what a reader scores from 1 to 5.

use serde::{Deserialize, Serialize};

use super::yaml::{self, Fault};

/// The dimensions, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rubric {
    pub dimensions: Vec<Dimension>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// The key of its score in `verdicts.jsonl`.
    pub id: String,
    pub name: String,
    pub question: String,
    /// What a 1 means.
    pub low: String,
    /// What a 5 means.
    pub high: String,
    /// Asked of long pieces only.
    #[serde(default)]
    pub long_only: bool,
}

pub fn parse(text: &str) -> Result<Rubric, Fault> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        dimensions: Vec<serde_yaml::Spanned<Dimension>>,
    }
    let file: File = yaml::parse(text)?;
    let mut dimensions: Vec<Dimension> = Vec::new();
    for spanned in file.dimensions {
        let line = yaml::line_of(&spanned);
        let dimension = spanned.value;
        if dimension.id.trim().is_empty() || dimension.name.trim().is_empty() || dimension.question.trim().is_empty() {
            return Err(Fault::at(line, "`id`, `name` and `question` must not be empty"));
        }
        if dimensions.iter().any(|other| other.id == dimension.id) {
            return Err(Fault::at(line, format!("two dimensions have the id `{}`; rename one", dimension.id)));
        }
        dimensions.push(dimension);
    }
    if dimensions.is_empty() {
        return Err(Fault { line: None, message: "there is no dimension; add one, or delete the file to have the default nine".into() });
    }
    Ok(Rubric { dimensions })
}
