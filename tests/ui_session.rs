//! A writer's session with the real program in a pseudo-terminal, from the first key to the restored screen.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use voicetune::pairs::{self, Pair, Status};
use voicetune::review::verdict::{self, Outcome, Score};
use voicetune::run::log::History;
use voicetune::run::protocol::Outcome as Ending;
use voicetune::run::{Run, outputs, scores};

#[path = "ui_support/pty.rs"]
mod pty;
#[path = "ui_support/workspace.rs"]
mod workspace;

use pty::Pty;

/// For what takes no time worth speaking of; generous, since other tests may have the processor.
const SOON: Duration = Duration::from_secs(20);
/// For a model: the engine is slow without optimisation.
const LONG: Duration = Duration::from_secs(180);

const ENTER: &str = "\r";
const ESCAPE: &str = "\x1b";
const TAB: &str = "\t";
const SAVE: &str = "\x13"; // Ctrl-S
const END: &str = "\x1b[F";

const FEW_WORDS: &str = "max_new_tokens: 20\nsamples: 2\n";

/// A few short pairs, and a config that is trained in seconds.
fn workspace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    workspace::copy(folder.path(), |id| id.starts_with("tier4/lost") || id.starts_with("tier4/three"));
    let config = fs::read_to_string(folder.path().join("configs/pocket-llama-lora.yaml")).unwrap();
    let quick = [("epochs: 3", "epochs: 1"), ("max_tokens: 4096", "max_tokens: 192"), ("sample_every: epoch", "sample_every: never")]
        .into_iter()
        .fold(config, |config, (old, new)| config.replace(old, new));
    fs::write(folder.path().join("configs/quick.yaml"), quick).unwrap();
    fs::write(folder.path().join("configs/sampling.yaml"), FEW_WORDS).unwrap();
    folder
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_voicetune"))
}

fn start(folder: &Path) -> Pty {
    Pty::start(program(), &[], folder, 140, 45, &[])
}

/// Makes a pair of this name, and goes into its prompt.
fn new_pair(pty: &mut Pty, name: &str) {
    pty.wait_for("draft → essay", SOON);
    pty.press("n");
    pty.wait_for("A new pair", SOON);
    pty.press(name);
    pty.press(TAB);
    pty.press("The market hall");
    pty.press(ENTER);
    pty.wait_for(&format!("tier1/{name}"), SOON);
}

#[test]
fn a_pair_is_made_a_model_trained_read_and_rated() {
    let folder = workspace();
    let mut pty = start(folder.path());
    new_pair(&mut pty, "market-hall");
    pty.press("The hall is shut.");
    pty.press(TAB);
    pty.paste("The hall is shut, and has been since the spring.\n\nNobody says why.");
    pty.wait_for("Nobody says why.", SOON);
    pty.press(SAVE);
    pty.wait_for("market-hall is saved", SOON);
    pty.press(ESCAPE);
    pty.press("r");
    pty.wait_for("● market-hall", SOON);
    let written = wait_for_pair(&mut pty, folder.path(), "tier1/market-hall", |pair| pair.status == Status::Ready);
    assert_eq!(written.source, "The market hall");
    assert_eq!(written.prompt.trim_end(), "The hall is shut.");
    assert_eq!(written.response.trim_end(), "The hall is shut, and has been since the spring.\n\nNobody says why.");

    pty.press("2");
    pty.wait_for("quick", SOON);
    pty.press(END);
    pty.wait_for("Before a start of quick", SOON);
    pty.press(ENTER);
    pty.wait_for("Start a run", SOON);
    pty.press(ENTER);
    pty.wait_for("finished", LONG);
    let runs = Run::list(&folder.path().join("runs")).unwrap();
    assert_eq!(runs.len(), 1);
    let run = &runs[0].folder;
    let history = History::read(run).unwrap();
    assert_eq!(history.ended.unwrap().outcome, Ending::Finished);
    assert!(history.problems.is_empty() && !history.steps.is_empty());

    pty.press("3");
    pty.wait_for("Canaries", SOON);
    pty.press("g");
    pty.wait_until("two samples of each arm", LONG, |_| samples(run, "A") == [2, 2]);
    pty.wait_until("both texts, without names", SOON, |screen| {
        screen.contains("R rank   = tie   0 all bad   r rubric   c comment") && screen.contains("blind") && !screen.contains("llama-tuned")
    });
    pty.press("w");
    pty.wait_for("gives the verdict", SOON);
    pty.press("r");
    pty.press("4");
    pty.press(ESCAPE);
    pty.press("c");
    pty.press("Nearer to me.");
    pty.press(ENTER);
    pty.wait_for("“Nearer to me.”", SOON);
    pty.press(ENTER);
    pty.wait_for("read blind", SOON);
    assert!(pty.has("llama-base") && pty.has("llama-tuned"), "{}", pty.text());
    let name = run.file_name().unwrap().to_str().unwrap();
    let verdicts = verdict::read(&folder.path().join("runs"), [name]);
    assert_eq!(verdicts.problems, []);
    assert_eq!(verdicts.verdicts.len(), 1);
    let reading = &verdicts.verdicts[0].reading;
    assert_eq!((reading.prompt.as_str(), reading.comment.as_str(), reading.blind), ("A", "Nearer to me.", true));
    // The first pane had both: the best and the score.
    let first = &reading.shown[0].arm;
    assert_eq!(reading.outcome, Outcome::Best(vec![first.clone()]));
    assert_eq!(reading.scores[first].values().copied().collect::<Vec<_>>(), [Score::new(4).unwrap()]);

    // The text in shades, scored by both arms and kept.
    pty.press("u");
    pty.wait_for("else likeliest", LONG);
    assert!(pty.has("nats a token") && pty.has("fine-tuned"), "{}", pty.text());
    // The worker writes them while they are shown.
    pty.wait_until("the scores, kept", SOON, |_| !scores::read(run, "A").unwrap().is_empty());
    let kept = scores::read(run, "A").unwrap();
    assert_eq!((kept.len(), kept[0].base.logprobs.len() + 1), (1, kept[0].ids.len()));
    pty.press("v");
    pty.wait_for("less surprised, by nats", SOON);
    pty.press("u");
    // Nothing was drawn at the next temperature; one arm at all of them.
    pty.press("}");
    pty.wait_for("at temperature 1.2 yet", SOON);
    pty.press("{");
    pty.wait_for("at 0.8", SOON);
    pty.press("t");
    pty.wait_for("at 0.5", SOON);
    assert!(pty.has("3 temperatures"), "{}", pty.text());
    pty.press("g");
    pty.wait_until("two samples more at 0.5 and at 1.2", LONG, |_| samples(run, "A").iter().sum::<usize>() == 8);
    pty.press("t");
    pty.wait_for("read blind", SOON);
    // The second sample is blind again; both are ranked, the second pane first.
    pty.press("]");
    pty.wait_until("the second sample, without names", SOON, |screen| screen.contains("sample 2 of 2") && !screen.contains("llama-tuned"));
    pty.press("R");
    pty.wait_for("Ranking, the best first", SOON);
    pty.press("2");
    pty.wait_for("Pane 2 > …", SOON);
    pty.press("1");
    pty.wait_for("Pane 2 > Pane 1", SOON);
    pty.press(ENTER);
    pty.wait_for("read blind", SOON);
    let verdicts = verdict::read(&folder.path().join("runs"), [name]);
    let reading = &verdicts.verdicts[1].reading;
    let order: Vec<_> = reading.arms().cloned().collect();
    assert_eq!((&reading.outcome, reading.blind), (&Outcome::Ranking(vec![vec![order[1].clone()], vec![order[0].clone()]]), true));

    pty.press("q");
    assert_eq!(pty.wait(SOON), 0);
    assert!(pty.is_restored());
}

#[test]
fn a_hang_up_while_editing_keeps_the_text_and_spins_nowhere() {
    let folder = workspace();
    let mut pty = start(folder.path());
    new_pair(&mut pty, "bus-shelter");
    pty.press("Nobody waits at the shelter.");
    pty.wait_for("Nobody waits at the shelter.", SOON);
    pty.hang_up();
    pty.wait(SOON);
    assert!(pty.used < Duration::from_secs(3), "{:?} of processor time", pty.used);

    let (unsaved, problems) = pairs::recoverable(&folder.path().join("pairs"), None);
    assert_eq!(problems, []);
    assert_eq!(unsaved.len(), 1);
    assert_eq!(unsaved[0].pair.id, "tier1/bus-shelter");
    assert_eq!(unsaved[0].pair.prompt.trim_end(), "Nobody waits at the shelter.");

    let mut pty = start(folder.path());
    pty.wait_for("Recover the edits", SOON);
    pty.press(ENTER);
    pty.wait_until("the text and no question", SOON, |screen| {
        screen.contains("Nobody waits at the shelter.") && !screen.contains("Recover the edits")
    });
    pty.press(SAVE);
    pty.wait_for("bus-shelter is saved", SOON);
    pty.press("q");
    assert_eq!(pty.wait(SOON), 0);
    assert_eq!(pair(folder.path(), "tier1/bus-shelter").prompt.trim_end(), "Nobody waits at the shelter.");
    assert!(pairs::recoverable(&folder.path().join("pairs"), None).0.is_empty());
}

/// Each key has to be seen before the next is pressed: one that came with a resize may not wait for another.
#[test]
fn resizing_and_keys_together_lose_no_key() {
    let folder = workspace();
    let mut pty = start(folder.path());
    new_pair(&mut pty, "resized");
    let is_typed = |c: &char| ('\u{430}'..='\u{44f}').contains(c); // nothing else on the screen is Cyrillic
    let letters: String = ('\u{430}'..='\u{44f}').cycle().take(150).collect();
    for (n, letter) in letters.chars().enumerate() {
        pty.resize(100 + 40 * (n as u16 % 2), 45);
        pty.send(&letter.to_string());
        let wanted = &letters[..letters.char_indices().nth(n + 1).map_or(letters.len(), |(at, _)| at)];
        pty.wait_until(&format!("letter {n}"), SOON, |screen| screen.chars().filter(is_typed).eq(wanted.chars()));
    }
    pty.press(SAVE);
    pty.wait_for("is saved", SOON);
    assert_eq!(pair(folder.path(), "tier1/resized").prompt.trim_end(), letters);
}

#[test]
fn without_a_terminal_the_commands_are_named() {
    let folder = workspace();
    let output = Command::new(program()).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let message = String::from_utf8(output.stderr).unwrap();
    for command in ["check", "train", "generate", "demo", "--help"] {
        assert!(message.contains(command), "{message}");
    }
}

/// How many samples of the prompt each arm has on disk.
fn samples(run: &Path, prompt: &str) -> Vec<usize> {
    let Ok(arms) = fs::read_dir(run.join("outputs").join(prompt)) else { return vec![] };
    let paths = arms.map(|arm| arm.unwrap().path());
    paths.map(|path| outputs::read(run, prompt, path.file_stem().unwrap().to_str().unwrap()).unwrap().len()).collect()
}

/// Files are written behind the screen's back.
fn wait_for_pair(pty: &mut Pty, folder: &Path, id: &str, test: impl Fn(&Pair) -> bool) -> Pair {
    pty.wait_until(&format!("the file of {id}"), SOON, |_| test(&pair(folder, id)));
    pair(folder, id)
}

fn pair(folder: &Path, id: &str) -> Pair {
    pairs::open(&folder.join("pairs"), id).unwrap().pair
}
