//! Drawing tokens: the processors against Hugging Face's, and repeatability by seed.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use candle_core::{DType, Device, Tensor};
use voicetune::config::{Lora, Precision};
use voicetune::engine::sample::{Finish, Output, Row, Sampler, Sampling, WHOLE, filter, generate};
use voicetune::engine::spec::Spec;
use voicetune::engine::{Arm, Model};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/engine");

#[test]
fn processors_keep_the_tokens_that_hugging_face_keeps_with_its_probabilities() {
    let tensors = candle_core::safetensors::load(format!("{FIXTURES}/processors.safetensors"), &Device::Cpu).unwrap();
    let settings: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{FIXTURES}/processors.json")).unwrap()).unwrap();
    let logits: Vec<Vec<f32>> = tensors["logits"].to_vec2().unwrap();
    let previous: Vec<Vec<u32>> = tensors["previous"].to_dtype(DType::U32).unwrap().to_vec2().unwrap();
    let cases = settings["settings"].as_array().unwrap();
    assert!(cases.len() >= 10);
    for (n, case) in cases.iter().enumerate() {
        let number = |key: &str, neutral: f64| case[key].as_f64().unwrap_or(neutral);
        let sampling = Sampling {
            temperature: number("temperature", 1.0),
            top_k: number("top_k", 0.0) as usize,
            top_p: number("top_p", 1.0),
            repetition_penalty: number("repetition_penalty", 1.0),
            max_new_tokens: 1,
        };
        let expected: Vec<Vec<f32>> = tensors[&format!("result.{n}")].to_vec2().unwrap();
        for ((logits, previous), expected) in logits.iter().zip(&previous).zip(&expected) {
            let mut logits = logits.clone();
            Sampler::new(0, previous, logits.len()).penalise(&mut logits, sampling.repetition_penalty);
            let kept = filter(&logits, &sampling);
            let mut ids: Vec<u32> = kept.iter().map(|k| k.0).collect();
            ids.sort_unstable();
            let wanted: Vec<u32> = (0..).zip(expected).filter(|(_, l)| l.is_finite()).map(|(i, _)| i).collect();
            assert_eq!(ids, wanted, "{case}");
            let max = expected.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for (id, share) in kept {
                let p = share as f64 / WHOLE as f64;
                let want = f64::from(expected[id as usize] - max).exp();
                assert!((p - want).abs() < 1e-5, "{case}: token {id} has {p}, expected {want}");
            }
        }
    }
}

fn model() -> Model {
    let spec = Spec::parse(&std::fs::read_to_string(format!("{FIXTURES}/llama/config.json")).unwrap()).unwrap();
    let mut model = Model::random(&spec, &Device::Cpu, Precision::F32, 3).unwrap();
    let targets = ["q_proj", "v_proj", "down_proj"].map(String::from).to_vec();
    model.add_lora(&Lora { rank: 4, alpha: 8.0, dropout: 0.0, targets }, 5).unwrap();
    model
}

fn draw(rows: &[Row], stop: &[u32]) -> Vec<Output> {
    let sampling = Sampling { temperature: 1.0, top_k: 50, top_p: 0.95, repetition_penalty: 1.1, max_new_tokens: 40 };
    generate(&mut model(), &[1, 2, 3, 4, 5], rows, &sampling, stop, &mut |_, _| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_samples_text_depends_on_its_seed_alone() {
    let row = |arm, seed| Row { arm, seed };
    let many: Vec<Row> = (0..5).flat_map(|seed| [row(Arm::Tuned, seed), row(Arm::Base, seed)]).collect();
    let together = draw(&many, &[]);
    for (row, output) in many.iter().zip(&together) {
        assert_eq!(draw(&[*row], &[])[0], *output, "{row:?} alone and among ten");
    }
    assert_ne!(together[0].ids, together[2].ids, "two seeds");
    // B is zero in a new adapter: both arms are one model.
    assert_eq!(together[0], together[1]);
}

#[test]
fn end_tokens_end_a_row_and_the_caller_ends_all() {
    let free = draw(&[Row { arm: Arm::Base, seed: 9 }], &[]).remove(0);
    let stop = free.ids[6];
    let first = free.ids.iter().position(|&id| id == stop).unwrap();
    let stopped = draw(&[Row { arm: Arm::Base, seed: 9 }], &[stop]).remove(0);
    assert_eq!((stopped.finish, &stopped.ids[..]), (Finish::Stop, &free.ids[..first]));
    assert_eq!((free.finish, free.ids.len()), (Finish::Length, 40));

    let mut left = 7;
    let sampling = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, max_new_tokens: 40 };
    let cancelled = generate(&mut model(), &[1, 2], &[Row { arm: Arm::Tuned, seed: 0 }], &sampling, &[], &mut |_, _| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let cancelled = cancelled.unwrap().remove(0);
    assert_eq!((cancelled.finish, cancelled.ids.len()), (Finish::Cancelled, 7));
}

#[test]
fn decoding_follows_what_the_whole_sequence_says() {
    // Greedy decoding with the cache must take, at each place, the most likely token of a forward pass over all that stands before.
    let greedy = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, max_new_tokens: 30 };
    let mut ids = vec![7, 8, 9];
    let output =
        generate(&mut model(), &ids, &[Row { arm: Arm::Base, seed: 0 }], &greedy, &[], &mut |_, _| ControlFlow::Continue(())).unwrap();
    for &token in &output[0].ids {
        let logits: Tensor = model().logits(&ids, Arm::Base).unwrap();
        let last: Vec<f32> = logits.get(ids.len() - 1).unwrap().to_vec1().unwrap();
        let best = last.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!(best - last[token as usize] < 1e-4, "token {token} is not the most likely");
        ids.push(token);
    }
}

#[test]
fn prompts_that_cannot_be_continued_are_refused() {
    for (prompt, expected) in [(vec![], "empty"), (vec![1; 256], "no room"), (vec![999], "outside the model's vocabulary")] {
        let sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, max_new_tokens: 4 };
        let error =
            generate(&mut model(), &prompt, &[Row { arm: Arm::Base, seed: 0 }], &sampling, &[], &mut |_, _| ControlFlow::Continue(()));
        assert!(format!("{:#}", error.unwrap_err()).contains(expected), "{expected}");
    }
}
