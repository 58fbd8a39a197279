//! The interface: screens over the pairs, the training and the reviews, drawn with ratatui.

pub mod editor;
