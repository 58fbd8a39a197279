//! What is shown of a run's history, taken now and then: curves, numbers and the log in words. A terminal far away is not told every
//! step.

use crate::run::advice::advice;
use crate::run::journal::duration;
use crate::run::log::History;
use crate::run::protocol::{Finish, Outcome, Sample, Step};
use crate::ui::widgets::smoothed;

#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub step: usize,
    /// Of all epochs; 0 until it has started.
    pub steps: usize,
    pub epoch: usize,
    pub epochs: usize,
    pub device: String,
    pub losses: Vec<(f64, f64)>,
    pub smooth: Vec<(f64, f64)>,
    pub evals: Vec<(f64, f64)>,
    /// The lowest validation loss after the first step: the best checkpoint.
    pub best: Option<(f64, f64)>,
    pub rates: Vec<(f64, f64)>,
    pub speeds: Vec<(f64, f64)>,
    /// In GiB; empty on the CPU.
    pub memory: Vec<(f64, f64)>,
    /// The first step of each epoch after the first.
    pub epoch_starts: Vec<(f64, usize)>,
    pub seconds_left: Option<f64>,
    pub seconds: f64,
    pub samples: Vec<Sample>,
    pub log: Vec<LogLine>,
    pub advice: Vec<String>,
    pub outcome: Option<Outcome>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The step it came after; `None` where it is about the whole run.
    pub step: Option<usize>,
    pub words: String,
}

/// Steps by which the time left is reckoned.
const RECENT: usize = 20;
/// The smoothed line follows about a twentieth of the run.
const SMOOTH_SHARE: usize = 20;

impl Figures {
    pub fn of(history: &History) -> Figures {
        let steps = history.started.as_ref().map_or(0, |started| started.steps);
        let curve = |value: fn(&Step) -> f64| history.steps.iter().map(|s| (s.step as f64, value(s))).collect();
        let losses: Vec<(f64, f64)> = curve(|step| step.loss);
        let last = history.steps.last();
        let recent = &history.steps[history.steps.len().saturating_sub(RECENT)..];
        let a_step = recent.iter().map(|step| step.ms).sum::<f64>() / 1000.0 / recent.len().max(1) as f64;
        let at = last.map_or(0, |step| step.step);
        let trained = history.evals.iter().filter(|eval| eval.step > 0);
        Figures {
            step: at,
            steps,
            epoch: last.map_or(1, |step| step.epoch),
            epochs: history.started.as_ref().map_or(0, |started| started.epochs),
            device: history.started.as_ref().map(|started| started.device.clone()).unwrap_or_default(),
            smooth: smoothed(&losses, (steps / SMOOTH_SHARE).max(5)),
            losses,
            evals: history.evals.iter().map(|eval| (eval.step as f64, eval.loss)).collect(),
            best: trained.min_by(|a, b| a.loss.total_cmp(&b.loss)).map(|eval| (eval.step as f64, eval.loss)),
            rates: curve(|step| step.lr),
            speeds: curve(|step| step.tokens_per_s),
            memory: history.steps.iter().filter_map(|s| Some((s.step as f64, s.device_bytes? as f64 / (1u64 << 30) as f64))).collect(),
            epoch_starts: history
                .steps
                .windows(2)
                .filter(|pair| pair[1].epoch > pair[0].epoch)
                .map(|pair| (pair[1].step as f64, pair[1].epoch))
                .collect(),
            seconds_left: (history.ended.is_none() && !recent.is_empty()).then(|| a_step * steps.saturating_sub(at) as f64),
            seconds: history.steps.iter().map(|step| step.ms).sum::<f64>() / 1000.0,
            samples: history.samples.iter().filter(|sample| sample.step.is_some()).cloned().collect(),
            log: log(history),
            advice: advice(history).iter().map(ToString::to_string).collect(),
            outcome: history.ended.as_ref().map(|ended| ended.outcome),
            error: history.ended.as_ref().and_then(|ended| ended.error.clone()),
        }
    }
}

impl LogLine {
    fn at(step: usize, words: String) -> LogLine {
        LogLine { step: Some(step), words }
    }
}

/// Everything but the steps, in words, oldest first.
fn log(history: &History) -> Vec<LogLine> {
    let mut lines = vec![];
    let mut lowest = f64::INFINITY;
    lines.extend(history.overflows.iter().map(|overflow| LogLine::at(overflow.step, overflow.to_string())));
    for (i, eval) in history.evals.iter().enumerate() {
        let is_lowest = eval.step > 0 && eval.loss < lowest;
        let note = match (eval.step, is_lowest, i) {
            (0, ..) => ", before training",
            (_, true, 2..) => ", the lowest so far",
            _ => "",
        };
        if is_lowest {
            lowest = eval.loss;
        }
        lines.push(LogLine::at(eval.step, format!("validation {:.3}{note}", eval.loss)));
    }
    for saved in &history.saved {
        let note = if saved.result { ", the run's result for now" } else { "" };
        lines.push(LogLine::at(saved.step, format!("checkpoint written{note}")));
    }
    for sample in &history.samples {
        if let Some(step) = sample.step {
            let cut = if sample.finish == Finish::Length { ", cut at the limit" } else { "" };
            lines.push(LogLine::at(step, format!("canary {}: {} tokens{cut}", sample.prompt, sample.ids.len())));
        }
    }
    // What is due after one step is done in the order above.
    lines.sort_by_key(|line| line.step);
    if let Some(started) = &history.started {
        let from = if started.from_step > 0 { format!(", from step {}", started.from_step) } else { String::new() };
        let words = format!(
            "started on {}{from}: {} steps, {} pairs, {} held out",
            started.device, started.steps, started.examples[0], started.examples[1]
        );
        let at = lines.iter().position(|line| line.step > Some(started.from_step)).unwrap_or(lines.len());
        lines.insert(if started.from_step > 0 { at } else { 0 }, LogLine { step: None, words });
    }
    for problem in &history.problems {
        lines.push(LogLine { step: None, words: format!("events.jsonl:{}: cannot be read: {}", problem.line, problem.message) });
    }
    if let Some(ended) = &history.ended {
        let seconds = history.steps.iter().map(|step| step.ms).sum::<f64>() / 1000.0;
        let words = match ended.outcome {
            Outcome::Finished => format!("finished; training took {}", duration(seconds)),
            Outcome::Stopped => format!("stopped after {} of training", duration(seconds)),
            Outcome::Failed => format!("failed: {}", ended.error.as_deref().unwrap_or("nothing more is known")),
        };
        lines.push(LogLine { step: None, words });
    }
    lines
}
