//! The whole program trains while its disk fills up, breaks, or is taken away: the run ends by itself, all that it left is whole, and it
//! goes on as if nothing had been.

use std::process::Stdio;

use voicetune::run::Run;
use voicetune::run::checkpoint::Checkpoints;
use voicetune::run::log::History;
use voicetune::run::protocol::{Eval, Step};

use crate::run_support::{Sample, exact_history};
use crate::{under_strace, was_injected};

const STEPS: &str = "8";
const CASES: [(&str, &str); 3] = [("write", "ENOSPC"), ("fsync", "EIO"), ("rename", "EACCES")];
/// Where in the run the disk begins to fail: among its first calls of that kind, and among later ones.
const FROM: [usize; 3] = [2, 9, 16];

pub fn every_one() -> usize {
    let sample = Sample::new();
    sample.succeed(&["train", "lora", "--run", "whole", "--max-steps", STEPS, "--in-process"]);
    let whole = exact_history(&sample.run("whole"));
    let mut faults = 0;
    for (call, error) in CASES {
        for from in FROM {
            let name = format!("{call}-{from}");
            let shown = format!("training: {call} with {error} from no. {from} on");
            let program = sample.voicetune(&["train", "lora", "--run", &name, "--max-steps", STEPS, "--in-process"]);
            let mut command = under_strace(sample.root(), call, &format!("error={error}:when={from}+"));
            command.arg(program.get_program()).args(program.get_args()).current_dir(sample.root());
            command.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            let code = status.code().unwrap_or_else(|| panic!("{shown}: ended by a signal"));
            assert!(code == 0 || code == 1, "{shown}: exit code {code}");
            faults += usize::from(was_injected(sample.root()));
            check(&sample, &name, &whole, &shown);
        }
    }
    assert!(faults >= CASES.len() * 2, "{faults}");
    faults
}

/// What is left of the run is whole, and it goes on exactly.
fn check(sample: &Sample, name: &str, whole: &(Vec<Step>, Vec<Eval>), shown: &str) {
    let runs = Run::list(&sample.path("runs")).unwrap();
    let Some(run) = runs.iter().find(|run| run.manifest.name == name) else { return };
    assert_eq!(History::read(&run.folder).unwrap().problems, [], "{shown}");
    let checkpoints = Checkpoints::of(&run.folder);
    let list = checkpoints.list().unwrap();
    for checkpoint in &list {
        let state = checkpoints.state(checkpoint).unwrap_or_else(|error| panic!("{shown}: {error:#}"));
        assert_eq!(state.step, checkpoint.step, "{shown}");
    }
    let Some(last) = list.last() else { return };
    if last.step < STEPS.parse().unwrap() {
        sample.succeed(&["train", "--resume", name, "--max-steps", STEPS]);
    }
    assert_eq!(exact_history(&run.folder), *whole, "{shown}");
}
