//! How surprised base and fine-tuned are by a text, place by place: the scores of its tokens as cells that can be shown, and the steps of
//! a heat map.
//!
//! The surprisal of a token is −ln p in nats, so that the mean over a pair's text is the loss that training names. Surprisals of tokens
//! add up: that of several is the surprisal of them all in a row.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::run::protocol::Rival;
use crate::run::scores::{ArmScores, Scores};

/// A stretch of the text that is shown as one: what its tokens stand for, in whole grapheme clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Empty for what has no text: the end of the answer.
    pub text: String,
    /// In characters (Unicode scalar values) of the text.
    pub span: Range<usize>,
    /// Which tokens of the text.
    pub tokens: Range<usize>,
    /// Surprisal of them together, in nats.
    pub base: f64,
    pub tuned: f64,
}

/// What of a cell is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Base,
    Tuned,
    /// How much less the fine-tuned arm is surprised than the base.
    Difference,
}

/// A step of the heat map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shade {
    /// From 0, hardly surprised, to the last of [`SURPRISE`].
    Surprise(usize),
    /// The two arms differ hardly.
    Even,
    /// The fine-tuned arm is less surprised; from 0 to the last of [`DIFFERENCE`].
    Less(usize),
    More(usize),
}

/// Means per token, in nats.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Means {
    pub tokens: usize,
    pub base: f64,
    pub tuned: f64,
}

/// Where the steps above the lowest begin, in nats: likelier than 3 in 5 is no surprise, less likely than 1 in 2,981 the greatest.
pub const SURPRISE: [f64; 7] = [0.5, 1.0, 2.0, 3.0, 4.5, 6.0, 8.0];
/// The same for a difference; below the first one the arms are even.
pub const DIFFERENCE: [f64; 3] = [0.25, 1.0, 2.5];

impl View {
    pub const ALL: [View; 3] = [View::Base, View::Tuned, View::Difference];

    pub fn word(self) -> &'static str {
        match self {
            View::Base => "base",
            View::Tuned => "fine-tuned",
            View::Difference => "difference",
        }
    }

    pub fn next(self) -> View {
        match self {
            View::Base => View::Tuned,
            View::Tuned => View::Difference,
            View::Difference => View::Base,
        }
    }
}

impl Cell {
    /// In nats.
    pub fn value(&self, view: View) -> f64 {
        match view {
            View::Base => self.base,
            View::Tuned => self.tuned,
            View::Difference => self.base - self.tuned,
        }
    }

    pub fn shade(&self, view: View) -> Shade {
        shade(self.value(view), view)
    }

    /// What was likeliest in its place besides; `None` where the cell is several tokens.
    pub fn rival<'s>(&self, arm: &'s ArmScores) -> Option<&'s Rival> {
        if self.tokens.len() == 1 { arm.rivals.get(self.tokens.start) } else { None }
    }
}

/// The step that a value in nats belongs to.
pub fn shade(value: f64, view: View) -> Shade {
    let reached = |steps: &[f64], value: f64| steps.iter().filter(|&&step| value >= step).count();
    match view {
        View::Base | View::Tuned => Shade::Surprise(reached(&SURPRISE, value)),
        View::Difference => match (reached(&DIFFERENCE, value.abs()).checked_sub(1), value > 0.0) {
            (None, _) => Shade::Even,
            (Some(step), true) => Shade::Less(step),
            (Some(step), false) => Shade::More(step),
        },
    }
}

/// The cells of a scored text, from its beginning to its end: their spans follow one another without gap and make up the text, and every
/// token is in one of them.
///
/// A cell is one token wherever that ends with a grapheme cluster. Tokens that meet inside a cluster (the bytes of an emoji, a letter
/// and its accent) are one cell. Tokens behind the text are the last cell, which has no text.
pub fn cells(scores: &Scores) -> Vec<Cell> {
    let (base, tuned) = (scores.of_text(&scores.base), scores.of_text(&scores.tuned));
    let surprisal = |logprobs: &[f32], tokens: Range<usize>| -> f64 {
        logprobs.get(tokens).unwrap_or_default().iter().map(|&logprob| -f64::from(logprob)).sum()
    };
    // Where clusters end, in characters, with the bytes up to there.
    let mut borders: Vec<(usize, usize)> = vec![(0, 0)];
    let (mut chars, mut bytes) = (0, 0);
    for cluster in scores.text.graphemes(true) {
        chars += cluster.chars().count();
        bytes += cluster.len();
        borders.push((chars, bytes));
    }
    let byte_at = |chars: usize| borders.binary_search_by_key(&chars, |border| border.0).ok().map(|at| borders[at].1);
    let mut cells: Vec<Cell> = vec![];
    let (mut first, mut start, mut start_byte) = (0, 0, 0);
    let mut close = |tokens: Range<usize>, span: Range<usize>, text: &str| {
        let (base, tuned) = (surprisal(base, tokens.clone()), surprisal(tuned, tokens.clone()));
        cells.push(Cell { text: text.to_owned(), span, tokens, base, tuned });
    };
    for (token, &end) in scores.ends.iter().enumerate() {
        if let Some(end_byte) = byte_at(end).filter(|_| end > start) {
            close(first..token + 1, start..end, &scores.text[start_byte..end_byte]);
            (first, start, start_byte) = (token + 1, end, end_byte);
        }
    }
    if first < scores.ends.len() {
        close(first..scores.ends.len(), start..chars, &scores.text[start_byte..]);
    }
    cells
}

/// Over the tokens of a scored text; `None` of a text without any.
pub fn means(scores: &Scores) -> Option<Means> {
    let mean = |arm: &ArmScores| {
        let logprobs = scores.of_text(arm);
        let sum: f64 = logprobs.iter().map(|&logprob| -f64::from(logprob)).sum();
        (!logprobs.is_empty()).then(|| sum / logprobs.len() as f64)
    };
    Some(Means { tokens: scores.ends.len(), base: mean(&scores.base)?, tuned: mean(&scores.tuned)? })
}

impl Means {
    /// How much less the fine-tuned arm is surprised, per token.
    pub fn difference(&self) -> f64 {
        self.base - self.tuned
    }
}

/// A surprisal as a chance: `1 in 1.5`, `1 in 54`, `1 in 2,981`.
pub fn odds(nats: f64) -> String {
    let times = nats.max(0.0).exp();
    if times < 9.95 {
        return format!("1 in {times:.1}");
    }
    if times >= 1e9 {
        return "1 in over a billion".into();
    }
    let digits = format!("{times:.0}");
    let group = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        [comma.then_some(','), Some(digit)].into_iter().flatten()
    };
    format!("1 in {}", digits.chars().enumerate().flat_map(group).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A text cut after these characters; token i costs the base 2 nats and i, and the fine-tuned arm half of that.
    fn scores(text: &str, ends: &[usize]) -> Scores {
        let arm = |share: f32| ArmScores {
            logprobs: std::iter::once(-9.0).chain((0..ends.len()).map(|i| -share * (2.0 + i as f32))).collect(),
            rivals: (0..ends.len()).map(|i| Rival { text: format!("r{i}"), logprob: -1.0 }).collect(),
        };
        Scores {
            prompt: "A".into(),
            prompt_text: String::new(),
            checkpoint: 1,
            ids: vec![0; ends.len() + 2],
            from: 2,
            text: text.into(),
            ends: ends.to_vec(),
            left_out: 0,
            base: arm(1.0),
            tuned: arm(0.5),
            time: String::new(),
        }
    }

    #[test]
    fn no_cluster_is_split() {
        let check = |text: &str, ends: &[usize], expected: &[(&str, Range<usize>)]| {
            let found = cells(&scores(text, ends));
            let shown: Vec<_> = found.iter().map(|cell| (cell.text.as_str(), cell.tokens.clone())).collect();
            assert_eq!(shown, expected, "{text:?} {ends:?}");
        };
        check("a bc", &[1, 2, 4], &[("a", 0..1), (" ", 1..2), ("bc", 2..3)]);
        // The bytes of an emoji; its end is the next token's.
        check("🜛!", &[0, 0, 0, 1, 2], &[("🜛", 0..4), ("!", 4..5)]);
        check("🜛!", &[0, 2], &[("🜛!", 0..2)]);
        check("駅で", &[0, 1, 1, 2], &[("駅", 0..2), ("で", 2..4)]);
        check("e\u{301}a", &[1, 1, 2, 3], &[("e\u{301}", 0..3), ("a", 3..4)]);
        check("👩\u{200d}🚀.", &[1, 2, 3, 4], &[("👩\u{200d}🚀", 0..3), (".", 3..4)]);
        check("🇳🇴🇸🇪", &[1, 2, 3, 4], &[("🇳🇴", 0..2), ("🇸🇪", 2..4)]);
        // What comes behind the text is a cell of its own.
        check("ab", &[2, 2], &[("ab", 0..1), ("", 1..2)]);
        check("", &[0], &[("", 0..1)]);
        check("", &[], &[]);
        // A cluster whose end was not scored.
        check("e\u{301}", &[1], &[("e\u{301}", 0..1)]);
    }

    #[test]
    fn surprisals_add_up() {
        let scores = scores("🜛!", &[0, 0, 0, 1, 2, 2]);
        let found = cells(&scores);
        assert_eq!(found.iter().map(|cell| (cell.base, cell.tuned)).collect::<Vec<_>>(), [(14.0, 7.0), (6.0, 3.0), (7.0, 3.5)]);
        let means = means(&scores).unwrap();
        assert_eq!(means, Means { tokens: 6, base: 4.5, tuned: 2.25 });
        assert_eq!(means.difference(), 2.25);
        assert_eq!(super::means(&super::tests::scores("", &[])), None);
        assert_eq!((found[0].rival(&scores.base), found[1].rival(&scores.base).map(|r| r.text.as_str())), (None, Some("r4")));
    }

    #[test]
    fn values_have_their_steps() {
        let check = |value: f64, view: View, expected: Shade| assert_eq!(shade(value, view), expected, "{value}");
        for (value, step) in [(0.0, 0), (0.49, 0), (0.5, 1), (1.5, 2), (2.0, 3), (4.4, 4), (5.0, 5), (7.9, 6), (8.0, 7), (30.0, 7)] {
            check(value, View::Base, Shade::Surprise(step));
        }
        check(0.0, View::Difference, Shade::Even);
        check(-0.2, View::Difference, Shade::Even);
        check(0.25, View::Difference, Shade::Less(0));
        check(2.5, View::Difference, Shade::Less(2));
        check(-1.0, View::Difference, Shade::More(1));
        check(-9.0, View::Difference, Shade::More(2));
    }

    #[test]
    fn chances_are_said_in_figures() {
        let check = |nats: f64, expected: &str| assert_eq!(odds(nats), expected);
        check(0.0, "1 in 1.0");
        check(0.5, "1 in 1.6");
        check(4.0, "1 in 55");
        check(8.0, "1 in 2,981");
        check(14.0, "1 in 1,202,604");
        check(40.0, "1 in over a billion");
    }

    proptest! {
        #[test]
        fn cells_tile_text_and_tokens(text in "[ab é駅\u{301}\u{200d}👩🚀\n]{0,40}", cuts in prop::collection::vec(0..41_usize, 0..20)) {
            let length = text.chars().count();
            let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(length)).collect();
            ends.push(length);
            ends.sort_unstable();
            let found = cells(&scores(&text, &ends));
            prop_assert_eq!(found.iter().map(|cell| cell.text.as_str()).collect::<String>(), text.clone());
            let (mut token, mut place) = (0, 0);
            for cell in &found {
                prop_assert_eq!((cell.tokens.start, cell.span.start), (token, place));
                prop_assert!(cell.tokens.end > token);
                (token, place) = (cell.tokens.end, cell.span.end);
                prop_assert_eq!(cell.text.chars().count(), cell.span.len());
            }
            prop_assert_eq!((token, place), (ends.len(), length));
            let clusters: Vec<usize> = text.graphemes(true).scan(0, |at, cluster| { *at += cluster.chars().count(); Some(*at) }).collect();
            prop_assert!(found.iter().filter(|cell| !cell.text.is_empty()).all(|cell| clusters.contains(&cell.span.end)));
        }
    }
}
