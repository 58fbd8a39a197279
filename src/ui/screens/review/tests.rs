mod heat;
mod marks;
mod temperatures;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;

use super::shelf::{Arm as ShelfArm, Kind, Prompt, ReadRun, Shelf, Text};
use super::*;
use crate::config::Workspace;
use crate::review::verdict::{ArmName, Outcome, Pick, Verdict, Verdicts};
use crate::run::protocol::{self, Arm, Finish, Sampling};
use crate::run::work::{ReadingState, State, Waiting};
use crate::run::worker::Report;
use crate::ui::message::Io;
use crate::ui::settings::{Settings, ThemeChoice};
use crate::ui::theme::{Depth, Theme};
use crate::ui::work::{Order, ReadOrder, Work};

const USUAL: Temperature = Temperature::new(0.8);
const SAMPLING: Sampling = Sampling { temperature: 0.8, top_p: 0.9, top_k: 50, repetition_penalty: 1.1, max_new_tokens: 200 };

fn shared() -> Shared {
    Shared {
        workspace: Workspace::open(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap(),
        settings: Settings { theme: ThemeChoice::Mono, frame_rate: 30, keys: BTreeMap::new() },
        keymap: Keymap::new(&BTreeMap::new()).unwrap(),
        theme: Theme::new(ThemeChoice::Mono, Depth::None),
        work: Work::default(),
        clipboard: String::new(),
    }
}

fn prompt(id: &str, kind: Kind, long: bool) -> Prompt {
    let about = if kind == Kind::Canary { "known topic, short" } else { "" };
    Prompt { kind, long, name: id.into(), id: id.into(), about: about.into(), ..Prompt::free(&format!("What of {id}?")) }
}

fn text(arm: &str, sample: usize) -> Text {
    let sentence = format!("This is what {} came to in sample {sample}, and it goes on for a while.", arm.len());
    let text = vec![sentence; 9].join(" ").replacen(". ", ".\n\n", 1);
    Text { text, ids: vec![1, 2, 3], finish: Finish::Stop, step: 20, is_current: true }
}

/// Two runs; three samples of A in every arm, nothing of the rest.
fn shelf() -> Shelf {
    let models = ["llama", "gpt2"];
    let run = |model: &str| ReadRun {
        folder: PathBuf::from("/runs").join(model),
        name: model.to_owned(),
        step: Some(20),
        is_training: false,
        takes_long: model == "llama",
        sampling: SAMPLING,
        trained: Default::default(),
    };
    let mut arms = vec![];
    for (at, model) in models.iter().enumerate() {
        for arm in [Arm::Base, Arm::Tuned] {
            let title = arm.named(model);
            arms.push(ShelfArm { name: ArmName::new(model, &title).unwrap(), run: at, arm, title });
        }
    }
    let mut prompts = vec![
        prompt("A", Kind::Canary, false),
        prompt("C", Kind::Canary, true),
        prompt("tier1-quiet-car-12345678", Kind::HeldOut, true),
        prompt("prompt-12345678", Kind::Free, false),
    ];
    for prompt in &mut prompts {
        prompt.texts = vec![BTreeMap::new(); 4];
    }
    for (arm, texts) in arms.iter().zip(&mut prompts[0].texts) {
        texts.extend((0..3).map(|sample| ((USUAL, sample), text(&arm.title, sample))));
    }
    let rubric = shared().workspace.rubric().unwrap();
    Shelf {
        runs: models.map(run).to_vec(),
        arms,
        prompts,
        verdicts: Verdicts::default(),
        rubric,
        seed: 42,
        samples: 3,
        temperature: USUAL,
        compared: [0.5, 0.8, 1.2].map(Temperature::from).to_vec(),
        problems: vec![],
    }
}

fn review(shelf: Shelf, shared: &Shared) -> Review {
    let mut review = Review::default();
    review.on_done(&crate::ui::tasks::Done::Review(Done::Read(Box::new(Ok(shelf)))), shared);
    review
}

fn drawn(review: &Review, shared: &Shared, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| review.view(frame, frame.area(), shared)).unwrap();
    terminal
}

fn text_of(terminal: &Terminal<TestBackend>) -> String {
    let buffer = terminal.backend().buffer();
    (0..buffer.area.height).map(|y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>() + "\n").collect()
}

fn titles(review: &Review, shared: &Shared) -> Vec<String> {
    review.spread(shared).unwrap().panes.into_iter().map(|pane| pane.title).collect()
}

fn act(review: &mut Review, shared: &Shared, actions: &[Action]) -> Vec<Effect> {
    actions.iter().flat_map(|&action| review.act(action, shared)).collect()
}

/// The verdict that was sent to disk; it is on record from then on.
fn recorded(review: &mut Review, shared: &Shared, effects: Vec<Effect>) -> Verdict {
    let mut tasks = effects.into_iter().filter_map(|effect| match effect {
        Effect::Do(Io::Task(crate::ui::tasks::Task::Review(Task::Judge { verdict, .. }))) => Some(verdict),
        _ => None,
    });
    let verdict = tasks.next_back().unwrap();
    verdict.reading.check().unwrap();
    verdict.reading.check_scores(&review.shelf.as_ref().unwrap().rubric, review.prompt().unwrap().long).unwrap();
    let mut verdicts = review.shelf.as_ref().unwrap().verdicts.clone();
    verdicts.verdicts.retain(|other| Some(&other.id) != verdict.reading.replaces.as_ref());
    verdicts.verdicts.push((*verdict).clone());
    let done = Done::Judged { verdict: verdict.clone(), verdicts: Ok(Box::new(verdicts)) };
    review.on_done(&crate::ui::tasks::Done::Review(done), shared);
    *verdict
}

#[test]
fn it_looks_right_at_every_size() {
    let shared = shared();
    let mut review = review(shelf(), &shared);
    insta::assert_snapshot!("blind_80x24", drawn(&review, &shared, 80, 22).backend());
    insta::assert_snapshot!("blind_120x36", drawn(&review, &shared, 120, 34).backend());
    insta::assert_snapshot!("blind_200x60", drawn(&review, &shared, 200, 58).backend());
    act(&mut review, &shared, &[Action::NextPane, Action::Best, Action::ScoreArms, Action::Score4, Action::Score2]);
    insta::assert_snapshot!("rating_80x24", drawn(&review, &shared, 80, 22).backend());
    insta::assert_snapshot!("rating_120x36", drawn(&review, &shared, 120, 34).backend());
    let effects = review.act(Action::Submit, &shared);
    recorded(&mut review, &shared, effects);
    insta::assert_snapshot!("revealed_120x36", drawn(&review, &shared, 120, 34).backend());
    insta::assert_snapshot!("revealed_200x60", drawn(&review, &shared, 200, 58).backend());
    // However narrow, each arm's wins are told.
    for (width, height) in [(80, 22), (120, 34), (160, 43), (200, 58)] {
        let text = text_of(&drawn(&review, &shared, width, height));
        let (_, tally) = text.split_once("Won so far at 0.8: ").unwrap();
        ["llama-base", "llama-tuned", "gpt2-base", "gpt2-tuned"]
            .iter()
            .for_each(|arm| assert!(tally.contains(arm), "{arm} at {width}: {text}"));
        assert_eq!(tally.contains("strength"), width >= 160, "{width}: {text}");
    }
    act(&mut review, &shared, &[Action::PreviousPane, Action::Down]);
    insta::assert_snapshot!("no_samples_80x24", drawn(&review, &shared, 80, 22).backend());
    let none = Shelf { runs: vec![], arms: vec![], prompts: vec![], ..shelf() };
    insta::assert_snapshot!("no_runs_80x24", drawn(&super::tests::review(none, &shared), &shared, 80, 22).backend());
}

#[test]
fn names_are_hidden_until_the_verdict_is_in() {
    let shared = shared();
    let mut review = review(shelf(), &shared);
    assert_eq!(titles(&review, &shared), ["Pane 1", "Pane 2", "Pane 3", "Pane 4"]);
    let order: Vec<usize> = review.spread(&shared).unwrap().panes.iter().map(|pane| pane.arm).collect();
    assert!(review.act(Action::Submit, &shared).iter().all(|effect| matches!(effect, Effect::Notify(_))), "without an outcome");
    let effects = act(&mut review, &shared, &[Action::NextPane, Action::NextPane, Action::Best, Action::Submit]);
    assert_eq!(titles(&review, &shared)[0], "Pane 1", "not before it is on disk");
    assert!(review.at_stake().is_some());
    let verdict = recorded(&mut review, &shared, effects);
    assert_eq!(review.at_stake(), None);
    let shelf = review.shelf.as_ref().unwrap();
    assert!(verdict.reading.blind);
    assert_eq!(verdict.reading.outcome, Outcome::Best(vec![shelf.arms[order[1]].name.clone()]));
    // Revealed where they lay.
    let names: Vec<&str> = order.iter().map(|&arm| shelf.arms[arm].title.as_str()).collect();
    assert_eq!(titles(&review, &shared), names);
    // The next sample is another reading.
    review.act(Action::NextSample, &shared);
    assert_eq!(titles(&review, &shared)[0], "Pane 1");
}

#[test]
fn a_correction_is_a_new_verdict() {
    let shared = shared();
    let mut review = review(shelf(), &shared);
    let effects = act(&mut review, &shared, &[Action::Tie, Action::ScoreArms, Action::Score3, Action::Submit]);
    let first = recorded(&mut review, &shared, effects);
    let effects = review.comment("the second thought", &shared);
    assert!(effects.is_empty());
    let effects = review.act(Action::Submit, &shared);
    let mended = recorded(&mut review, &shared, effects);
    assert_eq!(mended.reading.replaces.as_ref(), Some(&first.id));
    assert_eq!((&mended.reading.scores, mended.reading.blind), (&first.reading.scores, true));
    let effects = act(&mut review, &shared, &[Action::AllBad, Action::Submit]);
    let other = recorded(&mut review, &shared, effects);
    assert_eq!((other.reading.replaces.as_ref(), other.reading.blind), (Some(&mended.id), false));
}

#[test]
fn what_was_seen_with_names_is_not_blind() {
    let shared = shared();
    let mut review = review(shelf(), &shared);
    act(&mut review, &shared, &[Action::Blind]);
    assert_eq!(titles(&review, &shared), ["llama-base", "llama-tuned", "gpt2-base", "gpt2-tuned"]);
    let effects = act(&mut review, &shared, &[Action::Blind, Action::Tie, Action::Submit]);
    assert!(!recorded(&mut review, &shared, effects).reading.blind);
    let effects = act(&mut review, &shared, &[Action::NextSample, Action::Tie, Action::Submit]);
    assert!(recorded(&mut review, &shared, effects).reading.blind, "the next sample was not seen");
}

#[test]
fn scoring_moves_on() {
    let shared = shared();
    let mut review = review(shelf(), &shared);
    act(&mut review, &shared, &[Action::ScoreArms]);
    // Six dimensions are asked of a short prompt.
    act(&mut review, &shared, &[Action::Score1, Action::Score2, Action::Score3, Action::Score4, Action::Score5, Action::Score1]);
    assert!(matches!(review.mode, Mode::Rating(0)) && review.pane == 1);
    act(&mut review, &shared, &[Action::Score5; 18]);
    assert!(matches!(review.mode, Mode::Reading));
    let effects = act(&mut review, &shared, &[Action::Tie, Action::Submit]);
    let scores = recorded(&mut review, &shared, effects).reading.scores;
    assert_eq!((scores.len(), scores.values().map(BTreeMap::len).sum::<usize>()), (4, 24));
}

#[test]
fn samples_are_those_of_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = shelf();
    shelf.runs[0].folder = folder.path().to_owned();
    let asked = Prompt { texts: vec![], ..shelf.prompts[0].clone() };
    let write = |sample, text: &str, prompt_text: &str, checkpoint| {
        let drawn = protocol::Sample {
            prompt: "A".into(),
            arm: "llama-base".into(),
            sample,
            seed: 42 + sample as u64,
            step: None,
            ids: vec![],
            text: text.into(),
            finish: Finish::Stop,
        };
        let output = crate::run::outputs::Output::new(&drawn, prompt_text, checkpoint, SAMPLING);
        crate::run::outputs::append(folder.path(), &output).unwrap();
    };
    write(0, "first", &asked.text, 20);
    write(0, "drawn again", &asked.text, 20);
    write(1, "of an old checkpoint", &asked.text, 10);
    write(2, "of an old prompt", "What of old?", 20);
    let found = shelf::texts(&asked, &shelf.arms[0], &shelf.runs[0], 42, &mut vec![]);
    assert_eq!(
        found.into_iter().map(|(sample, text)| (sample, text.text, text.is_current)).collect::<Vec<_>>(),
        [((USUAL, 0), "drawn again".into(), true)]
    );
    assert!(shelf::texts(&asked, &shelf.arms[1], &shelf.runs[0], 42, &mut vec![]).is_empty());
}

#[test]
fn a_prompt_that_is_a_draft_of_hers_has_her_finished_text() {
    let (pairs, _) = crate::pairs::load(&shared().workspace.pairs());
    let draft = pairs.iter().find(|pair| pair.tier == crate::pairs::Tier::Draft).unwrap();
    let known = Prompt::free(draft.prompt.trim_end()).known_from(&pairs);
    assert_eq!((known.about, known.long), (format!("the draft of {}", draft.id), true));
    assert_eq!((known.finished.as_ref(), known.response.as_ref()), (Some(&draft.response), Some(&draft.response)));
    let other = Prompt::free("What of clocks?").known_from(&pairs);
    assert_eq!((other.about.as_str(), other.long, other.finished), ("", false, None));
}

#[test]
fn a_run_in_progress_shows_what_it_writes_now() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = shelf();
    shelf.runs[0].folder = folder.path().to_owned();
    shelf.runs[0].is_training = true;
    let output = |arm: &str, sample, checkpoint| {
        let drawn = protocol::Sample {
            prompt: "A".into(),
            arm: arm.into(),
            sample,
            seed: 42 + sample as u64,
            step: Some(checkpoint),
            ids: vec![],
            text: format!("at {checkpoint}"),
            finish: Finish::Stop,
        };
        crate::run::outputs::Output::new(&drawn, "What of A?", checkpoint, SAMPLING)
    };
    let steps = |texts: &shelf::Texts| texts.values().map(|text| (text.step, text.is_current)).collect::<Vec<_>>();
    for (sample, step) in [(0, 20), (1, 20), (0, 31), (1, 31)] {
        crate::run::outputs::append(folder.path(), &output("llama-base", sample, step)).unwrap();
    }
    let asked = shelf.prompts[0].clone();
    let found = shelf::texts(&asked, &shelf.arms[0], &shelf.runs[0], 42, &mut vec![]);
    assert_eq!(steps(&found), [(31, false); 2], "and may be asked again");

    // What is drawn at a later step takes the place of all that the run wrote before; the other run's texts stay.
    shelf.add(folder.path(), &output("llama-tuned", 0, 35));
    let texts = &shelf.prompts[0].texts;
    assert_eq!([0, 1, 2, 3].map(|arm| texts[arm].len()), [0, 1, 3, 3]);
    assert_eq!(steps(&texts[1]), [(35, false)]);
}

#[test]
fn picks_are_compared_apart() {
    let shared = shared();
    let mut review = review(shelf(), &shared);
    review.act(Action::ComparePicks, &shared);
    assert_eq!(review.at, At::Sample(0), "nothing is picked");
    let shelf = review.shelf.as_mut().unwrap();
    for (arm, sample) in [(0, 1), (3, 2)] {
        let name = shelf.arms[arm].name.clone();
        let shown = crate::review::verdict::Shown::new(name.clone(), sample, &text(&shelf.arms[arm].title, sample).text);
        let temperature = Some(USUAL);
        shelf.verdicts.picks.insert(("A".into(), name, temperature), Pick { time: String::new(), prompt: "A".into(), temperature, shown });
    }
    review.act(Action::ComparePicks, &shared);
    let effects = act(&mut review, &shared, &[Action::AllBad, Action::Submit]);
    let mut shown = recorded(&mut review, &shared, effects).reading.shown;
    shown.sort_by_key(|shown| shown.sample);
    assert_eq!(shown.iter().map(|shown| (shown.arm.arm(), shown.sample)).collect::<Vec<_>>(), [("llama-base", 1), ("gpt2-tuned", 2)]);
}

#[test]
fn every_run_is_asked_what_it_lacks() {
    let shared = shared();
    let check = |review: &mut Review, expected: &[&str]| {
        let effects = review.act(Action::Generate, &shared);
        let runs: Vec<_> = (effects.iter())
            .filter_map(|effect| match effect {
                Effect::Order(Order::Read(order)) => Some(order.run.file_name().unwrap().to_str().unwrap()),
                _ => None,
            })
            .collect();
        assert_eq!(runs, expected);
    };
    let mut review = review(shelf(), &shared);
    check(&mut review, &[]);
    review.shelf.as_mut().unwrap().prompts[0].texts[2].remove(&(USUAL, 1));
    check(&mut review, &["gpt2"]);
    review.act(Action::Down, &shared);
    check(&mut review, &["llama"]);
    review.act(Action::Down, &shared);
    check(&mut review, &["llama", "gpt2"]);
}

/// The work after both runs were asked about the held-out pair and the first one wrote this.
fn writing(shelf: &Shelf, base: &str, tuned: &str) -> Work {
    let mut work = Work::default();
    let id = &shelf.prompts[2].id;
    let order = |run: &ReadRun| ReadOrder {
        run: run.folder.clone(),
        arms: vec![Arm::Base, Arm::Tuned],
        prompts: vec![(id.clone(), "What?".into())],
        samples: None,
        temperature: None,
    };
    let reading = ReadingState { prompt: Some(id.clone()), total: 6, ..ReadingState::new(order(&shelf.runs[0])) };
    let queue = shelf.runs[1..].iter().map(|run| Waiting { ticket: 2, order: order(run).into() }).collect();
    work.on_report(Report::State(Box::new(State { reading: Some(reading), queue, ..State::default() })));
    for (arm, text) in [(Arm::Base, base), (Arm::Tuned, tuned)] {
        work.on_report(Report::Text(protocol::Text { prompt: id.clone(), arm, sample: 0, text: text.into() }));
    }
    work
}

#[test]
fn what_is_being_written_does_not_tell_the_arms_apart() {
    let mut shared = shared();
    let mut review = review(shelf(), &shared);
    act(&mut review, &shared, &[Action::Down, Action::Down]);
    shared.work = writing(review.shelf.as_ref().unwrap(), "The hives were", "The");
    let contents = |review: &Review| {
        let spread = review.spread(&shared).unwrap();
        let text = |pane: &spread::Pane| match &pane.content {
            Content::Written(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        spread.panes.iter().map(text).collect::<Vec<_>>()
    };
    // The second model has not begun: nothing is shown of the first.
    assert_eq!(contents(&review), ["", "", "", ""]);
    assert!(review.act(Action::Tie, &shared).iter().all(|effect| matches!(effect, Effect::Notify(_))));
    assert_eq!(review.at_stake(), None);
    review.act(Action::Blind, &shared);
    assert_eq!(contents(&review), ["The hives were", "The", "", ""]);
    // With one model alone, its arms go in step.
    review.act(Action::Blind, &shared);
    let shelf = review.shelf.as_mut().unwrap();
    shelf.runs.truncate(1);
    shelf.arms.truncate(2);
    assert_eq!(contents(&review), ["The", "The"]);
}

#[test]
fn nothing_it_is_asked_makes_it_fall_over() {
    let mut shared = shared();
    let actions: Vec<Action> = crate::ui::keys::TABLE.iter().map(|entry| entry.action).collect();
    let mut review = review(shelf(), &shared);
    let mut seed = 7_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    for step in 0..2000 {
        if step == 1000 {
            shared.work = writing(review.shelf.as_ref().unwrap(), "The hives", "");
        }
        review.act(actions[next(actions.len())], &shared);
        if step % 10 == 0 {
            let (width, height) = (40 + next(200) as u16, 10 + next(80) as u16);
            drawn(&review, &shared, width, height);
            let at = (next(240) as u16, next(90) as u16);
            let kind = [MouseEventKind::Down(MouseButton::Left), MouseEventKind::ScrollDown, MouseEventKind::ScrollUp][next(3)];
            let mouse = MouseEvent { kind, column: at.0, row: at.1, modifiers: crossterm::event::KeyModifiers::NONE };
            review.on_mouse(mouse, Rect::new(0, 0, width, height), &shared);
        }
    }
}
