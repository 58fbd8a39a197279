//! `configs/templates.yaml`: how a pair becomes one text, in the two formats.

use serde::{Deserialize, Serialize};

use super::yaml::{self, Fault, Given};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Templates {
    pub plain: PlainTemplate,
    pub chat: ChatTemplate,
}

/// `{prompt}{delimiter}{response}`, for models without a chat template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainTemplate {
    pub delimiter: String,
}

/// What is put into the model's own chat template besides the pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatTemplate {
    /// The system prompt; empty means that there is none.
    pub system: String,
    /// Llama 3.1's template writes the day's date into every example unless it is pinned.
    pub date_string: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawTemplates {
    plain: RawPlain,
    chat: RawChat,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPlain {
    delimiter: Given<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawChat {
    system: Given<String>,
    date_string: Given<String>,
}

/// An empty text gives the defaults.
pub fn parse(text: &str) -> Result<Templates, Fault> {
    let raw: RawTemplates = yaml::parse(text)?;
    Ok(Templates {
        plain: PlainTemplate {
            delimiter: raw.plain.delimiter.within("plain.delimiter", "\n\n---\n\n".into(), "some text", |text| !text.is_empty())?,
        },
        chat: ChatTemplate {
            system: raw.chat.system.or(String::new()),
            date_string: raw
                .chat
                .date_string
                .within("chat.date_string", "26 Jul 2024".into(), "some text", |text| !text.trim().is_empty())?,
        },
    })
}
