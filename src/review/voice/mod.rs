//! Voice statistics: how far a text stands from the writer's own finished pieces, with her own spread from piece to piece as the scale. [`table`] lays the
//! arms beside her.

mod lists;
pub mod table;

use std::collections::{BTreeMap, BTreeSet};

use unicode_segmentation::UnicodeSegmentation;

use super::text::{Document, ParagraphKind};
use lists::{FILLERS, HEDGES};

pub use lists::FUNCTION_WORDS;
pub use table::{ArmOutputs, VoiceTable};

/// What is measured of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Words a sentence.
    SentenceLength,
    /// Standard deviation of the words a sentence.
    SentenceSpread,
    /// Of the sentences after one of [`LONG`] words or more, the share that has [`SHORT`] or fewer.
    ShortAfterLong,
    /// Words a paragraph.
    ParagraphLength,
    /// Per 1,000 words, like the others below.
    Dashes,
    Parentheses,
    Colons,
    Semicolons,
    Commas,
    QuestionMarks,
    Hedges,
    Fillers,
    /// Different words among the first [`TYPES_OF`].
    Types,
}

pub const LONG: usize = 20;
pub const SHORT: usize = 8;
/// As many words as a Note has, so that short and long pieces compare.
pub const TYPES_OF: usize = 100;
/// The type-token curve has a point every so many words, up to [`CURVE_END`].
pub const CURVE_STEP: usize = 25;
pub const CURVE_END: usize = 1000;
/// The lengths into which sentences are sorted, in words: from, to. The last has no end.
pub const LENGTHS: [(usize, Option<usize>); 8] =
    [(1, Some(5)), (6, Some(10)), (11, Some(15)), (16, Some(20)), (21, Some(25)), (26, Some(30)), (31, Some(40)), (41, None)];

impl Feature {
    pub const ALL: [Feature; 13] = [
        Feature::SentenceLength,
        Feature::SentenceSpread,
        Feature::ShortAfterLong,
        Feature::ParagraphLength,
        Feature::Dashes,
        Feature::Parentheses,
        Feature::Colons,
        Feature::Semicolons,
        Feature::Commas,
        Feature::QuestionMarks,
        Feature::Hedges,
        Feature::Fillers,
        Feature::Types,
    ];

    /// The words on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Feature::SentenceLength => "words a sentence",
            Feature::SentenceSpread => "spread of sentence lengths",
            Feature::ShortAfterLong => "short sentence after a long one",
            Feature::ParagraphLength => "words a paragraph",
            Feature::Dashes => "dashes",
            Feature::Parentheses => "parentheses",
            Feature::Colons => "colons",
            Feature::Semicolons => "semicolons",
            Feature::Commas => "commas",
            Feature::QuestionMarks => "question marks",
            Feature::Hedges => "hedges",
            Feature::Fillers => "fillers",
            Feature::Types => "different words in a hundred",
        }
    }
}

/// One text, measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    pub words: usize,
    /// What cannot be said of the text (no sentence after a long one, too few words) is absent.
    pub features: BTreeMap<Feature, f64>,
    /// Share of each of [`FUNCTION_WORDS`] among the words; all 0 in a text without words.
    pub function_words: Vec<f64>,
    /// Words of each sentence that has one, in the text's order.
    pub sentences: Vec<usize>,
    /// Different words among the first [`CURVE_STEP`], twice as many, and so on, as far as the text goes.
    pub growth: Vec<usize>,
}

/// Her finished pieces, measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Own {
    pieces: Vec<Voice>,
}

impl Voice {
    pub fn of(text: &str) -> Voice {
        let document = Document::new(text);
        let words = words(text);
        let lengths: Vec<usize> =
            (0..document.sentences.len()).map(|s| document.sentence(s).unicode_words().count()).filter(|&n| n > 0).collect();
        let paragraphs: Vec<usize> = (document.paragraphs.iter().filter(|p| p.kind == ParagraphKind::Prose))
            .map(|p| p.span.of(text).unicode_words().count())
            .filter(|&n| n > 0)
            .collect();
        let per_thousand = |count: usize| ratio(1000 * count, words.len());
        let characters = |wanted: &[char]| per_thousand(text.chars().filter(|c| wanted.contains(c)).count());
        let after_long: Vec<usize> = lengths.windows(2).filter(|pair| pair[0] >= LONG).map(|pair| pair[1]).collect();
        let growth = growth(&words);
        let types = growth.get(TYPES_OF / CURVE_STEP - 1).map(|&types| types as f64);
        let measured = Feature::ALL.map(|feature| {
            let value = match feature {
                Feature::SentenceLength => ratio(lengths.iter().sum(), lengths.len()),
                Feature::SentenceSpread => spread(&lengths.iter().map(|&n| n as f64).collect::<Vec<_>>()),
                Feature::ShortAfterLong => ratio(after_long.iter().filter(|&&n| n <= SHORT).count(), after_long.len()),
                Feature::ParagraphLength => ratio(paragraphs.iter().sum(), paragraphs.len()),
                Feature::Dashes => per_thousand(dashes(text)),
                Feature::Parentheses => characters(&['(']),
                Feature::Colons => characters(&[':']),
                Feature::Semicolons => characters(&[';']),
                Feature::Commas => characters(&[',']),
                Feature::QuestionMarks => characters(&['?']),
                Feature::Hedges => per_thousand(phrases(&words, HEDGES)),
                Feature::Fillers => per_thousand(phrases(&words, FILLERS)),
                Feature::Types => types,
            };
            (feature, value)
        });
        let features = measured.into_iter().filter_map(|(feature, value)| Some((feature, value?))).collect();
        let share = |word: &&str| ratio(words.iter().filter(|w| w == word).count(), words.len()).unwrap_or(0.0);
        let function_words = FUNCTION_WORDS.iter().map(share).collect();
        Voice { words: words.len(), features, function_words, sentences: lengths, growth }
    }

    /// The share of the sentences in each of [`LENGTHS`]; `None` without a sentence.
    pub fn length_shares(&self) -> Option<[f64; LENGTHS.len()]> {
        let of = |(from, to): (usize, Option<usize>)| self.sentences.iter().filter(|&&n| n >= from && to.is_none_or(|to| n <= to)).count();
        (!self.sentences.is_empty()).then(|| LENGTHS.map(|length| of(length) as f64 / self.sentences.len() as f64))
    }
}

fn growth(words: &[String]) -> Vec<usize> {
    let mut types = BTreeSet::new();
    let step = |words: &[String]| {
        types.extend(words.to_vec());
        types.len()
    };
    words.chunks_exact(CURVE_STEP).take(CURVE_END / CURVE_STEP).map(step).collect()
}

impl Own {
    /// Pieces without a word are left out.
    pub fn of<'t>(pieces: impl IntoIterator<Item = &'t str>) -> Own {
        Own { pieces: pieces.into_iter().map(Voice::of).filter(|voice| voice.words > 0).collect() }
    }

    /// Burrows' Delta ("Delta: a measure of stylistic difference", 2002) of a text from her pieces: the mean, over the function words, of
    /// how many of her spreads its share of the word stands from her mean. Words on whose share she never varies are left out.
    /// `None` with fewer than two pieces or a text without words.
    pub fn delta(&self, voice: &Voice) -> Option<f64> {
        delta(&self.pieces.iter().collect::<Vec<_>>(), voice)
    }

    /// The Delta of each of her pieces from the others: what a Delta of hers looks like. Empty with fewer than three pieces.
    pub fn own_deltas(&self) -> Vec<f64> {
        let others = |left_out: usize| {
            let others = self.pieces.iter().enumerate().filter(move |(i, _)| *i != left_out);
            others.map(|(_, piece)| piece).collect::<Vec<_>>()
        };
        self.pieces.iter().enumerate().filter_map(|(i, piece)| delta(&others(i), piece)).collect()
    }
}

fn delta(pieces: &[&Voice], voice: &Voice) -> Option<f64> {
    if voice.words == 0 {
        return None;
    }
    let of = |word: usize| {
        let hers: Vec<f64> = pieces.iter().map(|piece| piece.function_words[word]).collect();
        let spread = spread(&hers).filter(|spread| *spread > 0.0)?;
        Some(((voice.function_words[word] - mean(&hers)?) / spread).abs())
    };
    mean(&(0..FUNCTION_WORDS.len()).filter_map(of).collect::<Vec<_>>())
}

/// In lower case, with straight apostrophes, without Markdown's underscores.
fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(|word| word.trim_matches('_').to_lowercase().replace('’', "'")).collect()
}

/// Em and en dashes, and hyphens that stand for them: two or three together, or one between blanks.
fn dashes(text: &str) -> usize {
    let single = text.chars().filter(|c| matches!(c, '—' | '–' | '―')).count();
    let runs = text.split(|c| c != '-').filter(|run| matches!(run.len(), 2 | 3)).count();
    single + runs + text.matches(" - ").count()
}

/// How often the phrases stand in the words.
fn phrases(words: &[String], phrases: &[&str]) -> usize {
    let count = |phrase: &&str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.windows(phrase.len()).filter(|window| window.iter().zip(&phrase).all(|(a, b)| a == b)).count()
    };
    phrases.iter().map(count).sum()
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation with n - 1; `None` below two values.
fn spread(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    if values.len() > 1 && values.iter().all(|value| *value == values[0]) {
        return Some(0.0); // exactly: the mean of equal values may be rounded away from them
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::table::{Compared, VoiceValue, WordRow};
    use super::*;
    use crate::review::verdict::ArmName;

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{found:?} is not {expected}");
    }

    fn fixture() -> Value {
        serde_json::from_str(include_str!("../../../tests/fixtures/review/voice.json")).unwrap()
    }

    fn texts(fixture: &Value, key: &str) -> Vec<String> {
        serde_json::from_value(fixture[key].clone()).unwrap()
    }

    fn numbers(values: &Value) -> Vec<f64> {
        serde_json::from_value(values.clone()).unwrap()
    }

    /// numpy's Delta of passages, counted by a regular expression.
    #[test]
    fn delta_is_that_of_an_independent_program() {
        let fixture = fixture();
        let (pieces, others) = (texts(&fixture, "pieces"), texts(&fixture, "others"));
        let own = Own::of(pieces.iter().map(String::as_str));
        others.iter().zip(numbers(&fixture["deltas"])).for_each(|(text, expected)| close(own.delta(&Voice::of(text)), expected));
        let deltas = own.own_deltas();
        assert_eq!(deltas.len(), pieces.len());
        deltas.into_iter().zip(numbers(&fixture["own_deltas"])).for_each(|(found, expected)| close(Some(found), expected));
    }

    /// The type-token curve, the sentences' lengths and the function words of the same passages: means, spreads and distances by numpy.
    #[test]
    fn the_table_is_that_of_an_independent_program() {
        let fixture = fixture();
        let (pieces, others) = (texts(&fixture, "pieces"), texts(&fixture, "others"));
        let arm = ArmName::new("run", "tuned").unwrap();
        let outputs = ArmOutputs { arm, label: "tuned".into(), texts: others.iter().map(String::as_str).collect() };
        let table = VoiceTable::of(pieces.iter().map(String::as_str), vec![outputs]);
        let check = |found: Vec<&Compared>, key: &str| {
            let expected: Vec<Vec<Option<f64>>> = serde_json::from_value(fixture[key].clone()).unwrap();
            assert_eq!(found.len(), expected.len(), "{key}");
            for (found, expected) in found.into_iter().zip(expected) {
                let value = found.values[0];
                let numbers = [Some(found.hers), Some(found.spread), value.map(|value| value.value), value.and_then(|value| value.z)];
                for (found, expected) in numbers.into_iter().zip(expected) {
                    assert_eq!(found.is_some(), expected.is_some(), "{key}");
                    expected.iter().for_each(|&expected| close(found, expected));
                }
            }
        };
        check(table.curve.iter().map(|point| &point.compared).collect(), "curve");
        check(table.lengths.iter().map(|row| &row.compared).collect(), "lengths");
        check(table.function_words.iter().map(|row| &row.compared).collect(), "function_words");
        let at: Vec<f64> = table.curve.iter().flat_map(|point| [point.words, point.pieces, point.texts[0]]).map(|n| n as f64).collect();
        assert_eq!(at, numbers(&fixture["curve_texts"]));
        let farthest = |row: &WordRow| row.compared.values[0].and_then(|value| value.z).unwrap().abs();
        assert!(table.telling_words().windows(2).all(|two| farthest(two[0]) >= farthest(two[1])));
    }

    #[test]
    fn what_is_counted() {
        let check = |feature: Feature, text: &str, expected: Option<f64>| {
            let found = Voice::of(text).features.get(&feature).copied();
            assert_eq!(found, expected, "{}: {text}", feature.name());
        };
        let long = "The train that was to take us all to the sea on the first of May stood in the rain for hours.";
        check(Feature::SentenceLength, "One two three. Four. Five six.", Some(2.0));
        check(Feature::SentenceSpread, "One two three. Four. Five six.", Some(1.0));
        check(Feature::SentenceSpread, "One two three.", None);
        check(Feature::ShortAfterLong, &format!("{long} We waited. {long} {long} It left."), Some(2.0 / 3.0));
        check(Feature::ShortAfterLong, "We waited. It left.", None);
        check(Feature::ParagraphLength, "# Not this\n\nOne two three four.\n\nFive six.", Some(3.0));
        check(Feature::Dashes, "One—two -- three - four–five. Well-known six seven nine.", Some(400.0));
        check(Feature::Dashes, "One two\n\n-----\n\nthree four five.", Some(0.0));
        check(Feature::Parentheses, "One (two) three four.", Some(250.0));
        check(Feature::Hedges, "I think it seems late, perhaps I’d wait here.", Some(1000.0 * 3.0 / 9.0));
        check(Feature::Fillers, "In fact it is just late.", Some(1000.0 * 2.0 / 6.0));
        check(Feature::Types, &"one two three four ".repeat(25), Some(4.0));
        check(Feature::Types, "one two", None);
        check(Feature::Fillers, "It is _just_ late.", Some(1000.0 / 4.0));
        let voice = Voice::of(&"One two, one three! ".repeat(20));
        assert_eq!((voice.growth, voice.sentences.len()), (vec![3, 3, 3], 20));
        assert_eq!(Voice::of("one ".repeat(24).as_str()).growth, Vec::<usize>::new());
        assert_eq!(Voice::of(&"one ".repeat(2000)).growth.len(), CURVE_END / CURVE_STEP);
        assert_eq!(Voice::of("").features, BTreeMap::new());
        assert_eq!(Voice::of("***\n\n—").features, BTreeMap::new());
    }

    #[test]
    fn her_own_spread_is_the_scale() {
        let pieces = ["One two.", "One two three four.", "One two three four five six.", ""];
        let arm = |texts: Vec<&'static str>| ArmOutputs { arm: ArmName::new("r", "a").unwrap(), label: "a".into(), texts };
        let table = VoiceTable::of(pieces, vec![arm(vec!["One two three four five six seven eight.", ""]), arm(vec![])]);
        assert_eq!((table.pieces, table.arms[0].texts, table.arms[1].texts, table.arms[1].delta), (3, 1, 0, None));
        let row = |feature| &table.rows.iter().find(|row| row.feature == feature).unwrap().compared;
        let value = |value, z| Some(VoiceValue { value, z });
        assert_eq!(*row(Feature::SentenceLength), Compared { hers: 4.0, spread: 2.0, values: vec![value(8.0, Some(2.0)), None] });
        assert_eq!(*row(Feature::Commas), Compared { hers: 0.0, spread: 0.0, values: vec![value(0.0, None), None] });
        assert_eq!(table.curve, []);
        let shares: Vec<f64> = table.lengths.iter().map(|row| row.compared.hers).collect();
        assert_eq!(shares, [2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!((table.lengths[0].name(), table.lengths[7].name()), ("1 to 5".into(), "41 and more".into()));
        let alone = VoiceTable::of(["One two."], vec![arm(vec!["One two."])]);
        assert_eq!((alone.rows, alone.lengths, alone.function_words), (vec![], vec![], vec![]));
        let own = Own::of(pieces);
        // The mean of three times 0.1 is not 0.1; her share of the word has no spread all the same.
        let same = Own::of(["The two three four five six seven eight nine ten."; 3]);
        assert_eq!(same.delta(&Voice::of("The one.")), None);
        assert_eq!(Own::of(["The one."]).delta(&Voice::of("The one.")), None);
        assert_eq!(own.delta(&Voice::of("")), None);
        assert!(Own::of(["The one.", "A two."]).own_deltas().is_empty());
    }
}
