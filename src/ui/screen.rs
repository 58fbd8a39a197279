//! What every screen is to the application.

use crossterm::event::MouseEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

use super::keys::{Action, Chord, Context, Keymap};
use super::message::{Effect, Open};
use super::settings::Settings;
use super::tasks::Done;
use super::theme::Theme;
use super::work::{News, Work};
use crate::config::Workspace;

/// What the screens can see and not change.
#[derive(Debug)]
pub struct Shared {
    pub workspace: Workspace,
    pub settings: Settings,
    pub keymap: Keymap,
    pub theme: Theme,
    /// What the worker is at.
    pub work: Work,
    /// What was copied or cut last, for pasting here.
    pub clipboard: String,
}

/// A screen owns its state. It changes in the `on_…` and `act` functions, which do no input or output; `view` only draws.
pub trait Screen {
    /// Where the writer is on this screen, innermost first; [`Context::Global`] is added behind them.
    fn contexts(&self) -> Vec<Context>;

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect>;

    /// A key that is bound to nothing: typed text, where text is typed.
    fn on_key(&mut self, _chord: Chord, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    fn on_paste(&mut self, _text: &str, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    /// `area` is the one that `view` draws into.
    fn on_mouse(&mut self, _mouse: MouseEvent, _area: Rect, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    /// The screen comes to the front.
    fn on_show(&mut self, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    /// Something to show here; screens are given only what is theirs.
    fn on_open(&mut self, _open: Open, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    /// A task of any screen has ended; those that concern another screen are passed over.
    fn on_done(&mut self, _done: &Done, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    /// The worker has got on.
    fn on_news(&mut self, _news: &News, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    /// What `$EDITOR` left behind, for the screen that had asked.
    fn on_edited(&mut self, _text: &str, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    fn on_tick(&mut self, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    /// Whether something is due soon without a key being pressed.
    fn wants_tick(&self) -> bool {
        false
    }

    /// What would be lost by leaving now, in words.
    fn at_stake(&self) -> Option<String> {
        None
    }

    /// Saves all that is at stake.
    fn save_all(&mut self, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    /// Writes recovery copies of all that is at stake: the interface ends without being asked to.
    fn keep_all(&mut self, _shared: &Shared) -> Vec<Effect> {
        vec![]
    }

    /// Draws into `area`, and puts the terminal's cursor at the caret where text is typed.
    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared);
}
