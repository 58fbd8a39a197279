//! What is marked and when, the list of it, rankings by keys, and prompts of several lines.

use std::sync::Arc;

use super::*;
use crate::pairs::{Pair, Split, Status, Tier};
use crate::review::marks::Trained;
use crate::ui::keys::Chord;
use crate::ui::message::{Level, Open};

const COPIED: &str = "the baker went by none of the clocks in the town";

/// As `shelf`, but the fine-tuned arms were trained on one pair, from which sample 0 of llama's copied.
fn copying() -> Shelf {
    let mut shelf = shelf();
    let (tier, status, split) = (Tier::Topic, Status::Ready, Split::Auto);
    let response = format!("Everybody knew that {COPIED}.");
    let pair = Pair {
        id: "tier2/clocks".into(),
        tier,
        source: "clocks".into(),
        prompt: String::new(),
        response,
        status,
        split,
        notes: String::new(),
    };
    let (trained, _) = Trained::on(&["tier2/clocks".into()], &[pair]);
    let trained = Arc::new(trained);
    shelf.runs.iter_mut().for_each(|run| run.trained = trained.clone());
    let text = format!("It was late. I said that {COPIED}.\n\nIn 1962 I met Harold in Lyme Regis, and we waited.");
    shelf.prompts[0].texts[1].insert((USUAL, 0), Text { text, ids: vec![1, 2, 3], finish: Finish::Stop, step: 20, is_current: true });
    shelf
}

/// Gives a verdict on the texts in the panes, and goes to the pane of llama's fine-tuned arm.
fn read(review: &mut Review, shared: &Shared) {
    let effects = act(review, shared, &[Action::Tie, Action::Submit]);
    recorded(review, shared, effects);
    review.pane = review.spread(shared).unwrap().panes.iter().position(|pane| pane.arm == 1).unwrap();
}

fn said(effects: &[Effect]) -> String {
    let text = |effect: &Effect| if let Effect::Notify(notice) = effect { notice.text.clone() } else { String::new() };
    effects.iter().map(text).collect()
}

#[test]
fn nothing_is_marked_before_the_verdict() {
    let shared = shared();
    let mut review = review(copying(), &shared);
    let drawn_text = |review: &Review| text_of(&drawn(review, &shared, 120, 34));
    let has_marks = |text: &str| text.contains("[=") || text.contains("[?") || text.contains("copied") || text.contains("invented");
    assert!(drawn_text(&review).contains("It was late") && !has_marks(&drawn_text(&review)));
    let effects = review.act(Action::Marks, &shared);
    assert!(said(&effects).contains("when the verdict is in") && matches!(review.mode, Mode::Reading));
    // Diff, opened from here, knows no more.
    let marks = |review: &mut Review| match review.act(Action::OpenDiff, &shared).pop() {
        Some(Effect::Open(Open::Diff(subject))) => subject.revisions.iter().filter(|revision| revision.marks.is_some()).count(),
        other => panic!("{other:?}"),
    };
    assert_eq!(marks(&mut review), 0);
    read(&mut review, &shared);
    assert!(has_marks(&drawn_text(&review)), "{}", drawn_text(&review));
    assert_eq!(marks(&mut review), 4);
    insta::assert_snapshot!("marked_120x36", drawn(&review, &shared, 120, 34).backend());
}

#[test]
fn marks_are_underlined_where_there_are_colours() {
    let mut shared = shared();
    shared.theme = Theme::new(ThemeChoice::Dark, Depth::True);
    let mut review = review(copying(), &shared);
    read(&mut review, &shared);
    let terminal = drawn(&review, &shared, 160, 45);
    assert!(!text_of(&terminal).contains("[="));
    let buffer = terminal.backend().buffer();
    let underlined = |x: u16, y: u16| buffer[(x, y)].modifier.contains(ratatui::style::Modifier::UNDERLINED);
    let cells = (0..buffer.area.height).flat_map(|y| (0..buffer.area.width).map(move |x| (x, y))).filter(|&(x, y)| underlined(x, y));
    let shown: String = cells.map(|(x, y)| buffer[(x, y)].symbol()).collect();
    assert_eq!(shown.replace(' ', ""), format!("that{COPIED}").replace(' ', ""));
}

#[test]
fn the_list_follows_and_opens_the_pair() {
    let shared = shared();
    let mut review = review(copying(), &shared);
    read(&mut review, &shared);
    act(&mut review, &shared, &[Action::Marks]);
    insta::assert_snapshot!("marks_80x24", drawn(&review, &shared, 80, 22).backend());
    match &review.act(Action::Accept, &shared)[..] {
        [Effect::Open(Open::Pair(id))] => assert_eq!(id, "tier2/clocks"),
        other => panic!("{other:?}"),
    }
    act(&mut review, &shared, &[Action::Down, Action::Down]);
    assert!(matches!(review.mode, Mode::Marks(2)));
    assert!(text_of(&drawn(&review, &shared, 160, 45)).contains("invented name Harold"));
    assert!(said(&review.act(Action::Accept, &shared)).contains("no pair to open"));
    review.act(Action::Cancel, &shared);
    assert!(matches!(review.mode, Mode::Reading));
    // A text without marks has no list.
    review.pane = review.spread(&shared).unwrap().panes.iter().position(|pane| pane.arm == 0).unwrap();
    assert!(said(&review.act(Action::Marks, &shared)).contains("nothing in this text was copied"));
}

#[test]
fn all_panes_are_ranked_by_keys() {
    let shared = shared();
    let mut review = review(shelf(), &shared);
    let order: Vec<ArmName> = {
        let spread = review.spread(&shared).unwrap();
        spread.panes.iter().map(|pane| review.shelf.as_ref().unwrap().arms[pane.arm].name.clone()).collect()
    };
    act(&mut review, &shared, &[Action::Rank, Action::Place3, Action::Place1, Action::Alike]);
    insta::assert_snapshot!("ranking_80x24", drawn(&review, &shared, 80, 22).backend());
    // Twice the same pane; a pane that is not there; and back.
    let effects = act(&mut review, &shared, &[Action::Place1]);
    assert!(matches!(&effects[..], [Effect::Notify(notice)] if notice.level == Level::Warning));
    act(&mut review, &shared, &[Action::DeleteBack, Action::DeleteBack, Action::Place2, Action::Alike, Action::Place1]);
    assert!(matches!(review.mode, Mode::Ranking(_)));
    act(&mut review, &shared, &[Action::Place4]);
    assert!(matches!(review.mode, Mode::Reading), "all are placed");
    let effects = review.act(Action::Submit, &shared);
    let verdict = recorded(&mut review, &shared, effects);
    let groups = [vec![2], vec![1, 0], vec![3]].map(|group| group.into_iter().map(|pane: usize| order[pane].clone()).collect::<Vec<_>>());
    assert_eq!(verdict.reading.outcome, Outcome::Ranking(groups.to_vec()));
    assert!(verdict.reading.blind);
    assert!(text_of(&drawn(&review, &shared, 120, 34)).contains(" #2"));
    // A ranking that is left changes nothing; one of some panes leaves the others without a place.
    act(&mut review, &shared, &[Action::Rank, Action::Place4, Action::Cancel]);
    assert_eq!(review.at_stake(), None);
    act(&mut review, &shared, &[Action::Rank, Action::Place4, Action::Accept]);
    let effects = review.act(Action::Submit, &shared);
    assert_eq!(recorded(&mut review, &shared, effects).reading.outcome, Outcome::Ranking(vec![vec![order[3].clone()]]));
}

#[test]
fn a_prompt_has_as_many_lines_as_it_likes() {
    let shared = shared();
    let mut review = review(shelf(), &shared);
    review.act(Action::FreePrompt, &shared);
    "One.".chars().for_each(|c| _ = review.on_key(c.to_string().parse::<Chord>().unwrap(), &shared));
    review.act(Action::NewLine, &shared);
    review.on_paste("\nTwo,\nand three.", &shared);
    insta::assert_snapshot!("prompt_80x24", drawn(&review, &shared, 80, 22).backend());
    match &review.act(Action::ExternalEditor, &shared)[..] {
        [Effect::Do(Io::Edit { text, .. })] => assert_eq!(text, "One.\n\nTwo,\nand three."),
        other => panic!("{other:?}"),
    }
    review.on_edited("One.\n\nTwo, and four.\n", &shared);
    review.act(Action::Accept, &shared);
    assert_eq!(review.prompt().unwrap().text, "One.\n\nTwo, and four.");
    assert_eq!(review.prompt().unwrap().name, "One. Two, and four.");
    // An empty one asks nothing.
    let prompts = review.prompts().count();
    act(&mut review, &shared, &[Action::FreePrompt, Action::Accept]);
    assert_eq!(review.prompts().count(), prompts);
}
