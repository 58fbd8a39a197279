//! What the Train screen needs done beside the interface.

use crate::ui::tasks::{Desk, Lane};

#[derive(Debug)]
pub enum Task {}

#[derive(Debug)]
pub enum Done {}

impl Task {
    pub fn lane(&self) -> Lane {
        match *self {}
    }

    pub fn run(self, _desk: &mut Desk) -> Done {
        match self {}
    }
}
