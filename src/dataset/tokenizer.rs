//! A model's tokenizer together with what its neighbouring files say about it: end tokens, the token before a text, the chat
//! template.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use super::guard::{check_growth, guarded};
use super::stream::TextStream;

/// The contents of the files of a Hugging Face model folder that concern text.
#[derive(Debug, Clone, Copy)]
pub struct TokenizerFiles<'a> {
    pub tokenizer_json: &'a str,
    pub tokenizer_config: Option<&'a str>,
    pub generation_config: Option<&'a str>,
    /// `config.json`: asked for the end token where neither of the two above names one.
    pub config: Option<&'a str>,
    /// `chat_template.jinja`, which goes before the template in `tokenizer_config.json`.
    pub chat_template: Option<&'a str>,
    /// The model's id or folder, for messages.
    pub model_name: &'a str,
}

/// Text to ids and back. Never truncates, never pads, and never adds a special token that was not asked for.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    model_name: String,
    start: Vec<u32>,
    end_tokens: Vec<u32>,
    end_of_text: u32,
    special_tokens: BTreeMap<String, String>,
    /// Contents of the tokens that are special: written in a text, they would be read as the token.
    special_texts: Vec<String>,
    chat_template: Option<String>,
}

impl Tokenizer {
    pub fn new(files: &TokenizerFiles) -> Result<Self> {
        let of = |file: &str| format!("{file} of {}", files.model_name);
        let unread = || format!("cannot read {}", of("tokenizer.json"));
        check_growth(files.tokenizer_json).with_context(unread)?;
        let mut inner: tokenizers::Tokenizer = guarded(|| files.tokenizer_json.parse()).with_context(unread)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| anyhow!("{}: {e}", of("tokenizer.json")))?;

        let about: RawTokenizerConfig = match files.tokenizer_config {
            Some(text) => serde_json::from_str(text).with_context(|| format!("cannot read {}", of("tokenizer_config.json")))?,
            None => RawTokenizerConfig::default(),
        };
        let eos = about.eos_token.as_ref().map(|token| {
            let text = token.text();
            inner.token_to_id(text).with_context(|| {
                format!("{} names the end token {text:?}, which {} does not have", of("tokenizer_config.json"), of("tokenizer.json"))
            })
        });
        let eos = eos.transpose()?;
        let listed = |file: &str, text: Option<&str>| -> Result<Vec<u32>> {
            let Some(text) = text else { return Ok(vec![]) };
            let raw: RawEnds = serde_json::from_str(text).with_context(|| format!("cannot read {}", of(file)))?;
            Ok(raw.eos_token_id.map(Ids::into_vec).unwrap_or_default())
        };
        let mut end_tokens = listed("generation_config.json", files.generation_config)?;
        if end_tokens.is_empty() {
            end_tokens = match eos {
                Some(id) => vec![id],
                None => listed("config.json", files.config)?,
            };
        }
        let Some(&first) = end_tokens.first() else {
            bail!(
                "{} has no end token: add `eos_token_id` to its generation_config.json, or `eos_token` to its tokenizer_config.json",
                files.model_name
            );
        };
        let added = inner.get_added_tokens_decoder();
        Ok(Tokenizer {
            start: guarded(|| start_tokens(&inner)).with_context(unread)?,
            end_of_text: eos.filter(|id| end_tokens.contains(id)).unwrap_or(first),
            end_tokens,
            special_tokens: about.special_tokens(),
            special_texts: added.values().filter(|t| t.special && !t.content.is_empty()).map(|t| t.content.clone()).collect(),
            chat_template: match (files.chat_template, about.chat_template) {
                (Some(text), _) => Some(text.to_owned()),
                (None, Some(given)) => given.default_one(),
                (None, None) => None,
            },
            model_name: files.model_name.to_owned(),
            inner,
        })
    }

    pub fn model_name(&self) -> &str {
        &self.model_name
    }

    /// The ids of a text, with no token before or after it. Special tokens that are written out in the text are read as such.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = guarded(|| self.inner.encode_fast(text, false));
        Ok(encoding.with_context(|| format!("the tokenizer of {} failed", self.model_name))?.get_ids().to_vec())
    }

    /// As [`Tokenizer::encode`], with the tokens that this tokenizer puts before a text (BOS, for Llama) exactly once: they are
    /// not added to a text that already begins with them.
    pub fn encode_from_start(&self, text: &str) -> Result<Vec<u32>> {
        let ids = self.encode(text)?;
        if ids.starts_with(&self.start) { Ok(ids) } else { Ok([self.start.clone(), ids].concat()) }
    }

    /// The text of ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.text_of(ids, true)
    }

    /// The text of ids, special tokens written out.
    pub fn decode_with_specials(&self, ids: &[u32]) -> Result<String> {
        self.text_of(ids, false)
    }

    /// Decodes token by token; special tokens are left out.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream::new(self)
    }

    /// One token for display: its text, or `<E2 80>` where it is only a part of a character.
    pub fn piece(&self, id: u32) -> String {
        match self.text_of(&[id], false) {
            Ok(text) if !text.is_empty() && !text.contains('\u{FFFD}') => text,
            _ => match self.inner.id_to_token(id) {
                Some(token) => byte_level(&token).map_or(token, |bytes| format!("<{}>", hex_pairs(&bytes))),
                None => format!("<no token {id}>"),
            },
        }
    }

    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Generation stops at any of these. Never empty.
    pub fn end_tokens(&self) -> &[u32] {
        &self.end_tokens
    }

    pub fn is_end(&self, id: u32) -> bool {
        self.end_tokens.contains(&id)
    }

    /// The end token that closes a text in the plain format: `eos_token`, or else the first of the end tokens.
    pub fn end_of_text(&self) -> u32 {
        self.end_of_text
    }

    /// What stands before every text, as the tokenizer itself would put it: BOS, or nothing.
    pub fn start(&self) -> &[u32] {
        &self.start
    }

    pub fn has_chat_template(&self) -> bool {
        self.chat_template.is_some()
    }

    /// One more than the highest id.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1)
    }

    pub(super) fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// `bos_token`, `eos_token`, … of tokenizer_config.json, as chat templates see them.
    pub(super) fn special_tokens(&self) -> &BTreeMap<String, String> {
        &self.special_tokens
    }

    /// A special token that is written out in a text.
    pub(super) fn special_in(&self, text: &str) -> Option<&str> {
        self.special_texts.iter().map(String::as_str).find(|special| text.contains(special))
    }

    fn text_of(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        guarded(|| self.inner.decode(ids, skip_special)).with_context(|| format!("the tokenizer of {} cannot decode", self.model_name))
    }
}

/// The tokens that the post-processor puts before a text.
fn start_tokens(tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<Vec<u32>> {
    let bare = tokenizer.encode_fast("a", false)?;
    let dressed = tokenizer.encode_fast("a", true)?;
    let (bare, dressed) = (bare.get_ids(), dressed.get_ids());
    let at = dressed.windows(bare.len().max(1)).position(|window| window == bare).unwrap_or(0);
    Ok(dressed[..at].to_vec())
}

/// The bytes behind a token of a byte-level vocabulary, in which every byte is written as one printable character; `None` for
/// a token that is not written so.
fn byte_level(token: &str) -> Option<Vec<u8>> {
    token.chars().map(byte_of).collect()
}

/// GPT-2's alphabet: printable Latin-1 characters stand for themselves, the 68 other bytes for U+0100 onwards, in order.
fn byte_of(c: char) -> Option<u8> {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    match u32::from(c) {
        code @ 0..=0xFF => Some(code as u8).filter(|&b| printable(b)),
        code => (0..=u8::MAX).filter(|&b| !printable(b)).nth(code as usize - 0x100),
    }
}

fn hex_pairs(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(" ")
}

#[derive(Debug, Default, Deserialize)]
struct RawTokenizerConfig {
    bos_token: Option<RawToken>,
    eos_token: Option<RawToken>,
    unk_token: Option<RawToken>,
    pad_token: Option<RawToken>,
    chat_template: Option<RawTemplate>,
}

impl RawTokenizerConfig {
    fn special_tokens(&self) -> BTreeMap<String, String> {
        let named = [
            ("bos_token", &self.bos_token),
            ("eos_token", &self.eos_token),
            ("unk_token", &self.unk_token),
            ("pad_token", &self.pad_token),
        ];
        named.into_iter().filter_map(|(name, token)| Some((name.to_owned(), token.as_ref()?.text().to_owned()))).collect()
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawToken {
    Text(String),
    Added { content: String },
}

impl RawToken {
    fn text(&self) -> &str {
        match self {
            RawToken::Text(text) | RawToken::Added { content: text } => text,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawTemplate {
    One(String),
    Several(Vec<NamedTemplate>),
}

#[derive(Debug, Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

impl RawTemplate {
    fn default_one(self) -> Option<String> {
        match self {
            RawTemplate::One(text) => Some(text),
            RawTemplate::Several(named) => named.into_iter().find(|t| t.name == "default").map(|t| t.template),
        }
    }
}

#[derive(Debug, Deserialize)]
struct RawEnds {
    eos_token_id: Option<Ids>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Several(Vec<u32>),
}

impl Ids {
    fn into_vec(self) -> Vec<u32> {
        match self {
            Ids::One(id) => vec![id],
            Ids::Several(ids) => ids,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{BOS, END, tokenizer, tokenizer_json};
    use super::*;

    fn files<'a>(
        json: &'a str,
        tokenizer_config: Option<&'a str>,
        generation_config: Option<&'a str>,
        config: Option<&'a str>,
    ) -> TokenizerFiles<'a> {
        TokenizerFiles { tokenizer_json: json, tokenizer_config, generation_config, config, chat_template: None, model_name: "tiny" }
    }

    #[test]
    fn text_is_encoded_whole_and_without_additions() {
        let tokenizer = tokenizer();
        let check = |text: &str, expected: &[u32]| assert_eq!(tokenizer.encode(text).unwrap(), expected, "{text:?}");
        check("", &[]);
        check("abcz.", &[4, 5, 6, 29, 3]); // longer than the file's truncation, shorter than its padding
        check("a b", &[4, 1, 5]);
        check("a\n\n", &[4, 30]);
        check("a\n\nb", &[4, 0, 0, 5]);
        check("<|bos|>a<|end|>", &[BOS, 4, END]);
    }

    #[test]
    fn the_start_token_is_there_exactly_once() {
        let tokenizer = tokenizer();
        assert_eq!(tokenizer.start(), [BOS]);
        for (text, expected) in [("ab", vec![BOS, 4, 5]), ("<|bos|>ab", vec![BOS, 4, 5]), ("", vec![BOS])] {
            assert_eq!(tokenizer.encode_from_start(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn decoding_shows_special_tokens_only_when_asked() {
        let tokenizer = tokenizer();
        assert_eq!(tokenizer.decode(&[BOS, 4, 1, 5, END]).unwrap(), "a b");
        assert_eq!(tokenizer.decode_with_specials(&[BOS, 4, 1, 5, END]).unwrap(), "<|bos|>a b<|end|>");
        assert_eq!(tokenizer.vocabulary(), 36);
    }

    #[test]
    fn end_tokens_come_from_the_first_file_that_names_them() {
        let json = tokenizer_json();
        let check = |tokenizer_config, generation_config, config, ends: &[u32], end_of_text| {
            let tokenizer = Tokenizer::new(&files(&json, tokenizer_config, generation_config, config)).unwrap();
            assert_eq!((tokenizer.end_tokens(), tokenizer.end_of_text()), (ends, end_of_text));
        };
        let eos = Some(r#"{"eos_token": "<|end|>"}"#);
        let config = Some(r#"{"eos_token_id": 33}"#);
        check(eos, Some(r#"{"eos_token_id": [31, 34]}"#), config, &[31, 34], 34);
        check(eos, Some(r#"{"eos_token_id": 31}"#), config, &[31], 31);
        check(eos, Some(r#"{"do_sample": true}"#), config, &[34], 34);
        check(eos, None, config, &[34], 34);
        check(None, None, config, &[33], 33);
        check(Some(r#"{"eos_token": null}"#), None, Some(r#"{"eos_token_id": [33, 31]}"#), &[33, 31], 33);
    }

    #[test]
    fn faulty_files_are_named() {
        let json = tokenizer_json();
        let check = |files: TokenizerFiles, expected: &[&str]| {
            let message = format!("{:#}", Tokenizer::new(&files).unwrap_err());
            for part in expected {
                assert!(message.contains(part), "{message}");
            }
        };
        check(files("{", None, None, None), &["tokenizer.json of tiny"]);
        check(files(&json, Some("nope"), None, None), &["tokenizer_config.json of tiny", "line 1"]);
        check(files(&json, None, Some("[]"), None), &["generation_config.json of tiny"]);
        check(files(&json, Some("{}"), None, None), &["tiny has no end token", "eos_token_id"]);
        check(
            files(&json, Some(r#"{"eos_token": "</s>"}"#), None, None),
            &["tokenizer_config.json of tiny", r#""</s>""#, "tokenizer.json of tiny"],
        );
    }

    #[test]
    fn a_template_file_goes_before_the_one_in_the_config() {
        let json = tokenizer_json();
        let check = |in_config: &str, in_file, expected: Option<&str>| {
            let config = format!(r#"{{"eos_token": "<|end|>", "chat_template": {in_config}}}"#);
            let tokenizer = Tokenizer::new(&TokenizerFiles { chat_template: in_file, ..files(&json, Some(&config), None, None) }).unwrap();
            assert_eq!(tokenizer.chat_template(), expected);
            assert_eq!(tokenizer.has_chat_template(), expected.is_some());
        };
        check(r#""one""#, None, Some("one"));
        check(r#""one""#, Some("file"), Some("file"));
        check(r#"[{"name": "tool_use", "template": "two"}, {"name": "default", "template": "three"}]"#, None, Some("three"));
        check(r#"[{"name": "tool_use", "template": "two"}]"#, None, None);
        check("null", None, None);
    }

    #[test]
    fn pieces_show_parts_of_characters_as_bytes() {
        for (token, expected) in
            [("âĢ", Some(vec![0xE2, 0x80])), ("Ġa", Some(b" a".to_vec())), ("ĊŃ", Some(vec![0x0A, 0xAD])), ("▁the", None)]
        {
            assert_eq!(byte_level(token), expected, "{token}");
        }
        let tokenizer = tokenizer();
        assert_eq!([4, 1, END, 99].map(|id| tokenizer.piece(id)), ["a", " ", "<|end|>", "<no token 99>"]);
    }
}
