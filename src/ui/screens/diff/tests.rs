use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::tasks::{Edit, Listed};
use super::*;
use crate::config::Workspace;
use crate::pairs::Status;
use crate::ui::keys::Keymap;
use crate::ui::message::{Io, Level, Notice};
use crate::ui::settings::{Settings, ThemeChoice};
use crate::ui::tasks::{Desk, Task as AnyTask};
use crate::ui::theme::{Depth, Theme};
use crate::ui::work::Work;

const DRAFT: &str = "I have always liked bees. The hives stood in a row behind the old house. Nobody came that year, which was odd. It \
                     rained for most of June.\n\nMy uncle smoked a pipe. He said the smoke calmed them. We waited by the fence for him to \
                     finish.\n\nIn the end it is all about patience, and patience is about love. We sold the honey in jars.";
const TUNED: &str = "The hives stood in a row behind the new house. Nobody came that year, which was odd. It rained for most of June.\n\n\
                     He said the smoke calmed them. We waited by the fence for him to finish. The jars were warm for days.\n\nWe sold the \
                     honey in jars. I have always liked bees.";
const BASE: &str = "Bees are fascinating creatures. I have always liked bees. My uncle smoked a pipe.";
const FINISHED: &str = "The hives stood in a row behind the old house. It rained for most of June.\n\nMy uncle smoked a pipe. He said the \
                        smoke calmed them. We waited by the fence.\n\nWe sold the honey in jars.";

fn shared(theme: ThemeChoice) -> Shared {
    let depth = if theme == ThemeChoice::Mono { Depth::None } else { Depth::True };
    Shared {
        workspace: Workspace::open(std::path::Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap(),
        settings: Settings { theme, frame_rate: 30, keys: BTreeMap::new() },
        keymap: Keymap::new(&BTreeMap::new()).unwrap(),
        theme: Theme::new(theme, depth),
        work: Work::default(),
        clipboard: String::new(),
    }
}

fn revision(arm: &str, sample: usize, text: &str) -> Revision {
    Revision { arm: arm.into(), sample, text: text.into(), marks: None }
}

fn subject() -> DiffSubject {
    let revisions = vec![
        revision("llama-tuned", 0, TUNED),
        revision("llama-tuned", 1, BASE),
        revision("llama-base", 0, BASE),
        revision("llama-base", 1, DRAFT),
    ];
    DiffSubject { title: "tier1/hives".into(), draft: DRAFT.into(), revisions, shown: 0, finished: Some(FINISHED.into()) }
}

/// Does the tasks among the effects, and what follows from them; returns what is said to the writer.
fn settle(diff: &mut Diff, shared: &Shared, effects: Vec<Effect>) -> Vec<Notice> {
    let mut desk = Desk::new(shared.workspace.clone());
    let mut notices = vec![];
    let mut waiting = effects;
    while let Some(effect) = waiting.pop() {
        match effect {
            Effect::Do(Io::Task(AnyTask::Diff(task))) => waiting.extend(diff.on_done(&AnyDone::Diff(task.run(&mut desk)), shared)),
            Effect::Notify(notice) => notices.push(notice),
            other => panic!("not asked for: {other:?}"),
        }
    }
    notices
}

fn act(diff: &mut Diff, shared: &Shared, action: Action) -> Vec<Notice> {
    let effects = diff.act(action, shared);
    settle(diff, shared, effects)
}

fn opened(shared: &Shared) -> Diff {
    let mut diff = Diff::default();
    let effects = diff.on_open(Open::Diff(subject()), shared);
    assert!(settle(&mut diff, shared, effects).is_empty());
    diff
}

fn drawn(diff: &Diff, shared: &Shared, (width, height): (u16, u16)) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| diff.view(frame, frame.area(), shared)).unwrap();
    terminal
}

fn text(buffer: &Buffer) -> Vec<String> {
    let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..buffer.area.height).map(row).collect()
}

/// The rows with their styles as marks: `[-struck through-]`, `{+green+}`.
fn markup(buffer: &Buffer, theme: &Theme) -> Vec<String> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        None,
        Cut,
        New,
    }
    let mark = |x, y| {
        let cell = &buffer[(x, y)];
        let is_new = Some(cell.fg) == theme.new.fg && cell.fg != Color::Reset;
        match cell.modifier.contains(Modifier::CROSSED_OUT) {
            true => Mark::Cut,
            false if is_new => Mark::New,
            false => Mark::None,
        }
    };
    let (open, close) = (|m| ["", "[-", "{+"][m as usize], |m| ["", "-]", "+}"][m as usize]);
    let row = |y| {
        let (mut out, mut now) = (String::new(), Mark::None);
        for x in 0..buffer.area.width {
            let next = mark(x, y);
            if next != now {
                out.push_str(close(now));
                out.push_str(open(next));
                now = next;
            }
            out.push_str(buffer[(x, y)].symbol());
        }
        out + close(now)
    };
    (0..buffer.area.height).map(|y| row(y).trim_end().to_owned()).collect()
}

/// The subject, with marks on its first revision: it copied ten words.
fn copying() -> DiffSubject {
    let (tier, split) = (crate::pairs::Tier::Note, crate::pairs::Split::Auto);
    let response = "Everybody waited by the fence for him to finish. The jars were there.".to_owned();
    let (id, source, prompt, notes) = ("tier4/fence".into(), "fence".into(), String::new(), String::new());
    let pair = Pair { id, tier, source, prompt, response, status: Status::Ready, split, notes };
    let (trained, _) = crate::review::marks::Trained::on(&["tier4/fence".into()], &[pair]);
    let mut subject = subject();
    let marks = trained.marks(TUNED, &crate::review::marks::Asked::new(""));
    assert_eq!(
        marks.copied().map(|copied| copied.span.of(TUNED)).collect::<Vec<_>>(),
        ["waited by the fence for him to finish. The jars were"]
    );
    subject.revisions[0].marks = Some(std::rc::Rc::new(marks));
    subject
}

#[test]
fn copied_spans_are_underlined_and_without_colours_in_signs() {
    let shown = |theme, subject| {
        let shared = shared(theme);
        let mut diff = Diff::default();
        let effects = diff.on_open(Open::Diff(subject), &shared);
        settle(&mut diff, &shared, effects);
        let buffer = drawn(&diff, &shared, (90, 40)).backend().buffer().clone();
        let cells = (0..buffer.area.height).flat_map(|y| (0..buffer.area.width).map(move |x| (x, y)));
        let is_underlined = |&(x, y): &(u16, u16)| buffer[(x, y)].modifier.contains(Modifier::UNDERLINED);
        let underlined: String = cells.filter(is_underlined).map(|at| buffer[at].symbol()).collect();
        (text(&buffer).join("\n"), underlined)
    };
    let (rows, underlined) = shown(ThemeChoice::Dark, copying());
    assert_eq!(underlined, "waited by the fence for him to finish.The jars were");
    assert!(
        rows.contains("copied from the training pairs: 1 span of 11 words") && rows.contains("11 words of the response of tier4/fence"),
        "{rows}"
    );
    let (rows, _) = shown(ThemeChoice::Mono, copying());
    assert!(rows.contains("We [=waited by the fence for him to finish.=]") && rows.contains("[=The jars were=] warm"), "{rows}");
    let (rows, underlined) = shown(ThemeChoice::Mono, subject());
    assert!(!rows.contains("[=") && !rows.contains("copied") && underlined.is_empty(), "{rows}");
}

#[test]
fn copied_spans_are_walked_and_their_pair_is_opened() {
    let shared = shared(ThemeChoice::Dark);
    let mut diff = Diff::default();
    let effects = diff.on_open(Open::Diff(copying()), &shared);
    settle(&mut diff, &shared, effects);
    drawn(&diff, &shared, (90, 16));
    let notices = act(&mut diff, &shared, Action::Marks);
    assert_eq!(notices[0].text, "1 of 1: 11 words of the response of tier4/fence; enter opens the pair");
    let rows = text(drawn(&diff, &shared, (90, 16)).backend().buffer());
    assert!(rows.iter().any(|row| row.starts_with('▌') && row.contains("waited by the fence")), "{rows:#?}");
    let effects = diff.act(Action::Accept, &shared);
    assert!(matches!(&effects[..], [Effect::Open(Open::Pair(pair))] if pair == "tier4/fence"), "{effects:?}");
    // A text whose arm is not known, or which copied nothing.
    act(&mut diff, &shared, Action::NextArm);
    assert!(act(&mut diff, &shared, Action::Marks)[0].text.contains("once its name is known"));
    assert!(act(&mut diff, &shared, Action::Accept)[0].text.contains("once its name is known"));
}

#[test]
fn paragraphs_and_their_endings_are_shown() {
    let shared = shared(ThemeChoice::Mono);
    let mut diff = opened(&shared);
    act(&mut diff, &shared, Action::Paragraphs);
    insta::assert_snapshot!("paragraphs_80x24", drawn(&diff, &shared, (80, 24)).backend());
    insta::assert_snapshot!("paragraphs_120x36", drawn(&diff, &shared, (120, 36)).backend());
    act(&mut diff, &shared, Action::NextChange);
    let rows = text(drawn(&diff, &shared, (120, 36)).backend().buffer());
    assert!(rows.iter().any(|row| row.starts_with('▌') && row.contains("¶ 1")), "{rows:#?}");
    act(&mut diff, &shared, Action::WritersLane);
    insta::assert_snapshot!("paragraphs_three_lanes_160x30", drawn(&diff, &shared, (160, 30)).backend());
    act(&mut diff, &shared, Action::Paragraphs);
    assert!(!text(drawn(&diff, &shared, (120, 36)).backend().buffer()).iter().any(|row| row.contains('¶')));
}

#[test]
fn words_are_marked_by_their_style() {
    let shared = shared(ThemeChoice::Dark);
    let diff = opened(&shared);
    let rows = markup(drawn(&diff, &shared, (90, 40)).backend().buffer(), &shared.theme);
    let has = |text: &str| assert!(rows.iter().any(|row| row.contains(text)), "{text} in {rows:#?}");
    has("  ~ The hives stood in a row behind the [-old-]{+new+} house.");
    has("  - [-My uncle smoked a pipe.-]");
    has("  > (moved to paragraph 3): I have always liked bees.");
    has("  > (moved from paragraph 1): I have always liked bees.");
    let new: Vec<_> = rows.iter().filter(|row| row.contains("The jars were warm")).collect();
    assert!(new[0].contains("{+") && new[0].contains("+ "), "{new:?}");
}

#[test]
fn without_colour_the_words_have_signs() {
    let shared = shared(ThemeChoice::Mono);
    let rows = text(drawn(&opened(&shared), &shared, (90, 40)).backend().buffer());
    assert!(rows.iter().any(|row| row.contains("behind the [-old-]{+new+} house.")), "{rows:#?}");
}

#[test]
fn every_size_is_laid_out() {
    let shared = shared(ThemeChoice::Dark);
    let mut diff = opened(&shared);
    for size in [(80, 24), (120, 36), (200, 60)] {
        insta::assert_snapshot!(format!("two_texts_{}x{}", size.0, size.1), drawn(&diff, &shared, size).backend());
    }
    act(&mut diff, &shared, Action::WritersLane);
    for size in [(80, 24), (120, 36), (200, 60)] {
        insta::assert_snapshot!(format!("with_her_own_{}x{}", size.0, size.1), drawn(&diff, &shared, size).backend());
    }
    for width in 40..=130 {
        for height in [12, 13, 24, 100] {
            drawn(&diff, &shared, (width, height));
        }
    }
    drawn(&diff, &shared, (300, 100));
}

#[test]
fn changes_are_walked_and_the_current_one_is_marked() {
    let shared = shared(ThemeChoice::Dark);
    let mut diff = opened(&shared);
    let marked = |diff: &Diff| -> Vec<String> {
        let rows = text(drawn(diff, &shared, (110, 40)).backend().buffer());
        rows.into_iter().filter(|row| row.starts_with('▌')).map(|row| row.chars().skip(2).take(20).collect()).collect()
    };
    assert_eq!(marked(&diff), Vec::<String>::new());
    let mut seen = vec![];
    loop {
        let notices = act(&mut diff, &shared, Action::NextChange);
        if let Some(notice) = notices.first() {
            assert_eq!((notice.level, notice.text.as_str()), (Level::Info, "no change follows"));
            break;
        }
        seen.push(marked(&diff).remove(0));
    }
    let signs: String = seen.iter().map(|row| row.chars().next().unwrap()).collect();
    assert_eq!(signs, ">~--+>", "{seen:#?}");
    act(&mut diff, &shared, Action::PreviousChange);
    assert_eq!(marked(&diff)[0].chars().next(), Some('+'));
}

#[test]
fn arms_and_samples_are_walked() {
    let shared = shared(ThemeChoice::Dark);
    let mut diff = opened(&shared);
    let name = |diff: &Diff| {
        let rows = text(drawn(diff, &shared, (120, 40)).backend().buffer());
        let row = rows.into_iter().find(|row| row.contains("draft · ")).unwrap();
        row.split("│ ").nth(1).unwrap().trim().to_owned()
    };
    assert_eq!(name(&diff), "llama-tuned · sample 1 of 2 · 8 sentences");
    act(&mut diff, &shared, Action::NextSample);
    assert_eq!(name(&diff), "llama-tuned · sample 2 of 2 · 3 sentences");
    act(&mut diff, &shared, Action::NextSample);
    assert_eq!(name(&diff), "llama-tuned · sample 2 of 2 · 3 sentences");
    act(&mut diff, &shared, Action::NextArm);
    assert_eq!(name(&diff), "llama-base · sample 2 of 2 · 9 sentences");
    act(&mut diff, &shared, Action::PreviousSample);
    act(&mut diff, &shared, Action::NextArm);
    assert_eq!(name(&diff), "llama-tuned · sample 1 of 2 · 8 sentences");
}

#[test]
fn an_answer_that_comes_late_is_passed_over() {
    let shared = shared(ThemeChoice::Dark);
    let mut diff = opened(&shared);
    let first = diff.act(Action::NextArm, &shared);
    let second = diff.act(Action::NextArm, &shared);
    settle(&mut diff, &shared, second);
    settle(&mut diff, &shared, first);
    let reading = diff.reading.as_ref().unwrap();
    assert_eq!(reading.shown.as_ref().map(|shown| shown.revision), Some(0));
}

#[test]
fn the_place_in_the_text_outlives_width_and_arm() {
    let shared = shared(ThemeChoice::Dark);
    let mut diff = opened(&shared);
    let top = |diff: &Diff, size| {
        let rows = text(drawn(diff, &shared, size).backend().buffer());
        let head = rows.iter().position(|row| row.contains("draft · ")).unwrap();
        rows[head + 2].clone()
    };
    top(&diff, (60, 14));
    for _ in 0..8 {
        act(&mut diff, &shared, Action::Down);
    }
    let before = top(&diff, (60, 14));
    act(&mut diff, &shared, Action::Last);
    act(&mut diff, &shared, Action::First);
    for _ in 0..8 {
        act(&mut diff, &shared, Action::Down);
    }
    assert_eq!(top(&diff, (60, 14)), before);
    top(&diff, (110, 14));
    assert_eq!(top(&diff, (60, 14)), before);
}

#[test]
fn without_a_subject_her_own_drafts_are_there() {
    let shared = shared(ThemeChoice::Dark);
    let mut diff = Diff::default();
    let listed = |id: &str| Listed { id: id.into(), status: Status::Ready };
    diff.on_done(&AnyDone::Diff(Done::Listed(vec![listed("tier1/hives"), listed("tier1/the-long-way-home-by-the-river")])), &shared);
    for (id, revision) in [("tier1/hives", FINISHED), ("tier1/the-long-way-home-by-the-river", TUNED)] {
        let alignment = crate::review::align(DRAFT, revision);
        let edit = Edit { counts: crate::review::Counts::of(&alignment), ending: crate::review::paragraphs::piece_ending(&alignment) };
        diff.on_done(&AnyDone::Diff(Done::Measured { id: id.into(), edit: Some(edit) }), &shared);
    }
    for size in [(80, 24), (120, 36), (200, 60)] {
        insta::assert_snapshot!(format!("own_drafts_{}x{}", size.0, size.1), drawn(&diff, &shared, size).backend());
    }
    // Each share is whole at every width; on the narrowest screens they stand below the draft's name.
    insta::assert_snapshot!("own_drafts_40x20", drawn(&diff, &shared, (40, 20)).backend());
    for width in 40..=130 {
        let rows = text(drawn(&diff, &shared, (width, 20)).backend().buffer());
        assert!(rows.iter().any(|row| row.contains("hives")), "{rows:#?}");
        assert!(
            rows.iter().any(|row| row.trim_end().ends_with("0 %") || row.contains("0%") || row.contains("0 %   ")),
            "{width}: {rows:#?}"
        );
    }
    // A click on either row of a draft goes there, and a second one opens it.
    let area = Rect::new(0, 0, 40, 20);
    let click = |diff: &mut Diff, row| {
        let mouse =
            MouseEvent { kind: MouseEventKind::Down(MouseButton::Left), column: 4, row, modifiers: crossterm::event::KeyModifiers::NONE };
        diff.on_mouse(mouse, area, &shared).len()
    };
    let rows = text(drawn(&diff, &shared, (40, 20)).backend().buffer());
    let second = rows.iter().position(|row| row.contains("the-long-way")).unwrap() as u16;
    assert_eq!([click(&mut diff, second + 1), click(&mut diff, second)], [0, 1]);
}

#[test]
fn the_sample_workspaces_drafts_open() {
    let shared = shared(ThemeChoice::Dark);
    let mut diff = Diff::default();
    let effects = diff.on_show(&shared);
    assert!(settle(&mut diff, &shared, effects).is_empty());
    act(&mut diff, &shared, Action::Accept);
    assert_eq!(diff.contexts(), [Context::Diff, Context::List]);
    let rows = text(drawn(&diff, &shared, (120, 40)).backend().buffer());
    assert!(rows.iter().any(|row| row.contains("your finished text · ")), "{rows:#?}");
    act(&mut diff, &shared, Action::Leave);
    assert_eq!(diff.contexts(), [Context::Drafts, Context::List]);
}

#[test]
fn an_empty_workspace_says_what_to_do() {
    let shared = shared(ThemeChoice::Dark);
    let mut diff = Diff::default();
    diff.on_done(&AnyDone::Diff(Done::Listed(vec![])), &shared);
    insta::assert_snapshot!(drawn(&diff, &shared, (80, 24)).backend());
}

/// `cargo test --release -- --ignored --nocapture frame_speed` prints figures.
#[test]
#[ignore = "a measurement"]
fn frame_speed() {
    let shared = shared(ThemeChoice::Dark);
    let mut diff = Diff::default();
    let long = |text: &str| (0..75).map(|i| text.replace("June", &format!("June {i}"))).collect::<Vec<_>>().join("\n\n");
    let (draft, tuned, finished) = (long(DRAFT), long(TUNED), long(FINISHED));
    let words = draft.split_whitespace().count();
    let subject = DiffSubject {
        title: "long".into(),
        draft,
        revisions: vec![revision("llama-tuned", 0, &tuned)],
        shown: 0,
        finished: Some(finished),
    };
    let effects = diff.on_open(Open::Diff(subject), &shared);
    settle(&mut diff, &shared, effects);
    diff.act(Action::WritersLane, &shared);
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).unwrap();
    let mut frame = |diff: &Diff| {
        let clock = std::time::Instant::now();
        terminal.draw(|frame| diff.view(frame, frame.area(), &shared)).unwrap();
        clock.elapsed()
    };
    let first = frame(&diff);
    let mut later: Vec<_> = (0..100)
        .map(|_| {
            diff.act(Action::Down, &shared);
            frame(&diff)
        })
        .collect();
    later.sort();
    println!("{words} words at 200x60: first frame {first:?}, then {:?} (the slowest {:?})", later[50], later[99]);
}
