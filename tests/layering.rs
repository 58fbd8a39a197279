//! Holds the package to docs/architecture.md: which module may import which, where candle and `unsafe` may be named, and how long a
//! file may be. It reads the paths in the sources, `use` lines and inline paths alike, without compiling them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// A module at the root of the crate and what it may name outside itself: modules, or single paths below them.
struct Layer {
    module: &'static str,
    may_import: &'static [&'static str],
    may_name_candle: bool,
}

const LAYERS: &[Layer] = &[
    Layer { module: "config", may_import: &[], may_name_candle: false },
    Layer { module: "pairs", may_import: &["config"], may_name_candle: false },
    Layer { module: "dataset", may_import: &["pairs", "config"], may_name_candle: false },
    Layer { module: "engine", may_import: &["dataset::batch", "config"], may_name_candle: true },
    Layer { module: "hub", may_import: &["config", "engine::weights"], may_name_candle: false },
    Layer { module: "run", may_import: &["config", "pairs", "dataset", "engine", "hub"], may_name_candle: true },
    Layer {
        module: "review",
        may_import: &[
            "config",
            "pairs",
            "run::folder",
            "run::journal",
            "run::log",
            "run::outputs",
            "run::private",
            "run::protocol",
            "run::scores",
            "run::summary",
        ],
        may_name_candle: false,
    },
    Layer { module: "ui", may_import: &["config", "pairs", "dataset", "hub", "run", "review"], may_name_candle: false },
    Layer { module: "cli", may_import: &["config", "pairs", "dataset", "engine", "hub", "run", "review", "ui"], may_name_candle: false },
    Layer { module: "main", may_import: &["cli"], may_name_candle: false },
    Layer { module: "lib", may_import: &[], may_name_candle: false },
];

const CANDLE: &[&str] = &["candle_core", "candle_nn", "candle_transformers"];
/// The crate in src/kernels. Only the engine launches its functions.
const KERNELS: &str = "voicetune_kernels";
const KERNELS_USER: &str = "engine";
/// The one file outside src/kernels that maps files into memory.
const UNSAFE_FILE: &str = "engine/weights.rs";
const MAX_LINES: usize = 600;

#[test]
fn modules_import_only_what_the_table_allows() {
    let src = root().join("src");
    let mut found = Vec::new();
    for file in sources(&src).iter().filter(|file| !file.starts_with(src.join("kernels"))) {
        let name = file.strip_prefix(&src).unwrap().to_str().unwrap();
        let lines = violations(name, &fs::read_to_string(file).unwrap());
        found.extend(lines.into_iter().map(|v| format!("src/{name}:{}: {}", v.line, v.what)));
    }
    assert!(found.is_empty(), "\n{}\n\nthe table is in tests/layering.rs and docs/architecture.md", found.join("\n"));
}

#[test]
fn every_module_of_the_table_exists() {
    let src = root().join("src");
    for layer in LAYERS {
        let (file, folder) = (src.join(format!("{}.rs", layer.module)), src.join(layer.module).join("mod.rs"));
        assert!(file.exists() || folder.exists(), "tests/layering.rs: the table has `{}`, src/ has not", layer.module);
        for path in layer.may_import {
            let top = path.split("::").next().unwrap();
            assert!(LAYERS.iter().any(|l| l.module == top), "tests/layering.rs: `{}` may import {path}, which is not there", layer.module);
        }
    }
}

#[test]
fn no_file_is_too_long() {
    let files = ["src", "tests", "examples"].iter().flat_map(|folder| sources(&root().join(folder)));
    let long: Vec<_> = files
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, file)| format!("{}:{}: {lines} lines, at most {MAX_LINES}", file.display(), MAX_LINES + 1))
        .collect();
    assert!(long.is_empty(), "\n{}\n\nsplit the file by responsibility", long.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust and CUDA files below `folder`, in order of their names.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return files };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs" || e == "cu" || e == "cuh") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[derive(Debug, PartialEq, Eq)]
struct Violation {
    line: usize,
    what: String,
}

/// What the file `name` (relative to src/) names and must not.
fn violations(name: &str, text: &str) -> Vec<Violation> {
    let module = module_of(name);
    let Some(layer) = LAYERS.iter().find(|layer| layer.module == module[0]) else {
        return vec![Violation { line: 1, what: format!("module `{}` is not in the table of layers", module[0]) }];
    };
    let tokens = tokens(text);
    let mut found = Vec::new();
    for path in paths(&module, &tokens) {
        let top = path.segments.first().map(String::as_str);
        let own = top == Some(layer.module);
        if !own && !layer.may_import.iter().any(|allowed| covers(allowed, &path.segments)) {
            let what = format!("`{}` must not import `{}`", layer.module, path.segments.join("::"));
            found.push(Violation { line: path.line, what });
        }
    }
    for token in &tokens {
        let Some(word) = token.word() else { continue };
        let banned = (CANDLE.contains(&word) && !layer.may_name_candle)
            || (word == KERNELS && layer.module != KERNELS_USER)
            || ((word == "unsafe" || word == "unsafe_code") && name != UNSAFE_FILE);
        if banned {
            found.push(Violation { line: token.line, what: format!("`{}` must not name `{word}`", layer.module) });
        }
    }
    found.sort_by_key(|v| v.line);
    found
}

/// Whether `path` is `allowed` or lies below it.
fn covers(allowed: &str, path: &[String]) -> bool {
    let allowed: Vec<_> = allowed.split("::").collect();
    path.len() >= allowed.len() && allowed.iter().zip(path).all(|(a, p)| a == p)
}

/// `run/log.rs` is the module `run::log`, `run/mod.rs` is `run`.
fn module_of(name: &str) -> Vec<String> {
    let mut module: Vec<_> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.len() > 1 && module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// A path from the root of the crate, and the line that its last segment stands on.
#[derive(Debug, PartialEq, Eq)]
struct FoundPath {
    line: usize,
    segments: Vec<String>,
}

/// Every path that starts with `crate`, `voicetune`, `self` or `super`, seen from the root; `use` trees are taken apart.
fn paths(module: &[String], tokens: &[Token]) -> Vec<FoundPath> {
    let mut found = Vec::new();
    // The modules written inside this file that the reader is in, each with the depth of braces before its own.
    let mut inside: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].kind {
            Kind::Mark('{') => depth += 1,
            Kind::Mark('}') => {
                depth -= 1;
                if inside.last().is_some_and(|(_, before)| *before == depth) {
                    inside.pop();
                }
            }
            Kind::Word(word) if word == "mod" => {
                if let [Kind::Word(name), Kind::Mark('{')] = [kind(tokens, at + 1), kind(tokens, at + 2)] {
                    inside.push((name.clone(), depth));
                }
            }
            Kind::Word(word) if starts_path(tokens, at) && kind(tokens, at + 1) == &Kind::Separator => {
                let here = || module.iter().cloned().chain(inside.iter().map(|(name, _)| name.clone())).collect::<Vec<_>>();
                let base = match word.as_str() {
                    "crate" | "voicetune" => Some(vec![]),
                    "self" => Some(here()),
                    "super" => Some(parent(here())),
                    _ => None,
                };
                if let Some(base) = base {
                    at = tree(tokens, at + 2, base, &mut found);
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn parent(mut module: Vec<String>) -> Vec<String> {
    module.pop();
    module
}

fn starts_path(tokens: &[Token], at: usize) -> bool {
    at == 0 || kind(tokens, at - 1) != &Kind::Separator
}

fn kind(tokens: &[Token], at: usize) -> &Kind {
    tokens.get(at).map_or(&Kind::Mark(' '), |token| &token.kind)
}

/// Reads one tree of a path after its first `::` and returns where it ends.
fn tree(tokens: &[Token], mut at: usize, mut path: Vec<String>, found: &mut Vec<FoundPath>) -> usize {
    let mut line = tokens.get(at).map_or(0, |token| token.line);
    loop {
        match kind(tokens, at) {
            Kind::Mark('{') => {
                at += 1;
                while kind(tokens, at) != &Kind::Mark('}') && at < tokens.len() {
                    let renamed = kind(tokens, at) == &Kind::Word("as".into());
                    at = match kind(tokens, at) {
                        Kind::Word(_) if renamed => at + 2,
                        Kind::Word(_) | Kind::Mark('*' | '{') => tree(tokens, at, path.clone(), found),
                        _ => at + 1,
                    };
                }
                return at + 1;
            }
            Kind::Word(word) => {
                line = tokens[at].line;
                match word.as_str() {
                    "self" => {}
                    "super" => path = parent(path),
                    _ => path.push(word.clone()),
                }
                at += 1;
                if kind(tokens, at) == &Kind::Separator {
                    at += 1;
                    continue;
                }
            }
            Kind::Mark('*') => {
                path.push("*".into());
                at += 1;
            }
            // A turbofish: the path ended at the word before it.
            _ => {}
        }
        found.push(FoundPath { line, segments: path });
        return at;
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Token {
    line: usize,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Word(String),
    /// `::`
    Separator,
    Mark(char),
}

impl Token {
    fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The words and marks of Rust source: comments, strings and characters are left out.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let length = if let Some(length) = skipped(rest) {
            length
        } else if word > 0 {
            found.push(Token { line, kind: Kind::Word(rest[..word].to_owned()) });
            word
        } else if rest.starts_with("::") {
            found.push(Token { line, kind: Kind::Separator });
            2
        } else {
            if !first.is_whitespace() {
                found.push(Token { line, kind: Kind::Mark(first) });
            }
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// How long the comment, string, character or lifetime is that `rest` starts with.
fn skipped(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if let Some(tail) = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')) {
        let hashes = tail.len() - tail.trim_start_matches('#').len();
        if tail[hashes..].starts_with('"') {
            let open = rest.len() - tail.len() + hashes + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            return Some(rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len()));
        }
    }
    if let Some(open) = ["\"", "b\"", "c\""].iter().find(|open| rest.starts_with(**open)) {
        return Some(quoted(rest, open.len(), '"'));
    }
    if let Some(open) = ["'", "b'"].iter().find(|open| rest.starts_with(**open)) {
        let mut after = rest[open.len()..].chars();
        let (first, second) = (after.next(), after.next());
        let lifetime = first != Some('\\') && second != Some('\'');
        return Some(if lifetime { open.len() } else { quoted(rest, open.len(), '\'') });
    }
    None
}

/// The length of a literal whose content starts at `open`, its closing `quote` included.
fn quoted(rest: &str, open: usize, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest[open..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return open + at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let tail = &rest[at..];
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let check = |file: &str, text: &str, expected: &[(usize, &str)]| {
        let found: Vec<_> = paths(&module_of(file), &tokens(text)).into_iter().map(|path| (path.line, path.segments.join("::"))).collect();
        let expected: Vec<_> = expected.iter().map(|(line, path)| (*line, (*path).to_owned())).collect();
        assert_eq!(found, expected, "{file}: {text}");
    };
    check("run/log.rs", "use crate::config::Config;", &[(1, "config::Config")]);
    check("main.rs", "fn main() { voicetune::cli::main() }", &[(1, "cli::main")]);
    check("run/log.rs", "use crate::{pairs,\n config::{self as c, Lora}};", &[(1, "pairs"), (2, "config"), (2, "config::Lora")]);
    check("run/log.rs", "use crate::engine::{ops::*, {spec}};", &[(1, "engine::ops::*"), (1, "engine::spec")]);
    check("run/log.rs", "let x = crate::pairs::load::<u8>(crate::hub::X);", &[(1, "pairs::load"), (1, "hub::X")]);
    check("run/log.rs", "use super::plan; use self::x::Y;", &[(1, "run::plan"), (1, "run::log::x::Y")]);
    check("run/mod.rs", "use super::engine::Model;", &[(1, "engine::Model")]);
    check("run/log.rs", "use super::super::hub;", &[(1, "hub")]);
    check("run/log.rs", "mod tests { use super::*; }\nuse super::a;", &[(1, "run::log::*"), (2, "run::a")]);
    check("run/log.rs", "mod tests { fn f() {} mod deep { use super::super::super::super::ui; } }", &[(1, "ui")]);
    check("run/log.rs", "pub(crate) fn f(self) { self.x(other::crate_name::y) }", &[]);
    check("run/log.rs", "// crate::a\n/* crate::b /* */ crate::c */ /// crate::d\n", &[]);
    check("run/log.rs", r##"f("crate::a \" crate::b", r#"crate::c " "#, b'"', '"', '\'', 'x'); crate::d::e"##, &[(1, "d::e")]);
    check("run/log.rs", "struct A<'a>(&'a str);\nuse crate::z::A;", &[(2, "z::A")]);
    check("run/log.rs", "\"two\nlines\"; crate::a::b", &[(2, "a::b")]);
}

#[test]
fn what_breaks_the_table_is_named() {
    let check = |file: &str, text: &str, expected: &[(usize, &str)]| {
        let expected: Vec<_> = expected.iter().map(|(line, what)| Violation { line: *line, what: (*what).to_owned() }).collect();
        assert_eq!(violations(file, text), expected, "{file}: {text}");
    };
    check("pairs/load.rs", "use crate::config::Workspace;\nuse crate::pairs::Pair;\nuse super::pair;", &[]);
    check("config/mod.rs", "\nuse crate::pairs::Pair;", &[(2, "`config` must not import `pairs::Pair`")]);
    check("engine/model.rs", "use crate::dataset::batch::Batch;", &[]);
    check("engine/model.rs", "use crate::dataset::{batch, Encoder};", &[(1, "`engine` must not import `dataset::Encoder`")]);
    check("engine/model.rs", "use crate::dataset::*;", &[(1, "`engine` must not import `dataset::*`")]);
    check("hub/mod.rs", "use super::run::Run;", &[(1, "`hub` must not import `run::Run`")]);
    check("review/mod.rs", "use crate::*;", &[(1, "`review` must not import `*`")]);
    check("review/mod.rs", "use crate::run::{log, protocol::Event};", &[]);
    check("review/mod.rs", "use candle_core::Tensor;", &[(1, "`review` must not name `candle_core`")]);
    check("run/slot.rs", "use candle_core::Device;\nuse voicetune_kernels::gemm;", &[(2, "`run` must not name `voicetune_kernels`")]);
    check("engine/ops/gelu.rs", "use voicetune_kernels::gelu;", &[]);
    check("engine/weights.rs", "let mapped = unsafe { map(path) };", &[]);
    check("engine/model.rs", "// unsafe\nunsafe { f() }", &[(2, "`engine` must not name `unsafe`")]);
    check("ui/mod.rs", "use crate::engine::Model;", &[(1, "`ui` must not import `engine::Model`")]);
    check("gui/mod.rs", "", &[(1, "module `gui` is not in the table of layers")]);
}
