//! The engine thread's inbox. It is drained while work goes on, so that stopping is one mechanism everywhere.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, TryRecvError};

use super::fault::Faults;
use super::protocol::{Command, Job};

#[derive(Debug)]
pub(super) struct Inbox {
    receiver: Receiver<Command>,
    waiting: VecDeque<Command>,
    stopped: BTreeSet<Job>,
    quit: bool,
    /// What training is to suffer; nothing outside tests.
    pub(super) faults: Faults,
}

impl Inbox {
    pub(super) fn new(receiver: Receiver<Command>, faults: Faults) -> Inbox {
        Inbox { receiver, waiting: VecDeque::new(), stopped: BTreeSet::new(), quit: false, faults }
    }

    /// The next command; waits for it. `None` when the thread is to end: it was told to quit, or nobody can tell it anything more.
    pub(super) fn next(&mut self) -> Option<Command> {
        loop {
            self.drain();
            if self.quit {
                return None;
            }
            match self.waiting.pop_front() {
                Some(command) => return Some(command),
                None => match self.receiver.recv() {
                    Ok(command) => self.sort(command),
                    Err(_) => self.quit = true,
                },
            }
        }
    }

    /// Whether the work under way shall end. Asked between micro-steps and between tokens.
    pub(super) fn is_stopped(&mut self, job: Job) -> bool {
        self.drain();
        self.quit || self.stopped.contains(&job)
    }

    /// A request about the model that is training, to generate or to score: what is served between its steps.
    pub(super) fn take_request(&mut self) -> Option<Command> {
        self.drain();
        let at = self.waiting.iter().position(|c| matches!(c, Command::Generate(_) | Command::Score(_)))?;
        self.waiting.remove(at)
    }

    fn drain(&mut self) {
        loop {
            match self.receiver.try_recv() {
                Ok(command) => self.sort(command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.quit = true;
                    return;
                }
            }
        }
    }

    fn sort(&mut self, command: Command) {
        match command {
            Command::Stop { job } => {
                self.stopped.insert(job);
            }
            Command::Quit => self.quit = true,
            other => self.waiting.push_back(other),
        }
    }
}
