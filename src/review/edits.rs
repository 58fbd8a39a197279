//! Agreement with the writer's own edit over many drafts and samples: an arm's scores, what chance would score, and what fine-tuning added.
//!
//! A sentence counts once for each sample of the arm. Intervals are percentile bootstraps in two stages, since neither the sentences of a
//! piece nor the samples of a sentence are independent: pieces are drawn anew, and in each piece its sentences, all samples of a sentence
//! together. With one piece this is the bootstrap over its sentences.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::agreement::{RESAMPLES, Scores, Table, percentiles};
use super::align::align;
use super::{agreement, draw};

/// What the writer and each arm's samples did with one sentence of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sentence {
    author: bool,
    /// Whether it ends a paragraph.
    ending: bool,
    /// By arm, how many of its samples cut it.
    cut: Vec<u64>,
}

/// One draft, its finished text, and what every arm made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// By arm, how many samples there are.
    samples: Vec<u64>,
    sentences: Vec<Sentence>,
}

/// Which sentences are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    All,
    /// The last ones of paragraphs.
    Endings,
}

/// An estimate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Estimate {
    pub value: f64,
    pub interval: Option<(f64, f64)>,
}

/// The second arm's score less the first's, on the same resamples of the pieces that both answered.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Difference {
    pub kappa: Option<Estimate>,
    pub f1: Option<Estimate>,
}

impl Piece {
    /// `arms` has the samples of each arm; an arm may have none.
    pub fn of(draft: &str, finished: &str, arms: &[Vec<&str>]) -> Piece {
        let author = align(draft, finished);
        let cuts: Vec<Vec<Vec<bool>>> =
            arms.iter().map(|samples| samples.iter().map(|text| agreement::cuts(&align(draft, text))).collect()).collect();
        let sentence = |(s, cut): (usize, bool)| Sentence {
            author: cut,
            ending: author.draft.ends_paragraph(s),
            cut: cuts.iter().map(|samples| samples.iter().filter(|cuts| cuts[s]).count() as u64).collect(),
        };
        let sentences = agreement::cuts(&author).into_iter().enumerate().map(sentence).collect();
        Piece { samples: arms.iter().map(|samples| samples.len() as u64).collect(), sentences }
    }

    /// How many of the sentences asked about the draft has, and how many of them the writer cut.
    pub fn author(&self, asked: Asked) -> (usize, usize) {
        let all = || self.sentences.iter().filter(|sentence| asked.counts(sentence));
        (all().count(), all().filter(|sentence| sentence.author).count())
    }
}

impl Asked {
    fn counts(self, sentence: &Sentence) -> bool {
        self == Asked::All || sentence.ending
    }
}

/// How well the cuts of `arm` agree with the writer's. All `None` where it answered nothing.
pub fn scores(pieces: &[Piece], arm: usize, asked: Asked, seed: u64) -> Scores {
    let answered: Vec<&Piece> = pieces.iter().filter(|piece| piece.samples[arm] > 0).collect();
    let table = table(&whole(&answered), arm, asked);
    let interval = table.kappa().and_then(|_| interval(&answered, seed, |drawn| self::table(drawn, arm, asked).kappa()));
    Scores { precision: table.precision(), recall: table.recall(), f1: table.f1(), kappa: table.kappa(), interval }
}

/// What `tuned` scores more than `base`. `None` where a score of either is undefined.
pub fn difference(pieces: &[Piece], base: usize, tuned: usize, asked: Asked, seed: u64) -> Difference {
    let both: Vec<&Piece> = pieces.iter().filter(|piece| piece.samples[base] > 0 && piece.samples[tuned] > 0).collect();
    let estimate = |score: fn(&Table) -> Option<f64>| {
        let less = |drawn: &[Drawn]| Some(score(&table(drawn, tuned, asked))? - score(&table(drawn, base, asked))?);
        less(&whole(&both)).map(|value| Estimate { value, interval: interval(&both, seed, less) })
    };
    Difference { kappa: estimate(Table::kappa), f1: estimate(Table::f1) }
}

/// What an editor scores who cuts nothing.
pub fn cutting_nothing(pieces: &[Piece], asked: Asked) -> Scores {
    let (all, cut) = author(pieces, asked);
    let table = Table { only_author: cut as u64, neither: (all - cut) as u64, ..Table::default() };
    Scores { precision: table.precision(), recall: table.recall(), f1: table.f1(), kappa: table.kappa(), interval: None }
}

/// What an editor scores who cuts as many sentences as the writer did, drawn at random: the means over [`RESAMPLES`] draws, and where 95 % of the
/// kappas lie.
pub fn cutting_at_random(pieces: &[Piece], asked: Asked, seed: u64) -> Scores {
    let (all, cut) = author(pieces, asked);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut deck: Vec<bool> = (0..all).map(|s| s < cut).collect();
    let tables: Vec<Table> = (0..RESAMPLES)
        .map(|_| {
            draw::shuffle(&mut deck, &mut rng);
            let both_cut = deck[..cut].iter().filter(|cut| **cut).count();
            let only = (cut - both_cut) as u64;
            Table { both_cut: both_cut as u64, only_author: only, only_model: only, neither: (all - cut) as u64 - only }
        })
        .collect();
    let values = |score: fn(&Table) -> Option<f64>| tables.iter().filter_map(score).collect::<Vec<f64>>();
    let mean = |score| Some(values(score)).filter(|all| !all.is_empty()).map(|all| all.iter().sum::<f64>() / all.len() as f64);
    Scores {
        precision: mean(Table::precision),
        recall: mean(Table::recall),
        f1: mean(Table::f1),
        kappa: mean(Table::kappa),
        interval: percentiles(values(Table::kappa)),
    }
}

/// Over all pieces: sentences, and those the writer cut.
pub fn author(pieces: &[Piece], asked: Asked) -> (usize, usize) {
    let sum = |(all, cut): (usize, usize), piece: &Piece| (all + piece.author(asked).0, cut + piece.author(asked).1);
    pieces.iter().fold((0, 0), sum)
}

/// A sentence as it was drawn, with the samples its piece has.
type Drawn<'p> = (&'p Sentence, &'p [u64]);

fn whole<'p>(pieces: &[&'p Piece]) -> Vec<Drawn<'p>> {
    pieces.iter().flat_map(|piece| piece.sentences.iter().map(|sentence| (sentence, piece.samples.as_slice()))).collect()
}

fn table(drawn: &[Drawn], arm: usize, asked: Asked) -> Table {
    let mut table = Table::default();
    for (sentence, samples) in drawn.iter().filter(|(sentence, _)| asked.counts(sentence)) {
        let (cut, not) = (sentence.cut[arm], samples[arm] - sentence.cut[arm]);
        match sentence.author {
            true => (table.both_cut, table.only_author) = (table.both_cut + cut, table.only_author + not),
            false => (table.only_model, table.neither) = (table.only_model + cut, table.neither + not),
        }
    }
    table
}

fn interval(pieces: &[&Piece], seed: u64, statistic: impl Fn(&[Drawn]) -> Option<f64>) -> Option<(f64, f64)> {
    let pieces: Vec<&Piece> = pieces.iter().copied().filter(|piece| !piece.sentences.is_empty()).collect();
    if pieces.is_empty() {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = vec![];
    let mut once = || {
        drawn.clear();
        for _ in 0..pieces.len() {
            let piece = pieces[draw::below(&mut rng, pieces.len())];
            let sentence = |_| (&piece.sentences[draw::below(&mut rng, piece.sentences.len())], piece.samples.as_slice());
            drawn.extend((0..piece.sentences.len()).map(sentence));
        }
        statistic(&drawn)
    };
    percentiles((0..RESAMPLES).filter_map(|_| once()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::agreement::agreement;

    const DRAFT: &str = "The ferry left at noon. Nobody knew the pilot's name. Gulls followed us to the bar.\n\nI had packed the blue lamp badly. Its glass broke in the hold.";
    const FINISHED: &str = "The ferry left at noon. Gulls followed us to the bar.\n\nI had packed the blue lamp badly.";
    const MODEL: &str = "The ferry left at noon. Nobody knew the pilot's name.\n\nI had packed the blue lamp badly.";

    #[test]
    fn one_sample_of_one_draft_is_a_plain_agreement() {
        let plain = agreement(DRAFT, MODEL, FINISHED, 7);
        let pieces = [Piece::of(DRAFT, FINISHED, &[vec![MODEL]])];
        for (asked, expected) in [(Asked::All, plain.cut), (Asked::Endings, plain.endings)] {
            let found = scores(&pieces, 0, asked, 7);
            assert_eq!(Scores { interval: None, ..found }, Scores { interval: None, ..expected }, "{asked:?}");
        }
        assert_eq!(author(&pieces, Asked::All), (5, 2));
        assert_eq!(author(&pieces, Asked::Endings), (2, 1));
    }

    /// The same sample five times says no more than once; the same edit of another piece does.
    #[test]
    fn only_further_sentences_narrow_an_interval() {
        let width = |pieces: &[Piece]| scores(pieces, 0, Asked::All, 7).interval.map(|(low, high)| high - low).unwrap();
        let once = Piece::of(DRAFT, FINISHED, &[vec![MODEL]]);
        let often = Piece::of(DRAFT, FINISHED, &[vec![MODEL; 5]]);
        assert_eq!(width(std::slice::from_ref(&once)), width(&[often]));
        assert!(width(&vec![once.clone(); 8]) < 0.6 * width(&[once]));
    }

    #[test]
    fn a_difference_is_of_what_both_answered() {
        let both = Piece::of(DRAFT, FINISHED, &[vec![DRAFT], vec![FINISHED, FINISHED]]);
        let base_alone = Piece::of(DRAFT, FINISHED, &[vec![FINISHED], vec![]]);
        let found = difference(&[both.clone(), base_alone.clone()], 0, 1, Asked::All, 7);
        assert_eq!(found.kappa.map(|estimate| estimate.value), Some(1.0));
        assert_eq!(difference(std::slice::from_ref(&base_alone), 0, 1, Asked::All, 7), Difference { kappa: None, f1: None });
        // Two arms that are one differ by nothing, on every resample.
        let same = Piece::of(DRAFT, FINISHED, &[vec![MODEL], vec![MODEL]]);
        assert_eq!(difference(&[same], 0, 1, Asked::All, 7).f1.map(|f1| (f1.value, f1.interval)), Some((0.0, Some((0.0, 0.0)))));
        let nothing = scores(&[base_alone], 1, Asked::All, 7);
        assert_eq!((nothing.precision, nothing.recall, nothing.kappa, nothing.interval), (None, None, None, None));
    }

    #[test]
    fn editors_who_know_nothing_agree_by_chance() {
        let pieces = [Piece::of(DRAFT, FINISHED, &[])];
        let nothing = cutting_nothing(&pieces, Asked::All);
        assert_eq!((nothing.precision, nothing.recall, nothing.kappa), (None, Some(0.0), Some(0.0)));
        let random = cutting_at_random(&pieces, Asked::All, 7);
        assert!(
            random.recall.is_some_and(|recall| (recall - 0.4).abs() < 0.02) && random.kappa.is_some_and(|kappa| kappa.abs() < 0.04),
            "{random:?}"
        );
        assert_eq!(cutting_at_random(&[], Asked::All, 7).kappa, None);
    }
}
