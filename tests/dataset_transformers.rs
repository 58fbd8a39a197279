//! Token ids and rendered conversations against Hugging Face transformers; see fixtures/dataset/make.py.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use voicetune::config::{self, Format, Overlong, PlainTemplate, Templates};
use voicetune::dataset::{ChatTemplate, Encoder, Message, Role, Tokenizer, TokenizerFiles};
use voicetune::pairs::{Pair, Split, Status, Tier};
use voicetune::run::prepare::find_model;

const DATE: &str = "26 Jul 2024";

#[derive(Deserialize)]
struct Fixture {
    texts: Vec<Text>,
    conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
struct Text {
    model: String,
    text: String,
    ids: Vec<u32>,
    with_specials: Vec<u32>,
}

#[derive(Deserialize)]
struct Conversation {
    template: String,
    messages: Vec<(String, String)>,
    generation_prompt: bool,
    text: String,
    ids: Vec<u32>,
}

impl Conversation {
    fn messages(&self) -> Vec<Message<'_>> {
        let role = |name: &str| [Role::System, Role::User, Role::Assistant].into_iter().find(|r| r.name() == name).unwrap();
        self.messages.iter().map(|(name, content)| Message { role: role(name), content }).collect()
    }
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn fixture() -> Fixture {
    serde_json::from_str(&fs::read_to_string(root().join("tests/fixtures/dataset/transformers.json")).unwrap()).unwrap()
}

fn pocket(name: &str) -> Tokenizer {
    find_model(&root(), &format!("pocket:{name}"), "main").unwrap().2.tokenizer
}

/// The pocket Llama's tokenizer with its own template or one of the fixtures'.
fn llama_with(template: &str) -> Tokenizer {
    let folder = root().join("assets/pocket/llama");
    if template == "pocket" {
        return pocket("llama");
    }
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let template = read(&root().join(format!("tests/fixtures/dataset/{template}.jinja")));
    Tokenizer::new(&TokenizerFiles {
        tokenizer_json: &read(&folder.join("tokenizer.json")),
        tokenizer_config: Some(&read(&folder.join("tokenizer_config.json"))),
        generation_config: Some(&read(&folder.join("generation_config.json"))),
        config: None,
        chat_template: Some(&template),
        model_name: "pocket:llama",
    })
    .unwrap()
}

#[test]
fn texts_have_the_same_ids() {
    for case in fixture().texts {
        let tokenizer = pocket(&case.model);
        assert_eq!(tokenizer.encode(&case.text).unwrap(), case.ids, "{} {:?}", case.model, case.text);
        assert_eq!(tokenizer.encode_from_start(&case.text).unwrap(), case.with_specials, "{} {:?}", case.model, case.text);
        assert_eq!(tokenizer.decode(&case.with_specials).unwrap(), case.text);
    }
}

#[test]
fn conversations_render_to_the_same_text_and_ids() {
    let cases = fixture().conversations;
    assert!(cases.len() >= 40);
    for case in cases {
        let tokenizer = llama_with(&case.template);
        let text = ChatTemplate::of(&tokenizer, DATE).unwrap().render(&case.messages(), case.generation_prompt).unwrap();
        assert_eq!(text, case.text, "{}", case.template);
        assert_eq!(tokenizer.encode_from_start(&text).unwrap(), case.ids, "{}", case.template);
    }
}

/// Prompt-only and answered conversations of the fixture are the context and the whole of an example.
#[test]
fn examples_are_the_same_conversations() {
    let cases = fixture().conversations;
    let find = |template: &str, messages: &[(String, String)], generation_prompt| {
        cases.iter().find(|c| c.template == template && c.messages == messages && c.generation_prompt == generation_prompt).unwrap()
    };
    let mut checked = 0;
    for template in ["pocket", "llama-3-like", "llama-3.1-like"] {
        let tokenizer = llama_with(template);
        for whole in cases.iter().filter(|c| c.template == template && c.messages.len() == 2 && c.messages[1].0 == "assistant") {
            let context = find(template, &whole.messages[..1], true);
            let whole = find(template, &whole.messages, false);
            let templates = Templates {
                plain: PlainTemplate { delimiter: "\n\n---\n\n".into() },
                chat: config::ChatTemplate { system: String::new(), date_string: DATE.into() },
            };
            let encoder = Encoder::new(&tokenizer, Format::Chat, &templates).unwrap();
            let encoded = encoder.pair(&pair(&whole.messages[0].1, &whole.messages[1].1), 4096, Overlong::Skip).unwrap();
            assert_eq!(encoded.ids, whole.ids, "{template}");
            let untrained = encoded.mask.iter().take_while(|&&m| m == 0).count();
            assert_eq!(encoded.ids[..untrained], context.ids);
            assert!(encoded.mask[untrained..].iter().all(|&m| m == 1));
            assert!(!encoded.apart);
            checked += 1;
        }
    }
    assert!(checked >= 3);
}

fn pair(prompt: &str, response: &str) -> Pair {
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
