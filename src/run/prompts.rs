//! Prompts as a model reads them, and whether they fit its positions.

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::protocol::{Prompt, Sampling};
use crate::config::{self, Canary};
use crate::dataset::Encoder;

/// A model with fewer positions is not given prompts that ask for a long piece.
pub const LONG_PIECE: usize = 2048;

/// Prompts that can be answered, and sentences about those that cannot be, or not at full length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompts {
    pub fitting: Vec<Prompt>,
    pub notes: Vec<String>,
    /// Whether a prompt was left out because it is too long: something the writer must mend.
    pub too_long: bool,
}

impl Prompts {
    /// The canaries for a model with `context` positions.
    pub fn canaries(canaries: &[Canary], encoder: &Encoder, max_new_tokens: usize, context: usize) -> Result<Prompts> {
        let mut prompts = Prompts::default();
        for canary in canaries {
            if canary.long && context < LONG_PIECE {
                prompts
                    .notes
                    .push(format!("canary {} asks for a long piece and is left out: this model has {context} positions", canary.id));
                continue;
            }
            prompts.add(&canary.id, &canary.prompt, encoder, max_new_tokens, context)?;
        }
        Ok(prompts)
    }

    pub fn add(&mut self, id: &str, text: &str, encoder: &Encoder, max_new_tokens: usize, context: usize) -> Result<()> {
        let ids = encoder.prompt(text)?;
        let tokens = ids.len();
        if tokens >= context {
            self.notes.push(format!("prompt {id} is left out: its {tokens} tokens leave no room in this model's {context} positions"));
            self.too_long = true;
            return Ok(());
        }
        if tokens + max_new_tokens > context {
            let left = context - tokens;
            self.notes.push(format!(
                "prompt {id}: {tokens} tokens leave {left} of this model's {context} positions, so outputs end after {left} tokens, not {max_new_tokens}"
            ));
        }
        self.fitting.push(Prompt { id: id.to_owned(), ids });
        Ok(())
    }
}

/// The workspace's sampling settings as they hold for one model.
pub fn sampling_for(settings: &config::Sampling, short_name: &str) -> Sampling {
    Sampling {
        temperature: settings.temperature,
        top_p: settings.top_p,
        top_k: settings.top_k,
        repetition_penalty: settings.repetition_penalty,
        max_new_tokens: settings.max_new_tokens_for(short_name),
    }
}

/// The id of a prompt of one's own, which names its folder in `outputs/`: another text has another id.
pub fn short_id(name: &str, text: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).collect();
    format!("{name}-{}", &hex::encode(Sha256::digest(text))[..8])
}
