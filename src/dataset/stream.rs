//! Decoding token by token, for text that is shown while it is generated.

use super::tokenizer::Tokenizer;

/// How many decoded tokens are kept as the context in which the next one is decoded: decoders look at their neighbours (a
/// leading blank is dropped from the first token of a text only), but not far.
const KEPT: usize = 4;

/// Turns tokens into text as they come. What it returns adds up to the text of all tokens, and never ends inside a character:
/// bytes that do not make up a character yet are held back until the next token completes or refutes them.
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    window: Vec<u32>,
    /// How many bytes of the window's text have been returned.
    shown: usize,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        TextStream { tokenizer, window: vec![], shown: 0 }
    }

    /// The text that this token completes; often one word, sometimes nothing.
    pub fn push(&mut self, id: u32) -> anyhow::Result<String> {
        self.window.push(id);
        let text = self.tokenizer.decode(&self.window)?;
        // Only the last replacement character can still turn into another one; earlier ones are bytes that never were text.
        let complete = text.strip_suffix('\u{FFFD}').unwrap_or(&text);
        let new = complete.get(self.shown..).unwrap_or_default().to_owned();
        self.shown = self.shown.max(complete.len());
        if complete.len() == text.len() && self.window.len() > 2 * KEPT {
            self.window.drain(..self.window.len() - KEPT);
            self.shown = self.tokenizer.decode(&self.window)?.len();
        }
        Ok(new)
    }

    /// What was held back, when no more tokens come.
    pub fn finish(self) -> anyhow::Result<String> {
        let text = self.tokenizer.decode(&self.window)?;
        Ok(text.get(self.shown..).unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Tokenizer, TokenizerFiles};

    /// A vocabulary with a token for every byte.
    fn pocket_gpt2() -> Tokenizer {
        Tokenizer::new(&TokenizerFiles {
            tokenizer_json: include_str!("../../assets/pocket/gpt2/tokenizer.json"),
            tokenizer_config: Some(include_str!("../../assets/pocket/gpt2/tokenizer_config.json")),
            generation_config: None,
            config: None,
            chat_template: None,
            model_name: "pocket:gpt2",
        })
        .unwrap()
    }

    /// The pieces that a stream returns for these bytes, one token each.
    fn streamed(bytes: &[u8]) -> (Vec<String>, String) {
        let tokenizer = pocket_gpt2();
        let table: Vec<(u8, u32)> = (0..256u32).filter_map(|id| Some((byte_of_piece(&tokenizer.piece(id))?, id))).collect();
        let id = |byte: u8| table.iter().find(|(b, _)| *b == byte).unwrap().1;
        let mut stream = tokenizer.stream();
        let pieces = bytes.iter().map(|&b| stream.push(id(b)).unwrap()).collect();
        (pieces, stream.finish().unwrap())
    }

    fn byte_of_piece(piece: &str) -> Option<u8> {
        match piece.strip_prefix('<').and_then(|p| p.strip_suffix('>')) {
            Some(hex) => u8::from_str_radix(hex, 16).ok(),
            None => piece.bytes().next(),
        }
    }

    #[test]
    fn characters_come_whole_or_not_at_all() {
        let check = |bytes: &[u8], pieces: &[&str], rest: &str| {
            assert_eq!(streamed(bytes), (pieces.iter().map(|p| p.to_string()).collect(), rest.to_owned()))
        };
        check(b"ab c", &["a", "b", " ", "c"], "");
        check("—é".as_bytes(), &["", "", "—", "", "é"], "");
        check("🜛!".as_bytes(), &["", "", "", "🜛", "!"], "");
        check(&[b'a', 0xE2, 0x80], &["a", "", ""], "\u{FFFD}");
        check(&[0xE2, b'a', b'b'], &["", "\u{FFFD}a", "b"], "");
        check(&[0x80, 0x80, b'a'], &["", "\u{FFFD}", "\u{FFFD}a"], "");
    }

    #[test]
    fn long_streams_add_up() {
        let text = "“Well,” she said—and stopped. 🜛🜛🜛 Ærø…\n\n".repeat(20);
        let (pieces, rest) = streamed(text.as_bytes());
        assert_eq!(pieces.concat() + &rest, text);
    }
}
