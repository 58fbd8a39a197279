//! The words inside a reworded sentence: what stayed, what went, what came; and its markup, `The [-old-]{+new+} house`.

use std::ops::Range;

use similar::{Algorithm, DiffTag, capture_diff_slices};
use unicode_segmentation::UnicodeSegmentation;

/// A stretch of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'t> {
    Equal(&'t str),
    Delete(&'t str),
    Insert(&'t str),
}

/// The words of two sentences. `Equal` and `Delete` together are the draft to the letter, `Equal` and `Insert` the revision. Where words were replaced,
/// the deletion comes first.
pub fn diff<'t>(draft: &'t str, revision: &'t str) -> Vec<Segment<'t>> {
    let (old, new) = (tokens(draft), tokens(revision));
    let (old_at, new_at) = (offsets(&old), offsets(&new));
    let changes = capture_diff_slices(Algorithm::Patience, &old, &new).into_iter().map(|op| {
        let (tag, from, to) = op.as_tag_tuple();
        Change { equal: tag == DiffTag::Equal, old: old_at[from.start]..old_at[from.end], new: new_at[to.start]..new_at[to.end] }
    });
    let mut segments = Vec::new();
    for change in join_across_spaces(draft, changes) {
        let (gone, came) = (&draft[change.old], &revision[change.new]);
        if change.equal {
            segments.push(Segment::Equal(gone));
            continue;
        }
        segments.extend((!gone.is_empty()).then_some(Segment::Delete(gone)));
        segments.extend((!came.is_empty()).then_some(Segment::Insert(came)));
    }
    segments
}

/// `The [-old-]{+new+} house`. A backslash stands before whatever would read as a mark: `\[-`, `\{+`, `-\]` and `+\}` inside one, and `\\`.
pub fn to_markup(segments: &[Segment]) -> String {
    let mut out = String::new();
    for segment in segments {
        match segment {
            Segment::Equal(text) => out.push_str(&text.replace('\\', "\\\\").replace("[-", "\\[-").replace("{+", "\\{+")),
            Segment::Delete(text) => {
                let _ = std::fmt::Write::write_fmt(&mut out, format_args!("[-{}-]", text.replace('\\', "\\\\").replace("-]", "-\\]")));
            }
            Segment::Insert(text) => {
                let _ = std::fmt::Write::write_fmt(&mut out, format_args!("{{+{}+}}", text.replace('\\', "\\\\").replace("+}", "+\\}")));
            }
        }
    }
    out
}

struct Change {
    equal: bool,
    old: Range<usize>,
    new: Range<usize>,
}

/// Two replacements with nothing but space or punctuation between them read better as one.
fn join_across_spaces(draft: &str, changes: impl Iterator<Item = Change>) -> Vec<Change> {
    let mut joined: Vec<Change> = Vec::new();
    for change in changes {
        if let [.., before, between] = &mut joined[..]
            && !change.equal
            && !before.equal
            && between.equal
            && !draft[between.old.clone()].contains(char::is_alphanumeric)
            && ((!before.old.is_empty() && !change.old.is_empty()) || (!before.new.is_empty() && !change.new.is_empty()))
        {
            before.old.end = change.old.end;
            before.new.end = change.new.end;
            joined.pop();
            continue;
        }
        match joined.last_mut() {
            // An algorithm may give a deletion and an insertion one by one.
            Some(last) if !last.equal && !change.equal => {
                last.old.end = change.old.end;
                last.new.end = change.new.end;
            }
            _ => joined.push(change),
        }
    }
    joined
}

/// Words, spaces and marks; a compound such as `twenty-five` is one word.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens: Vec<&str> = Vec::new();
    let mut start = 0;
    for (at, token) in text.split_word_bound_indices() {
        let end = at + token.len();
        let is_word = |piece: &str| piece.chars().next().is_some_and(char::is_alphanumeric);
        let hyphenates = |piece: &str| matches!(piece, "-" | "\u{2010}" | "\u{2011}");
        let inside = tokens.last().is_some_and(|before| {
            let after = text[end..].chars().next().is_some_and(char::is_alphanumeric);
            is_word(before) && (hyphenates(token) && after || is_word(token) && before.ends_with(['-', '\u{2010}', '\u{2011}']))
        });
        if inside {
            tokens.pop();
        } else {
            start = at;
        }
        tokens.push(&text[start..end]);
    }
    tokens
}

/// Where each token begins, and where the last one ends.
fn offsets(tokens: &[&str]) -> Vec<usize> {
    let mut at = vec![0];
    at.extend(tokens.iter().scan(0, |end, token| {
        *end += token.len();
        Some(*end)
    }));
    at
}
