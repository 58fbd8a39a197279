//! The worker of a sample workspace, seen from outside.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;
use voicetune::run::log::History;
use voicetune::run::protocol::{Ended, Outcome};

use super::Sample;

/// Generous: other tests may have the processor, and a worker steps back for whoever wants it.
const LIMIT: Duration = Duration::from_secs(300);

pub fn worker_pid(sample: &Sample) -> i32 {
    fs::read_to_string(sample.path("runs/.worker/lock")).unwrap().trim().parse().unwrap()
}

pub fn is_worker_there(sample: &Sample) -> bool {
    File::open(sample.path("runs/.worker/lock")).is_ok_and(|lock| lock.try_lock_shared().is_err())
}

pub fn kill(signal: &str, pid: i32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// Reads the events of a training process until `step` is done.
pub fn wait_for_step(child: &mut Child, step: u64) {
    for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["type"] == "step" && event["step"] == step {
            return;
        }
    }
    panic!("the process ended before step {step}");
}

pub fn wait_until(what: &str, test: impl Fn() -> bool) {
    let begun = Instant::now();
    while !test() {
        assert!(begun.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn ended(run: &Path) -> Option<Ended> {
    History::read(run).unwrap().ended
}

pub fn end_of(run: &Path) -> Outcome {
    wait_until("the run's end", || ended(run).is_some());
    ended(run).unwrap().outcome
}
