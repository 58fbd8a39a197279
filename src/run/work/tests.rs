//! The queue of engine work, played through with the messages that the engine thread would send.

use std::path::PathBuf;

use super::*;
use crate::config::{Config, parse};
use crate::hub::ModelFiles;
use crate::run::prepare::Prepared;
use crate::run::protocol::{Arm, Command, Ended, Event, Finish, Load, Loaded, Prompt, Sample, Sampling, Scored, Step, Text};
use crate::run::work::tasks::Created;

fn config() -> Config {
    parse(&PathBuf::from("c.yaml"), "model: pocket:llama\nformat: plain\nmethod: lora\n").unwrap()
}

fn train_order(name: &str) -> Order {
    TrainOrder::new(config(), name.into()).into()
}

fn read_order(run: &str, prompts: &[&str]) -> Order {
    let prompts = prompts.iter().map(|id| ((*id).to_owned(), format!("text of {id}"))).collect();
    ReadOrder { run: run.into(), arms: vec![Arm::Base, Arm::Tuned], prompts, samples: None, temperature: None }.into()
}

fn sampling() -> Sampling {
    Sampling { temperature: 0.8, top_p: 0.9, top_k: 50, repetition_penalty: 1.1, max_new_tokens: 10 }
}

fn plan(run: &str, prompts: &[&str]) -> Box<ReadPlan> {
    let files = ModelFiles::resolve("pocket:llama", "main", &crate::hub::Search::from_env(&PathBuf::from("."))).unwrap();
    Box::new(ReadPlan {
        key: Key { run: run.into(), checkpoint: format!("{run}/checkpoints/step-000001").into() },
        load: load(files),
        prompts: prompts.iter().map(|id| Prompt { id: (*id).to_owned(), ids: vec![1, 2] }).collect(),
        notes: vec![],
        seeds: vec![42, 43],
        sampling: sampling(),
        step: 1,
    })
}

fn load(files: ModelFiles) -> Load {
    Load { job: 0, files, precision: crate::config::Precision::F32, tuned: None }
}

/// The effects in words, in order.
fn asked(out: &Outcomes) -> Vec<String> {
    let word = |effect: &Effect| match effect {
        Effect::Task(task) => match task {
            Task::Prepare { order, .. } => format!("prepare {}", order.name),
            Task::Create { order, .. } => format!("create {}", order.name),
            Task::Plan { order, .. } => format!("plan {}", order.run.display()),
            Task::KeepScores(kept) => format!("keep scores of {}", kept.1.text),
            Task::Keep(drawn) => format!("keep {} {}", drawn.output.arm, drawn.output.sample),
        },
        Effect::Engine(command) => match command {
            Command::Load(load) => format!("load for job {}", load.job),
            Command::Train(train) => format!("train job {}", train.job),
            Command::Generate(generate) => format!("generate {}", generate.prompt.id),
            Command::Score(score) => format!("score {} tokens for job {}", score.ids.len(), score.job),
            Command::Stop { job } => format!("stop job {job}"),
            Command::Quit => "quit".into(),
        },
        other => format!("{other:?}"),
    };
    out.effects.iter().map(word).collect()
}

fn message(job: Job, event: Event) -> Message {
    Message { job, event }
}

fn loaded() -> Event {
    Event::Loaded(Loaded { device: "cpu".into(), parameters: 1, context: 1024 })
}

fn step(n: usize) -> Event {
    Event::Step(Step {
        step: n,
        epoch: 1,
        loss: 2.0,
        tokens: 10,
        lr: 1e-4,
        grad_norm: 1.0,
        ms: 5.0,
        tokens_per_s: 100.0,
        device_bytes: None,
        pairs: vec![],
    })
}

fn prepared() -> Box<Prepared> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let workspace = crate::config::Workspace::open(&root).unwrap();
    let first = crate::pairs::load(&workspace.pairs()).0.into_iter().find(|pair| pair.status == crate::pairs::Status::Ready).unwrap();
    Box::new(Prepared::new(&workspace, config(), workspace.templates().unwrap(), Some(vec![first.id])).unwrap())
}

/// Takes the first order up to the point where its run trains.
fn begin_training(work: &mut Work, run: &str) {
    let job = work.training.as_ref().unwrap().job;
    let prepared = prepared();
    let examples = prepared.examples.clone();
    let train = Box::new(crate::run::protocol::Train {
        job: 0,
        run: run.into(),
        config: config(),
        examples,
        data_hash: String::new(),
        canaries: vec![],
        sampling: sampling(),
        sample_seed: 42,
        adapter_init: None,
        resume_from: 0,
        last_step: None,
    });
    let out = work.on_done(Done::Prepared { job, prepared: Box::new(Ok(prepared)) });
    assert_eq!(asked(&out), [format!("load for job {job}")]);
    let out = work.on_message(message(job, loaded()));
    assert_eq!(asked(&out), ["create first"]);
    let created = Created { run: run.into(), train };
    let out = work.on_done(Done::Created { job, created: Box::new(Ok(created)) });
    assert_eq!(asked(&out), [format!("train job {}", job + 1)]);
    assert_eq!(work.training().unwrap().stage, Stage::Training);
}

#[test]
fn a_run_goes_through_its_stages_and_the_next_one_follows() {
    let mut work = Work::default();
    assert_eq!(asked(&work.order(train_order("first"))), ["prepare first"]);
    assert_eq!(asked(&work.order(train_order("second"))), Vec::<String>::new());
    assert_eq!(work.queue().count(), 1);
    begin_training(&mut work, "runs/first");

    work.on_message(message(2, step(1)));
    work.on_message(message(2, step(2)));
    let out = work.on_message(message(2, Event::Ended(Ended::now(Outcome::Finished, None))));
    assert_eq!(asked(&out), ["prepare second"]);
    assert!(out.news.contains(&News::TrainingEnded));
    assert_eq!(work.training().unwrap().order.name, "second");
    assert_eq!(work.queue().count(), 0);
}

#[test]
fn a_run_that_cannot_begin_says_why_and_lets_the_next_one_in() {
    let mut work = Work::default();
    work.order(train_order("first"));
    work.order(train_order("second"));
    let out = work.on_done(Done::Prepared { job: 1, prepared: Box::new(Err("no pair is ready".into())) });
    assert_eq!(asked(&out), ["prepare second"]);
    assert!(out.news.contains(&News::TrainingEnded));

    // What comes for the run that is gone changes nothing.
    assert_eq!(asked(&work.on_message(message(1, loaded()))), Vec::<String>::new());
    assert_eq!(work.training().unwrap().stage, Stage::Preparing);
}

#[test]
fn stopping_finishes_the_step_or_cancels_what_has_not_begun() {
    let mut work = Work::default();
    work.order(train_order("first"));
    begin_training(&mut work, "runs/first");
    assert_eq!(asked(&work.stop_training()), ["stop job 2"]);
    assert_eq!(work.training().unwrap().stage, Stage::Stopping);
    work.on_message(message(2, Event::Ended(Ended::now(Outcome::Stopped, None))));
    assert!(!work.is_training());

    work.order(train_order("second"));
    assert!(asked(&work.stop_training()).is_empty());
    assert!(work.training().unwrap().is_cancelled);
    let out = work.on_done(Done::Prepared { job: 3, prepared: Box::new(Ok(prepared())) });
    assert!(asked(&out).is_empty(), "nothing is loaded for a run that was cancelled");
    assert!(!work.is_training());
}

fn sample(prompt: &str, arm: &str, number: usize) -> Event {
    Event::Sample(Sample {
        prompt: prompt.into(),
        arm: arm.into(),
        sample: number,
        seed: 42,
        step: None,
        ids: vec![1],
        text: "An answer.".into(),
        finish: Finish::Stop,
    })
}

#[test]
fn prompts_are_answered_one_after_another_and_kept() {
    let mut work = Work::default();
    assert_eq!(asked(&work.order(read_order("runs/a", &["A", "B"]))), ["plan runs/a"]);
    let out = work.on_done(Done::Planned { job: 1, plan: Ok(plan("runs/a", &["A", "B"])) });
    assert_eq!(asked(&out), ["load for job 1"]);
    assert_eq!(asked(&work.on_message(message(1, loaded()))), ["generate A"]);
    assert_eq!((work.reading().unwrap().prompt(), work.reading().unwrap().total()), (Some("A"), 8));

    let text = |text: &str| Event::Text(Text { prompt: "A".into(), arm: Arm::Tuned, sample: 1, text: text.into() });
    work.on_message(message(1, text("The ")));
    work.on_message(message(1, text("bus")));
    assert_eq!(work.reading().unwrap().stream(Arm::Tuned, 1), Some("The bus"));
    assert_eq!(work.reading().unwrap().stream(Arm::Base, 1), None);

    let out = work.on_message(message(1, sample("A", "pocket-llama-tuned", 1)));
    assert_eq!(asked(&out), ["keep pocket-llama-tuned 1"]);
    let News::Sample(drawn) = &out.news[0] else { panic!("{:?}", out.news) };
    assert_eq!((drawn.output.prompt_text.as_str(), drawn.output.checkpoint), ("text of A", 1));

    let ended = || Event::Ended(Ended::now(Outcome::Finished, None));
    assert_eq!(asked(&work.on_message(message(1, ended()))), ["generate B"]);
    assert_eq!(work.reading().unwrap().stream(Arm::Tuned, 1), None, "the next prompt begins with an empty page");
    let out = work.on_message(message(1, ended()));
    assert!(matches!(&out.news[..], [News::ReadingEnded { error: None, .. }]));

    // The model is there already.
    work.order(read_order("runs/a", &["A"]));
    let out = work.on_done(Done::Planned { job: 2, plan: Ok(plan("runs/a", &["A"])) });
    assert_eq!(asked(&out), ["generate A"]);
}

#[test]
fn the_run_that_trains_answers_between_its_steps_and_others_wait() {
    let mut work = Work::default();
    work.order(train_order("first"));
    begin_training(&mut work, "runs/first");
    assert_eq!(asked(&work.order(read_order("runs/other", &["A"]))), Vec::<String>::new());
    assert_eq!(work.queue().count(), 1);

    assert_eq!(asked(&work.order(read_order("runs/first", &["A"]))), ["plan runs/first"]);
    let out = work.on_done(Done::Planned { job: 3, plan: Ok(plan("runs/first", &["A"])) });
    assert_eq!(asked(&out), ["generate A"], "nothing is loaded in place of the model that trains");
    work.on_message(message(2, step(1)));
    work.on_message(message(3, Event::Ended(Ended::now(Outcome::Finished, None))));
    assert!(work.reading().is_none() && work.is_training());

    let out = work.on_message(message(2, Event::Ended(Ended::now(Outcome::Finished, None))));
    assert_eq!(asked(&out), ["plan runs/other"]);
}

#[test]
fn a_plan_that_comes_after_its_run_ended_waits_for_its_turn() {
    let mut work = Work::default();
    work.order(train_order("first"));
    begin_training(&mut work, "runs/first");
    work.order(train_order("second"));
    work.order(read_order("runs/first", &["A"]));
    work.on_message(message(2, Event::Ended(Ended::now(Outcome::Finished, None))));
    // The reading of the run that has ended comes first, then the next run.
    assert!(!work.is_training());
    let out = work.on_done(Done::Planned { job: 3, plan: Ok(plan("runs/first", &["A"])) });
    assert_eq!(asked(&out), ["load for job 3"]);
    work.on_message(message(3, loaded()));
    let out = work.on_message(message(3, Event::Ended(Ended::now(Outcome::Finished, None))));
    assert_eq!(asked(&out), ["prepare second"]);
}

#[test]
fn a_lost_engine_fails_everything() {
    let mut work = Work::default();
    work.order(train_order("first"));
    begin_training(&mut work, "runs/first");
    work.order(train_order("second"));
    let out = work.on_lost("the engine thread has ended");
    assert!(out.news.contains(&News::TrainingEnded));
    assert_eq!(work.training().unwrap().error.as_deref(), Some("the engine thread has ended"));
    assert_eq!(work.queue().count(), 0);
}

#[test]
fn a_stopped_reading_ends_when_the_engine_says_so() {
    let mut work = Work::default();
    work.order(read_order("runs/a", &["A", "B"]));
    let out = work.stop_reading();
    assert!(matches!(&out.news[..], [News::ReadingEnded { .. }]), "it had not begun");

    work.order(read_order("runs/a", &["A", "B"]));
    work.on_done(Done::Planned { job: 2, plan: Ok(plan("runs/a", &["A", "B"])) });
    work.on_message(message(2, loaded()));
    work.order(read_order("runs/b", &["A"]));
    assert_eq!(asked(&work.stop_reading()), ["stop job 2"]);
    assert_eq!(work.queue().count(), 0, "the other run is not asked any more either");
    let out = work.on_message(message(2, Event::Ended(Ended::now(Outcome::Stopped, None))));
    assert!(matches!(&out.news[..], [News::ReadingEnded { error: None, .. }]));
    assert!(asked(&out).is_empty(), "B is not asked any more");
}

fn scored(arm: Arm, step: Option<usize>, tokens: usize) -> Event {
    let rival = crate::run::protocol::Rival { text: "the".into(), logprob: -1.0 };
    Event::Scored(Scored { arm, step, logprobs: vec![-1.0; tokens - 1], rivals: vec![rival; tokens - 1] })
}

/// An order to score "Late." after "Why?", with a screen's ticket.
pub(crate) fn to_score(run: &str, ticket: u64) -> ScoreOrder {
    let root = tempfile::tempdir().unwrap();
    let run = crate::run::Run { folder: run.into(), manifest: crate::run::manifest::Manifest::sample() };
    let checkpoint = crate::run::checkpoint::Checkpoint { step: 1, path: run.folder.join("checkpoints/step-000001") };
    let subject = crate::run::scoring::Subject::Text("Late.".into());
    let request = crate::run::scoring::Scorer::new(root.path(), &run, checkpoint).unwrap().request("A", "Why?", &subject).unwrap();
    ScoreOrder { ticket, request }
}

/// The same, and how many tokens it has with its prompt.
fn score_order(run: &str, ticket: u64) -> (Order, usize) {
    let order = to_score(run, ticket);
    let tokens = order.request.score(0).ids.len();
    (order.into(), tokens)
}

fn told(out: &Outcomes) -> Vec<(Ticket, Result<Option<usize>, String>)> {
    let scored = |news: &News| match news {
        News::Scored { ticket, text } => Some((*ticket, text.as_ref().map(|text| text.step).map_err(Clone::clone))),
        _ => None,
    };
    out.news.iter().filter_map(scored).collect()
}

#[test]
fn a_text_is_scored_by_both_arms_and_kept() {
    let mut work = Work::default();
    let (order, tokens) = score_order("runs/a", 7);
    assert_eq!(asked(&work.order(order)), ["load for job 1"]);
    assert_eq!(asked(&work.on_message(message(1, loaded()))), [format!("score {tokens} tokens for job 1")]);
    work.on_message(message(1, scored(Arm::Base, None, tokens)));
    work.on_message(message(1, scored(Arm::Tuned, None, tokens)));
    let out = work.on_message(message(1, Event::Ended(Ended::now(Outcome::Finished, None))));
    assert_eq!(asked(&out), ["keep scores of Late."]);
    assert_eq!(told(&out), [(1, Ok(None))], "by the worker's number");
    assert!(work.scoring().is_none());

    // The model is there already. An arm that does not come is an error.
    assert_eq!(asked(&work.order(score_order("runs/a", 8).0)), [format!("score {tokens} tokens for job 2")]);
    work.on_message(message(2, scored(Arm::Base, None, tokens)));
    let out = work.on_message(message(2, Event::Ended(Ended::now(Outcome::Finished, None))));
    assert_eq!(told(&out), [(2, Err("an arm was not scored".into()))]);
}

#[test]
fn the_run_that_trains_scores_between_its_steps_and_keeps_nothing_of_it() {
    let mut work = Work::default();
    work.order(train_order("first"));
    begin_training(&mut work, "runs/first");
    let (order, tokens) = score_order("runs/first", 1);
    assert_eq!(asked(&work.order(order)), [format!("score {tokens} tokens for job 3")]);
    assert!(asked(&work.order(score_order("runs/first", 2).0)).is_empty(), "one at a time");
    work.on_message(message(3, scored(Arm::Base, Some(5), tokens)));
    work.on_message(message(3, scored(Arm::Tuned, Some(5), tokens)));
    let out = work.on_message(message(3, Event::Ended(Ended::now(Outcome::Finished, None))));
    assert_eq!((asked(&out), told(&out)), (vec![], vec![(2, Ok(Some(5)))]));
    // What waits is told why it is not scored.
    assert_eq!(told(&work.stop_reading()), [(3, Err("stopped before it was scored".into()))]);
    work.order(score_order("runs/other", 3).0);
    assert_eq!(told(&work.on_lost("the engine thread has ended")), [(4, Err("the engine thread has ended".into()))]);

    // Out of the queue one by one, or all at once with what is under way.
    let mut work = Work::default();
    work.order(score_order("runs/a", 4).0);
    let waiting = [5, 6].map(|ticket| work.order(score_order("runs/a", ticket).0).ticket.unwrap());
    assert_eq!(told(&work.stop(waiting[0])), [(waiting[0], Err("stopped before it was scored".into()))]);
    let out = work.stop_all();
    assert_eq!((asked(&out), told(&out)), (vec!["stop job 1".to_owned()], vec![(waiting[1], Err("stopped before it was scored".into()))]));
    let out = work.on_message(message(1, loaded()));
    assert_eq!(told(&out), [(1, Err("stopped before it was scored".into()))]);
    assert!(work.is_idle());
}
