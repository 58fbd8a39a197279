//! The tokenizers library kept within bounds, since its instructions come from a downloaded file: what `tokenizer.json` may make of a
//! text, and panics as errors.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;

/// How many times longer the steps of `tokenizer.json` may make a text. Byte-level ones make it twice as long, SentencePiece's eight
/// times; a list of replacements can be written that turns a letter into terabytes.
const MOST_GROWTH: u64 = 64;

/// The parts of `tokenizer.json` that rewrite a text; the vocabulary is passed over.
#[derive(Deserialize)]
struct Steps {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    decoder: Value,
}

/// Refuses a `tokenizer.json` whose steps could make a text longer without bound.
pub(super) fn check_growth(tokenizer_json: &str) -> Result<()> {
    let steps: Steps = serde_json::from_str(tokenizer_json)?;
    for (name, step) in [("normalizer", &steps.normalizer), ("pre_tokenizer", &steps.pre_tokenizer), ("decoder", &steps.decoder)] {
        if growth(step).is_none_or(|growth| growth > MOST_GROWTH) {
            bail!("its {name} could make a text more than {MOST_GROWTH} times longer, which no tokenizer of a Llama or GPT-2 model does");
        }
    }
    Ok(())
}

/// An upper bound of how many times longer a step makes a text; `None` where there is none.
fn growth(step: &Value) -> Option<u64> {
    let Some(kind) = step.get("type").and_then(Value::as_str) else { return Some(1) };
    match kind {
        "Sequence" => {
            let parts = ["normalizers", "pretokenizers", "decoders"].into_iter().find_map(|key| step.get(key)?.as_array());
            parts.into_iter().flatten().try_fold(1u64, |all, part| all.checked_mul(growth(part)?))
        }
        // At worst between any two bytes.
        "Replace" => Some(1 + step.get("content").and_then(Value::as_str).map_or(0, str::len) as u64),
        // A map of any text to any other; models with SentencePiece's unigrams have it, which are not read.
        "Precompiled" => None,
        "Metaspace" => Some(3),
        // They take away, cut up, or come to rest after the first time.
        "Split" | "Digits" | "Punctuation" | "Whitespace" | "WhitespaceSplit" | "BertPreTokenizer" | "CharDelimiterSplit"
        | "UnicodeScripts" | "FixedLength" | "NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase" | "Strip" | "StripAccents" | "Nmt"
        | "BertNormalizer" | "ByteFallback" | "Fuse" | "Prepend" => Some(1),
        _ => Some(2),
    }
}

/// Calls the library. A panic in it is an error about the file that it was given.
pub(super) fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T> {
    // What the library left half-done is the tokenizer itself, which it does not change after it was read.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| anyhow!("{error}")),
        Err(_) => Err(anyhow!("the tokenizers library cannot cope with it")),
    }
    .context("the tokenizer cannot be used")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_that_multiply_a_text_are_refused() {
        let check = |part: &str, steps: Value, fine: bool| {
            let result = check_growth(&json!({ part: steps, "model": { "type": "BPE" } }).to_string());
            assert_eq!(result.is_ok(), fine, "{result:?}");
        };
        let replace = |content: &str| json!({ "type": "Replace", "pattern": { "String": " " }, "content": content });
        check("normalizer", Value::Null, true);
        check("normalizer", json!({ "type": "Sequence", "normalizers": [{ "type": "Prepend", "prepend": "▁" }, replace("▁")] }), true);
        check("pre_tokenizer", json!({ "type": "Sequence", "pretokenizers": [{ "type": "Split" }, { "type": "ByteLevel" }] }), true);
        let decoders = json!([replace(" "), { "type": "ByteFallback" }, { "type": "Fuse" }, { "type": "Strip" }]);
        check("decoder", json!({ "type": "Sequence", "decoders": decoders }), true);
        check("normalizer", json!({ "type": "Sequence", "normalizers": vec![replace("aa"); 64] }), false);
        check("pre_tokenizer", json!({ "type": "Sequence", "pretokenizers": vec![json!({ "type": "ByteLevel" }); 64] }), false);
        check("decoder", json!({ "type": "Sequence", "decoders": [{ "type": "Sequence", "decoders": vec![replace("aa"); 64] }] }), false);
        check("normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": "" }), false);
        check("normalizer", replace(&"a".repeat(64)), false);
    }

    #[test]
    fn a_panic_in_the_library_is_an_error() {
        let error = guarded::<()>(|| panic!("index out of bounds")).unwrap_err();
        assert_eq!(format!("{error:#}"), "the tokenizer cannot be used: the tokenizers library cannot cope with it");
    }
}
