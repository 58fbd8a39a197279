//! Drawing the next token of each row on the device, so that only the ids come back.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{Grid, Image, address, empty, image, launch_early};

const IMAGE: Image = image!("sample");

/// Stretches that a row's logits are looked at in: as in sample.cu.
const STRETCHES: usize = 1024;

/// How tokens are drawn; what the fields mean is written in the engine's `Sampling`.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub temperature: f32,
    pub top_k: usize,
    pub top_p: f64,
    pub repetition_penalty: f32,
}

/// What drawing remembers from one step to the next, in device memory.
#[derive(Debug)]
pub struct State {
    /// (B): the last token drawn, which is the next step's input.
    pub tokens: Tensor,
    /// (B): where it stands in its sequence.
    pub positions: Tensor,
    /// (steps, B): all that were drawn.
    pub drawn: Tensor,
    steps: Tensor,
    seen: Tensor,
    draws: Tensor,
    maxima: Tensor,
    shares: Tensor,
    vocab: usize,
}

impl State {
    /// For rows that have the same `prompt` behind them; `draws` has each row's 53 random bits for every step, all rows alike long.
    pub fn new(prompt: &[u32], draws: &[Vec<u64>], vocab: usize, device: &Device) -> Result<Self> {
        let (rows, steps) = (draws.len(), draws.first().map_or(0, Vec::len));
        if steps == 0 || prompt.is_empty() || draws.iter().any(|row| row.len() != steps) || prompt.iter().any(|&id| id as usize >= vocab) {
            bail!("{rows} rows of {steps} draws after {} tokens cannot be sampled from {vocab}", prompt.len());
        }
        let mut seen = vec![0u32; vocab.div_ceil(32)];
        prompt.iter().for_each(|&id| seen[id as usize / 32] |= 1 << (id % 32));
        let draws: Vec<i64> = draws.iter().flatten().map(|&draw| draw as i64).collect();
        let numbers = |value: u32| Tensor::full(value, rows, device);
        Ok(State {
            tokens: numbers(0)?,
            positions: numbers(prompt.len() as u32 - 1)?,
            drawn: Tensor::zeros((steps, rows), DType::U32, device)?,
            steps: numbers(0)?,
            seen: Tensor::from_vec(seen.repeat(rows), (rows, vocab.div_ceil(32)), device)?,
            draws: Tensor::from_vec(draws, (rows, steps), device)?,
            maxima: empty((rows, STRETCHES), DType::F32, device)?,
            shares: empty((rows, vocab), DType::I64, device)?,
            vocab,
        })
    }

    /// Draws a token for each row of logits (B, V), in f32, which are changed. At most as often as there are draws.
    pub fn draw(&self, logits: &Tensor, settings: &Settings) -> Result<()> {
        let ((steps, rows), vocab) = (self.drawn.dims2()?, self.vocab);
        if logits.dims() != [rows, vocab] || logits.dtype() != DType::F32 {
            bail!("cannot draw {rows} of {vocab} tokens from {:?} {:?}", logits.dtype(), logits.shape());
        }
        let stretch = vocab.div_ceil(STRETCHES);
        let args = [
            address(logits)?,
            address(&self.seen)?,
            address(&self.maxima)?,
            vocab.into(),
            stretch.into(),
            settings.repetition_penalty.into(),
        ];
        let grid = Grid { blocks: (STRETCHES / 8, rows), threads: 256, shared: 0 };
        // SAFETY: a warp a stretch; the logits are rows of `vocab`.
        unsafe { launch_early(logits.device(), &IMAGE, "sample_prepare", grid, &args)? };
        let args = [
            address(logits)?,
            address(&self.maxima)?,
            address(&self.shares)?,
            address(&self.seen)?,
            address(&self.draws)?,
            address(&self.tokens)?,
            address(&self.positions)?,
            address(&self.steps)?,
            address(&self.drawn)?,
            vocab.into(),
            stretch.into(),
            steps.into(),
            settings.temperature.into(),
            settings.top_k.min(vocab).into(),
            settings.top_p.into(),
        ];
        // SAFETY: a block a row; the caller draws no more often than there are draws.
        unsafe { launch_early(logits.device(), &IMAGE, "sample_choose", Grid::rows(rows, 1024), &args) }
    }
}
