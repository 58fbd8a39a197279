//! What actions come to: on the screen, and on disk.

use std::fs;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::pairs::{Journal, Kept, Split, Status, Tier, recoverable};
use crate::ui::keys::TABLE;
use crate::ui::screens::pairs::Mode;
use crate::ui::tasks;
use Action as A;

#[test]
fn typed_text_is_saved_where_it_was_typed() {
    let mut stage = Stage::new();
    stage.act(&[A::Last]);
    assert_eq!(stage.here(), "tier1/quiet-car");
    stage.act(&[A::NextPane, A::NextPane]).keys("Ah: ");
    assert_eq!(stage.screen.at_stake().unwrap(), "tier1/quiet-car is not saved.");
    assert!(stage.on_disk("tier1/quiet-car").unwrap().response.starts_with("The train"));
    stage.act(&[A::Save]);
    assert_eq!((stage.said(), stage.screen.at_stake()), ("tier1/quiet-car is saved", None));
    assert!(stage.on_disk("tier1/quiet-car").unwrap().response.starts_with("Ah: The train was late.\n\nNobody"));
    stage.act(&[A::Undo, A::Undo]);
    assert!(stage.screen.at_stake().is_some(), "what is undone after saving is unsaved again");
    stage.act(&[A::Redo, A::Redo]);
    assert_eq!(stage.screen.at_stake(), None);
}

#[test]
fn what_can_be_undone_in_a_text_outlives_a_walk_through_the_list() {
    let mut stage = Stage::new();
    stage.act(&[A::Last, A::EditPair]).keys("x").act(&[A::Leave, A::First, A::Last, A::EditPair, A::Undo]);
    assert_eq!(stage.screen.at_stake(), None);
}

#[test]
fn a_pair_with_an_empty_text_is_not_made_ready() {
    let mut stage = Stage::new();
    let id = "tier1/empty";
    let effects = stage.screen.go_to_pair(id);
    stage.run(effects);
    stage.act(&[A::ToggleReady]);
    assert_eq!(stage.said(), "tier1/empty cannot be ready: the response is empty: write it first");
    stage.act(&[A::PreviousPane]).keys("Done").act(&[A::Leave, A::ToggleReady]);
    assert_eq!(stage.on_disk(id).unwrap().status, Status::Ready);
    stage.act(&[A::ToggleReady]);
    assert_eq!(stage.on_disk(id).unwrap().status, Status::Draft);
}

#[test]
fn changes_from_the_list_are_taken_back_and_done_again() {
    let mut stage = Stage::new();
    stage.act(&[A::Last, A::DiscardPair, A::CycleSplit]);
    let status = |stage: &Stage| stage.on_disk("tier1/quiet-car").map(|pair| (pair.status, pair.split)).unwrap();
    assert_eq!(status(&stage), (Status::Discarded, Split::Train));
    stage.act(&[A::UndoChange]);
    assert_eq!(status(&stage), (Status::Discarded, Split::Auto));
    // Text that was written in between is not touched.
    stage.act(&[A::EditPair]).keys("Z").act(&[A::Save, A::Leave, A::UndoChange]);
    assert_eq!(status(&stage), (Status::Ready, Split::Auto));
    assert!(stage.on_disk("tier1/quiet-car").unwrap().prompt.starts_with('Z'));
    stage.act(&[A::RedoChange]);
    assert_eq!(status(&stage), (Status::Discarded, Split::Auto));
}

#[test]
fn a_new_pair_goes_again_unless_it_has_been_written_in() {
    let mut stage = Stage::new();
    stage.act(&[A::NewPair]).keys("On Rain").act(&[A::Accept, A::Accept]);
    assert_eq!(stage.on_disk("tier1/on-rain").unwrap().source, "On Rain");
    assert!(matches!(stage.screen.mode, Mode::Edit), "its prompt is there to be written");
    stage.act(&[A::Leave, A::UndoChange]);
    assert!(stage.on_disk("tier1/on-rain").is_none());
    stage.act(&[A::RedoChange, A::EditPair]).keys("wet").act(&[A::Save, A::Leave, A::UndoChange]);
    assert!(stage.said().contains("has been written in"), "{}", stage.said());
    assert!(stage.on_disk("tier1/on-rain").is_some());
}

#[test]
fn pairs_are_copied_renamed_and_moved() {
    let mut stage = Stage::new();
    stage.act(&[A::Last, A::DuplicatePair]);
    assert_eq!((stage.here(), stage.on_disk("tier1/quiet-car-2").unwrap().status), ("tier1/quiet-car-2", Status::Draft));
    stage.act(&[A::Properties]).keys("!").act(&[A::Accept, A::Accept, A::Accept]);
    assert_eq!((stage.here(), stage.said()), ("tier1/quiet-car-2!", "tier1/quiet-car-2 is now tier1/quiet-car-2!"));
    stage.act(&[A::MoveTier, A::Accept]);
    assert_eq!(stage.on_disk("tier2/quiet-car-2!").unwrap().tier, Tier::Topic);
    assert!(!stage.file("tier1/quiet-car-2!").exists());
    stage.act(&[A::UndoChange, A::UndoChange]);
    assert_eq!(stage.here(), "tier1/quiet-car-2");
    assert!(stage.file("tier1/quiet-car-2").exists() && !stage.file("tier2/quiet-car-2!").exists());
}

#[test]
fn a_name_that_is_taken_is_refused_in_the_form() {
    let mut stage = Stage::new();
    stage.act(&[A::Last, A::Properties]);
    let Mode::Form(form) = &mut stage.screen.mode else { panic!("no form") };
    form.fields[0].input = crate::ui::widgets::LineInput::new("Empty");
    stage.act(&[A::Save]);
    let Mode::Form(form) = &stage.screen.mode else { panic!("the form was left") };
    assert_eq!(form.error.as_deref(), Some("there is a pair tier1/Empty already"));
}

#[test]
fn an_essay_is_cut_into_a_pair() {
    let mut stage = Stage::new();
    stage.act(&[A::NextTier, A::CutOpening, A::Last, A::Up, A::Down, A::Accept]);
    let pair = stage.on_disk("tier3/the-quiet-car").unwrap();
    assert_eq!((pair.prompt.as_str(), pair.response.as_str()), ("The train was late.\n\nNobody was quiet.\n", "We went home.\n"));
    assert_eq!(stage.here(), "tier3/the-quiet-car");
}

#[test]
fn a_file_that_was_changed_by_another_is_not_written_over() {
    let check = |answers: &[Action], prompt: &str| {
        let mut stage = Stage::new();
        stage.act(&[A::Last, A::EditPair]).keys("Mine. ");
        let theirs = fs::read_to_string(stage.file("tier1/quiet-car")).unwrap().replace("very cross", "cross");
        fs::write(stage.file("tier1/quiet-car"), &theirs).unwrap();
        stage.act(&[A::Save]);
        assert_eq!(fs::read_to_string(stage.file("tier1/quiet-car")).unwrap(), theirs);
        assert!(stage.screen.at_stake().is_some());
        stage.act(answers);
        assert_eq!(stage.on_disk("tier1/quiet-car").unwrap().prompt.lines().next().unwrap(), prompt);
        assert_eq!(stage.screen.at_stake(), None);
        assert!(stage.screen.texts.as_ref().unwrap().prompt.text().starts_with(prompt));
    };
    check(&[A::Down, A::Accept], "Mine. The train was late, and I was very cross about that.");
    check(&[A::Accept, A::Cancel, A::Down, A::Down, A::Accept], "The train was late, and I was cross about that.");
}

#[test]
fn the_editors_yaml_is_taken_over_or_offered_again() {
    let mut stage = Stage::new();
    stage.act(&[A::Last, A::ExternalEditor]);
    let Some(Io::Edit { text, .. }) = stage.io.pop() else { panic!("no editor") };
    stage.edited(&text.replace("status: ready", "status: redy"));
    stage.act(&[A::Cancel, A::Accept]);
    let Some(Io::Edit { text: again, .. }) = stage.io.pop() else { panic!("not offered again") };
    assert!(again.contains("status: redy"), "what was typed is there");
    stage.edited(&again.replace("redy", "draft").replace("The train was late, and", "Late, and"));
    let texts = stage.screen.texts.as_mut().unwrap();
    assert!(texts.prompt.text().starts_with("Late, and I"));
    stage.act(&[A::Save]);
    assert_eq!(stage.on_disk("tier1/quiet-car").unwrap().status, Status::Draft);
}

#[test]
fn a_broken_file_is_listed_and_mended() {
    let mut stage = Stage::new();
    stage.act(&[A::First, A::ExternalEditor]);
    let Some(Io::Edit { text, .. }) = stage.io.pop() else { panic!("no editor") };
    assert_eq!(text, "tier: 1\nsource: x\nprompt: [\n");
    stage.edited("tier: 1\nsource: x\nprompt: a\nresponse: b\nstatus: draft\n");
    assert_eq!((stage.here(), stage.on_disk("tier1/broken").unwrap().response.as_str()), ("tier1/broken", "b"));
    assert!(stage.screen.library.broken().is_empty());
}

#[test]
fn unsaved_edits_outlive_the_session() {
    let check = |answer: &[Action], prompt: &str, left: usize| {
        let mut stage = Stage::new();
        stage.act(&[A::Last, A::EditPair]).keys("Lost? ");
        assert!(stage.screen.wants_tick());
        stage.tick();
        let Stage { folder, desk, .. } = stage;
        drop(desk);
        let mut stage = Stage::over(folder);
        assert_eq!(stage.screen.dialogs.len(), 1);
        stage.act(answer);
        let effects = stage.screen.go_to_pair("tier1/quiet-car");
        stage.run(effects);
        assert!(stage.screen.texts.as_ref().unwrap().prompt.text().starts_with(prompt));
        let effects = stage.screen.save_all(&stage.shared);
        stage.run(effects);
        let pairs = stage.folder.path().join("pairs");
        drop(stage.desk);
        assert_eq!(recoverable(&pairs, None).0.len(), left);
    };
    check(&[A::Accept], "Lost? The train", 0);
    check(&[A::Down, A::Accept, A::Accept, A::Down, A::Down, A::Accept], "The train", 1);
    check(&[A::Down, A::Down, A::Down, A::Accept], "The train", 0);
}

#[test]
fn a_folder_that_cannot_be_written_keeps_the_text() {
    let mut stage = Stage::new();
    stage.act(&[A::Last, A::EditPair]).keys("Kept ");
    fs::remove_dir_all(stage.folder.path().join("pairs/tier1")).unwrap();
    fs::write(stage.folder.path().join("pairs/tier1"), "in the way").unwrap();
    stage.act(&[A::Save]);
    assert!(stage.said().contains("not saved"), "{}", stage.said());
    assert!(stage.screen.at_stake().is_some());
    assert!(stage.screen.texts.as_ref().unwrap().prompt.text().starts_with("Kept "));
}

#[test]
fn a_journal_that_cannot_be_written_is_said_once_and_tried_again() {
    let mut stage = Stage::new();
    let pairs = stage.folder.path().join("pairs");
    fs::write(pairs.join(".unsaved"), "in the way").unwrap();
    stage.act(&[A::Last, A::EditPair]).keys("Kept ");
    stage.tick();
    assert!(stage.said().contains("in memory only"), "{}", stage.said());
    let said = stage.said.len();
    stage.tick();
    assert_eq!(stage.said.len(), said, "{:?}", stage.said);
    fs::remove_file(pairs.join(".unsaved")).unwrap();
    stage.tick();
    assert_eq!(stage.said(), "recovery copies can be written again");
    drop(stage.desk);
    assert!(recoverable(&pairs, None).0[0].pair.prompt.starts_with("Kept "));
}

#[test]
fn what_the_workspace_does_not_take_is_kept_elsewhere_and_offered_from_there() {
    let elsewhere = tempfile::tempdir().unwrap();
    let spare = elsewhere.path().join("spare");
    let mut stage = Stage::new();
    let with_spare = |desk: &mut tasks::Desk| {
        desk.pairs = std::mem::take(&mut desk.pairs).with_spare_journal(Some(spare.clone()));
    };
    with_spare(&mut stage.desk);
    let pairs = stage.folder.path().join("pairs");
    fs::write(pairs.join(".unsaved"), "in the way").unwrap();
    stage.act(&[A::Last, A::EditPair]).keys("Kept ");
    stage.tick();
    assert!(stage.said().contains(&format!("kept in {}", spare.display())), "{}", stage.said());
    let said = stage.said.len();
    stage.keys("too ");
    stage.tick();
    assert_eq!(stage.said.len(), said, "said once: {:?}", stage.said);
    let id = stage.screen.current().unwrap().id().to_owned();

    // Its process dies. The next one finds it, although the workspace still takes nothing.
    drop(stage.desk);
    let (found, _) = recoverable(&pairs, Some(&spare));
    assert!(found[0].pair.id == id && found[0].pair.prompt.starts_with("Kept too "), "{found:?}");
    assert!(found[0].file.starts_with(&spare));

    // Once the workspace takes it, it goes there, and nothing stays elsewhere.
    fs::remove_file(pairs.join(".unsaved")).unwrap();
    let mut journal = Journal::new(&pairs).with_spare(Some(&spare));
    assert_eq!(journal.take_over(&found[0]).unwrap(), Kept::Beside);
    assert_eq!(fs::read_dir(&spare).unwrap().count(), 0);
}

#[test]
fn the_filter_looks_at_names_sources_and_words() {
    let found = |typed: &str| {
        let mut stage = Stage::new();
        stage.act(&[A::Filter]).keys(typed);
        (stage.screen.list.rows().len(), Tier::ALL.map(|tier| stage.screen.list.hits(tier)))
    };
    assert_eq!(found("qcar"), (1, [1, 1, 0, 0]));
    assert_eq!(found("gloves"), (0, [0, 0, 0, 1]));
    assert_eq!(found("駅"), (1, [1, 0, 0, 0]));
    assert_eq!(found("nothing-yet"), (1, [1, 0, 0, 0]));
}

#[test]
fn tokens_are_counted_again_when_typing_pauses() {
    let mut stage = Stage::new();
    stage.act(&[A::Last]);
    let is_stale = |stage: &Stage| stage.screen.gauges.of(stage.screen.current().unwrap()).unwrap().is_stale;
    assert!(!is_stale(&stage));
    stage.act(&[A::EditPair]).keys("More words. ");
    stage.tick();
    assert!(is_stale(&stage), "the first tick after a key is no pause");
    stage.tick();
    assert!(!is_stale(&stage) && !stage.screen.gauges.is_due(stage.screen.current().unwrap()));
}

#[test]
fn nothing_that_can_be_pressed_panics_or_loses_a_text() {
    let actions: Vec<Action> = TABLE.iter().map(|entry| entry.action).collect();
    for seed in 0..3 {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut stage = Stage::new();
        for _ in 0..600 {
            match rng.random_range(0..10) {
                0 => drop(stage.keys("aé ")),
                1 => drop(stage.terminal(rng.random_range(40..200), rng.random_range(10..60))),
                2 => stage.tick(),
                3 => {
                    let mouse = crossterm::event::MouseEvent {
                        kind: crossterm::event::MouseEventKind::Down(crossterm::event::MouseButton::Left),
                        column: rng.random_range(0..100),
                        row: rng.random_range(0..30),
                        modifiers: crossterm::event::KeyModifiers::NONE,
                    };
                    let effects = stage.screen.on_mouse(mouse, Rect::new(0, 0, 100, 30), &stage.shared);
                    stage.run(effects);
                }
                _ => drop(stage.act(&[*actions.choose(&mut rng).unwrap()])),
            }
            let texts = stage.screen.texts.as_ref().map(|texts| (texts.id().to_owned(), texts.prompt.text(), texts.response.text()));
            if let Some((id, prompt, response)) = texts {
                let pair = stage.screen.library.entry(&id).unwrap().pair();
                assert_eq!((&pair.prompt, &pair.response), (&prompt, &response), "seed {seed}");
            }
        }
        let effects = stage.screen.save_all(&stage.shared);
        stage.run(effects);
        for entry in &stage.screen.library.entries {
            let on_disk = stage.on_disk(entry.id());
            assert!(entry.is_unsaved() || on_disk.as_ref() == Some(entry.pair()), "seed {seed}, {}", entry.id());
        }
    }
}
