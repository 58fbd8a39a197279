//! The numbers of a comparison in words: what stands above the two texts.

use super::agreement::{Agreement, Scores};
use super::lanes::Ink;
use super::marks::Marks;
use super::paragraphs::Ending;
use super::shares::Counts;

/// `12 sentences`.
pub fn sentences(count: usize) -> String {
    match count {
        0 => "no sentence: empty".to_owned(),
        1 => "1 sentence".to_owned(),
        n => format!("{n} sentences"),
    }
}

/// The shares, each beside its sign.
pub fn shares(counts: Counts) -> Vec<(Ink, String)> {
    let shares = counts.shares();
    let percent = |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.0}\u{a0}%", 100.0 * s));
    let plain = |text: &str| (Ink::Plain, text.to_owned());
    vec![
        (Ink::Plain, format!("kept {}", percent(shares.kept))),
        plain(", "),
        (Ink::Gone, format!("- cut {}", percent(shares.cut))),
        plain(", "),
        (Ink::Reworded, format!("~ reworded {}", percent(shares.reworded))),
        plain(", "),
        (Ink::Moved, format!("> moved {}", percent(shares.moved))),
        plain(" of the draft; "),
        (Ink::New, format!("+ new {}", percent(shares.new))),
        plain(" of the revision"),
    ]
}

/// What became of the piece's last sentence.
pub fn ending(ending: Ending, counts: Counts) -> String {
    let what = match ending {
        Ending::Kept => "kept",
        Ending::Sharpened => "sharpened",
        Ending::Cut if counts.revision == 0 => "cut",
        Ending::Cut => "cut: an earlier sentence ends the piece",
        Ending::New => "new",
    };
    format!("last sentence: {what}")
}

/// A line for the cuts, and one for the endings of paragraphs.
pub fn agreement(agreement: &Agreement) -> [String; 2] {
    [
        format!("agreement with the author's cuts: {}", scores(&agreement.cut)),
        format!("agreement on paragraph endings cut: {}", scores(&agreement.endings)),
    ]
}

/// What was copied from training pairs, in all and span by span.
pub fn copied(marks: &Marks) -> Vec<String> {
    let spans = marks.copied().count();
    let in_prompt = match marks.copied.len() - spans {
        0 => String::new(),
        1 => "; 1 more span stands in the draft too".to_owned(),
        more => format!("; {more} more stand in the draft too"),
    };
    let sum = match spans {
        0 => format!("copied from the training pairs: nothing{in_prompt}"),
        1 => format!("copied from the training pairs: 1 span of {} words{in_prompt}", marks.copied_words()),
        n => format!("copied from the training pairs: {n} spans, {} words{in_prompt}", marks.copied_words()),
    };
    let mut lines = vec![sum];
    lines.extend(marks.copied().map(|copied| format!("  {}", copied.source())));
    lines
}

fn scores(scores: &Scores) -> String {
    let number = |value: Option<f64>| value.map_or("undefined".to_owned(), |v| format!("{v:.2}"));
    let interval = scores.interval.map_or(String::new(), |(low, high)| format!(" (95 %: {low:.2} to {high:.2})"));
    let Scores { precision, recall, f1, kappa, .. } = *scores;
    format!("precision {}, recall {}, F1 {}, kappa {}{interval}", number(precision), number(recall), number(f1), number(kappa))
}
