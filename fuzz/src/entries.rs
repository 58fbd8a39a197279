//! One entry point for each parser of files that may come from someone else. Each takes any bytes; it must neither panic nor hang
//! nor ask for memory without bound, and what it accepts must hold what the program promises of it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::Device;
use voicetune::config::{self, Precision};
use voicetune::dataset::batch::{Batch, Example};
use voicetune::dataset::{ChatTemplate, Message, Role, Tokenizer, TokenizerFiles};
use voicetune::engine::device::{Place, Survey};
use voicetune::engine::spec::Spec;
use voicetune::engine::weights::{Source, Store};
use voicetune::engine::{AdapterConfig, Model, memory};
use voicetune::hub::{ModelFiles, Search};
use voicetune::pairs::{self, Unsaved};
use voicetune::review;
use voicetune::run::checkpoint::{RunResult, State};
use voicetune::run::log::History;
use voicetune::run::manifest::Manifest;
use voicetune::run::protocol::{Command, Message as EngineMessage};
use voicetune::run::work::TrainOrder;
use voicetune::run::worker::{Report, Request};
use voicetune::run::{advice, folder, outputs, prepare, scores};
use voicetune::ui::{prose, settings};

/// An entry point and the name of its seeds' folder, `fuzz/seeds/<name>/`.
#[allow(dead_code, reason = "the fuzz targets call the entry points by name, the tests by this list")]
/// Takes whatever bytes there are, and copes.
pub type Entry = fn(&[u8]);

pub const ENTRIES: [(&str, Entry); 13] = [
    ("pair", pair),
    ("unsaved", unsaved),
    ("configs", configs),
    ("manifest", manifest),
    ("events", events),
    ("verdicts", verdicts),
    ("records", records),
    ("safetensors", safetensors),
    ("adapter", adapter),
    ("model_config", model_config),
    ("tokenizer", tokenizer),
    ("chat_template", chat_template),
    ("text", text),
];

/// `pairs/tierN/*.yaml`. A pair that can be read is written so that the same pair is read again.
pub fn pair(data: &[u8]) {
    let Ok(text) = config::yaml::decode(data.to_vec()) else { return };
    let (Some(pair), _) = pairs::from_yaml("tier1/x", &text) else { return };
    let (again, _) = pairs::from_yaml("tier1/x", &pairs::to_yaml(&pair));
    assert_eq!(again.as_ref(), Some(&pair), "written and read again");
}

/// `pairs/.unsaved/*/*.yaml`. No id leads out of `pairs/`.
pub fn unsaved(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(unsaved) = Unsaved::parse(Path::new("x.yaml"), text) {
        let file = pairs::file_of(Path::new("/w/pairs"), &unsaved.pair.id);
        assert!(file.components().count() == 5 && !file.to_string_lossy().contains(".."), "{}", file.display());
    }
}

/// Training configs, the four other files of `configs/`, and the settings of the interface. What a config says can be planned with.
pub fn configs(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(config) = config::parse(Path::new("c.yaml"), text) {
        plan(&config);
    }
    config::parse_canaries(text).ok();
    config::parse_rubric(text).ok();
    config::parse_sampling(text).ok();
    config::parse_templates(text).ok();
    settings::parse(Path::new("config.yaml"), text).ok();
}

/// `manifest.yaml`: its config is one that could stand in `configs/`.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(manifest) = Manifest::parse(text) {
        plan(&manifest.config);
    }
}

/// `events.jsonl`, and what is said about it.
pub fn events(data: &[u8]) {
    let history = History::of(data);
    advice::advice(&history);
}

/// `verdicts.jsonl`, and the tally of it.
pub fn verdicts(data: &[u8]) {
    let found = review::verdict::Verdicts::parse(Path::new("verdicts.jsonl"), data);
    review::tally::tally(found.verdicts.iter().map(|verdict| &verdict.reading), |arm| arm.arm().to_owned());
    for arm in found.verdicts.iter().flat_map(|verdict| verdict.reading.arms()) {
        assert!(!arm.run().contains('/') && arm.run() != "..", "{arm}");
    }
}

/// Outputs, scores, the frozen data set, a checkpoint's state, runs that wait, and what goes between viewers, worker and engine.
pub fn records(data: &[u8]) {
    outputs::parse(Path::new("o.jsonl"), data).ok();
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(examples) = folder::parse_dataset(Path::new("dataset.jsonl"), text)
    {
        Batch::pack(examples.iter().collect::<Vec<&Example>>());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        scores::parse(Path::new("s.jsonl"), text).ok();
    }
    serde_json::from_slice::<Vec<TrainOrder>>(data).ok();
    serde_json::from_slice::<Request>(data).ok();
    serde_json::from_slice::<Report>(data).ok();
    serde_json::from_slice::<State>(data).ok();
    serde_json::from_slice::<RunResult>(data).ok();
    serde_json::from_slice::<Command>(data).ok();
    serde_json::from_slice::<EngineMessage>(data).ok();
}

/// `model.safetensors`, by its header and by its tensors; and the same bytes as the index of shards.
pub fn safetensors(data: &[u8]) {
    in_folder(|folder| {
        let file = folder.join("model.safetensors");
        fs::write(&file, data).unwrap();
        fs::write(folder.join("config.json"), "{}").unwrap();
        let resolve = || ModelFiles::resolve(folder.to_str().unwrap(), "main", &Search { workspace: PathBuf::from("/"), cache: None });
        resolve().ok();
        load_all(&file);
        let index = folder.join("model.safetensors.index.json");
        fs::write(&index, data).unwrap();
        if let Ok(files) = resolve()
            && let Ok(Source::Files(files)) = files.weights()
        {
            assert!(files.iter().all(|file| file.parent() == Some(folder)), "a shard outside: {files:?}");
        }
        fs::remove_file(index).unwrap();
    });
}

/// A PEFT folder. The first two bytes say how long `adapter_config.json` is, the rest is `adapter_model.safetensors`.
pub fn adapter(data: &[u8]) {
    let Some((&[low, high], rest)) = data.split_first_chunk() else { return };
    let (config, weights) = rest.split_at(rest.len().min(usize::from(u16::from_le_bytes([low, high]))));
    in_folder(|folder| {
        fs::write(folder.join("adapter_config.json"), config).unwrap();
        fs::write(folder.join("adapter_model.safetensors"), weights).unwrap();
        AdapterConfig::read(folder).ok();
        tiny_model(|model| {
            model.load_adapter(folder, 0.0).ok();
        });
    });
}

/// `config.json` of a model. A shape that is accepted has sizes that can be reckoned with.
pub fn model_config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(spec) = Spec::parse(text) else { return };
    spec.parameters();
    if let Spec::Llama(llama) = &spec {
        llama.inverse_frequencies();
    }
    let config = config::parse(Path::new("c.yaml"), "{ model: m, format: chat, method: lora, base_precision: f32 }").unwrap();
    let step = memory::MicroStep { tokens: 2048, trained: 2048, longest: 2048 };
    for place in [Place::Cpu, Place::Gpu] {
        let device = Survey { words: String::new(), place, free: None, no_bf16: None };
        memory::estimate(&spec, &config, step, &device).ok();
    }
}

/// `tokenizer.json`, and all that is done with one.
pub fn tokenizer(data: &[u8]) {
    let Ok(json) = std::str::from_utf8(data) else { return };
    let files = TokenizerFiles {
        tokenizer_json: json,
        tokenizer_config: None,
        generation_config: Some(r#"{"eos_token_id": 0}"#),
        config: None,
        chat_template: None,
        model_name: "m",
    };
    let Ok(tokenizer) = Tokenizer::new(&files) else { return };
    for text in ["", "a", "The quiet car, at 7:30.\n\n— \u{202e}é駅👩\u{200d}👧 don't"] {
        if let Ok(ids) = tokenizer.encode_from_start(text) {
            tokenizer.decode(&ids).ok();
            let mut stream = tokenizer.stream();
            ids.iter().for_each(|&id| drop(stream.push(id)));
        }
    }
    tokenizer.piece(3);
    tokenizer.decode_with_specials(&[0, 1, 2, u32::MAX]).ok();
    tokenizer.vocabulary();
}

/// A chat template, as a file and as `tokenizer_config.json` holds it. What it writes is bounded.
pub fn chat_template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut files = TokenizerFiles {
        tokenizer_json: include_str!("../seeds/tokenizer/tiny.json"),
        tokenizer_config: Some(r#"{"bos_token": "<|bos|>", "eos_token": "<|end|>"}"#),
        generation_config: None,
        config: None,
        chat_template: Some(text),
        model_name: "m",
    };
    render(&files);
    (files.chat_template, files.tokenizer_config) = (None, Some(text));
    render(&files);
}

/// A draft, an output, a note: any text that is compared and shown. Nothing that acts on a terminal is shown as it is.
pub fn text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let shown = prose::visible(&text);
    assert!(!shown.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)), "{shown:?}");
    let (draft, revision) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let alignment = review::align(draft, revision);
    review::lanes::entries(&alignment, &[]);
    review::Counts::of(&alignment);
    review::voice::Voice::of(&text);
}

fn plan(config: &config::Config) {
    let example =
        |pair: &str| Example { pair: pair.into(), split: voicetune::dataset::Part::Train, ids: vec![1, 2], mask: vec![0, 1], cut: false };
    prepare::steps(&[example("tier1/a"), example("tier1/b"), example("tier1/c")], config);
    serde_json::to_string(config).unwrap();
}

fn load_all(file: &Path) {
    let Ok(store) = Store::open(&Source::Files(vec![file.to_owned()])) else { return };
    for name in store.names() {
        store.load(name, &Device::Cpu).ok();
    }
}

fn render(files: &TokenizerFiles) {
    let Ok(tokenizer) = Tokenizer::new(files) else { return };
    let Ok(template) = ChatTemplate::of(&tokenizer, "26 Jul 2024") else { return };
    let said = |role, content| Message { role, content };
    let messages = [said(Role::System, "Be brief."), said(Role::User, "A \u{202e}\"draft\" & more."), said(Role::Assistant, "Yes.")];
    for (count, prompt) in [(3, false), (2, true)] {
        if let Ok(text) = template.render(&messages[..count], prompt) {
            assert!(text.len() <= 16 << 20, "{} bytes", text.len());
        }
    }
}

/// A folder for the files of one input; the same for all inputs of a thread.
fn in_folder(work: impl FnOnce(&Path)) {
    thread_local!(static FOLDER: tempfile::TempDir = {
        let memory = Path::new("/dev/shm");
        tempfile::tempdir_in(if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }).unwrap()
    });
    FOLDER.with(|folder| work(folder.path()));
}

fn tiny_model(work: impl FnOnce(&mut Model)) {
    thread_local!(static MODEL: std::cell::RefCell<Model> = {
        let spec = Spec::parse(include_str!("../seeds/model_config/gpt2.json")).unwrap();
        std::cell::RefCell::new(Model::random(&spec, &Device::Cpu, Precision::F32, 1).unwrap())
    });
    MODEL.with_borrow_mut(work);
}
