//! The Hugging Face cache on disk: `models--org--name/{refs/<revision>, snapshots/<commit>/}`, as huggingface_hub writes it.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::config::bounded;

/// A snapshot that is in the cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub commit: String,
    pub path: PathBuf,
}

/// The cache folder that the environment names, in huggingface_hub's own order.
pub(super) fn folder(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("HF_HUB_CACHE")
        .or_else(|| set("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| set("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("huggingface/hub")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/huggingface/hub")))
}

/// `org/name`, or a name alone as the oldest models have (`gpt2`).
pub fn is_hub_id(model: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty() && !p.starts_with(['.', '-']) && p.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    match model.split_once('/') {
        Some((org, name)) => part(org) && part(name),
        None => part(model),
    }
}

/// The command that fetches what is missing.
pub(super) fn fetch_command(model: &str, revision: &str) -> String {
    match revision {
        "main" => format!("hf download {model}"),
        revision => format!("hf download {model} --revision {revision}"),
    }
}

/// The snapshot of `model` at `revision`: a branch, a tag, `refs/pr/N`, or a commit hash.
pub(super) fn find(cache: &Path, model: &str, revision: &str) -> Result<Snapshot> {
    let fetch = fetch_command(model, revision);
    let repo = cache.join(format!("models--{}", model.replace('/', "--")));
    if !repo.is_dir() {
        bail!("{model} is not in the Hugging Face cache ({}); `{fetch}` fetches it", cache.display());
    }
    let commit = commit_of(&repo, revision)?.with_context(|| {
        format!("{model}: revision `{revision}` is not in the Hugging Face cache ({}); `{fetch}` fetches it", repo.display())
    })?;
    let path = repo.join("snapshots").join(&commit);
    if !path.is_dir() {
        bail!("{model}: the cache names commit {commit} but does not hold it ({} is missing); `{fetch}` fetches it", path.display());
    }
    Ok(Snapshot { commit, path })
}

fn commit_of(repo: &Path, revision: &str) -> Result<Option<String>> {
    if !Path::new(revision).components().all(|c| matches!(c, Component::Normal(_))) {
        bail!("revision `{revision}` is not a branch, a tag or a commit hash");
    }
    if is_commit(revision) {
        return Ok(repo.join("snapshots").join(revision).is_dir().then(|| revision.to_owned()));
    }
    let file = repo.join("refs").join(revision);
    match bounded::read_text(&file, bounded::CONFIG) {
        Ok(text) if is_commit(text.trim()) => Ok(Some(text.trim().to_owned())),
        Ok(text) => bail!("{}: `{}` is not a commit hash; delete the file and fetch the model again", file.display(), text.trim()),
        Err(_) => Ok(None),
    }
}

fn is_commit(s: &str) -> bool {
    s.len() == 40 && s.bytes().all(|b| b.is_ascii_hexdigit())
}
