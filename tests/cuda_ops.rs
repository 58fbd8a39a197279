//! Each op that is fused on CUDA against its plain twin in f32, outputs and gradients, in f32, bf16 and f16, at odd sizes; and that the
//! same input gives the same bits twice. Needs a card: `cargo test --features cuda --test cuda_ops`.
//!
//! Tolerance: the norm of the difference over the norm of the expected, 1e-5 in f32, 5e-3 in bf16 (whose rounding is 2e-3) and 6e-4 in f16
//! (2.4e-4); for attention in bf16 1e-2 and in f16 1e-3, because the probabilities are rounded too. NaN never passes, and memory is filled
//! with it beforehand.
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Result, Tensor};
use voicetune::engine::beside;
use voicetune::engine::device::{self, Want};
use voicetune::engine::gradient::{Gradient, Parts, Unsummed};
use voicetune::engine::ops::attention::{self, Heads};
use voicetune::engine::ops::product::{
    Columns, add_columns, add_product, few_rows, first_product, linear_plus, product_in_rows, scaled_product,
};
use voicetune::engine::ops::rope::{Rotations, Turn};
use voicetune::engine::ops::{add, cross_entropy, dropout, embedding, gelu, layer_norm, rms_norm, swiglu};
use voicetune_kernels::adamw::Step;
use voicetune_kernels::cuda::beside::Beside;
use voicetune_kernels::cuda::host::{HostTable, Table};
use voicetune_kernels::cuda::{activation, adamw, embedding as cuda_embedding, norm, normal, pointwise};

use cuda_support::{Case, Named, f32, list, there, wanted};

mod cuda_support;

#[test]
fn fused_ops_agree_with_their_twins() {
    all();
}

/// All cases, one after the other: one thread owns the device.
pub fn all() {
    let device = device::open(Want::Auto).unwrap();
    assert!(device.is_cuda(), "these tests need a CUDA device");
    let cases: [Named; 13] = [
        ("norms", norms),
        ("activations", activations),
        ("SwiGLU with a product", swiglu_with_products),
        ("sums", sums),
        ("rope", rotations),
        ("dropout", masks),
        ("cross-entropy", losses),
        ("products", products),
        ("short products", short_products),
        ("layers", layers),
        ("few rows", few),
        ("embedding", embeddings),
        ("attention", attentions),
    ];
    for dtype in there(&device, &[DType::F32, DType::BF16, DType::F16]) {
        for (name, case) in cases.into_iter().filter(|(name, _)| wanted(&format!("{name} {dtype:?}"))) {
            let worst = std::cell::Cell::new(0.0);
            case(&Case { device: device.clone(), dtype, worst: &worst }).unwrap();
            println!("{name} {dtype:?}: off by {:.1e} at most", worst.get());
        }
    }
    if wanted("AdamW") {
        optimiser(&device).unwrap();
    }
    if wanted("squares") {
        squares(&device).unwrap();
    }
    if wanted("draws") {
        draws(&device).unwrap();
    }
}

const SIZES: [(usize, usize); 12] =
    [(1, 8), (5, 48), (67, 33), (130, 200), (300, 1600), (257, 4096), (2, 1), (530, 8), (1061, 33), (2201, 40), (9, 2040), (9, 2048)];

fn norms(case: &Case) -> Result<()> {
    for (n, c) in SIZES.into_iter().filter(|&(_, c)| c > 1) {
        let (x, w, b, dy) = (case.random(1, &[n, c]), case.random(2, &[c]), case.random(3, &[c]), case.random(4, &[n, c]));
        let (y, r) = rms_norm::plain::forward(&f32(&x), &f32(&w), 1e-5)?;
        let (dx, dw) = rms_norm::plain::backward(&f32(&dy), &f32(&x), &r, &f32(&w), true)?;
        case.check(&format!("rms {n} x {c}"), &[y, r.clone(), dx, dw.unwrap()], case.tolerance(), || {
            let (y, r) = rms_norm::forward(&x, &w, 1e-5)?;
            let (dx, dw) = rms_norm::backward(&dy, &x, &r, &w, true)?;
            Ok(vec![y, r, dx, dw.unwrap()])
        });
        let (y, saved) = layer_norm::plain::forward(&f32(&x), &f32(&w), &f32(&b), 1e-5)?;
        let (dx, gradients) = layer_norm::plain::backward(&f32(&dy), &f32(&x), &saved, &f32(&w), true)?;
        let (dw, db) = gradients.unwrap();
        case.check(&format!("layer {n} x {c}"), &[y, saved, dx, dw, db], case.tolerance(), || {
            let (y, saved) = layer_norm::forward(&x, &w, &b, 1e-5)?;
            let (dx, gradients) = layer_norm::backward(&dy, &x, &saved, &w, true)?;
            let (dw, db) = gradients.unwrap();
            Ok(vec![y, saved, dx, dw, db])
        });
        for bias in [None, Some(&b)] {
            norm_apart(case, &x, &dy, &w, bias)?;
        }
    }
    Ok(())
}

/// A norm into rows that lie apart; its gradient from such rows, with a residual and its sums; and what forward gave, once more.
fn norm_apart(case: &Case, x: &Tensor, dy: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<()> {
    let ((n, c), room) = (x.dims2()?, 8);
    let residual = case.random(6, &[n, c]);
    let (y, dx, weights) = match bias {
        None => {
            let (y, r) = rms_norm::plain::forward(&f32(x), &f32(w), 1e-5)?;
            let (dx, dw) = rms_norm::plain::backward(&f32(dy), &f32(x), &r, &f32(w), true)?;
            (y, dx, vec![dw.unwrap()])
        }
        Some(b) => {
            let (y, saved) = layer_norm::plain::forward(&f32(x), &f32(w), &f32(b), 1e-5)?;
            let (dx, gradients) = layer_norm::plain::backward(&f32(dy), &f32(x), &saved, &f32(w), true)?;
            let (dw, db) = gradients.unwrap();
            (y, dx, vec![dw, db])
        }
    };
    let dx = (dx + f32(&residual))?;
    let sums = dx.sum(0)?;
    let apart = Tensor::cat(&[dy, &case.random(7, &[n, room])], 1)?.narrow(1, 0, c)?;
    let with_sums = [&[dx.clone(), sums], &weights[..]].concat();
    let expected = [&[y.clone(), y, dx][..], &with_sums, &with_sums].concat();
    case.check(&format!("norm apart {n} x {c}, bias {}", bias.is_some()), &expected, case.tolerance(), || {
        let (wide, saved) = norm::forward(x, w, bias, 1e-5, room)?;
        let gradients = |want| {
            let mut shares = vec![];
            let gradients = norm::backward(&apart, x, &saved, (w, bias), Some(&residual), want, &mut shares)?;
            pointwise::add_up(&shares)?;
            Result::Ok(gradients)
        };
        let alone = gradients(norm::Want::default())?;
        assert!(alone.dw.is_none() && alone.db.is_none() && alone.sums.is_none() && alone.again.is_none());
        // Sums go with what forward gave and, by another kernel for rows of some widths, without it.
        let with = |again| gradients(norm::Want { weights: true, sums: true, again });
        let (mut with_again, without) = (with(true)?, with(false)?);
        let again = with_again.again.take();
        let sums = |all: norm::Gradients| [Some(all.dx), all.sums, all.dw, all.db].into_iter().flatten();
        let rest = [wide.narrow(1, 0, c)?.contiguous()?, again.unwrap(), alone.dx];
        Ok(rest.into_iter().chain(sums(with_again)).chain(sums(without)).collect())
    });
    Ok(())
}

fn activations(case: &Case) -> Result<()> {
    for (n, c) in SIZES {
        let (x, both, dy) = (case.random(1, &[n, c]), case.random(2, &[n, 2 * c]), case.random(3, &[n, c]));
        let expected = [
            gelu::plain::forward(&f32(&x))?,
            gelu::plain::backward(&f32(&dy), &f32(&x))?,
            swiglu::plain::forward(&f32(&both))?,
            swiglu::plain::backward(&f32(&dy), &f32(&both))?,
        ];
        case.check(&format!("{n} x {c}"), &expected, case.tolerance(), || {
            Ok(vec![gelu::forward(&x)?, gelu::backward(&dy, &x)?, swiglu::forward(&both)?, swiglu::backward(&dy, &both)?])
        });
        // Rows that lie apart, and what forward gave, once more.
        let expected = [&expected[..], &[expected[0].clone(), expected[2].clone(), expected[1].sum(0)?]].concat();
        case.check(&format!("{n} x {c} apart"), &expected, case.tolerance(), || {
            let copy = || Tensor::cat(&[&dy, &case.random(4, &[n, 8])], 1)?.narrow(1, 0, c);
            let (mut beside, mut unsummed) = (beside::Beside::default(), Unsummed::default());
            let (dx, y) = gelu::backward_again(copy()?, x.copy()?, true, Some(&mut unsummed))?;
            beside.add_up(&mut unsummed)?;
            beside.join()?;
            let Gradient { d: dx, sums } = dx;
            let (d_both, active) = swiglu::backward_again(Parts { dx: copy()?, product: None }, both.copy()?, true)?;
            let first = |wide: Tensor| wide.narrow(1, 0, c)?.contiguous();
            let (wide, wide_active) = (first(gelu::forward_wide(&x, 8)?)?, first(swiglu::forward_wide(&both, 8)?)?);
            Ok(vec![wide, dx, wide_active, d_both, y.unwrap().contiguous()?, active.unwrap().contiguous()?, sums.unwrap()])
        });
    }
    Ok(())
}

/// SwiGLU's gradient from the sum of a layer's gradient and its adapter's, which lie side by side as one product gives them.
fn swiglu_with_products(case: &Case) -> Result<()> {
    let sizes = [(1, 64, 16), (15, 96, 32), (17, 64, 48), (100, 96, 8), (33, 200, 24), (130, 1600, 64), (1, 520, 40), (582, 14_336, 16)];
    for (n, c, k) in sizes {
        let (both, dy, dh) = (case.random(1, &[n, 2 * c]), case.random(2, &[n, c]), case.random(3, &[n, k]));
        let a = case.random(4, &[k, c]);
        if case.dtype == DType::F32 {
            assert!(!activation::adds_product(&dy, &dh, &a, &both)?, "f32 has no such kernel");
            continue;
        }
        let sum = (f32(&dy) + f32(&dh).matmul(&f32(&a))?)?;
        let expected = [swiglu::plain::backward(&sum, &f32(&both))?, swiglu::plain::forward(&f32(&both))?, f32(&dh), f32(&dy)];
        case.check(&format!("{n} x {c} + {k}"), &expected, case.tolerance(), || {
            let (side_by_side, apart) = (Tensor::cat(&[&dy, &dh], 1)?, Tensor::cat(&[&dh, &dy], 1)?);
            let (with_y, dh) = (side_by_side.narrow(1, 0, c)?, side_by_side.narrow(1, c, k)?);
            let (gradient, same) = (both.copy()?, both.copy()?);
            activation::swiglu_backward_with(&with_y, &dh, &a, &gradient, true)?;
            // Without what forward gave, dy stays as it is; and other rows' distances are fine too.
            let kept = apart.narrow(1, k, c)?;
            activation::swiglu_backward_with(&kept, &dh.contiguous()?, &a, &same, false)?;
            assert!(list(&gradient) == list(&same), "where its rows lie does not matter");
            Ok(vec![gradient, with_y.contiguous()?, dh.contiguous()?, kept.contiguous()?])
        });
        let odd = [case.random(5, &[n, c + 1]), case.random(6, &[k, c + 1]), case.random(7, &[n, 2 * c + 2])];
        assert!(!activation::adds_product(&odd[0], &dh, &odd[1], &odd[2])?, "rows at odd places have no such kernel");
        let (dh, a) = (case.random(8, &[n, 72]), case.random(9, &[72, c]));
        assert!(!activation::adds_product(&dy, &dh, &a, &both)?, "deep products have no such kernel");
    }
    Ok(())
}

fn sums(case: &Case) -> Result<()> {
    for (n, c) in SIZES {
        let (x, y, bias) = (case.random(1, &[n, c]), case.random(2, &[n, c]), case.random(3, &[c]));
        let sum = (f32(&x) + f32(&y))?;
        let expected = [sum.clone(), sum, f32(&x).broadcast_add(&f32(&bias))?, f32(&x).sum(0)?];
        case.check(&format!("{n} x {c}"), &expected, case.tolerance(), || {
            let (mut beside, mut unsummed) = (beside::Beside::default(), Unsummed::default());
            let sums = beside.column_sums(&x, &mut unsummed)?;
            beside.add_up(&mut unsummed)?;
            let apart = beside.add(x.copy()?, &y)?;
            let sum = add::add(x.copy()?, &y)?;
            beside.join()?;
            Ok(vec![sum, apart, add::add_bias(x.copy()?, &bias)?, sums])
        });
    }
    Ok(())
}

fn rotations(case: &Case) -> Result<()> {
    for (n, heads, extra, d) in [(1, 1, 0, 2), (7, 3, 2, 10), (65, 6, 3, 48), (300, 40, 8, 128)] {
        let table = Rotations::new(&(0..d / 2).map(|i| 1.0 / (1.0 + i as f32)).collect::<Vec<_>>(), 100, &case.device)?;
        let positions: Vec<u32> = (0..n as u32).map(|i| i * 7 % 100).collect();
        let x = case.random(1, &[n, (heads + extra) * d]);
        let turned = table.plain(&f32(&x), heads, d, &positions, Turn::Forward)?;
        let back = table.plain(&f32(&x), heads, d, &positions, Turn::Backward)?;
        case.check(&format!("{n} x {heads} x {d}"), &[turned, back], case.tolerance(), || {
            let turned = table.apply(x.copy()?, heads, d, &positions, Turn::Forward)?;
            Ok(vec![turned, table.apply(x.copy()?, heads, d, &positions, Turn::Backward)?])
        });
    }
    Ok(())
}

fn masks(case: &Case) -> Result<()> {
    for (n, c) in SIZES {
        let x = case.random(1, &[n, c]);
        let key = 0xdead_beef_0123 + n as u64;
        // The CPU's mask, exactly.
        let expected = dropout::apply(&f32(&x).to_device(&Device::Cpu)?, 0.3, key)?.to_dtype(case.dtype)?;
        let wide = Tensor::cat(&[&x, &case.random(2, &[n, 8])], 1)?;
        case.check(&format!("{n} x {c}"), &[expected.clone(), expected.clone()], 0.0, || {
            Ok(vec![dropout::apply(&x, 0.3, key)?, dropout::apply(&wide.narrow(1, 0, c)?, 0.3, key)?])
        });
        let sum = (f32(&wide.narrow(1, 0, c)?) + f32(&expected).to_device(&case.device)?)?;
        case.check(&format!("{n} x {c}, added"), &[sum], case.tolerance(), || {
            Ok(vec![dropout::add(wide.copy()?.narrow(1, 0, c)?, &x, 0.3, key)?.contiguous()?])
        });
    }
    Ok(())
}

fn losses(case: &Case) -> Result<()> {
    for (n, vocab) in [(1, 3), (9, 131), (40, 1000), (11, 50257), (7, 128_256)] {
        let logits = (case.random(1, &[n, vocab]) * 4.0)?;
        let targets: Vec<u32> = (0..n).map(|i| (i * 7919 % vocab) as u32).collect();
        let (loss, gradient) = cross_entropy::plain::forward_backward(&f32(&logits), &targets, 0.25)?;
        let logprobs = cross_entropy::plain::logprobs(&f32(&logits), &targets)?;
        let loss = Tensor::new(&[loss as f32], &Device::Cpu)?;
        case.check(&format!("{n} x {vocab}"), &[loss, logprobs, gradient.clone(), gradient], case.tolerance(), || {
            let logprobs = Tensor::new(cross_entropy::logprobs(&logits, &targets)?, &Device::Cpu)?;
            let (loss, gradient) = cross_entropy::forward_backward(logits.copy()?, &targets, 0.25)?;
            // Rows that lie apart.
            let wide = Tensor::cat(&[&logits, &logits.narrow(1, 0, 3)?], 1)?.narrow(1, 0, vocab)?;
            let (_, apart) = cross_entropy::forward_backward(wide, &targets, 0.25)?;
            Ok(vec![Tensor::new(&[loss.sum()? as f32], &Device::Cpu)?, logprobs, gradient, apart.contiguous()?])
        });
    }
    Ok(())
}

fn products(case: &Case) -> Result<()> {
    for (m, k, n) in [(1, 1, 1), (7, 5, 9), (130, 48, 66), (300, 16, 1024)] {
        let (wide, b, into) = (case.random(1, &[m, k + 24]), case.random(2, &[n, k]), case.random(3, &[m, n + 11]));
        let (a, b) = (wide.narrow(1, 8, k)?, b.t()?); // rows that lie apart, and a transpose
        let exact = f32(&a).contiguous()?.matmul(&f32(&b).contiguous()?)?;
        let sum = (f32(&into).narrow(1, 0, n)?.contiguous()? + (&exact * 0.5)?)?;
        let rows = m - m / 3;
        let part = |t: &Tensor| t.narrow(0, m - rows, rows);
        let mut columns = f32(&into);
        let added = (part(&f32(&into))?.narrow(1, 3, n)? + (part(&exact)? * 2.0)?)?;
        columns = Tensor::cat(
            &[
                columns.narrow(0, 0, m - rows)?,
                Tensor::cat(&[part(&columns)?.narrow(1, 0, 3)?, added, part(&columns)?.narrow(1, n + 3, 8)?], 1)?,
            ],
            0,
        )?;
        let gradient = (f32(&into).narrow(1, 0, n)?.contiguous()? + &exact)?;
        case.check(
            &format!("{m} x {k} x {n}"),
            &[(&exact * 0.25)?, exact.clone(), sum, columns, gradient, exact.clone(), (&exact * 4.0)?],
            case.tolerance(),
            || {
                let start = into.narrow(1, 0, n)?.contiguous()?;
                let mut beside = Beside::new(&case.device)?;
                let twice = beside.new_product(&a, &b, 1.0, DType::F32)?;
                for last in [false, false, true] {
                    beside.lap()?;
                    beside.product(&twice, &a, &b, 0.5, if last { 1.0 } else { 1.5 })?;
                }
                beside.join()?;
                let parts = [Columns { at: 3, a: part(&a)?, b: b.clone() }];
                Ok(vec![
                    scaled_product(&a, &b, 0.25)?,
                    product_in_rows(&a, &b)?.contiguous()?,
                    add_product(start.copy()?, &a, &b, 0.5)?,
                    add_columns(into.copy()?, &parts, rows, 2.0, false)?,
                    add_product(f32(&start).copy()?, &a, &b, 1.0)?,
                    first_product(&a, &b, 1.0)?,
                    twice,
                ])
            },
        );
    }
    Ok(())
}

/// Products of a few hundred rows, whose algorithm is chosen by a shape that is rounded up: forward, and both backward.
fn short_products(case: &Case) -> Result<()> {
    for (input, out) in [(136, 264), (200, 1608), (1600, 1600), (6400, 1600), (4144, 1024)] {
        for n in [129, 150, 160, 161, 582, 601] {
            let small = 1.0 / (input as f64).sqrt();
            let (x, w, dy) = (case.random(1, &[n, input]), (case.random(2, &[out, input]) * small)?, case.random(3, &[n, out]));
            let (exact_x, exact_w, exact_dy) = (f32(&x), f32(&w), f32(&dy));
            let gradient = exact_dy.t()?.contiguous()?.matmul(&exact_x)?;
            let expected = [exact_x.matmul(&exact_w.t()?)?, exact_dy.matmul(&exact_w)?, gradient.clone(), gradient];
            case.check(&format!("short {n} x {input} x {out}"), &expected, case.tolerance(), || {
                let mut beside = Beside::new(&case.device)?;
                let beside_it = beside.new_product(&dy.t()?, &x, 1.0, x.dtype())?;
                beside.join()?;
                let forward = scaled_product(&x, &w.t()?, 1.0)?;
                Ok(vec![forward, scaled_product(&dy, &w, 1.0)?, scaled_product(&dy.t()?, &x, 1.0)?, beside_it])
            });
        }
    }
    Ok(())
}

/// Layers with bias, residual and GELU within the product.
fn layers(case: &Case) -> Result<()> {
    for (n, input, out) in [(1, 8, 8), (7, 40, 24), (130, 64, 200), (581, 1600, 6400), (257, 4144, 1024)] {
        let (wide, w, bias) = (case.random(1, &[n, input + 16]), case.random(2, &[out, input]), case.random(3, &[out]));
        let (x, residual) = (wide.narrow(1, 0, input)?, case.random(4, &[n, out]));
        let small = 1.0 / (input as f64).sqrt();
        let w = (w * small)?;
        let exact = f32(&x).contiguous()?.matmul(&f32(&w).t()?)?;
        let with_bias = exact.broadcast_add(&f32(&bias))?;
        let expected = [
            exact.clone(),
            with_bias.clone(),
            (&with_bias + f32(&residual))?,
            (&exact + f32(&residual))?,
            with_bias.clone(),
            gelu::plain::forward(&with_bias)?,
        ];
        case.check(&format!("layer {n} x {input} x {out}"), &expected, case.tolerance(), || {
            let (before, active) = gelu::of_linear(&x, &w, &bias, 8)?;
            Ok(vec![
                linear_plus(&x, &w, None, None)?,
                linear_plus(&x, &w, Some(&bias), None)?,
                linear_plus(&x, &w, Some(&bias), Some(&residual))?,
                linear_plus(&x, &w, None, Some(&residual))?,
                before,
                active.narrow(1, 0, out)?.contiguous()?,
            ])
        });
    }
    Ok(())
}

fn few(case: &Case) -> Result<()> {
    for (b, k, n) in [(1, 8, 1), (2, 40, 7), (3, 1600, 333), (4, 4096, 130), (1, 14_336, 64), (5, 64, 9), (2, 33, 5)] {
        let (x, w) = (case.random(1, &[b, k]), case.random(2, &[n, k]));
        let expected = f32(&x).matmul(&f32(&w).t()?)?;
        case.check(&format!("{b} x {k} x {n}"), &[expected], case.tolerance(), || Ok(vec![few_rows(&x, &w)?]));
    }
    Ok(())
}

fn embeddings(case: &Case) -> Result<()> {
    for (n, c) in SIZES {
        let ids: Vec<u32> = (0..n as u32).map(|i| i * i % 11).collect();
        let (dy, table) = (case.random(1, &[n, c]), case.random(2, &[11, c]));
        let (grad, on_device) = (f32(&table), Tensor::new(&ids[..], &case.device)?);
        let rows = grad.index_select(&on_device, 0)?;
        let expected = [grad.index_add(&on_device, &f32(&dy), 0)?, rows.clone(), rows];
        let on_host = HostTable::new(&table)?.unwrap();
        case.check(&format!("{n} x {c}"), &expected, case.tolerance(), || {
            let from_host = cuda_embedding::rows(Table::Host(&on_host), &on_device)?;
            Ok(vec![embedding::backward(grad.copy()?, &ids, &dy)?, embedding::forward(&table, &on_device)?, from_host])
        });
    }
    Ok(())
}

fn attentions(case: &Case) -> Result<()> {
    let packs: [&[usize]; 8] = [
        &[1],
        &[5, 1, 9],
        &[64, 64, 65],
        &[130],
        &[200, 63, 300],
        &[31, 97],
        &[700],
        &[127, 128, 129, 1, 256, 500, 383, 640, 1000, 400, 900],
    ];
    for (query, kv, size) in [(4, 2, 64), (3, 1, 128), (6, 6, 64), (5, 5, 128), (8, 2, 128), (8, 1, 64), (12, 2, 128), (2, 1, 20)] {
        for lengths in packs {
            let heads = Heads { query, kv, size, scale: 1.0 / (size as f32).sqrt() };
            let n = lengths.iter().sum();
            let (qkv, dy) = (case.random(1, &[n, heads.stride()]), case.random(2, &[n, query * size]));
            let fused = case.dtype != DType::F32 && matches!(size, 64 | 128);
            assert_eq!(voicetune_kernels::cuda::attention::applies(&qkv, heads), fused, "{:?} {heads:?}", case.dtype);
            let (out, lse) = attention::plain::forward(&f32(&qkv), lengths, heads)?;
            let dqkv = attention::plain::backward(&f32(&dy), &f32(&qkv), &out, &lse, lengths, heads)?;
            // Each part by itself, but where a sequence of one token makes the gradients of q and k nothing but rounding.
            let parts = |t: Tensor| -> Result<Vec<Tensor>> {
                let (q, kv) = (query * size, kv * size);
                if n < 64 { Ok(vec![t]) } else { Ok(vec![t.narrow(1, 0, q)?, t.narrow(1, q, kv)?, t.narrow(1, q + kv, kv)?]) }
            };
            let expected = [vec![out, lse], parts(dqkv)?].concat();
            case.check(&format!("{lengths:?} {heads:?}"), &expected, case.by_type(1e-5, 1e-2, 1e-3), || {
                // Rows of the output, and of its gradient, that lie apart.
                let (wide, lse) = attention::forward_wide(&qkv, lengths, heads, 16)?;
                let out = wide.narrow(1, 0, query * size)?;
                let dy = Tensor::cat(&[&dy, &case.random(3, &[n, 24])], 1)?.narrow(1, 0, query * size)?;
                let dqkv = attention::backward(&dy, &qkv, &out, &lse, lengths, heads)?;
                Ok([vec![out.contiguous()?, lse], parts(dqkv)?].concat())
            });
        }
    }
    Ok(())
}

fn step_of(t: u64) -> Step {
    Step { learning_rate: 1e-2, weight_decay: 0.1, betas: [0.9, 0.999], eps: 1e-8, t, grad_scale: 1.0 }
}

/// Against the CPU's fused update, three steps of parameters of odd sizes.
fn optimiser(device: &Device) -> Result<()> {
    let make = |seed: u64, n: usize| normal::normal(n, 1.0, seed << 40, DType::F32, device);
    let sizes = [1, 5, 4096, 65_536, 65_537, 200_003];
    let lists = |seed: u64| sizes.iter().map(|&n| make(seed, n)).collect::<Result<Vec<_>>>();
    let (p, m, v, g) = (lists(1)?, lists(2)?, lists(3)?.iter().map(Tensor::sqr).collect::<Result<Vec<_>>>()?, lists(4)?);
    let g: Vec<Tensor> =
        g.iter().enumerate().map(|(i, g)| if i % 3 == 1 { g.to_dtype(DType::BF16) } else { Ok(g.clone()) }).collect::<Result<_>>()?;
    let of_value = |i: usize| if i % 4 == 2 { DType::F16 } else { DType::BF16 };
    let values = p.iter().enumerate().map(|(i, p)| p.to_dtype(of_value(i))).collect::<Result<Vec<_>>>()?;
    // Every second one has a value of its own; the value of the fourth lies, doubled, in the last four of a matrix's eight columns.
    let matrix = Tensor::zeros((16_384, 8), DType::F32, device)?;
    let folded = matrix.narrow(1, 4, 4)?;
    let own = |i: usize| i.is_multiple_of(2).then(|| adamw::Value { tensor: &values[i], scale: 1.0 });
    let value = |i: usize| if i == 3 { Some(adamw::Value { tensor: &folded, scale: 2.0 }) } else { own(i) };
    let cpu = |list: &[Tensor]| list.iter().map(self::list).collect::<Vec<_>>();
    let (mut expected_p, mut expected_m, mut expected_v, gradients) =
        (cpu(&p), cpu(&m), cpu(&v), cpu(&g.iter().map(f32).collect::<Vec<_>>()));
    // The same, with masters in halves.
    let copies = |list: &[Tensor]| list.iter().map(Tensor::copy).collect::<Result<Vec<_>>>();
    let (m_2, v_2) = (copies(&m)?, copies(&v)?);
    let empty = || p.iter().map(|p| p.zeros_like()?.to_dtype(DType::BF16)).collect::<Result<Vec<_>>>();
    let (high, low) = (empty()?, empty()?);
    for i in 0..sizes.len() {
        adamw::split(&p[i], &high[i], &low[i])?;
        assert_eq!(list(&adamw::join(&high[i], &low[i])?), list(&p[i]), "halves are all of a master");
        let (worst, near) = (list(&p[i]), list(&high[i]));
        assert!(worst.iter().zip(near).all(|(p, near)| (p - near).abs() <= p.abs() / 256.0), "and one of them is near it");
    }
    for t in 1..=3 {
        let step = Step { grad_scale: 0.5, ..step_of(t) };
        let parameters = (0..sizes.len())
            .map(|i| adamw::Parameter {
                p: adamw::Master::Whole(&p[i]),
                m: &m[i],
                v: &v[i],
                g: g[i].clone(),
                squares: None,
                value: value(i),
            })
            .collect();
        let batch = adamw::Batch::new(parameters, device)?;
        let exact: f64 = gradients.iter().flatten().map(|&g| f64::from(g).powi(2)).sum();
        // Clipped to half of itself; or halved beforehand, and not clipped; or made larger beforehand, and clipped all the same.
        let (before, most) = [(1.0, 0.5), (0.5, 0.0), (4.0, 0.5)][t as usize - 1];
        let scaled = Step { grad_scale: before, ..step };
        let clip = |batch: &adamw::Batch| batch.clip(&scaled, most * (exact.sqrt() + 1e-6));
        let clipped = clip(&batch)?;
        batch.update(&clipped)?;
        assert!((clipped.norm()? / (before * exact.sqrt()) - 1.0).abs() < 1e-6);
        let halves = (0..sizes.len()).map(|i| adamw::Parameter {
            p: adamw::Master::Low(&low[i]),
            m: &m_2[i],
            v: &v_2[i],
            g: g[i].clone(),
            squares: None,
            value: Some(adamw::Value { tensor: &high[i], scale: 1.0 }),
        });
        let batch = adamw::Batch::new(halves.collect(), device)?;
        batch.update(&clip(&batch)?)?;
        for i in 0..sizes.len() {
            voicetune_kernels::adamw::update(&mut expected_p[i], &mut expected_m[i], &mut expected_v[i], &gradients[i], &step);
        }
    }
    // A norm that is not finite changes nothing.
    let (before, broken) = (list(&p[2]), (&g[2] / 0.0)?);
    let parameter = adamw::Parameter { p: adamw::Master::Whole(&p[2]), m: &m[2], v: &v[2], g: broken, squares: None, value: value(2) };
    let batch = adamw::Batch::new(vec![parameter], device)?;
    let clipped = batch.clip(&step_of(4), 1.0)?;
    batch.update(&clipped)?;
    assert!(!clipped.norm()?.is_finite() && list(&p[2]) == before);
    let doubled: Vec<f32> = list(&p[3]).iter().map(|x| 2.0 * x).collect();
    assert_eq!(list(&folded.contiguous()?), doubled, "the folded value is the master, doubled");
    assert!(list(&matrix.narrow(1, 0, 4)?.contiguous()?).iter().all(|&x| x == 0.0), "its neighbours are left alone");
    adamw::refresh(&p[3].neg()?, adamw::Value { tensor: &folded, scale: -2.0 })?;
    assert_eq!(list(&folded.contiguous()?), doubled, "and so it is when it is refreshed");
    let mut worst = 0f32;
    for (i, expected) in expected_p.iter().enumerate() {
        let got = list(&p[i]);
        worst = got.iter().zip(expected).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(worst, f32::max);
        assert!(got.iter().all(|x| x.is_finite()));
        let joined = list(&adamw::join(&high[i], &low[i])?);
        worst = joined.iter().zip(&got).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(worst, f32::max);
        if i % 2 == 0 {
            assert_eq!(list(&values[i]), list(&p[i].to_dtype(of_value(i))?), "the value is the master, rounded");
        }
    }
    assert!(worst < 1e-6, "AdamW is off by {worst:e}");
    println!("AdamW: off by {worst:.1e} at most");
    Ok(())
}

/// Squares that were added up right behind their gradient are those that are added up later.
fn squares(device: &Device) -> Result<()> {
    let make = |seed: u64, n: usize| normal::normal(n, 1.0, seed << 40, DType::F32, device);
    let mut beside = Beside::new(device)?;
    for (rows, columns, depth) in [(3, 8, 5), (130, 136, 200), (520, 264, 136)] {
        let operand = |seed: u64, shape: (usize, usize)| make(seed, shape.0 * shape.1)?.reshape(shape)?.to_dtype(DType::BF16);
        let (a, b) = (operand(5, (rows, depth))?, operand(6, (depth, columns))?);
        let (gradient, squares) = beside.new_gradient(&a, &b)?;
        beside.join()?;
        let [p, m, v] = [(); 3].map(|()| Tensor::zeros((rows, columns), DType::F32, device));
        let (p, m, v) = (p?, m?, v?);
        let norm = |squares| -> Result<f64> {
            let parameter = adamw::Parameter { p: adamw::Master::Whole(&p), m: &m, v: &v, g: gradient.clone(), squares, value: None };
            adamw::Batch::new(vec![parameter], device)?.clip(&step_of(1), 0.0)?.norm()
        };
        let exact = list(&gradient.to_dtype(DType::F32)?).iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        assert_eq!(norm(Some(&squares))?, norm(None)?);
        assert!((norm(None)? / exact - 1.0).abs() < 1e-6);
    }
    Ok(())
}

fn draws(device: &Device) -> Result<()> {
    for dtype in [DType::F32, DType::BF16, DType::F16] {
        let draws = list(&normal::normal(1_000_001, 0.02, 7, dtype, device)?);
        let mean = draws.iter().map(|&x| f64::from(x)).sum::<f64>() / draws.len() as f64;
        let deviation = (draws.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / draws.len() as f64).sqrt();
        let tail = draws.iter().filter(|x| x.abs() > 0.04).count() as f64 / draws.len() as f64;
        assert!(mean.abs() < 1e-4 && (deviation / 0.02 - 1.0).abs() < 5e-3 && (tail - 0.0455).abs() < 1e-3, "{mean} {deviation} {tail}");
    }
    Ok(())
}
