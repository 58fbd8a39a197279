//! The pocket models that are part of the program: `assets/pocket/<name>/`, in Hugging Face layout.

use anyhow::{Context, Result};

/// One embedded model.
#[derive(Debug)]
pub(super) struct Pocket {
    name: &'static str,
    texts: [(&'static str, &'static str); 4],
    weights: &'static [u8],
}

macro_rules! texts {
    ($name:literal: $($file:literal),*) => {
        [$(($file, include_str!(concat!("../../assets/pocket/", $name, "/", $file)))),*]
    };
}

static POCKETS: [Pocket; 2] = [
    Pocket {
        name: "llama",
        texts: texts!("llama": "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
        weights: include_bytes!("../../assets/pocket/llama/model.safetensors"),
    },
    Pocket {
        name: "gpt2",
        texts: texts!("gpt2": "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
        weights: include_bytes!("../../assets/pocket/gpt2/model.safetensors"),
    },
];

/// The pocket model `name` (without `pocket:`).
pub(super) fn find(name: &str) -> Result<&'static Pocket> {
    POCKETS.iter().find(|p| p.name == name).with_context(|| {
        let names = POCKETS.each_ref().map(|p| format!("pocket:{}", p.name));
        format!("pocket:{name}: no such pocket model; there are {}", names.join(" and "))
    })
}

impl Pocket {
    pub(super) fn text(&self, file: &str) -> Option<String> {
        self.texts.iter().find(|(name, _)| *name == file).map(|(_, text)| (*text).to_owned())
    }

    pub(super) fn weights(&self) -> &'static [u8] {
        self.weights
    }
}
