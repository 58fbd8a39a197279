//! The numbers of a comparison in words: what stands above the two texts.

use super::agreement::{Agreement, Scores};
use super::align::Kind;
use super::lanes::Ink;
use super::marks::Marks;
use super::paragraphs::{Ending, ParagraphRow};
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

/// What became of the paragraphs, and of their endings.
pub fn paragraphs(rows: &[ParagraphRow]) -> String {
    let list = |counts: Vec<(usize, &str)>| {
        let some = counts.into_iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    };
    let kinds = [(Kind::Kept, "kept"), (Kind::Reworded, "reworked"), (Kind::Moved, "moved"), (Kind::Cut, "cut"), (Kind::New, "new")];
    let of_kind = |(kind, what)| (rows.iter().filter(|row| row.kind == kind).count(), what);
    let fates = [(Ending::Kept, "kept"), (Ending::Sharpened, "sharpened"), (Ending::Cut, "cut"), (Ending::New, "new")];
    let of_fate = |(ending, what)| (rows.iter().filter(|row| row.ending == Some(ending)).count(), what);
    let (paragraphs, endings) = (list(kinds.map(of_kind).to_vec()), list(fates.map(of_fate).to_vec()));
    let mut said = format!("paragraphs: {}", if paragraphs.is_empty() { "none" } else { &paragraphs });
    if !endings.is_empty() {
        said += &format!("; their endings: {endings}");
    }
    said
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
