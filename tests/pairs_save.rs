//! Saving: never over someone else's change, never half, and a discard can be taken back.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use voicetune::pairs::{
    Conflict, Fingerprint, LoadedPair, Pair, SaveError, Split, Status, Tier, discard, move_to_tier, open, open_all, save, to_yaml,
};

fn pair() -> Pair {
    Pair {
        id: "tier1/x".into(),
        tier: Tier::Draft,
        source: "s".into(),
        prompt: "A draft.\n".into(),
        response: "A piece.\n".into(),
        status: Status::Ready,
        split: Split::Auto,
        notes: String::new(),
    }
}

/// A `pairs/` with the one pair in it.
fn saved() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let pairs = dir.path().join("pairs");
    save(&pairs, &pair(), Fingerprint::Absent).unwrap();
    let file = pairs.join("tier1/x.yaml");
    (dir, pairs, file)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn conflict(result: Result<Fingerprint, SaveError>) -> Conflict {
    match result {
        Err(SaveError::Conflict(conflict)) => *conflict,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_saved_file_is_private_and_alone() {
    let (_dir, pairs, file) = saved();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let loaded = open(&pairs, "tier1/x").unwrap();
    let changed = Pair { notes: "n".into(), ..loaded.pair };
    let fingerprint = save(&pairs, &changed, loaded.fingerprint).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(&pairs.join("tier1")), ["x.yaml"]);
    // What `save` returns is what the next save needs.
    save(&pairs, &pair(), fingerprint).unwrap();
    assert_eq!(open(&pairs, "tier1/x").unwrap().pair, pair());
}

#[test]
fn a_file_changed_since_it_was_read_is_not_overwritten() {
    let (_dir, pairs, file) = saved();
    let loaded = open(&pairs, "tier1/x").unwrap();
    let theirs = to_yaml(&Pair { response: "Their piece.\n".into(), ..pair() });
    fs::write(&file, &theirs).unwrap();
    let mine = Pair { response: "My piece.\n".into(), ..loaded.pair };

    let result = save(&pairs, &mine, loaded.fingerprint);
    assert_eq!(
        result.as_ref().unwrap_err().to_string(),
        format!("{}: changed on disk since it was read; keep yours, take theirs, or look at both", file.display())
    );
    let conflict = conflict(result);
    assert_eq!((&conflict.mine, conflict.theirs.as_ref(), &conflict.file), (&to_yaml(&mine), Some(&theirs), &file));
    assert_eq!(fs::read_to_string(&file).unwrap(), theirs);

    // Take theirs.
    assert_eq!(open(&pairs, "tier1/x").unwrap().pair.response, "Their piece.\n");
    // Keep mine.
    save(&pairs, &mine, conflict.fingerprint).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), conflict.mine);
}

#[test]
fn a_file_that_was_deleted_or_made_meanwhile_is_a_conflict() {
    let (_dir, pairs, file) = saved();
    let loaded = open(&pairs, "tier1/x").unwrap();
    let made = conflict(save(&pairs, &pair(), Fingerprint::Absent));
    assert_eq!((made.theirs.unwrap(), made.fingerprint), (to_yaml(&pair()), loaded.fingerprint));

    fs::remove_file(&file).unwrap();
    let deleted = conflict(save(&pairs, &pair(), loaded.fingerprint));
    assert_eq!((deleted.theirs, deleted.fingerprint), (None, Fingerprint::Absent));
    assert!(!file.exists());
    save(&pairs, &pair(), deleted.fingerprint).unwrap();
    assert!(file.exists());
}

#[test]
fn a_discard_is_taken_back_to_the_byte() {
    let (_dir, pairs, file) = saved();
    let by_hand = format!("# A comment of mine.\n{}", to_yaml(&pair()));
    fs::write(&file, &by_hand).unwrap();
    let undo = discard(&pairs, &open(&pairs, "tier1/x").unwrap()).unwrap();
    assert_eq!(open(&pairs, "tier1/x").unwrap().pair, Pair { status: Status::Discarded, ..pair() });
    undo.apply().unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), by_hand);
}

#[test]
fn neither_a_discard_nor_its_undo_goes_over_a_change() {
    let (_dir, pairs, file) = saved();
    let loaded = open(&pairs, "tier1/x").unwrap();
    let changed = to_yaml(&Pair { notes: "changed".into(), ..pair() });
    fs::write(&file, &changed).unwrap();
    assert!(matches!(discard(&pairs, &loaded), Err(SaveError::Conflict(_))));
    let undo = discard(&pairs, &open(&pairs, "tier1/x").unwrap()).unwrap();
    fs::write(&file, &changed).unwrap();
    assert_eq!(conflict(undo.apply()).theirs, Some(changed));
}

#[test]
fn a_pair_moves_to_another_tier_and_back_to_the_byte() {
    let (_dir, pairs, file) = saved();
    let by_hand = format!("# A comment of mine.\n{}", to_yaml(&pair()));
    fs::write(&file, &by_hand).unwrap();
    let (moved, undo) = move_to_tier(&pairs, &open(&pairs, "tier1/x").unwrap(), Tier::Topic).unwrap();
    assert_eq!(moved.pair, Pair { id: "tier2/x".into(), tier: Tier::Topic, ..pair() });
    assert_eq!(open_all(&pairs), (vec![moved], vec![]));

    let back = undo.apply().unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), by_hand);
    assert_eq!(open_all(&pairs), (vec![LoadedPair { pair: pair(), fingerprint: back }], vec![]));
}

#[test]
fn a_name_that_the_other_tier_has_is_numbered() {
    let (_dir, pairs, _file) = saved();
    let there = Pair { id: "tier2/x".into(), tier: Tier::Topic, ..pair() };
    save(&pairs, &there, Fingerprint::Absent).unwrap();
    let (moved, _) = move_to_tier(&pairs, &open(&pairs, "tier1/x").unwrap(), Tier::Topic).unwrap();
    assert_eq!(moved.pair.id, "tier2/x-2");
    assert_eq!(open(&pairs, "tier2/x").unwrap().pair, there);
}

#[test]
fn neither_a_move_nor_its_undo_goes_over_a_change() {
    let (_dir, pairs, file) = saved();
    let loaded = open(&pairs, "tier1/x").unwrap();
    let changed = to_yaml(&Pair { notes: "changed".into(), ..pair() });
    fs::write(&file, &changed).unwrap();
    assert!(matches!(move_to_tier(&pairs, &loaded, Tier::Topic), Err(SaveError::Conflict(_))));
    assert!(!pairs.join("tier2").exists());

    let (moved, undo) = move_to_tier(&pairs, &open(&pairs, "tier1/x").unwrap(), Tier::Topic).unwrap();
    // The moved file was edited: nothing is touched.
    let edited = Pair { notes: "edited".into(), ..moved.pair.clone() };
    let fingerprint = save(&pairs, &edited, moved.fingerprint).unwrap();
    assert_eq!(conflict(undo.apply()).theirs, Some(to_yaml(&edited)));
    assert!(!file.exists());
    // A new pair has taken its old place.
    save(&pairs, &moved.pair, fingerprint).unwrap();
    save(&pairs, &pair(), Fingerprint::Absent).unwrap();
    assert_eq!(conflict(undo.apply()).theirs, Some(to_yaml(&pair())));
    assert_eq!(open_all(&pairs).0.len(), 2);
}

#[test]
fn a_move_that_fails_leaves_the_pair_where_it_was() {
    let (_dir, pairs, file) = saved();
    fs::write(pairs.join("tier2"), "a file where the folder should be").unwrap();
    let error = move_to_tier(&pairs, &open(&pairs, "tier1/x").unwrap(), Tier::Topic).unwrap_err();
    assert!(matches!(error, SaveError::Io { .. }), "{error}");
    assert!(file.exists());
}

#[test]
fn a_name_that_is_not_one_in_its_tier_is_refused() {
    let (_dir, pairs, _file) = saved();
    let long = format!("tier1/{}", "x".repeat(201));
    for id in ["x", "tier2/x", "tier1/", "tier1/../x", "tier1/a/b", "tier1/.x", "tier1/ x", "tier1/a\nb", "tier1/c:d", &long] {
        let result = save(&pairs, &Pair { id: id.into(), ..pair() }, Fingerprint::Absent);
        assert!(matches!(result, Err(SaveError::Name { .. })), "{id}: {result:?}");
    }
    assert_eq!(names(&pairs), ["tier1"]);
    assert_eq!(names(&pairs.join("tier1")), ["x.yaml"]);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let pairs = dir.path().join("pairs");
    fs::write(&pairs, "a file where the folder should be").unwrap();
    let error = save(&pairs, &pair(), Fingerprint::Absent).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}/tier1/x.yaml: not saved: ", pairs.display())), "{error}");
    assert!(error.ends_with("; check that the folder is there and that you may write to it"), "{error}");
}

/// Two voicetunes that save the same pair over and over: whoever saves has seen what the other wrote, and nobody's line is lost.
#[test]
fn of_two_that_save_at_once_neither_writes_over_the_other() {
    const EACH: usize = 60;
    let (_dir, pairs, _) = saved();
    let writer = |name: &'static str| {
        let pairs = pairs.clone();
        move || {
            for n in 0..EACH {
                loop {
                    let LoadedPair { pair, fingerprint } = open(&pairs, "tier1/x").unwrap();
                    let mine = Pair { response: format!("{}{name} {n}\n", pair.response), ..pair };
                    match save(&pairs, &mine, fingerprint) {
                        Ok(_) => break,
                        Err(SaveError::Conflict(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    };
    let threads = ["a", "b", "c"].map(|name| std::thread::spawn(writer(name)));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let text = open(&pairs, "tier1/x").unwrap().pair.response;
    for name in ["a", "b", "c"] {
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with(name)).collect();
        assert_eq!(lines, (0..EACH).map(|n| format!("{name} {n}")).collect::<Vec<_>>());
    }
}
