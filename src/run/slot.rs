//! The model that is on the device, with all that is needed to sample from it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::Device;

use super::protocol::{Load, Loaded, Tuned};
use crate::config::Precision;
use crate::dataset::{Tokenizer, TokenizerFiles};
use crate::engine::spec::Spec;
use crate::engine::weights::Source;
use crate::engine::{Model, device};
use crate::hub::{ModelFiles, TextFiles};

pub(super) struct Slot {
    pub files: ModelFiles,
    /// Names the arms: `llama` gives `llama-base` and `llama-tuned`.
    pub short_name: &'static str,
    pub tokenizer: Tokenizer,
    pub model: Model,
    pub kind: Kind,
    /// The training step whose weights these are, where they were trained here and not loaded from a checkpoint.
    pub step: Option<usize>,
    precision: Precision,
    /// The untouched weights beside fully fine-tuned ones; loaded when the base arm is asked for.
    base: Option<Model>,
}

/// What the model in the slot is, which decides where its arms come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it was loaded: a base arm only.
    Untuned,
    /// Both arms over one copy of the weights.
    Adapter,
    /// Every weight was changed: the base arm needs the weights a second time.
    Full,
}

impl Slot {
    pub(super) fn load(load: &Load, device: &Device) -> Result<Slot> {
        let text = load.files.text_files()?;
        let spec = Spec::parse(&text.config).with_context(|| format!("{}: its config.json", load.files.name))?;
        let tokenizer = tokenizer(&text)?;
        let mut model = read_model(&load.files, &spec, device, load.precision)?;
        let kind = match &load.tuned {
            None => Kind::Untuned,
            Some(Tuned::Adapter(folder)) => {
                model.load_adapter(folder, 0.0).with_context(|| format!("{}: the adapter", folder.display()))?;
                Kind::Adapter
            }
            Some(Tuned::Weights(folder)) => {
                load_weights(&mut model, folder)?;
                Kind::Full
            }
        };
        let (files, short_name, precision) = (load.files.clone(), spec.short_name(), load.precision);
        Ok(Slot { files, short_name, tokenizer, model, kind, step: None, precision, base: None })
    }

    pub(super) fn describe(&self) -> Loaded {
        let spec = self.model.spec();
        Loaded { device: device::describe(self.model.device()), parameters: spec.parameters(), context: spec.context() }
    }

    /// The model that answers for the base arm.
    pub(super) fn base(&mut self) -> Result<&mut Model> {
        if self.kind != Kind::Full {
            return Ok(&mut self.model);
        }
        match &mut self.base {
            Some(base) => Ok(base),
            empty => Ok(empty.insert(read_model(&self.files, self.model.spec(), self.model.device(), self.precision)?)),
        }
    }

    /// The model that answers for the tuned arm.
    pub(super) fn tuned(&mut self) -> Result<&mut Model> {
        if self.kind == Kind::Untuned {
            bail!("{}: was loaded without fine-tuned weights, so it has a base arm only", self.files.name);
        }
        Ok(&mut self.model)
    }
}

/// Replaces a model's weights with those that a full fine-tuning saved.
pub(super) fn load_weights(model: &mut Model, folder: &Path) -> Result<()> {
    let file = folder.join("model.safetensors");
    model.load_weights(&Source::Files(vec![file.clone()])).with_context(|| format!("{}: cannot be loaded", file.display()))
}

fn read_model(files: &ModelFiles, spec: &Spec, device: &Device, precision: Precision) -> Result<Model> {
    Model::load(spec, &files.weights()?, device, precision).with_context(|| format!("{}: its weights cannot be loaded", files.name))
}

fn tokenizer(text: &TextFiles) -> Result<Tokenizer> {
    Tokenizer::new(&TokenizerFiles::from(text))
}

impl<'a> From<&'a TextFiles> for TokenizerFiles<'a> {
    fn from(text: &'a TextFiles) -> TokenizerFiles<'a> {
        TokenizerFiles {
            tokenizer_json: &text.tokenizer_json,
            tokenizer_config: text.tokenizer_config.as_deref(),
            generation_config: text.generation_config.as_deref(),
            config: Some(&text.config),
            chat_template: text.chat_template.as_deref(),
            model_name: &text.model_name,
        }
    }
}
