//! How many tokens a pair has for each model that the training configs name, and where a model stops reading.

use crate::config::{Config, Templates, Workspace};
use crate::dataset::{self, Encoder, Gauge, ModelText, TokenizerFiles};
use crate::hub::{ModelFiles, Search};
use crate::pairs::Pair;
use crate::ui::tasks::in_words;

/// A pair counted for one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The model in a word.
    pub model: String,
    /// An error says why it cannot be counted.
    pub gauge: Result<Gauge, String>,
}

/// The models of the training configs with their tokenizers; no weights.
#[derive(Debug)]
pub struct Models {
    models: Vec<(Config, Result<ModelText, String>)>,
    templates: Result<Templates, String>,
}

impl Models {
    pub fn find(workspace: &Workspace) -> Models {
        let paths = workspace.training_configs().unwrap_or_default();
        let mut configs: Vec<Config> = paths.iter().filter_map(|path| workspace.config(&path.to_string_lossy()).ok()).collect();
        // Of two configs for one model the tighter limit is the one to keep to.
        configs.sort_by_key(|config| (config.short_name(), config.max_tokens));
        configs.dedup_by_key(|config| config.short_name());
        let model = |config: Config| {
            let text = in_words(text_of(workspace, &config));
            (config, text)
        };
        let mut models: Vec<_> = configs.into_iter().map(model).collect();
        models.sort_by_key(|(_, text)| text.is_err());
        Models { models, templates: workspace.templates().map_err(|error| error.to_string()) }
    }

    pub fn measure(&self, pair: &Pair) -> Vec<Count> {
        self.models.iter().map(|(config, text)| Count { model: config.short_name(), gauge: self.gauge(pair, config, text) }).collect()
    }

    fn gauge(&self, pair: &Pair, config: &Config, text: &Result<ModelText, String>) -> Result<Gauge, String> {
        let text = text.as_ref().map_err(String::clone)?;
        let templates = self.templates.as_ref().map_err(String::clone)?;
        let encoder = in_words(Encoder::new(&text.tokenizer, config.format, templates))?;
        Ok(Gauge::of(pair, &encoder, dataset::limit(config, text), config.overlong))
    }
}

fn text_of(workspace: &Workspace, config: &Config) -> anyhow::Result<ModelText> {
    let files = ModelFiles::resolve(&config.model, &config.revision, &Search::from_env(workspace.root()))?;
    ModelText::new(&TokenizerFiles::from(&files.text_files()?))
}
