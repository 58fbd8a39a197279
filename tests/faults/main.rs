//! Every write, fsync and rename of what voicetune saves fails, one after another: once, and from then on; with a full disk, a broken
//! one, and one that may not be written to. At each the promises of docs/reliability.md hold: the old state or the new one is there,
//! whole; what was said to be saved is saved; nothing else is left behind.
//!
//! The faults are injected into the system calls by strace, so that it does not matter which library makes them. This program runs
//! itself under strace to do one piece of work, and then looks at the disk.
#![allow(clippy::unwrap_used)]

#[path = "../run_support/mod.rs"]
mod run_support;
mod training;
mod work;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use work::{WORKS, Work};

const ERRORS: [&str; 3] = ["ENOSPC", "EIO", "EACCES"];
const CALLS: [&str; 6] = ["write", "fsync", "fdatasync", "rename", "renameat", "renameat2"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, name, folder] = &arguments[..]
        && role == "--work"
    {
        let work = WORKS.iter().find(|work| work.name == *name).unwrap();
        return match (work.act)(Path::new(folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(REFUSED),
        };
    }
    let version = Command::new("strace").arg("--version").output();
    assert!(version.is_ok_and(|found| found.status.success()), "this test needs strace; install it (apt-get install strace)");
    let mut all = 0;
    for work in WORKS {
        let faults = CALLS.iter().flat_map(|call| ERRORS.map(|error| (call, error))).map(|(call, error)| every_one(work, call, error));
        let count = faults.sum::<usize>();
        println!("{:<12} {count} faults", work.name);
        assert!(count > 0, "{}: nothing was written", work.name);
        all += count;
    }
    let of_runs = training::every_one();
    println!("{all} faults while saving, {of_runs} while training: the promises held at each");
    ExitCode::SUCCESS
}

/// What the worker exits with where it says that nothing was saved.
const REFUSED: u8 = 3;

/// Lets each call of this kind fail that the work makes; returns how many faults that were.
fn every_one(work: &Work, call: &str, error: &str) -> usize {
    let mut count = 0;
    for nth in 1.. {
        for lasting in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            (work.prepare)(folder.path());
            let program = std::env::current_exe().unwrap();
            let mut command = under_strace(folder.path(), call, &format!("error={error}:when={nth}{}", if lasting { "+" } else { "" }));
            let status = command.arg(program).args(["--work", work.name]).arg(folder.path()).status().unwrap();
            if !was_injected(folder.path()) {
                assert_eq!(status.code(), Some(0), "{}: fails without a fault", work.name);
                return count;
            }
            let shown = format!("{}: {call} no. {nth} with {error}{}", work.name, if lasting { ", and all after it" } else { "" });
            let code = status.code().unwrap_or_else(|| panic!("{shown}: ended by a signal"));
            assert!(code == 0 || code == i32::from(REFUSED), "{shown}: it panicked");
            (work.check)(folder.path(), code == 0, &shown);
            no_litter(folder.path(), &shown);
            count += 1;
        }
    }
    count
}

/// `strace` with this fault, before the program and its arguments.
fn under_strace(folder: &Path, call: &str, fault: &str) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "--seccomp-bpf", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:{fault}"), "-o"]);
    command.arg(folder.join("strace.log"));
    command
}

fn was_injected(folder: &Path) -> bool {
    let log = folder.join("strace.log");
    let injected = fs::read_to_string(&log).unwrap().contains("(INJECTED)");
    fs::remove_file(log).unwrap();
    injected
}

/// No temporary file or folder is left anywhere.
fn no_litter(folder: &Path, shown: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!name.starts_with('.') || name == ".unsaved", "{shown}: {} is left", path.display());
        if path.is_dir() {
            no_litter(&path, shown);
        }
    }
}
