//! Strict YAML: text -> a serde type, and every error of the parser as a line and a sentence a writer can act on.

use std::path::Path;

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_yaml::{Error, Spanned};

use super::bounded;

/// What is wrong with a YAML text, and the line (counted from 1) where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub line: Option<usize>,
    pub message: String,
}

impl Fault {
    pub fn at(line: usize, message: impl Into<String>) -> Self {
        Fault { line: Some(line), message: message.into() }
    }
}

/// Reads one YAML document. Unknown keys are refused where `T` says `deny_unknown_fields`.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    // The parser's own source excerpts span several lines; `explain` quotes the one line instead.
    let options = serde_yaml::options! { with_snippet: false };
    serde_yaml::from_str_with_options(text, options).map_err(|error| explain(&error, text))
}

/// Reads a file as text: a byte that is not UTF-8 is an error with its line.
pub fn read_text(path: &Path) -> Result<String, Fault> {
    let bytes = bounded::read(path, bounded::PROSE).map_err(|error| Fault { line: None, message: format!("cannot be read: {error}") })?;
    decode(bytes)
}

/// Bytes as UTF-8 text, or the line of the first byte that is not.
pub fn decode(bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..good].iter().filter(|&&b| b == b'\n').count();
        Fault::at(line, "is not UTF-8 text; save the file as UTF-8")
    })
}

/// A key that may be absent, which gives its default, but not empty: `epochs:` with nothing behind it is an error, not a default.
#[derive(Debug)]
pub struct Given<T>(Option<Spanned<T>>);

impl<T> Default for Given<T> {
    fn default() -> Self {
        Given(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(|value| Given(Some(value)))
    }
}

impl<T> Given<T> {
    pub fn get(&self) -> Option<&T> {
        self.0.as_ref().map(|given| &given.value)
    }

    pub fn line(&self) -> Option<usize> {
        self.0.as_ref().map(line_of)
    }

    pub fn or(self, default: T) -> T {
        self.0.map_or(default, |given| given.value)
    }

    /// The value where it was given, checked, else the default; `allowed` completes "`key` must be …".
    pub fn within(self, key: &str, default: T, allowed: &str, ok: impl Fn(&T) -> bool) -> Result<T, Fault>
    where
        T: std::fmt::Debug,
    {
        match self.0 {
            Some(given) if !ok(&given.value) => {
                Err(Fault::at(line_of(&given), format!("`{key}` must be {allowed}, not {:?}", given.value)))
            }
            given => Ok(given.map_or(default, |given| given.value)),
        }
    }

    /// The value of a key that has no default.
    pub fn required(self, key: &str) -> Result<T, Fault> {
        match self.0 {
            Some(given) => Ok(given.value),
            None => Err(Fault { line: None, message: format!("the key `{key}` is missing; add it") }),
        }
    }
}

/// The line a value stands on.
pub fn line_of<T>(value: &Spanned<T>) -> usize {
    value.referenced.line() as usize
}

/// `did you mean …` for a word near one of `known`, else the list of what there is.
pub fn suggest<S: AsRef<str>>(word: &str, known: &[S]) -> String {
    let near = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), &k.as_ref().to_lowercase()), k.as_ref()))
        .filter(|&(distance, k)| distance <= (word.chars().count().max(k.chars().count()) / 3).max(1))
        .min_by_key(|&(distance, _)| distance);
    match near {
        Some((_, k)) => format!("did you mean `{k}`?"),
        None => format!("there is {}", known.iter().map(|k| format!("`{}`", k.as_ref())).collect::<Vec<_>>().join(", ")),
    }
}

fn explain(error: &Error, text: &str) -> Fault {
    let error = error.without_snippet();
    let line = error.location().map(|l| l.line() as usize).filter(|&n| n > 0);
    match (error, document_break(text)) {
        // What stands below such a line is not read, so that its keys seem to be missing.
        (Error::SerdeMissingField { .. } | Error::MultipleDocuments { .. }, Some(at)) => {
            Fault::at(at, "this line ends the document, as it is not indented; indent it like the text around it")
        }
        _ => Fault { line, message: message(error, &quote(text, line)) },
    }
}

/// The first line `---` or `...` at the left edge that has something above it.
fn document_break(text: &str) -> Option<usize> {
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| line.is_empty() || line.starts_with(['#', '-', '%']));
    let at = lines.find(|(_, line)| matches!(line.split_whitespace().next(), Some("---" | "...")) && !line.starts_with([' ', '\t']))?.0;
    Some(at + 1)
}

/// The sentence for one parser error; `here` is the line it points at, quoted.
fn message(error: &Error, here: &str) -> String {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => format!("unknown key `{field}`; {}", suggest(field, expected)),
        Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing; add it"),
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{here}`{variant}` is not allowed; it is one of {}", expected.join(", "))
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` is given twice; keep one of them"),
        Error::DuplicateMappingKey { key: None, .. } => "a key is given twice; keep one of them".into(),
        Error::NullIntoString { .. } => format!("{here}there is no value; write one, or \"\" for an empty text"),
        Error::InvalidScalar { ty, .. } => format!("{here}expected {}", plain_type(ty)),
        // Where a word may stand as well as a number; a field of numbers alone takes them, and its limits refuse them.
        Error::NonFiniteFloat { .. } => format!("{here}expected a finite number"),
        Error::SerdeInvalidType { expected, .. } | Error::SerdeInvalidValue { expected, .. } => {
            format!("{here}expected {}", plain_type(expected))
        }
        Error::SerdeInvalidLength { len, expected, .. } => format!("{here}expected {expected}, found {len}"),
        Error::Unexpected { expected, .. } => format!("{here}expected {}", plain_type(expected)),
        Error::Eof { .. } => "the file is empty; write its keys, or delete the file".into(),
        Error::Message { msg, .. } => format!("{here}{msg}"),
        Error::ExternalMessage { msg, .. } => format!("{here}this is not YAML: {msg}"),
        other => format!("{here}{}", other.render()),
    }
}

/// A Rust type's name in the words of someone who edits a file.
fn plain_type(ty: &str) -> &str {
    match ty {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number, 0 or above",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" | "floating point" => "a number",
        "bool" | "boolean" => "true or false",
        "mapping start" => "keys and values, not a single value",
        "sequence start" => "a list, such as [a, b]",
        "string" => "text",
        "string scalar" | "scalar" => "a single value",
        record if record.starts_with("struct ") => "keys and values, not a single value",
        other => other,
    }
}

/// A line of the text to put before a message, shortened, as "`rank: x`: ".
fn quote(text: &str, line: Option<usize>) -> String {
    const WIDTH: usize = 60;
    let Some(content) = line.and_then(|n| text.lines().nth(n - 1)).map(str::trim).filter(|l| !l.is_empty()) else {
        return String::new();
    };
    let mut short: String = content.chars().take(WIDTH).collect();
    if content.chars().count() > WIDTH {
        short.push('…');
    }
    format!("`{short}`: ")
}
