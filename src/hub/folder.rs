//! The weight files of a model folder in Hugging Face layout: one `model.safetensors`, or shards that an index names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::header;
use crate::config::bounded;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The safetensors files of `folder`, each present and as long as its header says.
pub(super) fn weights(folder: &Path) -> Result<Vec<PathBuf>> {
    let index = folder.join(INDEX);
    if index.is_file() {
        return shards(folder, &index);
    }
    let single = folder.join(SINGLE);
    // `symlink_metadata`, because the cache holds links: a link to nothing must not read as "no weights here".
    if single.symlink_metadata().is_ok() {
        header::tensor_names(&single)?;
        return Ok(vec![single]);
    }
    match pickled(folder) {
        Some(pickle) => bail!(
            "{}: only {pickle}, which is a pickle and can run code; voicetune reads safetensors alone. Convert it with\n  \
             python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('{dir}').save_pretrained('{dir}')\"",
            folder.display(),
            dir = folder.display()
        ),
        None => bail!("{}: no {SINGLE} and no {INDEX}, so it holds no weights that voicetune reads", folder.display()),
    }
}

#[derive(Deserialize)]
struct Index {
    /// Tensor -> the shard that holds it.
    weight_map: BTreeMap<String, String>,
}

fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    let text = bounded::read_text(index, bounded::MODEL_TEXT).with_context(|| format!("{}: cannot be read", index.display()))?;
    let map = serde_json::from_str::<Index>(&text)
        .with_context(|| format!("{}: not an index of safetensors shards", index.display()))?
        .weight_map;
    let mut files = Vec::new();
    for shard in map.values().collect::<BTreeSet<_>>() {
        if !is_file_name(shard) {
            bail!("{}: names `{shard}`, which is not a file of its own folder", index.display());
        }
        let path = folder.join(shard);
        let present = header::tensor_names(&path)?;
        if let Some((tensor, _)) = map.iter().find(|(tensor, s)| *s == shard && !present.contains(*tensor)) {
            bail!("{}: has no tensor {tensor}, though {INDEX} says so; fetch the model again", path.display());
        }
        files.push(path);
    }
    if files.is_empty() {
        bail!("{}: names no shard", index.display());
    }
    Ok(files)
}

/// Neither a path nor a name with a meaning of its own.
fn is_file_name(name: &str) -> bool {
    !name.contains(['/', '\\', '\0']) && !matches!(name, "" | "." | "..")
}

fn pickled(folder: &Path) -> Option<&'static str> {
    ["pytorch_model.bin", "pytorch_model.bin.index.json"].into_iter().find(|name| folder.join(name).is_file())
}
