//! The loop around the application: messages in from the terminal, the lanes and the worker, frames and effects out.

mod editor;
mod input;
mod lanes;
mod terminal;
mod worker;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::Result;

use self::input::Input;
use self::lanes::Lanes;
use self::terminal::Terminal;
use self::worker::Worker;
use super::app::App;
use super::message::{Io, Msg};
use super::settings::Settings;
use super::tasks::Done;
use super::theme::{Depth, Theme};
use crate::config::Workspace;

/// While keys repeat faster than this, one frame shows several.
const KEY_SPACING: Duration = Duration::from_millis(8);

/// How often a screen that waits for something to fall due is called.
const TICK: Duration = Duration::from_millis(500);

/// Opens the interface and returns when the writer leaves it, or when the terminal is gone.
///
/// # Errors
/// The settings cannot be used, or the terminal cannot be set up. It is restored before anything is returned.
pub fn run(workspace: &Workspace) -> Result<()> {
    let (settings, keymap) = Settings::read()?;
    let theme = Theme::new(settings.theme, Depth::detect());
    let own_spacing = Duration::from_secs(1) / settings.frame_rate;
    let (sender, messages) = channel();

    let mut terminal = Terminal::enter()?;
    let (app, io) = App::new(workspace.clone(), settings, keymap, theme, terminal.size()?);
    let mut session = Loop {
        app,
        input: Input::start(sender.clone())?,
        lanes: Lanes::start(workspace, &sender)?,
        worker: Worker::new(workspace, sender.clone())?,
        sender,
        is_leaving: false,
        urgency: Some(Urgency::Now),
        drawn: None,
        own_spacing,
    };
    // The first frame comes before anything is read.
    session.draw(&mut terminal)?;
    session.carry_out(io, &mut terminal)?;
    let ended = session.serve(&messages, &mut terminal);
    terminal.leave();
    session.end();
    ended
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// Something the writer did.
    Now,
    /// Something that happened by itself.
    Soon,
}

struct Loop {
    app: App,
    input: Input,
    lanes: Lanes,
    worker: Worker,
    sender: Sender<Msg>,
    is_leaving: bool,
    /// Whether something changed since the last frame.
    urgency: Option<Urgency>,
    drawn: Option<Instant>,
    /// Between frames that nobody asked for.
    own_spacing: Duration,
}

impl Loop {
    fn serve(&mut self, messages: &Receiver<Msg>, terminal: &mut Terminal) -> Result<()> {
        let mut ticked = Instant::now();
        while !self.is_leaving {
            let now = Instant::now();
            if self.due().is_some_and(|due| due <= now) {
                if self.draw(terminal).is_err() {
                    // The terminal is gone: what was typed goes to the recovery copies, and that is all that is left to do.
                    let io = self.app.update(Msg::Terminate);
                    return self.carry_out(io, terminal);
                }
                continue;
            }
            let tick = self.app.wants_tick().then(|| ticked + TICK);
            let wait = [self.due(), tick].into_iter().flatten().min().map(|at| at.saturating_duration_since(now));
            let first = match wait {
                None => messages.recv().ok(),
                Some(wait) => match messages.recv_timeout(wait) {
                    Ok(msg) => Some(msg),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                },
            };
            for msg in first.into_iter().chain(messages.try_iter()) {
                self.take(msg, terminal)?;
            }
            if self.app.wants_tick() && ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.take(Msg::Tick, terminal)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, msg: Msg, terminal: &mut Terminal) -> Result<()> {
        let urgency = match &msg {
            Msg::Worker(_) | Msg::Done(Done::Work(_)) | Msg::Tick => Urgency::Soon,
            _ => Urgency::Now,
        };
        let io = self.app.update(msg);
        self.urgency = Some(self.urgency.map_or(urgency, |before| before.min(urgency)));
        self.carry_out(io, terminal)
    }

    /// When the next frame is to be drawn.
    fn due(&self) -> Option<Instant> {
        let spacing = match self.urgency? {
            Urgency::Now => KEY_SPACING,
            Urgency::Soon => self.own_spacing,
        };
        Some(self.drawn.map_or_else(Instant::now, |drawn| drawn + spacing))
    }

    fn draw(&mut self, terminal: &mut Terminal) -> Result<()> {
        terminal.draw(|frame| self.app.view(frame))?;
        self.drawn = Some(Instant::now());
        self.urgency = None;
        Ok(())
    }

    fn carry_out(&mut self, all: Vec<Io>, terminal: &mut Terminal) -> Result<()> {
        for io in all {
            match io {
                Io::Task(task) => self.lanes.give(task),
                Io::Worker(request) => self.worker.ask(request),
                Io::Attach => self.worker.attach(),
                Io::Copy(text) => terminal.copy(&text)?,
                Io::Edit { text, extension } => {
                    self.input.pause();
                    let edited = terminal.lend(|| editor::edit(&text, extension))?;
                    self.input.resume();
                    self.sender.send(Msg::Edited(edited.map_err(|error| format!("{error:#}")))).ok(); // we hold the receiver
                }
                Io::Suspend => {
                    self.input.pause();
                    terminal.suspend()?;
                    self.input.resume();
                }
                Io::Redraw => terminal.redraw()?,
                Io::Quit => self.is_leaving = true,
            }
        }
        Ok(())
    }

    /// Waits for files that are being written. What the worker is at goes on.
    fn end(self) {
        self.lanes.finish_disk();
        self.worker.leave();
    }
}
