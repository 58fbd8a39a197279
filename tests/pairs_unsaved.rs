//! The autosave journal: what a process that died had not saved is found again, whole; what a living one holds is left alone.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use voicetune::pairs::{Fingerprint, Journal, Kept, Pair, SaveError, Split, Status, Tier, Unsaved, load, open, recoverable, save};

fn pair(id: &str, response: &str) -> Pair {
    Pair {
        id: id.into(),
        tier: Tier::Draft,
        source: "s".into(),
        prompt: "A draft.\n".into(),
        response: response.into(),
        status: Status::Ready,
        split: Split::Auto,
        notes: String::new(),
    }
}

fn workspace() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let pairs = dir.path().join("pairs");
    fs::create_dir(&pairs).unwrap();
    (dir, pairs)
}

/// What is recoverable, where nothing is wrong.
fn found(pairs: &Path) -> Vec<Unsaved> {
    let (found, problems) = recoverable(pairs, None);
    assert_eq!(problems, []);
    found
}

fn responses(unsaved: &[Unsaved]) -> Vec<&str> {
    unsaved.iter().map(|unsaved| unsaved.pair.response.as_str()).collect()
}

/// The folders of processes below `pairs/.unsaved/`.
fn folders(pairs: &Path) -> Vec<PathBuf> {
    fs::read_dir(pairs.join(".unsaved")).map_or(vec![], |listed| listed.map(|entry| entry.unwrap().path()).collect())
}

#[test]
fn what_was_not_saved_is_found_when_its_process_is_gone() {
    let (_dir, pairs) = workspace();
    let fingerprint = save(&pairs, &pair("tier1/x", "Old.\n"), Fingerprint::Absent).unwrap();
    let mut journal = Journal::new(&pairs);
    journal.record(&pair("tier1/x", "New.\n"), fingerprint).unwrap();
    journal.record(&pair("tier1/x", "Newer.\n"), fingerprint).unwrap();
    journal.record(&pair("tier1/a b+c", "Another.\n"), Fingerprint::Absent).unwrap();
    journal.record(&pair("tier1/gone", "Given up.\n"), Fingerprint::Absent).unwrap();
    journal.forget("tier1/gone").unwrap();
    journal.forget("tier1/never-there").unwrap();
    assert_eq!(found(&pairs), [], "its process lives");

    drop(journal);
    let unsaved = found(&pairs);
    assert_eq!(
        unsaved.iter().map(|u| (&u.pair, u.read)).collect::<Vec<_>>(),
        [(&pair("tier1/a b+c", "Another.\n"), Fingerprint::Absent), (&pair("tier1/x", "Newer.\n"), fingerprint)]
    );
    // It is nobody's pair.
    let (good, problems) = load(&pairs);
    assert_eq!((good, problems), (vec![pair("tier1/x", "Old.\n")], vec![]));
}

#[test]
fn it_is_taken_over_or_discarded_once() {
    let (_dir, pairs) = workspace();
    let mut dead = Journal::new(&pairs);
    dead.record(&pair("tier1/x", "X.\n"), Fingerprint::Absent).unwrap();
    dead.record(&pair("tier1/y", "Y.\n"), Fingerprint::Absent).unwrap();
    drop(dead);

    let mut journal = Journal::new(&pairs);
    let unsaved = found(&pairs);
    journal.take_over(&unsaved[0]).unwrap();
    assert_eq!(responses(&found(&pairs)), ["Y.\n"]);
    unsaved[1].discard().unwrap();
    unsaved[1].discard().unwrap();
    assert_eq!(found(&pairs), []);
    assert_eq!(folders(&pairs).len(), 1, "the dead process's folder is gone");

    drop(journal);
    assert_eq!(responses(&found(&pairs)), ["X.\n"]);
}

#[test]
fn of_two_versions_the_later_comes_first() {
    let (_dir, pairs) = workspace();
    for response in ["First.\n", "Second.\n"] {
        Journal::new(&pairs).record(&pair("tier1/x", response), Fingerprint::Absent).unwrap();
    }
    assert_eq!(responses(&found(&pairs)), ["Second.\n", "First.\n"]);
}

#[test]
fn edits_that_reached_the_pairs_file_are_not_offered() {
    let (_dir, pairs) = workspace();
    let mut journal = Journal::new(&pairs);
    journal.record(&pair("tier1/x", "X.\n"), Fingerprint::Absent).unwrap();
    save(&pairs, &pair("tier1/x", "X.\n"), Fingerprint::Absent).unwrap();
    drop(journal);
    assert_eq!(found(&pairs), []);
    assert_eq!(folders(&pairs), [] as [PathBuf; 0]);
}

#[test]
fn it_is_private_and_leaves_no_trace_of_a_clean_end() {
    let (_dir, pairs) = workspace();
    drop(Journal::new(&pairs));
    assert!(!pairs.join(".unsaved").exists(), "nothing was edited");
    let mut journal = Journal::new(&pairs);
    journal.record(&pair("tier1/x", "X.\n"), Fingerprint::Absent).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = &folders(&pairs)[0];
    assert_eq!((mode(&pairs.join(".unsaved")), mode(folder)), (0o700, 0o700));
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!((files.len(), files.iter().all(|file| mode(file) == 0o600)), (2, true));
    journal.forget("tier1/x").unwrap();
    drop(journal);
    assert_eq!(folders(&pairs), [] as [PathBuf; 0]);
}

#[test]
fn a_broken_file_is_named_and_stays() {
    let (_dir, pairs) = workspace();
    let mut dead = Journal::new(&pairs);
    dead.record(&pair("tier1/x", "X.\n"), Fingerprint::Absent).unwrap();
    dead.record(&pair("tier1/y", "Y.\n"), Fingerprint::Absent).unwrap();
    drop(dead);
    let folder = folders(&pairs).remove(0);
    let file = folder.join("tier1+x.yaml");
    let good = fs::read_to_string(&file).unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good);
        fs::write(&file, &text).unwrap();
        let (found, problems) = recoverable(&pairs, None);
        assert_eq!(responses(&found), ["Y.\n"]);
        let name = folder.file_name().unwrap().to_str().unwrap();
        let lines: Vec<_> = problems.iter().map(|problem| problem.to_string()).collect();
        assert_eq!(lines, [format!("pairs/.unsaved/{name}/tier1+x.yaml:{expected}")]);
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    };
    check("tier1/x", "../x", " `pair: ../x` is not what voicetune writes there");
    check("read: \"absent\"", "read: \"12\"", " `read: 12` is not what voicetune writes there");
    check("at: \"2", "at: \"x2", &{
        let at = good.lines().find_map(|line| line.strip_prefix("at: ")).unwrap().trim_matches('"');
        format!(" `at: x{at}` is not what voicetune writes there")
    });
    check("tier: 1\n", "", "11: the key `tier` is missing; add it");
}

#[test]
fn a_journal_that_cannot_be_written_is_an_error_and_can_be_tried_again() {
    let (_dir, pairs) = workspace();
    // A link that leads nowhere: like a folder that cannot be written to, but also for root.
    symlink("nowhere/at/all", pairs.join(".unsaved")).unwrap();
    let mut journal = Journal::new(&pairs);
    let error = journal.record(&pair("tier1/x", "X.\n"), Fingerprint::Absent).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}/.unsaved: not saved: ", pairs.display())), "{error}");
    fs::remove_file(pairs.join(".unsaved")).unwrap();
    journal.record(&pair("tier1/x", "X.\n"), Fingerprint::Absent).unwrap();
    // Someone tidied up.
    fs::remove_dir_all(pairs.join(".unsaved")).unwrap();
    journal.record(&pair("tier1/x", "X.\n"), Fingerprint::Absent).unwrap();
    let bad = journal.record(&pair("tier1/../x", "X.\n"), Fingerprint::Absent);
    assert!(matches!(bad, Err(SaveError::Name { .. })), "{bad:?}");
    drop(journal);
    assert_eq!(responses(&found(&pairs)), ["X.\n"]);
}

#[test]
fn a_recovered_pair_is_saved_like_any_other() {
    let (_dir, pairs) = workspace();
    save(&pairs, &pair("tier1/x", "Old.\n"), Fingerprint::Absent).unwrap();
    let opened = open(&pairs, "tier1/x").unwrap();
    Journal::new(&pairs).record(&pair("tier1/x", "Mine.\n"), opened.fingerprint).unwrap();
    save(&pairs, &pair("tier1/x", "Theirs.\n"), opened.fingerprint).unwrap();
    let unsaved = found(&pairs).remove(0);
    assert!(matches!(save(&pairs, &unsaved.pair, unsaved.read), Err(SaveError::Conflict(_))));
}

#[test]
fn what_goes_elsewhere_comes_back_as_soon_as_it_can() {
    let (dir, pairs) = workspace();
    let spare = dir.path().join("state/x");
    let mut journal = Journal::new(&pairs).with_spare(Some(&spare));
    let mut keep = |response: &str| journal.record(&pair("tier1/x", response), Fingerprint::Absent).unwrap();
    assert_eq!(keep("One.\n"), Kept::Beside);
    assert!(!spare.exists(), "not made before it is needed");
    // The journal's folder cannot be written to.
    let folder = pairs.join(".unsaved");
    fs::rename(&folder, pairs.join(".moved")).unwrap();
    fs::write(&folder, "in the way").unwrap();
    assert!(matches!(keep("Two.\n"), Kept::Elsewhere { folder, why } if folder == spare && why.contains(".unsaved")));
    fs::remove_file(&folder).unwrap();
    fs::rename(pairs.join(".moved"), &folder).unwrap();
    let newest = |journal: Journal| {
        drop(journal);
        recoverable(&pairs, Some(&spare)).0
    };
    let mut both = newest(journal);
    assert_eq!(responses(&both), ["Two.\n", "One.\n"], "the latest first");
    let mut journal = Journal::new(&pairs).with_spare(Some(&spare));
    assert_eq!(journal.take_over(&both.remove(0)).unwrap(), Kept::Beside);
    both.remove(0).discard().unwrap();
    assert_eq!(fs::read_dir(&spare).unwrap().count(), 0);
    assert_eq!(responses(&newest(journal)), ["Two.\n"]);
    assert_eq!(fs::metadata(&spare).unwrap().permissions().mode() & 0o777, 0o700);
}

/// The body of a process that records ever longer versions of a pair; nothing where this is no such process.
#[test]
fn the_process_that_is_killed() {
    let Some(pairs) = std::env::var_os("VOICETUNE_TEST_PAIRS") else { return };
    let mut journal = Journal::new(Path::new(&pairs));
    for n in 1.. {
        journal.record(&pair("tier1/x", &version(n)), Fingerprint::Absent).unwrap();
    }
}

fn version(n: usize) -> String {
    format!("{n}\n{}", format!("Line of version {n}.\n").repeat(3000))
}

fn start(pairs: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_process_that_is_killed"]).env("VOICETUNE_TEST_PAIRS", pairs);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_process_killed_at_any_moment_leaves_one_whole_version() {
    for n in 0..12 {
        let (_dir, pairs) = workspace();
        let mut child = start(&pairs);
        // Until the first version is there, and then a little.
        let written = || folders(&pairs).iter().any(|folder| folder.join("tier1+x.yaml").exists());
        while !written() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(found(&pairs), [], "it lives");
        std::thread::sleep(Duration::from_micros(1700 * n));
        child.kill().unwrap();
        child.wait().unwrap();
        let unsaved = found(&pairs).remove(0);
        let response = &unsaved.pair.response;
        assert_eq!(*response, version(response.lines().next().unwrap().parse().unwrap()));
        unsaved.discard().unwrap();
        assert_eq!(found(&pairs), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Edits may leave a pair in any state, ready with an empty text included.
    #[test]
    fn any_state_of_a_pair_is_kept(prompt in any::<String>(), response in any::<String>(), source in any::<String>(), notes in any::<String>(), hash in any::<[u8; 32]>()) {
        let (_dir, pairs) = workspace();
        let pair = Pair { prompt, source, notes, ..pair("tier1/Ünï 静", &response) };
        Journal::new(&pairs).record(&pair, Fingerprint::Sha256(hash)).unwrap();
        let unsaved = found(&pairs).remove(0);
        prop_assert_eq!((unsaved.pair, unsaved.read), (pair, Fingerprint::Sha256(hash)));
    }
}
