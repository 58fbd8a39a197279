//! One pair -> token ids and the mask of what is trained on, born together.
//!
//! An example is the *context* (everything up to where the answer begins) followed by the *answer* (the response and the token
//! that ends it). The context's ids are exactly those that generation starts from; the mask is 0 on all of them and 1 on all of
//! the answer's.
//!
//! Where a tokenizer would merge characters across the boundary, the text as a whole has other ids than its two halves: GPT-2's,
//! for one, has a token for two line feeds, but not when a word follows. Then the halves are encoded apart, since that is what
//! generation will see; [`Encoded::apart`] says so.

use anyhow::{Context, Result, bail, ensure};

use super::template::{ChatTemplate, Message, Role};
use super::text::{clean, paragraph_ends};
use super::tokenizer::Tokenizer;
use crate::config::{Format, Overlong, Templates};
use crate::pairs::Pair;

/// Encodes pairs and prompts for one model in one format.
#[derive(Debug)]
pub struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    frame: Frame,
}

/// A pair as the model is trained on it. `ids` and `mask` are of one length; at least one token is trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub ids: Vec<u32>,
    pub mask: Vec<u8>,
    /// Tokens of the whole pair, end token included; more than `ids` where something was cut.
    pub tokens: usize,
    pub cut: Option<Cut>,
    /// Whether context and answer were encoded apart because the tokenizer would have merged across their boundary.
    pub apart: bool,
}

/// What fell off an overlong response. A cut response has no end token: it is not where the writer ended, and the model must not
/// learn to end there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Tokens that fell off, the end token among them.
    pub tokens: usize,
    pub paragraphs: usize,
}

/// Why a pair has no example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("it is longer than the limit, and `overlong: skip` leaves such pairs out")]
    TooLong,
    #[error("not even the prompt with the response's first paragraph fits the limit")]
    FirstParagraph,
    #[error("the prompt is empty")]
    EmptyPrompt,
    #[error("the response is empty")]
    EmptyResponse,
    #[error("its text contains {0:?}, which this tokenizer reads as a special token: reword it")]
    SpecialToken(String),
}

#[derive(Debug, thiserror::Error)]
pub enum EncodeProblem {
    /// This pair cannot be used with this model; others can.
    #[error("{reason}")]
    LeftOut { reason: Reason, tokens: usize },
    /// The tokenizer or the template is at fault: no pair can be encoded.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

#[derive(Debug)]
enum Frame {
    Chat { template: Box<ChatTemplate>, system: String },
    Plain { delimiter: String },
}

/// What comes before the answer.
struct Prefix {
    text: String,
    ids: Vec<u32>,
}

struct Answer {
    ids: Vec<u32>,
    /// As [`Encoded::apart`].
    apart: bool,
}

impl<'a> Encoder<'a> {
    /// Fails where the model cannot be used in this format: no chat template, a template whose special tokens the tokenizer lacks,
    /// or one that does not let the answer be told from the rest.
    pub fn new(tokenizer: &'a Tokenizer, format: Format, templates: &Templates) -> Result<Self> {
        let frame = match format {
            Format::Plain => Frame::Plain { delimiter: templates.plain.delimiter.clone() },
            Format::Chat => Frame::Chat {
                template: Box::new(ChatTemplate::of(tokenizer, &templates.chat.date_string)?),
                system: clean(&templates.chat.system),
            },
        };
        let encoder = Encoder { tokenizer, frame };
        encoder.probe()?;
        Ok(encoder)
    }

    /// The ids that generation starts from: the context of a pair with this prompt.
    pub fn prompt(&self, prompt: &str) -> Result<Vec<u32>> {
        let prompt = clean(prompt);
        self.refuse_special("prompt", &prompt)?;
        Ok(self.context(&prompt)?.ids)
    }

    /// The ids of a prompt and a whole text that answers it, end token included, as a pair has them; and where the text's begin.
    pub fn answered(&self, prompt: &str, text: &str) -> Result<(Vec<u32>, usize)> {
        let (prompt, text) = (clean(prompt), clean(text));
        self.refuse_special("prompt", &prompt)?;
        self.refuse_special("text", &text)?;
        ensure!(!text.is_empty(), "the text is empty");
        let context = self.context(&prompt)?;
        let answer = self.answer(&context, &prompt, &text)?;
        Ok(([context.ids.as_slice(), &answer.ids].concat(), context.ids.len()))
    }

    /// The token that ends an answer.
    pub fn end(&self) -> Result<u32> {
        let (ids, _) = self.answered("A topic.", "An answer.")?;
        ids.last().copied().context("an answer has an end token")
    }

    fn refuse_special(&self, what: &str, text: &str) -> Result<()> {
        match self.tokenizer.special_in(text) {
            None => Ok(()),
            Some(special) => bail!(
                "the {what} contains {special:?}, which the tokenizer of {} reads as a special token: reword it",
                self.tokenizer.model_name()
            ),
        }
    }

    /// The example of a pair, at most `limit` tokens long.
    ///
    /// Prompt and response are taken without white space at their ends and with LF line ends. A response that is too long is cut
    /// after its last paragraph that fits, and then has no end token; or the pair is left out, by `overlong`.
    pub fn pair(&self, pair: &Pair, limit: usize, overlong: Overlong) -> Result<Encoded, EncodeProblem> {
        let left_out = |reason, tokens| Err(EncodeProblem::LeftOut { reason, tokens });
        let (prompt, response) = (clean(&pair.prompt), clean(&pair.response));
        if let Some(special) = [&prompt, &response].into_iter().find_map(|text| self.tokenizer.special_in(text)) {
            return left_out(Reason::SpecialToken(special.to_owned()), 0);
        }
        if prompt.is_empty() {
            return left_out(Reason::EmptyPrompt, 0);
        }
        if response.is_empty() {
            return left_out(Reason::EmptyResponse, 0);
        }
        let context = self.context(&prompt)?;
        let answer = self.answer(&context, &prompt, &response)?;
        let tokens = context.ids.len() + answer.ids.len();
        if tokens <= limit {
            return Ok(joined(&context, &answer, tokens, None));
        }
        if overlong == Overlong::Skip {
            return left_out(Reason::TooLong, tokens);
        }
        let ends = paragraph_ends(&response);
        let room = limit.saturating_sub(context.ids.len());
        let Some((kept, answer)) = longest_fitting(&ends[..ends.len() - 1], room, |end| self.follow(&context, &response[..end]))? else {
            return left_out(Reason::FirstParagraph, tokens);
        };
        let cut = Cut { tokens: tokens - context.ids.len() - answer.ids.len(), paragraphs: ends.len() - kept };
        Ok(joined(&context, &answer, tokens, Some(cut)))
    }

    fn context(&self, prompt: &str) -> Result<Prefix> {
        let text = match &self.frame {
            Frame::Plain { delimiter } => format!("{prompt}{delimiter}"),
            Frame::Chat { template, system } => template.render(&conversation(system, prompt, None), true)?,
        };
        Ok(Prefix { ids: self.tokenizer.encode_from_start(&text)?, text })
    }

    /// The ids of a whole response and its end token.
    fn answer(&self, context: &Prefix, prompt: &str, response: &str) -> Result<Answer> {
        match &self.frame {
            Frame::Plain { .. } => {
                let mut answer = self.follow(context, response)?;
                answer.ids.push(self.tokenizer.end_of_text());
                Ok(answer)
            }
            Frame::Chat { template, system } => {
                let whole = template.render(&conversation(system, prompt, Some(response)), false)?;
                let name = self.tokenizer.model_name();
                let turn = whole.strip_prefix(&context.text).with_context(|| {
                    format!("the chat template of {name} renders a prompt and an answered prompt differently, so the answer cannot be told apart: use `format: plain`")
                })?;
                ensure!(
                    turn.starts_with(response),
                    "the chat template of {name} changes the response or puts text before it, so what is trained would not be the writer's text: use `format: plain`"
                );
                let mut answer = self.follow(context, turn)?;
                let end = answer.ids.iter().position(|&id| self.tokenizer.is_end(id)).with_context(|| {
                    format!(
                        "the chat template of {name} ends a turn with {:?}, which is no end token of the model: add its id to `eos_token_id` in generation_config.json",
                        &turn[response.len()..]
                    )
                })?;
                answer.ids.truncate(end + 1); // what follows the end token (a line feed in some templates) is never generated
                Ok(answer)
            }
        }
    }

    /// The ids of a text that comes after the context.
    fn follow(&self, context: &Prefix, text: &str) -> Result<Answer> {
        let whole = self.tokenizer.encode_from_start(&format!("{}{text}", context.text))?;
        match whole.strip_prefix(context.ids.as_slice()) {
            Some(ids) => Ok(Answer { ids: ids.to_vec(), apart: false }),
            None => Ok(Answer { ids: self.tokenizer.encode(text)?, apart: true }),
        }
    }

    /// Encodes a harmless pair, so that what is wrong with a model is said before any work is done.
    fn probe(&self) -> Result<()> {
        let (prompt, response) = ("A topic.", "An answer.");
        let context = self.context(prompt)?;
        if let Frame::Chat { template, system } = &self.frame {
            let whole = template.render(&conversation(system, prompt, Some(response)), false)?;
            for marker in markers(&whole) {
                ensure!(
                    self.tokenizer.id(marker).is_some(),
                    "the chat template uses the token {marker}, which tokenizer.json of {} does not have: the two files are not of one model; fetch them again from the same place",
                    self.tokenizer.model_name()
                );
            }
        }
        self.answer(&context, prompt, response).map(drop)
    }
}

fn conversation<'t>(system: &'t str, prompt: &'t str, response: Option<&'t str>) -> Vec<Message<'t>> {
    let system = (!system.is_empty()).then_some(Message { role: Role::System, content: system });
    let user = Message { role: Role::User, content: prompt };
    let assistant = response.map(|content| Message { role: Role::Assistant, content });
    system.into_iter().chain([user]).chain(assistant).collect()
}

fn joined(context: &Prefix, answer: &Answer, tokens: usize, cut: Option<Cut>) -> Encoded {
    let ids = [context.ids.as_slice(), &answer.ids].concat();
    let mut mask = vec![0; context.ids.len()];
    mask.resize(ids.len(), 1);
    Encoded { ids, mask, tokens, cut, apart: answer.apart }
}

/// The longest of the prefixes that `ends` lists (each longer than the one before) whose ids fit into `room`: how many
/// paragraphs it has, and its ids.
fn longest_fitting(ends: &[usize], room: usize, encode: impl Fn(usize) -> Result<Answer>) -> Result<Option<(usize, Answer)>> {
    let (mut low, mut high) = (0, ends.len());
    let mut best = None;
    while low < high {
        let middle = low + (high - low) / 2;
        let answer = encode(ends[middle])?;
        if answer.ids.len() <= room {
            low = middle + 1;
            best = Some((low, answer));
        } else {
            high = middle;
        }
    }
    Ok(best)
}

/// The `<|…|>` marks in a text: the way in which today's templates write special tokens.
fn markers(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("<|").filter_map(|(at, _)| {
        let end = at + text[at..].find("|>")? + 2;
        let marker = &text[at..end];
        (!marker.contains(char::is_whitespace)).then_some(marker)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    const WHOLE: usize = 1000;

    fn encode(format: Format, pair: &Pair, limit: usize, overlong: Overlong) -> Result<Encoded, EncodeProblem> {
        Encoder::new(&tokenizer(), format, &templates()).unwrap().pair(pair, limit, overlong)
    }

    #[test]
    fn chat_trains_the_response_and_its_end_token() {
        let check = |prompt: &str, response: &str, ids: &[u32], context: usize| {
            let encoded = encode(Format::Chat, &pair(prompt, response), WHOLE, Overlong::Skip).unwrap();
            let mask: Vec<u8> = (0..ids.len()).map(|i| u8::from(i >= context)).collect();
            assert_eq!(encoded, Encoded { ids: ids.to_vec(), mask, tokens: ids.len(), cut: None, apart: false });
        };
        check("ab", "cd.", &[BOS, USER, 4, 5, END, ASSISTANT, 6, 7, 3, END], 6);
        check("  ab\n", "\ncd\r\n\r\ne\n", &[BOS, USER, 4, 5, END, ASSISTANT, 6, 7, 0, 0, 8, END], 6);
    }

    #[test]
    fn plain_trains_the_response_and_the_end_of_text() {
        // The tokenizer has a token (30) for the delimiter's last two line feeds, but not when a letter follows.
        let encoded = encode(Format::Plain, &pair("ab", "c"), WHOLE, Overlong::Skip).unwrap();
        assert_eq!(encoded.ids, [BOS, 4, 5, 0, 0, 2, 2, 2, 30, 6, END]);
        assert_eq!(encoded.mask, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert!(encoded.apart);
    }

    #[test]
    fn generation_starts_from_the_context_that_was_trained() {
        let tokenizer = tokenizer();
        for format in [Format::Chat, Format::Plain] {
            let encoder = Encoder::new(&tokenizer, format, &templates()).unwrap();
            let prompt = encoder.prompt("ab.\n").unwrap();
            let encoded = encoder.pair(&pair("ab.", "cd"), WHOLE, Overlong::Skip).unwrap();
            let context = encoded.mask.iter().filter(|&&m| m == 0).count();
            assert_eq!(prompt, encoded.ids[..context]);
        }
    }

    #[test]
    fn a_text_is_scored_as_it_would_be_trained_on() {
        let tokenizer = tokenizer();
        for format in [Format::Chat, Format::Plain] {
            let encoder = Encoder::new(&tokenizer, format, &templates()).unwrap();
            let encoded = encoder.pair(&pair("ab.", "cd\n\ne"), WHOLE, Overlong::Skip).unwrap();
            let (ids, from) = encoder.answered("ab.\n", " cd\r\n\r\ne\n").unwrap();
            assert_eq!((ids.as_slice(), from), (encoded.ids.as_slice(), encoded.mask.iter().filter(|&&m| m == 0).count()));
            assert_eq!(encoder.end().unwrap(), END);
            assert!(encoder.answered("a", "b <|end|> c").unwrap_err().to_string().contains("the text contains \"<|end|>\""));
            assert_eq!(encoder.answered("a", " \n").unwrap_err().to_string(), "the text is empty");
        }
    }

    #[test]
    fn a_system_prompt_is_context() {
        let mut templates = templates();
        templates.chat.system = "z\n".into();
        let tokenizer = tokenizer();
        let ids = Encoder::new(&tokenizer, Format::Chat, &templates).unwrap().prompt("a").unwrap();
        assert_eq!(ids, [BOS, SYSTEM, 29, END, USER, 4, END, ASSISTANT]);
    }

    #[test]
    fn a_template_without_bos_gets_the_tokenizers() {
        let template = TEMPLATE.strip_prefix("{{ bos_token }}").unwrap();
        let tokenizer = tokenizer_with(template);
        assert_eq!(Encoder::new(&tokenizer, Format::Chat, &templates()).unwrap().prompt("a").unwrap(), [BOS, USER, 4, END, ASSISTANT]);
    }

    #[test]
    fn what_follows_the_end_token_is_not_trained() {
        let tokenizer = tokenizer_with(&TEMPLATE.replace("<|end|>", "<|end|>{{ '\\n' }}"));
        let encoded = Encoder::new(&tokenizer, Format::Chat, &templates()).unwrap().pair(&pair("a", "b"), WHOLE, Overlong::Skip).unwrap();
        assert_eq!(encoded.ids, [BOS, USER, 4, END, 0, ASSISTANT, 5, END]);
        assert_eq!(encoded.mask, [0, 0, 0, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn long_responses_are_cut_at_a_paragraph_end_and_do_not_end_there() {
        // 5 tokens of context; the answer is b, two line feeds, c, two line feeds, d, end: 8 tokens.
        let long = pair("a", "b\n\nc\n\nd");
        let check = |limit, answer: &[u32], cut| {
            let encoded = encode(Format::Chat, &long, limit, Overlong::CutAtParagraph).unwrap();
            let context = [BOS, USER, 4, END, ASSISTANT];
            assert_eq!(encoded.ids, [&context, answer].concat(), "limit {limit}");
            assert_eq!(encoded.mask, [vec![0; 5], vec![1; answer.len()]].concat());
            assert_eq!((encoded.cut, encoded.tokens), (cut, 13));
        };
        check(13, &[5, 0, 0, 6, 0, 0, 7, END], None);
        check(12, &[5, 0, 0, 6], Some(Cut { tokens: 4, paragraphs: 1 }));
        check(9, &[5, 0, 0, 6], Some(Cut { tokens: 4, paragraphs: 1 }));
        check(8, &[5], Some(Cut { tokens: 7, paragraphs: 2 }));
        check(6, &[5], Some(Cut { tokens: 7, paragraphs: 2 }));
    }

    #[test]
    fn pairs_that_cannot_be_used_say_why() {
        let check = |prompt: &str, response: &str, limit, overlong, expected: Reason, expected_tokens| match encode(
            Format::Chat,
            &pair(prompt, response),
            limit,
            overlong,
        ) {
            Err(EncodeProblem::LeftOut { reason, tokens }) => assert_eq!((reason, tokens), (expected, expected_tokens)),
            other => panic!("{other:?}"),
        };
        use Overlong::{CutAtParagraph, Skip};
        check("a", "b\n\nc", 9, Skip, Reason::TooLong, 10);
        check("a", "b\n\nc", 5, CutAtParagraph, Reason::FirstParagraph, 10);
        check("a", "b", 6, CutAtParagraph, Reason::FirstParagraph, 7);
        check("a", "b\n\nc", 0, CutAtParagraph, Reason::FirstParagraph, 10);
        check(" \n", "b", WHOLE, Skip, Reason::EmptyPrompt, 0);
        check("a", "\n", WHOLE, Skip, Reason::EmptyResponse, 0);
        check("a", "b <|end|> c", WHOLE, Skip, Reason::SpecialToken("<|end|>".into()), 0);
    }

    #[test]
    fn unusable_templates_are_refused_before_any_pair() {
        let check = |template: &str, expected: &[&str]| {
            let tokenizer = tokenizer_with(template);
            let message = format!("{:#}", Encoder::new(&tokenizer, Format::Chat, &templates()).unwrap_err());
            for part in expected {
                assert!(message.contains(part), "{message}");
            }
        };
        check(&TEMPLATE.replace("<|end|>", "<|eot_id|>"), &["<|eot_id|>", "tokenizer.json of tiny"]);
        check(&TEMPLATE.replace("<|end|>", "<|user|>"), &["tiny ends a turn with \"<|user|>\"", "generation_config.json"]);
        check(&TEMPLATE.replace("{{ m.content }}", "{{ m.content | upper }}"), &["changes the response"]);
        check("{{ messages | length }}{{ messages[-1].content }}<|end|>", &["renders a prompt and an answered prompt differently"]);
    }

    #[test]
    fn markers_are_found() {
        let check = |text: &str, expected: &[&str]| assert_eq!(markers(text).collect::<Vec<_>>(), expected);
        check("<|a|>x<|b_1|>\n", &["<|a|>", "<|b_1|>"]);
        check("a <| b |> and <| alone", &[]);
    }
}
