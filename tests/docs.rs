//! docs/formats.md against the program: every config key with its default, and every command.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use voicetune::config::{self, Workspace};

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

#[test]
fn commands() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_voicetune")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A command's name stands two blanks in; the rest of a longer description stands further in.
    let mut real: Vec<&str> = listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).collect();
    real.retain(|name| *name != "help");
    real.sort_unstable();
    let table = rows("## Commands");
    let mut documented: Vec<&str> = table.iter().filter_map(|cells| cells[0].trim_matches('`').split_whitespace().next()).collect();
    documented.sort_unstable();
    documented.dedup();
    assert_eq!(documented, real, "commands in docs/formats.md, commands of the program");
}
