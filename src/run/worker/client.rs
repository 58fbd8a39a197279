//! A viewer's end of the connection.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::frame::{self, Greeting, PROTOCOL};
use super::host::{Door, Host};
use super::place::Place;
use super::talk::{Report, Request};
use super::{peer, process};
use crate::config::Workspace;
use crate::run::{Priority, Want};

/// For the greeting, and for a request to be taken: a worker that was stopped answers nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// For a worker to come up where another one is starting or ending.
const START: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(50);

/// A worker that has greeted. Its first report is its state.
#[derive(Debug)]
pub struct Connection {
    pub asker: Asker,
    pub reports: Reports,
    /// The worker's process, where the system tells it.
    pub pid: Option<i32>,
}

/// Sends requests.
#[derive(Debug)]
pub struct Asker(UnixStream);

/// Receives reports.
#[derive(Debug)]
pub struct Reports(BufReader<UnixStream>);

/// A worker inside this process. Dropping it, once its connection is dropped, waits for its end: a run finishes its step and writes a
/// checkpoint.
#[derive(Debug)]
pub struct InProcess(Option<JoinHandle<()>>);

impl Connection {
    /// To the workspace's worker; `None` where there is none. What a dead one left behind is removed.
    pub fn open(workspace: &Workspace) -> Result<Option<Connection>> {
        match Place::of(workspace).connect()? {
            Some(stream) => Connection::greet(stream),
            None => Ok(None),
        }
    }

    /// To the workspace's worker, which is started where there is none.
    pub fn open_or_start(workspace: &Workspace) -> Result<Connection> {
        let begun = Instant::now();
        loop {
            if let Some(connection) = Connection::open(workspace)? {
                return Ok(connection);
            }
            if !process::start(workspace)? {
                ensure!(begun.elapsed() < START, "the worker neither answers nor ends; look for a process of voicetune that does neither");
                thread::sleep(AGAIN);
            }
        }
    }

    /// To a worker of one's own that lives inside this process and ends with it.
    pub fn in_process(workspace: &Workspace, want: Want, priority: Priority) -> Result<(Connection, InProcess)> {
        let (ours, theirs) = UnixStream::pair().context("the worker cannot be started")?;
        let (host, _) = Host::new(workspace.clone(), want, priority, Door::Private(theirs))?;
        let host = thread::Builder::new().name("worker".into()).spawn(move || host.run(|| {})).context("the worker cannot be started")?;
        let connection = Connection::greet(ours)?.context("the worker has ended at once")?;
        Ok((connection, InProcess(Some(host))))
    }

    /// `None` where the worker ends just now.
    fn greet(mut stream: UnixStream) -> Result<Option<Connection>> {
        let pid = peer::check(&stream)?;
        let which = pid.map_or_else(|| "of this workspace".into(), |pid| format!("process {pid}"));
        let timed = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        timed.context("no time can be set")?;
        if Greeting::own().write(&mut stream).is_err() {
            return Ok(None);
        }
        let greeting = Greeting::read(&mut stream).with_context(|| format!("the worker ({which}) does not answer"))?;
        let Some(theirs) = greeting else { return Ok(None) };
        if !theirs.is_understood() {
            bail!(
                "the worker ({which}) is voicetune {} and speaks protocol {}, this is voicetune {} with protocol {PROTOCOL}: go on with that \
                 version, or end the worker with `kill`, which finishes the step and writes a checkpoint; `voicetune watch` can look on meanwhile",
                theirs.version,
                theirs.protocol,
                env!("CARGO_PKG_VERSION")
            );
        }
        stream.set_read_timeout(None).context("no time can be set")?;
        let reader = BufReader::new(stream.try_clone().context("the worker cannot be heard")?);
        Ok(Some(Connection { asker: Asker(stream), reports: Reports(reader), pid }))
    }
}

impl Asker {
    pub fn ask(&mut self, request: &Request) -> Result<()> {
        self.0.write_all(&frame::encode(request)?).context("the worker takes no request")
    }
}

impl Reports {
    /// Waits for the next report; `None` where the worker has ended, or has let this viewer go.
    pub fn receive(&mut self) -> Result<Option<Report>> {
        frame::read(&mut self.0)
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        // The reports' half may be in another thread, waiting: it ends too.
        self.0.shutdown(std::net::Shutdown::Both).ok();
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        if let Some(host) = self.0.take() {
            host.join().ok(); // its faults were reported
        }
    }
}
