//! Which part of a text each of its tokens is.

use std::ops::Range;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::tokenizer::Tokenizer;

/// A text and the places where its tokens end. The tokens' spans follow one another without gap or overlap and make up the text.
///
/// A token that ends inside a character has none of it: the character belongs to the token that completes it. So a span may be empty;
/// those of special tokens are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenText {
    pub text: String,
    /// Of each token, in characters (Unicode scalar values) of the text.
    pub ends: Vec<usize>,
}

impl TokenText {
    /// The span of each token, in characters.
    pub fn spans(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| start..end)
    }
}

impl Tokenizer {
    /// The text of ids, special tokens left out, and which part of it each token is. Bytes at the end that make up no character belong
    /// to the last token.
    pub fn token_text(&self, ids: &[u32]) -> Result<TokenText> {
        let mut found = TokenText::default();
        let mut stream = self.stream();
        let mut chars = 0;
        for &id in ids {
            let piece = stream.push(id)?;
            chars += piece.chars().count();
            found.text.push_str(&piece);
            found.ends.push(chars);
        }
        let rest = stream.finish()?;
        if let Some(last) = found.ends.last_mut() {
            *last += rest.chars().count();
            found.text.push_str(&rest);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{TokenizerFiles, testing};
    use super::*;

    /// Byte-level vocabularies, with a token for every byte.
    fn pocket(model: &str) -> Tokenizer {
        let (json, config) = match model {
            "gpt2" => {
                (include_str!("../../assets/pocket/gpt2/tokenizer.json"), include_str!("../../assets/pocket/gpt2/tokenizer_config.json"))
            }
            _ => {
                (include_str!("../../assets/pocket/llama/tokenizer.json"), include_str!("../../assets/pocket/llama/tokenizer_config.json"))
            }
        };
        Tokenizer::new(&TokenizerFiles {
            tokenizer_json: json,
            tokenizer_config: Some(config),
            generation_config: None,
            config: None,
            chat_template: None,
            model_name: model,
        })
        .unwrap()
    }

    /// The pieces of the text that the tokens are.
    fn pieces(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
        let found = tokenizer.token_text(ids).unwrap();
        found.spans().map(|span| found.text.chars().skip(span.start).take(span.len()).collect()).collect()
    }

    /// The ids of the single bytes of a text: the finest way to cut it.
    fn bytes(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        let of = |byte: u8| {
            let name = if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("<{byte:02X}>") };
            (0..256).find(|&id| tokenizer.piece(id) == name || byte == b' ' && tokenizer.piece(id) == " ").unwrap()
        };
        text.bytes().map(of).collect()
    }

    #[test]
    fn characters_belong_to_the_token_that_completes_them() {
        let tokenizer = pocket("gpt2");
        let check = |text: &str, expected: &[&str]| assert_eq!(pieces(&tokenizer, &bytes(&tokenizer, text)), expected, "{text:?}");
        check("ab c", &["a", "b", " ", "c"]);
        check("é—", &["", "é", "", "", "—"]);
        check("🜛!", &["", "", "", "🜛", "!"]);
        check("駅で", &["", "", "駅", "", "", "で"]);
        // A combining mark is a character of its own; that the screen takes it with its letter is the screen's affair.
        check("e\u{301}", &["e", "", "\u{301}"]);
        check("👩\u{200d}🚀", &["", "", "", "👩", "", "", "\u{200d}", "", "", "", "🚀"]);
        check("", &[]);
    }

    #[test]
    fn torn_characters_are_what_the_decoder_makes_of_them() {
        let tokenizer = pocket("gpt2");
        let ids = bytes(&tokenizer, "é—!");
        let check = |ids: &[u32], expected: &[&str]| assert_eq!(pieces(&tokenizer, ids), expected);
        check(&ids[..1], &["\u{FFFD}"]);
        check(&ids[..3], &["", "é", "\u{FFFD}"]);
        check(&[ids[0], ids[5]], &["", "\u{FFFD}!"]);
    }

    #[test]
    fn special_tokens_have_no_part_of_the_text() {
        let tokenizer = testing::tokenizer();
        let ids = [testing::BOS, 4, 1, 5, testing::END];
        assert_eq!(pieces(&tokenizer, &ids), ["", "a", " ", "b", ""]);
        assert_eq!(tokenizer.token_text(&ids).unwrap().ends, [0, 1, 2, 3, 3]);
    }

    fn prose() -> impl Strategy<Value = String> {
        let cluster = prop_oneof![
            8 => "[a-zA-Z ,.’—…\n]",
            1 => Just("e\u{301}".to_owned()),
            1 => Just("👩\u{200d}👩\u{200d}👧".to_owned()),
            1 => Just("🇳🇴".to_owned()),
            1 => "[駅で待った。]",
            1 => any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(cluster, 0..80).prop_map(|clusters| clusters.concat())
    }

    proptest! {
        #[test]
        fn spans_tile_the_text(text in prose(), model in prop_oneof![Just("gpt2"), Just("llama")]) {
            let tokenizer = pocket(model);
            let ids = tokenizer.encode(&text).unwrap();
            let found = tokenizer.token_text(&ids).unwrap();
            prop_assert_eq!(&found.text, &tokenizer.decode(&ids).unwrap());
            prop_assert_eq!(&found.text, &text);
            prop_assert_eq!(found.ends.len(), ids.len());
            prop_assert!(found.spans().all(|span| span.start <= span.end));
            prop_assert_eq!(found.ends.last().copied().unwrap_or(0), text.chars().count());
            prop_assert_eq!(pieces(&tokenizer, &ids).concat(), text);
        }

        /// Any tokens at all, whether they spell text or not.
        #[test]
        fn spans_tile_what_no_text_gives(ids in prop::collection::vec(0..512_u32, 0..60)) {
            let tokenizer = pocket("gpt2");
            let found = tokenizer.token_text(&ids).unwrap();
            prop_assert_eq!(&found.text, &tokenizer.decode(&ids).unwrap());
            prop_assert_eq!(pieces(&tokenizer, &ids).concat(), found.text);
        }
    }
}
