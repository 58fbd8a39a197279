//! Files that are no files, files without end, bombs, names that would lead elsewhere, and names and texts that would act on a terminal:
//! each is refused or shown as what it is, at once and with its name.
#![allow(clippy::unwrap_used)]

mod run_support;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use run_support::Sample;
use voicetune::config::{self, Workspace};
use voicetune::engine::AdapterConfig;
use voicetune::hub::{ModelFiles, Search};
use voicetune::run::checkpoint::Checkpoints;
use voicetune::run::log::History;
use voicetune::run::manifest::Manifest;
use voicetune::run::{Follow, Run, outputs};
use voicetune::{pairs, review};

/// What must not take long; generous, since other tests may have the processor.
const AT_ONCE: Duration = Duration::from_secs(30);

/// Does the work on a thread of its own, and fails where it hangs.
fn at_once<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = channel();
    std::thread::spawn(move || sender.send(work()));
    done.recv_timeout(AT_ONCE).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Its name, and what lays it.
type Trap = (&'static str, Box<dyn Fn()>);

/// Ten gigabytes that take no room, a pipe without a writer, a file without end, a folder.
fn traps(path: &Path) -> [Trap; 4] {
    let [large, pipe, endless, folder] = [path.to_owned(), path.to_owned(), path.to_owned(), path.to_owned()];
    [
        ("10 GB", Box::new(move || File::create(&large).unwrap().set_len(10_000_000_000).unwrap())),
        ("a pipe", Box::new(move || assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success()))),
        ("/dev/zero", Box::new(move || symlink("/dev/zero", &endless).unwrap())),
        ("a folder", Box::new(move || fs::create_dir(&folder).unwrap())),
    ]
}

fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// Sets every trap at `path` in turn; `refused` must say no and name the file.
fn check_trapped(path: PathBuf, refused: impl Fn() -> Option<String> + Send + Clone + 'static) {
    let saved = fs::read(&path).ok();
    for (what, set) in traps(&path) {
        remove(&path);
        set();
        let shown = format!("{} is {what}", path.display());
        let refused = refused.clone();
        let message = at_once(&shown, refused).unwrap_or_else(|| panic!("{shown}: was taken"));
        assert!(message.contains(path.file_name().unwrap().to_str().unwrap()), "{shown}: {message}");
        remove(&path);
    }
    if let Some(bytes) = saved {
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn what_is_no_file_or_has_no_end_is_refused_at_once() {
    let sample = Sample::new();
    sample.succeed(&["train", "lora", "--run", "first", "--max-steps", "1"]);
    let run = sample.run("first");
    let checkpoint = run.join("checkpoints/step-000001");
    let root = sample.root().to_owned();
    let error = |result: Option<anyhow::Error>| result.map(|error| format!("{error:#}"));

    let folder = sample.path("pairs");
    let problems = move || pairs::load(&folder).1.first().map(ToString::to_string);
    let trap = sample.path("pairs/tier2/trap.yaml");
    // A folder there is a folder, whatever its name.
    for (what, set) in traps(&trap).into_iter().take(3) {
        set();
        let problems = problems.clone();
        let message = at_once(what, move || problems().unwrap());
        assert!(message.starts_with("pairs/tier2/trap.yaml: cannot be read"), "{what}: {message}");
        remove(&trap);
    }
    let folder = sample.path("pairs");
    fs::create_dir_all(sample.path("pairs/.unsaved/2026-11-22-100000.x")).unwrap();
    let left = move || pairs::recoverable(&folder, None).1.first().map(ToString::to_string);
    check_trapped(sample.path("pairs/.unsaved/2026-11-22-100000.x/tier1+trap.yaml"), left);

    type Reader = fn(Workspace) -> Option<config::ConfigError>;
    let readers: [(&str, Reader); 4] = [
        ("canaries.yaml", |workspace| workspace.canaries().err()),
        ("sampling.yaml", |workspace| workspace.sampling().err()),
        ("templates.yaml", |workspace| workspace.templates().err()),
        ("rubric.yaml", |workspace| workspace.rubric().err()),
    ];
    for (file, read) in readers {
        let root = root.clone();
        check_trapped(sample.path("configs").join(file), move || read(Workspace::open(&root).unwrap()).map(|error| error.to_string()));
    }
    let path = sample.path("configs/lora.yaml");
    check_trapped(path.clone(), move || config::load(&path).err().map(|error| error.to_string()));

    let folder = run.clone();
    check_trapped(run.join("manifest.yaml"), move || error(Manifest::read(&folder).err()));
    let opened = Run::open(&run).unwrap();
    check_trapped(run.join("dataset.jsonl"), move || error(opened.examples().err()));
    let folder = run.clone();
    check_trapped(run.join("events.jsonl"), move || error(History::read(&folder).err()));
    let folder = run.clone();
    check_trapped(run.join("result.json"), move || error(Checkpoints::of(&folder).result().err()));
    let folder = run.clone();
    let state = move || {
        let checkpoints = Checkpoints::of(&folder);
        error(checkpoints.state(&checkpoints.find(None).unwrap()).err())
    };
    check_trapped(checkpoint.join("state.json"), state);
    let folder = run.clone();
    fs::create_dir_all(run.join("outputs/A")).unwrap();
    check_trapped(run.join("outputs/A/llama-tuned.jsonl"), move || error(outputs::read(&folder, "A", "llama-tuned").err()));
    let runs = sample.path("runs");
    let name = run.file_name().unwrap().to_str().unwrap().to_owned();
    let verdicts = move || review::verdict::read(&runs, [name.as_str()]).problems.first().map(ToString::to_string);
    check_trapped(run.join("verdicts.jsonl"), verdicts);

    let folder = checkpoint.clone();
    check_trapped(checkpoint.join("adapter_config.json"), move || error(AdapterConfig::read(&folder).err()));
    let model = sample.path("models/llama");
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "model.safetensors"] {
        let model = model.clone();
        let resolved = move || {
            let search = Search { workspace: PathBuf::from("/"), cache: None };
            error(ModelFiles::resolve(model.to_str().unwrap(), "main", &search).and_then(|files| files.text_files()).err())
        };
        check_trapped(sample.path("models/llama").join(file), resolved);
    }
}

#[test]
fn a_log_that_grows_without_a_line_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    File::create(dir.path().join("events.jsonl")).unwrap().set_len(10_000_000_000).unwrap();
    let folder = dir.path().to_owned();
    let message = at_once("follow", move || format!("{:#}", Follow::new(&folder).poll().unwrap_err()));
    assert!(message.contains("events.jsonl: a line without an end"), "{message}");
}

#[test]
fn bombs_and_towers_are_refused() {
    let check = |id: &str, text: String| {
        let shown = id.to_owned();
        let faults = at_once(&shown, move || pairs::from_yaml("tier1/x", &text).1);
        assert!(!faults.is_empty(), "{id}");
    };
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, name) in ('a'..='y').zip('b'..='z') {
        laughs += &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 9].join(", "));
    }
    check("a billion laughs", laughs);
    let mut text = format!("prompt: &a \"{}\"\n", "x".repeat(1000));
    for (before, name) in ('a'..='t').zip('b'..='u') {
        text += &format!("{name}: &{name} {{ <<: [*{before}, *{before}] }}\n");
    }
    check("merge keys", text);
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", ""), ("&a ", ""), ("!", "")] {
        check(open, format!("tier: {}{}", open.repeat(200_000), close.repeat(200_000)));
    }
    let tower = "[".repeat(200_000);
    let line = format!("{{\"type\":{tower}\n");
    assert_eq!(at_once("events", move || History::of(line.as_bytes()).problems.len()), 1);
    let (config, manifest) = (tower.clone(), tower.clone());
    at_once("config.json", move || voicetune::engine::spec::Spec::parse(&config).unwrap_err());
    at_once("manifest", move || Manifest::parse(&manifest).unwrap_err());
}

#[test]
fn no_name_leads_out_of_its_folder() {
    let sample = Sample::new();
    let model = sample.path("models/llama");
    let weights = fs::read(model.join("model.safetensors")).unwrap();
    fs::write(sample.path("models/outside.safetensors"), &weights).unwrap();
    let search = || Search { workspace: PathBuf::from("/"), cache: None };
    let outside = sample.path("models/outside.safetensors");
    for shard in ["../outside.safetensors", outside.to_str().unwrap(), ".", "..", "", "a/../../outside.safetensors", "x\\..\\y"] {
        let index = serde_json::json!({ "weight_map": { "a": shard } });
        fs::write(model.join("model.safetensors.index.json"), index.to_string()).unwrap();
        let message = format!("{:#}", ModelFiles::resolve(model.to_str().unwrap(), "main", &search()).unwrap_err());
        assert!(message.contains("which is not a file of its own folder"), "{shard:?}: {message}");
    }
    for id in ["../x", "a/b", "..", "a\\0b", "/etc/x"] {
        let text = format!("canaries: [{{ id: {id:?}, about: a, long: false, prompt: p }}]");
        assert!(config::parse_canaries(&text).is_err(), "{id}");
    }
    let line = |arm: &str| format!(r#"{{"type":"pick","time":"","prompt":"A","arm":{arm:?},"sample":0,"text":""}}"#) + "\n";
    for arm in ["../x/y", "a/../b", "/etc/passwd", "a", "a/b/c", "../.."] {
        let found = review::verdict::Verdicts::parse(Path::new("v"), line(arm).as_bytes());
        assert_eq!((found.picks.len(), found.problems.len()), (0, 1), "{arm}");
    }
    fs::remove_file(model.join("model.safetensors.index.json")).unwrap();
    sample.fail(&["train", "lora", "--run", "../../x", "--max-steps", "1"], &["`../../x` cannot be a name"]);
}

/// A link in the place of a checkpoint is removed, never what it leads to.
#[test]
fn pruning_follows_no_link() {
    let sample = Sample::new();
    sample.succeed(&["train", "lora", "--run", "first", "--max-steps", "1"]);
    let treasure = sample.path("treasure");
    fs::create_dir(&treasure).unwrap();
    fs::write(treasure.join("state.json"), "hers").unwrap();
    symlink(&treasure, sample.run("first").join("checkpoints/step-000000")).unwrap();
    symlink(&treasure, sample.run("first").join("checkpoints/.step-000009.tmp")).unwrap();
    sample.succeed(&["train", "--resume", "first", "--max-steps", "12"]);
    assert_eq!(fs::read_to_string(treasure.join("state.json")).unwrap(), "hers");
}

/// A red word, a window title, a cleared screen (in one byte too), a reversed name, a carriage return.
const HOSTILE: &str = "x\x1b[31mred\x1b]0;title\x07\u{9b}2J\u{202e}gpj.\rgone";

fn check_harmless(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let acts = |c: char| (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.contains(acts), "{what}: {text:?}");
    assert!(text.contains('␛') || text.contains("\\u001b"), "{what} does not show it at all: {text:?}");
}

#[test]
fn nothing_that_is_printed_acts_on_the_terminal() {
    let sample = Sample::new();
    let output = |args: &[&str]| sample.voicetune(args).output().unwrap();
    // In a file's name, in a line that is quoted, in a text.
    fs::write(sample.path("pairs/tier2").join(format!("{HOSTILE}.yaml")), "tier: 9\n").unwrap();
    check_harmless("check", &output(&["check"]).stdout);
    check_harmless("check as JSON", &output(&["check", "--json"]).stdout);
    check_harmless("encode", &output(&["encode", "--config", "lora"]).stderr);
    check_harmless("train", &output(&["train", "lora", "--max-steps", "1"]).stderr);
    fs::remove_file(sample.path("pairs/tier2").join(format!("{HOSTILE}.yaml"))).unwrap();

    let pair = pairs::open(&sample.path("pairs"), "tier2/clock").unwrap().pair;
    let hat = pairs::Pair { id: "tier2/hat".into(), source: "hat".into(), prompt: HOSTILE.into(), ..pair };
    pairs::save(&sample.path("pairs"), &hat, pairs::Fingerprint::Absent).unwrap();
    check_harmless("encode", &output(&["encode", "--config", "full"]).stdout);
    fs::remove_file(sample.path("pairs/tier2/hat.yaml")).unwrap();

    sample.write("configs/canaries.yaml", &format!("canaries:\n  - {HOSTILE}\n"));
    check_harmless("an error", &output(&["check"]).stdout);
    check_harmless("a name", &output(&["train", HOSTILE]).stderr);

    sample.write("draft.md", &format!("A draft. {HOSTILE} More of it."));
    sample.write("revision.md", &format!("Another. {HOSTILE} Less of it."));
    check_harmless("diff", &output(&["diff", "draft.md", "revision.md"]).stdout);
}
