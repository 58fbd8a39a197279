//! The worker's loop: requests, the engine thread's messages and finished tasks come in by one channel, go through the queue of the
//! work, and what changed goes out to the viewers.

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use super::frame;
use super::kept::Kept;
use super::log::Log;
use super::talk::{Level, Report, Request};
use super::viewers::{self, Id, Viewers};
use crate::config::Workspace;
use crate::run::protocol::{Command, Event, Message};
use crate::run::work::{Done, Effect, News, Order, Outcomes, ScoredText, Stage, State, Task, Ticket, TrainOrder, Work};
use crate::run::{EngineHandle, Priority, Want};

/// A worker is started by someone who comes at once.
const FIRST_VIEWER: Duration = Duration::from_secs(10);
/// Orders that may wait.
const LONGEST_QUEUE: usize = 200;
/// Bytes of all orders as JSON. They travel in one frame whenever the state is told, with what else is in it.
const LARGEST_QUEUE: usize = frame::LONGEST - (1 << 20);
/// Tokenisers recurse deeper than the 2 MiB that threads get by default.
const STACK: usize = 16 << 20;

#[derive(Debug)]
pub(super) enum Input {
    /// A viewer was let in.
    Came(Id, UnixStream),
    Asked(Id, Request),
    Left(Id),
    Engine(Message),
    EngineEnded,
    Done(Done),
    /// SIGTERM or SIGINT: what is under way ends, and then the worker.
    End,
}

/// Who can reach a worker.
#[derive(Debug)]
pub(super) enum Door {
    /// Whoever finds the socket. Work goes on when nobody is there.
    Socket(UnixListener),
    /// One viewer, in the same process: work ends when it leaves.
    Private(UnixStream),
}

#[derive(Debug)]
pub(super) struct Host {
    work: Work,
    /// What the viewers know.
    told: State,
    viewers: Viewers,
    inputs: Receiver<Input>,
    commands: Sender<Command>,
    /// Owns the engine thread's handle.
    engine: JoinHandle<()>,
    tasks: Sender<Task>,
    lane: JoinHandle<()>,
    /// Standard error, where this is a process of its own.
    log: Option<Log>,
    /// Where runs wait that shall outlive this process, where they shall.
    kept: Option<Kept>,
    /// Runs that the worker before has left waiting.
    left: Vec<TrainOrder>,
    is_private: bool,
    had_viewer: bool,
    is_ending: bool,
}

impl Host {
    /// The sender takes [`Input::End`] from a signal.
    pub(super) fn new(workspace: Workspace, want: Want, priority: Priority, door: Door) -> Result<(Host, Sender<Input>)> {
        let (sender, inputs) = channel();
        let handle = EngineHandle::spawn(want, priority)?;
        let commands = handle.commands();
        let engine = forward(handle, sender.clone())?;
        let (tasks, lane) = lane(workspace, priority, sender.clone())?;
        let is_private = matches!(door, Door::Private(_));
        match door {
            Door::Socket(listener) => viewers::listen(listener, sender.clone())?,
            Door::Private(stream) => viewers::attend(stream, sender.clone())?,
        }
        let (work, told, viewers) = (Work::default(), State::default(), Viewers::default());
        let (log, kept, left, had_viewer, is_ending) = (None, None, vec![], false, false);
        let host = Host { work, told, viewers, inputs, commands, engine, tasks, lane, log, kept, left, is_private, had_viewer, is_ending };
        Ok((host, sender))
    }

    /// Runs that wait outlive this process; those that outlived the one before come behind the first order.
    pub(super) fn keep_queue(&mut self, (kept, left): (Kept, Vec<TrainOrder>)) {
        (self.kept, self.left) = (Some(kept), left);
    }

    /// Standard error follows the run that trains.
    pub(super) fn keep_log(&mut self, log: Log) {
        self.log = Some(log);
    }

    /// Serves until there is nothing to do and nobody there. `last` is done once nobody new is served any more.
    pub(super) fn run(mut self, last: impl FnOnce()) {
        while let Some(input) = self.next() {
            if let Err(error) = self.take(input) {
                eprintln!("{error:#}"); // a report that cannot be told is no reason to end a run
            }
        }
        last();
        self.commands.send(Command::Quit).ok(); // fails only where the thread has ended
        drop(self.tasks);
        self.lane.join().ok(); // samples that are being kept are kept
        self.engine.join().ok(); // it only passes messages on
    }

    fn next(&self) -> Option<Input> {
        if self.work.is_idle() && self.is_ending {
            return None;
        }
        if !self.work.is_idle() || !self.viewers.is_empty() {
            return self.inputs.recv().ok();
        }
        // What has come already is looked at first.
        self.inputs.recv_timeout(if self.had_viewer { Duration::ZERO } else { FIRST_VIEWER }).ok()
    }

    fn take(&mut self, input: Input) -> Result<()> {
        let out = match input {
            Input::Came(id, stream) => {
                self.had_viewer = true;
                self.viewers.add(id, stream)?;
                return self.viewers.tell(id, &Report::State(Box::new(self.told.clone())));
            }
            Input::Left(id) => {
                self.viewers.remove(id);
                if !self.is_private {
                    return Ok(());
                }
                self.is_ending = true;
                self.work.stop_all()
            }
            Input::Asked(id, request) => return self.asked(id, request),
            Input::Engine(Message { job, event: Event::Text(text) }) if self.work.reads(job) => {
                self.viewers.mention(&Report::Text(text.clone()))?;
                // The state has no text, so it need not be looked at.
                self.work.on_message(Message { job, event: Event::Text(text) });
                return Ok(());
            }
            Input::Engine(Message { event: Event::Text(_), .. }) => return Ok(()),
            Input::Engine(message) => {
                let is_logged = message.event.is_logged() && !self.work.reads(message.job) && !self.work.scores(message.job);
                let out = self.work.on_message(message);
                if is_logged {
                    self.viewers.mention(&Report::Logged)?;
                }
                out
            }
            Input::EngineEnded => self.work.on_lost("the engine thread has ended"),
            Input::Done(done) => self.work.on_done(done),
            Input::End => {
                self.is_ending = true;
                self.kept = None; // what waits stays there: it is the process that ends, and not by the writer's wish
                self.work.stop_all()
            }
        };
        self.follow(out)
    }

    fn asked(&mut self, id: Id, request: Request) -> Result<()> {
        let out = match request {
            Request::Order(order) => match self.why_not(&order)? {
                None => {
                    let mut out = self.work.order(order);
                    self.take_in_left(&mut out);
                    out
                }
                Some(text) => {
                    self.viewers.tell(id, &Report::Notice { level: Level::Error, text })?;
                    // It waits for an answer; no order has this number.
                    return self.viewers.tell(id, &Report::Accepted { ticket: 0 });
                }
            },
            Request::Stop { ticket } => self.work.stop(ticket),
            Request::StopReading => self.work.stop_reading(),
            Request::StopAll => {
                self.left.clear();
                self.keep();
                self.work.stop_all()
            }
        };
        if let Some(ticket) = out.ticket {
            self.viewers.tell(id, &Report::Accepted { ticket })?;
        }
        self.follow(out)
    }

    /// Why an order is not taken.
    fn why_not(&self, order: &Order) -> Result<Option<String>> {
        let length = |frame: Vec<u8>| frame.len();
        Ok(if self.is_ending {
            Some("the worker is ending: order it again in a moment".into())
        } else if self.work.queue().count() + self.left.len() >= LONGEST_QUEUE {
            Some(format!("{LONGEST_QUEUE} orders wait already"))
        } else if length(frame::encode(order)?) + length(frame::encode(&self.told)?) > LARGEST_QUEUE {
            Some("this is too much text together with what waits already: order it when less does, or in parts".into())
        } else {
            None
        })
    }

    fn take_in_left(&mut self, out: &mut Outcomes) {
        let left = std::mem::take(&mut self.left);
        if left.is_empty() {
            return;
        }
        let names: Vec<&str> = left.iter().map(|order| order.name.as_str()).collect();
        out.effects.push(Effect::Warn(format!("the worker before has left runs waiting, which follow now: {}", names.join(", "))));
        for order in left {
            let more = self.work.order(order.into());
            out.effects.extend(more.effects);
            out.news.extend(more.news);
        }
    }

    fn follow(&mut self, out: Outcomes) -> Result<()> {
        // First: a run that begins waits no more, whatever comes of it.
        if out.news.contains(&News::Queue) {
            self.keep();
        }
        for effect in out.effects {
            match effect {
                Effect::Engine(command) => {
                    self.commands.send(command).ok(); // where the thread has ended, that is on its way as a message
                }
                Effect::Task(task) => {
                    self.tasks.send(task).ok(); // the lane ends with the loop
                }
                Effect::Warn(text) => self.viewers.tell_all(&Report::Notice { level: Level::Warning, text })?,
                Effect::Fail(text) => self.viewers.tell_all(&Report::Notice { level: Level::Error, text })?,
            }
        }
        for news in out.news {
            match news {
                News::Sample(drawn) => self.viewers.tell_all(&Report::Sample(drawn))?,
                News::Scored { ticket, text } => self.tell_scored(ticket, text)?,
                _ => {} // the state says it
            }
        }
        let state = self.work.state();
        if state != self.told {
            if let Some(log) = &mut self.log {
                let trains = state.training.as_ref().filter(|t| matches!(t.stage, Stage::Training | Stage::Stopping));
                log.of_run(trains.and_then(|training| training.run.as_deref()));
            }
            self.told = state;
            self.viewers.tell_all(&Report::State(Box::new(self.told.clone())))?;
        }
        Ok(())
    }

    /// Writes down what waits. Where that fails nothing else does: it still waits here.
    fn keep(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        let waiting = self.work.queue().filter_map(|waiting| match &waiting.order {
            Order::Train(order) => Some((**order).clone()),
            Order::Read(_) | Order::Score(_) => None,
        });
        if let Err(error) = kept.keep(waiting.chain(self.left.iter().cloned()).collect()) {
            eprintln!("{error:#}");
        }
    }

    /// Whoever waits for scores that are too long for a frame hears so.
    fn tell_scored(&mut self, ticket: Ticket, text: Result<Box<ScoredText>, String>) -> Result<()> {
        match self.viewers.tell_all(&Report::Scored { ticket, text }) {
            Ok(()) => Ok(()),
            Err(error) => self.viewers.tell_all(&Report::Scored { ticket, text: Err(format!("{error:#}")) }),
        }
    }
}

fn forward(handle: EngineHandle, inputs: Sender<Input>) -> Result<JoinHandle<()>> {
    let forwarder = move || {
        while let Ok(message) = handle.next() {
            inputs.send(Input::Engine(message)).ok(); // a run goes on to its end whoever listens
        }
        inputs.send(Input::EngineEnded).ok();
    };
    thread::Builder::new().name("engine messages".into()).spawn(forwarder).context("the engine's messages cannot be read")
}

/// Does the work's tasks, one after the other.
fn lane(workspace: Workspace, priority: Priority, inputs: Sender<Input>) -> Result<(Sender<Task>, JoinHandle<()>)> {
    let (sender, tasks) = channel::<Task>();
    let worker = move || {
        priority.apply();
        for task in tasks {
            inputs.send(Input::Done(task.run(&workspace))).ok(); // files are written whoever listens
        }
    };
    let lane = thread::Builder::new().name("tasks".into()).stack_size(STACK).spawn(worker).context("the tasks cannot be done")?;
    Ok((sender, lane))
}
