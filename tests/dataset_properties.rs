//! What holds of every example, whatever the prose: nothing of the prompt is trained, nothing of the response is lost unreported.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use voicetune::config::{ChatTemplate, Format, Overlong, PlainTemplate, Templates};
use voicetune::dataset::{EncodeProblem, Encoded, Encoder, Part, Reason, Tokenizer, split};
use voicetune::pairs::{Pair, Split, Status, Tier};
use voicetune::run::prepare::find_model;

static LLAMA: LazyLock<Tokenizer> = LazyLock::new(|| pocket("llama"));
static GPT2: LazyLock<Tokenizer> = LazyLock::new(|| pocket("gpt2"));

fn pocket(name: &str) -> Tokenizer {
    find_model(Path::new("."), &format!("pocket:{name}"), "main").unwrap().2.tokenizer
}

/// The three ways in which pairs are encoded: the chat model in both formats, and the plain one.
fn encoders() -> [Encoder<'static>; 3] {
    let templates = Templates {
        plain: PlainTemplate { delimiter: "\n\n---\n\n".into() },
        chat: ChatTemplate { system: String::new(), date_string: "26 Jul 2024".into() },
    };
    let of = |tokenizer, format| Encoder::new(tokenizer, format, &templates).unwrap();
    [of(&LLAMA, Format::Chat), of(&LLAMA, Format::Plain), of(&GPT2, Format::Plain)]
}

/// Words, punctuation and line ends as a writer may leave them: carriage returns, blank lines with blanks, emoji, bidi marks.
fn prose() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z]{1,9} ".prop_map(String::from),
        2 => "\\PC{1,6}".prop_map(String::from),
        1 => prop::sample::select(vec![
            "\n", "\n\n", "\r\n\r\n", "\n \n\n", "  ", "\t", "—", "“", ".”", "…", "---", "\n\n***\n\n", "no", "1:30", "🜛", "👩‍👩‍👧", "\u{200F}", "e\u{301}",
        ]).prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn as_trained(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}

fn trained(tokenizer: &Tokenizer, encoded: &Encoded) -> (Vec<u32>, String) {
    let ids: Vec<u32> = encoded.ids.iter().zip(&encoded.mask).filter(|(_, m)| **m == 1).map(|(id, _)| *id).collect();
    let text = tokenizer.decode(&ids).unwrap();
    (ids, text)
}

fn pair(prompt: &str, response: &str) -> Pair {
    Pair {
        id: "tier3/a".into(),
        tier: Tier::Opening,
        source: "a".into(),
        prompt: prompt.into(),
        response: response.into(),
        status: Status::Ready,
        split: Split::Auto,
        notes: String::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whole_examples_train_the_response_and_nothing_else(prompt in prose(), response in prose()) {
        for (encoder, tokenizer) in encoders().iter().zip([&*LLAMA, &LLAMA, &GPT2]) {
            let encoded = match encoder.pair(&pair(&prompt, &response), usize::MAX, Overlong::CutAtParagraph) {
                Ok(encoded) => encoded,
                Err(EncodeProblem::LeftOut { reason: Reason::EmptyPrompt, .. }) if as_trained(&prompt).is_empty() => continue,
                Err(EncodeProblem::LeftOut { reason: Reason::EmptyResponse, .. }) if as_trained(&response).is_empty() => continue,
                Err(other) => panic!("{other}"),
            };
            prop_assert_eq!(encoded.ids.len(), encoded.mask.len());
            prop_assert_eq!(encoded.ids.len(), encoded.tokens);
            prop_assert_eq!(encoded.cut, None);
            // The context is what generation starts from, to the last id, and carries no loss.
            let context = encoder.prompt(&prompt).unwrap();
            prop_assert_eq!(&encoded.ids[..context.len()], &context);
            prop_assert!(encoded.mask[..context.len()].iter().all(|&m| m == 0));
            prop_assert!(encoded.mask[context.len()..].iter().all(|&m| m == 1));
            // What is trained reads as the response, and then ends, once.
            let (ids, text) = trained(tokenizer, &encoded);
            prop_assert_eq!(text, as_trained(&response));
            prop_assert_eq!(ids.iter().filter(|&&id| tokenizer.is_end(id)).count(), 1);
            prop_assert!(tokenizer.is_end(*ids.last().unwrap()));
            // One start token at most, and first.
            let start = tokenizer.start().to_vec();
            prop_assert_eq!(encoded.ids.iter().filter(|id| start.contains(id)).count(), start.len());
            prop_assert!(encoded.ids.starts_with(&start));
        }
    }

    #[test]
    fn cut_examples_are_prefixes_that_end_with_a_paragraph(prompt in "[a-z]{1,20}", response in prose(), limit in 1usize..200) {
        for (encoder, tokenizer) in encoders().iter().zip([&*LLAMA, &LLAMA, &GPT2]) {
            let of = |limit, overlong| encoder.pair(&pair(&prompt, &response), limit, overlong);
            let Ok(whole) = of(usize::MAX, Overlong::Skip) else { continue };
            let clean = as_trained(&response);
            match of(limit, Overlong::CutAtParagraph) {
                Ok(encoded) if whole.tokens <= limit => prop_assert_eq!(&encoded, &whole),
                Ok(encoded) => {
                    prop_assert!(encoded.ids.len() <= limit);
                    let cut = encoded.cut.unwrap();
                    prop_assert_eq!(encoded.ids.len() + cut.tokens, whole.tokens);
                    let (ids, text) = trained(tokenizer, &encoded);
                    prop_assert!(!ids.iter().any(|&id| tokenizer.is_end(id)), "a cut response must not be trained to end");
                    let rest = clean.strip_prefix(&text).unwrap();
                    let gap = &rest[..rest.len() - rest.trim_start().len()];
                    prop_assert!(gap.matches('\n').count() >= 2, "{:?} is not a paragraph's end", gap);
                    prop_assert!(cut.paragraphs >= 1);
                    // One more paragraph would not have fitted.
                    let next = paragraph_after(&clean, text.len());
                    let longer = encoder.pair(&pair(&prompt, &clean[..next]), usize::MAX, Overlong::Skip).unwrap();
                    prop_assert!(longer.tokens - 1 > limit || next == clean.len());
                }
                Err(EncodeProblem::LeftOut { reason, tokens }) => {
                    prop_assert_eq!((reason, tokens), (Reason::FirstParagraph, whole.tokens));
                    prop_assert!(whole.tokens > limit);
                }
                Err(other) => panic!("{other}"),
            }
            match of(limit, Overlong::Skip) {
                Ok(encoded) => prop_assert_eq!(&encoded, &whole),
                Err(EncodeProblem::LeftOut { reason, tokens }) => {
                    prop_assert_eq!(reason, Reason::TooLong);
                    prop_assert_eq!(tokens, whole.tokens);
                    prop_assert!(tokens > limit);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn streams_add_up_to_the_text(text in prose(), cut in 0usize..40) {
        for tokenizer in [&*LLAMA, &*GPT2] {
            let ids = tokenizer.encode(&text).unwrap();
            let from = cut.min(ids.len()); // above 0, it may be inside a character
            let mut stream = tokenizer.stream();
            let mut shown = String::new();
            for &id in &ids[from..] {
                let piece = stream.push(id).unwrap();
                let broken = piece.contains(char::REPLACEMENT_CHARACTER) && !text.contains(char::REPLACEMENT_CHARACTER);
                prop_assert!(!broken || from > 0);
                shown.push_str(&piece);
            }
            shown.push_str(&stream.finish().unwrap());
            prop_assert_eq!(shown, tokenizer.decode(&ids[from..]).unwrap());
        }
    }

    #[test]
    fn no_source_is_ever_on_both_sides(sources in prop::collection::vec((0u8..12, 0u8..10), 1..60), fraction in 0.0..0.5f64, seed: u64) {
        let pairs: Vec<Pair> = sources.iter().enumerate().map(|(i, &(source, mark))| Pair {
            id: format!("tier2/{i:02}"),
            source: format!("essay-{source}"),
            split: match mark { 0 => Split::Train, 1 => Split::Validation, _ => Split::Auto },
            status: if mark == 9 { Status::Draft } else { Status::Ready },
            ..pair("a", "b")
        }).collect();
        let ready: Vec<&Pair> = pairs.iter().filter(|p| p.status == Status::Ready).collect();
        match split(&pairs, fraction, seed) {
            Ok(parts) => {
                prop_assert_eq!(parts.len(), ready.len());
                let mut sides: BTreeMap<&str, Part> = BTreeMap::new();
                for (pair, part) in &parts {
                    prop_assert_eq!(*sides.entry(&pair.source).or_insert(*part), *part);
                    prop_assert!(!matches!((pair.split, part), (Split::Train, Part::Validation) | (Split::Validation, Part::Train)));
                }
                prop_assert_eq!(split(&pairs, fraction, seed).unwrap(), parts);
            }
            Err(leaks) => for leak in leaks.0 {
                let marked = |wanted| ready.iter().filter(|p| p.source == leak.source && p.split == wanted).count();
                prop_assert_eq!((leak.train.len(), leak.validation.len()), (marked(Split::Train), marked(Split::Validation)));
                prop_assert!(marked(Split::Train) > 0 && marked(Split::Validation) > 0);
            },
        }
    }
}

/// The end of the first paragraph that begins after `at`.
fn paragraph_after(text: &str, at: usize) -> usize {
    let start = at + text[at..].len() - text[at..].trim_start().len();
    let mut end = start;
    for line in text[start..].split_inclusive('\n') {
        if line.trim().is_empty() {
            break;
        }
        end += line.len();
    }
    start + text[start..end].trim_end().len()
}
