//! Hang-ups while a run trains: a terminal is taken away from whatever shows the run, and the run must end as if nobody had looked.
//! Needs the modules `run_support` and `pty` beside it.

use std::fs;
use std::time::{Duration, Instant};

use super::pty::Pty;
use super::run_support::worker::{end_of, ended, is_worker_there, wait_until};
use super::run_support::{Sample, exact_history};
use voicetune::run::protocol::{Eval, Outcome, Step};

const STEPS: &str = "60";
/// For a viewer to be gone once its terminal is. It takes milliseconds; other tests may have the processor.
const SOON: Duration = Duration::from_secs(20);

/// What sits in the terminal that is taken away.
const VIEWERS: [&str; 3] = ["train", "watch", "interface"];

#[derive(Debug, Default)]
pub struct Figures {
    pub hang_ups: usize,
    /// Runs that had steps to go when the terminal was taken away.
    pub while_training: usize,
    /// From the hang-up to the viewer's end, and the processor time it took after it; the largest.
    pub slowest_end: Duration,
    pub most_processor_time: Duration,
    /// From the hang-up to the run's end; the largest.
    pub slowest_run: Duration,
    /// Steps and evaluations compared with those of a run that nobody looked at.
    pub compared: usize,
}

/// Hangs up so many times, each on a run of its own.
///
/// # Panics
/// If a run ends otherwise than one without a hang-up, or a process spins or stays behind.
pub fn hang_up(times: usize) -> Figures {
    let sample = Sample::new();
    sample.succeed(&["train", "lora", "--run", "whole", "--max-steps", STEPS, "--in-process"]);
    let whole = exact_history(&sample.run("whole"));
    let mut figures = Figures::default();
    for n in 0..times {
        one(&sample, n, &whole, &mut figures);
    }
    figures
}

fn one(sample: &Sample, n: usize, whole: &(Vec<Step>, Vec<Eval>), figures: &mut Figures) {
    let viewer = VIEWERS[n % VIEWERS.len()];
    let name = format!("hung-up-{n}");
    let train = ["train", "lora", "--run", &name, "--max-steps", STEPS];
    if viewer != "train" {
        sample.succeed(&[&train[..], &["--detach"]].concat());
    }
    let command: &[&str] = match viewer {
        "train" => &train,
        "watch" => &["watch", &name],
        _ => &[],
    };
    let cache = sample.path("no-cache");
    let env = [("HF_HUB_CACHE", cache.to_str().unwrap())];
    let mut pty = Pty::start(env!("CARGO_BIN_EXE_voicetune").as_ref(), command, sample.root(), 120, 40, &env);
    let shown = if viewer == "interface" { format!("training {name}") } else { "tokens/s".into() };
    pty.wait_for(&shown, Duration::from_secs(60));
    // At another moment each time.
    std::thread::sleep(Duration::from_millis(n as u64 * 7 % 50));
    let run = sample.run(&name);
    let was_training = ended(&run).is_none();
    let before = pty.cpu_time();
    let begun = Instant::now();
    pty.hang_up();
    pty.wait(SOON);
    figures.slowest_end = figures.slowest_end.max(begun.elapsed());
    figures.most_processor_time = figures.most_processor_time.max(pty.used.saturating_sub(before));
    assert!(
        pty.used.saturating_sub(before) < Duration::from_secs(2),
        "{viewer}: {:?} of processor time after the hang-up",
        pty.used - before
    );
    assert!(!is_there(pty.pid()), "{viewer}: the viewer is gone");

    assert_eq!(end_of(&run), Outcome::Finished, "{name}");
    figures.slowest_run = figures.slowest_run.max(begun.elapsed());
    assert_eq!(exact_history(&run), *whole, "{name}: as without a hang-up, to the last bit");
    wait_until("the worker's end", || !is_worker_there(sample) && left_behind(sample).is_empty());
    figures.hang_ups += 1;
    figures.while_training += usize::from(was_training);
    figures.compared += whole.0.len() + whole.1.len();
}

/// Processes that still belong to this workspace.
fn left_behind(sample: &Sample) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let root = sample.root().to_str().unwrap();
    all.filter(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(root)) && is_there(*pid)).collect()
}

/// Whether the process is there, and more than what is left until someone asks how it ended.
fn is_there(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !matches!(stat.rsplit(") ").next().and_then(|rest| rest.chars().next()), None | Some('Z' | 'X'))
}
