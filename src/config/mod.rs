//! What a workspace says in `configs/*.yaml`: raw as written -> resolved values in which nothing is optional.
//!
//! Every reader here is strict: an unknown key, a value of the wrong type or out of range is a [`ConfigError`] that names the
//! file, the line, and what is allowed.

mod canaries;
mod embedded;
mod error;
pub mod form;
mod raw;
mod rubric;
mod sampling;
mod temperature;
mod templates;
mod training;
mod workspace;
pub mod yaml;

pub use canaries::Canary;
pub use embedded::EMBEDDED;
pub use error::ConfigError;
pub use raw::{load, parse};
pub use rubric::{Dimension, Rubric};
pub use sampling::Sampling;
pub use temperature::Temperature;
pub use templates::{ChatTemplate, PlainTemplate, Templates};
pub use training::*;
pub use workspace::Workspace;
