//! The header of a safetensors file: enough to tell a whole file from one that was cut short, without reading the tensors.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use safetensors::tensor::Metadata;

use crate::config::bounded;

/// Far above the headers of known models, which have 0.1 MB at most, and a quarter of the format's own limit: what a header of many
/// small entries takes in memory is some ten times its length.
const MAX_HEADER: u64 = 25_000_000;

/// The names of the file's tensors. Fails when the file is not exactly as long as its header announces.
pub(super) fn tensor_names(path: &Path) -> Result<BTreeSet<String>> {
    let shown = path.display();
    let mut file = match bounded::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => bail!("{shown}: missing; fetch the model again"),
        Err(e) => return Err(e).with_context(|| format!("{shown}: cannot be read")),
    };
    let length = file.metadata().with_context(|| format!("{shown}: cannot be read"))?.len();
    let mut bytes = vec![0; 8];
    file.read_exact(&mut bytes)
        .with_context(|| format!("{shown}: {length} bytes, which is too short for a safetensors file; fetch it again"))?;
    let announced = bytes.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b)); // little endian
    if announced > MAX_HEADER {
        bail!("{shown}: not a safetensors file (it would have a header of {announced} bytes)");
    }
    if announced + 8 > length {
        bail!("{shown}: cut short: {length} bytes, and the header alone has {}; fetch it again", announced + 8);
    }
    file.take(announced).read_to_end(&mut bytes).with_context(|| format!("{shown}: cannot be read"))?;
    let metadata: Metadata = serde_json::from_slice(&bytes[8..]).with_context(|| format!("{shown}: not a safetensors file"))?;
    let whole = 8 + announced + metadata.data_len() as u64;
    if length < whole {
        bail!("{shown}: cut short: {length} of {whole} bytes; fetch it again");
    }
    if length > whole {
        bail!("{shown}: {length} bytes where its header announces {whole}; fetch it again");
    }
    Ok(metadata.tensors().into_keys().collect())
}
