//! Reading tensors from safetensors files: memory-mapped, from one file, several shards, or bytes embedded in the program.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use candle_core::safetensors::{MmapedSafetensors, SliceSafetensors};
use candle_core::{Device, Tensor};

use crate::config::bounded;

/// Where a model's weights are.
#[derive(Debug, Clone)]
pub enum Source {
    /// One file, or all shards.
    Files(Vec<PathBuf>),
    Embedded(&'static [u8]),
}

/// Opened weights: tensors by name.
pub struct Store {
    files: Vec<(String, File)>,
    /// Which of `files` has a tensor.
    index: HashMap<String, usize>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Store of {} tensors in {}", self.index.len(), self.describe())
    }
}

enum File {
    Mapped(MmapedSafetensors),
    Embedded(SliceSafetensors<'static>),
}

impl Store {
    /// Opens the files and reads their headers.
    ///
    /// # Errors
    /// Names the file that is missing, truncated or not safetensors.
    pub fn open(source: &Source) -> Result<Self> {
        let mut store = Store { files: vec![], index: HashMap::new() };
        match source {
            Source::Files(paths) => {
                for path in paths {
                    store.add(path.display().to_string(), File::Mapped(map(path)?));
                }
            }
            Source::Embedded(bytes) => {
                let file = SliceSafetensors::new(bytes).context("the embedded weights are damaged")?;
                store.add("embedded weights".into(), File::Embedded(file));
            }
        }
        Ok(store)
    }

    fn add(&mut self, name: String, file: File) {
        let tensors = match &file {
            File::Mapped(file) => file.tensors(),
            File::Embedded(file) => file.tensors(),
        };
        for (tensor, _) in tensors {
            self.index.insert(tensor, self.files.len());
        }
        self.files.push((name, file));
    }

    pub fn contains(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.index.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// A tensor in the type that the file has.
    pub fn load(&self, name: &str, device: &Device) -> Result<Tensor> {
        let Some(&file) = self.index.get(name) else {
            bail!("{} has no tensor `{name}`; are these the weights of this config.json?", self.describe());
        };
        let (path, file) = &self.files[file];
        let tensor = match file {
            File::Mapped(file) => file.load(name, device),
            File::Embedded(file) => file.load(name, device),
        };
        tensor.with_context(|| format!("cannot read tensor `{name}` from {path}"))
    }

    /// The files, for messages.
    pub fn describe(&self) -> String {
        match &self.files[..] {
            [(name, _)] => name.clone(),
            [(name, _), ..] => format!("{name} and {} more", self.files.len() - 1),
            [] => "no file".into(),
        }
    }
}

#[allow(unsafe_code)]
fn map(path: &PathBuf) -> Result<MmapedSafetensors> {
    let length = bounded::open(path).and_then(|file| file.metadata()).with_context(|| format!("cannot open {}", path.display()))?.len();
    // SAFETY: the mapping is read-only and private to this process. Another process that truncates the file while it is mapped
    // could end this one with SIGBUS; weights in a cache or a finished checkpoint are renamed into place and not written again.
    let mapped = unsafe { MmapedSafetensors::new(path) };
    mapped.with_context(|| format!("{} ({length} bytes) is damaged or not complete; fetch or copy it again", path.display()))
}

/// Writes tensors to a safetensors file, in the order of their names, so that the same values give the same bytes.
///
/// # Errors
/// Names the file; a file that could not be written whole is removed.
pub fn save(path: &std::path::Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let views = tensors.iter().map(|(name, tensor)| (name, tensor));
    let written = safetensors::serialize_to_file(views, None, path).map_err(anyhow::Error::from);
    written.and_then(|()| Ok(std::fs::File::open(path)?.sync_all()?)).or_else(|error| {
        // Nothing half-written stays; that it may not exist at all is no second error.
        let _ = std::fs::remove_file(path);
        Err(error).with_context(|| format!("cannot write {}; is the disk full?", path.display()))
    })
}
