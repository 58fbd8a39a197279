//! Finding a workspace, and what its config files say when they are missing, changed or broken.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use voicetune::config::Workspace;

/// A folder with the given config files, and `pairs/`.
fn workspace(files: &[(&str, &str)]) -> (tempfile::TempDir, Workspace) {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["pairs", "configs"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for (name, text) in files {
        fs::write(dir.path().join("configs").join(name), text).unwrap();
    }
    let workspace = Workspace::open(dir.path()).unwrap();
    (dir, workspace)
}

const LEAST: &str = "model: m\nformat: plain\nmethod: full\n";

#[test]
fn the_nearest_workspace_upward_is_found() {
    let (dir, outer) = workspace(&[]);
    let deep = dir.path().join("pairs/tier1");
    fs::create_dir(&deep).unwrap();
    assert_eq!(Workspace::upward_from(&deep).unwrap(), outer);
    assert_eq!([outer.pairs(), outer.configs(), outer.runs()], ["pairs", "configs", "runs"].map(|part| dir.path().join(part)));
}

#[test]
fn where_there_is_no_workspace_the_way_to_one_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display();
    let check = |result: anyhow::Result<Workspace>, expected: String| assert_eq!(result.unwrap_err().to_string(), expected);
    check(Workspace::find(Some(dir.path())), format!("{path}: not a workspace, it has no pairs/; make one with `voicetune init DIR`"));
    check(
        Workspace::find(Some(&dir.path().join("x"))),
        format!("{path}/x: there is no such folder; make a workspace there with `voicetune init {path}/x`"),
    );
    check(
        Workspace::upward_from(dir.path()),
        format!(
            "{path}: neither this folder nor one above it is a workspace (a folder with pairs/ and configs/); \
             make one with `voicetune init DIR`, or name one with --workspace DIR"
        ),
    );
}

#[test]
fn a_config_is_found_by_name_and_by_path() {
    let (dir, workspace) = workspace(&[("llama-3.1-8b-lora.yaml", LEAST)]);
    let path = dir.path().join("configs/llama-3.1-8b-lora.yaml");
    for wanted in ["llama-3.1-8b-lora", "llama-3.1-8b-lora.yaml", path.to_str().unwrap()] {
        assert_eq!(workspace.config(wanted).unwrap().name, "llama-3.1-8b-lora", "{wanted}");
    }
    assert_eq!(workspace.training_configs().unwrap(), [path]);
}

#[test]
fn an_unknown_config_names_what_there_is() {
    let (_dir, full) = workspace(&[("small.yaml", LEAST), ("large.yaml", LEAST), ("sampling.yaml", "")]);
    let check = |workspace: &Workspace, wanted: &str, expected: &str| {
        assert_eq!(workspace.config(wanted).unwrap_err().to_string(), expected);
    };
    check(&full, "smal", "configs/smal.yaml: there is no such config; did you mean `small`?");
    check(&full, "other.yaml", "configs/other.yaml: there is no such config; there is `large`, `small`");
    check(&full, "no/such.yaml", "no/such.yaml: there is no such file; check the path");
    let (_dir, empty) = workspace(&[]);
    check(&empty, "any", "configs/any.yaml: there is no such config; configs/ has none; `voicetune init DIR` writes a set");
}

#[test]
fn missing_files_mean_the_defaults_that_init_writes() {
    let repository = Workspace::open(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (_dir, empty) = workspace(&[]);
    assert_eq!(empty.sampling().unwrap(), repository.sampling().unwrap());
    assert_eq!(empty.templates().unwrap(), repository.templates().unwrap());
    assert_eq!(empty.rubric().unwrap(), repository.rubric().unwrap());
    assert_eq!(
        empty.canaries().unwrap_err().to_string(),
        "configs/canaries.yaml: is missing; `voicetune init DIR` writes one to start from"
    );
}

#[test]
fn the_defaults_are_those_of_the_experiment() {
    let (_dir, empty) = workspace(&[]);
    let sampling = empty.sampling().unwrap();
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k, sampling.repetition_penalty), (0.8, 0.9, 50, 1.1));
    assert_eq!((sampling.samples, sampling.seed), (5, 42));
    let limits = ["llama", "gpt2", "pocket-llama", "pocket-gpt2"].map(|name| sampling.max_new_tokens_for(name));
    assert_eq!(limits, [1024, 512, 200, 200]);
    let templates = empty.templates().unwrap();
    assert_eq!(templates.plain.delimiter, "\n\n---\n\n");
    assert_eq!((templates.chat.system.as_str(), templates.chat.date_string.as_str()), ("", "26 Jul 2024"));
    let rubric = empty.rubric().unwrap();
    let long_only: Vec<bool> = rubric.dimensions.iter().map(|dimension| dimension.long_only).collect();
    assert_eq!(long_only, [false, false, false, false, false, true, true, true, false]);
}

#[test]
fn a_key_that_is_given_holds_and_the_others_have_their_defaults() {
    let (_dir, workspace) = workspace(&[
        ("sampling.yaml", "temperature: 0\nmax_new_tokens_by_model: {gpt2: 9}\n"),
        ("templates.yaml", "chat: {system: Be brief.}\n"),
    ]);
    let sampling = workspace.sampling().unwrap();
    assert_eq!((sampling.temperature, sampling.top_p, sampling.max_new_tokens_for("gpt2")), (0.0, 0.9, 9));
    let templates = workspace.templates().unwrap();
    assert_eq!((templates.chat.system.as_str(), templates.plain.delimiter.as_str()), ("Be brief.", "\n\n---\n\n"));
}

#[test]
fn a_limit_by_model_never_raises_the_general_one() {
    let (_dir, workspace) =
        workspace(&[("sampling.yaml", "max_new_tokens: 100\nmax_new_tokens_by_model: {gpt2: 512, pocket-llama: 20}\n")]);
    let sampling = workspace.sampling().unwrap();
    assert_eq!(["llama", "gpt2", "pocket-llama"].map(|name| sampling.max_new_tokens_for(name)), [100, 100, 20]);
}

#[test]
fn what_is_wrong_in_the_other_files_is_said_with_file_and_line() {
    fn check(name: &str, text: &str, expected: &str) {
        let (_dir, workspace) = workspace(&[(name, text)]);
        let error = match name {
            "canaries.yaml" => workspace.canaries().unwrap_err(),
            "rubric.yaml" => workspace.rubric().unwrap_err(),
            "sampling.yaml" => workspace.sampling().unwrap_err(),
            _ => workspace.templates().unwrap_err(),
        };
        assert_eq!(error.to_string(), format!("configs/{name}{expected}"), "{text}");
    }
    check("sampling.yaml", "temprature: 1\n", ":1: unknown key `temprature`; did you mean `temperature`?");
    check("sampling.yaml", "seed: 1\ntemperature: -1\n", ":2: `temperature` must be from 0 (always the likeliest token) to 10, not -1.0");
    check("sampling.yaml", "top_p: 0\n", ":1: `top_p` must be above 0 and at most 1 (off), not 0.0");
    check("sampling.yaml", "repetition_penalty: 0\n", ":1: `repetition_penalty` must be above 0; 1 turns it off, not 0.0");
    check("sampling.yaml", "samples: 0\n", ":1: `samples` must be from 1 to 10,000, not 0");
    check(
        "sampling.yaml",
        "max_new_tokens_by_model: {gpt2: 0}\n",
        ":1: `max_new_tokens_by_model` must be 1 or more for each model, not {\"gpt2\": 0}",
    );
    check("templates.yaml", "chat:\n  sistem: x\n", ":2: unknown key `sistem`; did you mean `system`?");
    check("templates.yaml", "plain:\n  delimiter: \"\"\n", ":2: `plain.delimiter` must be some text, not \"\"");
    check("canaries.yaml", "canaries: []\n", ": there is no canary; add one: `- {id: A, about: …, long: false, prompt: …}`");
    let a = "canaries:\n- {id: A, about: x, long: false, prompt: p}\n";
    check("canaries.yaml", &format!("{a}- {{id: a, about: x, long: false, prompt: p}}\n"), ":3: two canaries have the id a; rename one");
    check("canaries.yaml", &a.replace("id: A", "id: a/b"), ":2: the id `a/b` must be letters, digits, `-` or `_`: it names a folder");
    check("canaries.yaml", &a.replace("prompt: p", "prompt: ''"), ":2: canary A has an empty prompt; write one");
    check("canaries.yaml", &a.replace(", long: false", ""), ":2: the key `long` is missing; add it");
    check("rubric.yaml", "dimensions: []\n", ": there is no dimension; add one, or delete the file to have the default nine");
    let one = "dimensions:\n- {id: r, name: R, question: q, low: l, high: h}\n";
    check("rubric.yaml", &format!("{one}{}", &one["dimensions:\n".len()..]), ":3: two dimensions have the id `r`; rename one");
    check("rubric.yaml", &one.replace("question: q", "question: ''"), ":2: `id`, `name` and `question` must not be empty");
    check("rubric.yaml", &one.replace("high", "hihg"), ":2: unknown key `hihg`; did you mean `high`?");
}

#[test]
fn a_file_that_is_not_text_is_named_with_the_line() {
    let (dir, workspace) = workspace(&[]);
    fs::write(dir.path().join("configs/c.yaml"), b"model: a\nformat: caf\xe9\n").unwrap();
    assert_eq!(workspace.config("c").unwrap_err().to_string(), "configs/c.yaml:2: is not UTF-8 text; save the file as UTF-8");
}
