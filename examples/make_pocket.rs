//! Trains a pocket model from nothing on a folder of plain-text books, with voicetune's own engine.
//!
//!     cargo run --release [--features cuda] --example make_pocket -- llama|gpt2 CORPUS_DIR OUT_DIR [--steps N] [--seconds S] [--batch B]
//!
//! CORPUS_DIR holds `*.txt` in any depth, paragraphs apart by blank lines. OUT_DIR gets `model.safetensors` in f16. Half of the
//! documents are cast as a conversation for the Llama model (an opening, or a first sentence, answered by what follows), because
//! fine-tuning speaks to it that way. One hundredth of the documents is held out and its loss printed at the end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use candle_core::DType;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokenizers::Tokenizer;
use voicetune::config::{Optimizer, Precision, Recompute, Schedule, ScheduleName};
use voicetune::dataset::batch::Batch;
use voicetune::engine::optim::AdamW;
use voicetune::engine::spec::Spec;
use voicetune::engine::{LossSum, Model, StepKey, device, schedule};

const SEED: u64 = 7;
const PEAK: f64 = 3e-3;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [arch, corpus, out, ..] = &args[..] else {
        bail!("usage: make_pocket llama|gpt2 CORPUS_DIR OUT_DIR [--steps N] [--seconds S] [--batch B]")
    };
    let option = |name: &str, default: usize| -> Result<usize> {
        match args.iter().position(|a| a == name) {
            Some(i) => {
                args.get(i + 1).with_context(|| format!("{name} needs a number"))?.parse().with_context(|| format!("{name} needs a number"))
            }
            None => Ok(default),
        }
    };
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/pocket").join(arch);
    // A binary that was built elsewhere finds the assets below its working folder.
    let assets = if assets.exists() { assets } else { Path::new("assets/pocket").join(arch) };
    let spec = Spec::parse(&std::fs::read_to_string(assets.join("config.json"))?)?;
    let tokenizer = Tokenizer::from_file(assets.join("tokenizer.json")).map_err(anyhow::Error::msg)?;

    let length = spec.context();
    let documents = documents(Path::new(corpus), &tokenizer, arch == "llama", length)?;
    let held_out = documents.len() / 100;
    let (validation, train) = documents.split_at(held_out);
    let (train, validation) = (windows(train, length), windows(validation, length));
    let batch = option("--batch", 32768 / length)?;
    let an_epoch = train.len() / batch;
    let steps = option("--steps", 8 * an_epoch)?;
    let limit = Duration::from_secs(option("--seconds", 1 << 20)? as u64);
    let device = device::open(device::Want::Auto)?;
    println!(
        "{}: {} parameters, {} windows of {length} tokens, {an_epoch} steps an epoch, {steps} steps, {}",
        spec.short_name(),
        spec.parameters(),
        train.len(),
        device::describe(&device)
    );

    let mut model = Model::random(&spec, &device, Precision::F32, SEED)?;
    model.train_full()?;
    let config = Optimizer { learning_rate: PEAK, weight_decay: 0.1, betas: [0.9, 0.95], ..Default::default() };
    let cosine = Schedule { name: ScheduleName::Cosine, warmup_steps: 100 };
    let mut optimizer = AdamW::new(&config, &model)?;
    let mut order: Vec<usize> = (0..train.len()).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let (start, mut recent) = (Instant::now(), LossSum::default());
    for step in 0..steps {
        if step % an_epoch.max(1) == 0 {
            order.shuffle(&mut rng);
        }
        let at = step % an_epoch.max(1) * batch;
        let packed = pack(order[at..at + batch].iter().map(|&i| &train[i][..]));
        let key = StepKey { seed: SEED, step: step as u64, micro: 0, micro_steps: 1, recompute: Recompute::None, memory: None };
        recent += model.accumulate(&packed, 1.0 / packed.trained_tokens() as f64, key)?.read()?;
        // The schedule is by the clock where the clock ends the run: a cosine that never came down would leave a worse model.
        let by_clock = start.elapsed().as_secs_f64() / limit.as_secs_f64();
        let place = (step as f64 / steps as f64).max(by_clock) * steps as f64;
        let rate = schedule::learning_rate(&cosine, PEAK, (place as usize).max(step.min(100)), steps);
        optimizer.step(&mut model, rate, 1.0)?.grad_norm()?;
        if step % 50 == 49 {
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "step {:5}  loss {:.4}  rate {rate:.1e}  {:.0} tok/s  {seconds:.0} s",
                step + 1,
                recent.mean(),
                ((step + 1) * batch * length) as f64 / seconds
            );
            recent = LossSum::default();
        }
        if start.elapsed() > limit {
            println!("time is up after step {}", step + 1);
            break;
        }
    }
    let mut loss = LossSum::default();
    for windows in validation.chunks(batch) {
        loss += model.evaluate(&pack(windows.iter().map(|w| &w[..])))?;
    }
    println!("held-out loss {:.4} over {} tokens", loss.mean(), loss.tokens);
    save(&model, Path::new(out))
}

/// The books as documents of token ids, in a random order: some paragraphs each, about a window long.
fn documents(corpus: &Path, tokenizer: &Tokenizer, chat: bool, length: usize) -> Result<Vec<Vec<u32>>> {
    let id = |token: &str| tokenizer.token_to_id(token).with_context(|| format!("the tokenizer lacks {token}"));
    let encode = |text: &str| -> Result<Vec<u32>> { Ok(tokenizer.encode(text, false).map_err(anyhow::Error::msg)?.get_ids().to_vec()) };
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut documents = vec![];
    for book in books(corpus)? {
        let text = std::fs::read_to_string(&book).with_context(|| format!("cannot read {}", book.display()))?;
        let paragraphs: Vec<&str> = text.split("\n\n").filter(|p| !p.trim().is_empty()).collect();
        let mut at = 0;
        while at < paragraphs.len() {
            // From a Note's length to an essay's: about 4 bytes a token.
            let wanted = rng.random_range(length / 8..length) * 4;
            let (first, mut bytes) = (at, 0);
            while at < paragraphs.len() && (bytes < wanted || at < first + 2) {
                bytes += paragraphs[at].len() + 2;
                at += 1;
            }
            let piece = &paragraphs[first..at];
            documents.push(if !chat {
                let mut ids = encode(&piece.join("\n\n"))?;
                ids.push(id("<|endoftext|>")?);
                ids
            } else if piece.len() > 1 && rng.random_bool(0.5) {
                let cut = piece[0].find(". ").map_or(piece[0].len(), |i| i + 1);
                let (user, answer) =
                    if rng.random_bool(0.5) { (&piece[0][..cut], piece.join("\n\n")) } else { (piece[0], piece[1..].join("\n\n")) };
                let mut ids = vec![id("<|begin_of_text|>")?];
                for (role, text) in [("user", user), ("assistant", answer.as_str())] {
                    ids.push(id("<|start_header_id|>")?);
                    ids.extend(encode(role)?);
                    ids.push(id("<|end_header_id|>")?);
                    ids.extend(encode("\n\n")?);
                    ids.extend(encode(text)?);
                    ids.push(id("<|eot_id|>")?);
                }
                ids
            } else {
                let mut ids = vec![id("<|begin_of_text|>")?];
                ids.extend(encode(&piece.join("\n\n"))?);
                ids.push(id("<|end_of_text|>")?);
                ids
            });
        }
    }
    documents.shuffle(&mut rng);
    Ok(documents)
}

fn books(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut books = vec![];
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            books.extend(self::books(&path)?);
        } else if path.extension().is_some_and(|e| e == "txt") {
            books.push(path);
        }
    }
    books.sort();
    Ok(books)
}

/// Documents end to end, cut into windows of `length + 1` ids: inputs and the token after each.
fn windows(documents: &[Vec<u32>], length: usize) -> Vec<Vec<u32>> {
    let stream: Vec<u32> = documents.concat();
    stream.windows(length + 1).step_by(length).map(<[u32]>::to_vec).collect()
}

fn pack<'a>(windows: impl Iterator<Item = &'a [u32]>) -> Batch {
    let mut batch = Batch { tokens: vec![], targets: vec![], weights: vec![], lengths: vec![] };
    for window in windows {
        let n = window.len() - 1;
        batch.tokens.extend_from_slice(&window[..n]);
        batch.targets.extend_from_slice(&window[1..]);
        batch.weights.resize(batch.tokens.len(), 1);
        batch.lengths.push(n);
    }
    batch
}

/// In f16: half the size, and the engine computes in f32 from it.
fn save(model: &Model, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out)?;
    model.save_weights(out)?;
    let path = out.join("model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &candle_core::Device::Cpu)?;
    let halves = tensors.into_iter().map(|(name, t)| Ok((name, t.to_dtype(DType::F16)?))).collect::<Result<_>>()?;
    candle_core::safetensors::save(&halves, &path)?;
    println!("wrote {}", path.display());
    Ok(())
}
