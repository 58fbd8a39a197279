//! `voicetune score`: the log-probability of every token of a text under a model, or under both arms of a run.

mod of_run;
mod shades;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::precision::Dtype;
use super::{Outcome, json};
use crate::config::Workspace;
use crate::dataset::{Tokenizer, TokenizerFiles};
use crate::engine::device::{self, Want};
use crate::engine::spec::Spec;
use crate::engine::{Arm, Model};
use crate::hub::{ModelFiles, Search};

#[derive(Debug, clap::Args)]
#[command(after_help = "logprobs[i] is the natural logarithm of p(ids[i+1] | ids[..=i]), so there is one fewer than there are ids.
A text gets the tokens that the tokenizer puts before every text (Llama's BOS); ids are taken as they are.

With a RUN, base and fine-tuned score a text given its prompt, as the run was trained: each of its held-out pairs, or the one that
--pair or --prompt names. Surprisal is -ln p in nats; its mean is the loss on the text. What was scored is kept in the run's scores/
folder and not computed again.

Examples:
  voicetune score --model pocket:llama --text essay.txt
  voicetune score --model models/tiny-llama --adapter runs/2026-11-22-first/checkpoints/step-000050 --ids 1,2,3 --json
  voicetune score pocket-llama-lora
  voicetune score pocket-llama-lora --pair tier1/quiet-car --show difference
  voicetune score pocket-llama-lora --prompt-file draft.md --text revision.md --show tokens")]
pub struct Args {
    /// A run, both of whose arms score: its folder, its name, or its name without the date
    #[arg(value_name = "RUN", conflicts_with_all = ["model", "ids"])]
    run: Option<String>,

    /// A model folder, pocket:llama or pocket:gpt2, or a hub id in the local cache
    #[arg(long, value_name = "MODEL", required_unless_present = "run", conflicts_with_all = ["pair", "prompt", "prompt_file", "checkpoint", "show"])]
    model: Option<String>,

    /// A PEFT adapter folder, applied to the model
    #[arg(long, value_name = "DIR", requires = "model")]
    adapter: Option<PathBuf>,

    /// Score the text in this file
    #[arg(long, value_name = "FILE", required_unless_present_any = ["ids", "run"])]
    text: Option<PathBuf>,

    /// Score these token ids
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with = "text")]
    ids: Option<Vec<u32>>,

    /// The type the weights are kept and computed in
    #[arg(long, default_value = "f32", conflicts_with = "run")]
    dtype: Dtype,

    /// With a run: this pair's response (or, with --text, another answer to its prompt)
    #[arg(long, value_name = "ID", requires = "run", conflicts_with_all = ["prompt", "prompt_file"])]
    pair: Option<String>,

    /// With a run: the prompt that the text answers
    #[arg(long, value_name = "TEXT", requires_all = ["run", "text"], conflicts_with = "prompt_file")]
    prompt: Option<String>,

    /// With a run: the file with the prompt that the text answers
    #[arg(long, value_name = "FILE", requires_all = ["run", "text"])]
    prompt_file: Option<PathBuf>,

    /// With a run: its checkpoint of this step [default: the run's result]
    #[arg(long, value_name = "STEP", requires = "run")]
    checkpoint: Option<usize>,

    /// With a run: the text in shades of surprisal, or every token with its figures
    #[arg(long, value_name = "WHAT", requires = "run", conflicts_with = "json")]
    show: Option<shades::Show>,

    /// Print {"ids": [...], "logprobs": [...]}; with a run, one such object a text, with more in it
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Score {
    ids: Vec<u32>,
    logprobs: Vec<f32>,
}

pub fn run(args: &Args, workspace: &dyn Fn() -> Result<Workspace>) -> Result<Outcome> {
    match (&args.run, &args.model) {
        (Some(run), _) => of_run::run(args, run, &workspace()?),
        (None, Some(model)) => of_model(args, model),
        (None, None) => bail!("name a run, or give --model"),
    }
}

fn of_model(args: &Args, name: &str) -> Result<Outcome> {
    let files = ModelFiles::resolve(name, "main", &Search::from_env(Path::new("")))?;
    let spec = Spec::parse(&files.config_json()?).with_context(|| format!("{name}: its config.json"))?;
    let ids = match (&args.text, &args.ids) {
        (Some(path), _) => {
            let content = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
            Tokenizer::new(&TokenizerFiles::from(&files.text_files()?))?.encode_from_start(&content)?
        }
        (None, Some(ids)) => ids.clone(),
        (None, None) => bail!("give --text or --ids"),
    };
    check_ids(&ids, spec.context(), spec.vocab(), name)?;
    let device = device::open(Want::Auto)?;
    let mut model = Model::load(&spec, &files.weights()?, &device, args.dtype.into())
        .with_context(|| format!("{name}: its weights cannot be loaded"))?;
    let arm = match &args.adapter {
        Some(folder) => {
            model.load_adapter(folder, 0.0).with_context(|| format!("{}: the adapter cannot be loaded", folder.display()))?;
            Arm::Tuned
        }
        None => Arm::Base,
    };
    let logprobs = model.logprobs(&ids, arm)?;
    let score = Score { ids, logprobs };
    let text = match args.json {
        true => json::line(&score)?,
        false => in_words(&score),
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")?;
    Ok(Outcome::Done)
}

fn check_ids(ids: &[u32], context: usize, vocab: usize, model: &str) -> Result<()> {
    if ids.len() < 2 {
        bail!("{} token{}: a score needs at least two, since the first is only context", ids.len(), if ids.len() == 1 { "" } else { "s" });
    }
    if ids.len() > context {
        bail!("{} tokens, and {model} has {context} positions: {} too many; shorten the text", ids.len(), ids.len() - context);
    }
    match ids.iter().find(|&&id| id as usize >= vocab) {
        Some(id) => bail!("id {id} is not in the vocabulary of {model}, which ends at {}", vocab - 1),
        None => Ok(()),
    }
}

fn in_words(score: &Score) -> String {
    let mean = score.logprobs.iter().map(|&p| f64::from(p)).sum::<f64>() / score.logprobs.len() as f64;
    format!("{} tokens, mean log-probability {mean:.4} (perplexity {:.2})\n", score.ids.len(), (-mean).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_cannot_be_scored_are_refused_with_figures() {
        let check = |ids: &[u32], expected: &str| {
            let message = check_ids(ids, 4, 10, "m").unwrap_err().to_string();
            assert!(message.contains(expected), "`{expected}` is not in `{message}`");
        };
        check(&[1], "1 token: a score needs at least two");
        check(&[1, 2, 3, 4, 5], "5 tokens, and m has 4 positions: 1 too many");
        check(&[1, 10], "id 10 is not in the vocabulary of m, which ends at 9");
        check_ids(&[1, 2, 3, 9], 4, 10, "m").unwrap();
    }
}
