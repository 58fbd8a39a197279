//! A workspace with eight short pairs and two tiny models with random weights, in a temporary folder.
#![allow(dead_code, clippy::unwrap_used)]

pub mod worker;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use candle_core::Device;
use serde_json::{Value, json};
use tempfile::TempDir;
use voicetune::config::Precision;
use voicetune::engine::Model;
use voicetune::engine::spec::Spec;
use voicetune::run::log::History;
use voicetune::run::protocol::{Eval, Step};

pub struct Sample {
    dir: TempDir,
}

/// What both training configs share; 40 epochs of 3 or 4 steps, more than any test waits for.
const CONFIG: &str = "
base_precision: f32
optimizer: { learning_rate: 1.0e-2 }
schedule: { name: cosine, warmup_steps: 2 }
epochs: 40
batch: 1
accumulate: 2
max_tokens: 120
seed: 7
validation: { fraction: 0.2, by: source }
evaluate_every: 4
sample_every: never
checkpoint_every: 5
";

impl Sample {
    pub fn new() -> Sample {
        let sample = Sample { dir: TempDir::new().unwrap() };
        for folder in ["pairs/tier1", "pairs/tier2", "pairs/tier3", "pairs/tier4", "configs"] {
            fs::create_dir_all(sample.path(folder)).unwrap();
        }
        for (i, word) in ["clock", "ferry", "kettle", "ledger", "orchard", "platform", "stairs", "umbrella"].iter().enumerate() {
            let response = format!("The {word} was late, and nobody minded.\n\nNumber {i} never is on time.");
            sample.write_pair(&format!("tier2/{word}"), word, &format!("About a {word}."), &response);
        }
        sample.write(
            "configs/lora.yaml",
            &format!("model: models/llama\nformat: chat\nmethod: lora\nlora: {{ rank: 4, alpha: 8, dropout: 0.1 }}\n{CONFIG}"),
        );
        sample.write("configs/full.yaml", &format!("model: models/gpt2\nformat: plain\nmethod: full\n{CONFIG}"));
        sample.write("configs/canaries.yaml", "canaries:\n  - { id: A, about: known, long: false, prompt: About a clock. }\n  - { id: B, about: new, long: false, prompt: About a hat. }\n");
        sample.write("configs/sampling.yaml", "max_new_tokens: 12\nsamples: 2\n");
        sample.make_model("llama", |c| {
            for (key, value) in [("hidden_size", 32), ("intermediate_size", 48), ("num_hidden_layers", 2), ("num_attention_heads", 2)] {
                c[key] = json!(value);
            }
            c["num_key_value_heads"] = json!(1);
            c["head_dim"] = json!(16);
            c["max_position_embeddings"] = json!(192);
        });
        sample.make_model("gpt2", |c| {
            for (key, value) in [("n_embd", 32), ("n_layer", 2), ("n_head", 2), ("n_positions", 192), ("n_ctx", 192)] {
                c[key] = json!(value);
            }
        });
        sample
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    pub fn write_pair(&self, id: &str, source: &str, prompt: &str, response: &str) {
        let text = format!("tier: 2\nsource: {source}\nprompt: {prompt:?}\nresponse: {response:?}\nstatus: ready\n");
        self.write(&format!("pairs/{id}.yaml"), &text);
    }

    /// The program in this workspace, with no model cache but an empty one.
    pub fn voicetune(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--workspace").arg(self.root()).args(args).current_dir(self.root());
        command.env("HF_HUB_CACHE", self.path("no-cache")).env("NO_COLOR", "1").env_remove("RUST_BACKTRACE");
        command
    }

    /// Runs the program, which must succeed; returns its standard output.
    pub fn succeed(&self, args: &[&str]) -> String {
        let output = self.voicetune(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the program, which must exit with 1 and say each of `parts`.
    pub fn fail(&self, args: &[&str], parts: &[&str]) {
        let output = self.voicetune(args).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{args:?}: `{part}` is not in: {message}");
        }
    }

    pub fn start(&self, args: &[&str]) -> Child {
        self.voicetune(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The folder of the only run with this name.
    pub fn run(&self, name: &str) -> PathBuf {
        let ending = format!("-{name}");
        let mut runs = fs::read_dir(self.path("runs")).unwrap().map(|e| e.unwrap().path());
        runs.find(|path| path.to_str().unwrap().ends_with(&ending)).unwrap_or_else(|| panic!("no run {name}"))
    }

    fn make_model(&self, name: &str, shrink: impl Fn(&mut Value)) {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/pocket").join(name);
        let folder = self.path("models").join(name);
        fs::create_dir_all(&folder).unwrap();
        for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
            fs::copy(assets.join(file), folder.join(file)).unwrap();
        }
        let mut config: Value = serde_json::from_str(&fs::read_to_string(assets.join("config.json")).unwrap()).unwrap();
        shrink(&mut config);
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        let spec = Spec::parse(&config.to_string()).unwrap();
        Model::random(&spec, &Device::Cpu, Precision::F32, 1).unwrap().save_weights(&folder).unwrap();
    }
}

/// The program: cargo names it to tests, and beside an example it lies one folder up.
fn program() -> PathBuf {
    let beside = || std::env::current_exe().unwrap().parent().unwrap().with_file_name("voicetune");
    option_env!("CARGO_BIN_EXE_voicetune").map_or_else(beside, PathBuf::from)
}

/// A run's steps without their times, and its evaluations: what must be the same to the last bit.
pub fn exact_history(run: &Path) -> (Vec<Step>, Vec<Eval>) {
    let history = History::read(run).unwrap();
    assert_eq!(history.problems, vec![], "the log is whole");
    let timeless = |step: Step| Step { ms: 0.0, tokens_per_s: 0.0, device_bytes: None, ..step };
    (history.steps.into_iter().map(timeless).collect(), history.evals)
}
