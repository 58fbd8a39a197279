//! How surprised base and fine-tuned are by the writer's own held-out texts, token by token, as far as scores are kept.

use serde::Serialize;

use super::Sources;
use super::setup::RunPart;
use crate::pairs::{Pair, plain};
use crate::review::surprisal::{Means, cells, means};
use crate::run::folder::Run;
use crate::run::scores::{self, Scores};

/// A held-out pair's text under a run's arms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SurprisalPart {
    pub run: String,
    pub pair: String,
    /// The step of the fine-tuned arm's checkpoint.
    pub checkpoint: usize,
    /// Nats a token; the end token is one of them.
    #[serde(flatten)]
    pub means: Means,
    /// Base less fine-tuned.
    pub difference: f64,
    /// Tokens at its end that the model has no positions for.
    pub left_out: usize,
    pub text: String,
    pub cells: Vec<CellPart>,
}

/// A stretch of the text, and its surprisal in nats. The last may be the end itself, which has no text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellPart {
    pub start: usize,
    pub end: usize,
    pub base: f64,
    pub tuned: f64,
}

/// Of each run's held-out pairs those that were scored, in the manifest's order. Scores that cannot be read are named.
pub(super) fn held_out(sources: &Sources, runs: &[RunPart], missing: &mut Vec<String>) -> Vec<SurprisalPart> {
    let mut parts = vec![];
    for (run, part) in sources.runs.iter().zip(runs) {
        let all = match all(run) {
            Ok(all) => all,
            Err(error) => {
                missing.push(format!("{error:#}"));
                continue;
            }
        };
        let held_out = run.manifest.data.validation.iter().filter_map(|id| sources.pairs.iter().find(|pair| pair.id == *id));
        let scored = held_out.filter_map(|pair| Some((pair, latest(&all, pair, part.result)?)));
        parts.extend(scored.filter_map(|(pair, scores)| self::part(&part.run, pair, scores)));
    }
    parts
}

fn all(run: &Run) -> anyhow::Result<Vec<Scores>> {
    let mut all = vec![];
    for prompt in scores::list(&run.folder)? {
        all.extend(scores::read(&run.folder, &prompt)?);
    }
    Ok(all)
}

/// Of the run's result where that was scored, else of the last checkpoint that was.
fn latest<'s>(all: &'s [Scores], pair: &Pair, result: Option<usize>) -> Option<&'s Scores> {
    let (prompt, response) = (plain(&pair.prompt), plain(&pair.response));
    let is_its = |scores: &&Scores| {
        let is_whole = scores.left_out == 0 && scores.text == response;
        plain(&scores.prompt_text) == prompt && (is_whole || scores.left_out > 0 && response.starts_with(&scores.text))
    };
    all.iter().filter(is_its).max_by_key(|scores| (Some(scores.checkpoint) == result, scores.checkpoint))
}

fn part(run: &str, pair: &Pair, scores: &Scores) -> Option<SurprisalPart> {
    let means = means(scores)?;
    let cell =
        |cell: crate::review::surprisal::Cell| CellPart { start: cell.span.start, end: cell.span.end, base: cell.base, tuned: cell.tuned };
    Some(SurprisalPart {
        run: run.to_owned(),
        pair: pair.id.clone(),
        checkpoint: scores.checkpoint,
        difference: means.difference(),
        means,
        left_out: scores.left_out,
        cells: cells(scores).into_iter().map(cell).collect(),
        text: scores.text.clone(),
    })
}
