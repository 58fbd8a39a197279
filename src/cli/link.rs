//! A command's connection to the worker: its reports and the signals, in one queue.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::Workspace;
use crate::run::work::{Order, State, Ticket};
use crate::run::worker::{Asker, Connection, InProcess, Level, Report, Request};
use crate::run::{Priority, Want};

#[derive(Debug)]
pub struct Link {
    asker: Asker,
    happenings: Receiver<Happening>,
    sender: Sender<Happening>,
    /// What the worker said last.
    pub state: State,
    /// Whether the connection is there: a worker that ended, or died, has closed it.
    pub is_open: bool,
    /// Dropped after the asker, so that its end can come.
    in_process: Option<InProcess>,
}

/// Something to act on.
#[derive(Debug)]
pub enum Happening {
    Report(Report),
    Gone,
    Signal(Signal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C or SIGTERM.
    Stop,
    /// The terminal is gone.
    HangUp,
}

impl Link {
    /// To the workspace's worker, where there is one.
    pub fn open(workspace: &Workspace) -> Result<Option<Link>> {
        Connection::open(workspace)?.map(|connection| Link::over(connection, None)).transpose()
    }

    /// To the workspace's worker, which is started where there is none.
    pub fn open_or_start(workspace: &Workspace) -> Result<Link> {
        Link::over(Connection::open_or_start(workspace)?, None)
    }

    /// To a worker inside this process.
    pub fn in_process(workspace: &Workspace) -> Result<Link> {
        let (connection, in_process) = Connection::in_process(workspace, Want::Auto, Priority::Normal)?;
        Link::over(connection, Some(in_process))
    }

    fn over(connection: Connection, in_process: Option<InProcess>) -> Result<Link> {
        let Connection { asker, mut reports, .. } = connection;
        let Some(Report::State(state)) = reports.receive()? else { bail!("the worker does not say what it is at") };
        let (sender, happenings) = channel();
        let listener = sender.clone();
        let listen = move || {
            while let Ok(Some(report)) = reports.receive() {
                if listener.send(Happening::Report(report)).is_err() {
                    return;
                }
            }
            listener.send(Happening::Gone).ok(); // the command has ended
        };
        thread::Builder::new().name("worker's reports".into()).spawn(listen).context("the worker cannot be heard")?;
        Ok(Link { asker, happenings, sender, state: *state, is_open: true, in_process })
    }

    pub fn is_in_process(&self) -> bool {
        self.in_process.is_some()
    }

    /// From now on signals do not end this process: they come as [`Happening::Signal`].
    pub fn catch_signals(&self) -> Result<()> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("signals cannot be caught")?;
        let sender = self.sender.clone();
        let watch = move || {
            for signal in &mut signals {
                let signal = if signal == SIGHUP { Signal::HangUp } else { Signal::Stop };
                if sender.send(Happening::Signal(signal)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("signals".into()).spawn(watch).context("signals cannot be caught")?;
        Ok(())
    }

    pub fn ask(&mut self, request: &Request) -> Result<()> {
        self.asker.ask(request)
    }

    /// Gives an order; its ticket comes back, and [`Self::state`] has it.
    pub fn order(&mut self, order: Order) -> Result<Ticket> {
        self.ask(&Request::Order(order))?;
        let mut ticket = None;
        loop {
            match self.next(None)? {
                Some(Happening::Report(Report::Accepted { ticket: taken })) => {
                    ensure!(taken != 0, "the worker did not take the order");
                    ticket = Some(taken);
                }
                Some(Happening::Report(Report::State(_))) if ticket.is_some() => return ticket.context("the order has no number"),
                Some(Happening::Gone) => bail!("the worker has ended before it took the order; start again"),
                _ => {}
            }
        }
    }

    /// Waits for the next happening, or for so long. Notices go to standard error.
    pub fn next(&mut self, wait: Option<Duration>) -> Result<Option<Happening>> {
        let happening = match wait {
            None => self.happenings.recv().ok(),
            Some(wait) => self.happenings.recv_timeout(wait).ok(),
        };
        match &happening {
            Some(Happening::Report(Report::State(state))) => self.state = (**state).clone(),
            Some(Happening::Report(Report::Notice { level, text })) => {
                let sign = if *level == Level::Error { super::style::error_prefix() } else { "note:" };
                say!("{sign} {text}");
            }
            Some(Happening::Gone) => self.is_open = false,
            _ => {}
        }
        Ok(happening)
    }
}
