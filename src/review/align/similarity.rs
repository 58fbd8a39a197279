//! How alike two runs of sentences are: the Dice coefficient of their words, weighted by rarity, mixed with that of their letter trigrams.

use std::collections::HashMap;

use unicode_segmentation::UnicodeSegmentation;

use crate::review::text::Document;

/// What is compared of a sentence. Words and trigrams are sorted multisets.
#[derive(Debug)]
pub struct Piece {
    /// Equal for two sentences that are the same but for white space and the style of quotation marks.
    pub key: u32,
    /// The text behind `key`.
    pub plain: String,
    pub words: Vec<Word>,
    /// Sum of the words' weights.
    pub weight: f64,
    pub trigrams: Vec<u32>,
}

/// A word by its number in both texts. Ordered by number.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Word {
    pub id: u32,
    pub weight: f64,
}

/// How much of the similarity is words; the rest is trigrams.
const WORD_SHARE: f64 = 0.6;

/// The greatest weight of a function word.
const FUNCTION_WEIGHT: f64 = 0.3;

/// Function words of English: they say little about which sentence this is. Other languages are served by the rarity alone.
const FUNCTION_WORDS: &str = " a about after all also am an and any are as at be because been before being but by can could did do does down for from \
    had has have he her here him his how i if in into is it it's its just me more my no not now of off on one only or our out over she so some such \
    than that that's the their them then there these they this those to too up us very was we were what when where which while who why will with would \
    you your ";

/// What is compared of each sentence of two texts.
pub fn pieces(draft: &Document, revision: &Document) -> (Vec<Piece>, Vec<Piece>) {
    let mut numbers = Numbers::default();
    let mut a: Vec<Piece> = (0..draft.sentences.len()).map(|i| numbers.piece(draft.sentence(i))).collect();
    let mut b: Vec<Piece> = (0..revision.sentences.len()).map(|i| numbers.piece(revision.sentence(i))).collect();
    for piece in a.iter_mut().chain(&mut b) {
        for word in &mut piece.words {
            word.weight = numbers.weight(word.id);
        }
        piece.weight = piece.words.iter().map(|w| w.weight).sum();
    }
    (a, b)
}

/// Whether two runs read the same, white space and the style of quotation marks apart.
pub fn same(a: &[Piece], b: &[Piece]) -> bool {
    if let ([a], [b]) = (a, b) {
        return a.key == b.key;
    }
    let joined = |run: &[Piece]| run.iter().map(|p| p.plain.as_str()).collect::<Vec<_>>().join(" ");
    joined(a) == joined(b)
}

/// Between 0 (nothing shared) and 1 (the same words and letters).
pub fn similarity(a: &[Piece], b: &[Piece]) -> f64 {
    let (words_a, words_b) = (merged(a, |p| &p.words), merged(b, |p| &p.words));
    let (letters_a, letters_b) = (merged(a, |p| &p.trigrams), merged(b, |p| &p.trigrams));
    let weight: f64 = a.iter().chain(b).map(|p| p.weight).sum();
    let words = 2.0 * shared_weight(&words_a, &words_b) / weight;
    let letters = 2.0 * shared(&letters_a, &letters_b) as f64 / (letters_a.len() + letters_b.len()) as f64;
    WORD_SHARE * words + (1.0 - WORD_SHARE) * letters
}

/// The share of `part`'s words, by weight, that `whole` holds and `others` do not need themselves.
pub fn contained(part: &Piece, others: &[&Piece], whole: &Piece) -> f64 {
    let mut rest = whole.words.clone();
    for other in others {
        rest = without(&rest, &other.words);
    }
    shared_weight(&part.words, &rest) / part.weight
}

/// How much a run of sentences weighs in the alignment: by its words, so that long sentences hold their place against short ones.
pub fn mass(run: &[Piece]) -> f64 {
    run.iter().map(|p| p.weight + 0.5).sum()
}

fn merged<'p, T: Clone + PartialOrd>(run: &'p [Piece], items: impl Fn(&'p Piece) -> &'p Vec<T>) -> std::borrow::Cow<'p, [T]> {
    if let [one] = run {
        return items(one).into();
    }
    let mut all: Vec<T> = run.iter().flat_map(|p| items(p).iter().cloned()).collect();
    all.sort_by(|x, y| x.partial_cmp(y).unwrap_or(std::cmp::Ordering::Equal));
    all.into()
}

fn shared_weight(a: &[Word], b: &[Word]) -> f64 {
    let mut sum = 0.0;
    meet(a, b, |w| w.id, |word| sum += word.weight);
    sum
}

fn shared(a: &[u32], b: &[u32]) -> usize {
    let mut count = 0;
    meet(a, b, |&t| t, |_| count += 1);
    count
}

/// Calls `on_both` for each element of the intersection of two sorted multisets.
fn meet<T>(a: &[T], b: &[T], key: impl Fn(&T) -> u32, mut on_both: impl FnMut(&T)) {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match key(&a[i]).cmp(&key(&b[j])) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                on_both(&a[i]);
                i += 1;
                j += 1;
            }
        }
    }
}

fn without(all: &[Word], taken: &[Word]) -> Vec<Word> {
    let mut taken = taken.iter().peekable();
    let mut rest = Vec::with_capacity(all.len());
    for word in all {
        while taken.next_if(|t| t.id < word.id).is_some() {}
        if taken.next_if(|t| t.id == word.id).is_none() {
            rest.push(*word);
        }
    }
    rest
}

/// Numbers words and whole sentences, and counts in how many sentences each word stands.
#[derive(Default)]
struct Numbers {
    sentences: HashMap<String, u32>,
    words: HashMap<String, u32>,
    /// By word: the number of sentences with it, and whether it is a function word.
    seen: Vec<(u32, bool)>,
}

impl Numbers {
    fn piece(&mut self, sentence: &str) -> Piece {
        let plain = plain(sentence);
        let next = self.sentences.len() as u32;
        let key = *self.sentences.entry(plain.clone()).or_insert(next);
        let small = plain.to_lowercase();
        let mut words: Vec<Word> = tokens(&small).into_iter().map(|w| Word { id: self.word(w), weight: 1.0 }).collect();
        words.sort_unstable_by_key(|w| w.id);
        for (i, word) in words.iter().enumerate() {
            if i == 0 || words[i - 1].id != word.id {
                self.seen[word.id as usize].0 += 1;
            }
        }
        Piece { key, words, weight: 0.0, trigrams: trigrams(&small), plain }
    }

    fn word(&mut self, word: &str) -> u32 {
        if let Some(&id) = self.words.get(word) {
            return id;
        }
        let id = self.seen.len() as u32;
        self.words.insert(word.to_owned(), id);
        self.seen.push((0, FUNCTION_WORDS.contains(&format!(" {word} "))));
        id
    }

    /// 1 for a word that stands once in each text, less the more sentences have it.
    fn weight(&self, id: u32) -> f64 {
        let (sentences, function) = self.seen[id as usize];
        let rarity = 1.0 / (1.0 + (f64::from(sentences.max(2)) / 2.0).ln());
        if function { rarity.min(FUNCTION_WEIGHT) } else { rarity }
    }
}

/// White space as single spaces, straight quotation marks, no marks of block quotes at line starts.
pub fn plain(sentence: &str) -> String {
    let mut out = String::with_capacity(sentence.len());
    for line in sentence.lines() {
        let line = if out.is_empty() { line } else { line.trim_start_matches(|c: char| c.is_whitespace() || c == '>') };
        for word in line.split_whitespace() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.extend(word.chars().map(|c| match c {
                '“' | '”' | '„' | '‟' | '«' | '»' | '＂' => '"',
                '‘' | '’' | '‚' | '‛' | '‹' | '›' | 'ʼ' => '\'',
                _ => c,
            }));
        }
    }
    out
}

/// Words; where a script has no spaces, pairs of neighbouring characters. A sentence without any is its own single word.
fn tokens(small: &str) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    let mut previous: Option<usize> = None;
    for (at, word) in small.unicode_word_indices() {
        let unspaced = word.chars().next().is_some_and(is_unspaced) && word.chars().nth(1).is_none();
        if !unspaced {
            words.push(word);
            previous = None;
            continue;
        }
        match previous {
            Some(from) if small[from..at].chars().count() == 1 => words.push(&small[from..at + word.len()]),
            // The first character of a run stands for itself only when the run ends with it; a pair says more.
            _ => {
                let next = small[at + word.len()..].chars().next();
                if !next.is_some_and(is_unspaced) {
                    words.push(word);
                }
            }
        }
        previous = Some(at);
    }
    if words.is_empty() { vec![small] } else { words }
}

fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3134f}' | '\u{0e00}'..='\u{0eff}')
}

/// Trigrams of the letters and digits, with one space for whatever stands between, as sorted hashes.
fn trigrams(small: &str) -> Vec<u32> {
    let mut letters = vec![' '];
    for c in small.chars() {
        if c.is_alphanumeric() {
            letters.push(c);
        } else if letters.last() != Some(&' ') && !matches!(c, '\'') {
            letters.push(' ');
        }
    }
    if letters.len() == 1 {
        letters.extend(small.chars());
    }
    if letters.last() != Some(&' ') {
        letters.push(' ');
    }
    let mut grams: Vec<u32> =
        letters.windows(3).map(|w| w.iter().fold(0x811c_9dc5, |h, &c| (h ^ c as u32).wrapping_mul(0x0100_0193))).collect();
    grams.sort_unstable();
    grams
}
