//! Kills the interface with SIGKILL at random moments while someone types and saves, and holds what is left to its promises: no file is
//! unreadable, no edit that was said to be saved is lost, and of what was not saved no more is lost than the last second of typing.
//! Prints one JSON object; ends with a panic at the first promise that does not hold.
//!
//!     cargo build && cargo run --example kill_edits -- 500

#![allow(clippy::unwrap_used)] // it ends where something is amiss

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use voicetune::pairs;

#[path = "../tests/ui_support/pty.rs"]
mod support;

use support::Pty;

const PAIR: &str = "tier: 1\nsource: s\nprompt: |\n  A draft.\nresponse: |\n  The end.\nstatus: draft\n";
const SOON: Duration = Duration::from_secs(60);
/// What may be lost, and what a loaded machine may add to it until a key that was sent is taken in.
const PROMISED: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_millis(500);
const SAVE: &str = "\x13"; // Ctrl-S
/// The pair in the list, where all of it is in its file, and where it is not.
const IS_SAVED: &str = "○ a";
const UNSAVED: &str = "○*a";

#[derive(Default)]
struct Counts {
    saves: usize,
    words: usize,
    /// Kills that left edits that were not saved, and found them again.
    recovered: usize,
    /// Kills that left a temporary file: they came in the middle of a write.
    within_a_write: usize,
    longest_lost: Duration,
}

fn main() {
    let wanted: usize = std::env::args().nth(1).map_or(500, |n| n.parse().unwrap());
    let program = std::env::current_exe().unwrap().parent().unwrap().with_file_name("voicetune");
    assert!(program.is_file(), "{}: build it with `cargo build`", program.display());
    let begun = Instant::now();
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut counts = Counts::default();
    for round in 0..wanted {
        let folder = tempfile::tempdir().unwrap();
        for part in ["pairs/tier1", "configs"] {
            fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        fs::write(folder.path().join("pairs/tier1/a.yaml"), PAIR).unwrap();
        // Most rounds are short, to come upon saves; some last longer than what may be lost.
        let most = if round % 5 == 0 { 2.6 } else { 0.9 };
        one_round(&program, folder.path(), Duration::from_secs_f64(rng.random_range(0.0..most)), &mut rng, &mut counts);
        if (round + 1) % 50 == 0 {
            eprintln!("{} kills in {} s", round + 1, begun.elapsed().as_secs());
        }
    }
    let Counts { saves, words, recovered, within_a_write, longest_lost } = counts;
    let result = json!({
        "kills": wanted, "saves": saves, "words_typed": words, "unsaved_edits_recovered": recovered,
        "within_a_write": within_a_write, "unreadable_files": 0, "saved_edits_lost": 0,
        "longest_loss_of_typing_ms": longest_lost.as_millis() as u64, "seconds": begun.elapsed().as_secs(),
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
}

/// Types words and saves now and then until the time is over, kills, and looks.
fn one_round(program: &Path, folder: &Path, lasts: Duration, rng: &mut ChaCha8Rng, counts: &mut Counts) {
    let mut pty = Pty::start(program, &[], folder, 100, 30, &[]);
    pty.wait_for("A draft.", SOON);
    pty.press("\r"); // into the prompt
    pty.wait_for("esc done", SOON);
    let begun = Instant::now();
    let mut typed: Vec<Instant> = vec![];
    let mut saved = 0;
    while begun.elapsed() < lasts {
        pty.send(&format!("w{} ", typed.len()));
        typed.push(Instant::now());
        pty.pump(Duration::from_millis(rng.random_range(5..60)));
        if rng.random_range(0..6) == 0 {
            // Half of the kills are to fall between the key and the answer.
            let is_awaited = rng.random::<bool>();
            if is_awaited {
                // A frame that shows the last word shows that it is not saved: the answer to an earlier key is not taken for this one's.
                pty.wait_for(&format!("w{}", typed.len() - 1), SOON);
                assert!(pty.has(UNSAVED), "edited, and not said to be:\n{}", pty.text());
            }
            pty.send(SAVE);
            if is_awaited {
                pty.wait_for(IS_SAVED, SOON);
                (saved, counts.saves) = (typed.len(), counts.saves + 1);
            }
        }
    }
    let killed = Instant::now();
    assert!(Command::new("kill").args(["-KILL", &pty.pid().to_string()]).status().unwrap().success());
    pty.wait(SOON);
    counts.words += typed.len();
    check(&folder.join("pairs"), &typed, saved, killed, counts);
}

fn check(pairs: &Path, typed: &[Instant], saved: usize, killed: Instant, counts: &mut Counts) {
    let names = fs::read_dir(pairs.join("tier1")).unwrap().map(|entry| entry.unwrap().file_name());
    counts.within_a_write += usize::from(names.into_iter().any(|name| name.to_str().unwrap().starts_with('.')));
    let (loaded, problems) = pairs::load(pairs);
    assert_eq!((loaded.len(), problems), (1, vec![]), "a file is unreadable");
    let (left, problems) = pairs::recoverable(pairs, None);
    assert_eq!(problems, [], "a recovery copy is unreadable");
    let on_disk = words(&loaded[0].prompt);
    assert!(on_disk >= saved, "{saved} words were saved, {on_disk} are there");
    let kept = left.iter().map(|unsaved| words(&unsaved.pair.prompt)).max().unwrap_or(0);
    counts.recovered += usize::from(kept > on_disk);
    let found = kept.max(on_disk);
    if let Some(lost) = typed.get(found) {
        let lost = killed - *lost;
        assert!(lost <= PROMISED + SLACK, "{lost:?} of typing are lost");
        counts.longest_lost = counts.longest_lost.max(lost);
    }
}

/// How many of the words w0, w1, … the text begins with.
fn words(text: &str) -> usize {
    (0..).take_while(|n| text.split_whitespace().any(|word| word == format!("w{n}"))).count()
}
