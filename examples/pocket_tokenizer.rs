//! Trains the tokenizers of the pocket models: one set of byte-level merges over a folder of prose, written in the Hugging
//! Face layout of each architecture. The models' shapes, `config.json`, are checked in beside them and not touched.
//!
//!     cargo run --release --example pocket_tokenizer -- CORPUS [OUT]
//!
//! CORPUS is a folder that is searched for `.txt` files; OUT is `assets/pocket` by default. Both models share the merges, so that
//! the same text costs the same number of tokens in both and their losses can be compared.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, DecoderWrapper, Model, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer, TokenizerImpl,
};

const VOCABULARY: usize = 4096;
/// Ids above the merges, kept for special tokens; the merges take all others.
const SPECIALS: usize = 5;

const LLAMA_SPECIALS: [&str; SPECIALS] = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"];
/// GPT-2 has one special token; the four reserved ones only keep the two vocabularies of one size.
const GPT2_SPECIALS: [&str; SPECIALS] = ["<|endoftext|>", "<|reserved_0|>", "<|reserved_1|>", "<|reserved_2|>", "<|reserved_3|>"];

/// A chat format in the manner of Llama 3: each turn is a header, an empty line, the trimmed text and an end-of-turn token.
const CHAT_TEMPLATE: &str = "\
{{- bos_token }}
{%- for message in messages %}
    {%- if message['role'] not in ['system', 'user', 'assistant'] %}
        {{- raise_exception('The pocket model knows the roles system, user and assistant, not ' ~ message['role']) }}
    {%- endif %}
    {{- '<|start_header_id|>' ~ message['role'] ~ '<|end_header_id|>\\n\\n' }}
    {{- message['content'] | trim }}
    {{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
";

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let corpus = args.next().context("usage: pocket_tokenizer CORPUS [OUT]")?;
    let out = args.next().unwrap_or_else(|| "assets/pocket".into());
    let merges = train(&text_files(&corpus)?)?;
    write_llama(&out.join("llama"), merges.clone())?;
    write_gpt2(&out.join("gpt2"), merges)
}

fn text_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "txt") {
                files.push(path);
            }
        }
    }
    ensure!(!files.is_empty(), "no .txt file in {}", folder.display());
    files.sort();
    Ok(files)
}

/// Byte-level merges as GPT-2's: words by its regular expression, bytes as the alphabet, no normaliser.
///
/// The text is fed line by line, so that no merge crosses a line feed and a paragraph break is always two tokens, whatever
/// follows it.
fn train(files: &[PathBuf]) -> Result<BPE> {
    let mut lines = vec![];
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        lines.extend(text.split_inclusive('\n').map(str::to_owned));
    }
    let mut trainer = BpeTrainer::builder()
        .vocab_size(VOCABULARY - SPECIALS)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    let mut untrained = Untrained::new(BPE::default());
    untrained.with_pre_tokenizer(Some(byte_level()));
    untrained.train(&mut trainer, lines.into_iter()).map_err(|e| anyhow!("training failed: {e}"))?;
    let model = untrained.get_model().clone();
    ensure!(model.get_vocab_size() == VOCABULARY - SPECIALS, "the corpus is too small for {VOCABULARY} tokens");
    Ok(model)
}

type Untrained = TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

fn byte_level() -> ByteLevel {
    ByteLevel::new(false, true, true)
}

/// The merges with special tokens above them, in a tokenizer that encodes and decodes as GPT-2's.
fn with_specials(merges: BPE, specials: [&str; SPECIALS]) -> Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(merges);
    tokenizer.with_pre_tokenizer(Some(byte_level()));
    tokenizer.with_post_processor(Some(ByteLevel::new(true, false, true)));
    tokenizer.with_decoder(Some(ByteLevel::new(true, true, true)));
    let tokens = specials.map(|token| AddedToken::from(token, true).normalized(false));
    tokenizer.add_special_tokens(tokens).map_err(|e| anyhow!("cannot add the special tokens: {e}"))?;
    ensure!(tokenizer.get_vocab_size(true) == VOCABULARY, "a special token is already among the merges");
    Ok(tokenizer)
}

fn write_llama(folder: &Path, merges: BPE) -> Result<()> {
    let mut tokenizer = with_specials(merges, LLAMA_SPECIALS)?;
    let id = |token: &str| tokenizer.token_to_id(token).with_context(|| format!("{token} has no id"));
    let [bos, end, turn] = [id("<|begin_of_text|>")?, id("<|end_of_text|>")?, id("<|eot_id|>")?];
    let begin = TemplateProcessing::builder()
        .try_single("<|begin_of_text|> $A")
        .map_err(|e| anyhow!("{e}"))?
        .special_tokens(vec![("<|begin_of_text|>", bos)])
        .build()?;
    tokenizer.with_post_processor(Some(begin));
    write(folder, "tokenizer.json", &as_json(&tokenizer)?)?;
    write(
        folder,
        "tokenizer_config.json",
        &json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<|begin_of_text|>",
            "eos_token": "<|eot_id|>",
            "clean_up_tokenization_spaces": false,
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": 2048,
            "chat_template": CHAT_TEMPLATE,
        }),
    )?;
    write(folder, "generation_config.json", &json!({ "bos_token_id": bos, "eos_token_id": [end, turn], "do_sample": true }))
}

fn write_gpt2(folder: &Path, merges: BPE) -> Result<()> {
    let tokenizer = with_specials(merges, GPT2_SPECIALS)?;
    let end = tokenizer.token_to_id("<|endoftext|>").context("<|endoftext|> has no id")?;
    write(folder, "tokenizer.json", &as_json(&tokenizer)?)?;
    write(
        folder,
        "tokenizer_config.json",
        &json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<|endoftext|>",
            "eos_token": "<|endoftext|>",
            "unk_token": "<|endoftext|>",
            "add_prefix_space": false,
            "clean_up_tokenization_spaces": false,
            "model_input_names": ["input_ids", "attention_mask"],
            "model_max_length": 1024,
        }),
    )?;
    write(folder, "generation_config.json", &json!({ "bos_token_id": end, "eos_token_id": end }))
}

fn as_json(tokenizer: &Tokenizer) -> Result<Value> {
    let text = tokenizer.to_string(false).map_err(|e| anyhow!("cannot write the tokenizer: {e}"))?;
    Ok(serde_json::from_str(&text)?)
}

/// Small files are indented; the tokenizer, of thousands of short entries, is written on one line.
fn write(folder: &Path, name: &str, value: &Value) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(name);
    let mut text = if name == "tokenizer.json" { value.to_string() } else { serde_json::to_string_pretty(value)? };
    text.push('\n');
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}
