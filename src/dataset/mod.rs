//! Pairs -> token ids with a mask -> batches. Ids and mask are born together in one function and shifted together.

pub mod batch;
