//! The pair itself.

use serde::{Deserialize, Serialize};

/// One training pair. `id` is the path below `pairs/` without `.yaml`, e.g. `tier1/quiet-car`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub id: String,
    pub tier: Tier,
    /// The essay or Note the pair was made from; split and balance go by it.
    pub source: String,
    pub prompt: String,
    pub response: String,
    pub status: Status,
    pub split: Split,
    pub notes: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Tier {
    /// Rough draft -> finished essay.
    Draft = 1,
    /// Thesis or topic -> finished essay.
    Topic = 2,
    /// Opening -> continuation.
    Opening = 3,
    /// Thesis or topic -> finished Note.
    Note = 4,
}

impl Tier {
    pub const ALL: [Tier; 4] = [Tier::Draft, Tier::Topic, Tier::Opening, Tier::Note];

    /// The folder below `pairs/`, e.g. `tier1`.
    pub fn folder(self) -> &'static str {
        match self {
            Tier::Draft => "tier1",
            Tier::Topic => "tier2",
            Tier::Opening => "tier3",
            Tier::Note => "tier4",
        }
    }
}

impl TryFrom<u8> for Tier {
    type Error = String;
    fn try_from(n: u8) -> Result<Self, String> {
        match n {
            1 => Ok(Tier::Draft),
            2 => Ok(Tier::Topic),
            3 => Ok(Tier::Opening),
            4 => Ok(Tier::Note),
            _ => Err(format!("tier must be 1, 2, 3 or 4, not {n}")),
        }
    }
}

impl From<Tier> for u8 {
    fn from(tier: Tier) -> u8 {
        tier as u8
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Draft,
    Ready,
    Discarded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    Auto,
    Train,
    Validation,
}

impl Status {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Ready => "ready",
            Status::Discarded => "discarded",
        }
    }
}

impl Split {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            Split::Auto => "auto",
            Split::Train => "train",
            Split::Validation => "validation",
        }
    }
}

/// The tier-1 pair whose rough draft a text is, as [`plain`] texts.
pub fn of_draft<'p>(pairs: &'p [Pair], text: &str) -> Option<&'p Pair> {
    let text = plain(text);
    pairs.iter().find(|pair| pair.tier == Tier::Draft && !text.is_empty() && plain(&pair.prompt) == text)
}

/// A text without what may change on its way through a file: the ends' white space, the style of its line ends.
pub fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}
