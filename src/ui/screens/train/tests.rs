//! The Train screen, drawn and played through.

use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::tasks::{Listed, RunRow};
use super::*;
use crate::config::{EMBEDDED, Workspace, parse};
use crate::run::log::History;
use crate::run::preflight::Level;
use crate::run::protocol::{Ended, Eval, Event, Finish, Outcome, Overflow, Sample, Saved, Started, Step};
use crate::run::summary::State;
use crate::run::work;
use crate::run::worker::{Report, Request};
use crate::ui::keys::Keymap;
use crate::ui::message::Io;
use crate::ui::settings::{Settings, ThemeChoice};
use crate::ui::tasks::Task as AnyTask;
use crate::ui::theme::{Depth, Theme};
use crate::ui::work::{Order, TrainOrder, Work};

struct Bench {
    train: Train,
    shared: Shared,
    /// The worker's queue.
    worker: work::Work,
}

impl Bench {
    /// With the configs that come with voicetune, a pre-flight of the chosen one, and these runs.
    fn new(depth: Depth, runs: Vec<RunRow>) -> Bench {
        let shared = Shared {
            workspace: Workspace::open(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap(),
            settings: Settings { theme: ThemeChoice::Dark, frame_rate: 30, keys: BTreeMap::new() },
            keymap: Keymap::new(&BTreeMap::new()).unwrap(),
            theme: Theme::new(ThemeChoice::Dark, depth),
            work: Work::default(),
            clipboard: String::new(),
        };
        let mut bench = Bench { train: Train::default(), shared, worker: work::Work::default() };
        assert_eq!(bench.show().len(), 1, "only the listing: there is no config to look at yet");
        let mut configs = vec![
            listed("llama-3.1-8b-lora"),
            listed("pocket-gpt2-full"),
            listed("pocket-llama-lora"),
            Listed { name: "torn".into(), text: String::new(), config: Err("configs/torn.yaml:3: unknown key `epoch`".into()) },
        ];
        configs.sort_by(|a, b| a.name.cmp(&b.name));
        bench.done(Done::Listed(Ok(Listing { configs, runs })));
        let config = Box::new(bench.train.chosen().unwrap().clone());
        bench.done(Done::Looked { config, look: look() });
        bench
    }

    fn show(&mut self) -> Vec<Effect> {
        self.train.on_show(&self.shared)
    }

    fn done(&mut self, done: Done) -> Vec<Effect> {
        self.train.on_done(&AnyDone::Train(done), &self.shared)
    }

    fn act(&mut self, actions: &[Action]) -> Vec<Effect> {
        actions.iter().flat_map(|action| self.train.act(*action, &self.shared)).collect()
    }

    fn typed(&mut self, text: &str) {
        for c in text.chars() {
            self.train.on_key(c.to_string().parse().unwrap(), &self.shared);
        }
    }

    /// Orders go to the work, as the application does it, and are taken by a worker.
    fn serve(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let Effect::Order(order) = effect else { continue };
            let out = self.shared.work.order(order);
            let mut news = out.news;
            for effect in out.effects {
                let Effect::Do(Io::Worker(Request::Order(order))) = effect else { continue };
                let ticket = self.worker.order(order).ticket.unwrap();
                self.shared.work.on_report(Report::Accepted { ticket });
                news.extend(self.shared.work.on_report(Report::State(Box::new(self.worker.state()))).news);
            }
            for news in news {
                self.train.on_news(&news, &self.shared);
            }
        }
    }

    fn watch(&mut self, folder: &str, history: &History) {
        self.train.go(Pick::Run(folder.into()), &self.shared);
        self.done(Done::Watched { folder: folder.into(), figures: Ok(Arc::new(Figures::of(history))) });
    }

    fn drawn(&self, width: u16, height: u16) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| self.train.view(frame, frame.area(), &self.shared)).unwrap();
        terminal
    }

    fn text(&self, width: u16, height: u16) -> String {
        self.drawn(width, height).backend().to_string()
    }
}

fn listed(name: &str) -> Listed {
    let (file, text) = EMBEDDED.iter().find(|(file, _)| *file == format!("{name}.yaml")).unwrap();
    Listed { name: name.into(), text: (*text).into(), config: parse(Path::new(file), text).map_err(|e| e.to_string()) }
}

fn look() -> Look {
    let findings = vec![
        (Level::Ok, "model", "pocket:llama: an instruct model, 3.2 M parameters".to_owned()),
        (Level::Ok, "pairs", "44 to train on, 4 held out by source; 55972 tokens an epoch, at most 4096 a pair".to_owned()),
        (Level::Warning, "left out", "tier1/quiet-car: longer than the limit (5120 tokens, limit 4096)".to_owned()),
        (Level::Warning, "left out", "tier2/harbour: no paragraph fits (9000 tokens, limit 4096)".to_owned()),
        (Level::Ok, "memory", "about 395.5 MiB; 22.2 GiB free on CPU, 2 threads".to_owned()),
    ];
    Look { findings }
}

fn run(folder: &str, config: &str, state: State, step: usize) -> RunRow {
    let config = listed(config).config.unwrap();
    let name = config.name.clone();
    RunRow { folder: folder.into(), name, config, only: None, state, step, steps: 66, has_checkpoint: step > 0 }
}

fn started(from_step: usize) -> Event {
    let (time, version, device) = ("2026-11-22T10:00:00Z".into(), "0.1.0".into(), "CPU, 2 threads".into());
    Event::Started(Started { time, version, device, from_step, steps: 66, epochs: 3, examples: [44, 4], trainable_parameters: 330_000 })
}

fn step(step: usize, memory: bool) -> Event {
    let x = step as f64;
    let noise = (step * 37 % 23) as f64 / 23.0 - 0.5;
    Event::Step(Step {
        step,
        epoch: 1 + (step - 1) / 22,
        loss: 3.2 + (-x / 25.0).exp() + noise * 0.5,
        tokens: 700,
        lr: 1e-3 * (x / 10.0).min(1.0) * (1.0 - x / 70.0),
        grad_norm: 0.5,
        ms: 400.0,
        tokens_per_s: 2100.0 + noise * 300.0,
        device_bytes: memory.then_some((18 << 30) + (step as u64 % 5) * (200 << 20)),
        pairs: vec!["tier1/a".into()],
    })
}

fn sample(prompt: &str, at: usize) -> Event {
    let text = format!(
        "The harbour was quiet after step {at}.\n\nNobody had told the gulls; \u{202e}they came all the same, and stood along the wall."
    );
    let ids = vec![1; 40];
    Event::Sample(Sample {
        prompt: prompt.into(),
        arm: "tuned".into(),
        sample: 0,
        seed: 1,
        step: Some(at),
        ids,
        text,
        finish: Finish::Stop,
    })
}

/// A run up to a step, with an epoch of 22 steps.
fn history(last: usize, memory: bool, ended: Option<Outcome>) -> History {
    let mut history = History::default();
    history.fold(started(0));
    history.fold(Event::Eval(Eval { step: 0, loss: 4.29, tokens: 900 }));
    for at in 1..=last {
        history.fold(step(at, memory));
        if at % 22 == 0 {
            history.fold(Event::Eval(Eval { step: at, loss: [3.9, 3.72, 3.8][at / 22 - 1], tokens: 900 }));
            history.fold(Event::Saved(Saved { step: at, checkpoint: format!("checkpoints/step-{at:06}"), result: at < 60 }));
            history.fold(sample("A", at));
            history.fold(sample("B", at));
        }
    }
    if let Some(outcome) = ended {
        history.fold(Event::Ended(Ended { time: "2026-11-22T10:30:00Z".into(), outcome, error: None }));
    }
    history
}

fn started_order(effects: &[Effect]) -> Option<&TrainOrder> {
    effects.iter().find_map(|effect| match effect {
        Effect::Order(Order::Train(order)) => Some(&**order),
        _ => None,
    })
}

#[test]
fn before_a_start() {
    let mut bench = Bench::new(Depth::None, vec![run("2026-11-20-pocket-llama-lora", "pocket-llama-lora", State::Stopped, 22)]);
    insta::assert_snapshot!("before_80", bench.text(80, 22));
    insta::assert_snapshot!("before_120", bench.text(120, 34));
    bench.act(&[Action::EditConfig]);
    insta::assert_snapshot!("form_80", bench.text(80, 22));
    bench.act(&[Action::Cancel, Action::StartTraining]);
    insta::assert_snapshot!("ask_80", bench.text(80, 22));
}

#[test]
fn while_a_run_trains() {
    let folder = "2026-11-22-pocket-llama-lora";
    let mut bench = Bench::new(Depth::None, vec![run(folder, "pocket-llama-lora", State::Running, 50)]);
    bench.watch(folder, &history(50, false, None));
    insta::assert_snapshot!("live_80", bench.text(80, 22));
    insta::assert_snapshot!("live_120", bench.text(120, 34));
    bench.watch(folder, &history(50, true, None));
    insta::assert_snapshot!("live_200", bench.text(200, 58));
}

#[test]
fn lines_and_the_best_checkpoint_have_their_styles() {
    let folder = "2026-11-22-pocket-llama-lora";
    let mut bench = Bench::new(Depth::True, vec![run(folder, "pocket-llama-lora", State::Stopped, 66)]);
    bench.watch(folder, &history(66, false, Some(Outcome::Finished)));
    let terminal = bench.drawn(120, 34);
    let buffer: &Buffer = terminal.backend().buffer();
    let theme = &bench.shared.theme;
    // In a row, the stretches of one colour.
    let in_style = |color| {
        let cells = buffer.content.iter().filter(|cell| Some(cell.fg) == color && !cell.symbol().trim().is_empty());
        cells.map(|cell| cell.symbol()).collect::<String>()
    };
    assert!(in_style(theme.curves[0].fg).contains("training"));
    assert!(in_style(theme.curves[1].fg).contains("validation"));
    assert_eq!(in_style(theme.good.fg), "◆");
}

#[test]
fn nothing_is_too_small_or_too_large() {
    let folder = "2026-11-22-pocket-llama-lora";
    let mut bench = Bench::new(Depth::None, vec![run(folder, "pocket-llama-lora", State::Stopped, 30)]);
    let sizes = [(40, 10), (41, 11), (69, 12), (70, 10), (80, 22), (97, 14), (142, 30), (300, 98)];
    let all = |bench: &Bench| sizes.iter().map(|&(width, height)| bench.text(width, height)).for_each(drop);
    all(&bench);
    bench.act(&[Action::StartTraining]);
    all(&bench);
    bench.act(&[Action::Cancel, Action::EditConfig, Action::Down, Action::Down, Action::Accept]);
    all(&bench);
    bench.watch(folder, &history(30, true, Some(Outcome::Stopped)));
    all(&bench);
    bench.act(&[Action::NextPane, Action::PageDown, Action::PageDown, Action::PageDown]);
    all(&bench);
    bench.watch(folder, &History::default());
    all(&bench);
}

#[test]
fn a_run_is_started_with_a_name_and_with_edited_values() {
    let mut bench = Bench::new(Depth::None, vec![]);
    let epochs = bench.train.listed().unwrap().config.as_ref().unwrap().epochs;
    bench.act(&[Action::EditConfig]);
    let down = form_row(&bench, "epochs");
    bench.act(&vec![Action::Down; down]);
    bench.act(&[Action::Accept]);
    bench.typed("x");
    bench.act(&[Action::Accept]);
    assert!(bench.text(120, 34).contains("! "), "what is refused says why");
    assert!(bench.train.edits.is_empty());
    bench.act(&[Action::Cancel, Action::Accept]);
    bench.typed("0");
    let effects = bench.act(&[Action::Accept]);
    assert!(matches!(effects.as_slice(), [Effect::Do(Io::Task(AnyTask::Train(Task::Look(config))))] if config.epochs == epochs * 10));
    bench.act(&[Action::Cancel, Action::StartTraining]);
    bench.typed("-overfit");
    let effects = bench.act(&[Action::Accept]);
    let order = started_order(&effects).unwrap();
    assert_eq!((order.name.as_str(), order.config.epochs, &order.only), ("pocket-llama-lora-overfit", epochs * 10, &None));
    bench.serve(effects);
    assert_eq!(bench.train.pick, Pick::Now);
    assert!(bench.text(80, 22).contains("Preparing"));
    // Back to the file's value: nothing is edited any more.
    bench.act(&[Action::EditConfig]);
    bench.act(&vec![Action::Down; down]);
    bench.act(&[Action::ResetValue]);
    assert!(bench.train.edits.is_empty());
}

fn form_row(bench: &Bench, key: &str) -> usize {
    crate::config::form::fields(bench.train.chosen().unwrap()).iter().position(|field| field.key == key).unwrap()
}

#[test]
fn a_second_run_is_queued_and_taken_out_again() {
    let mut bench = Bench::new(Depth::None, vec![]);
    let effects = bench.act(&[Action::StartTraining, Action::Accept]);
    bench.serve(effects);
    bench.act(&[Action::First, Action::Down]);
    assert_eq!(bench.train.config, "pocket-gpt2-full");
    let effects = bench.act(&[Action::QueueTraining, Action::Accept]);
    bench.serve(effects);
    assert_eq!(bench.shared.work.queue().count(), 1);
    bench.act(&[Action::Last]);
    assert_eq!(bench.train.pick, Pick::Queued(0));
    insta::assert_snapshot!("queue_120", bench.text(120, 20));
    let effects = bench.act(&[Action::StopTraining]);
    assert!(matches!(effects[0], Effect::Cancel(0)));
    bench.train.go(Pick::Now, &bench.shared);
    assert!(matches!(bench.act(&[Action::StopTraining]).as_slice(), [Effect::StopTraining]));
}

#[test]
fn pairs_that_are_not_there_keep_the_question_open() {
    let mut bench = Bench::new(Depth::None, vec![]);
    bench.act(&[Action::StartTraining, Action::NextPane]);
    bench.typed("tier1/none");
    let effects = bench.act(&[Action::Accept]);
    let [Effect::Do(Io::Task(AnyTask::Train(Task::Choose { order, pairs })))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(pairs, "tier1/none");
    let order = order.clone();
    bench.done(Done::Chosen(Err("there is no pair `tier1/none`".into())));
    assert!(bench.text(80, 22).contains("there is no pair"));
    let only = Some(vec!["tier1/a".to_owned()]);
    let effects = bench.done(Done::Chosen(Ok(Box::new(TrainOrder { only: only.clone(), ..*order }))));
    assert_eq!(started_order(&effects).unwrap().only, only);
    assert!(bench.train.ask.is_none());
}

#[test]
fn what_cannot_start_says_so() {
    let mut bench = Bench::new(Depth::None, vec![]);
    let config = Box::new(bench.train.chosen().unwrap().clone());
    let findings = vec![(Level::Blocker, "model", "it is not in the cache; `hf download` fetches it".to_owned())];
    bench.done(Done::Looked { config, look: Look { findings } });
    let effects = bench.act(&[Action::StartTraining]);
    assert!(matches!(effects.as_slice(), [Effect::Notify(notice)] if notice.text.contains("hf download")), "{effects:?}");
    assert!(bench.train.ask.is_none());
}

#[test]
fn a_run_that_was_left_goes_on_by_its_own_values() {
    let mut left = run("2026-11-20-pocket-llama-lora", "pocket-llama-lora", State::Interrupted, 22);
    left.config.epochs = 20;
    let other = run("2026-11-20-pocket-gpt2-full", "pocket-gpt2-full", State::Finished, 66);
    let mut bench = Bench::new(Depth::None, vec![left.clone(), other]);
    let effects = bench.act(&[Action::ResumeRun]);
    let order = started_order(&effects).unwrap();
    assert_eq!((order.resume.as_ref(), order.config.epochs), (Some(&left.folder), 20));
    // Another screen asks for one that is at its end.
    let effects = bench.train.on_open(Open::Resume("2026-11-20-pocket-gpt2-full".into()), &bench.shared);
    assert!(started_order(&effects).is_none());
    assert!(matches!(effects.as_slice(), [Effect::Notify(notice)] if notice.text.contains("all of its steps")), "{effects:?}");
}

#[test]
fn samples_are_walked_and_the_newest_is_followed() {
    let folder = "2026-11-22-pocket-llama-lora";
    let mut bench = Bench::new(Depth::None, vec![run(folder, "pocket-llama-lora", State::Running, 50)]);
    bench.watch(folder, &history(44, false, None));
    assert!(bench.text(120, 34).contains("Canary B after step 44, 4 of 4"));
    bench.act(&[Action::PreviousSample, Action::PreviousSample]);
    assert!(bench.text(120, 34).contains("Canary B after step 22, 2 of 4"));
    bench.act(&[Action::NextSample, Action::NextSample, Action::NextSample]);
    assert_eq!(bench.train.sample, None);
}

#[test]
fn what_a_sample_copied_is_marked() {
    use crate::pairs::{Pair, Split, Status, Tier};
    use crate::review::marks::{Asked, Trained};
    let folder = "2026-11-22-pocket-llama-lora";
    let mut bench = Bench::new(Depth::None, vec![run(folder, "pocket-llama-lora", State::Running, 50)]);
    bench.train.go(Pick::Run(folder.into()), &bench.shared);
    let figures = Ok(Arc::new(Figures::of(&history(22, false, None))));
    let effects = bench.done(Done::Watched { folder: folder.into(), figures });
    let [Effect::Do(Io::Task(AnyTask::Train(Task::Mark { sample, .. })))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(sample.prompt, "B");
    assert!(!bench.text(120, 40).contains("[="));
    let response = "They came all the same, and stood along the wall.".to_owned();
    let (tier, status, split) = (Tier::Note, Status::Ready, Split::Auto);
    let pair = Pair { id: "a".into(), tier, source: "a".into(), prompt: String::new(), response, status, split, notes: String::new() };
    let marks = Trained::on(&["a".into()], &[pair]).0.marks(&sample.text, &Asked::new(""));
    assert!(bench.done(Done::Marked { sample: sample.clone(), marks: Arc::new(marks) }).is_empty(), "asked once");
    let text = bench.text(120, 40);
    assert!(text.contains("[=they came") && text.contains("the wall=].") && text.contains("10 words copied"), "{text}");
    // Another sample is asked about anew.
    let effects = bench.act(&[Action::PreviousSample]);
    assert!(matches!(effects.as_slice(), [Effect::Do(Io::Task(AnyTask::Train(Task::Mark { sample, .. })))] if sample.prompt == "A"));
}

#[test]
fn a_run_of_another_process_is_followed_while_it_grows() {
    let folder = "2026-11-22-pocket-llama-lora";
    let mut bench = Bench::new(Depth::None, vec![run(folder, "pocket-llama-lora", State::Running, 50)]);
    bench.watch(folder, &history(10, false, None));
    assert!(bench.train.wants_tick());
    let effects = bench.train.on_tick(&bench.shared);
    assert!(matches!(effects.as_slice(), [Effect::Do(Io::Task(AnyTask::Train(Task::Watch(_))))]));
    assert!(bench.train.on_tick(&bench.shared).is_empty(), "one look at a time");
    bench.done(Done::Watched { folder: folder.into(), figures: Ok(Arc::new(Figures::of(&history(66, false, Some(Outcome::Finished))))) });
    assert!(!bench.train.wants_tick());
}

#[test]
fn the_log_says_which_step_was_made_again() {
    let mut history = history(3, false, None);
    history.fold(Event::Overflow(Overflow { step: 2, loss_scale: 32768.0 }));
    let log = Figures::of(&history).log;
    let line = log.iter().find(|line| line.step == Some(2)).unwrap();
    assert_eq!(line.words, "the gradient went beyond f16; the step is made again with the loss scaled by 32768");
}
