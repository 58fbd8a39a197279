//! The engine thread: it owns the device and every tensor, and all others talk to it through two channels of plain data.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use candle_core::Device;

use super::checkpoint::Checkpoints;
use super::fault::{DeviceFault, Faults, Injected};
use super::inbox::Inbox;
use super::log::{History, Log};
use super::priority::Priority;
use super::protocol::{Command, Ended, Event, Generate, Job, Load, Message, Outcome, Score, Train};
use super::slot::Slot;
use super::{generate, journal, score, train};
use crate::engine::device::{self, Want};

/// Candle's and the tokenizers' recursions are deeper than the 2 MiB that threads get by default.
const STACK: usize = 64 << 20;

/// The one way to reach the engine thread. Dropping it stops what is under way (training ends after its step, with a checkpoint)
/// and waits for the thread's end.
#[derive(Debug)]
pub struct EngineHandle {
    commands: Sender<Command>,
    events: Receiver<Message>,
    thread: Option<JoinHandle<()>>,
}

impl EngineHandle {
    /// Starts the thread. Its handle can be given to a thread that passes the events on, while others send by [`Self::commands`].
    pub fn spawn(want: Want, priority: Priority) -> Result<EngineHandle> {
        EngineHandle::start(want, priority, Faults::default())
    }

    /// For tests: an engine that suffers a fault which this machine may have no device for.
    pub fn spawn_with_fault(want: Want, fault: Injected) -> Result<EngineHandle> {
        EngineHandle::start(want, Priority::Normal, Faults(Some(fault)))
    }

    fn start(want: Want, priority: Priority, faults: Faults) -> Result<EngineHandle> {
        let (commands, inbox) = channel();
        let (outbox, events) = channel();
        let thread = thread::Builder::new()
            .name("engine".into())
            .stack_size(STACK)
            .spawn(move || {
                priority.apply();
                serve(want, Inbox::new(inbox, faults), &Outbox(outbox));
            })
            .context("the engine thread cannot be started")?;
        Ok(EngineHandle { commands, events, thread: Some(thread) })
    }

    pub fn send(&self, command: Command) -> Result<()> {
        self.commands.send(command).map_err(|_| anyhow!("the engine thread has ended"))
    }

    /// For those who only send, such as a signal handler.
    pub fn commands(&self) -> Sender<Command> {
        self.commands.clone()
    }

    /// Waits for the next message.
    pub fn next(&self) -> Result<Message> {
        self.events.recv().context("the engine thread has ended")
    }

    pub fn events(&self) -> &Receiver<Message> {
        &self.events
    }
}

impl Drop for EngineHandle {
    fn drop(&mut self) {
        self.commands.send(Command::Quit).ok(); // fails only where the thread has ended already
        if let Some(thread) = self.thread.take() {
            thread.join().ok(); // a panic in it was reported as a failed job
        }
    }
}

/// Where messages go out. Work goes on when nobody listens any more: the log has it all.
#[derive(Debug)]
pub(super) struct Outbox(pub(super) Sender<Message>);

impl Outbox {
    pub(super) fn send(&self, job: Job, event: Event) {
        self.0.send(Message { job, event }).ok();
    }
}

/// Logs a run's events, then sends them.
#[derive(Debug)]
pub(super) struct Recorder<'a> {
    pub(super) log: Log,
    pub(super) outbox: &'a Outbox,
    pub(super) job: Job,
}

impl Recorder<'_> {
    pub(super) fn record(&mut self, event: Event) -> Result<()> {
        self.log.append(&event)?;
        self.outbox.send(self.job, event);
        Ok(())
    }
}

fn serve(want: Want, mut inbox: Inbox, outbox: &Outbox) {
    let mut device = None;
    let mut slot = None;
    while let Some(command) = inbox.next() {
        match command {
            Command::Load(load) => serve_load(&load, want, &mut device, &mut slot, outbox),
            Command::Train(train) => serve_train(&train, &mut device, &mut slot, &mut inbox, outbox),
            Command::Generate(Generate { job, .. }) | Command::Score(Score { job, .. }) if slot.is_none() => {
                outbox.send(job, Event::Ended(failed(&anyhow!("no model is loaded"))));
            }
            Command::Generate(_) | Command::Score(_) => {
                if let Some(slot) = &mut slot {
                    serve_request(&command, slot, &mut inbox, outbox);
                }
            }
            Command::Stop { .. } | Command::Quit => {} // the inbox keeps these to itself
        }
    }
}

fn serve_load(load: &Load, want: Want, device: &mut Option<Device>, slot: &mut Option<Slot>, outbox: &Outbox) {
    *slot = None; // first, so that two models are never on the device at once
    let loaded = guard(|| {
        let device = match device {
            Some(device) => device,
            None => device.insert(device::open(want)?),
        };
        Slot::load(load, device)
    });
    match loaded {
        Ok(loaded) => {
            let event = loaded.describe();
            *slot = Some(loaded);
            outbox.send(load.job, Event::Loaded(event));
        }
        Err(error) => outbox.send(load.job, Event::Ended(failed(&error))),
    }
}

fn serve_train(job: &Train, device: &mut Option<Device>, slot: &mut Option<Slot>, inbox: &mut Inbox, outbox: &Outbox) {
    let log = match Log::open(&job.run) {
        Ok(log) => log,
        Err(error) => return outbox.send(job.job, Event::Ended(failed(&error))),
    };
    let mut recorder = Recorder { log, outbox, job: job.job };
    let outcome = guard(|| train::train(job, slot.as_mut().context("no model is loaded")?, inbox, &mut recorder));
    let mut ended = match outcome {
        Ok(outcome) => Ended::now(outcome, None),
        Err(error) => {
            let fault = DeviceFault::of(&error);
            let lost = (fault == Some(DeviceFault::Lost)).then(|| device.take());
            // Its weights are in no known state. What lies on a lost device may fail once more when it is given back.
            let slot = slot.take();
            guard(|| {
                drop((slot, lost));
                Ok(())
            })
            .ok();
            failed(&in_words(job, error, fault))
        }
    };
    if let Err(error) = summarise(job, &ended) {
        ended.error.get_or_insert(format!("the journal's summary was not written: {error:#}"));
    }
    if let Err(error) = recorder.record(Event::Ended(ended.clone())) {
        // The log cannot take the end of the run (a full disk): the listener still hears the first reason.
        ended.error.get_or_insert(format!("{error:#}"));
        outbox.send(job.job, Event::Ended(ended));
    }
}

/// A request to generate or to score, which the model in the slot answers.
pub(super) fn serve_request(request: &Command, slot: &mut Slot, inbox: &mut Inbox, outbox: &Outbox) {
    let (job, outcome) = match request {
        Command::Generate(request) => {
            (request.job, answer(request.job, inbox, outbox, |is_stopped, emit| generate::generate(request, slot, is_stopped, emit)))
        }
        Command::Score(request) => {
            (request.job, answer(request.job, inbox, outbox, |is_stopped, emit| score::score(request, slot, is_stopped, emit)))
        }
        Command::Load(_) | Command::Train(_) | Command::Stop { .. } | Command::Quit => return, // no requests
    };
    outbox.send(job, Event::Ended(outcome.map_or_else(|error| failed(&error), |outcome| Ended::now(outcome, None))));
}

/// Does the work of one request: what it emits is sent under its job's number.
fn answer(
    job: Job,
    inbox: &mut Inbox,
    outbox: &Outbox,
    work: impl FnOnce(&mut dyn FnMut() -> bool, &mut dyn FnMut(Event) -> Result<()>) -> Result<Outcome>,
) -> Result<Outcome> {
    guard(|| {
        work(&mut || inbox.is_stopped(job), &mut |event| {
            outbox.send(job, event);
            Ok(())
        })
    })
}

fn summarise(job: &Train, ended: &Ended) -> Result<()> {
    let mut history = History::read(&job.run)?;
    history.fold(Event::Ended(ended.clone()));
    let result = Checkpoints::of(&job.run).result().ok();
    journal::summarise(&job.run, &history, result.map(|checkpoint| checkpoint.step))
}

/// Why a run failed, and what is left of it.
fn in_words(job: &Train, error: anyhow::Error, fault: Option<DeviceFault>) -> anyhow::Error {
    let error = match fault {
        Some(fault) => error.context(fault.words(&job.config)),
        None => error,
    };
    let run = job.run.file_name().unwrap_or_default().to_string_lossy();
    let left = match Checkpoints::of(&job.run).list().unwrap_or_default().last() {
        Some(last) => format!("the checkpoint of step {} is whole, and `voicetune train --resume {run}` goes on from it", last.step),
        None => "there is no checkpoint yet".into(),
    };
    anyhow!("{error:#} ({left})")
}

fn failed(error: &anyhow::Error) -> Ended {
    Ended::now(Outcome::Failed, Some(format!("{error:#}")))
}

/// A panic becomes an error: whoever waits for the job hears of its end.
fn guard<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What the work left half-done is dropped by the caller, so that nothing broken is seen afterwards.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
        Err(anyhow!("a fault in voicetune (please report it): {}", text.unwrap_or_else(|| "the engine thread panicked".into())))
    })
}
