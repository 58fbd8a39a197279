//! docs/formats.md against the program: every config key with its default, the lines of a verdict, and every command, in the docs and in messages.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use voicetune::config::{self, Workspace};
use voicetune::review::verdict::{Line, Outcome};

/// The rows of the tables between a heading (or another line that begins so) and the next heading, cell by cell.
fn rows(from: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md")).unwrap();
    let section = text.lines().skip_while(|line| !line.starts_with(from)).skip(1).take_while(|line| !line.starts_with("## "));
    let rows: Vec<_> = section
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "docs/formats.md: no table after `{from}`");
    rows
}

/// Key -> default as the table has them; keys without a default are left out.
fn defaults(from: &str) -> BTreeMap<String, Value> {
    let code = |cell: &str| cell.trim_matches('`').to_owned();
    let given = rows(from).into_iter().filter(|cells| !cells[1].is_empty());
    given.map(|cells| (code(&cells[0]), serde_yaml::from_str(&code(&cells[1])).unwrap())).collect()
}

/// `{"lora": {"rank": 16}}` as `lora.rank` -> 16, objects that are values themselves left whole.
fn flat(value: &impl serde::Serialize, sections: &[&str]) -> BTreeMap<String, Value> {
    let Value::Object(map) = serde_json::to_value(value).unwrap() else { panic!("not a map") };
    let mut flat = BTreeMap::new();
    for (key, value) in map {
        match value {
            Value::Object(inner) if sections.contains(&key.as_str()) => {
                flat.extend(inner.into_iter().map(|(inner, value)| (format!("{key}.{inner}"), value)));
            }
            value => drop(flat.insert(key, value)),
        }
    }
    flat
}

/// Whether two values are the same, whole numbers and others taken alike.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w))),
        _ => a == b,
    }
}

fn check_defaults(documented: &BTreeMap<String, Value>, real: &BTreeMap<String, Value>) {
    assert_eq!(documented.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>(), "keys in docs/formats.md, keys of the program");
    for (key, value) in documented {
        assert!(same(value, &real[key]), "docs/formats.md says `{key}` is {value} by default; the program has {}", real[key]);
    }
}

#[test]
fn training_configs() {
    let config = config::parse(Path::new("c.yaml"), "model: m\nformat: chat\nmethod: lora\n").unwrap();
    let mut real = flat(&config, &["lora", "optimizer", "schedule", "validation"]);
    real.retain(|key, _| !["name", "model", "format", "method"].contains(&key.as_str()));
    check_defaults(&defaults("## Training configs"), &real);
}

#[test]
fn sampling_settings() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["pairs", "configs"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let real = Workspace::open(folder.path()).unwrap().sampling().unwrap();
    check_defaults(&defaults("**`sampling.yaml`**"), &flat(&real, &[]));
}

/// The example lines are what the program reads and writes, key for key.
#[test]
fn verdicts() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/formats.md")).unwrap();
    let section = text.lines().skip_while(|line| !line.starts_with("**`verdicts.jsonl`**"));
    let example: Vec<_> = section.skip_while(|line| !line.starts_with("    {")).take_while(|line| line.starts_with("    ")).collect();
    let written = example.iter().map(|line| line.trim()).collect::<String>().replace("}{", "}\n{");
    let lines: Vec<Line> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [Line::Verdict(verdict), Line::Pick(pick)] = &lines[..] else { panic!("a verdict and a pick: {lines:?}") };
    assert_eq!(verdict.reading.check(), Ok(()));
    assert_eq!(pick.shown, verdict.reading.shown[0]);
    assert_eq!(lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect::<Vec<_>>().join("\n"), written);

    let outcomes: Vec<_> = rows("| `outcome`").into_iter().map(|cells| cells[0].trim_matches('`').replace(", ...", "")).collect();
    let arm = verdict.reading.shown[0].arm.clone();
    let all = [Outcome::Best(vec![arm.clone()]), Outcome::Ranking(vec![vec![arm.clone()]]), Outcome::Tie, Outcome::AllBad];
    let real = all.map(|outcome| serde_json::to_string(&outcome).unwrap().replace(&format!("\"{arm}\""), "arm").replace(':', ": "));
    assert_eq!(outcomes, real);
}

#[test]
fn commands() {
    let real = real_commands();
    let table = rows("## Commands");
    let mut documented: Vec<&str> = table.iter().filter_map(|cells| cells[0].trim_matches('`').split_whitespace().next()).collect();
    documented.sort_unstable();
    documented.dedup();
    assert_eq!(documented, real, "commands in docs/formats.md, commands of the program");
}

#[test]
fn messages_name_commands_that_exist() {
    let real = real_commands();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for file in files(&root.join("src")).into_iter().chain(files(&root.join("configs"))) {
        let text = fs::read_to_string(&file).unwrap();
        for (at, line) in (1..).zip(text.lines()) {
            // Quoted in a sentence, or a line of an example.
            for mark in ["`voicetune ", "  voicetune "] {
                let words = line.split(mark).skip(1).filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphabetic()).next());
                for word in words.filter(|word| !word.is_empty()) {
                    assert!(real.iter().any(|name| name == word), "{}:{at}: there is no command `voicetune {word}`", file.display());
                    named += 1;
                }
            }
        }
    }
    assert!(named >= 20, "{named}");
}

/// The commands that `voicetune --help` lists, sorted.
fn real_commands() -> Vec<String> {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_voicetune")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A command's name stands two blanks in; the rest of a longer description stands further in.
    let mut real: Vec<String> =
        listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
    real.retain(|name| name != "help");
    real.sort_unstable();
    real
}

/// The Rust and YAML files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|e| e == "rs" || e == "yaml"))
        .collect()
}
