//! How long an alignment takes: `cargo run --release --example align_bench`. Texts of made-up words in the proportions of prose; the revision cuts,
//! rewords, moves and adds sentences. Prints the median of several runs, cutting into sentences and classifying included.

use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use voicetune::review::{Counts, align};

fn main() {
    for words in [5_000, 50_000] {
        for (name, [kept, cut, reworded]) in
            [("an edit", [60, 15, 20]), ("a total rewrite", [0, 100, 0]), ("one sentence over and over", [101, 0, 0])]
        {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let draft: Vec<String> = sentences(&mut rng, words, name.starts_with("one"));
            let revision = edited(&mut rng, &draft, kept, cut, reworded);
            let (draft, revision) = (draft.join(" "), revision.join(" "));
            let mut times: Vec<f64> = (0..7)
                .map(|_| {
                    let start = Instant::now();
                    std::hint::black_box(align(&draft, &revision));
                    start.elapsed().as_secs_f64() * 1e3
                })
                .collect();
            times.sort_by(f64::total_cmp);
            let counts = Counts::of(&align(&draft, &revision));
            println!("{words} words, {name}: {:.1} ms ({} against {} sentences)", times[3], counts.draft, counts.revision);
        }
    }
}

fn below(rng: &mut ChaCha8Rng, count: u64) -> u64 {
    rng.next_u64() % count
}

/// Word `rank` by frequency, as syllables.
fn word(rank: u64) -> String {
    let syllables = ["ka", "lo", "mi", "ter", "sun", "ve", "dra", "po", "shi", "en"];
    let mut rest = rank;
    let mut word = String::new();
    loop {
        word += syllables[(rest % 10) as usize];
        rest /= 10;
        if rest == 0 {
            return word;
        }
    }
}

/// A sentence of 4 to 30 words, drawn as Zipf's law has it: the logarithm of the rank is uniform.
fn sentence(rng: &mut ChaCha8Rng) -> String {
    let length = 4 + below(rng, 27);
    let words: Vec<String> = (0..length).map(|_| word((below(rng, 9000) as f64 / 1000.0).exp() as u64)).collect();
    let text = words.join(" ");
    text[..1].to_uppercase() + &text[1..] + "."
}

fn sentences(rng: &mut ChaCha8Rng, words: usize, same: bool) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut count = 0;
    while count < words {
        let next = if same { all.first().cloned() } else { None }.unwrap_or_else(|| sentence(rng));
        count += next.split(' ').count();
        all.push(next);
    }
    all
}

fn edited(rng: &mut ChaCha8Rng, draft: &[String], kept: u64, cut: u64, reworded: u64) -> Vec<String> {
    let mut revision: Vec<String> = Vec::new();
    for old in draft {
        match below(rng, 100) {
            // Over and over: every tenth is cut, and another put in front, so that neither end is the same.
            _ if kept > 100 => {
                if revision.is_empty() {
                    revision.push(sentence(rng));
                }
                if below(rng, 10) > 0 {
                    revision.push(old.clone());
                }
            }
            n if n < kept => revision.push(old.clone()),
            n if n < kept + cut => revision.extend((kept == 0).then(|| sentence(rng))),
            n if n < kept + cut + reworded => {
                let mut words: Vec<&str> = old.split(' ').collect();
                let changed = below(rng, words.len() as u64 - 1) as usize;
                let other = word(below(rng, 8000));
                words[changed] = &other;
                revision.push(words.join(" "));
            }
            _ => {
                let place = below(rng, revision.len() as u64 + 1) as usize;
                revision.insert(place, old.clone());
            }
        }
        if kept > 0 && kept <= 100 && below(rng, 20) == 0 {
            revision.push(sentence(rng));
        }
    }
    if kept > 100 {
        revision.push(sentence(rng));
    }
    revision
}
