//! A tokenizer small enough to check ids by hand, and pairs made of a few words.

use super::tokenizer::{Tokenizer, TokenizerFiles};
use crate::config::{ChatTemplate, PlainTemplate, Templates};
use crate::pairs::{Pair, Split, Status, Tier};

/// Line feed 0, blank 1, `-` 2, `.` 3, `a` 4 to `z` 29, two line feeds 30 (GPT-2 has such a token too), then the specials.
pub(super) const BOS: u32 = 31;
pub(super) const USER: u32 = 32;
pub(super) const ASSISTANT: u32 = 33;
pub(super) const END: u32 = 34;
pub(super) const SYSTEM: u32 = 35;

pub(super) const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}\
    {% if add_generation_prompt %}<|assistant|>{% endif %}";

/// `tokenizer.json`: byte-level, split as GPT-2's, with a post-processor that puts BOS before a text, and with truncation and
/// padding switched on as some published files have them.
pub(super) fn tokenizer_json() -> String {
    let letters = ('a'..='z').map(String::from);
    let pieces = ["Ċ", "Ġ", "-", "."].map(String::from).into_iter().chain(letters).chain(["ĊĊ".to_owned()]);
    let vocab: serde_json::Map<_, _> = pieces.enumerate().map(|(id, piece)| (piece, id.into())).collect();
    let specials = ["<|bos|>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>"].into_iter().zip(BOS..).map(|(content, id)| {
        serde_json::json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true })
    });
    serde_json::json!({
        "version": "1.0",
        "truncation": { "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0 },
        "padding": { "strategy": { "Fixed": 8 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "Ċ" },
        "added_tokens": specials.collect::<Vec<_>>(),
        "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "<|bos|>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { "<|bos|>": { "id": "<|bos|>", "ids": [BOS], "tokens": ["<|bos|>"] } },
        },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "vocab": vocab, "merges": [["Ċ", "Ċ"]] },
    })
    .to_string()
}

pub(super) fn tokenizer_with(template: &str) -> Tokenizer {
    let tokenizer_config = serde_json::json!({ "bos_token": "<|bos|>", "eos_token": { "content": "<|end|>" }, "chat_template": template });
    Tokenizer::new(&TokenizerFiles {
        tokenizer_json: &tokenizer_json(),
        tokenizer_config: Some(&tokenizer_config.to_string()),
        generation_config: None,
        config: None,
        chat_template: None,
        model_name: "tiny",
    })
    .unwrap()
}

pub(super) fn tokenizer() -> Tokenizer {
    tokenizer_with(TEMPLATE)
}

pub(super) fn templates() -> Templates {
    Templates {
        plain: PlainTemplate { delimiter: "\n\n---\n\n".into() },
        chat: ChatTemplate { system: String::new(), date_string: "26 Jul 2024".into() },
    }
}

pub(super) fn pair(prompt: &str, response: &str) -> Pair {
    Pair {
        id: "tier2/a".into(),
        tier: Tier::Topic,
        source: "a".into(),
        prompt: prompt.into(),
        response: response.into(),
        status: Status::Ready,
        split: Split::Auto,
        notes: String::new(),
    }
}
