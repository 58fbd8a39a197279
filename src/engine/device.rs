//! The device the engine runs on: the first CUDA device where the program was built for one and one is there, else the CPU.

use anyhow::{Result, bail};
use candle_core::Device;

use crate::config::Precision;

/// Which device is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Auto,
    Cpu,
}

/// Where a model is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Cpu,
    Gpu,
}

/// A device before anything is put on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// What it is, in words.
    pub words: String,
    pub place: Place,
    /// Bytes of memory that are free, where the system tells.
    pub free: Option<u64>,
    /// Why a GPU does not compute in bf16; `None` where it does.
    pub no_bf16: Option<String>,
}

/// Opens the device and looks at it.
pub fn survey(want: Want) -> Result<Survey> {
    let device = open(want)?;
    let place = place(&device);
    let free = match place {
        Place::Cpu => available(),
        Place::Gpu => free_bytes(&device),
    };
    Ok(Survey { words: describe(&device), place, free, no_bf16: no_bf16(&device) })
}

pub(super) fn place(device: &Device) -> Place {
    if device.is_cpu() { Place::Cpu } else { Place::Gpu }
}

/// Why a GPU does not compute in bf16; `None` where it does, and on the CPU, which is another matter.
pub(super) fn no_bf16(device: &Device) -> Option<String> {
    if device.is_cpu() { None } else { gpu::no_bf16(device) }
}

/// Fails where the engine cannot compute in this precision there; `no_bf16` is [`Survey::no_bf16`].
pub fn check_precision(precision: Precision, place: Place, no_bf16: Option<&str>) -> Result<()> {
    match (precision, place, no_bf16) {
        (Precision::Nf4, ..) => bail!("base_precision nf4 is not built yet; set base_precision: bf16 (or f16 on a card without bf16)"),
        (Precision::Bf16 | Precision::F16, Place::Cpu, _) => {
            bail!("on the CPU the engine computes in f32 only; set base_precision: f32 (--dtype f32)")
        }
        (Precision::Bf16, Place::Gpu, Some(why)) => bail!("{why}; set base_precision: f16 (--dtype f16), or f32"),
        _ => Ok(()),
    }
}

/// Opens the device.
pub fn open(want: Want) -> Result<Device> {
    match want {
        Want::Cpu => Ok(Device::Cpu),
        Want::Auto => {
            let device = Device::cuda_if_available(0)?;
            gpu::prepare(&device)?;
            Ok(device)
        }
    }
}

/// What it is, in words.
pub fn describe(device: &Device) -> String {
    match device {
        Device::Cpu => format!("CPU, {} threads", rayon::current_num_threads()),
        _ => gpu::describe(device),
    }
}

/// Bytes of device memory in use by all programs; `None` on the CPU.
pub fn used_bytes(device: &Device) -> Option<u64> {
    gpu::memory(device).map(|(free, total)| (total - free) as u64)
}

/// Bytes of device memory that tensors have; `None` on the CPU.
pub fn tensor_bytes(device: &Device) -> Option<u64> {
    gpu::tensors(device)
}

/// Bytes of device memory that are free; `None` on the CPU.
pub fn free_bytes(device: &Device) -> Option<u64> {
    gpu::memory(device).map(|(free, _)| free as u64)
}

/// The most memory that tensors have taken on a GPU, or this process on the CPU, in GiB.
pub fn peak_gib(device: &Device) -> f64 {
    gpu::peak(device).or_else(resident_peak).unwrap_or(0) as f64 / (1u64 << 30) as f64
}

/// Memory that programs can still have without others being pushed out, in bytes, where the system tells (Linux).
fn available() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    kilobytes(meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?)
}

fn kilobytes(text: &str) -> Option<u64> {
    Some(text.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// The process's largest resident size in bytes, where the system tells (Linux).
fn resident_peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    kilobytes(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?)
}

/// Waits until the device has done all it was given: for clocks.
pub fn synchronize(device: &Device) -> Result<()> {
    Ok(device.synchronize()?)
}

#[cfg(feature = "cuda")]
mod gpu {
    use candle_core::Device;
    use voicetune_kernels::cuda::{graph, host, memory, precision};

    pub(super) fn prepare(device: &Device) -> candle_core::Result<()> {
        if device.is_cuda() { memory::prepare(device) } else { Ok(()) }
    }

    pub(super) fn peak(device: &Device) -> Option<u64> {
        memory::pool(device).ok().map(|pool| pool.peak)
    }

    pub(super) fn tensors(device: &Device) -> Option<u64> {
        memory::pool(device).ok().map(|pool| pool.used)
    }

    pub(super) fn no_bf16(device: &Device) -> Option<String> {
        precision::refusal(device).unwrap_or_else(|error| Some(format!("the card does not say whether it has bf16 ({error})")))
    }

    pub(super) fn describe(device: &Device) -> String {
        let Device::Cuda(cuda) = device else { return format!("{device:?}") };
        let context = cuda.cuda_stream().context().clone();
        let name = context.name().unwrap_or_else(|_| "CUDA device".into());
        let total = memory(device).map_or(String::new(), |(_, total)| format!(", {:.1} GiB", total as f64 / (1u64 << 30) as f64));
        // Said here, where every run and benchmark says what it ran on: decoding is slower then.
        let refused = graph::refusal().map_or(String::new(), |why| format!(", decoding without recorded steps ({why})"));
        let pinned = host::refusal().map_or(String::new(), |why| format!(", the embedding stays on it ({why})"));
        format!("{name}{total}{refused}{pinned}")
    }

    /// Free and total. What the pool keeps and has not given out is free.
    pub(super) fn memory(device: &Device) -> Option<(usize, usize)> {
        let Device::Cuda(cuda) = device else { return None };
        let (free, total) = cuda.cuda_stream().context().mem_get_info().ok()?;
        let pool = memory::pool(device).ok()?;
        Some((free + (pool.reserved - pool.used) as usize, total))
    }
}

#[cfg(not(feature = "cuda"))]
mod gpu {
    use candle_core::Device;

    pub(super) fn prepare(_device: &Device) -> candle_core::Result<()> {
        Ok(())
    }

    pub(super) fn peak(_device: &Device) -> Option<u64> {
        None
    }

    pub(super) fn tensors(_device: &Device) -> Option<u64> {
        None
    }

    pub(super) fn no_bf16(_device: &Device) -> Option<String> {
        None
    }

    pub(super) fn describe(device: &Device) -> String {
        format!("{device:?}")
    }

    pub(super) fn memory(_device: &Device) -> Option<(usize, usize)> {
        None
    }
}
