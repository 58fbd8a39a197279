//! What the interface makes of a worker's reports, played through with the worker's own queue at the other end.

use std::fs;
use std::path::Path;

use super::*;
use crate::config::parse;
use crate::run::log::Log;
use crate::run::protocol::{Arm, Ended, Eval, Event, Outcome, Text};
use crate::run::work::tests::to_score;
use crate::ui::tasks::{Desk as AnyDesk, Done as AnyDone, Task as AnyTask};

fn train_order(name: &str) -> TrainOrder {
    let config = parse(Path::new("c.yaml"), "model: pocket:llama\nformat: plain\nmethod: lora\n").unwrap();
    TrainOrder::new(config, name.into())
}

fn read_order(run: &str) -> ReadOrder {
    ReadOrder { run: run.into(), arms: vec![Arm::Tuned], prompts: vec![("A".into(), "What?".into())], samples: None, temperature: None }
}

fn state(state: State) -> Report {
    Report::State(Box::new(state))
}

fn trained(ticket: Ticket, name: &str, stage: Stage, run: Option<&Path>) -> TrainingState {
    TrainingState { ticket, stage, run: run.map(Path::to_owned), ..TrainingState::new(train_order(name)) }
}

fn only(training: TrainingState) -> Report {
    state(State { training: Some(training), ..State::default() })
}

/// Does what is asked of the disk lane, until nothing is.
fn read_log(work: &mut Work, out: Outcomes, desk: &mut AnyDesk) -> usize {
    let mut looks = 0;
    let mut waiting = out.effects;
    while let Some(effect) = waiting.pop() {
        if let Effect::Do(Io::Task(AnyTask::Work(task))) = effect {
            let AnyDone::Work(done) = AnyTask::Work(task).run(desk) else { panic!("another's task") };
            waiting.extend(work.on_done(done).effects);
            looks += 1;
        }
    }
    looks
}

fn desk(root: &Path) -> AnyDesk {
    ["pairs", "configs"].iter().for_each(|folder| fs::create_dir_all(root.join(folder)).unwrap());
    AnyDesk::new(crate::config::Workspace::open(root).unwrap())
}

fn eval(step: usize) -> Event {
    Event::Eval(Eval { step, loss: 2.0, tokens: 7 })
}

fn steps(work: &Work) -> Vec<usize> {
    work.training().unwrap().history.evals.iter().map(|eval| eval.step).collect()
}

#[test]
fn what_is_ordered_is_shown_before_the_worker_has_it() {
    let mut work = Work::default();
    let out = work.order(train_order("first").into());
    assert!(matches!(&out.effects[..], [Effect::Do(Io::Worker(Request::Order(Order::Train(_))))]), "{out:?}");
    assert_eq!(out.news, [News::Training]);
    assert_eq!((work.training().unwrap().state.order.name.as_str(), work.training().unwrap().state.stage), ("first", Stage::Preparing));
    work.order(read_order("runs/a").into());
    assert_eq!(work.queue().count(), 1);

    // A worker that has just been started knows of nothing.
    assert_eq!(work.on_report(state(State::default())).news, []);
    assert!(work.is_training());
    work.on_report(Report::Accepted { ticket: 1 });
    work.on_report(Report::Accepted { ticket: 2 });
    let queue = vec![Waiting { ticket: 2, order: read_order("runs/a").into() }];
    let told = State { training: Some(trained(1, "first", Stage::Loading, None)), queue, ..State::default() };
    let out = work.on_report(state(told));
    assert_eq!(out.news, [News::Training, News::Queue]);
    assert!(matches!(&work.stop_training().effects[..], [Effect::Do(Io::Worker(Request::Stop { ticket: 1 }))]));
    assert!(matches!(&work.cancel(0).effects[..], [Effect::Do(Io::Worker(Request::Stop { ticket: 2 }))]));
    assert!(work.cancel(7).effects.is_empty());
}

#[test]
fn a_viewer_that_comes_late_has_the_whole_curve_and_follows() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    fs::create_dir(&run).unwrap();
    let mut log = Log::open(&run).unwrap();
    (0..3).for_each(|step| log.append(&eval(step)).unwrap());

    let mut desk = desk(dir.path());
    let mut work = Work::default();
    let out = work.on_report(only(trained(4, "first", Stage::Training, Some(&run))));
    assert_eq!(read_log(&mut work, out, &mut desk), 1);
    assert_eq!(steps(&work), [0, 1, 2]);

    // Told several times while the log is being read, it looks once more.
    log.append(&eval(3)).unwrap();
    let out = work.on_report(Report::Logged);
    log.append(&eval(4)).unwrap();
    for _ in 0..5 {
        assert!(work.on_report(Report::Logged).effects.is_empty());
    }
    assert_eq!(read_log(&mut work, out, &mut desk), 2);
    assert_eq!(steps(&work), [0, 1, 2, 3, 4]);

    // Another run, and back: each is read from its beginning.
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    Log::open(&other).unwrap().append(&eval(9)).unwrap();
    let out = work.on_report(only(trained(5, "second", Stage::Training, Some(&other))));
    assert_eq!(out.news, [News::TrainingEnded]);
    read_log(&mut work, out, &mut desk);
    assert_eq!(steps(&work), [9]);
    let out = work.on_report(only(trained(6, "first", Stage::Training, Some(&run))));
    read_log(&mut work, out, &mut desk);
    assert_eq!(steps(&work), [0, 1, 2, 3, 4]);

    log.append(&Event::Ended(Ended::now(Outcome::Finished, None))).unwrap();
    let ended = TrainingState { outcome: Some(Outcome::Finished), ..trained(6, "first", Stage::Ended, Some(&run)) };
    let out = work.on_report(only(ended));
    assert_eq!(out.news, [News::TrainingEnded]);
    read_log(&mut work, out, &mut desk);
    assert!(work.training().unwrap().history.ended.is_some() && !work.is_training());
}

#[test]
fn text_is_gathered_by_prompt_and_readings_end_with_their_error() {
    let mut work = Work::default();
    let reading = |at: usize| ReadingState { ticket: 3, at, total: 2, prompt: Some("A".into()), ..ReadingState::new(read_order("runs/a")) };
    let of = |reading| state(State { reading: Some(reading), ..State::default() });
    assert_eq!(work.on_report(of(reading(0))).news, [News::Reading]);
    assert!(work.on_report(of(reading(0))).news.is_empty());
    for text in ["The ", "bus"] {
        work.on_report(Report::Text(Text { prompt: "A".into(), arm: Arm::Tuned, sample: 0, text: text.into() }));
    }
    assert_eq!(work.reading().unwrap().stream(Arm::Tuned, 0), Some("The bus"));
    work.on_report(of(ReadingState { done: 1, ..reading(0) }));
    assert_eq!(work.reading().unwrap().stream(Arm::Tuned, 0), Some("The bus"));
    work.on_report(of(reading(1)));
    assert_eq!((work.reading().unwrap().stream(Arm::Tuned, 0), work.reading().unwrap().tokens), (None, 2));
    let out = work.on_report(state(State { read: Some((3, Some("no room".into()))), ..State::default() }));
    assert_eq!(out.news, [News::ReadingEnded { order: read_order("runs/a"), error: Some("no room".into()) }]);
    assert!(work.reading().is_none());
}

#[test]
fn a_worker_that_died_is_told_from_one_that_had_nothing_to_do() {
    let mut work = Work::default();
    work.on_report(state(State::default()));
    let out = work.on_gone(None);
    assert!(out.effects.is_empty() && out.news.is_empty(), "{out:?}");

    let queue = vec![Waiting { ticket: 2, order: train_order("second").into() }];
    let training = Some(trained(1, "first", Stage::Training, Some(Path::new("runs/2026-11-22-first"))));
    work.on_report(state(State { training, queue, ..State::default() }));
    let out = work.on_gone(Some("thread 'engine' panicked"));
    assert_eq!(out.news, [News::TrainingEnded, News::Queue]);
    let said = work.training().unwrap().state.error.clone().unwrap();
    for part in ["the worker has died", "thread 'engine' panicked", "`voicetune train --resume 2026-11-22-first`"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(
        matches!(&out.effects[..], [Effect::Notify(notice)] if notice.text.contains("(the run that waited follows the next order)")),
        "{out:?}"
    );
    assert!(!work.is_training() && work.queue().count() == 0);

    // What is ordered now goes to another worker.
    work.order(train_order("third").into());
    assert_eq!(work.training().unwrap().state.order.name, "third");
    let out = work.on_refused("no socket can be made here");
    assert!(matches!(&out.effects[..], [Effect::Notify(notice)] if notice.text.contains("no socket")));
    assert!(!work.is_training());
}

#[test]
fn scores_come_to_whoever_ordered_them() {
    let mut work = Work::default();
    let failed = |ticket: Ticket| Report::Scored { ticket, text: Err("no room".into()) };
    let unscored = |ticket: u64, why: &str| News::Scored { ticket, text: Err(why.into()) };
    let out = work.order(to_score("runs/a", 7).into());
    assert_eq!(out.news, [News::Scoring]);
    assert!(work.scores(7) && !work.scores(8));
    // Another viewer's, with the ticket that this screen chose: it is none of ours.
    work.on_report(Report::Accepted { ticket: 12 });
    assert!(work.on_report(failed(7)).news.is_empty());
    let scoring = |ticket: Ticket| Some(ScoringState { ticket, run: "runs/a".into() });
    work.on_report(state(State { scoring: scoring(11), ..State::default() }));
    assert!(work.scoring().is_some() && !work.scores(7));
    work.on_report(state(State { scoring: scoring(12), ..State::default() }));
    assert!(work.scores(7));
    // An order is the same after it went through the socket.
    let order = Order::from(to_score("runs/a", 7));
    assert_eq!(serde_json::from_str::<Order>(&serde_json::to_string(&order).unwrap()).unwrap(), order);
    assert_eq!(work.on_report(failed(12)).news, [unscored(7, "no room")]);
    assert!(work.on_report(failed(12)).news.is_empty());
    assert_eq!(work.on_report(state(State::default())).news, [News::Scoring]);

    // What does not come is told.
    work.order(to_score("runs/a", 8).into());
    assert_eq!(work.on_report(Report::Accepted { ticket: 0 }).news, [unscored(8, "the worker did not take the order"), News::Scoring]);
    work.order(to_score("runs/a", 9).into());
    work.on_report(Report::Accepted { ticket: 13 });
    work.order(to_score("runs/a", 10).into());
    let out = work.on_gone(None);
    let why = "the worker has ended before the text was scored";
    assert_eq!(out.news[..2], [unscored(9, why), unscored(10, why)]);
    work.order(to_score("runs/a", 11).into());
    assert!(work.on_refused("no socket").news.contains(&unscored(11, "no socket")));
    assert!(work.scoring().is_none());
}
