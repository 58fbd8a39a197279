//! Which types the tensor cores multiply: what the card has, and what this build's kernels were compiled for.

use candle_core::cuda::WrapErr;
use candle_core::{DType, Device, Result, bail};

/// Why the kernels do not compute in bf16 on this device, in words; `None` where they do.
pub fn refusal(device: &Device) -> Result<Option<String>> {
    let Device::Cuda(cuda) = device else { bail!("expected a CUDA device") };
    let (major, minor) = cuda.cuda_stream().context().compute_capability().w()?;
    if major < 8 {
        return Ok(Some(format!("this card is of compute capability {major}.{minor}, and bf16 needs 8.0")));
    }
    if cfg!(turing) {
        return Ok(Some("this program was built for cards of compute capability 7.5, which have no bf16".into()));
    }
    Ok(None)
}

/// Whether the kernels that multiply on tensor cores take a type there.
pub(super) fn multiplies(dtype: DType, device: &Device) -> Result<bool> {
    match dtype {
        DType::F16 => Ok(true),
        DType::BF16 => Ok(refusal(device)?.is_none()),
        _ => Ok(false),
    }
}
