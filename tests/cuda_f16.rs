//! Whole models in f16 on a GPU beside the same in f32: what they say, what training makes of them, and the factor on the loss that
//! keeps gradients within f16. Needs a card: `cargo test --features cuda --test cuda_f16`.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use voicetune::config::{Lora, Optimizer, Precision, Recompute};
use voicetune::dataset::batch::Batch;
use voicetune::engine::device::{self, Want};
use voicetune::engine::optim::AdamW;
use voicetune::engine::spec::Spec;
use voicetune::engine::{Arm, Model, StepKey};

use models::{GPT2, LLAMA};

#[path = "cuda_support/models.rs"]
mod models;

#[test]
fn f16_trains_as_f32_does() {
    all();
}

/// All cases, one after the other: one thread owns the device.
pub fn all() {
    let device = device::open(Want::Auto).unwrap();
    assert!(device.is_cuda(), "these tests need a CUDA device");
    for shape in [LLAMA, GPT2] {
        // Adapters that are folded into the weights' rows, such that cannot be, and all weights.
        for rank in [Some(8), Some(5), None] {
            near_f32(shape, rank, &device);
            overflows(shape, rank, &device);
            resumes(shape, rank, &device);
        }
    }
}

/// Numbers are random alike in both precisions; `rank` of the adapters, without which all weights are trained.
struct Trained {
    model: Model,
    optimizer: AdamW,
    step: u64,
}

/// With a larger one all weights of so small a model are elsewhere after a few steps, in any precision.
const RATE: f64 = 1e-4;

fn optimizer(model: &Model) -> AdamW {
    let config = Optimizer { learning_rate: RATE, ..Default::default() };
    AdamW::new(&config, model).unwrap()
}

impl Trained {
    fn new(config: &str, rank: Option<usize>, precision: Precision, device: &Device) -> Trained {
        let mut model = Model::random(&Spec::parse(config).unwrap(), device, precision, 3).unwrap();
        match rank {
            None => model.train_full().unwrap(),
            Some(rank) => {
                let targets: &[&str] =
                    if config == GPT2 { &["c_attn", "c_proj", "c_fc"] } else { &["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"] };
                let targets = targets.iter().map(ToString::to_string).collect();
                model.add_lora(&Lora { rank, alpha: 8.0, dropout: 0.1, targets }, 5).unwrap();
            }
        }
        let optimizer = optimizer(&model);
        Trained { model, optimizer, step: 0 }
    }

    /// Two micro-steps, whose loss counts `times` what it is. -> the loss per token.
    fn accumulate(&mut self, times: f64) -> f64 {
        let lengths = [60, 70];
        let mut sum = 0.0;
        for (micro, &length) in lengths.iter().enumerate() {
            let tokens: Vec<u32> = (0..length as u32).map(|i| i * i % 1003).collect();
            let targets = tokens.iter().map(|t| (t + 1) % 1003).collect();
            let batch = Batch { targets, weights: vec![1; length], lengths: vec![length], tokens };
            let key = StepKey { seed: 1, step: self.step, micro: micro as u32, micro_steps: 2, recompute: Recompute::Auto, memory: None };
            sum += self.model.accumulate(&batch, times / 130.0, key).unwrap().read().unwrap().sum;
        }
        sum / 130.0
    }

    /// These and the update. -> the loss per token, the gradient's norm, and the factor on the loss from now on where that was too large.
    fn attempt(&mut self, times: f64) -> (f64, f64, Option<f64>) {
        let loss = self.accumulate(times);
        let update = self.optimizer.step(&mut self.model, RATE, 1.0).unwrap();
        (loss, update.grad_norm().unwrap(), update.overflow)
    }

    /// A step that is made again until its gradient is within f16.
    fn step(&mut self) -> (f64, f64) {
        self.step += 1;
        loop {
            if let (loss, grad_norm, None) = self.attempt(1.0) {
                return (loss, grad_norm);
            }
        }
    }

    fn logprobs(&mut self) -> Vec<f32> {
        let ids: Vec<u32> = (0..150).map(|i| i * 37 % 1003).collect();
        self.model.logprobs(&ids, Arm::Tuned).unwrap()
    }
}

/// The norm of the difference over the norm, of each gradient (or a thousandth of all of them: some would be zero, but for rounding).
fn gradients_off(config: &str, rank: Option<usize>, device: &Device) -> f64 {
    let [exact, got] = [Precision::F32, Precision::F16].map(|precision| {
        let mut trained = Trained::new(config, rank, precision, device);
        trained.accumulate(1.0);
        trained.model.gradients().unwrap()
    });
    let norm = |list: &mut dyn Iterator<Item = f32>| list.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let list = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let all = norm(&mut exact.iter().flat_map(|(_, t)| list(t)));
    let off = exact.iter().zip(&got).map(|((name, exact), (_, got))| {
        let (exact, got) = (list(exact), list(got));
        let off = norm(&mut exact.iter().zip(&got).map(|(a, b)| a - b)) / norm(&mut exact.into_iter()).max(all / 1000.0);
        assert!(off < 4e-3, "rank {rank:?}, {name}: off by {off:.1e}");
        off
    });
    off.fold(0.0, f64::max)
}

/// Gradients within 4e-3 of their size, losses of eight steps within 6e-4 and gradient norms within 6e-3, log-probabilities within
/// 3e-3 nats: twice what an H100 shows.
fn near_f32(config: &str, rank: Option<usize>, device: &Device) {
    let gradients = gradients_off(config, rank, device);
    let mut both = [Precision::F32, Precision::F16].map(|precision| Trained::new(config, rank, precision, device));
    let (mut losses, mut norms) = (0f64, 0f64);
    for step in 0..8 {
        let [(exact, exact_norm), (loss, norm)] = both.each_mut().map(Trained::step);
        (losses, norms) = (losses.max((loss / exact - 1.0).abs()), norms.max((norm / exact_norm - 1.0).abs()));
        assert!(losses < 6e-4 && norms < 6e-3, "rank {rank:?}, step {step}: loss {loss} of {exact}, norm {norm} of {exact_norm}");
    }
    let [exact, got] = both.each_mut().map(Trained::logprobs);
    let worst = exact.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst < 3e-3, "rank {rank:?}: off by {worst} nats");
    println!("rank {rank:?}: gradients within {gradients:.1e}, losses {losses:.1e}, norms {norms:.1e}, log-probabilities {worst:.1e} nats");
}

/// A gradient beyond f16 changes nothing but the factor on the loss, under which it is right at last.
fn overflows(config: &str, rank: Option<usize>, device: &Device) {
    const TIMES: f64 = 1e5;
    let (_, exact, _) = Trained::new(config, rank, Precision::F32, device).attempt(TIMES);
    let mut trained = Trained::new(config, rank, Precision::F16, device);
    let before = trained.logprobs();
    let mut expected = 65536.0;
    loop {
        let (loss, norm, overflow) = trained.attempt(TIMES);
        assert!(loss.is_finite());
        let Some(factor) = overflow else {
            assert!((norm / exact - 1.0).abs() < 1e-2, "{norm} of {exact}");
            break;
        };
        expected /= 2.0;
        assert_eq!(factor, expected);
        assert!(!norm.is_finite() && trained.optimizer.steps() == 0);
        assert_eq!(trained.logprobs(), before, "nothing was changed");
    }
    assert!(expected < 65536.0 && trained.optimizer.steps() == 1);
    assert_ne!(trained.logprobs(), before);
    println!("rank {rank:?}: a gradient of {exact:.1e} under a factor of {expected}");
}

/// What was saved goes on to the last bit, the factor on the loss included.
fn resumes(config: &str, rank: Option<usize>, device: &Device) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    let mut trained = Trained::new(config, rank, Precision::F16, device);
    assert_eq!(trained.attempt(1e9).2, Some(32768.0));
    trained.step();
    trained.optimizer.save(&trained.model, &file).unwrap();
    let mut resumed = Trained::new(config, rank, Precision::F16, device);
    resumed.step = trained.step;
    match rank {
        None => {
            trained.model.save_weights(folder.path()).unwrap();
            let weights = folder.path().join("model.safetensors");
            resumed.model.load_weights(&voicetune::engine::weights::Source::Files(vec![weights])).unwrap();
        }
        Some(_) => {
            trained.model.save_adapter(folder.path(), "m").unwrap();
            resumed.model.load_adapter(folder.path(), 0.1).unwrap();
            resumed.optimizer = optimizer(&resumed.model);
        }
    }
    resumed.optimizer.load(&mut resumed.model, &file).unwrap();
    for _ in 0..3 {
        assert_eq!(trained.step(), resumed.step());
    }
    assert_eq!(trained.logprobs(), resumed.logprobs());
    for both in [&mut trained, &mut resumed] {
        assert_eq!(both.attempt(1e9).2, Some(16384.0), "after the one from 65,536 to 32,768");
    }
}
