//! The worker as a process: viewers come and go, are killed, refused and misunderstood, and a run goes on through all of it.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod run_support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use run_support::worker::{end_of, ended, is_worker_there, kill, wait_for_step, wait_until, worker_pid};
use run_support::{Sample, exact_history};
use serde_json::Value;
use voicetune::run::checkpoint::Checkpoints;
use voicetune::run::protocol::Outcome;

/// As many as a test needs to do something meanwhile.
const STEPS: &str = "60";

fn whole(sample: &Sample) -> std::path::PathBuf {
    sample.succeed(&["train", "lora", "--run", "whole", "--max-steps", STEPS, "--in-process"]);
    sample.run("whole")
}

#[test]
fn a_killed_viewer_is_not_missed_and_two_others_see_all_of_the_run() {
    let sample = Sample::new();
    let whole = whole(&sample);
    let mut first = sample.start(&["train", "lora", "--run", "kept", "--max-steps", STEPS, "--json"]);
    wait_for_step(&mut first, 3);
    first.kill().unwrap(); // SIGKILL
    first.wait().unwrap();
    let run = sample.run("kept");
    assert!(ended(&run).is_none(), "it goes on");

    let viewers = ["kept", run.to_str().unwrap()].map(|name| sample.start(&["watch", name, "--json"]));
    let seen = viewers.map(|viewer| {
        let output = viewer.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    });
    let logged = fs::read(run.join("events.jsonl")).unwrap();
    assert!(seen.iter().all(|seen| *seen == logged), "each sees every line, from the first to the last");
    assert_eq!(exact_history(&run), exact_history(&whole));
    wait_until("the worker's end", || !is_worker_there(&sample));
}

#[test]
fn a_detached_run_is_stopped_from_the_shell_and_the_next_in_the_queue_begins() {
    let sample = Sample::new();
    let detached =
        |name: &str| -> Value { serde_json::from_str(&sample.succeed(&["train", "lora", "--run", name, "--detach", "--json"])).unwrap() };
    assert_eq!(detached("first")["state"], "training");
    let waiting = detached("second");
    assert_eq!((&waiting["state"], &waiting["ahead"]), (&Value::from("waiting"), &Value::from(1)));
    detached("third");
    sample.fail(&["stop", "fourth"], &["fourth is not what trains: that is first"]);
    sample.succeed(&["stop", "third"]);

    let stopped: Value = serde_json::from_str(&sample.succeed(&["stop", "--json"])).unwrap();
    let first = sample.run("first");
    assert_eq!(end_of(&first), Outcome::Stopped);
    let step = Checkpoints::of(&first).find(None).unwrap().step;
    assert_eq!(stopped["step"], step);
    assert_eq!(exact_history(&first).0.len(), step, "the step under way was finished and saved");

    wait_until("the second run", || fs::read_dir(sample.path("runs")).unwrap().any(|run| run.unwrap().path().ends_with_name("-second")));
    sample.succeed(&["stop", "--all"]);
    assert_eq!(end_of(&sample.run("second")), Outcome::Stopped);
    wait_until("the worker's end", || !is_worker_there(&sample));
    sample.fail(&["stop"], &["nothing is training"]);
    assert!(!fs::read_dir(sample.path("runs")).unwrap().any(|run| run.unwrap().path().ends_with_name("-third")));
}

#[test]
fn a_killed_worker_is_told_cleaned_up_and_its_run_goes_on_bit_for_bit() {
    let sample = Sample::new();
    let whole = whole(&sample);
    let mut train = sample.voicetune(&["train", "lora", "--run", "killed", "--max-steps", STEPS, "--json"]);
    let mut viewer = train.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_step(&mut viewer, 7);
    kill("-KILL", worker_pid(&sample));
    let output = viewer.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    let name = sample.run("killed").file_name().unwrap().to_str().unwrap().to_owned();
    for part in ["the process that trained it has died", &format!("`voicetune train --resume {name}` goes on at step 5")] {
        assert!(message.contains(part), "{message}");
    }
    sample.fail(&["watch", "killed"], &["has died", "--resume"]);
    assert!(sample.path("runs/.worker/socket").exists(), "it had no time to tidy up");
    sample.fail(&["stop"], &["nothing is training"]);
    assert!(!sample.path("runs/.worker/socket").exists());

    sample.succeed(&["train", "--resume", "killed", "--max-steps", STEPS]);
    assert_eq!(exact_history(&sample.run("killed")), exact_history(&whole));
}

#[test]
fn runs_that_wait_outlive_their_worker() {
    let sample = Sample::new();
    let detached = |name: &str| sample.succeed(&["train", "lora", "--run", name, "--detach"]);
    let is_made =
        |name: &str| fs::read_dir(sample.path("runs")).unwrap().any(|run| run.unwrap().path().ends_with_name(&format!("-{name}")));
    for name in ["first", "second", "third"] {
        detached(name);
    }
    kill("-KILL", worker_pid(&sample));
    sample.fail(&["watch", "first"], &["has died", "what waited follows the next order: second, third"]);
    assert!(!is_made("second"));

    // Behind what is ordered now, in their order. A signal to the worker ends the run, and leaves what waits.
    let said = sample.voicetune(&["train", "lora", "--run", "fourth", "--detach"]).output().unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("which follow now: second, third"), "{said:?}");
    assert!(is_made("fourth") && !is_made("second"));
    kill("-TERM", worker_pid(&sample));
    wait_until("the worker's end", || !is_worker_there(&sample));
    assert_eq!(end_of(&sample.run("fourth")), Outcome::Stopped);

    // The one that was taken out does not come back; the other begins when its turn comes.
    detached("fifth");
    sample.succeed(&["stop", "second"]);
    sample.succeed(&["stop", "fifth"]);
    wait_until("the third run", || is_made("third"));
    sample.succeed(&["stop", "--all"]);
    assert!(!is_made("second") && !sample.path("runs/.worker/queue.json").exists());

    // Where there is no worker, what the last one left can be forgotten as well.
    for name in ["sixth", "seventh"] {
        detached(name);
    }
    kill("-KILL", worker_pid(&sample));
    wait_until("the worker's end", || !is_worker_there(&sample));
    sample.succeed(&["stop", "--all"]);
    assert!(!sample.path("runs/.worker/queue.json").exists());
    sample.fail(&["stop", "--all"], &["nothing is training"]);
}

#[test]
fn a_worker_has_no_terminal_steps_back_and_ends_on_sigterm_with_a_checkpoint() {
    let sample = Sample::new();
    sample.succeed(&["train", "lora", "--run", "alone", "--detach"]);
    let run = sample.run("alone");
    let pid = worker_pid(&sample);
    kill("-HUP", pid);
    #[cfg(target_os = "linux")]
    {
        let proc = |file: &str| format!("/proc/{pid}/{file}");
        let stat = fs::read_to_string(proc("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        assert_eq!((fields[3], fields[4]), (pid.to_string().as_str(), "0"), "a session of its own, and no terminal");
        assert_eq!(fs::read_link(proc("fd/0")).unwrap(), Path::new("/dev/null"));
        assert_eq!(fs::read_link(proc("fd/1")).unwrap(), Path::new("/dev/null"));
        assert_eq!(fs::read_link(proc("fd/2")).unwrap(), fs::canonicalize(run.join("worker.log")).unwrap());
        let engine = fs::read_dir(proc("task")).unwrap().map(|task| fs::read_to_string(task.unwrap().path().join("stat")).unwrap());
        let engine = engine.into_iter().find(|stat| stat.contains("(engine)")).unwrap();
        let nice = engine.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().to_owned();
        let here = rustix::process::getpriority_process(None).unwrap();
        assert_eq!(nice, (here + 10).min(19).to_string());
    }
    let before = exact_history(&run).0.len();
    wait_until("more steps after SIGHUP", || exact_history(&run).0.len() > before + 2);
    kill("-TERM", pid);
    wait_until("the worker's end", || !is_worker_there(&sample));
    assert_eq!(end_of(&run), Outcome::Stopped);
    assert_eq!(Checkpoints::of(&run).find(None).unwrap().step, exact_history(&run).0.len());
    assert!(!sample.path("runs/.worker/socket").exists());
    let mode = |path: &str| fs::metadata(sample.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("runs/.worker"), mode("runs/.worker/log")), (0o700, 0o600));
}

#[test]
fn strangers_and_nonsense_are_refused_and_the_run_goes_on() {
    let sample = Sample::new();
    sample.succeed(&["train", "lora", "--run", "calm", "--detach"]);
    let socket = sample.path("runs/.worker/socket");
    let speak = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).ok();
        stream
    };
    let all_of = |mut stream: UnixStream| {
        let mut text = vec![];
        stream.read_to_end(&mut text).ok(); // a reset is an end too
        text
    };
    // Another version is told which one this is, and that is all.
    let answer = String::from_utf8(all_of(speak(b"voicetune-worker 999 9.9.9\n"))).unwrap();
    assert_eq!(answer, format!("voicetune-worker {} {}\n", voicetune::run::worker::PROTOCOL, env!("CARGO_PKG_VERSION")));
    // What does not greet gets nothing.
    assert_eq!(all_of(speak(b"GET / HTTP/1.1\r\n\r\n")), b"");
    assert_eq!(all_of(speak(&[0xff; 4096])), b"");
    // Nonsense after the greeting ends that connection.
    let greeting = answer.as_bytes();
    for nonsense in [&[0xff, 0xff, 0xff, 0xff][..], b"\0\0\0\x02{}", b"\0\0\0\x05hello"] {
        let answered = all_of(speak(&[greeting, nonsense].concat()));
        assert!(answered.starts_with(greeting), "{answered:?}");
    }
    // One that says nothing at all, and one that reads nothing, keep nobody up.
    let _silent = speak(b"");
    let _deaf = speak(greeting);
    foreign(&socket);

    let run = sample.run("calm");
    let before = exact_history(&run).0.len();
    wait_until("more steps", || exact_history(&run).0.len() > before + 2);
    sample.succeed(&["stop"]);
    assert_eq!(end_of(&run), Outcome::Stopped);
}

/// Another user does not even reach the socket; were the folders open, it would be hung up on without a word.
fn foreign(socket: &Path) {
    if !rustix::process::geteuid().is_root() {
        return; // nobody else can be played: the unit test of the check is what is left
    }
    let program = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1])\n\
                   try: s.sendall(b'voicetune-worker 1 0.1.0\\n'); print(len(s.recv(1)))\n\
                   except (BrokenPipeError, ConnectionResetError): print(0)";
    let nobody = || {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new("/usr/bin/python3");
        command.arg("-c").arg(program).arg(socket).current_dir("/").uid(65534).gid(65534).output().unwrap()
    };
    let output = nobody();
    assert!(String::from_utf8_lossy(&output.stderr).contains("PermissionError"), "{output:?}");
    let folder = socket.parent().unwrap();
    let open = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let ways = [folder.parent().unwrap().parent().unwrap(), folder.parent().unwrap(), folder];
    ways.iter().for_each(|way| open(way, 0o755));
    open(socket, 0o666);
    let output = nobody();
    ways.iter().for_each(|way| open(way, 0o700));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0", "{output:?}");
}

#[test]
fn ctrl_c_in_the_foreground_command_ends_the_run_with_its_checkpoint() {
    let sample = Sample::new();
    let mut child = sample.start(&["train", "lora", "--run", "halted", "--json"]);
    wait_for_step(&mut child, 2);
    kill("-INT", child.id() as i32);
    let rest: Vec<String> = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(rest.last().unwrap().contains(r#""outcome":"stopped""#));
    let run = sample.run("halted");
    assert_eq!(Checkpoints::of(&run).find(None).unwrap().step, exact_history(&run).0.len());
}

#[test]
fn a_model_that_cannot_be_loaded_is_said_and_leaves_no_run() {
    let sample = Sample::new();
    // A file of weights without the model's tensors: only loading finds out.
    let header = br#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let weights = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    fs::write(sample.path("models/llama/model.safetensors"), weights).unwrap();
    for mode in ["--json", "--in-process", "--detach"] {
        sample.fail(&["train", "lora", mode], &["its weights cannot be loaded"]);
    }
    let made: Vec<_> = fs::read_dir(sample.path("runs")).unwrap().map(|run| run.unwrap().file_name()).collect();
    assert_eq!(made, [".worker"]);
}

trait EndsWithName {
    fn ends_with_name(&self, ending: &str) -> bool;
}

impl EndsWithName for std::path::PathBuf {
    fn ends_with_name(&self, ending: &str) -> bool {
        self.to_str().unwrap().ends_with(ending)
    }
}
