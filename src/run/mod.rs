//! Runs: the engine thread, the training loop, checkpoints and the event log.

pub mod checkpoint;
mod engine_thread;
pub mod folder;
mod generate;
mod inbox;
pub mod journal;
pub mod log;
pub mod manifest;
pub mod outputs;
mod plan;
pub mod prepare;
pub(crate) mod private;
pub mod prompts;
pub mod protocol;
pub mod resume;
mod slot;
mod train;

pub use engine_thread::EngineHandle;
pub use folder::Run;

/// Which device the engine thread opens.
pub use crate::engine::device::Want;
