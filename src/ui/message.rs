//! What reaches the interface, and what it asks for: closed enums of plain data.

use std::path::PathBuf;
use std::rc::Rc;

use crossterm::event::MouseEvent;

use super::keys::Chord;
use super::tasks::{Done, Task};
use super::work::Order;
use crate::review::marks::Marks;
use crate::run::worker::{Report, Request};

/// Everything that happens to the interface.
#[derive(Debug)]
pub enum Msg {
    Key(Chord),
    Mouse(MouseEvent),
    /// A bracketed paste.
    Paste(String),
    Resize(u16, u16),
    /// Comes twice a second while a screen wants it.
    Tick,
    Worker(Report),
    /// The worker is gone. What it wrote at last, where it wrote anything.
    WorkerGone(Option<String>),
    /// No worker can be had, and why.
    NoWorker(String),
    Done(Done),
    /// A task has failed in a way that is the program's fault.
    Fault(String),
    /// What `$EDITOR` left behind.
    Edited(Result<String, String>),
    /// The terminal or the system wants the interface to end, now.
    Terminate,
}

/// What a screen asks for. The application serves some of these; the rest goes out as [`Io`].
#[derive(Debug)]
pub enum Effect {
    Do(Io),
    Notify(Notice),
    /// Go to a screen.
    Show(Tab),
    /// Go to a screen with something to look at.
    Open(Open),
    /// Work for the worker.
    Order(Order),
    /// End the work under way: a run after its step with a checkpoint, samples at once.
    StopTraining,
    StopReading,
    /// Takes the order at this place out of the queue.
    Cancel(usize),
}

impl Effect {
    pub fn task(task: impl Into<Task>) -> Effect {
        Effect::Do(Io::Task(task.into()))
    }

    pub fn say(text: impl Into<String>) -> Effect {
        Effect::Notify(Notice { level: Level::Info, text: text.into() })
    }

    pub fn warn(text: impl Into<String>) -> Effect {
        Effect::Notify(Notice { level: Level::Warning, text: text.into() })
    }

    pub fn error(text: impl Into<String>) -> Effect {
        Effect::Notify(Notice { level: Level::Error, text: text.into() })
    }
}

/// What the loop around the interface does for it.
#[derive(Debug)]
pub enum Io {
    /// Runs beside the interface; its [`Done`] comes back as a message.
    Task(Task),
    /// For the worker, which is started where there is none.
    Worker(Request),
    /// Looks for a worker that is there already.
    Attach,
    /// To the terminal's clipboard (OSC 52).
    Copy(String),
    /// Hands the terminal to `$EDITOR` with this text; [`Msg::Edited`] comes back.
    Edit {
        text: String,
        /// Of the temporary file, by which editors choose their mode.
        extension: &'static str,
    },
    Suspend,
    Redraw,
    Quit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Pairs,
    Train,
    Review,
    Diff,
    Runs,
}

impl Tab {
    pub const ALL: [Tab; 5] = [Tab::Pairs, Tab::Train, Tab::Review, Tab::Diff, Tab::Runs];

    pub fn title(self) -> &'static str {
        match self {
            Tab::Pairs => "Pairs",
            Tab::Train => "Train",
            Tab::Review => "Review",
            Tab::Diff => "Diff",
            Tab::Runs => "Runs",
        }
    }
}

/// Something for a screen to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Open {
    Pair(String),
    /// These runs' arms, side by side.
    Review(Vec<PathBuf>),
    Diff(DiffSubject),
    /// Go on with this run.
    Resume(PathBuf),
}

/// A draft and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffSubject {
    /// In words, for the head.
    pub title: String,
    pub draft: String,
    /// Texts to hold against the draft, each with its name; the first is shown first.
    pub revisions: Vec<Revision>,
    /// Which of them is shown first.
    pub shown: usize,
    /// The writer's own finished text, where there is one.
    pub finished: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// `llama-tuned`; or `Pane 2` while reading blind.
    pub arm: String,
    /// From 0.
    pub sample: usize,
    pub text: String,
    /// What is marked in it. `None` for a text of the writer's own, and while the arm's name is hidden: what a model copied gives it away.
    pub marks: Option<Rc<Marks>>,
}

/// One line for the writer at the foot of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub level: Level,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warning,
    Error,
}
