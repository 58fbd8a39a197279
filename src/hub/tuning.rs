//! Whether a model is a base or an instruct model, as far as its files and its name tell.

use serde::{Deserialize, Serialize};

/// "Base" in a comparison must never silently mean "Instruct", so a run records which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tuning {
    Base,
    Instruct,
    /// Neither the name nor the tokenizer's config says.
    Unknown,
}

impl Tuning {
    /// For sentences: "a base model".
    pub fn words(self) -> &'static str {
        match self {
            Tuning::Base => "a base model",
            Tuning::Instruct => "an instruct model",
            Tuning::Unknown => "base or instruct unknown",
        }
    }
}

/// The name's last part decides where it says so; else a chat template means instruct, and its absence base.
pub(super) fn of(name: &str, tokenizer_config: Option<&str>, template_file: bool) -> Tuning {
    let last = name.trim_end_matches('/').rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    if last.split(['-', '_', '.', ':']).any(|word| matches!(word, "instruct" | "chat" | "it")) {
        return Tuning::Instruct;
    }
    if template_file {
        return Tuning::Instruct;
    }
    let Some(config) = tokenizer_config.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok()) else {
        return Tuning::Unknown;
    };
    if config.get("chat_template").is_some_and(|t| !t.is_null()) { Tuning::Instruct } else { Tuning::Base }
}
