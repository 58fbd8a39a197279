//! The terminal: set up, drawn to, lent out, and always given back as it was.

use std::fmt;
use std::io::{self, BufWriter, Stdout, Write};
use std::panic;
use std::sync::Once;
use std::thread;

use anyhow::{Context, Result};
use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{Command, execute, queue};
use ratatui::Frame;
use ratatui::backend::CrosstermBackend;

/// A frame goes out in one write.
const BUFFER: usize = 64 << 10;

pub(super) struct Terminal {
    screen: ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    is_ours: bool,
}

impl Terminal {
    pub(super) fn enter() -> Result<Terminal> {
        restore_on_panic();
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout()));
        let mut terminal = Terminal { screen: ratatui::Terminal::new(backend).context("the terminal cannot be used")?, is_ours: false };
        terminal.take()?;
        Ok(terminal)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> Result<(u16, u16)> {
        let size = self.screen.size().context("the terminal does not say its size")?;
        Ok((size.width, size.height))
    }

    /// Sends what has changed since the last frame, to be shown at once.
    pub(super) fn draw(&mut self, view: impl FnOnce(&mut Frame)) -> io::Result<()> {
        queue!(self.screen.backend_mut(), BeginSynchronizedUpdate)?;
        self.screen.draw(view)?;
        execute!(self.screen.backend_mut(), EndSynchronizedUpdate)
    }

    /// Clears the screen and has all of it drawn anew. `ratatui`'s own way asks the terminal where the cursor is: some never answer,
    /// and the answer is mixed with what is typed.
    pub(super) fn redraw(&mut self) -> Result<()> {
        self.screen.swap_buffers();
        queue!(self.screen.backend_mut(), Clear(ClearType::All)).context("the screen cannot be cleared")
    }

    pub(super) fn copy(&mut self, text: &str) -> Result<()> {
        execute!(self.screen.backend_mut(), CopyToClipboard::to_clipboard_from(text)).context("the terminal does not take the copy")
    }

    /// Gives the terminal to another program while `work` runs.
    pub(super) fn lend<T>(&mut self, work: impl FnOnce() -> T) -> Result<T> {
        self.leave();
        let result = work();
        self.take()?;
        Ok(result)
    }

    /// Stops this process until the shell wakes it up.
    pub(super) fn suspend(&mut self) -> Result<()> {
        self.lend(|| signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP))?.context("cannot be suspended")
    }

    /// Puts the terminal back as it was. Nothing happens where that has been done.
    pub(super) fn leave(&mut self) {
        if std::mem::take(&mut self.is_ours) {
            self.screen.backend_mut().flush().ok();
            restore();
        }
    }

    fn take(&mut self) -> Result<()> {
        enable_raw_mode().context("the terminal cannot be set up")?;
        self.is_ours = true;
        execute!(self.screen.backend_mut(), EnterAlternateScreen, EnableBracketedPaste, Mouse(true))
            .context("the terminal cannot be set up")?;
        self.redraw()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Terminal").field("is_ours", &self.is_ours).finish_non_exhaustive()
    }
}

/// Errors are passed over: the terminal may be gone, and there is nothing else to be done.
fn restore() {
    execute!(io::stdout(), Mouse(false), DisableBracketedPaste, LeaveAlternateScreen, Show).ok();
    disable_raw_mode().ok();
}

/// A panic of this thread ends the program: the terminal comes back first, so that the message can be read. Other threads report
/// their panics themselves, and must not write over the screen.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let interface = thread::current().id();
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == interface {
                restore();
                previous(info);
                eprintln!("This is a fault in voicetune; please report it. Edits that were not saved are in pairs/.unsaved/, and are offered at the next start.");
            }
        }));
    });
}

/// Clicks, drags and the wheel, without a report for every move over the screen, which would have to travel.
#[derive(Debug, Clone, Copy)]
struct Mouse(bool);

impl Command for Mouse {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str(match self.0 {
            true => "\x1b[?1000h\x1b[?1002h\x1b[?1006h",
            false => "\x1b[?1006l\x1b[?1002l\x1b[?1000l",
        })
    }
}
