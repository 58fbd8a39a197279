//! What training data needs of a model: its tokenizer, and how many positions it has. No weights.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::tokenizer::{Tokenizer, TokenizerFiles};

#[derive(Debug, Clone)]
pub struct ModelText {
    pub tokenizer: Tokenizer,
    /// Positions the model has: no example can be longer.
    pub context: usize,
}

impl ModelText {
    /// From the files' contents; `config` must be given.
    pub fn new(files: &TokenizerFiles) -> Result<Self> {
        let config = files.config.with_context(|| format!("{} has no config.json", files.model_name))?;
        let context = context_length(config).with_context(|| format!("config.json of {}", files.model_name))?;
        Ok(ModelText { tokenizer: Tokenizer::new(files)?, context })
    }
}

/// The number of positions that a `config.json` gives its model.
fn context_length(config_json: &str) -> Result<usize> {
    #[derive(Deserialize)]
    struct Positions {
        max_position_embeddings: Option<usize>,
        n_positions: Option<usize>,
    }
    let positions: Positions = serde_json::from_str(config_json)?;
    positions
        .max_position_embeddings
        .or(positions.n_positions)
        .context("neither `max_position_embeddings` (Llama) nor `n_positions` (GPT-2) says how many positions the model has")
}

#[cfg(test)]
mod tests {
    use super::super::testing::tokenizer_json;
    use super::*;

    /// What is made of a `config.json`: the positions, or the whole error.
    fn context(config: Option<&str>) -> Result<usize, String> {
        let files = TokenizerFiles {
            tokenizer_json: &tokenizer_json(),
            tokenizer_config: None,
            generation_config: Some(r#"{"eos_token_id": 34}"#),
            config,
            chat_template: None,
            model_name: "tiny",
        };
        ModelText::new(&files).map(|text| text.context).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn both_architectures_say_their_positions() {
        assert_eq!(context(Some(r#"{"max_position_embeddings": 4096}"#)), Ok(4096));
        assert_eq!(context(Some(r#"{"n_positions": 1024}"#)), Ok(1024));
    }

    #[test]
    fn a_config_without_positions_is_refused_by_its_models_name() {
        let check = |config, expected: &str| {
            let message = context(config).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        };
        check(None, "tiny has no config.json");
        check(Some("{"), "config.json of tiny: ");
        check(Some("{}"), "config.json of tiny: neither `max_position_embeddings`");
    }
}
