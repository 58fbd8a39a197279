//! The engine thread as the loop sees it: started with the first command, its messages passed on.

use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};

use crate::run::protocol::Command;
use crate::run::{EngineHandle, Priority, Want};
use crate::ui::message::Msg;

#[derive(Debug)]
pub(super) struct Engine {
    messages: Sender<Msg>,
    started: Option<Started>,
}

#[derive(Debug)]
struct Started {
    commands: Sender<Command>,
    /// Owns the handle; ends after the engine thread has.
    forwarder: JoinHandle<()>,
}

impl Engine {
    pub(super) fn new(messages: Sender<Msg>) -> Engine {
        Engine { messages, started: None }
    }

    pub(super) fn send(&mut self, command: Command) {
        let sent = match &mut self.started {
            Some(started) => Ok(started),
            none => start(&self.messages).map(|started| none.insert(started)),
        }
        .and_then(|started| started.commands.send(command).context("the engine thread has ended"));
        if let Err(error) = sent {
            self.started = None;
            self.messages.send(Msg::EngineLost(format!("{error:#}"))).ok(); // the loop holds the receiver
        }
    }

    /// Stops what is under way and waits for its end: a run finishes its step and writes a checkpoint.
    pub(super) fn end(self) {
        if let Some(Started { commands, forwarder }) = self.started {
            commands.send(Command::Quit).ok(); // fails only where the thread has ended already
            forwarder.join().ok(); // it only passes messages on
        }
    }
}

fn start(messages: &Sender<Msg>) -> Result<Started> {
    let handle = EngineHandle::spawn(Want::Auto, Priority::Yielding)?;
    let commands = handle.commands();
    let messages = messages.clone();
    let forwarder = thread::Builder::new()
        .name("engine messages".into())
        .spawn(move || {
            while let Ok(message) = handle.next() {
                messages.send(Msg::Engine(message)).ok(); // a run goes on when nobody listens
            }
            messages.send(Msg::EngineLost("the engine thread has ended".into())).ok();
        })
        .context("the engine's messages cannot be read")?;
    Ok(Started { commands, forwarder })
}
