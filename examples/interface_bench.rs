//! Measures the interface in a pseudo-terminal: first frame, key to frame, bytes a second, memory. Prints one JSON object.
//!
//!     cargo build --release && cargo run --release --example interface_bench -- target/release/voicetune

#![allow(clippy::unwrap_used)] // a benchmark ends where something is amiss

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

#[path = "../tests/ui_support/pty.rs"]
mod support;
#[path = "../tests/ui_support/workspace.rs"]
mod workspace;

use support::Pty;

const COLUMNS: u16 = 160;
const ROWS: u16 = 45;
const KEYS: usize = 400;
/// As a person types, and long enough for a frame to be over.
const QUIET: Duration = Duration::from_millis(30);

fn main() {
    let program = std::env::args().nth(1).unwrap_or_else(|| "target/release/voicetune".into());
    let program = fs::canonicalize(&program).unwrap_or_else(|e| panic!("{program}: {e}; build it with `cargo build --release`"));
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    workspace::copy(&small, |_| true);
    fill(&small, 150, 400);
    write_pair(&small, "tier1", "aaa-long-essay", 5000);
    let large = folder.path().join("large");
    workspace::copy(&large, |_| false);
    fill(&large, 9_999, 400);
    write_pair(&large, "tier1", "aaa-first-of-all", 400);

    let first_frame = (0..10).map(|_| first_frame(&program, &small)).collect::<Vec<_>>();
    let (typing, resident) = typing(&program, &small);
    let (training, watching) = while_training(&program, &small);
    let opened = (0..3).map(|_| open(&program, &large)).collect::<Vec<_>>();
    let filtering = filtering(&program, &large);
    let result = json!({
        "first_frame_ms": spread(&first_frame),
        "resident_mib_200_pairs": resident / 1024,
        "key_to_frame_ms_5000_words": spread(&typing),
        "key_to_frame_ms_5000_words_while_training": spread(&training),
        "bytes_per_s_watching_training": watching,
        "open_10000_pairs_ms": spread(&opened),
        "filter_key_to_frame_ms_10000_pairs": spread(&filtering),
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
}

fn spread(times: &[Duration]) -> serde_json::Value {
    let mut ms: Vec<f64> = times.iter().map(|t| t.as_secs_f64() * 1e3).collect();
    ms.sort_by(f64::total_cmp);
    let at = |share: f64| (ms[((ms.len() as f64 * share) as usize).min(ms.len() - 1)] * 100.0).round() / 100.0;
    json!({"n": ms.len(), "p50": at(0.5), "p99": at(0.99), "max": at(1.0)})
}

fn start(program: &Path, folder: &Path) -> Pty {
    Pty::start(program, &[], folder, COLUMNS, ROWS, &[])
}

fn quit(mut pty: Pty) {
    pty.press("\x1b");
    pty.press("q");
    pty.settle(Duration::from_millis(200));
    if pty.has("Leave voicetune?") {
        pty.press("\x1b[B\r");
    }
    pty.wait(Duration::from_secs(60));
}

/// From the start of the process to the first frame on the screen.
fn first_frame(program: &Path, folder: &Path) -> Duration {
    let begun = Instant::now();
    let mut pty = start(program, folder);
    while !pty.has("Pairs") {
        pty.pump(Duration::from_millis(5));
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", pty.text());
    }
    let taken = begun.elapsed();
    quit(pty);
    taken
}

/// From the start of the process until the list of pairs is there.
fn open(program: &Path, folder: &Path) -> Duration {
    let begun = Instant::now();
    let mut pty = start(program, folder);
    while !pty.has("example-0000") {
        pty.pump(Duration::from_millis(5));
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", pty.text());
    }
    let taken = begun.elapsed();
    quit(pty);
    taken
}

fn edit_the_long_essay(pty: &mut Pty) {
    pty.press("/");
    pty.press("aaa-long");
    pty.press("\r");
    pty.press("\r");
    pty.wait_until("the long essay in the editor", Duration::from_secs(10), |screen| screen.contains("word"));
    pty.press("\t");
}

/// Key by key, as long as the program takes to finish its last byte.
fn latencies(pty: &mut Pty, keys: &[&str]) -> Vec<Duration> {
    pty.settle(Duration::from_millis(300));
    let mut times = vec![];
    for key in keys.iter().cycle().take(KEYS) {
        let pressed = Instant::now();
        pty.send(key);
        // The first lot that comes is the key's frame; what a run draws by itself may follow.
        if pty.pump(Duration::from_millis(500)) > 0 {
            times.push(pressed.elapsed());
        }
        std::thread::sleep(QUIET);
        while pty.pump(Duration::ZERO) > 0 {}
    }
    times
}

const TYPED: [&str; 12] = ["t", "h", "e", " ", "b", "u", "s", "\x1b[D", "\x1b[C", "\x1b[B", "\x1b[A", "\x7f"];

fn typing(program: &Path, folder: &Path) -> (Vec<Duration>, u64) {
    let mut pty = start(program, folder);
    pty.wait_for("aaa-long-essay", Duration::from_secs(10));
    edit_the_long_essay(&mut pty);
    let times = latencies(&mut pty, &TYPED);
    pty.settle(Duration::from_secs(1));
    let resident = pty.resident_kib();
    quit(pty);
    (times, resident)
}

fn while_training(program: &Path, folder: &Path) -> (Vec<Duration>, u64) {
    let mut pty = start(program, folder);
    pty.wait_for("aaa-long-essay", Duration::from_secs(10));
    pty.press("2");
    pty.wait_for("pocket-llama-lora", Duration::from_secs(10));
    start_pocket_run(&mut pty);
    // Watching, and nothing else.
    let before = pty.received;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) {
        pty.pump(Duration::from_millis(50));
    }
    let watching = (pty.received - before) as u64 / 10;
    pty.press("1");
    edit_the_long_essay(&mut pty);
    let times = latencies(&mut pty, &TYPED);
    assert!(pty.has("training"), "the run ended before the keys were pressed:\n{}", pty.text());
    quit(pty);
    (times, watching)
}

/// Goes to the pocket Llama's config and starts it with enough epochs to last.
fn start_pocket_run(pty: &mut Pty) {
    for _ in 0..20 {
        if pty.text().lines().any(|line| line.contains("› pocket-llama-lora") || line.contains("▸ pocket-llama-lora")) {
            break;
        }
        pty.press("j");
    }
    pty.press("s");
    pty.press("\r"); // the name that is offered
    pty.wait_for("training pocket-llama-lora", Duration::from_secs(60));
}

fn filtering(program: &Path, folder: &Path) -> Vec<Duration> {
    let mut pty = start(program, folder);
    pty.wait_for("example-0000", Duration::from_secs(20));
    pty.press("/");
    let times = latencies(&mut pty, &["e", "x", "9", "\x7f", "\x7f", "\x7f"]);
    quit(pty);
    times
}

fn fill(workspace: &Path, pairs: usize, words: usize) {
    for n in 0..pairs {
        write_pair(workspace, ["tier1", "tier2", "tier3", "tier4"][n % 4], &format!("example-{n:05}"), words);
    }
}

fn write_pair(workspace: &Path, tier: &str, name: &str, words: usize) {
    let path: PathBuf = workspace.join("pairs").join(tier).join(format!("{name}.yaml"));
    let number = tier.trim_start_matches("tier");
    let prose = (0..words).fold(String::new(), |mut text, n| {
        text.push_str(["word", "house", "the", "bus", "and", "morning", "of", "river"][(n * 7 + name.len()) % 8]);
        text.push_str(match n % 120 {
            119 => ".\n\n  ",
            n if n % 12 == 11 => ". ",
            _ => " ",
        });
        text
    });
    let text = format!(
        "tier: {number}\nsource: {name}\nprompt: |\n  A topic for {name}.\nresponse: |\n  {}\nstatus: ready\nsplit: auto\nnotes: \"\"\n",
        prose.trim()
    );
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
