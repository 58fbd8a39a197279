//! What became of each sentence: hand-made cases, synthetic edits with known operations, and properties of any two texts.

#![allow(clippy::unwrap_used)]

mod cases;
mod properties;
mod synthetic;
