//! A model's own chat template (Jinja, as Hugging Face writes it), rendered to text.
//!
//! Templates come with downloaded models, so they run with bounded work and output. The date they may ask for is pinned: the
//! same pair must give the same tokens tomorrow.

use std::io;

use anyhow::{Context, Result, anyhow};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind};

use super::tokenizer::Tokenizer;

/// Instructions that one rendering may take; a conversation of three messages needs a few hundred.
const FUEL: u64 = 10_000_000;
/// Bytes that one rendering may write. The longest essay is far below.
const MAX_OUTPUT: usize = 16 << 20;
/// The date format of Llama's templates, in which the pinned date is written.
const DATE_FORMAT: &str = "%d %b %Y";
const NAME: &str = "chat_template";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    pub role: Role,
    pub content: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// A compiled chat template with the variables that do not change from one conversation to the next.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    model_name: String,
}

impl ChatTemplate {
    /// Compiles the tokenizer's template. `date` is what the template gets as `date_string` and from `strftime_now`.
    pub fn of(tokenizer: &Tokenizer, date: &str) -> Result<Self> {
        let source = tokenizer.chat_template().with_context(|| {
            format!(
                "{} has no chat template, so it cannot be trained with `format: chat`: take its Instruct variant, or set `format: plain`",
                tokenizer.model_name()
            )
        })?;
        let mut environment = Environment::new();
        // As transformers sets up Jinja.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|e| anyhow!("{e:#}"))?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", tojson);
        environment.add_function("raise_exception", raise_exception);
        let pinned = date.to_owned();
        environment.add_function("strftime_now", move |format: String| strftime_pinned(&pinned, &format));
        environment.add_global("date_string", date);
        environment.add_global("tools", ());
        environment.add_global("documents", ());
        for (name, token) in tokenizer.special_tokens() {
            environment.add_global(name.clone(), token.clone());
        }
        let model_name = tokenizer.model_name().to_owned();
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|e| anyhow!("{}", describe(&e)))
            .with_context(|| format!("the chat template of {model_name} cannot be read"))?;
        Ok(ChatTemplate { environment, model_name })
    }

    /// The text of a conversation; with `generation_prompt`, up to where the assistant's next answer begins.
    pub fn render(&self, messages: &[Message], generation_prompt: bool) -> Result<String> {
        let messages: Value = messages.iter().map(|m| minijinja::context! { role => m.role.name(), content => m.content }).collect();
        let variables = minijinja::context! { messages, add_generation_prompt => generation_prompt };
        let mut output = Bounded(vec![]);
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render_captured_to(variables, &mut output).map(drop))
            .map_err(|e| anyhow!("{}", describe(&e)))
            .with_context(|| format!("the chat template of {} cannot render this conversation", self.model_name))?;
        String::from_utf8(output.0).with_context(|| format!("the chat template of {} wrote bytes that are not text", self.model_name))
    }
}

/// A buffer that refuses to grow without end.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::Error::other(format!("it writes more than {} MiB", MAX_OUTPUT >> 20)));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The message, its line in the template, and its causes, on one line.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, format!("the template says: {message}")))
}

/// Python's `datetime.now().strftime(format)` on the pinned day, at midnight.
fn strftime_pinned(date: &str, format: &str) -> Result<String, Error> {
    if format == DATE_FORMAT {
        return Ok(date.to_owned());
    }
    let invalid = |e: jiff::Error| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!(
                "the template asks for the date as {format:?}, which {date:?} cannot be written as; set `date_string` in templates.yaml to a date such as \"26 Jul 2024\" ({e})"
            ),
        )
    };
    let day = jiff::civil::Date::strptime(DATE_FORMAT, date).map_err(invalid)?;
    jiff::fmt::strtime::format(format, day.at(0, 0, 0, 0)).map_err(invalid)
}

/// Python's `json.dumps(value, ensure_ascii=False)`, which transformers puts in the place of Jinja's filter: that one also
/// escapes four characters for HTML, and this takes it back.
fn tojson(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let escaped = minijinja::filters::tojson(value, indent, options)?.to_string();
    let mut json = String::with_capacity(escaped.len());
    let mut rest = escaped.as_str();
    while let Some(at) = rest.find('\\') {
        json.push_str(&rest[..at]);
        let (html, length) = match rest.get(at..at + 6) {
            Some("\\u003c") => ("<", 6),
            Some("\\u003e") => (">", 6),
            Some("\\u0026") => ("&", 6),
            Some("\\u0027") => ("'", 6),
            // A backslash and what it escapes stay together, so that `\\u003c` (an escaped backslash) is left alone.
            _ => (&rest[at..at + 2], 2),
        };
        json.push_str(html);
        rest = &rest[at + length..];
    }
    json.push_str(rest);
    Ok(Value::from_safe_string(json))
}

#[cfg(test)]
mod tests {
    use super::super::testing::tokenizer_with;
    use super::*;

    const USER: Message = Message { role: Role::User, content: " Hi & \"bye\" " };

    fn render(template: &str, date: &str) -> Result<String> {
        ChatTemplate::of(&tokenizer_with(template), date)?.render(&[USER], true)
    }

    #[test]
    fn templates_render_as_transformers_renders_them() {
        let check = |template: &str, expected: &str| assert_eq!(render(template, "26 Jul 2024").unwrap(), expected, "{template}");
        check("{{ bos_token }}{{ eos_token }}{{ pad_token }}", "<|bos|><|end|>");
        check("  {% if tools is none %}\n  yes\n  {% endif %}\nend\n", "  yes\nend");
        check("{{ messages[0]['content'] | trim }}|{{ messages[0].content.strip().split(' ')[0] }}", "Hi & \"bye\"|Hi");
        check("{{ messages[0] | tojson }}", r#"{"role": "user", "content": " Hi & \"bye\" "}"#);
        check(r#"{{ ['<a>', "it's", '\\u003c', 'é'] | tojson }}"#, r#"["<a>", "it's", "\\u003c", "é"]"#);
        check("{% set ns = namespace(n=0) %}{% for m in messages[0:] %}{% set ns.n = ns.n + 1 + loop.index0 %}{% endfor %}{{ ns.n }}", "1");
        check("{{ date_string }}|{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%Y-%m-%d') }}", "26 Jul 2024|26 Jul 2024|2024-07-26");
        check("{{ custom_tools is defined }}{{ strftime_now is defined }}{{ add_generation_prompt }}", "FalseTrueTrue");
        check("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}x{% endfor %}", "");
    }

    #[test]
    fn faults_say_whose_template_it_is_and_where() {
        let check = |template: &str, date: &str, expected: &[&str]| {
            let message = format!("{:#}", render(template, date).unwrap_err());
            for part in expected {
                assert!(message.contains(part), "{message}");
            }
        };
        check("line\n{% if %}", "x", &["chat template of tiny", "chat_template:2"]);
        check("{{ raise_exception('roles must alternate') }}", "x", &["chat template of tiny", "roles must alternate"]);
        check("{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}", "x", &["fuel"]);
        check("{% set s = 'x' * 100000 %}{% for i in range(1000) %}{{ s }}{% endfor %}", "x", &["chat template of tiny"]);
        check("{{ strftime_now('%Y') }}", "midsummer", &["midsummer", "templates.yaml"]);
    }
}
