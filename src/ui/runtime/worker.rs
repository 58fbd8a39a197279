//! The worker as the loop sees it: found or started on a thread of its own, so that the interface never waits for it, its reports
//! passed on.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};

use crate::config::Workspace;
use crate::run::worker::{Asker, Connection, Level, Report, Reports, Request, last_words, left_waiting};
use crate::ui::message::Msg;

#[derive(Debug)]
pub(super) struct Worker {
    errands: Sender<Errand>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
enum Errand {
    /// Looks for a worker that is there already.
    Attach,
    /// A worker is started where there is none.
    Ask(Request),
    /// This connection has ended.
    Lost {
        connection: usize,
        run: Option<PathBuf>,
    },
    Leave,
}

impl Worker {
    pub(super) fn new(workspace: &Workspace, messages: Sender<Msg>) -> Result<Worker> {
        let (errands, theirs) = channel();
        let runner = Runner {
            workspace: workspace.clone(),
            messages,
            errands: errands.clone(),
            asker: None,
            connections: 0,
            has_asked_after: false,
        };
        let thread =
            thread::Builder::new().name("worker".into()).spawn(move || runner.run(&theirs)).context("no worker can be looked for")?;
        Ok(Worker { errands, thread })
    }

    pub(super) fn attach(&self) {
        self.errands.send(Errand::Attach).ok(); // the thread ends with the interface
    }

    pub(super) fn ask(&self, request: Request) {
        self.errands.send(Errand::Ask(request)).ok(); // as above
    }

    /// Returns when all that was asked is on its way. The worker goes on.
    pub(super) fn leave(self) {
        self.errands.send(Errand::Leave).ok();
        self.thread.join().ok(); // its faults were reported
    }
}

struct Runner {
    workspace: Workspace,
    messages: Sender<Msg>,
    errands: Sender<Errand>,
    asker: Option<Asker>,
    /// How many there have been.
    connections: usize,
    /// Whether runs that a dead worker left waiting have been looked for.
    has_asked_after: bool,
}

impl Runner {
    fn run(mut self, errands: &Receiver<Errand>) {
        for errand in errands {
            let done = match errand {
                Errand::Attach => self.attach(),
                Errand::Ask(request) => self.ask(&request),
                Errand::Lost { connection, .. } if connection != self.connections => Ok(()),
                Errand::Lost { run, .. } => self.come_again(run),
                Errand::Leave => return,
            };
            if let Err(error) = done {
                self.say(Msg::NoWorker(format!("{error:#}")));
            }
        }
    }

    fn attach(&mut self) -> Result<()> {
        if self.asker.is_some() {
            return Ok(());
        }
        match Connection::open(&self.workspace)? {
            Some(connection) => self.take(connection),
            None if self.has_asked_after => Ok(()),
            None => self.ask_after(),
        }
    }

    /// Says which runs a worker that has died left waiting: nothing else would, before the next order.
    fn ask_after(&mut self) -> Result<()> {
        self.has_asked_after = true;
        let left = left_waiting(&self.workspace)?;
        if !left.is_empty() {
            let text = format!("runs wait since their worker ended, and follow the next order: {}", left.join(", "));
            self.say(Msg::Worker(Report::Notice { level: Level::Warning, text }));
        }
        Ok(())
    }

    fn ask(&mut self, request: &Request) -> Result<()> {
        if let Some(asker) = &mut self.asker
            && asker.ask(request).is_ok()
        {
            return Ok(());
        }
        // There is none, or it has just ended for want of work.
        let connection = Connection::open_or_start(&self.workspace)?;
        self.take(connection)?;
        self.asker.as_mut().context("the worker is gone")?.ask(request)
    }

    /// A viewer that was suspended for long is let go, and comes again. A worker that has ended is gone.
    fn come_again(&mut self, run: Option<PathBuf>) -> Result<()> {
        self.asker = None;
        match Connection::open(&self.workspace)? {
            Some(connection) => self.take(connection)?,
            None => self.say(Msg::WorkerGone(last_words(&self.workspace, run.as_deref()))),
        }
        Ok(())
    }

    fn take(&mut self, connection: Connection) -> Result<()> {
        let Connection { asker, mut reports, .. } = connection;
        self.connections += 1;
        let (number, messages, errands) = (self.connections, self.messages.clone(), self.errands.clone());
        let listen = move || {
            let run = pass_on(&mut reports, &messages);
            errands.send(Errand::Lost { connection: number, run }).ok(); // the interface has ended
        };
        thread::Builder::new().name("worker's reports".into()).spawn(listen).context("the worker cannot be heard")?;
        self.asker = Some(asker);
        Ok(())
    }

    fn say(&self, msg: Msg) {
        self.messages.send(msg).ok(); // the interface has ended
    }
}

/// Until the connection ends; returns the run that the worker was at.
fn pass_on(reports: &mut Reports, messages: &Sender<Msg>) -> Option<PathBuf> {
    let mut run = None;
    // What cannot be read is as good as an end: a greeting comes before anything else.
    while let Ok(Some(report)) = reports.receive() {
        if let Report::State(state) = &report {
            run = state.under_way().and_then(|training| training.run.clone());
        }
        if messages.send(Msg::Worker(report)).is_err() {
            break;
        }
    }
    run
}
