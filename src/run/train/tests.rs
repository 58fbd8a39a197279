//! Steps that are in flight while the next ones are launched: nothing that is heard of a run may depend on how many they are. On the CPU
//! none are by itself, so the tests say how many.

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread;

use candle_core::Device;
use tempfile::TempDir;

use super::step::step_key;
use super::*;
use crate::config::{self, Recompute, Workspace};
use crate::engine::StepKey;
use crate::run::engine_thread::Outbox;
use crate::run::fault::{Fault, Injected};
use crate::run::log::Log;
use crate::run::prepare::Prepared;
use crate::run::protocol::{Command, Ended, Job, Message, Step};

/// Four steps an epoch, and more epochs than any test waits for.
const CONFIG: &str = "
model: pocket:llama
format: plain
method: lora
base_precision: f32
lora: { rank: 2, alpha: 4, dropout: 0.1 }
optimizer: { learning_rate: 1.0e-2 }
epochs: 40
batch: 1
accumulate: 2
validation: { fraction: 0.2, by: source }
evaluate_every: 4
sample_every: 6
checkpoint_every: 5
keep_checkpoints: 9
";

const TRAINING: Job = 1;
const ASKING: Job = 2;

struct Sample {
    dir: TempDir,
    prepared: Prepared,
}

/// What became of a run.
struct Trained {
    outcome: Result<Outcome>,
    /// What was heard of it, without its times.
    messages: Vec<Message>,
    /// The times of its steps, added up, and how long it took.
    seconds: [f64; 2],
    folder: PathBuf,
}

impl Sample {
    fn new() -> Sample {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["pairs/tier2", "configs", "runs"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for i in 0..10 {
            let text = format!("tier: 2\nsource: s{i}\nprompt: About a hat.\nresponse: The hat was late, {i} times.\nstatus: ready\n");
            std::fs::write(dir.path().join(format!("pairs/tier2/p{i}.yaml")), text).unwrap();
        }
        let canaries = "canaries:\n  - { id: A, about: known, long: false, prompt: About a clock. }\n";
        std::fs::write(dir.path().join("configs/canaries.yaml"), canaries).unwrap();
        std::fs::write(dir.path().join("configs/sampling.yaml"), "max_new_tokens: 4\nsamples: 1\n").unwrap();
        let workspace = Workspace::open(dir.path()).unwrap();
        let config = config::parse("configs/c.yaml".as_ref(), CONFIG).unwrap();
        let prepared = Prepared::new(&workspace, config, workspace.templates().unwrap(), None).unwrap();
        Sample { dir, prepared }
    }

    /// A run's job, to its 12th step.
    fn job(&self, name: &str) -> Train {
        let run = self.prepared.create_run(&self.dir.path().join("runs"), name, "cpu", None).unwrap();
        Train { last_step: Some(12), ..self.prepared.train(TRAINING, &run) }
    }

    /// Trains with so many steps in flight, until it is stopped after hearing of `last`. A prompt waits to be answered from the start on.
    fn train(&self, job: &Train, ahead: usize, fault: Option<Injected>, last: Option<usize>) -> Trained {
        let mut slot = Slot::load(&self.prepared.load(TRAINING), &Device::Cpu).unwrap();
        let ((commands, receiver), (outbox, events)) = (channel(), channel::<Message>());
        let (prompt, sampling) = (job.canaries[0].clone(), job.sampling);
        let request = Generate { job: ASKING, prompt, arms: vec![Arm::Tuned], seeds: vec![3], sampling };
        commands.send(Command::Generate(request)).unwrap();
        let mut seconds = [0.0; 2];
        let (outcome, mut messages) = thread::scope(|scope| {
            let listener = scope.spawn(move || {
                let mut messages = vec![];
                for message in events {
                    if matches!(&message.event, Event::Step(step) if Some(step.step) == last) {
                        commands.send(Command::Stop { job: TRAINING }).unwrap();
                    }
                    messages.push(message);
                }
                messages
            });
            let outbox = Outbox(outbox);
            let mut recorder = Recorder { log: Log::open(&job.run).unwrap(), outbox: &outbox, job: TRAINING };
            let mut inbox = Inbox::new(receiver, Faults(fault));
            let mut training = Training::prepare(job, Plan::new(&job.examples, &job.config), &mut slot, inbox.faults).unwrap();
            training.ahead = ahead;
            let clock = Instant::now();
            let outcome = training.run(&mut slot, &mut inbox, &mut recorder);
            seconds[1] = clock.elapsed().as_secs_f64();
            drop(outbox);
            (outcome, listener.join().unwrap())
        });
        for message in &mut messages {
            match &mut message.event {
                Event::Started(Started { time, .. }) | Event::Ended(Ended { time, .. }) => time.clear(),
                Event::Step(step) => {
                    assert!(step.ms > 0.0 && step.tokens_per_s.is_finite());
                    seconds[0] += step.ms / 1000.0;
                    (step.ms, step.tokens_per_s) = (0.0, 0.0);
                }
                _ => {}
            }
        }
        Trained { outcome, messages, seconds, folder: job.run.clone() }
    }
}

impl Trained {
    fn steps(&self) -> Vec<&Step> {
        fn step(message: &Message) -> Option<&Step> {
            if let Event::Step(step) = &message.event { Some(step) } else { None }
        }
        self.messages.iter().filter_map(step).collect()
    }

    fn checkpoints(&self) -> Vec<usize> {
        Checkpoints::of(&self.folder).list().unwrap().iter().map(|checkpoint| checkpoint.step).collect()
    }

    /// The files of its last checkpoint.
    fn files(&self) -> [Vec<u8>; 3] {
        let last = Checkpoints::of(&self.folder).find(None).unwrap();
        ["adapter_model.safetensors", "optimizer.safetensors", "state.json"].map(|name| std::fs::read(last.path.join(name)).unwrap())
    }

    /// Where the only message of its kind stands.
    fn place(&self, is: impl Fn(&Event) -> bool) -> usize {
        let places: Vec<usize> = (0..self.messages.len()).filter(|&i| is(&self.messages[i].event)).collect();
        assert_eq!(places.len(), 1);
        places[0]
    }
}

#[test]
fn steps_in_flight_change_nothing_of_a_run() {
    let sample = Sample::new();
    let whole = sample.train(&sample.job("whole"), 0, None, None);
    assert_eq!(whole.outcome.as_ref().unwrap(), &Outcome::Finished);
    assert_eq!((whole.steps().len(), &whole.checkpoints()[..]), (12, &[4, 5, 8, 10, 12][..]));
    for ahead in [1, 2] {
        let trained = sample.train(&sample.job("ahead"), ahead, None, None);
        assert_eq!(trained.outcome.as_ref().unwrap(), &Outcome::Finished);
        // Evaluations, checkpoints, canaries and the answer to the prompt included, all in the same order.
        assert_eq!(trained.messages, whole.messages, "{ahead} ahead");
        assert_eq!((trained.checkpoints(), trained.files()), (whole.checkpoints(), whole.files()), "{ahead} ahead");
        let [steps, all] = trained.seconds;
        assert!(steps <= all, "{ahead} ahead: no time counts twice, so {steps} s of steps are not within {all} s");
    }
}

#[test]
fn whoever_looks_at_the_model_hears_of_its_steps_first() {
    let sample = Sample::new();
    let trained = sample.train(&sample.job("ahead"), 2, None, None);
    let step = |n: usize| trained.place(|event| matches!(event, Event::Step(step) if step.step == n));
    let (first, answered) = (step(1), trained.messages.iter().position(|message| message.job == ASKING).unwrap());
    assert!(first < answered && answered < step(2), "the prompt waited for the first step");
    for n in [4, 8, 12] {
        assert_eq!(trained.place(|event| matches!(event, Event::Eval(eval) if eval.step == n)), step(n) + 1);
    }
    for n in [5, 10] {
        assert_eq!(trained.place(|event| matches!(event, Event::Saved(saved) if saved.step == n)), step(n) + 1);
    }
    let of_step = |message: &Message| match &message.event {
        Event::Sample(sample) => Some((message.job, sample.step)),
        _ => None,
    };
    let samples: Vec<_> = trained.messages.iter().filter_map(of_step).collect();
    assert_eq!(samples, [(ASKING, Some(1)), (TRAINING, Some(6)), (TRAINING, Some(12))]);
}

#[test]
fn so_many_steps_are_in_flight_and_the_oldest_are_settled_first() {
    let sample = Sample::new();
    for ahead in [0, 1, 2] {
        let job = sample.job("flight");
        let mut slot = Slot::load(&sample.prepared.load(TRAINING), &Device::Cpu).unwrap();
        let (outbox, events) = channel();
        let outbox = Outbox(outbox);
        let mut recorder = Recorder { log: Log::open(&job.run).unwrap(), outbox: &outbox, job: TRAINING };
        let plan = Plan::new(&job.examples, &job.config);
        let mut training = Training::prepare(&job, plan, &mut slot, Faults::default()).unwrap();
        assert_eq!(training.ahead, 0, "on the CPU");
        training.ahead = ahead;
        let heard = || events.try_iter().count();
        for step in 1..=4 {
            training.step(step, &mut slot, &mut recorder).unwrap();
            assert_eq!((training.in_flight.len(), heard()), (ahead.min(step), usize::from(step > ahead)), "{ahead} ahead, step {step}");
        }
        training.settle(0, &slot, &mut recorder).unwrap();
        assert_eq!((training.in_flight.len(), heard()), (0, ahead));
    }
}

#[test]
fn a_stop_saves_the_last_step_that_was_launched_and_the_run_goes_on_from_it() {
    let sample = Sample::new();
    let job = Train { last_step: None, ..sample.job("stopped") };
    let stopped = sample.train(&job, 2, None, Some(2));
    assert_eq!(stopped.outcome.as_ref().unwrap(), &Outcome::Stopped);
    let last = stopped.steps().len();
    assert_eq!(stopped.steps()[last - 1].step, last, "none is missing");
    assert_eq!(stopped.checkpoints().last(), Some(&last));
    let end = Some(last + 3);
    let resumed = sample.train(&Train { resume_from: last, last_step: end, ..job }, 1, None, None);
    let whole = sample.train(&Train { last_step: end, ..sample.job("whole") }, 0, None, None);
    assert_eq!([stopped.steps(), resumed.steps()].concat(), whole.steps());
    assert_eq!(resumed.files(), whole.files());
}

#[test]
fn a_step_that_went_wrong_is_named_and_nothing_is_saved_after_it() {
    let sample = Sample::new();
    for (what, part) in [
        (Fault::NanLoss, "step 9: the loss is NaN (pairs: tier2/p"),
        (Fault::InfiniteGradient, "step 9: the gradient's norm is inf (pairs: tier2/p"),
        (Fault::OutOfMemory, "step 9 (pairs: tier2/p"),
    ] {
        // When step 9 is looked at, another step or none was launched besides; after step 10 a checkpoint is due.
        let errors = [0, 1].map(|ahead| {
            let failed = sample.train(&sample.job("failed"), ahead, Some(Injected { step: 9, what }), None);
            let error = format!("{:#}", failed.outcome.as_ref().unwrap_err());
            assert!(error.starts_with(part), "{ahead} ahead: {error}");
            assert_eq!((failed.steps().len(), failed.checkpoints()), (8, vec![4, 5, 8]), "{ahead} ahead, {what:?}");
            error
        });
        assert_eq!(errors[0], errors[1]);
    }
}

#[test]
fn a_step_that_cannot_be_launched_leaves_the_word_to_those_in_flight() {
    let sample = Sample::new();
    let mut job = sample.job("failed");
    let examples = job.examples.clone();
    let second: Vec<&str> = Plan::new(&examples, &job.config).step(2).micro_steps.concat().iter().map(|e| &e.pair[..]).collect();
    job.examples.iter_mut().filter(|e| second.contains(&&e.pair[..])).for_each(|e| e.mask.fill(0));
    for (fault, part, recorded) in [
        (None, "step 2: tier2/p", 1),
        (Some(Injected { step: 1, what: Fault::NanLoss }), "step 1: the loss is NaN", 0),
        (Some(Injected { step: 1, what: Fault::InfiniteGradient }), "step 1: the gradient's norm is inf", 0),
    ] {
        std::fs::remove_file(job.run.join("events.jsonl")).ok();
        let failed = sample.train(&job, 2, fault, None);
        let error = format!("{:#}", failed.outcome.as_ref().unwrap_err());
        assert!(error.starts_with(part), "{error}");
        assert_eq!((failed.steps().len(), failed.checkpoints().len()), (recorded, 0));
    }
}

/// On the CPU, where the tests train, nothing that is computed tells whether the engine has heard of the limit.
#[test]
fn the_engine_is_told_what_the_config_says_of_memory() {
    let of = |more: &str| {
        let text = format!("{{ model: m, format: chat, method: lora, seed: 7, {more} }}");
        step_key(&config::parse(Path::new("c.yaml"), &text).unwrap(), 3, 1, 2)
    };
    let key = StepKey { seed: 7, step: 3, micro: 1, micro_steps: 2, recompute: Recompute::Auto, memory: None };
    assert_eq!(of(""), key);
    assert_eq!(of("memory_limit: 26"), StepKey { memory: Some(26 << 30), ..key });
    assert_eq!(of("recompute: mlp"), StepKey { recompute: Recompute::Mlp, ..key });
}
