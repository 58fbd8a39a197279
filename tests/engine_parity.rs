//! The engine against Hugging Face transformers + PEFT, on fixtures that `tests/fixtures/engine/make.py` made: logits, gradients,
//! ten AdamW steps and greedy text, for base models and adapters.
//!
//! Tolerances: 1e-4 of the largest logit, 1e-3 of a gradient's largest element, 1e-3 relative for losses and norms.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use voicetune::config::{Optimizer, Precision, Recompute, Schedule, ScheduleName};
use voicetune::dataset::batch::{Batch, Example, Part};
use voicetune::engine::optim::AdamW;
use voicetune::engine::sample::{Finish, Row, Sampling, generate};
use voicetune::engine::spec::Spec;
use voicetune::engine::weights::Source;
use voicetune::engine::{Arm, Model, StepKey, schedule};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engine").join(name)
}

fn load(name: &str) -> Model {
    let folder = folder(name);
    let spec = Spec::parse(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    Model::load(&spec, &Source::Files(vec![folder.join("model.safetensors")]), &Device::Cpu, Precision::F32).unwrap()
}

struct Expected(HashMap<String, Tensor>);

impl Expected {
    fn read(name: &str, file: &str) -> Self {
        Expected(candle_core::safetensors::load(folder(name).join(file), &Device::Cpu).unwrap())
    }

    fn tensor(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("the fixture has no {name}"))
    }

    fn f32s(&self, name: &str) -> Vec<f32> {
        self.tensor(name).flatten_all().unwrap().to_dtype(DType::F32).unwrap().to_vec1().unwrap()
    }

    fn f64s(&self, name: &str) -> Vec<f64> {
        self.tensor(name).flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        self.tensor(name).to_dtype(DType::U32).unwrap().to_vec1().unwrap()
    }

    fn examples(&self) -> Vec<Example> {
        (0..3)
            .map(|i| Example {
                pair: format!("example {i}"),
                split: Part::Train,
                ids: self.ids(&format!("ids.{i}")),
                mask: self.tensor(&format!("mask.{i}")).to_vec1().unwrap(),
                cut: false,
            })
            .collect()
    }
}

/// Asserts that two lists agree within `tolerance` of the largest expected value.
fn close(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    let scale = expected.iter().fold(0f32, |m, x| m.max(x.abs())).max(1e-8);
    let worst = got.iter().zip(expected).map(|(g, e)| (g - e).abs()).fold(0f32, f32::max);
    assert!(worst <= tolerance * scale, "{what}: off by {worst:e} where the largest value is {scale:e}");
    assert!(got.iter().all(|g| g.is_finite()), "{what}: not finite");
}

fn near(what: &str, got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs(), "{what}: {got} against {expected}");
}

fn key(recompute: Recompute, step: u64) -> StepKey {
    StepKey { seed: 1, step, micro: 0, micro_steps: 1, recompute, memory: None }
}

fn check_logits(name: &str, arms: &[(Arm, &str)]) {
    let expected = Expected::read(name, "expect.safetensors");
    let mut model = load(name);
    if arms.len() > 1 {
        model.load_adapter(&folder(name).join("adapter"), 0.0).unwrap();
    }
    for (arm, suffix) in arms {
        for i in 0..3 {
            let logits = model.logits(&expected.ids(&format!("ids.{i}")), *arm).unwrap();
            let got: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
            close(&format!("{name} {arm:?} logits {i}"), &got, &expected.f32s(&format!("logits{suffix}.{i}")), 1e-4);
        }
        let logprobs = model.logprobs(&expected.ids("ids.0"), *arm).unwrap();
        close(&format!("{name} {arm:?} logprobs"), &logprobs, &expected.f32s(&format!("logprobs{suffix}.0")), 1e-4);
    }
}

#[test]
fn logits_of_base_and_adapter() {
    check_logits("llama", &[(Arm::Base, ""), (Arm::Tuned, "_adapter")]);
    check_logits("llama_odd", &[(Arm::Base, ""), (Arm::Tuned, "_adapter")]);
    check_logits("gpt2", &[(Arm::Base, "")]);
    check_logits("gpt2_bare", &[(Arm::Base, "")]);
}

/// The packing of the examples into micro-steps must not matter.
fn packings(examples: &[Example]) -> [Vec<Batch>; 2] {
    [vec![Batch::pack(examples)], examples.iter().map(|e| Batch::pack([e])).collect()]
}

fn check_gradients(name: &str, file: &str, adapter: Option<&str>) {
    let expected = Expected::read(name, file);
    let kind = if adapter.is_some() { "lora" } else { "full" };
    for recompute in [Recompute::None, Recompute::Block] {
        for batches in packings(&expected.examples()) {
            let mut model = load(name);
            match adapter {
                Some(adapter) => model.load_adapter(&folder(name).join(adapter), 0.0).unwrap(),
                None => model.train_full().unwrap(),
            }
            let tokens: usize = batches.iter().map(Batch::trained_tokens).sum();
            let mut loss = 0.0;
            for batch in &batches {
                loss += model.accumulate(batch, 1.0 / tokens as f64, key(recompute, 0)).unwrap().read().unwrap().sum / tokens as f64;
            }
            near("loss", loss, expected.f64s(&format!("loss_{kind}"))[0], 1e-4);
            let gradients = model.gradients().unwrap();
            let prefix = format!("grad_{kind}.");
            let there = expected.0.keys().filter(|k| k.starts_with(&prefix)).count();
            assert_eq!(gradients.len(), there, "{name}: number of {kind} gradients");
            for (parameter, gradient) in &gradients {
                let want = expected.tensor(&format!("{prefix}{parameter}"));
                assert_eq!(gradient.dims(), want.dims(), "{parameter}");
                let got: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
                close(&format!("{name} {kind} {parameter}"), &got, &expected.f32s(&format!("{prefix}{parameter}")), 1e-3);
            }
        }
    }
}

#[test]
fn gradients_of_adapters() {
    check_gradients("llama", "expect.safetensors", Some("adapter"));
    check_gradients("llama_odd", "expect.safetensors", Some("adapter"));
    check_gradients("llama_odd", "expect_qv.safetensors", Some("adapter_qv"));
}

#[test]
fn gradients_of_every_weight() {
    for name in ["llama", "llama_odd", "gpt2", "gpt2_bare"] {
        check_gradients(name, "expect.safetensors", None);
    }
}

fn check_ten_steps(name: &str, file: &str, adapter: Option<&str>) {
    let expected = Expected::read(name, file);
    let kind = if adapter.is_some() { "lora" } else { "full" };
    let mut model = load(name);
    match adapter {
        Some(adapter) => model.load_adapter(&folder(name).join(adapter), 0.0).unwrap(),
        None => model.train_full().unwrap(),
    }
    let config = Optimizer { learning_rate: 2e-3, weight_decay: 0.01, ..Default::default() };
    let cosine = Schedule { name: ScheduleName::Cosine, warmup_steps: 2 };
    let mut optimizer = AdamW::new(&config, &model).unwrap();
    let batch = Batch::pack(&expected.examples());
    for step in 0..10 {
        let tokens = batch.trained_tokens();
        let loss = model.accumulate(&batch, 1.0 / tokens as f64, key(Recompute::None, step as u64)).unwrap().read().unwrap();
        near(&format!("{name} {kind} loss {step}"), loss.mean(), expected.f64s(&format!("losses_{kind}"))[step], 1e-3);
        let rate = schedule::learning_rate(&cosine, config.learning_rate, step, 10);
        near("learning rate", rate, expected.f64s("lrs")[step], 1e-9);
        let grad_norm = optimizer.step(&mut model, rate, 1.0).unwrap().grad_norm().unwrap();
        near(&format!("{name} {kind} norm {step}"), grad_norm, expected.f64s(&format!("grad_norms_{kind}"))[step], 1e-3);
    }
}

#[test]
fn ten_steps_of_adapters() {
    check_ten_steps("llama", "expect.safetensors", Some("adapter"));
    check_ten_steps("llama_odd", "expect.safetensors", Some("adapter"));
    check_ten_steps("llama_odd", "expect_qv.safetensors", Some("adapter_qv"));
}

#[test]
fn ten_steps_of_every_weight() {
    for name in ["llama", "llama_odd", "gpt2", "gpt2_bare"] {
        check_ten_steps(name, "expect.safetensors", None);
    }
}

#[test]
fn greedy_text_token_by_token() {
    let greedy = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.1, max_new_tokens: 64 };
    for (name, adapted) in [("llama", true), ("llama_odd", true), ("gpt2", false), ("gpt2_bare", false)] {
        let expected = Expected::read(name, "expect.safetensors");
        let mut model = load(name);
        let mut rows = vec![Row { arm: Arm::Base, seed: 0 }];
        let mut wanted = vec!["greedy.ids"];
        if adapted {
            model.load_adapter(&folder(name).join("adapter"), 0.0).unwrap();
            // Tuned first: the answer must come back in the order asked for.
            rows.insert(0, Row { arm: Arm::Tuned, seed: 0 });
            wanted.insert(0, "greedy_adapter.ids");
        }
        let prompt = &expected.ids("ids.0")[..9];
        let outputs = generate(&mut model, prompt, &rows, &greedy, &[], &mut |_, _| ControlFlow::Continue(())).unwrap();
        for (output, wanted) in outputs.iter().zip(wanted) {
            assert_eq!(output.ids, expected.ids(wanted)[9..], "{name} {wanted}");
            assert_eq!(output.finish, Finish::Length);
        }
    }
}

/// candle-transformers' Llama, a forward pass that shares only candle's tensors with ours.
#[test]
fn a_second_implementation_gives_the_same_logits() {
    use candle_transformers::models::llama::{Cache, Llama, LlamaConfig};
    let folder = folder("llama");
    let config: LlamaConfig = serde_json::from_str(&std::fs::read_to_string(folder.join("config_hub_style.json")).unwrap()).unwrap();
    let config = config.into_config(false);
    let weights = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
    let theirs = Llama::load(candle_nn::VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu), &config).unwrap();
    let ids: Vec<u32> = (0..40).map(|i| i * 37 % 250).collect();
    let mut cache = Cache::new(false, DType::F32, &config, &Device::Cpu).unwrap();
    let tokens = Tensor::new(&ids[..], &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let last: Vec<f32> = theirs.forward(&tokens, 0, &mut cache).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let ours = load("llama").logits(&ids, Arm::Base).unwrap().get(39).unwrap().to_vec1().unwrap();
    close("last logits", &ours, &last, 1e-4);
}

#[test]
fn adapter_written_reads_back_the_same() {
    for adapter in ["adapter", "adapter_qv"] {
        let mut model = load("llama_odd");
        model.load_adapter(&folder("llama_odd").join(adapter), 0.0).unwrap();
        let out = tempfile::tempdir().unwrap();
        model.save_adapter(out.path(), "base/model").unwrap();
        let read = |folder: &Path| candle_core::safetensors::load(folder.join("adapter_model.safetensors"), &Device::Cpu).unwrap();
        let (ours, theirs) = (read(out.path()), read(&folder("llama_odd").join(adapter)));
        assert_eq!(ours.len(), theirs.len());
        for (name, tensor) in &theirs {
            let difference = (tensor - &ours[name]).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert_eq!(difference, 0.0, "{name}");
        }
    }
}

#[test]
fn full_weights_written_read_back_the_same() {
    for name in ["gpt2", "llama_odd"] {
        let model = load(name);
        let out = tempfile::tempdir().unwrap();
        model.save_weights(out.path()).unwrap();
        let read = |path: PathBuf| candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        let (ours, theirs) = (read(out.path().join("model.safetensors")), read(folder(name).join("model.safetensors")));
        for (tensor_name, tensor) in &ours {
            let difference = (tensor - &theirs[tensor_name]).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert_eq!(difference, 0.0, "{tensor_name}");
        }
    }
}
