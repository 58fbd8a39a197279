//! The five screens, each with its own state, tasks and drawing.

pub mod diff;
pub mod pairs;
pub mod review;
pub mod runs;
pub mod train;
