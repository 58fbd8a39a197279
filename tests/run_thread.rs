//! The engine thread through its handle: stopping, sampling while it trains, and a fault inside.
#![allow(clippy::unwrap_used)]

mod run_support;

use run_support::Sample;
use voicetune::config::{Config, Every, Precision, Workspace};
use voicetune::hub::{ModelFiles, Search};
use voicetune::run::log::History;
use voicetune::run::prepare::Prepared;
use voicetune::run::protocol::{Arm, Command, Event, Generate, Load, Message, Outcome, Prompt, Sampling, Score, Scored, Train, Tuned};
use voicetune::run::{EngineHandle, Priority, Run, Want};

const TRAINING: u64 = 2;
const SAMPLING: u64 = 3;

/// The thread with the model of `config` loaded, and a run that could begin.
fn ready(sample: &Sample, config: &str, change: impl Fn(&mut Config)) -> (EngineHandle, Run, Train) {
    let workspace = Workspace::open(sample.root()).unwrap();
    let mut config = workspace.config(config).unwrap();
    change(&mut config);
    let prepared = Prepared::new(&workspace, config, workspace.templates().unwrap(), None).unwrap();
    let engine = EngineHandle::spawn(Want::Cpu, Priority::Normal).unwrap();
    engine.send(Command::Load(prepared.load(1))).unwrap();
    assert!(matches!(engine.next().unwrap().event, Event::Loaded(_)));
    let run = prepared.create_run(&workspace.runs(), "test", "cpu", None).unwrap();
    let train = prepared.train(TRAINING, &run);
    (engine, run, train)
}

fn greedy(arms: &[Arm], max_new_tokens: usize) -> Generate {
    Generate {
        job: SAMPLING,
        prompt: Prompt { id: "A".into(), ids: vec![10, 20, 30] },
        arms: arms.to_vec(),
        seeds: vec![1],
        sampling: Sampling { temperature: 0.0, top_p: 1.0, top_k: 0, repetition_penalty: 1.0, max_new_tokens },
    }
}

/// Receives until `found` picks something.
fn until<T>(engine: &EngineHandle, mut found: impl FnMut(Message) -> Option<T>) -> T {
    loop {
        if let Some(value) = found(engine.next().unwrap()) {
            return value;
        }
    }
}

fn end_of(engine: &EngineHandle, job: u64) -> (Outcome, String) {
    until(engine, |message| match message {
        Message { job: j, event: Event::Ended(ended) } if j == job => Some((ended.outcome, ended.error.unwrap_or_default())),
        _ => None,
    })
}

#[test]
fn a_model_that_is_still_training_can_be_looked_at() {
    let sample = Sample::new();
    let (engine, run, train) = ready(&sample, "lora", |_| {});
    engine.send(Command::Train(Box::new(train))).unwrap();
    until(&engine, |m| matches!(m.event, Event::Step(_)).then_some(()));
    engine.send(Command::Generate(greedy(&[Arm::Base, Arm::Tuned], 5))).unwrap();
    let mut arms = vec![];
    let mut streamed = String::new();
    let text = until(&engine, |m| match m {
        Message { job: SAMPLING, event: Event::Sample(s) } => {
            arms.push(s.arm.clone());
            s.arm.ends_with("tuned").then_some(s.text)
        }
        Message { job: SAMPLING, event: Event::Text(t) } => {
            if t.arm == Arm::Tuned {
                streamed += &t.text;
            }
            None
        }
        _ => None,
    });
    assert_eq!(arms, ["llama-base", "llama-tuned"]);
    assert!(text.starts_with(&streamed), "`{streamed}` was streamed of `{text}`");
    assert_eq!(end_of(&engine, SAMPLING).0, Outcome::Finished);
    until(&engine, |m| matches!(m.event, Event::Step(_)).then_some(())); // training went on
    engine.send(Command::Stop { job: TRAINING }).unwrap();
    assert_eq!(end_of(&engine, TRAINING).0, Outcome::Stopped);
    assert_eq!(History::read(&run.folder).unwrap().samples, vec![], "what was asked for in between is no part of the run");
}

/// What each arm says of the ids, once the engine has said it.
fn scored(engine: &EngineHandle, ids: &[u32], arms: &[Arm]) -> Vec<Scored> {
    engine.send(Command::Score(Score { job: SAMPLING, ids: ids.to_vec(), arms: arms.to_vec() })).unwrap();
    let mut scored = vec![];
    let ended = until(engine, |message| match message {
        Message { job: SAMPLING, event: Event::Scored(one) } => {
            scored.push(one);
            None
        }
        Message { job: SAMPLING, event: Event::Ended(ended) } => Some((ended.outcome, ended.error)),
        _ => None,
    });
    assert_eq!(ended, (Outcome::Finished, None));
    scored
}

/// What `voicetune score` prints of the ids.
fn printed(sample: &Sample, ids: &[u32], args: &[&str]) -> Vec<f32> {
    let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
    let json = sample.succeed(&[&["score", "--json", "--ids", &ids.join(",")], args].concat());
    serde_json::from_value(serde_json::from_str::<serde_json::Value>(&json).unwrap()["logprobs"].clone()).unwrap()
}

#[test]
fn a_sequence_is_scored_as_the_command_scores_it() {
    let sample = Sample::new();
    let ids: Vec<u32> = (0..60).map(|i| (i * 37 + 11) % 1000).collect();
    let engine = EngineHandle::spawn(Want::Cpu, Priority::Normal).unwrap();
    let files = ModelFiles::resolve("pocket:llama", "main", &Search::from_env(sample.root())).unwrap();
    engine.send(Command::Load(Load { job: 1, files, precision: Precision::F32, tuned: None })).unwrap();
    assert!(matches!(engine.next().unwrap().event, Event::Loaded(_)));
    let found = scored(&engine, &ids, &[Arm::Base]);
    assert_eq!(found[0].logprobs, printed(&sample, &ids, &["--model", "pocket:llama"]));
    assert_eq!((found[0].step, found[0].rivals.len()), (None, ids.len() - 1));
    // Either a token is likelier than every other one, or its rival is at least as likely.
    let total = |place: usize| f64::from(found[0].logprobs[place]).exp() + f64::from(found[0].rivals[place].logprob).exp();
    assert!((0..59).all(|place| total(place) < 1.0 + 1e-6));
    let ends = |ids: Vec<u32>, arms: Vec<Arm>| {
        engine.send(Command::Score(Score { job: SAMPLING, ids, arms })).unwrap();
        end_of(&engine, SAMPLING)
    };
    assert!(ends(vec![1], vec![Arm::Base]).1.contains("at least two tokens"));
    assert!(ends(vec![1; 100_000], vec![Arm::Base]).1.contains("100000 tokens, and pocket:llama has"));
    assert!(ends(vec![1, 2], vec![Arm::Tuned]).1.contains("base arm only"));
}

#[test]
fn both_arms_are_scored_between_steps_and_afterwards() {
    let sample = Sample::new();
    let ids: Vec<u32> = (0..40).map(|i| (i * 53 + 7) % 1000).collect();
    for (config, model) in [("lora", "models/llama"), ("full", "models/gpt2")] {
        let (engine, run, mut train) = ready(&sample, config, |_| {});
        train.last_step = Some(12);
        engine.send(Command::Train(Box::new(train))).unwrap();
        until(&engine, |m| matches!(m.event, Event::Step(_)).then_some(()));
        let live = scored(&engine, &ids, &[Arm::Base, Arm::Tuned]);
        assert_eq!(live.iter().map(|s| s.arm).collect::<Vec<_>>(), [Arm::Base, Arm::Tuned]);
        assert!(live.iter().all(|s| s.step.is_some_and(|step| step >= 1)), "{config}: it says at which step");
        assert_eq!(end_of(&engine, TRAINING), (Outcome::Finished, String::new()));
        let late = scored(&engine, &ids, &[Arm::Tuned]);
        assert_eq!(late[0].step, Some(12), "{config}: what is asked too late is of the last step, whatever the run's result is");
        assert_eq!(live[0].logprobs, printed(&sample, &ids, &["--model", model]), "{config}: the base arm is the model before training");

        let workspace = Workspace::open(sample.root()).unwrap();
        let files = ModelFiles::resolve(model, "main", &Search::from_env(workspace.root())).unwrap();
        let checkpoint = run.folder.join("checkpoints/step-000012");
        let tuned = Some(Tuned::of(run.manifest.config.method, &checkpoint));
        engine.send(Command::Load(Load { job: 1, files, precision: Precision::F32, tuned })).unwrap();
        until(&engine, |m| matches!(m.event, Event::Loaded(_)).then_some(()));
        let after = scored(&engine, &ids, &[Arm::Base, Arm::Tuned]);
        assert_eq!(after[0].logprobs, live[0].logprobs, "{config}");
        assert_ne!(after[1].logprobs, after[0].logprobs, "{config}");
        assert_eq!((after[1].step, &after[1].logprobs), (None, &late[0].logprobs), "{config}");
        let checkpoint = checkpoint.to_str().unwrap();
        let of_checkpoint = if config == "lora" { vec!["--model", model, "--adapter", checkpoint] } else { vec!["--model", checkpoint] };
        assert_eq!(after[1].logprobs, printed(&sample, &ids, &of_checkpoint), "{config}");
    }
}

#[test]
fn canaries_are_sampled_and_logged_while_it_trains() {
    let sample = Sample::new();
    let (engine, run, mut train) = ready(&sample, "lora", |config| config.sample_every = Every::Steps(2));
    train.last_step = Some(4);
    engine.send(Command::Train(Box::new(train))).unwrap();
    assert_eq!(end_of(&engine, TRAINING), (Outcome::Finished, String::new()));
    let drawn: Vec<_> =
        History::read(&run.folder).unwrap().samples.iter().map(|s| (s.step.unwrap(), s.prompt.clone(), s.arm.clone())).collect();
    let expected = [(2, "A"), (2, "B"), (4, "A"), (4, "B")].map(|(step, prompt)| (step, prompt.to_owned(), "llama-tuned".to_owned()));
    assert_eq!(drawn, expected);
}

#[test]
fn generation_stops_between_tokens() {
    let sample = Sample::new();
    let (engine, ..) = ready(&sample, "lora", |_| {});
    // One token is enough to know that it is under way; 180 would take longer than the message does.
    engine.send(Command::Generate(greedy(&[Arm::Base], 180))).unwrap();
    until(&engine, |m| matches!(m.event, Event::Text(_)).then_some(()));
    engine.send(Command::Stop { job: SAMPLING }).unwrap();
    assert_eq!(end_of(&engine, SAMPLING).0, Outcome::Stopped);
}

#[test]
fn a_fault_in_the_thread_ends_the_job_and_not_the_thread() {
    let sample = Sample::new();
    let (engine, run, mut train) = ready(&sample, "lora", |_| {});
    for example in &mut train.examples {
        example.mask.pop(); // ids and mask of different lengths: an assertion fails where batches are packed
    }
    engine.send(Command::Train(Box::new(train.clone()))).unwrap();
    let (outcome, error) = end_of(&engine, TRAINING);
    assert_eq!(outcome, Outcome::Failed);
    assert!(error.contains("a fault in voicetune") && error.contains("differ in length"), "{error}");
    assert_eq!(History::read(&run.folder).unwrap().ended.unwrap().outcome, Outcome::Failed);
    // The thread is still there, but the model is not: its weights were in no known state.
    engine.send(Command::Generate(greedy(&[Arm::Base], 1))).unwrap();
    assert_eq!(end_of(&engine, SAMPLING), (Outcome::Failed, "no model is loaded".into()));
}

#[test]
fn a_step_without_anything_to_train_on_fails_the_run() {
    let sample = Sample::new();
    let (engine, _, mut train) = ready(&sample, "lora", |_| {});
    train.examples.iter_mut().filter(|e| e.split == voicetune::dataset::Part::Train).for_each(|e| e.mask.fill(0));
    engine.send(Command::Train(Box::new(train))).unwrap();
    let (outcome, error) = end_of(&engine, TRAINING);
    assert_eq!(outcome, Outcome::Failed);
    assert!(error.contains("step 1: ") && error.contains("hold no token to train on"), "{error}");
}

#[test]
fn a_loss_that_is_no_number_fails_the_run() {
    let sample = Sample::new();
    let (engine, run, mut train) = ready(&sample, "full", |_| {});
    train.config.optimizer.learning_rate = 1e30;
    train.config.schedule.warmup_steps = 0;
    engine.send(Command::Train(Box::new(train))).unwrap();
    let (outcome, error) = end_of(&engine, TRAINING);
    assert_eq!(outcome, Outcome::Failed);
    assert!(error.contains("learning_rate"), "{error}");
    assert!(History::read(&run.folder).unwrap().steps.iter().all(|s| s.loss.is_finite()));
}

#[test]
fn a_model_is_trained_once() {
    let sample = Sample::new();
    let (engine, _, mut train) = ready(&sample, "lora", |_| {});
    train.last_step = Some(1);
    engine.send(Command::Train(Box::new(train.clone()))).unwrap();
    assert_eq!(end_of(&engine, TRAINING).0, Outcome::Finished);
    engine.send(Command::Train(Box::new(train))).unwrap();
    let (outcome, error) = end_of(&engine, TRAINING);
    assert!(outcome == Outcome::Failed && error.contains("load it again"), "{error}");
}

#[test]
fn dropping_the_handle_saves_and_ends_the_thread() {
    let sample = Sample::new();
    let (engine, run, train) = ready(&sample, "lora", |_| {});
    engine.send(Command::Train(Box::new(train))).unwrap();
    until(&engine, |m| matches!(m.event, Event::Step(_)).then_some(()));
    drop(engine); // returns once the thread has ended
    let history = History::read(&run.folder).unwrap();
    assert_eq!(history.ended.unwrap().outcome, Outcome::Stopped);
    assert_eq!(history.saved.last().unwrap().step, history.steps.last().unwrap().step);
}
