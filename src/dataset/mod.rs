//! Pairs -> token ids with a mask -> batches. Ids and mask are born together in one function and shifted together.

pub mod batch;
mod encode;
mod gauge;
mod guard;
mod model_text;
mod set;
mod spans;
mod split;
mod stream;
mod template;
mod text;
mod tokenizer;

pub use batch::{Batch, Example, Part};
pub use encode::{Cut, EncodeProblem, Encoded, Encoder, Reason};
pub use gauge::{Fit, Gauge};
pub use model_text::ModelText;
pub use set::{Dataset, Left, Measured, Shortened, budgets, limit};
pub use spans::TokenText;
pub use split::{Leak, Leaks, split};
pub use stream::TextStream;
pub use template::{ChatTemplate, Message, Role};
pub use tokenizer::{Tokenizer, TokenizerFiles};

#[cfg(test)]
mod testing;
