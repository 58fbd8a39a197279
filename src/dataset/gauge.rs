//! How much of one pair a model is trained on, told in places of the writer's own texts.

use std::ops::Range;

use super::encode::{Cut, EncodeProblem, Encoder, Reason};
use super::text::{clean, original, paragraph_ends};
use crate::config::Overlong;
use crate::pairs::Pair;

/// One pair measured for one model. Ranges are in characters (Unicode scalar values) of the texts as they stand in the pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauge {
    /// Tokens of the whole pair, end token included; 0 where they were not counted.
    pub tokens: usize,
    pub limit: usize,
    /// What the model is given of the prompt, untrained: all but the white space at its ends, or nothing.
    pub context: Range<usize>,
    /// What it is trained on of the response. A cut falls at its end.
    pub trained: Range<usize>,
    pub fit: Fit,
}

/// How a pair goes into the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// All of it, and the end token is trained.
    Whole,
    /// The beginning of its response, without an end token.
    Cut(Cut),
    /// The model is not trained on it.
    Left(Reason),
    /// The tokenizer or the template failed, with the error's words.
    Failed(String),
}

impl Gauge {
    /// Measures a pair, whatever its status. The work is that of encoding it: see [`Encoder::pair`].
    pub fn of(pair: &Pair, encoder: &Encoder, limit: usize, overlong: Overlong) -> Gauge {
        let nothing = |tokens, fit| Gauge { tokens, limit, context: 0..0, trained: 0..0, fit };
        let encoded = match encoder.pair(pair, limit, overlong) {
            Ok(encoded) => encoded,
            Err(EncodeProblem::LeftOut { reason, tokens }) => return nothing(tokens, Fit::Left(reason)),
            Err(EncodeProblem::Failed(error)) => return nothing(0, Fit::Failed(format!("{error:#}"))),
        };
        let response = clean(&pair.response);
        let ends = paragraph_ends(&response);
        let (fit, end) = match encoded.cut {
            None => (Fit::Whole, response.len()),
            Some(cut) => {
                let kept = ends.len() - cut.paragraphs;
                (Fit::Cut(cut), kept.checked_sub(1).map_or(0, |last| ends[last]))
            }
        };
        Gauge {
            tokens: encoded.tokens,
            limit,
            context: original(&pair.prompt, clean(&pair.prompt).len()),
            trained: original(&pair.response, end),
            fit,
        }
    }

    /// The place in the response where it is cut, if it is.
    pub fn cut_at(&self) -> Option<usize> {
        matches!(self.fit, Fit::Cut(_)).then_some(self.trained.end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{pair, templates, tokenizer};
    use super::*;
    use crate::config::Format;

    fn gauge(pair: &Pair, limit: usize, overlong: Overlong) -> Gauge {
        Gauge::of(pair, &Encoder::new(&tokenizer(), Format::Chat, &templates()).unwrap(), limit, overlong)
    }

    #[test]
    fn the_cut_is_a_place_in_the_writers_own_text() {
        // 5 tokens of context; the answer is b, two line feeds, c, two line feeds, d, end: 8 tokens.
        let pair = pair("\r\n a\n", "\n  b\r\n\r\nc\r\n \r\nd\r\n");
        let check = |limit, trained: &str, fit, cut_at| {
            let gauge = gauge(&pair, limit, Overlong::CutAtParagraph);
            let text: String = pair.response.chars().skip(gauge.trained.start).take(gauge.trained.len()).collect();
            assert_eq!((text.as_str(), gauge.cut_at()), (trained, cut_at), "limit {limit}");
            assert_eq!(gauge, Gauge { tokens: 14, limit, context: 3..4, trained: gauge.trained.clone(), fit });
        };
        check(14, "b\r\n\r\nc\r\n \r\nd", Fit::Whole, None);
        check(13, "b\r\n\r\nc", Fit::Cut(Cut { tokens: 5, paragraphs: 1 }), Some(9));
        check(6, "b", Fit::Cut(Cut { tokens: 8, paragraphs: 2 }), Some(4));
    }

    #[test]
    fn a_pair_that_is_left_out_says_why_and_trains_nothing() {
        let check = |pair: &Pair, overlong, tokens, reason| {
            let expected = Gauge { tokens, limit: 6, context: 0..0, trained: 0..0, fit: Fit::Left(reason) };
            assert_eq!(gauge(pair, 6, overlong), expected);
        };
        check(&pair("a", "b\n\nc"), Overlong::Skip, 10, Reason::TooLong);
        check(&pair("a", "bc"), Overlong::CutAtParagraph, 8, Reason::FirstParagraph);
        check(&pair("a", " \n"), Overlong::CutAtParagraph, 0, Reason::EmptyResponse);
        check(&pair("a<|end|>", "b"), Overlong::CutAtParagraph, 0, Reason::SpecialToken("<|end|>".into()));
    }
}
