//! Whether there is a token for the Hugging Face hub. Its value is never looked at: voicetune opens no connection.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the hub's own tools would find a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// `HF_TOKEN` is set.
    Environment,
    /// `hf auth login` left one.
    File,
    Absent,
}

impl Token {
    pub fn from_env() -> Token {
        look(|name| std::env::var_os(name), |path| path.metadata().is_ok_and(|m| m.len() > 0))
    }
}

/// In huggingface_hub's order.
fn look(var: impl Fn(&str) -> Option<OsString>, filled: impl Fn(&Path) -> bool) -> Token {
    let set = |name: &str| var(name).filter(|value| !value.is_empty());
    if set("HF_TOKEN").is_some() || set("HUGGING_FACE_HUB_TOKEN").is_some() {
        return Token::Environment;
    }
    let file = set("HF_TOKEN_PATH")
        .map(PathBuf::from)
        .or_else(|| set("HF_HOME").map(|home| PathBuf::from(home).join("token")))
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| PathBuf::from(cache).join("huggingface/token")))
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache/huggingface/token")));
    if file.is_some_and(|file| filled(&file)) { Token::File } else { Token::Absent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_where_the_hub_looks() {
        let check = |vars: &[(&str, &str)], file: &str, expected: Token| {
            let var = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
            assert_eq!(look(var, |path| path == Path::new(file)), expected, "{vars:?}");
        };
        check(&[("HF_TOKEN", "hf_x"), ("HOME", "/home/a")], "", Token::Environment);
        check(&[("HF_TOKEN", ""), ("HOME", "/home/a")], "/home/a/.cache/huggingface/token", Token::File);
        check(&[("HF_HOME", "/data"), ("HOME", "/home/a")], "/home/a/.cache/huggingface/token", Token::Absent);
        check(&[("HF_HOME", "/data")], "/data/token", Token::File);
        check(&[("HF_TOKEN_PATH", "/t"), ("HF_HOME", "/data")], "/t", Token::File);
        check(&[], "", Token::Absent);
    }
}
