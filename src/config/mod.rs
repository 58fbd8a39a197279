//! What a workspace says in `configs/*.yaml`: raw as written -> resolved values in which nothing is optional.
//!
//! Every reader here is strict: an unknown key, a value of the wrong type or out of range is a [`ConfigError`] that names the
//! file, the line, and what is allowed.

pub mod bounded;
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

pub use canaries::{Canary, parse as parse_canaries};
pub use embedded::EMBEDDED;
pub use error::ConfigError;
pub use raw::{check, load, parse};
pub use rubric::{Dimension, Rubric, parse as parse_rubric};
pub use sampling::{Sampling, parse as parse_sampling};
pub use temperature::Temperature;
pub use templates::{ChatTemplate, PlainTemplate, Templates, parse as parse_templates};
pub use training::*;
pub use workspace::Workspace;
