//! A frozen embedding that a GPU reads from the host's memory: its rows are few a step, and all of it is a gigabyte of Llama 3.1 8B.

#[cfg(feature = "cuda")]
pub use voicetune_kernels::cuda::host::HostTable;

/// There is none without a GPU.
#[cfg(not(feature = "cuda"))]
#[derive(Debug)]
pub enum HostTable {}
