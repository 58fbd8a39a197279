//! The worker as a process: started without a terminal, in a session of its own, and what it is from its first instruction to its
//! last.

use std::fs::File;
use std::io::{Read, Write};
use std::path::absolute;
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::host::{Door, Host, Input};
use super::kept::Kept;
use super::log::Log;
use super::place::Place;
use crate::config::Workspace;
use crate::run::{Priority, Want};

/// What a worker says once it listens; it says nothing where another one has its place.
const READY: &str = "ready";

/// Starts a worker and waits until it listens. `false` where another one has its place: it is starting or ending just now.
pub(super) fn start(workspace: &Workspace) -> Result<bool> {
    Place::of(workspace).make()?;
    let root = absolute(workspace.root()).context("the workspace's path cannot be told")?;
    let mut child = Command::new(program()?)
        .arg("--workspace")
        .arg(root)
        .arg("worker")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("the worker cannot be started")?;
    let mut said = [String::new(), String::new()];
    // It gives both up once it listens.
    if let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) {
        out.read_to_string(&mut said[0])
            .and_then(|_| err.read_to_string(&mut said[1]))
            .context("the worker says nothing that can be read")?;
    }
    // Whoever starts a process has to hear of its end, or it stays behind as a shadow.
    let mut status = None;
    if said[0].trim() == READY {
        thread::Builder::new().name("worker's end".into()).spawn(move || child.wait()).context("the worker cannot be waited for")?;
    } else {
        status = Some(child.wait().context("the worker cannot be waited for")?);
    }
    match status {
        None => Ok(true),
        Some(status) if status.success() => Ok(false),
        Some(status) => {
            let why = said[1].trim().trim_start_matches("error:").trim();
            bail!("the worker cannot be started: {}", if why.is_empty() { format!("it ended with {status}") } else { why.to_owned() })
        }
    }
}

/// This very program. Where its file was replaced since it started, Linux still has it.
fn program() -> Result<std::path::PathBuf> {
    let path = std::env::current_exe().context("the program's own file cannot be told")?;
    let itself = std::path::Path::new("/proc/self/exe");
    Ok(if !path.exists() && itself.exists() { itself.to_owned() } else { path })
}

/// The life of a worker.
///
/// # Errors
/// It could not begin. Later faults go to its log.
pub fn main(workspace: &Workspace) -> Result<()> {
    // Away from the terminal and its signals. Fails only for a process that leads a group, which has no terminal to lose then.
    rustix::process::setsid().ok();
    let place = Place::of(workspace);
    place.make()?;
    let Some(lock) = place.lock()? else { return Ok(()) };
    let listener = place.bind(&lock)?;
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("signals cannot be caught")?;
    let mut out = std::io::stdout();
    let (mut host, inputs) = Host::new(workspace.clone(), Want::Auto, Priority::Yielding, Door::Socket(listener))?;
    host.keep_queue(Kept::open(&place)?);
    end_on_signal(signals, inputs)?;
    // Up to here what is wrong is told to whoever starts it; now standard error is a file.
    host.keep_log(Log::begin(&place)?);
    writeln!(out, "{READY}").and_then(|()| out.flush()).context("the starter is gone")?;
    let nowhere = File::options().write(true).open("/dev/null").context("/dev/null cannot be opened")?;
    rustix::stdio::dup2_stdout(&nowhere).context("standard output cannot be given up")?;
    host.run(|| place.clear(&lock));
    Ok(())
}

/// SIGHUP is caught and means nothing: a worker has no terminal.
fn end_on_signal(mut signals: Signals, inputs: Sender<Input>) -> Result<()> {
    let watch = move || {
        for signal in &mut signals {
            if signal != SIGHUP && inputs.send(Input::End).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch).context("signals cannot be caught")?;
    Ok(())
}
