use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::config::{self, Workspace};
use crate::run::log::Log;
use crate::run::manifest::{Data, Manifest};
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
        config: config::parse(Path::new("c.yaml"), &text).unwrap(),
        data: Data {
            hash: "0123456789abcdef".into(),
            train: (0..40).map(|i| format!("tier1/pair-{i}")).collect(),
            validation: vec!["tier2/held-out".into()],
        },
        ..Manifest::sample()
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

/// Draws samples of the canaries for a run and reads them blind: A shifted, B not.
fn read_canaries(fixture: &Fixture, run: &str) {
    use crate::review::verdict::{self, ArmName, Outcome as Said, Pick, Reading, Score, Shown, Verdict};
    let runs = fixture.dir.path().join("runs");
    let arms = ["llama-base", "llama-tuned"].map(|arm| ArmName::new(run, arm).unwrap());
    let sentence = "The hives stood in a row, and nobody came. It rained (as ever) for most of June: we waited. ";
    for (prompt, sample) in ["A", "B", "C"].into_iter().flat_map(|prompt| (0..3).map(move |sample| (prompt, sample))) {
        for (at, arm) in arms.iter().enumerate() {
            let drawn = crate::run::protocol::Sample {
                prompt: prompt.into(),
                arm: arm.arm().into(),
                sample,
                seed: 42,
                step: None,
                ids: vec![],
                text: sentence.repeat(3 + 2 * at + sample),
                finish: crate::run::protocol::Finish::Stop,
            };
            let sampling =
                crate::run::protocol::Sampling { temperature: 0.8, top_p: 0.9, top_k: 50, repetition_penalty: 1.1, max_new_tokens: 200 };
            crate::run::outputs::append(&runs.join(run), &crate::run::outputs::Output::new(&drawn, "What?", 20, sampling)).unwrap();
        }
        let scores = arms.iter().cloned().zip([2, if prompt == "A" { 4 } else { 2 }]);
        let scores = scores.map(|(arm, score)| (arm, [("rhythm".to_owned(), Score::new(score).unwrap())].into()));
        let reading = Reading {
            prompt: prompt.into(),
            temperature: None,
            seed: 0,
            shown: arms.iter().map(|arm| Shown::new(arm.clone(), sample, "")).collect(),
            blind: true,
            outcome: if prompt == "A" { Said::Best(vec![arms[1].clone()]) } else { Said::Tie },
            scores: scores.collect(),
            comment: String::new(),
            replaces: None,
        };
        if prompt != "C" {
            verdict::append(&runs, &Verdict::new(reading, format!("2026-11-22T10:00:0{sample}Z"))).unwrap();
        }
    }
    let shown = Shown::new(arms[1].clone(), 2, "");
    verdict::append_pick(&runs, &Pick { time: "2026-11-22T11:00:00Z".into(), prompt: "A".into(), temperature: None, shown }).unwrap();
}

#[test]
fn what_the_canaries_say_of_every_run() {
    let mut fixture = Fixture::filled();
    read_canaries(&fixture, "2026-11-20-first");
    fixture.show();
    assert!(fixture.text((200, 60)).contains("memorised"), "in the table");
    fixture.act(Action::RunCanaries);
    insta::assert_snapshot!("canaries_80x24", fixture.drawn((80, 40)).backend());
    let text = fixture.text((140, 60));
    for present in [
        "2.00 → 4.00 (+2.00), 3 and 3 readings: shifted",
        "base won 0, tuned 3 of 3; picked: tuned sample 3",
        "not scored yet",
        "No samples yet",
        "stopped",
        "The rule",
        "Blind readings only",
    ] {
        assert!(text.contains(present), "{present} in {text}");
    }
    fixture.act(Action::RunCanaries);
    assert_eq!(fixture.runs.mode, Mode::Table);
}

#[test]
fn where_temperatures_cannot_be_told_apart_nothing_is_counted() {
    let mut fixture = Fixture::filled();
    read_canaries(&fixture, "2026-11-20-first");
    let settings = fixture.dir.path().join("configs/sampling.yaml");
    fs::write(&settings, "temperature: warm\n").unwrap();
    fixture.show();
    let counted = |fixture: &Fixture| {
        let rows = fixture.runs.entries().iter().filter_map(|entry| entry.run.as_ref().ok());
        rows.filter(|row| row.canaries.is_some() || row.rubric.is_some() || row.sheet.is_some()).count()
    };
    assert_eq!(counted(&fixture), 0);
    for shown in [
        fixture.text((200, 60)),
        {
            fixture.act(Action::RunDetails);
            fixture.text((100, 40))
        },
        {
            fixture.act(Action::RunCanaries);
            fixture.text((100, 40))
        },
    ] {
        assert!(shown.contains("no reading is counted until this is mended") && shown.contains("sampling.yaml"), "{shown}");
        assert!(!shown.contains("No samples yet"), "{shown}");
    }
    fs::remove_file(settings).unwrap();
    fixture.act(Action::RunCanaries);
    fixture.act(Action::Reload);
    assert_eq!(counted(&fixture), 1);
    assert!(!fixture.text((200, 60)).contains("no reading is counted"));
}

#[test]
fn a_voice_is_measured_against_her_pieces() {
    let mut fixture = Fixture::filled();
    read_canaries(&fixture, "2026-11-20-first");
    let folder = fixture.dir.path().join("pairs/tier4");
    fs::create_dir_all(&folder).unwrap();
    for (at, words) in [30, 34, 40].into_iter().enumerate() {
        let piece: String = (0..words).map(|word| format!("word{} of it stood there. ", word % (20 + at))).collect();
        let text = format!("tier: 4\nsource: s{at}\nprompt: What?\nresponse: {piece:?}\nstatus: ready\n");
        fs::write(folder.join(format!("p{at}.yaml")), text).unwrap();
    }
    fixture.show();
    fixture.act(Action::Last);
    let place = fixture.names().iter().position(|name| *name == "first").unwrap();
    fixture.act(Action::First);
    (0..place).for_each(|_| _ = fixture.act(Action::Down));
    fixture.act(Action::RunVoice);
    insta::assert_snapshot!("voice_80x24", fixture.drawn((80, 60)).backend());
    insta::assert_snapshot!("voice_160x45", fixture.drawn((160, 45)).backend());
    fixture.act(Action::Leave);
    assert_eq!(fixture.runs.mode, Mode::Table);
    // A run without samples says so.
    fixture.act(Action::First);
    fixture.act(Action::RunVoice);
    let text = fixture.text((100, 30));
    assert!(text.contains("has no outputs"), "{text}");
}

#[test]
fn without_runs_it_says_what_to_do() {
    let mut fixture = Fixture::new();
    fixture.show();
    insta::assert_snapshot!(fixture.drawn((80, 24)).backend());
}
