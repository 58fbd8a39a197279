//! The interface beside a run that trains: it is left, suspended and hung up on, in two terminals at once, and the run goes on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use voicetune::run::Run;
use voicetune::run::checkpoint::Checkpoints;
use voicetune::run::log::History;
use voicetune::run::protocol::Outcome;

#[path = "ui_support/pty.rs"]
mod pty;
#[path = "ui_support/workspace.rs"]
mod workspace;

use pty::Pty;

/// Generous, since other tests may have the processor.
const SOON: Duration = Duration::from_secs(60);
const ENTER: &str = "\r";
const DOWN: &str = "\x1b[B";
const SUSPEND: &str = "\x1a"; // Ctrl-Z

#[test]
fn a_run_goes_on_when_its_terminal_is_left_suspended_or_lost() {
    let folder = tempfile::tempdir().unwrap();
    workspace::copy(folder.path(), |id| id.starts_with("tier4/lost") || id.starts_with("tier4/three"));
    let config = fs::read_to_string(folder.path().join("configs/pocket-llama-lora.yaml")).unwrap();
    let long = [("epochs: 3", "epochs: 500"), ("max_tokens: 4096", "max_tokens: 192"), ("sample_every: epoch", "sample_every: never")]
        .into_iter()
        .fold(config, |config, (old, new)| config.replace(old, new));
    fs::write(folder.path().join("configs/zz-long.yaml"), long).unwrap();

    let mut pty = start(folder.path());
    pty.press("2");
    pty.wait_for("zz-long", SOON);
    pty.press("G");
    pty.wait_for("Before a start of zz-long", SOON);
    pty.press(ENTER);
    pty.wait_for("Start a run", SOON);
    pty.press(ENTER);
    pty.wait_until("the first step", SOON, |screen| shown(screen) > 0);
    pty.press("q");
    pty.wait_for("Leave; the run goes on", SOON);
    assert!(pty.has("Leave voicetune?") && pty.has("zz-long is training") && pty.has("Stay"), "{}", pty.text());
    pty.press(ENTER);
    assert_eq!(pty.wait(SOON), 0);
    assert!(pty.is_restored());
    let run = Run::list(&folder.path().join("runs")).unwrap().remove(0).folder;
    grows(&run);

    // Two viewers attach by themselves; one is suspended, which stops it alone.
    let mut viewers = [start(folder.path()), start(folder.path())];
    for viewer in &mut viewers {
        viewer.wait_for("training zz-long · step", SOON);
        viewer.press("2");
        viewer.wait_for("validation", SOON);
    }
    let [mut first, mut second] = viewers;
    second.send(SUSPEND);
    let begun = Instant::now();
    while state(second.pid()) != 'T' {
        assert!(begun.elapsed() < SOON, "it was not suspended");
        std::thread::sleep(Duration::from_millis(10));
    }
    grows(&run);
    assert!(Command::new("kill").args(["-CONT", &second.pid().to_string()]).status().unwrap().success());
    let now = steps(&run);
    second.wait_until("the steps that were made meanwhile", SOON, |screen| shown(screen) >= now);

    second.hang_up();
    second.wait(SOON);
    assert!(second.used < Duration::from_secs(10), "{:?} of processor time", second.used);
    grows(&run);

    let now = steps(&run);
    first.wait_until("the steps that were made meanwhile", SOON, |screen| shown(screen) >= now);
    first.press("q");
    first.wait_for("Leave; the run stops after its step", SOON);
    first.press(DOWN);
    first.press(ENTER);
    assert_eq!(first.wait(SOON), 0);
    let begun = Instant::now();
    while History::read(&run).unwrap().ended.is_none() {
        assert!(begun.elapsed() < SOON, "the run was not stopped");
        std::thread::sleep(Duration::from_millis(10));
    }
    let history = History::read(&run).unwrap();
    assert_eq!(history.ended.unwrap().outcome, Outcome::Stopped);
    assert_eq!(Checkpoints::of(&run).find(None).unwrap().step, history.steps.len());
}

fn start(folder: &Path) -> Pty {
    Pty::start(Path::new(env!("CARGO_BIN_EXE_voicetune")), &[], folder, 140, 45, &[])
}

fn steps(run: &Path) -> usize {
    History::read(run).unwrap().steps.len()
}

/// Waits for more steps of the run.
fn grows(run: &Path) {
    let (before, begun) = (steps(run), Instant::now());
    while steps(run) < before + 2 {
        assert!(begun.elapsed() < SOON, "the run stands still at step {before}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The step that the head of the screen shows.
fn shown(screen: &str) -> usize {
    let rest = screen.split("training zz-long · step ").nth(1).unwrap_or_default();
    rest.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// `T` where the process is stopped.
fn state(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().chars().next().unwrap()
}
