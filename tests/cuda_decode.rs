//! What decoding runs on a GPU: its kernels against their plain twins, the sampler against the one on the host, and whole models: a
//! row's text depends on its seed alone. Needs a card: `cargo test --features cuda --test cuda_decode`.
//!
//! Tolerances as in `cuda_ops.rs`.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use candle_core::{DType, Device, Result, Tensor};
use voicetune::config::{Lora, Optimizer, Precision, Recompute};
use voicetune::dataset::batch::Batch;
use voicetune::engine::device::{self, Want};
use voicetune::engine::ops::attention::{self, Heads};
use voicetune::engine::ops::rope::{Rotations, Turn};
use voicetune::engine::ops::{gelu, layer_norm, rms_norm, swiglu};
use voicetune::engine::optim::AdamW;
use voicetune::engine::sample::{Output, Row, Sampler, Sampling, generate};
use voicetune::engine::spec::Spec;
use voicetune::engine::{Arm, Model, StepKey};
use voicetune_kernels::cuda::gemv::{LowRank, Product, Scratch, Then};
use voicetune_kernels::cuda::host::Table;
use voicetune_kernels::cuda::step::Norm;
use voicetune_kernels::cuda::{graph, sample, step};

use cuda_support::{Case, Named, f32, list, there, wanted};
use models::{GPT2, LLAMA};

mod cuda_support;
#[path = "cuda_support/models.rs"]
mod models;

#[test]
fn decoding_agrees_with_its_twins() {
    all();
}

/// All cases, one after the other: one thread owns the device.
pub fn all() {
    let device = device::open(Want::Auto).unwrap();
    assert!(device.is_cuda(), "these tests need a CUDA device");
    let cases: [Named; 4] =
        [("products", products), ("products with all around them", whole_products), ("a step's ends", ends), ("attention", attentions)];
    for dtype in there(&device, &[DType::F32, DType::BF16]) {
        for (name, case) in cases.into_iter().filter(|(name, _)| wanted(&format!("{name} {dtype:?}"))) {
            let worst = std::cell::Cell::new(0.0);
            case(&Case { device: device.clone(), dtype, worst: &worst }).unwrap();
            println!("{name} {dtype:?}: off by {:.1e} at most", worst.get());
        }
    }
    if wanted("sampler") {
        sampler(&device);
    }
    for dtype in there(&device, &[DType::F32, DType::BF16, DType::F16]) {
        let precision = match dtype {
            DType::F32 => Precision::F32,
            DType::BF16 => Precision::Bf16,
            _ => Precision::F16,
        };
        for shape in [LLAMA, GPT2].into_iter().filter(|_| wanted(&format!("models {precision:?}"))) {
            // Adapters that are folded into the weights' rows, and such that cannot be.
            for rank in [8, 5] {
                models(shape, rank, precision, &device);
            }
        }
    }
    assert_eq!(graph::refusal(), None, "the driver records graphs");
}

fn empty(case: &Case, shape: (usize, usize), dtype: DType) -> Result<Tensor> {
    Tensor::full(f32::NAN, shape, &case.device)?.to_dtype(dtype)
}

/// An adapter's h before it is made: in bf16 all bits are 1.
fn missing(case: &Case, shape: (usize, usize)) -> Result<Tensor> {
    let value = if case.dtype == DType::BF16 { f32::from_bits(0xffff_0000) } else { 0.0 };
    Tensor::full(value, shape, &Device::Cpu)?.to_dtype(case.dtype)?.to_device(&case.device)
}

fn bits(t: &Tensor) -> Vec<u32> {
    list(t).into_iter().map(f32::to_bits).collect()
}

/// Each of 1 to 35 rows: near the product, and the same bits alone.
fn products(case: &Case) -> Result<()> {
    for (b, k, n) in [(1, 8, 1), (2, 40, 7), (3, 1600, 333), (10, 4096, 130), (1, 14_336, 64), (16, 64, 6500), (35, 72, 9)] {
        let (x, w) = (case.random(1, &[b, k]), case.random(2, &[n, k]));
        let expected = f32(&x).matmul(&f32(&w).t()?)?;
        let run = |x: &Tensor, dtype: DType| -> Result<Tensor> {
            let y = empty(case, (x.dim(0)?, n), dtype)?;
            Product::new(x, &w).write(&y)?;
            Ok(y)
        };
        case.check(&format!("{b} x {k} x {n}"), &[expected.clone(), expected], case.tolerance(), || {
            Ok(vec![run(&x, case.dtype)?, run(&x, DType::F32)?])
        });
        let together = run(&x, DType::F32)?;
        for row in 0..b {
            assert_eq!(bits(&together.narrow(0, row, 1)?), bits(&run(&x.narrow(0, row, 1)?, DType::F32)?), "{b} x {k} x {n}, row {row}");
        }
    }
    Ok(())
}

/// With bias, activation, residual and adapter, and weights whose rows lie apart.
fn whole_products(case: &Case) -> Result<()> {
    for (b, k, n, r) in
        [(1, 64, 24, 8), (5, 256, 100, 24), (10, 1600, 416, 48), (10, 2048, 6200, 16), (16, 4096, 3000, 48), (20, 520, 40, 136)]
    {
        for then in [Then::Nothing, Then::Gelu, Then::SwiGlu] {
            let out = if then == Then::SwiGlu { 2 * n } else { n };
            let small = |t: Tensor, by: usize| (t / (by as f64).sqrt())?.contiguous();
            let (x, wide) = (case.random(1, &[b, k]), small(case.random(2, &[out, k + 16]), k)?);
            let (w, bias, residual) = (wide.narrow(1, 0, k)?, case.random(3, &[out]), case.random(4, &[b, n]));
            let (a, up) = (small(case.random(5, &[r, k]), k)?, small(case.random(6, &[out, r]), r)?);
            let (tuned_from, scratch) = (b / 2, Scratch::new(r, &case.device)?);

            let through = f32(&x).matmul(&f32(&a).t()?)?;
            let tuned = Tensor::cat(&[(through.narrow(0, 0, tuned_from)? * 0.0)?, through.narrow(0, tuned_from, b - tuned_from)?], 0)?;
            let w32 = f32(&w).contiguous()?;
            let y = (f32(&x).matmul(&w32.t()?)? + tuned.matmul(&f32(&up).t()?)?)?.broadcast_add(&f32(&bias))?;
            let y = match then {
                Then::Nothing => y,
                Then::Gelu => gelu::plain::forward(&y)?,
                Then::SwiGlu => swiglu::plain::forward(&y)?,
            };
            let expected = (y + f32(&residual))?;
            // Rows from..to, as tuned from `first` on, or without an adapter.
            let run = |from: usize, to: usize, first: Option<usize>| -> Result<Tensor> {
                let part = |t: &Tensor| t.narrow(0, from, to - from);
                let (x, y) = (part(&x)?, part(&residual)?.copy()?);
                let h = missing(case, (to - from, r))?;
                let adapter = first.map(|tuned_from| LowRank { a: &a, b: &up, h: &h, tuned_from, scratch: &scratch });
                Product { bias: Some(&bias), residual: Some(&y), then, adapter, ..Product::new(&x, &w) }.write(&y)?;
                Ok(y)
            };
            let what = format!("{b} x {k} x {n} + {r}, {then:?}");
            case.check(&what, &[expected], case.tolerance(), || Ok(vec![run(0, b, Some(tuned_from))?]));
            let together = run(0, b, Some(tuned_from))?;
            for row in 0..b {
                let alone = run(row, row + 1, (row >= tuned_from).then_some(0))?;
                assert_eq!(bits(&together.narrow(0, row, 1)?), bits(&alone), "{what}, row {row}");
            }
        }
    }
    Ok(())
}

/// The embedding and the norms.
fn ends(case: &Case) -> Result<()> {
    for (b, c) in [(1, 8), (3, 200), (7, 1600), (17, 4096), (2, 20_000)] {
        let (tokens, places) = (case.random(1, &[40, c]), case.random(2, &[9, c]));
        let ids = Tensor::new((0..b as u32).map(|i| i * 7 % 40).collect::<Vec<_>>(), &case.device)?;
        let positions = Tensor::new((0..b as u32).map(|i| i % 9).collect::<Vec<_>>(), &case.device)?;
        let token = f32(&tokens.index_select(&ids, 0)?);
        let both = (&token + f32(&places.index_select(&positions, 0)?))?;
        let (x, w, bias) = (case.random(3, &[b, c]), case.random(4, &[c]), case.random(5, &[c]));
        let rms = rms_norm::plain::forward(&f32(&x), &f32(&w), 1e-5)?.0;
        let layer = layer_norm::plain::forward(&f32(&x), &f32(&w), &f32(&bias), 1e-5)?.0;
        let set = Tensor::full(u32::MAX as f32, 700, &case.device)?;
        case.check(&format!("{b} x {c}"), &[token, both, rms, layer, set], case.tolerance(), || {
            let out = || empty(case, (b, c), case.dtype);
            let (token, both, rms, layer) = (out()?, out()?, out()?, out()?);
            let missing = Tensor::full(7u32, 700, &case.device)?;
            step::embed(Table::Device(&tokens), None, &ids, &positions, &token, None)?;
            step::embed(Table::Device(&tokens), Some(&places), &ids, &positions, &both, Some(&missing))?;
            step::norm(&x, Norm { weight: &w, bias: None, eps: 1e-5 }, &rms)?;
            step::norm(&x, Norm { weight: &w, bias: Some(&bias), eps: 1e-5 }, &layer)?;
            Ok(vec![token, both, rms, layer, missing])
        });
    }
    Ok(())
}

/// Rotation, the cache's new entry and attention; each row alone, in a cache of another capacity: the same bits.
fn attentions(case: &Case) -> Result<()> {
    let shapes = [(1, 4, 2, 64), (3, 3, 1, 128), (2, 6, 6, 64), (10, 32, 8, 128), (2, 16, 2, 64)];
    for (b, query, kv, size) in shapes {
        for (length, capacity) in [(1, 1), (7, 20), (64, 64), (65, 65), (300, 512), (4500, 4608)] {
            if length > 1000 && b > 3 {
                continue; // a gigabyte to compare
            }
            let heads = Heads { query, kv, size, scale: 1.0 / (size as f32).sqrt() };
            let table = Rotations::new(&(0..size / 2).map(|i| 1.0 / (1.0 + i as f32)).collect::<Vec<_>>(), capacity + 64, &case.device)?;
            let qkv = case.random(1, &[b, heads.stride()]);
            let (keys, values) = (case.random(2, &[b, kv, capacity, size]), case.random(3, &[b, kv, capacity, size]));
            let positions = Tensor::full(length as u32 - 1, b, &case.device)?;
            for rotated in [true, false] {
                let turned =
                    if rotated { table.plain(&qkv, query + kv, size, &vec![length as u32 - 1; b], Turn::Forward)? } else { qkv.clone() };
                let entry = |first: usize| turned.narrow(1, first * size, kv * size)?.contiguous()?.reshape((b, kv, 1, size));
                let with = |cache: &Tensor, entry: Tensor| -> Result<Tensor> {
                    let copy = cache.copy()?;
                    copy.slice_set(&entry, 2, length - 1)?;
                    Ok(copy)
                };
                let (new_keys, new_values) = (with(&keys, entry(query)?)?, with(&values, entry(query + kv)?)?);
                let q = f32(&turned.narrow(1, 0, query * size)?).contiguous()?;
                let expected = attention::plain::decode(&q, &f32(&new_keys), &f32(&new_values), length, heads)?;
                let run = |from: usize, to: usize, spare: usize| -> Result<[Tensor; 3]> {
                    let part = |t: &Tensor| t.narrow(0, from, to - from);
                    let (keys, values) = (part(&keys)?.pad_with_zeros(2, 0, spare)?, part(&values)?.pad_with_zeros(2, 0, spare)?);
                    let (keys, values) = (keys.copy()?, values.copy()?);
                    let out = empty(case, (to - from, query * size), case.dtype)?;
                    let scratch = step::Scratch::new(to - from, heads, capacity + spare, &case.device)?;
                    let tables = rotated.then(|| table.tables());
                    let positions = part(&positions)?;
                    let attention =
                        step::Attention { keys: &keys, values: &values, tables, positions: &positions, heads, scratch: &scratch };
                    step::attend(&part(&qkv)?, attention, &out)?;
                    Ok([out, keys, values])
                };
                let what = format!("{b} rows, {length} of {capacity}, {heads:?}, rotated {rotated}");
                case.check(&what, &[expected, new_keys, new_values], case.tolerance(), || Ok(run(0, b, 0)?.to_vec()));
                let [together, ..] = run(0, b, 0)?;
                let [alone, ..] = run(b - 1, b, 64)?;
                assert_eq!(bits(&together.narrow(0, b - 1, 1)?), bits(&alone), "{what}");
            }
        }
    }
    Ok(())
}

/// The same tokens as the host's, with ties, over several steps: what was drawn counts for the next.
fn sampler(device: &Device) {
    const STEPS: usize = 3;
    let (mut count, mut seed) = (0, 0);
    for (vocab, rows) in [(7, 40), (1000, 40), (3001, 20), (50_257, 3), (128_256, 2)] {
        for (spread, grain) in [(2.5f64, 0.0f64), (2.5, 0.25), (2.5, 1.0 / 256.0), (0.01, 0.0), (30.0, 0.0), (1.0, 1000.0)] {
            for temperature in [0.0, 0.8, 1.3] {
                for top_k in [0, 1, 50, 1024, 5000] {
                    for top_p in [1.0, 0.9, 0.0] {
                        if temperature == 0.0 && (top_k != 50 || top_p != 0.9) {
                            continue; // it takes the likeliest whatever these are
                        }
                        seed += 1;
                        let penalty = [1.0, 1.1][seed as usize % 2];
                        let sampling = Sampling { temperature, top_k, top_p, repetition_penalty: penalty, max_new_tokens: STEPS };
                        let settings =
                            sample::Settings { temperature: temperature as f32, top_k, top_p, repetition_penalty: penalty as f32 };
                        let prompt: Vec<u32> = (0..vocab as u32).step_by(3).collect();
                        let mut samplers: Vec<Sampler> = (0..rows).map(|row| Sampler::new(seed * 100 + row, &prompt, vocab)).collect();
                        let draws = (0..rows).map(|row| {
                            let mut twin = Sampler::new(seed * 100 + row, &[], 0);
                            (0..STEPS).map(|_| twin.bits()).collect()
                        });
                        let state = sample::State::new(&prompt, &draws.collect::<Vec<_>>(), vocab, device).unwrap();
                        for step in 0..STEPS {
                            let logits = logits(seed * 10 + step as u64, rows as usize, vocab, spread, grain);
                            let on_device = Tensor::new(logits.clone(), device).unwrap().reshape((rows as usize, vocab)).unwrap();
                            state.draw(&on_device, &settings).unwrap();
                            let drawn: Vec<u32> = state.drawn.get(step).unwrap().to_vec1().unwrap();
                            for (row, (sampler, logits)) in samplers.iter_mut().zip(logits.chunks(vocab)).enumerate() {
                                let expected = sampler.draw(&mut logits.to_vec(), &sampling);
                                assert_eq!(drawn[row], expected, "{sampling:?}, {vocab} tokens of spread {spread} and grain {grain}");
                                count += 1;
                            }
                        }
                        assert_eq!(state.positions.to_vec1::<u32>().unwrap(), vec![(prompt.len() + STEPS - 1) as u32; rows as usize]);
                    }
                }
            }
        }
    }
    println!("sampler: {count} draws, all the host's");
}

/// Logits of a bell's shape, in steps of `grain` where it is not 0: the coarser, the more are equal.
fn logits(seed: u64, rows: usize, vocab: usize, spread: f64, grain: f64) -> Vec<f32> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || {
        let bits = rng.next_u64();
        let sum: f64 = (0..4).map(|i| ((bits >> (16 * i)) & 0xffff) as f64 / 65536.0 - 0.5).sum();
        let value = sum * 1.7 * spread;
        (if grain == 0.0 { value } else { (value / grain).round() * grain }) as f32
    };
    (0..rows * vocab).map(|_| draw()).collect()
}

/// Greedy text follows the logits of whole sequences, and a sample's text is the same alone and among twenty, up to the context's end:
/// but for f16, which no such kernels serve, and whose products are cuBLAS's.
fn models(config: &str, rank: usize, precision: Precision, device: &Device) {
    let spec = Spec::parse(config).unwrap();
    let mut model = Model::random(&spec, device, precision, 3).unwrap();
    let targets: &[&str] = if config == GPT2 { &["c_attn", "c_proj"] } else { &["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"] };
    let targets = targets.iter().map(ToString::to_string).collect();
    model.add_lora(&Lora { rank, alpha: 8.0, dropout: 0.0, targets }, 5).unwrap();
    train(&mut model);

    let prompt: Vec<u32> = (0..70).map(|i| i * 37 % 1003).collect();
    let draw = |model: &mut Model, rows: &[Row], sampling: &Sampling| -> Vec<Output> {
        generate(model, &prompt, rows, sampling, &[], &mut |_, _| ControlFlow::Continue(())).unwrap()
    };
    let greedy = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, max_new_tokens: 20 };
    for arm in [Arm::Base, Arm::Tuned] {
        let mut ids = prompt.clone();
        for token in draw(&mut model, &[Row { arm, seed: 0 }], &greedy).remove(0).ids {
            let logits = model.logits(&ids, arm).unwrap();
            let last: Vec<f32> = logits.get(ids.len() - 1).unwrap().to_vec1().unwrap();
            let best = last.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let slack = if precision == Precision::F32 { 1e-3 } else { 0.05 } * best.abs().max(1.0);
            assert!(best - last[token as usize] <= slack, "{arm:?}: token {token} is {} below the likeliest", best - last[token as usize]);
            ids.push(token);
        }
    }
    let sampling = Sampling { temperature: 1.0, top_k: 50, top_p: 0.95, repetition_penalty: 1.1, max_new_tokens: 500 };
    let row = |arm, seed| Row { arm, seed };
    if precision == Precision::F16 {
        let output = draw(&mut model, &[row(Arm::Tuned, 1), row(Arm::Base, 1)], &sampling);
        assert!(output.iter().all(|output| output.ids.len() == 130), "up to the context's end");
        println!("{} in {precision:?}, rank {rank}: op by op, it follows its logits", if config == GPT2 { "GPT-2" } else { "Llama" });
        return;
    }
    let many: Vec<Row> = (0..10).flat_map(|seed| [row(Arm::Tuned, seed), row(Arm::Base, seed)]).collect();
    let together = draw(&mut model, &many, &sampling);
    for (row, output) in many.iter().zip(&together) {
        assert_eq!(output.ids.len(), 130, "up to the context's end");
        assert_eq!(draw(&mut model, &[*row], &sampling)[0], *output, "{row:?} alone and among twenty");
    }
    assert_ne!(together[0].ids, together[2].ids, "two seeds");
    assert_ne!(together[0].ids, together[1].ids, "two arms");
    println!("{} in {precision:?}, rank {rank}: a row's text depends on its seed alone", if config == GPT2 { "GPT-2" } else { "Llama" });
}

/// A few steps, so that the adapter says something.
fn train(model: &mut Model) {
    let tokens: Vec<u32> = (0..60).map(|i| i * i % 1003).collect();
    let batch = Batch { targets: tokens.iter().map(|t| (t + 1) % 1003).collect(), weights: vec![1; 60], lengths: vec![60], tokens };
    let config = Optimizer { learning_rate: 0.02, ..Default::default() };
    let mut optimizer = AdamW::new(&config, model).unwrap();
    for step in 0..5 {
        let key = StepKey { seed: 1, step, micro: 0, micro_steps: 1, recompute: Recompute::Auto, memory: None };
        loop {
            model.accumulate(&batch, 1.0 / 60.0, key).unwrap();
            if optimizer.step(model, 0.02, 1.0).unwrap().overflow.is_none() {
                break;
            }
        }
    }
}
