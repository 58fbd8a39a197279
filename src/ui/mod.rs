//! The interface: five screens in a terminal.
//!
//! Messages go in, effects come out: [`app::App::update`] does no input or output, [`app::App::view`] changes nothing, and
//! [`runtime`] carries the effects out. The engine is reached through [`work`], which asks one thing of its thread after another.

pub mod app;
pub mod editor;
mod foot;
pub mod keys;
pub mod message;
mod overlay;
pub mod prose;
mod runtime;
pub mod screen;
pub mod screens;
pub mod settings;
pub mod tasks;
pub mod theme;
pub mod widgets;
pub mod work;

pub use runtime::run;
