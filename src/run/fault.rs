//! What befell a run, in words the writer can act on: a GPU without memory, a GPU that is lost. And faults that tests make an engine
//! suffer, since a CPU has none of a GPU's.

use anyhow::{Result, anyhow};

use crate::config::{Config, MemoryLimit, Method, Precision, Recompute};

/// A fault of a GPU, told by the names that CUDA gives its errors. They reach us in the texts of errors and panics of the libraries
/// between, which have no type for them that exists without a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceFault {
    OutOfMemory,
    /// Nothing can be computed any more by this process.
    Lost,
}

const OUT_OF_MEMORY: [&str; 3] = ["CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED", "cudaErrorMemoryAllocation"];

/// From the driver's list of errors: those after which its manual says that the process must be started again, and those of a card
/// that has gone.
const LOST: [&str; 17] = [
    "CUDA_ERROR_ILLEGAL_ADDRESS",
    "CUDA_ERROR_LAUNCH_FAILED",
    "CUDA_ERROR_LAUNCH_TIMEOUT",
    "CUDA_ERROR_ECC_UNCORRECTABLE",
    "CUDA_ERROR_HARDWARE_STACK_ERROR",
    "CUDA_ERROR_ILLEGAL_INSTRUCTION",
    "CUDA_ERROR_MISALIGNED_ADDRESS",
    "CUDA_ERROR_INVALID_ADDRESS_SPACE",
    "CUDA_ERROR_INVALID_PC",
    "CUDA_ERROR_ASSERT",
    "CUDA_ERROR_CONTEXT_IS_DESTROYED",
    "CUDA_ERROR_DEINITIALIZED",
    "CUDA_ERROR_DEVICE_UNAVAILABLE",
    "CUDA_ERROR_NO_DEVICE",
    "CUDA_ERROR_NVLINK_UNCORRECTABLE",
    "CUDA_ERROR_SYSTEM_NOT_READY",
    "CUDA_ERROR_UNKNOWN",
];

impl DeviceFault {
    pub(super) fn of(error: &anyhow::Error) -> Option<DeviceFault> {
        let text = format!("{error:#}");
        let names = |list: &[&str]| list.iter().any(|name| text.contains(name));
        match () {
            () if names(&OUT_OF_MEMORY) => Some(DeviceFault::OutOfMemory),
            () if names(&LOST) => Some(DeviceFault::Lost),
            () => None,
        }
    }

    /// The sentence for the writer, ahead of the error itself.
    pub(super) fn words(self, config: &Config) -> String {
        match self {
            DeviceFault::OutOfMemory => format!("the GPU's memory ran out; {}", what_helps(config)),
            DeviceFault::Lost => {
                "the GPU failed and cannot be used any more by this process; start voicetune again, and look at `nvidia-smi` and the \
                 system's log if it comes back"
                    .into()
            }
        }
    }
}

/// At most three settings that make a run smaller, the gentlest first; only those that this config leaves open.
fn what_helps(config: &Config) -> String {
    let less = match (config.recompute, config.memory_limit) {
        (Recompute::Block, _) => None,
        (Recompute::Auto, MemoryLimit::Gib(gib)) => Some(format!("a `memory_limit` below {gib} or `recompute: block` in its place")),
        _ => Some("`recompute: block`".to_owned()),
    };
    let goes_on = less.is_some();
    let settings = [
        less.map(|less| format!("{less}, with which this run can go on")),
        (config.batch > 1).then(|| format!("a `batch` below {}, with `accumulate` raised to match", config.batch)),
        (config.max_tokens > 256).then(|| format!("`max_tokens` below {}", config.max_tokens)),
        (config.base_precision == Precision::F32).then(|| "`base_precision: bf16`".to_owned()),
        (config.method == Method::Full).then(|| "`method: lora`".to_owned()),
        (config.method == Method::Lora && config.lora.rank > 4).then(|| format!("a `lora.rank` below {}", config.lora.rank)),
        Some("a smaller model".to_owned()),
    ];
    let settings: Vec<String> = settings.into_iter().flatten().take(3).collect();
    let new = if goes_on { "; the others need a new run" } else { "; each needs a new run" };
    format!("what helps: {}{new}", settings.join(", or "))
}

/// A fault to come: what, and at which step of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injected {
    pub step: usize,
    pub what: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// As candle reports what CUDA reports.
    OutOfMemory,
    DeviceLost,
    /// What libraries do with an error that they did not reckon with.
    Panic,
    NanLoss,
    InfiniteGradient,
}

/// What a step of training suffers, which is nothing outside tests.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults(pub(super) Option<Injected>);

impl Faults {
    fn at(self, step: usize) -> Option<Fault> {
        self.0.filter(|injected| injected.step == step).map(|injected| injected.what)
    }

    /// Where the device computes.
    pub(super) fn compute(self, step: usize) -> Result<()> {
        let driver = |name: &str| Err(anyhow!("DriverError({name}, \"as a test asked\")"));
        match self.at(step) {
            Some(Fault::OutOfMemory) => driver("CUDA_ERROR_OUT_OF_MEMORY"),
            Some(Fault::DeviceLost) => driver("CUDA_ERROR_ILLEGAL_ADDRESS"),
            Some(Fault::Panic) => panic!("called `Result::unwrap()` on an `Err` value: DriverError(CUDA_ERROR_LAUNCH_FAILED)"),
            _ => Ok(()),
        }
    }

    pub(super) fn loss(self, step: usize, loss: f64) -> f64 {
        if self.at(step) == Some(Fault::NanLoss) { f64::NAN } else { loss }
    }

    pub(super) fn grad_norm(self, step: usize, norm: f64) -> f64 {
        if self.at(step) == Some(Fault::InfiniteGradient) { f64::INFINITY } else { norm }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    #[test]
    fn faults_are_told_by_the_drivers_names() {
        let check = |text: &str, expected: Option<DeviceFault>| {
            assert_eq!(DeviceFault::of(&anyhow!("{text}").context("step 3")), expected, "{text}");
        };
        check("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")", Some(DeviceFault::OutOfMemory));
        check("CublasError(CUBLAS_STATUS_ALLOC_FAILED)", Some(DeviceFault::OutOfMemory));
        check("a fault in voicetune: DriverError(CUDA_ERROR_ILLEGAL_ADDRESS)", Some(DeviceFault::Lost));
        check("events.jsonl: an event cannot be written: No space left on device", None);
    }

    #[test]
    fn only_what_is_left_to_lower_is_advised() {
        let check = |more: &str, expected: &str| {
            let text = format!("{{ model: m, format: chat, {more} }}");
            assert_eq!(what_helps(&config::parse(Path::new("c.yaml"), &text).unwrap()), expected);
        };
        check(
            "method: lora, batch: 4, max_tokens: 8192",
            "what helps: `recompute: block`, with which this run can go on, or a `batch` below 4, with `accumulate` raised to match, or \
             `max_tokens` below 8192; the others need a new run",
        );
        check(
            "method: lora, memory_limit: 13.5, max_tokens: 8192",
            "what helps: a `memory_limit` below 13.5 or `recompute: block` in its place, with which this run can go on, or `max_tokens` below \
             8192, or a `lora.rank` below 16; the others need a new run",
        );
        check(
            "method: lora, recompute: block",
            "what helps: `max_tokens` below 2048, or a `lora.rank` below 16, or a smaller model; each needs a new run",
        );
        check(
            "method: full, recompute: block, base_precision: f32, max_tokens: 256",
            "what helps: `base_precision: bf16`, or `method: lora`, or a smaller model; each needs a new run",
        );
    }
}
