//! The fuzz targets' entry points over their seeds and some thousand mutations of them, without a fuzzer: quick enough for every run of
//! the tests. `fuzz/run.sh` looks for what this cannot find.
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/src/entries.rs"]
mod entries;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const MUTATIONS: usize = 400;

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The words of `fuzz/dictionary.txt`.
fn dictionary() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/dictionary.txt")).unwrap();
    let words = text.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    words.map(unescaped).collect()
}

/// `\xAB`, `\"` and `\\`, as libFuzzer writes them.
fn unescaped(word: &str) -> Vec<u8> {
    let mut bytes = word.bytes();
    let mut plain = vec![];
    while let Some(byte) = bytes.next() {
        plain.push(match (byte, if byte == b'\\' { bytes.next() } else { None }) {
            (_, Some(b'x')) => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            (_, Some(escaped)) => escaped,
            (byte, None) => byte,
        });
    }
    plain
}

/// One to four changes: a byte, a run of bytes gone or twice, a piece of another seed, a word, the end cut off.
fn mutated(seed: &[u8], others: &[Vec<u8>], words: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.random_range(1..5) {
        let at = rng.random_range(0..=bytes.len());
        let to = rng.random_range(at..=(at + 40).min(bytes.len()));
        match rng.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] = rng.random(),
            1 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => drop(bytes.drain(at..to)),
            3 => {
                let piece = bytes[at..to].repeat(rng.random_range(1..20));
                bytes.splice(at..at, piece);
            }
            4 => bytes.truncate(at),
            5 => {
                let other = &others[rng.random_range(0..others.len())];
                let from = rng.random_range(0..=other.len());
                bytes.splice(at..to, other[from..(from + 60).min(other.len())].to_vec());
            }
            _ => drop(bytes.splice(at..to, words[rng.random_range(0..words.len())].clone())),
        }
    }
    bytes
}

/// Gives an input to an entry point; where it panics, so does this, with the input.
fn survives(name: &str, entry: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| entry(input)) {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
        panic!("{name}: {}\nthe input: {:?}", text.unwrap_or_default(), String::from_utf8_lossy(input));
    }
}

/// The seeds of each entry point, then their mutations until `goes_on` says no; it is given how many there have been.
fn all(seed: u64, goes_on: impl Fn(&str, usize) -> bool) {
    let words = dictionary();
    assert!(words.len() > 50 && words.contains(&b"status: ready".to_vec()));
    std::panic::set_hook(Box::new(|_| {})); // of libraries whose panics become errors
    for (name, entry) in entries::ENTRIES {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "fuzz/seeds/{name}/ is empty");
        seeds.iter().for_each(|input| survives(name, entry, input));
        survives(name, entry, b"");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for n in (0..).take_while(|&n| goes_on(name, n)) {
            survives(name, entry, &mutated(&seeds[n % seeds.len()], &seeds, &words, &mut rng));
        }
    }
}

#[test]
fn every_entry_point_copes_with_mutations_of_its_seeds() {
    all(6, |_, n| n < MUTATIONS);
}

/// The same for as long as one likes, without a fuzzer's guidance:
/// `VOICETUNE_SECONDS=60 cargo test --test hostile_bytes -- --ignored --nocapture`
#[test]
#[ignore = "takes as long as it is told"]
fn every_entry_point_copes_for_as_long_as_asked() {
    let seconds = std::env::var("VOICETUNE_SECONDS").map_or(10, |seconds| seconds.parse().unwrap());
    let begun = std::cell::Cell::new(Instant::now());
    let goes_on = |name: &str, n: usize| {
        if n == 0 {
            begun.set(Instant::now());
        }
        let goes_on = n == 0 || begun.get().elapsed() < Duration::from_secs(seconds);
        if !goes_on {
            println!("{name:<14} {n:>9} mutations in {} s", begun.get().elapsed().as_secs());
        }
        goes_on
    };
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    println!("seed {seed}");
    all(seed, goes_on);
}

#[test]
fn every_fuzz_target_has_its_entry_point() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut targets: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let mut names = entries::ENTRIES.map(|(name, _)| name.to_owned()).to_vec();
    targets.sort();
    names.sort();
    assert_eq!(targets, names);
}
