//! Each fused op against its plain twin, and each plain backward against candle's autograd, on random inputs of odd sizes.
//!
//! Tolerance: 2e-5 of the largest element, for outputs and gradients alike; both sides compute in f32.

use candle_core::{Device, Result, Tensor, Var};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::attention::{self, Heads};
use super::product::{Columns, add_columns, add_product, few_rows};
use super::rope::{Rotations, Turn};
use super::{add, cross_entropy, embedding, gelu, layer_norm, rms_norm, swiglu};

fn random(seed: u64, shape: &[usize]) -> Tensor {
    use rand::Rng;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    // Sums of four uniforms: near enough to normal, with tails to 3.4.
    let draw = |rng: &mut ChaCha8Rng| (0..4).map(|_| f64::from(rng.next_u32()) / 2f64.powi(32) - 0.5).sum::<f64>() * 1.7;
    let data: Vec<f32> = (0..count).map(|_| draw(&mut rng) as f32).collect();
    Tensor::from_vec(data, shape, &Device::Cpu).unwrap()
}

#[track_caller]
fn close(what: &str, got: &Tensor, expected: &Tensor) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let list = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (got, expected) = (list(got), list(expected));
    let scale = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
    let worst = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst <= 2e-5 * scale.max(1e-3) && got.iter().all(|x| x.is_finite()), "{what}: off by {worst:e} of {scale:e}");
}

/// The gradients that autograd finds for `sum(f(inputs) * dy)`.
fn autograd(inputs: &[&Tensor], dy: &Tensor, f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Vec<Tensor> {
    let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let grads = (f(&tensors).unwrap() * dy).unwrap().sum_all().unwrap().backward().unwrap();
    vars.iter().map(|v| grads.get(v.as_tensor()).expect("autograd cut the graph").clone()).collect()
}

const SIZES: [(usize, usize); 4] = [(1, 8), (5, 48), (67, 33), (130, 200)];

#[test]
fn rms_norm_fused_plain_and_autograd_agree() {
    for (n, c) in SIZES {
        let (x, w, dy) = (random(1, &[n, c]), random(2, &[c]), random(3, &[n, c]));
        let (y, r) = rms_norm::forward(&x, &w, 1e-5).unwrap();
        let (plain_y, plain_r) = rms_norm::plain::forward(&x, &w, 1e-5).unwrap();
        close("y", &y, &plain_y);
        close("r", &r, &plain_r);
        let (dx, dw) = rms_norm::backward(&dy, &x, &r, &w, true).unwrap();
        let (plain_dx, plain_dw) = rms_norm::plain::backward(&dy, &x, &r, &w, true).unwrap();
        close("dx", &dx, &plain_dx);
        close("dw", &dw.unwrap(), &plain_dw.unwrap());
        let oracle = autograd(&[&x, &w], &dy, |t| {
            let r = (t[0].sqr()?.mean_keepdim(1)? + 1e-5)?.sqrt()?;
            t[0].broadcast_div(&r)?.broadcast_mul(&t[1])
        });
        close("dx", &dx, &oracle[0]);
    }
}

#[test]
fn layer_norm_fused_plain_and_autograd_agree() {
    for (n, c) in SIZES {
        let (x, w, b, dy) = (random(1, &[n, c]), random(2, &[c]), random(3, &[c]), random(4, &[n, c]));
        let (y, saved) = layer_norm::forward(&x, &w, &b, 1e-5).unwrap();
        let (plain_y, plain_saved) = layer_norm::plain::forward(&x, &w, &b, 1e-5).unwrap();
        close("y", &y, &plain_y);
        close("saved", &saved, &plain_saved);
        let (dx, fused) = layer_norm::backward(&dy, &x, &saved, &w, true).unwrap();
        let (plain_dx, plain) = layer_norm::plain::backward(&dy, &x, &saved, &w, true).unwrap();
        close("dx", &dx, &plain_dx);
        let ((dw, db), (plain_dw, plain_db)) = (fused.unwrap(), plain.unwrap());
        close("dw", &dw, &plain_dw);
        close("db", &db, &plain_db);
        let oracle = autograd(&[&x, &w, &b], &dy, |t| {
            let centred = t[0].broadcast_sub(&t[0].mean_keepdim(1)?)?;
            let r = (centred.sqr()?.mean_keepdim(1)? + 1e-5)?.sqrt()?;
            centred.broadcast_div(&r)?.broadcast_mul(&t[1])?.broadcast_add(&t[2])
        });
        for (what, got, want) in [("dx", &dx, &oracle[0]), ("dw", &dw, &oracle[1]), ("db", &db, &oracle[2])] {
            close(what, got, want);
        }
    }
}

#[test]
fn activations_fused_plain_and_autograd_agree() {
    for (n, width) in SIZES {
        let (x, dy) = (random(1, &[n, 2 * width]), random(2, &[n, width]));
        close("swiglu", &swiglu::forward(&x).unwrap(), &swiglu::plain::forward(&x).unwrap());
        let dx = swiglu::backward(&dy, &x).unwrap();
        close("swiglu dx", &dx, &swiglu::plain::backward(&dy, &x).unwrap());
        let oracle = autograd(&[&x], &dy, |t| t[0].narrow(1, 0, width)?.silu()? * t[0].narrow(1, width, width)?);
        close("swiglu dx", &dx, &oracle[0]);

        let x = random(3, &[n, width]);
        close("gelu", &gelu::forward(&x).unwrap(), &gelu::plain::forward(&x).unwrap());
        let dx = gelu::backward(&dy, &x).unwrap();
        close("gelu dx", &dx, &gelu::plain::backward(&dy, &x).unwrap());
        let oracle = autograd(&[&x], &dy, |t| t[0].gelu());
        close("gelu dx", &dx, &oracle[0]);
    }
}

#[test]
fn rope_fused_and_plain_agree_and_backward_undoes_forward() {
    for (n, heads, extra, d) in [(1, 1, 0, 2), (7, 3, 2, 10), (65, 6, 3, 48)] {
        let table = Rotations::new(&(0..d / 2).map(|i| 1.0 / (1.0 + i as f32)).collect::<Vec<_>>(), 100, &Device::Cpu).unwrap();
        let positions: Vec<u32> = (0..n as u32).map(|i| i * 7 % 100).collect();
        let x = random(1, &[n, (heads + extra) * d]);
        let plain = table.plain(&x, heads, d, &positions, Turn::Forward).unwrap();
        let fused = table.apply(x.copy().unwrap(), heads, d, &positions, Turn::Forward).unwrap();
        close("rotated", &fused, &plain);
        close("back", &table.apply(fused, heads, d, &positions, Turn::Backward).unwrap(), &x);
    }
}

/// Attention in ops that autograd knows, one sequence and head at a time.
fn slow_attention(qkv: &Tensor, lengths: &[usize], heads: Heads) -> Result<Tensor> {
    let d = heads.size;
    let (mut start, mut sequences) = (0, vec![]);
    for &t in lengths {
        let rows = qkv.narrow(0, start, t)?;
        start += t;
        let mut outs = vec![];
        for h in 0..heads.query {
            let shared = h / (heads.query / heads.kv);
            let q = rows.narrow(1, h * d, d)?;
            let k = rows.narrow(1, (heads.query + shared) * d, d)?;
            let v = rows.narrow(1, (heads.query + heads.kv + shared) * d, d)?;
            let mask: Vec<f32> = (0..t).flat_map(|i| (0..t).map(move |j| if j <= i { 0.0 } else { f32::NEG_INFINITY })).collect();
            let scores = ((q.matmul(&k.t()?)? * f64::from(heads.scale))? + Tensor::from_vec(mask, (t, t), &Device::Cpu)?)?;
            outs.push(candle_nn::ops::softmax(&scores, 1)?.matmul(&v.contiguous()?)?);
        }
        sequences.push(Tensor::cat(&outs, 1)?);
    }
    Tensor::cat(&sequences, 0)
}

#[test]
fn attention_fused_plain_and_autograd_agree() {
    for (lengths, query, kv, size) in
        [(vec![1], 1, 1, 4), (vec![5, 1, 9], 4, 2, 6), (vec![64, 64, 65], 3, 1, 16), (vec![130], 6, 3, 20), (vec![7, 7, 7, 3], 2, 2, 15)]
    {
        let heads = Heads { query, kv, size, scale: 1.0 / (size as f32).sqrt() };
        let n = lengths.iter().sum();
        let (qkv, dy) = (random(1, &[n, heads.stride()]), random(2, &[n, query * size]));
        let (out, lse) = attention::forward(&qkv, &lengths, heads).unwrap();
        let (plain_out, plain_lse) = attention::plain::forward(&qkv, &lengths, heads).unwrap();
        close("o", &out, &plain_out);
        close("lse", &lse, &plain_lse);
        let dqkv = attention::backward(&dy, &qkv, &out, &lse, &lengths, heads).unwrap();
        close("dqkv", &dqkv, &attention::plain::backward(&dy, &qkv, &out, &lse, &lengths, heads).unwrap());
        let oracle = autograd(&[&qkv], &dy, |t| slow_attention(&t[0], &lengths, heads));
        close("dqkv", &dqkv, &oracle[0]);
    }
}

#[test]
fn sequences_of_one_pack_do_not_see_each_other() {
    let heads = Heads { query: 2, kv: 1, size: 8, scale: 0.3 };
    let qkv = random(1, &[20, heads.stride()]);
    let (together, _) = attention::forward(&qkv, &[12, 8], heads).unwrap();
    let (alone, _) = attention::forward(&qkv.narrow(0, 12, 8).unwrap().contiguous().unwrap(), &[8], heads).unwrap();
    close("second sequence", &together.narrow(0, 12, 8).unwrap(), &alone);
}

#[test]
fn decoding_attends_as_the_last_row_of_a_whole_sequence() {
    let heads = Heads { query: 4, kv: 2, size: 10, scale: 0.4 };
    let (rows, length, capacity) = (3, 17, 20);
    let qkv = random(1, &[rows * length, heads.stride()]);
    let (whole, _) = attention::forward(&qkv, &[length; 3], heads).unwrap();
    let cube = qkv.reshape((rows, length, heads.stride())).unwrap();
    let take = |first: usize| {
        let part = cube.narrow(2, first * 10, 20).unwrap().reshape((rows, length, 2, 10)).unwrap().transpose(1, 2).unwrap();
        part.pad_with_zeros(2, 0, capacity - length).unwrap().contiguous().unwrap()
    };
    let q = cube.narrow(1, length - 1, 1).unwrap().narrow(2, 0, 40).unwrap().reshape((rows, 40)).unwrap();
    let last: Vec<Tensor> = (0..rows).map(|r| whole.narrow(0, (r + 1) * length - 1, 1).unwrap()).collect();
    let expected = Tensor::cat(&last, 0).unwrap();
    let q = q.contiguous().unwrap();
    close("fused", &attention::decode(&q, &take(4), &take(6), length, heads).unwrap(), &expected);
    close("plain", &attention::plain::decode(&q, &take(4), &take(6), length, heads).unwrap(), &expected);
}

#[test]
fn cross_entropy_fused_plain_and_autograd_agree() {
    for (n, vocab) in [(1, 3), (9, 131), (40, 1000)] {
        let logits = (random(1, &[n, vocab]) * 4.0).unwrap();
        let targets: Vec<u32> = (0..n).map(|i| (i * 37 % vocab) as u32).collect();
        let (plain_loss, plain) = cross_entropy::plain::forward_backward(&logits, &targets, 0.25).unwrap();
        let (loss, gradient) = cross_entropy::forward_backward(logits.copy().unwrap(), &targets, 0.25).unwrap();
        let loss = loss.sum().unwrap();
        assert!((loss - plain_loss).abs() < 1e-5 * plain_loss.abs(), "{loss} {plain_loss}");
        close("dlogits", &gradient, &plain);
        let ids = Tensor::new(&targets[..], &Device::Cpu).unwrap();
        let dy = Tensor::new(0.25f32 * n as f32, &Device::Cpu).unwrap();
        let oracle = autograd(&[&logits], &dy, |t| candle_nn::loss::cross_entropy(&t[0], &ids));
        close("dlogits", &gradient, &oracle[0]);
        let logprobs = cross_entropy::logprobs(&logits, &targets).unwrap();
        assert!((logprobs.iter().map(|&l| f64::from(l)).sum::<f64>() + loss).abs() < 1e-4 * loss);
    }
}

#[test]
fn products_that_add_equal_their_definition() {
    let (a, b, into) = (random(1, &[7, 5]), random(2, &[5, 9]), random(3, &[7, 9]));
    let expected = (&into + (a.matmul(&b).unwrap() * 0.5).unwrap()).unwrap();
    close("product", &add_product(into.copy().unwrap(), &a, &b, 0.5).unwrap(), &expected);

    // Two parts with columns between them untouched, in the last four rows of seven.
    let (h, w1, w2) = (random(4, &[4, 3]), random(5, &[3, 2]), random(6, &[3, 4]));
    let parts = || [Columns { at: 1, a: h.clone(), b: w1.clone() }, Columns { at: 5, a: h.clone(), b: w2.clone() }];
    let rows = |w: &Tensor| (h.matmul(w).unwrap() * 2.0).unwrap();
    let zeros = |n: usize| Tensor::zeros((4, n), candle_core::DType::F32, &Device::Cpu).unwrap();
    let added = Tensor::cat(&[zeros(1), rows(&w1), zeros(2), rows(&w2)], 1).unwrap();
    let expected = Tensor::cat(&[into.narrow(0, 0, 3).unwrap(), (into.narrow(0, 3, 4).unwrap() + added).unwrap()], 0).unwrap();
    for row_by_row in [false, true] {
        close("columns", &add_columns(into.copy().unwrap(), &parts(), 4, 2.0, row_by_row).unwrap(), &expected);
    }
    close("plain columns", &super::product::plain_add_columns(&into, &parts(), 4, 2.0).unwrap(), &expected);
    close("few rows", &few_rows(&a, &b.t().unwrap().contiguous().unwrap()).unwrap(), &a.matmul(&b).unwrap());
}

#[test]
fn sums_and_scatters_equal_their_definition() {
    let (x, bias) = (random(1, &[70, 9]), random(2, &[9]));
    close("bias", &add::add_bias(x.copy().unwrap(), &bias).unwrap(), &x.broadcast_add(&bias).unwrap());
    close("column sums", &add::column_sums(&x, &mut Default::default()).unwrap(), &x.sum(0).unwrap());
    close("sum", &add::add(x.copy().unwrap(), &x).unwrap(), &(&x * 2.0).unwrap());

    let ids: Vec<u32> = (0..70).map(|i| i * i % 11).collect();
    let zeros = || Tensor::zeros((11, 9), candle_core::DType::F32, &Device::Cpu).unwrap();
    let expected = zeros().index_add(&Tensor::new(&ids[..], &Device::Cpu).unwrap(), &x, 0).unwrap();
    close("embedding gradient", &embedding::backward(zeros(), &ids, &x).unwrap(), &expected);
}
