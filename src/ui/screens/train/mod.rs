//! The Train screen.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::ui::keys::{Action, Context};
use crate::ui::message::Effect;
use crate::ui::screen::{Screen, Shared};
use crate::ui::widgets::pane;

mod tasks;

pub use tasks::{Done, Task};

#[derive(Debug, Default)]
pub struct Train {}

impl Screen for Train {
    fn contexts(&self) -> Vec<Context> {
        vec![Context::Train, Context::List]
    }

    fn act(&mut self, _action: Action, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared) {
        pane(frame, area, &shared.theme, "Train", "", true);
    }
}
