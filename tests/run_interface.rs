//! The engine as an interface uses it: a thread of its own passes the events on, commands come from elsewhere, and the engine's
//! threads step back. Alone in its process, since rayon's pool is one a process.
#![allow(clippy::unwrap_used)]

mod run_support;

use std::sync::mpsc::channel;

use run_support::Sample;
use voicetune::config::Workspace;
use voicetune::run::log::History;
use voicetune::run::prepare::Prepared;
use voicetune::run::protocol::{Command, Event, Message, Outcome};
use voicetune::run::{EngineHandle, Priority, Want};

#[test]
fn a_forwarder_owns_the_handle_and_ends_with_the_engine() {
    let sample = Sample::new();
    let workspace = Workspace::open(sample.root()).unwrap();
    // On a thread that steps back before it computes, as an interface's lanes do: whoever computes first makes rayon's workers.
    let lane = workspace.clone();
    let prepared = std::thread::spawn(move || {
        Priority::Yielding.apply();
        Prepared::new(&lane, lane.config("lora").unwrap(), lane.templates().unwrap(), None).unwrap()
    })
    .join()
    .unwrap();
    let engine = EngineHandle::spawn(Want::Cpu, Priority::Yielding).unwrap();
    let commands = engine.commands();
    let (inbox, messages) = channel::<Message>();
    let forwarder = std::thread::spawn(move || {
        while let Ok(message) = engine.next() {
            inbox.send(message).unwrap();
        }
    });
    commands.send(Command::Load(prepared.load(1))).unwrap();
    assert!(matches!(messages.recv().unwrap().event, Event::Loaded(_)));
    #[cfg(target_os = "linux")]
    {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let here = nice();
        assert!(rayon::broadcast(|_| nice()).into_iter().all(|worker| worker == (here + 10).min(19)), "the workers step back");
        assert_eq!(nice(), here, "the interface does not");
    }
    let run = prepared.create_run(&workspace.runs(), "test", "cpu", None).unwrap();
    commands.send(Command::Train(Box::new(prepared.train(2, &run)))).unwrap();
    while !matches!(messages.recv().unwrap().event, Event::Step(_)) {}
    commands.send(Command::Quit).unwrap();
    let last = messages.iter().last().unwrap(); // ends when the forwarder does
    assert!(matches!(last.event, Event::Ended(ended) if ended.outcome == Outcome::Stopped));
    forwarder.join().unwrap();
    let history = History::read(&run.folder).unwrap();
    assert_eq!(history.saved.last().unwrap().step, history.steps.last().unwrap().step);
}
