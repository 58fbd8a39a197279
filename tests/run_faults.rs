//! A GPU without memory, a GPU that is lost, numbers that are none: the run ends as failed, says why and what is left, and the engine
//! goes on serving. The faults are injected, since a CPU has none of them; what a CUDA error looks like is taken from the driver.
#![allow(clippy::unwrap_used)]

mod run_support;

use run_support::{Sample, exact_history};
use voicetune::config::Workspace;
use voicetune::run::checkpoint::Checkpoints;
use voicetune::run::fault::{Fault, Injected};
use voicetune::run::log::History;
use voicetune::run::prepare::Prepared;
use voicetune::run::protocol::{Command, Ended, Event, Outcome, Train};
use voicetune::run::{EngineHandle, Run, Want};

const LOADING: u64 = 1;
const TRAINING: u64 = 2;

fn wait(engine: &EngineHandle) -> Ended {
    loop {
        if let Event::Ended(ended) = engine.next().unwrap().event {
            return ended;
        }
    }
}

fn load(engine: &EngineHandle, prepared: &Prepared) {
    engine.send(Command::Load(prepared.load(LOADING))).unwrap();
    assert!(matches!(engine.next().unwrap().event, Event::Loaded(_)));
}

/// Trains with a fault at step 8; the last checkpoint is that of step 5.
fn suffer(sample: &Sample, what: Fault) -> (Run, Ended) {
    let workspace = Workspace::open(sample.root()).unwrap();
    let prepared = Prepared::new(&workspace, workspace.config("lora").unwrap(), workspace.templates().unwrap(), None).unwrap();
    let engine = EngineHandle::spawn_with_fault(Want::Cpu, Injected { step: 8, what }).unwrap();
    load(&engine, &prepared);
    let run = prepared.create_run(&workspace.runs(), "faulty", "cpu", None).unwrap();
    let train = Train { last_step: Some(12), ..prepared.train(TRAINING, &run) };
    engine.send(Command::Train(Box::new(train.clone()))).unwrap();
    let ended = wait(&engine);
    // The same thread loads again and answers again.
    load(&engine, &prepared);
    engine.send(Command::Train(Box::new(Train { resume_from: 5, last_step: Some(6), ..train }))).unwrap();
    assert_eq!(wait(&engine).outcome, Outcome::Finished);
    (run, ended)
}

#[test]
fn a_fault_ends_the_run_with_its_reason_and_the_last_good_checkpoint() {
    let sample = Sample::new();
    let check = |what: Fault, parts: &[&str]| {
        let (run, ended) = suffer(&sample, what);
        assert_eq!(ended.outcome, Outcome::Failed, "{what:?}");
        let error = ended.error.unwrap();
        for part in parts {
            assert!(error.contains(part), "{what:?}: `{part}` is not in: {error}");
        }
        let left = format!("the checkpoint of step 5 is whole, and `voicetune train --resume {}` goes on from it", run.folder_name());
        assert!(error.contains(&left), "{what:?}: {error}");
        std::fs::remove_dir_all(run.folder).unwrap();
    };
    check(
        Fault::OutOfMemory,
        &[
            "the GPU's memory ran out",
            "`recompute: block`, with which this run can go on",
            "`base_precision: bf16`",
            "step 8 (pairs: tier2/",
        ],
    );
    check(
        Fault::DeviceLost,
        &["the GPU failed", "start voicetune again", "nvidia-smi", "CUDA_ERROR_ILLEGAL_ADDRESS", "step 8 (pairs: tier2/"],
    );
    check(Fault::Panic, &["the GPU failed", "CUDA_ERROR_LAUNCH_FAILED"]);
    check(Fault::NanLoss, &["step 8: the loss is NaN (pairs: tier2/", "optimizer.learning_rate"]);
    check(Fault::InfiniteGradient, &["step 8: the gradient's norm is inf", "base_precision: f32"]);
}

#[test]
fn a_run_that_ran_out_of_memory_goes_on_with_less_of_it_exactly() {
    let sample = Sample::new();
    let workspace = Workspace::open(sample.root()).unwrap();
    let prepared = Prepared::new(&workspace, workspace.config("lora").unwrap(), workspace.templates().unwrap(), None).unwrap();
    let engine = EngineHandle::spawn_with_fault(Want::Cpu, Injected { step: 8, what: Fault::OutOfMemory }).unwrap();
    load(&engine, &prepared);
    let run = prepared.create_run(&workspace.runs(), "faulty", "cpu", None).unwrap();
    engine.send(Command::Train(Box::new(prepared.train(TRAINING, &run)))).unwrap();
    assert_eq!(wait(&engine).outcome, Outcome::Failed);
    assert_eq!(Checkpoints::of(&run.folder).find(None).unwrap().step, 5);
    assert_eq!(History::read(&run.folder).unwrap().ended.unwrap().outcome, Outcome::Failed, "the log has the end");
    drop(engine);

    let config = std::fs::read_to_string(sample.path("configs/lora.yaml")).unwrap();
    sample.write("configs/lora.yaml", &format!("{config}memory_limit: 8\n"));
    sample.succeed(&["train", "--resume", "faulty", "--max-steps", "9"]);
    sample.write("configs/lora.yaml", &format!("{config}recompute: block\n"));
    sample.succeed(&["train", "--resume", "faulty", "--max-steps", "12"]);
    sample.write("configs/lora.yaml", &config);
    sample.succeed(&["train", "lora", "--run", "whole", "--max-steps", "12"]);
    assert_eq!(exact_history(&run.folder), exact_history(&sample.run("whole")));
}
