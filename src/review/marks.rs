//! What is marked in an output: the spans that it copied from the pairs its run was trained on, and the facts that it seems to have invented.
//! Every view marks the same, and counts the same.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use serde::Serialize;

use super::facts::{FactKind, Known, invented};
use super::text::Span;
use super::verbatim::{Index, Side};
use crate::pairs::Pair;

/// What a run was trained on, made ready to look outputs up in.
#[derive(Debug, Clone, Default)]
pub struct Trained {
    index: Index,
    known: Known,
}

/// A prompt, to tell what an output took from there.
#[derive(Debug, Clone)]
pub struct Asked<'p> {
    text: &'p str,
    index: Index,
}

/// What is marked in one output, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Marks {
    pub copied: Vec<Copied>,
    pub facts: Vec<Invented>,
}

/// A span of 8 or more words that stands in a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    #[serde(flatten)]
    pub span: Span,
    pub words: usize,
    pub pair: String,
    pub side: Side,
    /// Whether the prompt holds it too: then it was in plain sight, is not marked, and counts apart.
    pub in_prompt: bool,
}

/// A name, place, year or number that neither a pair nor the prompt holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invented {
    pub kind: FactKind,
    #[serde(flatten)]
    pub span: Span,
    pub text: String,
    pub sentence: String,
}

/// How a stretch of an output is marked. A fact can stand in a copied span: the model told something of another pair's life as its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    pub copied: bool,
    pub invented: bool,
}

impl Trained {
    /// On the pairs with these ids; and how many of them are no longer there.
    pub fn on(ids: &[String], pairs: &[Pair]) -> (Trained, usize) {
        let ids: BTreeSet<&String> = ids.iter().collect();
        let found: Vec<&Pair> = pairs.iter().filter(|pair| ids.contains(&pair.id)).collect();
        let known = Known::of(found.iter().flat_map(|pair| [pair.prompt.as_str(), pair.response.as_str()]));
        let gone = ids.len() - found.len();
        (Trained { index: Index::of(found), known }, gone)
    }

    /// What is marked in an output.
    pub fn marks(&self, output: &str, asked: &Asked) -> Marks {
        let copied = self.index.copied(output).into_iter().map(|copied| Copied {
            span: copied.span,
            words: copied.words,
            pair: copied.pair.to_owned(),
            side: copied.side,
            in_prompt: asked.index.holds(copied.span.of(output)),
        });
        let facts = invented(output, asked.text, &self.known).into_iter().map(|fact| Invented {
            kind: fact.kind,
            span: fact.span,
            text: fact.span.of(output).to_owned(),
            sentence: fact.sentence.of(output).to_owned(),
        });
        Marks { copied: copied.collect(), facts: facts.collect() }
    }
}

impl Copied {
    /// `12 words of the response of tier2/clocks`.
    pub fn source(&self) -> String {
        let side = match self.side {
            Side::Prompt => "prompt",
            Side::Response => "response",
        };
        format!("{} words of the {side} of {}", self.words, self.pair)
    }
}

impl<'p> Asked<'p> {
    pub fn new(text: &'p str) -> Asked<'p> {
        Asked { text, index: Index::of_prompt(text) }
    }
}

impl Marks {
    /// What was copied and did not stand in the prompt: this is what is marked.
    pub fn copied(&self) -> impl Iterator<Item = &Copied> {
        self.copied.iter().filter(|copied| !copied.in_prompt)
    }

    pub fn copied_words(&self) -> usize {
        self.copied().map(|copied| copied.words).sum()
    }

    /// Bytes of the output, in its order.
    pub fn copied_bytes(&self) -> Vec<Range<usize>> {
        self.copied().map(|copied| copied.span.bytes.0..copied.span.bytes.1).collect()
    }

    /// `31 words copied`, `2 invented`: what there is to say, the copied first.
    pub fn counts(&self) -> Vec<String> {
        let mut said = vec![];
        match self.copied_words() {
            0 => {}
            words => said.push(format!("{words} words copied")),
        }
        match self.facts.len() {
            0 => {}
            facts => said.push(format!("{facts} invented")),
        }
        said
    }

    /// A part of the output, given by its bytes, cut up where marks begin and end. Nothing is lost, and no stretch is empty.
    pub fn cut<'t>(&self, output: &'t str, part: Range<usize>) -> Vec<(Mark, &'t str)> {
        let copied = self.copied_bytes();
        let facts: Vec<Range<usize>> = self.facts.iter().map(|fact| fact.span.bytes.0..fact.span.bytes.1).collect();
        let mut borders: Vec<usize> = copied.iter().chain(&facts).flat_map(|range| [range.start, range.end]).collect();
        borders.retain(|border| part.contains(border));
        borders.extend([part.start, part.end]);
        borders.sort_unstable();
        borders.dedup();
        let holds = |ranges: &[Range<usize>], at: usize| ranges.iter().any(|range| range.contains(&at));
        let stretch = |ends: &[usize]| {
            let mark = Mark { copied: holds(&copied, ends[0]), invented: holds(&facts, ends[0]) };
            (mark, &output[ends[0]..ends[1]])
        };
        borders.windows(2).map(stretch).collect()
    }
}

/// The same stretches with signs around what is marked, for where neither colour nor underline is seen: `[=copied=]`, `[?invented?]`.
pub fn signed<'t>(stretches: &[(Mark, &'t str)]) -> Vec<(Mark, Cow<'t, str>)> {
    let with = |at: usize| {
        let (mark, text) = stretches[at];
        let before = at.checked_sub(1).map_or(Mark::default(), |at| stretches[at].0);
        let after = stretches.get(at + 1).map_or(Mark::default(), |(mark, _)| *mark);
        let signs = [
            (mark.copied && !before.copied, "[="),
            (mark.invented && !before.invented, "[?"),
            (mark.invented && !after.invented, "?]"),
            (mark.copied && !after.copied, "=]"),
        ];
        let sign = |at: usize| if signs[at].0 { signs[at].1 } else { "" };
        match signs.iter().any(|(is_there, _)| *is_there) {
            true => (mark, Cow::Owned(format!("{}{}{text}{}{}", sign(0), sign(1), sign(2), sign(3)))),
            false => (mark, Cow::Borrowed(text)),
        }
    };
    (0..stretches.len()).map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::{Split, Status, Tier};

    fn pair(id: &str, response: &str) -> Pair {
        Pair {
            id: id.into(),
            tier: Tier::Note,
            source: id.into(),
            prompt: String::new(),
            response: response.into(),
            status: Status::Ready,
            split: Split::Auto,
            notes: String::new(),
        }
    }

    const ESSAY: &str = "Every clock in the town told its own time, and the baker went by none of them.";

    fn marks(output: &str, prompt: &str) -> Marks {
        let pairs = [pair("tier4/clocks", ESSAY), pair("tier4/held-out", "We were at Lyme Regis.")];
        let (trained, gone) = Trained::on(&["tier4/clocks".into(), "tier4/gone".into()], &pairs);
        assert_eq!(gone, 1);
        trained.marks(output, &Asked::new(prompt))
    }

    /// With signs, all of it.
    fn shown(output: &str, prompt: &str) -> String {
        let cut = marks(output, prompt).cut(output, 0..output.len());
        assert_eq!(cut.iter().map(|(_, text)| *text).collect::<String>(), output);
        signed(&cut).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn what_is_marked() {
        let check = |output: &str, expected: &str| assert_eq!(shown(output, "What of clocks?"), expected);
        check("", "");
        check("🎉 The town slept.", "🎉 The town slept.");
        check(
            "🎉 It told its own time, and the baker went by none, they say.",
            "🎉 It [=told its own time, and the baker went by none=], they say.",
        );
        check("I was at Lyme Regis in 1962.", "I was at [?Lyme Regis?] in [?1962?].");
        check(
            "I think every clock in the town told its own time in Lyme Regis.",
            "I think [=every clock in the town told its own time=] in [?Lyme Regis?].",
        );
    }

    #[test]
    fn what_the_prompt_holds_is_not_marked() {
        assert_eq!(shown(ESSAY, ESSAY), ESSAY);
        let of_prompt = marks(ESSAY, ESSAY);
        assert_eq!((of_prompt.copied.len(), of_prompt.copied().count(), of_prompt.counts()), (1, 0, vec![]));
        assert_eq!(marks("I was at Lyme Regis.", "Lyme Regis").facts, []);
        assert_eq!(marks(&format!("{ESSAY} I met Edna."), "").counts(), ["17 words copied", "1 invented"]);
    }

    #[test]
    fn a_fact_in_a_copied_span_is_both() {
        let (trained, _) = Trained::on(&["a".into()], &[pair("a", "He said that they lived in Lyme Regis by the sea.")]);
        let output = "He said that they lived in Lyme Regis by the sea.";
        let mut marks = trained.marks(output, &Asked::new(""));
        marks.facts = marks
            .copied
            .iter()
            .map(|copied| Invented { kind: FactKind::Place, span: copied.span, text: String::new(), sentence: String::new() })
            .collect();
        let (start, end) = (output.find("Lyme").unwrap(), output.find(" by").unwrap());
        marks.facts[0].span.bytes = (start, end);
        let shown: String = signed(&marks.cut(output, 0..output.len())).into_iter().map(|(_, text)| text).collect();
        assert_eq!(shown, "[=He said that they lived in [?Lyme Regis?] by the sea=].");
        // A part alone.
        let part: String = signed(&marks.cut(output, start + 5..output.len())).into_iter().map(|(_, text)| text).collect();
        assert_eq!(part, "[=[?Regis?] by the sea=].");
    }
}
