//! `voicetune encode`: the examples of a config as the model is trained on them, with their mask.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};

use super::{Outcome, json, style};
use crate::config::{Workspace, yaml};
use crate::dataset::{Dataset, Example, Left, Part, Shortened, Tokenizer};
use crate::pairs::{self, Level, Pair, Status};
use crate::run::prepare::find_model;
use crate::ui::prose::visible_lines;

#[derive(Debug, clap::Args)]
#[command(after_help = "Trained text is bold and green, context is dim; without colours, trained text stands between ⟦ and ⟧.

Examples:
  voicetune encode --config pocket-llama-lora
  voicetune encode --config gpt2-xl-full --pair tier1/bench --tokens
  voicetune encode --config pocket-llama-lora --json > dataset.jsonl")]
pub struct Args {
    /// A training config, by name or path
    #[arg(long, value_name = "CONFIG")]
    config: String,

    /// Only this pair, e.g. tier1/bench
    #[arg(long, value_name = "ID")]
    pair: Option<String>,

    /// One token a line: position, id, mask and text
    #[arg(long, conflicts_with = "json")]
    tokens: bool,

    /// Print one JSON object a line: pair, split, ids, mask, cut
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, workspace: &Workspace) -> Result<Outcome> {
    let config = workspace.config(&args.config)?;
    let (pairs, problems) = pairs::load(&workspace.pairs());
    for problem in &problems {
        say!("{}: {problem}", problem.level.word());
    }
    if let Some(id) = &args.pair {
        find(&pairs, id)?;
    }
    let (_, _, model) = find_model(workspace.root(), &config.model, &config.revision)?;
    let set = Dataset::build(&pairs, &config, &workspace.templates()?, &model)?;

    let wanted = |id: &str| args.pair.as_ref().is_none_or(|pair| pair == id);
    let mut out = io::stdout().lock();
    let colours = style::coloured(out.is_terminal());
    for example in set.examples().filter(|e| wanted(&e.pair)) {
        let text = match (args.json, args.tokens) {
            (true, _) => json::line(example)?,
            (false, true) => heading(example, &set) + &token_lines(example, &model.tokenizer) + "\n",
            (false, false) => heading(example, &set) + &preview(example, &model.tokenizer, colours)? + "\n\n",
        };
        match out.write_all(text.as_bytes()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(Outcome::Done), // the reader has seen enough
            written => written.context("cannot write to standard output")?,
        }
    }
    for left in set.left.iter().filter(|left| wanted(&left.pair)) {
        say!("{}", left_out(left));
    }
    for short in set.shortened.iter().filter(|short| wanted(&short.pair)) {
        say!("{}: cut: {}", short.pair, fallen_off(short));
    }
    if args.pair.is_none() {
        say!("{}", summary(&set));
    }
    let broken = problems.iter().any(|problem| problem.level == Level::Error);
    let missing = args.pair.is_some() && !set.left.is_empty() && set.left.iter().any(|left| wanted(&left.pair));
    Ok(if broken || missing { Outcome::Problems } else { Outcome::Done })
}

/// The pair must be there and ready: the others have no example.
fn find(pairs: &[Pair], id: &str) -> Result<()> {
    match pairs.iter().find(|pair| pair.id == id) {
        Some(pair) if pair.status == Status::Ready => Ok(()),
        Some(pair) => bail!("pairs/{id}.yaml is {}: only ready pairs are encoded; set `status: ready` in it", pair.status.word()),
        None => bail!("there is no pair {id}; {}", yaml::suggest(id, &pairs.iter().map(|pair| &pair.id).collect::<Vec<_>>())),
    }
}

fn heading(example: &Example, set: &Dataset) -> String {
    let (tokens, trained) = (example.ids.len(), trained(example));
    let cut = if example.cut { ", cut" } else { "" };
    format!("── {} ({}): {tokens} of {} tokens, {trained} trained{cut}\n", example.pair, word(example.split), set.limit)
}

/// The text of an example in runs of trained and untrained tokens, special tokens written out.
fn preview(example: &Example, tokenizer: &Tokenizer, colours: bool) -> Result<String> {
    let mut text = String::new();
    let mut from = 0;
    for run in example.mask.chunk_by(|a, b| a == b) {
        let part = visible_lines(&tokenizer.decode_with_specials(&example.ids[from..from + run.len()])?);
        let (open, close) = match (run[0] != 0, colours) {
            (true, true) => ("\x1b[1;32m", "\x1b[0m"),
            (false, true) => ("\x1b[2m", "\x1b[0m"),
            (true, false) => ("⟦", "⟧"),
            (false, false) => ("", ""),
        };
        text.push_str(&format!("{open}{part}{close}"));
        from += run.len();
    }
    Ok(text)
}

fn token_lines(example: &Example, tokenizer: &Tokenizer) -> String {
    let mut lines = String::new();
    for (position, (&id, &mask)) in example.ids.iter().zip(&example.mask).enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{position:>5} {id:>7} {mask} {:?}", tokenizer.piece(id));
    }
    lines
}

fn left_out(left: &Left) -> String {
    let size = if left.tokens == 0 { String::new() } else { format!(" ({} tokens, limit {})", left.tokens, left.limit) };
    format!("{}: left out of {}: {}{size}", left.pair, word(left.split), left.reason)
}

fn fallen_off(short: &Shortened) -> String {
    let Shortened { tokens, limit, cut, .. } = short;
    let paragraphs = if cut.paragraphs == 1 { "paragraph" } else { "paragraphs" };
    format!(
        "it has {tokens} tokens, {limit} fit; the last {} {paragraphs} ({} tokens) fell off, and no end token is trained",
        cut.paragraphs, cut.tokens
    )
}

fn summary(set: &Dataset) -> String {
    let part = |examples: &[Example]| {
        let tokens: usize = examples.iter().map(|e| e.ids.len()).sum();
        let trained: usize = examples.iter().map(trained).sum();
        format!("{} examples, {tokens} tokens, {trained} trained", examples.len())
    };
    format!("train: {}; validation: {}; {} cut, {} left out", part(&set.train), part(&set.validation), set.shortened.len(), set.left.len())
}

fn trained(example: &Example) -> usize {
    example.mask.iter().filter(|&&m| m != 0).count()
}

fn word(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Validation => "validation",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::dataset::Cut;

    fn example() -> (Example, Tokenizer) {
        let tokenizer = find_model(Path::new("."), "pocket:gpt2", "main").unwrap().2.tokenizer;
        let [context, answer] = ["A topic\n", "An “answer”."].map(|text| tokenizer.encode(text).unwrap());
        let mask = [vec![0; context.len()], vec![1; answer.len() + 1]].concat();
        let ids = [context, answer, vec![tokenizer.end_of_text()]].concat();
        (Example { pair: "tier2/a".into(), split: Part::Train, ids, mask, cut: false }, tokenizer)
    }

    #[test]
    fn the_preview_marks_what_is_trained() {
        let (example, tokenizer) = example();
        assert_eq!(preview(&example, &tokenizer, false).unwrap(), "A topic\n⟦An “answer”.<|endoftext|>⟧");
        let coloured = "\x1b[2mA topic\n\x1b[0m\x1b[1;32mAn “answer”.<|endoftext|>\x1b[0m";
        assert_eq!(preview(&example, &tokenizer, true).unwrap(), coloured);
    }

    #[test]
    fn tokens_are_listed_with_their_mask() {
        let (example, tokenizer) = example();
        let text = token_lines(&example, &tokenizer);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), example.ids.len());
        assert!(lines[0].ends_with(" 0 \"A\""), "{text}");
        assert!(lines[lines.len() - 1].ends_with("4091 1 \"<|endoftext|>\""), "{text}");
    }

    #[test]
    fn what_fell_off_is_said() {
        let cut = Cut { tokens: 210, paragraphs: 3 };
        let short = Shortened { pair: "tier1/a".into(), tokens: 1200, limit: 1024, cut };
        assert_eq!(
            fallen_off(&short),
            "it has 1200 tokens, 1024 fit; the last 3 paragraphs (210 tokens) fell off, and no end token is trained"
        );
    }
}
