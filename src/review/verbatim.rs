//! Copied text: the spans of [`WORDS`] or more words of an output that stand in a training pair, word for word.
//!
//! Words are those of Unicode (UAX #29), compared without case, the style of their apostrophes and what stands between them: quotation marks,
//! commas, hyphens, line breaks and Markdown's underscores make no difference. A Chinese or Japanese character is a word.
//!
//! An [`Index`] is built once over all pairs: every run of [`WORDS`] words by its hash. Words are held as 64-bit hashes; that two of a
//! million different ones share theirs has odds of one to thirty million.

use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use rayon::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::text::{Ruler, Span};
use crate::pairs::Pair;

/// The shortest span that counts as copied.
pub const WORDS: usize = 8;

/// Which text of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Prompt,
    Response,
}

/// A copied span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied<'i> {
    /// In the output, from its first word to the end of its last.
    pub span: Span,
    pub words: usize,
    /// The first of the pairs that hold it.
    pub pair: &'i str,
    pub side: Side,
}

/// All texts that an output may have been copied from.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// The words of all texts, one text after the other.
    words: Vec<u64>,
    /// The texts in their order.
    texts: Vec<Text>,
    /// Hash and place of each run of [`WORDS`] words that lies in one text, sorted.
    runs: Vec<(u32, u32)>,
    /// Where in `runs` the hashes begin whose upper 16 bits are the index; one more for the end.
    buckets: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Text {
    pair: String,
    side: Side,
    /// Where it ends in `words`.
    end: usize,
}

impl Index {
    /// Of both texts of each pair. Up to 2^32 words.
    pub fn of<'p>(pairs: impl IntoIterator<Item = &'p Pair>) -> Index {
        let sides = |pair: &'p Pair| [(pair.id.as_str(), Side::Prompt, pair.prompt.as_str()), (&pair.id, Side::Response, &pair.response)];
        Index::of_texts(pairs.into_iter().flat_map(sides))
    }

    /// Of a prompt alone, to tell what an output took from there.
    pub fn of_prompt(text: &str) -> Index {
        Index::of_texts([("", Side::Prompt, text)])
    }

    /// Whether the whole of a text stands in one of the index's.
    pub fn holds(&self, text: &str) -> bool {
        let hashes: Vec<u64> = words(text).map(|(_, word)| word).collect();
        hashes.len() >= WORDS && self.first_with(&hashes).is_some()
    }

    fn of_texts<'p>(texts: impl IntoIterator<Item = (&'p str, Side, &'p str)>) -> Index {
        let texts: Vec<_> = texts.into_iter().collect();
        let words: Vec<Vec<u64>> = texts.par_iter().map(|(_, _, text)| words(text).map(|(_, word)| word).collect()).collect();
        let mut index = Index::default();
        for ((pair, side, _), words) in texts.iter().zip(words) {
            index.words.extend(words);
            index.texts.push(Text { pair: (*pair).to_owned(), side: *side, end: index.words.len() });
        }
        index.sort_runs();
        index
    }

    /// The copied spans of an output, in its order. The longest comes first, the earliest of equals; then the longest of what is left before it and
    /// after it, and so on: no two overlap.
    pub fn copied(&self, output: &str) -> Vec<Copied<'_>> {
        let (places, hashes): (Vec<Range<usize>>, Vec<u64>) = words(output).unzip();
        let lengths = self.lengths(&hashes);
        let mut found = vec![];
        let whole = 0..hashes.len();
        let mut open = vec![whole];
        while let Some(part) = open.pop() {
            let length = |word: usize| lengths[word].min(part.end - word);
            // The first of equals, since `max_by_key` takes the last.
            let Some(start) = part.clone().rev().max_by_key(|&word| length(word)) else { continue };
            let end = start + length(start);
            if end - start >= WORDS {
                found.push(start..end);
                open.extend([part.start..start, end..part.end]);
            }
        }
        found.sort_unstable_by_key(|words| words.start);
        let mut ruler = Ruler::new(output);
        let copied = found.into_iter().filter_map(|run| {
            let text = self.first_with(&hashes[run.clone()])?;
            let span = ruler.span(places[run.start].start..places[run.end - 1].end);
            Some(Copied { span, words: run.len(), pair: &text.pair, side: text.side })
        });
        copied.collect()
    }

    fn sort_runs(&mut self) {
        let mut starts = vec![0];
        starts.extend(self.texts.iter().map(|text| text.end));
        let words = &self.words;
        let runs = starts
            .par_windows(2)
            .flat_map_iter(|text| (text[0]..).zip(words[text[0]..text[1]].windows(WORDS)).map(|(at, window)| (run(window), at as u32)));
        self.runs = runs.collect();
        self.runs.par_sort_unstable();
        self.buckets = (0..=1u32 << 16).map(|upper| self.runs.partition_point(|(hash, _)| hash >> 16 < upper) as u32).collect();
    }

    /// For each word of an output, how many words from it on stand in one text; 0 for fewer than [`WORDS`].
    fn lengths(&self, output: &[u64]) -> Vec<usize> {
        let mut lengths = vec![0; output.len()];
        let mut length: usize = 0;
        for (i, window) in output.windows(WORDS).enumerate() {
            // What matched from the word before matches from this one, one shorter: only longer ones are of interest, and those have the
            // word after it too.
            length = length.saturating_sub(1);
            for at in self.places(run(window)) {
                let text = &self.words[at..self.text_at(at).end];
                let least = length.max(WORDS - 1);
                if text.get(least).is_some_and(|word| output.get(i + least) == Some(word)) {
                    let matching = text.iter().zip(&output[i..]).take_while(|(a, b)| a == b).count();
                    length = length.max(matching);
                }
            }
            lengths[i] = if length < WORDS { 0 } else { length };
        }
        lengths
    }

    fn first_with(&self, span: &[u64]) -> Option<&Text> {
        let texts = self.places(run(&span[..WORDS])).map(|at| (at, self.text_at(at)));
        texts.into_iter().find(|(at, text)| self.words[*at..text.end].starts_with(span)).map(|(_, text)| text)
    }

    fn places(&self, hash: u32) -> impl Iterator<Item = usize> + '_ {
        let upper = (hash >> 16) as usize;
        let bucket = match self.buckets.get(upper..upper + 2) {
            Some(ends) => &self.runs[ends[0] as usize..ends[1] as usize],
            None => &[],
        };
        let first = bucket.partition_point(|(other, _)| *other < hash);
        bucket[first..].iter().take_while(move |(other, _)| *other == hash).map(|(_, at)| *at as usize)
    }

    fn text_at(&self, at: usize) -> &Text {
        &self.texts[self.texts.partition_point(|text| text.end <= at)]
    }
}

/// The words of a text: where each stands, in bytes, and its hash.
fn words(text: &str) -> impl Iterator<Item = (Range<usize>, u64)> + '_ {
    text.unicode_word_indices().map(|(at, word)| {
        let bare = word.trim_start_matches('_');
        let start = at + word.len() - bare.len();
        let bare = bare.trim_end_matches('_');
        (start..start + bare.len(), hash(bare))
    })
}

fn hash(word: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    if word.is_ascii() {
        word.bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
    } else {
        let folded = word.chars().flat_map(char::to_lowercase).map(|c| if c == '’' { '\'' } else { c });
        let mut utf8 = [0; 4];
        folded.for_each(|c| c.encode_utf8(&mut utf8).bytes().for_each(|byte| hasher.write_u8(byte)));
    }
    hasher.finish()
}

/// The hash of a run of words.
fn run(words: &[u64]) -> u32 {
    let sum = words.iter().fold(0u64, |sum, word| sum.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(*word));
    (sum >> 32) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pairs::{Split, Status, Tier};

    fn pair(id: &str, prompt: &str, response: &str) -> Pair {
        Pair {
            id: id.into(),
            tier: Tier::Draft,
            source: id.into(),
            prompt: prompt.into(),
            response: response.into(),
            status: Status::Ready,
            split: Split::Auto,
            notes: String::new(),
        }
    }

    /// What was copied, with its pair.
    fn copied(pairs: &[(&str, &str, &str)], output: &str) -> Vec<(String, String)> {
        let pairs: Vec<Pair> = pairs.iter().map(|(id, prompt, response)| pair(id, prompt, response)).collect();
        let index = Index::of(&pairs);
        let found = index.copied(output).into_iter().map(|copied| {
            let by_scalars: String = output.chars().skip(copied.span.start).take(copied.span.end - copied.span.start).collect();
            assert_eq!(by_scalars, copied.span.of(output));
            assert_eq!(words(&by_scalars).count(), copied.words);
            (by_scalars, copied.pair.to_owned())
        });
        found.collect()
    }

    #[test]
    fn what_was_copied() {
        let check = |training: &str, output: &str, expected: &[&str]| {
            let found = copied(&[("tier1/a", "", training)], output);
            assert_eq!(found.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), expected, "{output}");
        };
        let eight = "one two three four five six seven eight";
        check(eight, eight, &[eight]);
        check(eight, "zero one two three four five six seven eight nine", &[eight]);
        check(eight, "one two three four five six seven nine eight", &[]);
        check("one two three four five six seven", "one two three four five six seven", &[]);
        check(eight, "«ONE», two—three: four-five. _Six_\n\nseven *eight*!", &["ONE», two—three: four-five. _Six_\n\nseven *eight"]);
        check(
            "I don't know what it was that he’d said",
            "I don’t know what it was that he'd said.",
            &["I don’t know what it was that he'd said"],
        );
        check(
            "Ändern wir Österreichs Züge im März ohne Not",
            "🎉 ändern wir österreichs züge im märz OHNE not",
            &["ändern wir österreichs züge im märz OHNE not"],
        );
        check("古池や蛙飛びこむ水の音", "「古池や蛙飛びこむ水の音」", &["古池や蛙飛びこむ水の音"]);
        check(eight, &format!("{eight} {eight}"), &[eight, eight]);
        check(&format!("{eight} {eight}"), &format!("{eight} {eight}"), &[&format!("{eight} {eight}")]);
        check("", eight, &[]);
        check(eight, "", &[]);
        check("a a a a a a a a a a a a", "a a a a a a a a a a", &["a a a a a a a a a a"]);
    }

    #[test]
    fn the_longest_span_is_whole_and_named_after_the_first_pair() {
        let pairs = [
            ("tier1/a", "one two three four five six seven eight", ""),
            ("tier2/b", "", "three four five six seven eight nine ten eleven twelve"),
            ("tier3/c", "", "one two three four five six seven eight"),
        ];
        let whole = |text: &str, pair: &str| (text.to_owned(), pair.to_owned());
        // Seven words are left before the longer span: too few.
        let ten = "three four five six seven eight nine ten eleven twelve";
        assert_eq!(copied(&pairs, "one two three four five six seven eight nine ten eleven twelve"), [whole(ten, "tier2/b")]);
        assert_eq!(
            copied(&pairs, "One two three four five six seven eight."),
            [whole("One two three four five six seven eight", "tier1/a")]
        );
        assert!(copied(&[], "one two three four five six seven eight").is_empty());
        // The end of one text and the beginning of the next are no text.
        assert!(copied(&[("tier1/a", "one two three four", "five six seven eight")], "one two three four five six seven eight").is_empty());
    }

    /// By comparing every stretch of the output with every place of every text.
    fn naive(texts: &[Vec<u8>], output: &[u8], least: usize) -> Vec<(usize, usize)> {
        let holds = |words: &[u8]| texts.iter().any(|text| text.windows(words.len()).any(|window| window == words));
        let longest = (least..=output.len()).rev().flat_map(|n| (0..=output.len() - n).map(move |at| at..at + n));
        let Some(span) = longest.into_iter().find(|span| holds(&output[span.clone()])) else { return vec![] };
        let mut found = naive(texts, &output[..span.start], least);
        found.push((span.start, span.end));
        found.extend(naive(texts, &output[span.end..], least).into_iter().map(|(a, b)| (span.end + a, span.end + b)));
        found
    }

    proptest! {
        #[test]
        fn as_a_naive_search_finds(texts in prop::collection::vec(prop::collection::vec(0u8..3, 0..40), 1..4), output in prop::collection::vec(0u8..3, 0..60)) {
            let text = |words: &[u8]| words.iter().map(|word| ["a", "bé", "駅"][usize::from(*word)]).collect::<Vec<_>>().join(" ");
            let pairs: Vec<Pair> = texts.iter().map(|words| pair("tier1/x", &text(words), "")).collect();
            let (output_text, index) = (text(&output), Index::of(&pairs));
            let starts: Vec<usize> = words(&output_text).map(|(place, _)| place.start).collect();
            let found: Vec<_> = index.copied(&output_text).iter().map(|copied| {
                let first = starts.iter().position(|start| *start == copied.span.bytes.0).unwrap();
                (first, first + copied.words)
            }).collect();
            prop_assert_eq!(found, naive(&texts, &output, WORDS));
        }
    }

    /// `cargo test --release --lib verbatim -- --ignored --nocapture` prints figures.
    #[test]
    #[ignore = "a measurement"]
    fn speed() {
        let mut state = 1u64;
        let mut text = |count: usize| {
            let mut word = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                format!("word{}", ((state >> 33) % 50_000).min((state >> 20) % 3_000))
            };
            (0..count).map(|_| word()).collect::<Vec<_>>().join(" ")
        };
        let mut pairs: Vec<Pair> = (0..10_000).map(|i| pair(&format!("tier2/{i}"), "", &text(500))).collect();
        let mut output = text(400);
        pairs[77].response = format!("{} {}", text(100), text(400));
        output = format!("{output} {} {}", pairs[77].response, text(100));
        let clock = std::time::Instant::now();
        let index = Index::of(&pairs);
        let built = clock.elapsed();
        let clock = std::time::Instant::now();
        let found = index.copied(&output);
        println!("an index of {} words in {built:?}; an output of {} in {:?}", index.words.len(), words(&output).count(), clock.elapsed());
        assert_eq!((found.len(), found[0].words), (1, 500));
    }
}
