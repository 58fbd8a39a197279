use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tempfile::TempDir;

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn write_tensors(path: &Path, names: &[&str]) {
    let data = vec![0u8; 64];
    let views = names.iter().map(|name| (name.to_string(), TensorView::new(Dtype::F32, vec![4, 4], &data).unwrap()));
    safetensors::serialize_to_file(views, None, path).unwrap();
}

/// A folder with a config, a tokenizer and one weight file.
fn model_folder(at: &Path) {
    fs::create_dir_all(at).unwrap();
    fs::write(at.join("config.json"), r#"{"model_type":"gpt2"}"#).unwrap();
    fs::write(at.join("tokenizer.json"), "{}").unwrap();
    write_tensors(&at.join("model.safetensors"), &["a", "b"]);
}

fn shard(at: &Path) {
    fs::remove_file(at.join("model.safetensors")).unwrap();
    write_tensors(&at.join("model-00001-of-00002.safetensors"), &["a"]);
    write_tensors(&at.join("model-00002-of-00002.safetensors"), &["b"]);
    let index = r#"{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#;
    fs::write(at.join("model.safetensors.index.json"), index).unwrap();
}

fn cut(path: &Path, bytes: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

fn search(dir: &TempDir) -> Search {
    Search { workspace: dir.path().join("workspace"), cache: Some(dir.path().join("hub")) }
}

fn resolve(dir: &TempDir, model: &str) -> Result<ModelFiles> {
    ModelFiles::resolve(model, "main", &search(dir))
}

/// Asserts that the whole chain of the error contains each part.
fn check_refused(result: Result<ModelFiles>, parts: &[&str]) {
    let message = format!("{:#}", result.expect_err("this model cannot be used"));
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn a_local_folder_is_found_relative_to_the_workspace() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("workspace/models/mine");
    model_folder(&folder);
    let files = resolve(&dir, "models/mine").unwrap();
    assert_eq!((files.commit.as_deref(), files.tuning), (None, Tuning::Unknown));
    let Source::Files(weights) = files.weights().unwrap() else { panic!("a folder's weights are files") };
    assert_eq!(weights, [folder.join("model.safetensors")]);
    assert_eq!(files.text_files().unwrap().tokenizer_json, "{}");
    // Ids can be scored without a tokenizer; who needs text is told what is missing.
    fs::remove_file(folder.join("tokenizer.json")).unwrap();
    let files = resolve(&dir, "models/mine").unwrap();
    assert!(files.config_json().is_ok() && files.weights().is_ok());
    assert!(files.text_files().unwrap_err().to_string().contains("no tokenizer.json"));
}

#[test]
fn shards_are_read_in_order_of_their_names() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("workspace/m");
    model_folder(&folder);
    shard(&folder);
    let Source::Files(weights) = resolve(&dir, "m").unwrap().weights().unwrap() else { panic!("a folder's weights are files") };
    let names: Vec<_> = weights.iter().map(|w| w.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]);
}

#[test]
fn what_is_broken_is_named() {
    let check = |break_it: fn(&Path), parts: &[&str]| {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("workspace/m");
        model_folder(&folder);
        break_it(&folder);
        check_refused(resolve(&dir, "m"), parts);
    };
    check(|f| cut(&f.join("model.safetensors"), 1), &["model.safetensors: cut short", "fetch it again"]);
    check(|f| fs::write(f.join("model.safetensors"), b"abc").unwrap(), &["model.safetensors: 3 bytes", "too short"]);
    check(|f| fs::write(f.join("model.safetensors"), [255; 20]).unwrap(), &["not a safetensors file"]);
    check(|f| fs::remove_file(f.join("config.json")).unwrap(), &["no config.json"]);
    check(|f| fs::remove_file(f.join("model.safetensors")).unwrap(), &["no model.safetensors and no model.safetensors.index.json"]);
    check(
        |f| fs::rename(f.join("model.safetensors"), f.join("pytorch_model.bin")).unwrap(),
        &["only pytorch_model.bin", "pickle", "save_pretrained"],
    );
    check(
        |f| {
            shard(f);
            fs::remove_file(f.join("model-00002-of-00002.safetensors")).unwrap();
        },
        &["model-00002-of-00002.safetensors: missing"],
    );
    check(
        |f| {
            shard(f);
            cut(&f.join("model-00001-of-00002.safetensors"), 8);
        },
        &["model-00001-of-00002.safetensors: cut short"],
    );
    check(
        |f| {
            shard(f);
            write_tensors(&f.join("model-00002-of-00002.safetensors"), &["c"]);
        },
        &["model-00002-of-00002.safetensors: has no tensor b"],
    );
    check(
        |f| {
            shard(f);
            fs::write(f.join("model.safetensors.index.json"), r#"{"weight_map":{"a":"../x.safetensors"}}"#).unwrap();
        },
        &["index.json", "not a file of its own folder"],
    );
}

#[test]
fn a_hub_id_is_looked_up_in_the_cache() {
    let dir = TempDir::new().unwrap();
    let repo = dir.path().join("hub/models--org--Tiny-Instruct");
    model_folder(&repo.join("snapshots").join(COMMIT));
    fs::create_dir_all(repo.join("refs/refs/pr")).unwrap();
    fs::write(repo.join("refs/main"), COMMIT).unwrap();
    fs::write(repo.join("refs/refs/pr/1"), format!("{COMMIT}\n")).unwrap();
    for revision in ["main", "refs/pr/1", COMMIT] {
        let files = ModelFiles::resolve("org/Tiny-Instruct", revision, &search(&dir)).unwrap();
        assert_eq!((files.commit.as_deref(), files.tuning), (Some(COMMIT), Tuning::Instruct));
    }
    check_refused(ModelFiles::resolve("org/Tiny-Instruct", "v2", &search(&dir)), &["`v2`", "hf download org/Tiny-Instruct --revision v2"]);
    check_refused(ModelFiles::resolve("org/Tiny-Instruct", "../../x", &search(&dir)), &["not a branch"]);
    check_refused(resolve(&dir, "org/other"), &["org/other is not in the Hugging Face cache", "`hf download org/other`"]);
    check_refused(resolve(&dir, "./org/other"), &["no such model folder"]);
    fs::remove_file(repo.join("snapshots").join(COMMIT).join("model.safetensors")).unwrap();
    check_refused(resolve(&dir, "org/Tiny-Instruct"), &["not complete", "`hf download org/Tiny-Instruct`", "holds no weights"]);
}

#[test]
fn the_cache_folder_follows_the_environment() {
    let check = |vars: &[(&str, &str)], expected: Option<&str>| {
        let vars: BTreeMap<_, _> = vars.iter().copied().collect();
        assert_eq!(cache::folder(|name| vars.get(name).map(OsString::from)), expected.map(PathBuf::from), "{vars:?}");
    };
    check(&[("HF_HUB_CACHE", "/a"), ("HF_HOME", "/b"), ("HOME", "/h")], Some("/a"));
    check(&[("HF_HUB_CACHE", ""), ("HF_HOME", "/b"), ("HOME", "/h")], Some("/b/hub"));
    check(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")], Some("/x/huggingface/hub"));
    check(&[("HOME", "/h")], Some("/h/.cache/huggingface/hub"));
    check(&[], None);
}

#[test]
fn base_or_instruct_is_told_by_the_name_or_the_template() {
    let check = |name: &str, config: Option<&str>, expected: Tuning| assert_eq!(tuning::of(name, config, false), expected, "{name}");
    check("meta-llama/Llama-3.1-8B-Instruct", None, Tuning::Instruct);
    check("org/model-chat", Some("{}"), Tuning::Instruct);
    check("org/gemma-2b-it", Some("{}"), Tuning::Instruct);
    check("org/orbital", Some("{}"), Tuning::Base);
    check("meta-llama/Llama-3.1-8B", Some("{}"), Tuning::Base);
    check("org/model", Some(r#"{"chat_template":"x"}"#), Tuning::Instruct);
    check("org/model", Some(r#"{"chat_template":null}"#), Tuning::Base);
    check("org/model", None, Tuning::Unknown);
    assert_eq!(tuning::of("org/model", None, true), Tuning::Instruct);
}

#[test]
fn pocket_models_are_part_of_the_program() {
    let dir = TempDir::new().unwrap();
    for (name, model_type) in [("pocket:llama", "llama"), ("pocket:gpt2", "gpt2")] {
        let files = resolve(&dir, name).unwrap();
        assert!(files.config_json().unwrap().contains(&format!("\"model_type\": \"{model_type}\"")));
        assert!(files.text_files().unwrap().tokenizer_config.is_some());
    }
}

#[test]
fn an_unknown_pocket_model_is_refused() {
    let dir = TempDir::new().unwrap();
    check_refused(resolve(&dir, "pocket:camel"), &["pocket:camel: no such pocket model; there are pocket:llama and pocket:gpt2"]);
}

#[test]
fn companions_make_a_folder_complete() {
    let dir = TempDir::new().unwrap();
    model_folder(&dir.path().join("workspace/m"));
    let to = TempDir::new().unwrap();
    resolve(&dir, "m").unwrap().copy_companions(to.path()).unwrap();
    let mut names: Vec<_> = fs::read_dir(to.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["config.json", "tokenizer.json"]);
}
