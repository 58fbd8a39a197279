//! The heat map: what is asked for, and how it looks in colours and without.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use super::*;
use crate::run::protocol::Rival;
use crate::run::scores::{ArmScores, Scores};
use crate::run::scoring::Subject;
use crate::ui::screens::review::tasks::Ready;
use crate::ui::work::{News, ScoredText};

fn themed(choice: ThemeChoice, depth: Depth) -> Shared {
    Shared { theme: Theme::new(choice, depth), ..shared() }
}

/// The shelf with a held-out pair that the writer has answered.
fn answered() -> Shelf {
    let mut shelf = shelf();
    let prompt = &mut shelf.prompts[2];
    prompt.response = Some("The hall is shut.\n\nNobody says why 🜛.".into());
    prompt.finished.clone_from(&prompt.response);
    shelf
}

/// The scores of the writer's answer; each token costs the base a nat more than the one before, the fine-tuned arm half of that.
fn scores() -> Scores {
    let text = "The hall is shut.\n\nNobody says why 🜛.";
    // The emoji is two tokens; the last one is the end.
    let pieces = ["The", " hall", " is", " shut", ".", "\n\n", "Nobody", " says", " why", " ", "", "🜛", ".", ""];
    let ends: Vec<usize> = pieces
        .iter()
        .scan(0, |at, piece| {
            *at += piece.chars().count();
            Some(*at)
        })
        .collect();
    let arm = |share: f32| ArmScores {
        logprobs: std::iter::once(-1.0).chain((0..ends.len()).map(|i| -share * i as f32 * 0.75)).collect(),
        rivals: ends.iter().map(|_| Rival { text: " a\n".into(), logprob: -1.5 }).collect(),
    };
    let (base, mut tuned) = (arm(1.0), arm(0.5));
    tuned.logprobs[2] = -4.0;
    Scores {
        prompt: "tier1-quiet-car-12345678".into(),
        prompt_text: "What?".into(),
        checkpoint: 20,
        ids: vec![0; ends.len() + 2],
        from: 2,
        text: text.into(),
        ends,
        left_out: 0,
        base,
        tuned,
        time: String::new(),
    }
}

/// The ticket and the subject of the text that is asked for.
fn asked(effects: &[Effect]) -> (u64, PathBuf, Subject) {
    let task = |effect: &Effect| match effect {
        Effect::Do(Io::Task(crate::ui::tasks::Task::Review(Task::Score { ticket, run, subject, .. }))) => {
            Some((*ticket, run.clone(), subject.clone()))
        }
        _ => None,
    };
    effects.iter().find_map(task).unwrap_or_else(|| panic!("{effects:?}"))
}

fn ready(review: &mut Review, shared: &Shared, ticket: u64, ready: Result<Ready, String>) -> Vec<Effect> {
    review.on_done(&crate::ui::tasks::Done::Review(Done::Scoring { ticket, ready }), shared)
}

/// The heat map of the writer's own answer.
fn opened(shared: &Shared) -> Review {
    let mut review = review(answered(), shared);
    act(&mut review, shared, &[Action::Down, Action::Down]);
    let (ticket, _, subject) = asked(&review.act(Action::HeatMap, shared));
    assert!(matches!(subject, Subject::Text(text) if text.starts_with("The hall")));
    assert!(ready(&mut review, shared, ticket, Ok(Ready::Kept(Box::new(scores())))).is_empty());
    review
}

/// Rows of the screen with their looks: a stretch stands in brackets after its step (`3`; `-2` where the fine-tuned arm is less surprised,
/// `+2` where more) or its modifiers and the colour of its letters.
fn markup(buffer: &Buffer, rows: std::ops::Range<u16>, theme: &Theme) -> String {
    let step = |style: Style| {
        let is = |of: &Style| style.bg == of.bg && style.bg.is_some_and(|bg| bg != Color::Reset);
        let found = |steps: &[Style], sign: &str| steps.iter().position(is).map(|at| format!("{sign}{at}"));
        found(&theme.surprise, "").or_else(|| found(&theme.less, "-")).or_else(|| found(&theme.more, "+")).unwrap_or_default()
    };
    let looks = |x: u16, y: u16| {
        let style = buffer[(x, y)].style();
        let letters =
            [(Modifier::BOLD, 'b'), (Modifier::DIM, 'd'), (Modifier::ITALIC, 'i'), (Modifier::UNDERLINED, 'u'), (Modifier::REVERSED, 'r')];
        let modifiers: String =
            letters.iter().filter(|(modifier, _)| style.add_modifier.contains(*modifier)).map(|(_, letter)| *letter).collect();
        let letter = match style.fg {
            Some(Color::DarkGray) => "grey ",
            Some(Color::Yellow) => "yellow ",
            Some(Color::Red) => "red ",
            Some(Color::Green) => "green ",
            Some(Color::Magenta) => "magenta ",
            _ => "",
        };
        format!("{letter}{}{modifiers}", step(style))
    };
    let mut out = String::new();
    for y in rows {
        let (mut line, mut last) = (String::new(), String::new());
        for x in 0..buffer.area.width {
            let here = looks(x, y);
            if here != last {
                if !last.is_empty() {
                    line.push(']');
                }
                if !here.is_empty() {
                    line.push_str(&format!("{here}["));
                }
                last = here;
            }
            line.push_str(buffer[(x, y)].symbol());
        }
        if !last.is_empty() {
            line.push(']');
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[test]
fn shades_look_right_in_colours_and_without() {
    for (name, choice, depth) in [
        ("dark", ThemeChoice::Dark, Depth::True),
        ("indexed", ThemeChoice::Light, Depth::Indexed),
        ("sixteen", ThemeChoice::Sixteen, Depth::Sixteen),
        ("mono", ThemeChoice::Mono, Depth::None),
    ] {
        let shared = themed(choice, depth);
        let mut review = opened(&shared);
        act(&mut review, &shared, &[Action::MoveRight, Action::MoveRight]);
        let tuned = markup(drawn(&review, &shared, 80, 16).backend().buffer(), 0..16, &shared.theme);
        review.act(Action::HeatView, &shared);
        let difference = markup(drawn(&review, &shared, 80, 16).backend().buffer(), 3..16, &shared.theme);
        insta::assert_snapshot!(format!("heat_{name}"), format!("{tuned}\n=== difference\n{difference}"));
    }
}

#[test]
fn wide_screens_show_the_views_side_by_side() {
    let shared = shared();
    let review = opened(&shared);
    insta::assert_snapshot!("heat_120x36", drawn(&review, &shared, 120, 34).backend());
    insta::assert_snapshot!("heat_200x60", drawn(&review, &shared, 200, 58).backend());
}

#[test]
fn the_cursor_finds_the_surprises() {
    let shared = shared();
    let mut review = opened(&shared);
    let shown = |review: &Review| {
        let screen = drawn(review, &shared, 100, 20).backend().to_string();
        screen.lines().find(|line| line.contains("difference")).unwrap().trim_matches(['"', ' ']).split("   ").next().unwrap().to_owned()
    };
    assert_eq!(shown(&review), "“The”");
    review.act(Action::Last, &shared);
    assert_eq!(shown(&review), "the end");
    review.act(Action::First, &shared);
    // By the fine-tuned arm nothing surprises greatly before the emoji, which is two tokens.
    review.act(Action::NextChange, &shared);
    let screen = drawn(&review, &shared, 100, 20).backend().to_string();
    assert!(screen.contains("2 tokens together") && screen.contains("“🜛"), "{screen}");
    act(&mut review, &shared, &[Action::PreviousChange, Action::MoveLeft, Action::MoveRight, Action::Up, Action::PageDown, Action::Down]);
    assert!(drawn(&review, &shared, 60, 12).backend().to_string().contains("Surprisal"));
}

#[test]
fn blind_reading_stays_blind() {
    let shared = shared();
    let mut review = review(answered(), &shared);
    let effects = review.act(Action::HeatMap, &shared);
    assert!(matches!(&effects[..], [Effect::Notify(notice)] if notice.text.contains("which arm wrote")), "{effects:?}");
    // With the names shown the sample is scored, by the tokens that its model drew; by the other run's model it is a text.
    act(&mut review, &shared, &[Action::Blind]);
    let (_, run, subject) = asked(&review.act(Action::HeatMap, &shared));
    assert_eq!((run, subject), (PathBuf::from("/runs/llama"), Subject::Drawn { ids: vec![1, 2, 3], ended: true }));
    let (_, run, subject) = asked(&review.act(Action::HeatModel, &shared));
    assert!(run.ends_with("gpt2") && matches!(subject, Subject::Text(_)));
    review.act(Action::HeatMap, &shared);
    assert!(drawn(&review, &shared, 120, 34).backend().to_string().contains("llama-base"), "closed again");
}

#[test]
fn texts_are_walked_and_late_answers_are_passed_over() {
    let shared = shared();
    let mut review = opened(&shared);
    // Her answer, then her draft, unchanged.
    let (draft, _, subject) = asked(&review.act(Action::HeatText, &shared));
    assert_eq!(subject, Subject::Text("What of tier1-quiet-car-12345678?".into()));
    let (own, ..) = asked(&review.act(Action::HeatText, &shared));
    assert!(ready(&mut review, &shared, draft, Err("too late".into())).is_empty());
    assert!(!drawn(&review, &shared, 100, 20).backend().to_string().contains("too late"));
    ready(&mut review, &shared, own, Err("the prompt leaves no room".into()));
    assert!(drawn(&review, &shared, 100, 20).backend().to_string().contains("the prompt leaves no room"));
    // What a model said while it trained says so.
    let (ticket, ..) = asked(&review.act(Action::HeatText, &shared));
    let text = Ok(Box::new(ScoredText { scores: scores(), step: Some(7) }));
    review.on_news(&News::Scored { ticket, text }, &shared);
    assert!(drawn(&review, &shared, 100, 20).backend().to_string().contains("at step 7 of training"));
}
