//! Runs: the engine thread, the training loop, checkpoints and the event log.

pub mod advice;
pub mod checkpoint;
mod engine_thread;
pub mod folder;
pub mod follow;
mod generate;
mod inbox;
pub mod journal;
pub mod log;
pub mod manifest;
pub mod new_config;
pub mod outputs;
mod plan;
pub mod preflight;
pub mod prepare;
mod priority;
pub(crate) mod private;
pub mod prompts;
pub mod protocol;
pub mod resume;
mod score;
pub mod scores;
pub mod scoring;
mod slot;
pub mod summary;
mod train;

pub use engine_thread::EngineHandle;
pub use folder::Run;
pub use follow::Follow;
pub use priority::Priority;

pub use crate::engine::device::{Survey, Want, survey};
