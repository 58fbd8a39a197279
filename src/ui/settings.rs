//! `~/.config/voicetune/config.yaml`: the writer's own theme, keys and frame rate.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

use super::keys::Keymap;
use crate::config::yaml;

/// Every setting with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub theme: ThemeChoice,
    /// Frames a second for what changes by itself; what is typed is shown at once.
    pub frame_rate: u32,
    /// Keys by the name of the action; they replace the built-in ones.
    pub keys: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// By what the terminal says of itself.
    #[default]
    Auto,
    Dark,
    Light,
    /// The terminal's own sixteen colours.
    Sixteen,
    /// No colour at all.
    Mono,
}

/// Over SSH every frame has to travel.
const LOCAL_RATE: u32 = 30;
const SSH_RATE: u32 = 10;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    theme: ThemeChoice,
    frame_rate: Option<u32>,
    keys: BTreeMap<String, Keys>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Keys {
    One(String),
    Some(Vec<String>),
}

impl Settings {
    /// Reads the file where there is one.
    pub fn read() -> Result<(Settings, Keymap)> {
        let text = match path() {
            Some(path) if path.exists() => {
                let text = yaml::read_text(&path).map_err(|fault| anyhow!("{}: {}", path.display(), fault.message))?;
                Some((path, text))
            }
            _ => None,
        };
        match text {
            Some((path, text)) => parse(&path, &text),
            None => parse(Path::new(""), ""),
        }
    }
}

/// `$XDG_CONFIG_HOME/voicetune/config.yaml`, or the same below `~/.config`.
pub fn path() -> Option<PathBuf> {
    let base = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".config")))?;
    Some(base.join("voicetune").join("config.yaml"))
}

/// The settings and keys that the text of the file at `path` asks for.
pub fn parse(path: &Path, text: &str) -> Result<(Settings, Keymap)> {
    let raw: Raw = match text.trim().is_empty() {
        true => Raw::default(),
        false => yaml::parse(text).map_err(|fault| match fault.line {
            Some(line) => anyhow!("{}:{line}: {}", path.display(), fault.message),
            None => anyhow!("{}: {}", path.display(), fault.message),
        })?,
    };
    let over_ssh = env::var_os("SSH_CONNECTION").is_some();
    let default_rate = if over_ssh { SSH_RATE } else { LOCAL_RATE };
    let frame_rate = raw.frame_rate.unwrap_or(default_rate);
    if !(1..=120).contains(&frame_rate) {
        return Err(anyhow!("{}: `frame_rate: {frame_rate}` must be 1 to 120", path.display()));
    }
    let keys = raw.keys.into_iter().map(|(name, keys)| match keys {
        Keys::One(key) => (name, vec![key]),
        Keys::Some(keys) => (name, keys),
    });
    let settings = Settings { theme: raw.theme, frame_rate, keys: keys.collect() };
    let keymap =
        Keymap::new(&settings.keys).map_err(|message| anyhow!("{message}")).with_context(|| format!("{}: `keys`", path.display()))?;
    Ok((settings, keymap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_refused() {
        let path = Path::new("config.yaml");
        let text = "theme: light\nframe_rate: 5\nkeys:\n  quit: Q\n  help: [f1, ctrl-q]\n  sort: []\n";
        let (settings, _) = parse(path, "theme: light\nframe_rate: 5\nkeys: {quit: Q, help: [f1, '?'], sort: []}\n").unwrap();
        assert_eq!((settings.theme, settings.frame_rate), (ThemeChoice::Light, 5));
        assert_eq!(settings.keys["help"], ["f1", "?"]);
        assert!(parse(path, text).is_ok(), "a key that was freed can be used again");

        let refused = |text: &str| format!("{:#}", parse(path, text).unwrap_err());
        assert!(refused("them: dark\n").contains("theme"), "{}", refused("them: dark\n"));
        assert!(refused("theme: blue\n").starts_with("config.yaml:1: "), "{}", refused("theme: blue\n"));
        assert_eq!(refused("frame_rate: 0\n"), "config.yaml: `frame_rate: 0` must be 1 to 120");
        assert_eq!(
            refused("keys: {quit: '?'}\n"),
            "config.yaml: `keys`: the key `?` is for `help` and for `quit`; give one of them another"
        );
    }
}
