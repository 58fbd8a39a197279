//! What training data needs of a model: its tokenizer, and how many positions it has. No weights.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::tokenizer::{Tokenizer, TokenizerFiles};

#[derive(Debug, Clone)]
pub struct ModelText {
    pub tokenizer: Tokenizer,
    /// Positions the model has: no example can be longer.
    pub context: usize,
}

impl ModelText {
    /// One of the embedded models, by the name after `pocket:`.
    pub fn pocket(name: &str) -> Result<Self> {
        macro_rules! embedded {
            ($folder:literal, $model_name:literal) => {
                TokenizerFiles {
                    tokenizer_json: include_str!(concat!("../../assets/pocket/", $folder, "/tokenizer.json")),
                    tokenizer_config: Some(include_str!(concat!("../../assets/pocket/", $folder, "/tokenizer_config.json"))),
                    generation_config: Some(include_str!(concat!("../../assets/pocket/", $folder, "/generation_config.json"))),
                    config: Some(include_str!(concat!("../../assets/pocket/", $folder, "/config.json"))),
                    chat_template: None,
                    model_name: $model_name,
                }
            };
        }
        match name {
            "llama" => Self::new(&embedded!("llama", "pocket:llama")),
            "gpt2" => Self::new(&embedded!("gpt2", "pocket:gpt2")),
            _ => bail!("there is no pocket model `pocket:{name}`; there are `pocket:llama` and `pocket:gpt2`"),
        }
    }

    /// A model folder in Hugging Face layout. `tokenizer.json` and `config.json` must be there.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let needed = |file: &str| {
            let path = folder.join(file);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}: a model folder needs it", path.display()))
        };
        let optional = |file: &str| {
            let path = folder.join(file);
            if !path.exists() {
                return Ok(None);
            }
            fs::read_to_string(&path).map(Some).with_context(|| format!("cannot read {}", path.display()))
        };
        let config = needed("config.json")?;
        Self::new(&TokenizerFiles {
            tokenizer_json: &needed("tokenizer.json")?,
            tokenizer_config: optional("tokenizer_config.json")?.as_deref(),
            generation_config: optional("generation_config.json")?.as_deref(),
            config: Some(&config),
            chat_template: optional("chat_template.jinja")?.as_deref(),
            model_name: &folder.display().to_string(),
        })
    }

    /// From the files' contents; `config` must be given.
    pub fn new(files: &TokenizerFiles) -> Result<Self> {
        let config = files.config.with_context(|| format!("{} has no config.json", files.model_name))?;
        let context = context_length(config).with_context(|| format!("config.json of {}", files.model_name))?;
        Ok(ModelText { tokenizer: Tokenizer::new(files)?, context })
    }
}

/// The number of positions that a `config.json` gives its model.
pub fn context_length(config_json: &str) -> Result<usize> {
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
    use super::*;

    #[test]
    fn pocket_models_are_embedded() {
        let llama = ModelText::pocket("llama").unwrap();
        assert_eq!((llama.context, llama.tokenizer.vocabulary()), (2048, 4096));
        assert_eq!(
            (llama.tokenizer.start(), llama.tokenizer.end_tokens(), llama.tokenizer.end_of_text()),
            (&[4091][..], &[4092, 4095][..], 4095)
        );
        assert!(llama.tokenizer.has_chat_template());
        let gpt2 = ModelText::pocket("gpt2").unwrap();
        assert_eq!((gpt2.context, gpt2.tokenizer.vocabulary()), (1024, 4096));
        assert_eq!((gpt2.tokenizer.start(), gpt2.tokenizer.end_tokens()), (&[][..], &[4091][..]));
        assert!(!gpt2.tokenizer.has_chat_template());
        assert!(ModelText::pocket("bert").unwrap_err().to_string().contains("pocket:gpt2"));
    }

    #[test]
    fn folders_lacking_a_file_are_refused_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let check = |expected: &str| {
            let message = format!("{:#}", ModelText::in_folder(folder.path()).unwrap_err());
            assert!(message.contains(expected), "{message}");
        };
        check("config.json: a model folder needs it");
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        check("tokenizer.json: a model folder needs it");
        fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        check("max_position_embeddings");
        fs::write(folder.path().join("config.json"), r#"{"n_positions": 8}"#).unwrap();
        check("cannot read tokenizer.json of ");
    }
}
