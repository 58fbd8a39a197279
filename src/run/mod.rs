//! Runs: the engine thread, the training loop, checkpoints, the event log, and the worker process that all of it lives in.

pub mod advice;
pub mod checkpoint;
mod engine_thread;
pub mod fault;
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
pub mod work;
pub mod worker;

pub use engine_thread::EngineHandle;
pub use folder::Run;
pub use follow::Follow;
pub use priority::Priority;

pub use crate::engine::device::{Survey, Want, survey};
