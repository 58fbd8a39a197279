//! Ctrl-C and SIGTERM: the first asks the engine thread to stop, the second leaves at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use anyhow::{Context, Result};

use crate::run::protocol::{Command, Job};

static STOPPING: AtomicBool = AtomicBool::new(false);

/// From now on the first signal stops `job`; `consequence` is what the writer reads then.
pub fn stop_on_signal(commands: Sender<Command>, job: Job, consequence: &'static str) -> Result<()> {
    on_signal(commands, Command::Stop { job }, consequence)
}

/// From now on the first signal ends whatever the engine is at.
pub fn quit_on_signal(commands: Sender<Command>) -> Result<()> {
    on_signal(commands, Command::Quit, "a step under way is finished and a checkpoint written")
}

fn on_signal(commands: Sender<Command>, command: Command, consequence: &'static str) -> Result<()> {
    ctrlc::set_handler(move || {
        if STOPPING.swap(true, Ordering::SeqCst) {
            say!("left at once");
            std::process::exit(130); // 128 + SIGINT, as shells have it
        }
        say!("stopping: {consequence}; once more leaves at once");
        commands.send(command.clone()).ok(); // fails only where the thread has ended: nothing is left to stop
    })
    .context("Ctrl-C cannot be caught")
}
