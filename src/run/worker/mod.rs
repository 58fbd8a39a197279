//! The worker: a process of the same binary, in a session of its own, that owns the engine thread and the queue of its work. Viewers
//! (the interface, `train`, `watch`, `stop`) reach it by a Unix socket and may come and go.
//!
//! What a run logs does not travel: viewers read `events.jsonl`, which grows before anyone hears of it, and are only told that there
//! is more. So a viewer that comes late, reads slowly or was suspended misses nothing, and live and old runs are one code path.

mod client;
mod frame;
mod host;
mod kept;
mod log;
mod peer;
mod place;
mod process;
mod talk;
mod viewers;

pub use client::{Asker, Connection, InProcess, Reports};
pub use frame::PROTOCOL;
pub use kept::{forget_waiting, left_waiting};
pub use log::last_words;
pub use process::main;
pub use talk::{Level, Report, Request};
