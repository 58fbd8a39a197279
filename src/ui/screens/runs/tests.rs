use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::config::{self, Workspace};
use crate::hub::Tuning;
use crate::run::log::Log;
use crate::run::manifest::{Data, Manifest, Model};
use crate::run::protocol::{Ended, Eval, Event, Outcome, Started, Step};
use crate::ui::keys::Keymap;
use crate::ui::message::{Io, Notice};
use crate::ui::settings::{Settings, ThemeChoice};
use crate::ui::tasks::{Desk as AnyDesk, Task as AnyTask};
use crate::ui::theme::{Depth, Theme};
use crate::ui::work::Work;

/// A workspace with runs in many states.
struct Fixture {
    dir: tempfile::TempDir,
    shared: Shared,
    desk: AnyDesk,
    runs: Runs,
    /// Keeps the lock of the run that is training.
    logs: Vec<Log>,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["pairs", "configs", "runs"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let workspace = Workspace::open(dir.path()).unwrap();
        let shared = Shared {
            workspace: workspace.clone(),
            settings: Settings { theme: ThemeChoice::Dark, frame_rate: 30, keys: BTreeMap::new() },
            keymap: Keymap::new(&BTreeMap::new()).unwrap(),
            theme: Theme::new(ThemeChoice::Dark, Depth::True),
            work: Work::default(),
            clipboard: String::new(),
        };
        Fixture { dir, shared, desk: AnyDesk::new(workspace), runs: Runs::default(), logs: vec![] }
    }

    fn filled() -> Fixture {
        let mut fixture = Fixture::new();
        fixture.add("2026-11-20-first", "epochs: 2\n", 120, 120, Some(Ended::now(Outcome::Finished, None)));
        fixture.add("2026-11-21-higher-rate", "optimizer: {learning_rate: 1e-3}\n", 40, 120, Some(Ended::now(Outcome::Stopped, None)));
        let error = "the loss at step 8 is NaN; lower optimizer.learning_rate".to_owned();
        fixture.add("2026-11-21-too-high", "optimizer: {learning_rate: 1e-1}\n", 7, 120, Some(Ended::now(Outcome::Failed, Some(error))));
        fixture.add("2026-11-22-broken-off", "", 60, 120, None);
        fs::create_dir(fixture.dir.path().join("runs/notes")).unwrap();
        fs::create_dir(fixture.dir.path().join("runs/2026-11-19-damaged")).unwrap();
        fs::write(fixture.dir.path().join("runs/2026-11-19-damaged/manifest.yaml"), "name: [\n").unwrap();
        fixture
    }

    fn add(&mut self, folder: &str, settings: &str, step: usize, steps: usize, ended: Option<Ended>) {
        let path = self.dir.path().join("runs").join(folder);
        fs::create_dir(&path).unwrap();
        let manifest = manifest(folder, settings);
        fs::write(path.join("manifest.yaml"), serde_yaml::to_string(&manifest).unwrap()).unwrap();
        fs::write(
            path.join("journal.md"),
            format!("# {folder}\n\nThe rhythm is right, the endings are not.\n\n<!-- voicetune: summary -->\n"),
        )
        .unwrap();
        let mut log = Log::open(&path).unwrap();
        log.append(&started(steps)).unwrap();
        for at in 0..=step {
            if at > 0 {
                log.append(&one_step(at, 3.6 - 1.2 * (at as f64 / steps as f64))).unwrap();
            }
            if at % 20 == 0 {
                log.append(&Event::Eval(Eval { step: at, loss: 3.7 - 0.8 * (at as f64 / steps as f64), tokens: 700 })).unwrap();
            }
        }
        match ended {
            Some(ended) => log.append(&Event::Ended(ended)).unwrap(),
            None if folder.contains("training") => self.logs.push(log),
            None => {}
        }
    }

    /// Does the tasks among the effects, and what follows from them; returns the other effects.
    fn settle(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let (mut waiting, mut others) = (effects, vec![]);
        while let Some(effect) = waiting.pop() {
            match effect {
                Effect::Do(Io::Task(AnyTask::Runs(task))) => {
                    waiting.extend(self.runs.on_done(&AnyDone::Runs(task.run(&mut self.desk)), &self.shared));
                }
                other => others.push(other),
            }
        }
        others
    }

    fn show(&mut self) {
        let effects = self.runs.on_show(&self.shared);
        assert!(self.settle(effects).is_empty());
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        let effects = self.runs.act(action, &self.shared);
        self.settle(effects)
    }

    fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            let effects = self.runs.on_key(c.to_string().parse().unwrap(), &self.shared);
            self.settle(effects);
        }
    }

    fn drawn(&self, (width, height): (u16, u16)) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| self.runs.view(frame, frame.area(), &self.shared)).unwrap();
        terminal
    }

    fn text(&self, size: (u16, u16)) -> String {
        self.drawn(size).backend().to_string()
    }

    fn names(&self) -> Vec<&str> {
        self.runs.found.iter().map(|&i| self.runs.entries()[i].name.as_str()).collect()
    }
}

fn manifest(folder: &str, settings: &str) -> Manifest {
    let text = format!("model: pocket:llama\nformat: plain\nmethod: lora\n{settings}");
    Manifest {
        name: folder[11..].into(),
        created: format!("{}T10:00:00Z", &folder[..10]),
        version: "0.1.0".into(),
        device: "CPU, 2 threads".into(),
        model: Model { name: "pocket:llama".into(), revision: "main".into(), commit: None, tuning: Tuning::Base },
        adapter_init: None,
        config: config::parse(Path::new("c.yaml"), &text).unwrap(),
        seed: 42,
        only_pairs: None,
        templates: config::Templates {
            plain: config::PlainTemplate { delimiter: "\n\n---\n\n".into() },
            chat: config::ChatTemplate { system: String::new(), date_string: "26 Jul 2024".into() },
        },
        data: Data {
            hash: "0123456789abcdef".into(),
            train: (0..40).map(|i| format!("tier1/pair-{i}")).collect(),
            validation: vec!["tier2/held-out".into()],
        },
    }
}

fn started(steps: usize) -> Event {
    let (time, version, device) = ("2026-11-22T10:00:00Z".into(), "0.1.0".into(), "CPU, 2 threads".into());
    Event::Started(Started { time, version, device, from_step: 0, steps, epochs: 2, examples: [40, 1], trainable_parameters: 1 })
}

fn one_step(step: usize, loss: f64) -> Event {
    let (tokens, ms, lr, tokens_per_s) = (311, 1500.0, 1e-4, 1034.7);
    Event::Step(Step { step, epoch: 1, loss, tokens, lr, grad_norm: 0.7, ms, tokens_per_s, device_bytes: None, pairs: vec![] })
}

#[test]
fn every_size_is_laid_out() {
    let mut fixture = Fixture::filled();
    assert!(fixture.text((80, 24)).contains("Looking for runs"));
    fixture.show();
    for size in [(80, 24), (120, 36), (200, 60)] {
        insta::assert_snapshot!(format!("runs_{}x{}", size.0, size.1), fixture.drawn(size).backend());
    }
    fixture.act(Action::RunDetails);
    insta::assert_snapshot!("details_80x24", fixture.drawn((80, 24)).backend());
    insta::assert_snapshot!("details_120x36", fixture.drawn((120, 36)).backend());
    fixture.act(Action::RunDetails);
    fixture.act(Action::MarkRun);
    fixture.act(Action::MarkRun);
    fixture.act(Action::CompareRuns);
    for size in [(80, 24), (120, 36), (200, 60)] {
        insta::assert_snapshot!(format!("compared_{}x{}", size.0, size.1), fixture.drawn(size).backend());
    }
    for action in [Action::Leave, Action::RunDetails, Action::RunDetails] {
        for width in 40..=160 {
            for height in [12, 16, 24, 60] {
                fixture.drawn((width, height));
            }
        }
        fixture.act(action);
    }
}

#[test]
fn folders_that_are_no_runs_are_listed_last_with_the_reason() {
    let mut fixture = Fixture::filled();
    fixture.show();
    assert_eq!(fixture.names(), ["broken-off", "too-high", "higher-rate", "first", "notes", "2026-11-19-damaged"]);
    let text = fixture.text((120, 36));
    assert!(text.contains("! has no manifest.yaml: not a run"), "{text}");
    assert!(text.contains("! manifest.yaml: not the manifest of a run"), "{text}");
    fixture.act(Action::Last);
    for action in [Action::OpenRun, Action::ResumeRun, Action::MarkRun] {
        assert!(
            matches!(fixture.act(action).as_slice(), [Effect::Notify(Notice { text, .. })] if text.contains("no run that can be used"))
        );
    }
}

#[test]
fn the_filter_finds_runs_by_what_is_seen() {
    let mut fixture = Fixture::filled();
    fixture.show();
    let mut check = |typed: &str, expected: &[&str]| {
        fixture.act(Action::Filter);
        fixture.type_text(typed);
        assert_eq!(fixture.names(), expected, "{typed}");
        fixture.act(Action::Cancel);
        assert_eq!(fixture.names().len(), 6);
    };
    check("HIGH", &["too-high", "higher-rate"]);
    check("high stopped", &["higher-rate"]);
    check("interrupted", &["broken-off"]);
    check("broken", &["broken-off", "notes", "2026-11-19-damaged"]);
    check("nothing", &[]);
}

#[test]
fn runs_are_opened_and_resumed() {
    let mut fixture = Fixture::filled();
    fixture.show();
    let folder = |name: &str| fixture.dir.path().join("runs").join(name);
    let (broken_off, too_high) = (folder("2026-11-22-broken-off"), folder("2026-11-21-too-high"));
    let opened = |effects: Vec<Effect>| match effects.into_iter().next() {
        Some(Effect::Open(open)) => open,
        other => panic!("{other:?}"),
    };
    assert_eq!(opened(fixture.act(Action::OpenRun)), Open::Review(vec![broken_off.clone()]));
    assert_eq!(opened(fixture.act(Action::ResumeRun)), Open::Resume(broken_off.clone()));
    fixture.act(Action::MarkRun);
    fixture.act(Action::MarkRun);
    assert_eq!(opened(fixture.act(Action::OpenRun)), Open::Review(vec![broken_off, too_high]));
    fixture.act(Action::Leave);
    fixture.act(Action::Down);
    assert!(
        matches!(fixture.act(Action::ResumeRun).as_slice(), [Effect::Notify(Notice { text, .. })] if text.contains("all of its steps"))
    );
}

#[test]
fn two_runs_differ_in_their_settings() {
    let mut fixture = Fixture::filled();
    fixture.show();
    assert!(
        matches!(fixture.act(Action::CompareRuns).as_slice(), [Effect::Notify(Notice { text, .. })] if text.contains("mark two runs or more with space"))
    );
    fixture.act(Action::Down);
    fixture.act(Action::MarkRun);
    // The one under the cursor is the second.
    fixture.act(Action::CompareRuns);
    let text = fixture.text((120, 40));
    let rate = text.lines().find(|line| line.contains("optimizer.learning_rate")).unwrap();
    assert!(rate.contains("0.1") && rate.contains("0.001"), "{rate}");
    assert!(!text.contains("epochs"), "{text}");
}

#[test]
fn a_run_that_trains_is_followed() {
    let mut fixture = Fixture::new();
    fixture.add("2026-11-22-training", "", 20, 120, None);
    fixture.show();
    assert!(fixture.runs.wants_tick());
    let curve = |fixture: &Fixture| fixture.runs.looks.values().next().unwrap().as_ref().unwrap().curves.training.len();
    assert_eq!(curve(&fixture), 20);
    fixture.logs[0].append(&one_step(21, 3.0)).unwrap();
    let effects = fixture.runs.on_tick(&fixture.shared);
    fixture.settle(effects);
    assert_eq!(curve(&fixture), 21);
    for _ in 0..LIST_EVERY {
        let effects = fixture.runs.on_tick(&fixture.shared);
        fixture.settle(effects);
    }
    assert!(fixture.text((120, 36)).contains("21/120"));
    fixture.logs[0].append(&Event::Ended(Ended::now(Outcome::Stopped, None))).unwrap();
    let effects = fixture.runs.on_news(&News::TrainingEnded, &fixture.shared);
    fixture.settle(effects);
    assert!(!fixture.runs.wants_tick());
    assert!(fixture.text((120, 36)).contains("stopped"));
}

#[test]
fn without_runs_it_says_what_to_do() {
    let mut fixture = Fixture::new();
    fixture.show();
    insta::assert_snapshot!(fixture.drawn((80, 24)).backend());
}
