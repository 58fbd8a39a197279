//! A training config as a form: its keys in the file's order, each with what it means, what may be written there and what it has now.
//!
//! There is one set of rules. A changed value is put into the config's own text, and the file's parser reads the whole of it.

use std::path::Path;

use serde_json::Value;

use super::{Config, EMBEDDED, parse};

/// A key of a training config that can be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Dotted where it stands in a group: `lora.rank`.
    pub key: &'static str,
    pub kind: Kind,
    /// What it means, in a sentence.
    pub about: String,
    /// As it would be written in the file.
    pub value: String,
    /// What holds where the file does not say; `None` for the keys that every file must have.
    pub default: Option<String>,
}

/// What may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number.
    Whole,
    /// A number with decimals, `2e-4` too.
    Number,
    Text,
    /// `a, b, c`, with brackets or without.
    List,
    /// One of these words, or a number of what is named behind them.
    WordOr(&'static [&'static str], &'static str),
}

const KEYS: &[(&str, Kind)] = &[
    ("model", Kind::Text),
    ("revision", Kind::Text),
    ("format", Kind::Word(&["chat", "plain"])),
    ("method", Kind::Word(&["lora", "full"])),
    ("lora.rank", Kind::Whole),
    ("lora.alpha", Kind::Number),
    ("lora.dropout", Kind::Number),
    ("lora.targets", Kind::List),
    ("base_precision", Kind::Word(&["f32", "bf16", "f16", "nf4"])),
    ("optimizer.name", Kind::Word(&["adamw"])),
    ("optimizer.learning_rate", Kind::Number),
    ("optimizer.weight_decay", Kind::Number),
    ("optimizer.betas", Kind::List),
    ("optimizer.eps", Kind::Number),
    ("optimizer.state", Kind::Word(&["f32", "int8"])),
    ("schedule.name", Kind::Word(&["constant", "linear", "cosine"])),
    ("schedule.warmup_steps", Kind::Whole),
    ("epochs", Kind::Whole),
    ("batch", Kind::Whole),
    ("accumulate", Kind::Whole),
    ("max_tokens", Kind::Whole),
    ("overlong", Kind::Word(&["cut_at_paragraph", "skip"])),
    ("recompute", Kind::Word(&["auto", "none", "mlp", "block"])),
    ("memory_limit", Kind::WordOr(&["none"], "GiB")),
    ("clip_grad_norm", Kind::Number),
    ("seed", Kind::Whole),
    ("validation.fraction", Kind::Number),
    ("validation.by", Kind::Word(&["source"])),
    ("evaluate_every", Kind::WordOr(&["epoch", "never"], "optimiser steps")),
    ("sample_every", Kind::WordOr(&["epoch", "never"], "optimiser steps")),
    ("checkpoint_every", Kind::Whole),
    ("keep_best", Kind::Word(&["validation", "last"])),
    ("keep_checkpoints", Kind::Whole),
];

/// The shipped config whose comments explain the keys; every key has its default there.
const EXPLAINED: &str = "llama-3.1-8b-lora.yaml";
/// Keys that have no default.
const REQUIRED: [&str; 3] = ["model", "format", "method"];

/// Every key of the config, in the file's order.
pub fn fields(config: &Config) -> Vec<Field> {
    let explained = explained();
    let defaults = parse(Path::new(EXPLAINED), explained).ok();
    let field = |&(key, kind): &(&'static str, Kind)| Field {
        key,
        kind,
        about: comment_above(explained, key),
        value: value(config, key),
        default: defaults.as_ref().filter(|_| !REQUIRED.contains(&key)).map(|config| value(config, key)),
    };
    KEYS.iter().map(field).collect()
}

/// The config with one value replaced by what was typed, where the parser takes the whole. A line break in `text` counts as a space.
///
/// # Errors
/// The parser's own message, without a file: an unknown word, a number out of range, a combination that cannot be.
pub fn with(config: &Config, key: &str, text: &str) -> Result<Config, String> {
    let Some(&(_, kind)) = KEYS.iter().find(|(known, _)| *known == key) else {
        return Err(format!("unknown key `{key}`"));
    };
    let typed = written(kind, &text.split(['\n', '\r']).collect::<Vec<_>>().join(" "));
    let lines = layout(|k| if k == key { typed.clone() } else { written(kind_of(k), &value(config, k)) });
    let changed = parse(Path::new(""), &lines).map_err(|error| error.message)?;
    Ok(Config { name: config.name.clone(), ..changed })
}

/// The text of a config file with these values. `from` is the file that was edited: its layout and comments stay as far as they can,
/// else the comments are those of the configs that come with voicetune.
pub fn file_text(config: &Config, from: &str) -> String {
    let holds =
        |text: &String| parse(Path::new(&config.name), text).is_ok_and(|read| Config { name: config.name.clone(), ..read } == *config);
    [from, explained()]
        .into_iter()
        .filter_map(|source| rewritten(config, source))
        .find(holds)
        .unwrap_or_else(|| layout(|key| written(kind_of(key), &value(config, key))))
}

fn explained() -> &'static str {
    EMBEDDED.iter().find(|(file, _)| *file == EXPLAINED).map_or("", |(_, text)| text)
}

fn kind_of(key: &str) -> Kind {
    KEYS.iter().find(|(known, _)| *known == key).map_or(Kind::Text, |(_, kind)| *kind)
}

/// A key's value as text.
fn value(config: &Config, key: &str) -> String {
    let Ok(all) = serde_json::to_value(config) else { return String::new() };
    key.split('.').try_fold(&all, |map, part| map.get(part)).map(in_words).unwrap_or_default()
}

fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(", "),
        Value::Number(n) => match n.as_f64() {
            // `1.0e-4`, which YAML 1.1 reads as a number as well; it takes `1e-4` for a word.
            Some(x) if n.is_f64() && x != 0.0 && x.abs() < 1e-3 => {
                let text = format!("{x:e}");
                if text.contains('.') { text } else { text.replace('e', ".0e") }
            }
            Some(x) if n.is_f64() => format!("{x}"),
            _ => n.to_string(),
        },
        other => other.to_string(),
    }
}

/// What stands behind `key: ` in a file.
fn written(kind: Kind, text: &str) -> String {
    let text = text.trim();
    match kind {
        // Quoted where YAML could take it for something else than text.
        Kind::Text
            if !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':'))
                && plain(text) =>
        {
            text.to_owned()
        }
        Kind::Text => Value::from(text).to_string(),
        Kind::List if !text.starts_with('[') => format!("[{text}]"),
        _ => text.to_owned(),
    }
}

/// Whether a text of letters, digits and `-_./:` is read back as text: a name with a letter in front that is not one of YAML's words.
fn plain(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let special = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&word.as_str());
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.ends_with(':') && !special
}

/// A config file without comments: every key with what `value` says.
fn layout(value: impl Fn(&str) -> String) -> String {
    let mut lines = String::new();
    let mut group = "";
    for (key, _) in KEYS {
        match key.split_once('.') {
            None => lines += &format!("{key}: {}\n", value(key)),
            Some((name, below)) => {
                if name != group {
                    lines += &format!("{name}:\n");
                    group = name;
                }
                lines += &format!("  {below}: {}\n", value(key));
            }
        }
    }
    lines
}

/// `source` with the values of `config` where they differ from its own; `None` where it is no config.
fn rewritten(config: &Config, source: &str) -> Option<String> {
    let before = parse(Path::new(""), source).ok()?;
    let mut text = String::with_capacity(source.len());
    for (line, key) in keyed_lines(source) {
        let changed = key.filter(|key| value(&before, key) != value(config, key));
        match (changed, line.split_once(':')) {
            (Some(key), Some((name, _))) => text += &format!("{name}: {}\n", written(kind_of(key), &value(config, key))),
            _ => text += &format!("{line}\n"),
        }
    }
    Some(text)
}

/// The lines of a config, each with the key it gives a value to.
fn keyed_lines(text: &str) -> impl Iterator<Item = (&str, Option<&'static str>)> {
    let mut group = "";
    text.lines().map(move |line| {
        let bare = line.trim_start();
        let name = bare.split_once(':').map_or("", |(name, _)| name);
        if bare.is_empty() || bare.starts_with('#') {
            return (line, None);
        }
        let full = if bare.len() == line.len() {
            group = name;
            name.to_owned()
        } else {
            format!("{group}.{name}")
        };
        (line, KEYS.iter().map(|(key, _)| *key).find(|key| *key == full))
    })
}

/// The first sentence of the comment above a key.
fn comment_above(text: &str, key: &str) -> String {
    let mut comment: Vec<&str> = vec![];
    for (line, found) in keyed_lines(text) {
        match line.trim_start().strip_prefix('#') {
            Some(part) => comment.push(part.trim()),
            None if found == Some(key) => break,
            None => comment.clear(),
        }
    }
    let whole = comment.join(" ");
    let line = comment.first().copied().unwrap_or_default();
    match whole.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str) -> (Config, &'static str) {
        let (file, text) = EMBEDDED.iter().find(|(file, _)| *file == format!("{name}.yaml")).unwrap();
        (parse(Path::new(file), text).unwrap(), text)
    }

    fn shipped() -> impl Iterator<Item = (Config, &'static str)> {
        ["llama-3.1-8b-lora", "llama-3.1-8b-lora-t4", "gpt2-xl-full", "gpt2-xl-full-t4", "pocket-llama-lora", "pocket-gpt2-full"]
            .into_iter()
            .map(config)
    }

    #[test]
    fn the_form_has_the_files_keys_in_the_files_order() {
        for (config, text) in shipped() {
            let keys: Vec<_> = keyed_lines(text).filter_map(|(_, key)| key).collect();
            assert_eq!(keys, fields(&config).iter().map(|f| f.key).collect::<Vec<_>>(), "{}", config.name);
            let mut all = serde_json::to_value(&config).unwrap();
            let mut count = 0;
            all.as_object_mut().unwrap().remove("name");
            for value in all.as_object().unwrap().values() {
                count += value.as_object().map_or(1, serde_json::Map::len);
            }
            assert_eq!(count, KEYS.len(), "every key of the config is in the form");
        }
    }

    #[test]
    fn fields_say_what_they_are() {
        let (config, _) = config("pocket-llama-lora");
        let fields = fields(&config);
        let check = |key: &str, about: &str, value: &str, default: Option<&str>| {
            let field = fields.iter().find(|f| f.key == key).unwrap();
            assert_eq!((field.about.as_str(), field.value.as_str(), field.default.as_deref()), (about, value, default), "{key}");
        };
        check(
            "model",
            "A model on the hub, a folder in Hugging Face layout, or pocket:llama / pocket:gpt2 (built in).",
            "pocket:llama",
            None,
        );
        check("method", "lora (a small adapter beside frozen weights) | full (every weight)", "lora", None);
        check("lora.alpha", "The adapter's output is scaled by alpha / rank.", "32", Some("32"));
        check("optimizer.learning_rate", "The highest learning rate, reached after the warm-up.", "0.001", Some("1.0e-4"));
        check("optimizer.betas", "Decay of the running means of the gradient and of its square.", "0.9, 0.999", Some("0.9, 0.999"));
        check("epochs", "Times every training pair is seen.", "3", Some("3"));
        check(
            "evaluate_every",
            "When the held-out pairs are evaluated: epoch | never | a number of optimiser steps",
            "epoch",
            Some("epoch"),
        );
        assert!(fields.iter().all(|f| !f.about.is_empty() && f.about.len() < 120), "{fields:?}");
    }

    #[test]
    fn writing_back_what_is_there_changes_nothing() {
        for (config, _) in shipped() {
            for field in fields(&config) {
                assert_eq!(with(&config, field.key, &field.value).as_ref(), Ok(&config), "{}", field.key);
            }
        }
    }

    #[test]
    fn every_word_of_a_choice_is_taken_and_no_other_is_offered_by_the_parser() {
        let (config, _) = config("pocket-llama-lora");
        for (key, kind) in KEYS {
            let (Kind::Word(words) | Kind::WordOr(words, _)) = kind else { continue };
            for word in *words {
                assert_eq!(value(&with(&config, key, word).unwrap(), key), *word);
            }
            if let Kind::Word(words) = kind {
                let message = with(&config, key, "dance").unwrap_err();
                assert!(message.ends_with(&format!("`dance` is not allowed; it is one of {}", words.join(", "))), "{message}");
            }
        }
    }

    #[test]
    fn values_are_taken_as_the_parser_takes_them() {
        let (config, _) = config("pocket-llama-lora");
        let check = |key: &str, text: &str, expected: &str| assert_eq!(value(&with(&config, key, text).unwrap(), key), expected, "{key}");
        check("optimizer.learning_rate", " 2e-4 ", "2.0e-4");
        check("lora.targets", "q_proj, v_proj", "q_proj, v_proj");
        check("lora.targets", "[q_proj]", "q_proj");
        check("evaluate_every", "20", "20");
        check("model", "~/models/a: \"b\" # c", "~/models/a: \"b\" # c");
        check("revision", "2024", "2024");
        check("revision", "null", "null");
    }

    #[test]
    fn a_number_may_stand_where_a_word_may() {
        let (config, _) = config("llama-3.1-8b-lora");
        let check = |text: &str, expected: &str| assert_eq!(value(&with(&config, "memory_limit", text).unwrap(), "memory_limit"), expected);
        check("26", "26");
        check(" 13.50", "13.5");
        check("none", "none");
        let limited = with(&config, "memory_limit", "26").unwrap();
        let refused = with(&limited, "recompute", "block").unwrap_err();
        assert!(refused.contains("use that, or `memory_limit: none`"), "{refused}");
    }

    #[test]
    fn what_the_parser_refuses_is_refused_in_its_words() {
        let (config, _) = config("pocket-gpt2-full");
        let check = |key: &str, text: &str, expected: &str| assert_eq!(with(&config, key, text), Err(expected.to_owned()), "{key}");
        check("epochs", "0", "`epochs` must be from 1 to 100,000, not 0");
        check("epochs", "three", "`epochs: three`: expected a whole number, 0 or above");
        check("epochs", "", "`epochs:`: expected a whole number, 0 or above");
        check("lora.dropout", "1", "`lora.dropout` must be from 0 to below 1, not 1.0");
        check("model", " ", "`model` must be a hub id, a folder, pocket:llama or pocket:gpt2, not \"\"");
        check("epochs", "3\nseed: 1", "`epochs: 3 seed: 1`: expected a whole number, 0 or above");
        check("lora.targets", "", "`lora.targets` must be a list of layer names, each once, not []");
        let nf4 = with(&config, "base_precision", "nf4").unwrap_err();
        assert!(nf4.contains("cannot be trained in full"), "{nf4}");
        assert_eq!(with(&config, "rank", "1"), Err("unknown key `rank`".into()));
    }

    #[test]
    fn an_edited_file_keeps_its_comments() {
        let (before, text) = config("pocket-gpt2-full");
        let edited = with(&with(&before, "epochs", "15").unwrap(), "optimizer.learning_rate", "5e-5").unwrap();
        let expected = text.replace("epochs: 3\n", "epochs: 15\n").replace("learning_rate: 3.0e-4", "learning_rate: 5.0e-5");
        assert_eq!(file_text(&edited, text), expected);
    }

    #[test]
    fn a_file_of_any_layout_gives_the_values() {
        let check = |from: &str| {
            let before = parse(Path::new("c.yaml"), from).unwrap();
            let edited = with(&with(&before, "lora.rank", "8").unwrap(), "seed", "7").unwrap();
            let text = file_text(&edited, from);
            assert_eq!(parse(Path::new("c.yaml"), &text).unwrap(), edited, "{text}");
            assert!(text.contains("# Width of the adapter matrices"), "{text}");
        };
        check("model: pocket:llama\nformat: chat\nmethod: lora\n");
        check("{ model: pocket:llama, format: chat, method: lora, lora: { rank: 4 } }\n");
    }
}
