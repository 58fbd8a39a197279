//! voicetune teaches a language model a writer's voice: pairs in, fine-tuned models out, and a reading of what changed.
//!
//! Data flows one way: `pairs` -> `dataset` -> `engine` -> `run` -> `review` -> `cli`. See `docs/architecture.md` for what each
//! module may know; `tests/layering.rs` holds it to that.

pub mod cli;
pub mod config;
pub mod dataset;
pub mod engine;
pub mod hub;
pub mod pairs;
pub mod review;
pub mod run;
pub mod ui;
