//! The arms beside the writer: every statistic of their outputs against her finished pieces, with her piece-to-piece spread as the scale.

use serde::Serialize;

use super::{CURVE_STEP, FUNCTION_WORDS, Feature, LENGTHS, Own, Voice, mean, spread};
use crate::review::verdict::ArmName;

/// One arm's outputs, to be measured.
#[derive(Debug, Clone)]
pub struct ArmOutputs<'t> {
    pub arm: ArmName,
    /// What it is called in tables.
    pub label: String,
    /// Those without a word are left out.
    pub texts: Vec<&'t str>,
}

/// How far the arms stand from her own pieces.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoiceTable {
    /// Her finished pieces that are the scale.
    pub pieces: usize,
    /// Burrows' Delta of each of her pieces from the others: what a Delta of hers looks like.
    pub own_deltas: Vec<f64>,
    pub arms: Vec<VoiceArm>,
    /// The features that she and an arm have.
    pub rows: Vec<VoiceRow>,
    /// Of a text's sentences, the share of each length.
    pub lengths: Vec<LengthRow>,
    /// Different words among a text's first words: the type-token curve, as far as two of her pieces go.
    pub curve: Vec<CurvePoint>,
    /// A text's share of each function word, in the order of [`FUNCTION_WORDS`].
    pub function_words: Vec<WordRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoiceArm {
    pub arm: ArmName,
    pub label: String,
    /// Outputs that are not empty.
    pub texts: usize,
    /// Mean over them of each one's Delta from her pieces.
    pub delta: Option<f64>,
}

/// One number of her pieces, and the arms' beside it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Mean over her pieces.
    pub hers: f64,
    /// Standard deviation over her pieces (n - 1).
    pub spread: f64,
    /// In the order of the arms. Null where no output of the arm has it.
    pub values: Vec<Option<VoiceValue>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VoiceValue {
    /// Mean over the arm's outputs that have it.
    pub value: f64,
    /// How many of her spreads it stands above her mean; null where she never varies.
    pub z: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoiceRow {
    pub feature: Feature,
    pub name: &'static str,
    #[serde(flatten)]
    pub compared: Compared,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LengthRow {
    /// In words, both ends counted; null where there is no end.
    pub from: usize,
    pub to: Option<usize>,
    #[serde(flatten)]
    pub compared: Compared,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Among so many words from the start.
    pub words: usize,
    /// Her pieces that are so long.
    pub pieces: usize,
    /// The arms' outputs that are so long.
    pub texts: Vec<usize>,
    #[serde(flatten)]
    pub compared: Compared,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordRow {
    pub word: &'static str,
    #[serde(flatten)]
    pub compared: Compared,
}

impl VoiceTable {
    pub fn of<'t>(pieces: impl IntoIterator<Item = &'t str>, arms: Vec<ArmOutputs>) -> VoiceTable {
        let own = Own::of(pieces);
        let measured: Vec<Vec<Voice>> =
            (arms.iter()).map(|arm| arm.texts.iter().map(|text| Voice::of(text)).filter(|voice| voice.words > 0).collect()).collect();
        let compared = |of: &dyn Fn(&Voice) -> Option<f64>| own.compared(&measured, of);
        let row = |feature: Feature| {
            let compared = compared(&|voice| voice.features.get(&feature).copied())?;
            compared.values.iter().any(Option::is_some).then_some(VoiceRow { feature, name: feature.name(), compared })
        };
        let length = |(at, &(from, to)): (usize, &(usize, Option<usize>))| {
            let compared = compared(&|voice| voice.length_shares().map(|shares| shares[at]))?;
            Some(LengthRow { from, to, compared })
        };
        let longest = own.pieces.iter().map(|piece| piece.growth.len()).max().unwrap_or(0);
        let point = |at: usize| {
            let is_long = |voice: &&Voice| voice.growth.len() > at;
            Some(CurvePoint {
                words: (at + 1) * CURVE_STEP,
                pieces: own.pieces.iter().filter(is_long).count(),
                texts: measured.iter().map(|of| of.iter().filter(is_long).count()).collect(),
                compared: compared(&|voice| voice.growth.get(at).map(|&types| types as f64))?,
            })
        };
        let word =
            |(at, word): (usize, &&'static str)| Some(WordRow { word, compared: compared(&|voice| Some(voice.function_words[at]))? });
        VoiceTable {
            pieces: own.pieces.len(),
            own_deltas: own.own_deltas(),
            rows: Feature::ALL.into_iter().filter_map(row).collect(),
            lengths: LENGTHS.iter().enumerate().filter_map(length).collect(),
            curve: (0..longest).filter_map(point).collect(),
            function_words: FUNCTION_WORDS.iter().enumerate().filter_map(word).collect(),
            arms: (arms.into_iter().zip(&measured))
                .map(|(arm, of)| VoiceArm {
                    arm: arm.arm,
                    label: arm.label,
                    texts: of.len(),
                    delta: mean(&of.iter().filter_map(|voice| own.delta(voice)).collect::<Vec<_>>()),
                })
                .collect(),
        }
    }

    /// The function words at which an arm stands farthest from her, the farthest first.
    pub fn telling_words(&self) -> Vec<&WordRow> {
        let farthest = |row: &WordRow| row.compared.values.iter().flatten().filter_map(|value| value.z).map(f64::abs).fold(0.0, f64::max);
        let mut rows: Vec<&WordRow> = self.function_words.iter().filter(|row| farthest(row) > 0.0).collect();
        rows.sort_by(|a, b| farthest(b).total_cmp(&farthest(a)));
        rows
    }
}

impl LengthRow {
    /// `1 to 5`, `41 and more`.
    pub fn name(&self) -> String {
        match self.to {
            Some(to) => format!("{} to {to}", self.from),
            None => format!("{} and more", self.from),
        }
    }
}

impl Own {
    /// What is measured of a text by `of`, hers and the arms'. `None` where fewer than two of her pieces have it.
    fn compared(&self, arms: &[Vec<Voice>], of: &dyn Fn(&Voice) -> Option<f64>) -> Option<Compared> {
        let values = |voices: &[Voice]| voices.iter().filter_map(of).collect::<Vec<f64>>();
        let own = values(&self.pieces);
        let (hers, spread) = (mean(&own)?, spread(&own)?);
        let value = |voices: &Vec<Voice>| {
            let value = mean(&values(voices))?;
            Some(VoiceValue { value, z: (spread > 0.0).then(|| (value - hers) / spread) })
        };
        Some(Compared { hers, spread, values: arms.iter().map(value).collect() })
    }
}
