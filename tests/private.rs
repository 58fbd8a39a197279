//! What a writer has not published is hers alone: nobody else can read it, the hub's token appears nowhere, and nothing goes out.
#![allow(clippy::unwrap_used)]

mod run_support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use run_support::Sample;
use voicetune::pairs::{self, Fingerprint, Journal};

/// All files and folders below, those that are hidden too.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_below(&path));
        }
        found.push(path);
    }
    found
}

/// The program under a umask that forbids nothing.
fn loosely(sample: &Sample, args: &[&str]) -> Output {
    let program = sample.voicetune(args);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(program.get_program()).args(program.get_args());
    command.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?)))).current_dir(sample.root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn whatever_is_written_can_be_read_by_its_owner_only() {
    let sample = Sample::new();
    // Folders that others can read, made before voicetune came: what it puts there is private all the same.
    for folder in ["runs", "pairs", "pairs/tier2"] {
        fs::create_dir_all(sample.path(folder)).unwrap();
        fs::set_permissions(sample.path(folder), Permissions::from_mode(0o777)).unwrap();
    }
    let before = all_below(sample.root());
    let new = sample.path("new-workspace");
    loosely(&sample, &["init", new.to_str().unwrap()]);
    loosely(&sample, &["train", "lora", "--run", "first", "--max-steps", "5"]);
    loosely(&sample, &["train", "full", "--run", "second", "--max-steps", "2"]);
    loosely(&sample, &["generate", "first"]);
    loosely(&sample, &["report", "first", "second"]);
    // The interface's part.
    let pair = pairs::open(&sample.path("pairs"), "tier2/clock").unwrap();
    let moved = pairs::Pair { id: "tier2/new".into(), ..pair.pair.clone() };
    pairs::save(&sample.path("pairs"), &moved, Fingerprint::Absent).unwrap();
    Journal::new(&sample.path("pairs")).record(&pair.pair, pair.fingerprint).unwrap();

    let written: Vec<_> = all_below(sample.root()).into_iter().filter(|path| !before.contains(path)).collect();
    assert!(written.len() > 40, "{written:?}");
    for path in written {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{} is {mode:o}", path.display());
    }
}

#[test]
fn the_hubs_token_is_neither_shown_nor_written() {
    const TOKEN: &str = "hf_abcdefghijklmnopqrstuvwxyz0123456789";
    let sample = Sample::new();
    sample.write("token", TOKEN);
    let hub = "model: meta-llama/Llama-3.1-8B-Instruct\nformat: chat\nmethod: lora\n";
    sample.write("configs/hub.yaml", hub);
    let commands: [&[&str]; 7] = [
        &["check"],
        &["train", "hub"],
        &["train", "lora", "--run", "first", "--max-steps", "1", "--json"],
        &["generate", "first", "--json"],
        &["report", "first", "--json"],
        &["encode", "--config", "hub"],
        &["score", "--model", "meta-llama/Llama-3.1-8B-Instruct", "--ids", "1,2"],
    ];
    for set in [("HF_TOKEN", TOKEN.to_owned()), ("HF_TOKEN_PATH", sample.path("token").to_str().unwrap().to_owned())] {
        for args in commands {
            let output = sample.voicetune(args).env(set.0, &set.1).env("RUST_BACKTRACE", "full").output().unwrap();
            for text in [output.stdout, output.stderr] {
                assert!(!String::from_utf8_lossy(&text).contains(TOKEN), "{args:?} shows it");
            }
        }
    }
    fs::remove_file(sample.path("token")).unwrap();
    for path in all_below(sample.root()).iter().filter(|path| path.is_file()) {
        let bytes = fs::read(path).unwrap();
        assert!(!bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()), "{} holds it", path.display());
    }
}

/// By the system calls themselves: no socket of a family that leads out of the machine is even made.
#[test]
fn nothing_goes_out() {
    let sample = Sample::new();
    sample.write("configs/hub.yaml", "model: meta-llama/Llama-3.1-8B-Instruct\nformat: chat\nmethod: lora\n");
    sample.write("draft.md", "A draft. It goes.");
    let commands: [&[&str]; 8] = [
        &["check"],
        &["train", "hub"],
        &["train", "lora", "--run", "first", "--max-steps", "1"],
        &["train", "--resume", "first", "--max-steps", "2"],
        &["generate", "first"],
        &["report", "first"],
        &["diff", "draft.md", "draft.md"],
        &["encode", "--config", "hub"],
    ];
    let log = sample.path("strace.log");
    for args in commands {
        let program = sample.voicetune(args);
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "--seccomp-bpf", "-e", "trace=socket,connect,sendto,sendmsg", "-o"]).arg(&log);
        command.arg(program.get_program()).args(program.get_args()).current_dir(sample.root());
        command.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let output = command.output().expect("this test needs strace; install it (apt-get install strace)");
        let calls = fs::read_to_string(&log).unwrap();
        let outward = calls.lines().find(|line| ["AF_INET", "AF_PACKET", "AF_VSOCK"].iter().any(|family| line.contains(family)));
        assert_eq!(outward, None, "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn offline_runs_as_ever() {
    let sample = Sample::new();
    sample.succeed(&["--offline", "train", "lora", "--run", "first", "--max-steps", "1"]);
    let output = sample.voicetune(&["generate", "first"]).env("VOICETUNE_OFFLINE", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
