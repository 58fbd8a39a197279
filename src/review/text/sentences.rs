//! Sentences of one run of text: the Unicode rules propose (UAX #29), reading habits dispose.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::abbreviations;

/// Verbs that tie an exclamation or a question to its speaker: `“Go!” Anna said.`
const SPEECH: &[&str] = &[
    "said",
    "says",
    "asked",
    "asks",
    "replied",
    "replies",
    "answered",
    "whispered",
    "shouted",
    "yelled",
    "muttered",
    "murmured",
    "cried",
    "wrote",
];

/// Capitalised words that are no speaker's name.
const NO_NAMES: &[&str] = &[
    "She",
    "He",
    "They",
    "We",
    "You",
    "It",
    "The",
    "A",
    "An",
    "This",
    "That",
    "My",
    "His",
    "Her",
    "Then",
    "And",
    "But",
    "Nobody",
    "Everybody",
    "No",
    "Someone",
    "Who",
    "What",
    "So",
];

/// The sentences of `text`, which holds no line feed, as byte ranges without the white space around them. In order, never empty.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    // Emphasis marks count as quotation marks, so that `*Go.* Then` breaks after the mark and not before it.
    let masked: String = text.chars().map(|c| if matches!(c, '*' | '_' | '~' | '`') { '"' } else { c }).collect();
    let lower = !text.contains(char::is_uppercase) && text.contains(char::is_lowercase);
    let mut pieces = Vec::new();
    let mut start = 0;
    for bound in bounds(&masked, lower) {
        if ends_sentence(&masked, bound, lower) {
            pieces.push(start..bound);
            start = bound;
        }
    }
    pieces.push(start..text.len());
    glue(text, pieces).into_iter().filter_map(|piece| trim(text, piece)).collect()
}

/// Places where a sentence may end: those of UAX #29, and those it has no rule for (after an ellipsis, after a dash that breaks off speech, and
/// after a full stop in prose without capitals).
fn bounds(text: &str, lower: bool) -> Vec<usize> {
    let mut found: Vec<usize> = text.split_sentence_bound_indices().map(|(at, _)| at).collect();
    for (at, c) in text.char_indices().filter(|(_, c)| matches!(c, '…' | '—' | '-' | '.')) {
        let after = &text[at + c.len_utf8()..];
        let rest = after.trim_start_matches(is_closer);
        let gap = rest.len() - rest.trim_start().len();
        let quoted = after.chars().next().is_some_and(is_closing_quote);
        let wanted = match c {
            '…' => true,
            '.' => lower,
            _ => quoted,
        };
        if wanted && gap > 0 {
            found.push(text.len() - rest.len() + gap);
        }
    }
    found.sort_unstable();
    found.dedup();
    found.retain(|&at| 0 < at && at < text.len());
    found
}

/// Whether a sentence really ends at `bound`.
fn ends_sentence(text: &str, bound: usize, lower: bool) -> bool {
    let head = text[..bound].trim_end();
    let spaced = head.len() < bound;
    let core = head.trim_end_matches(is_closer);
    let quoted = head[core.len()..].contains(is_closing_quote);
    let after = text[bound..].trim_start_matches(|c: char| !c.is_alphanumeric());
    let Some(next) = after.chars().next() else { return false };
    let Some(stop) = core.chars().next_back() else { return false };
    let word = next_word(after);

    if is_cjk_stop(stop) {
        return !(quoted && is_cjk_attribution(after));
    }
    if !spaced && !is_cjk(next) && stop.is_ascii() {
        return false;
    }
    if next.is_lowercase() && !lower {
        return false;
    }
    let trails_off = stop == '…' || core.ends_with("..");
    if quoted && (trails_off || !matches!(stop, '.')) && is_attribution(after) {
        return false;
    }
    if trails_off {
        // `Well… I don't know` goes on; a capital that is not `I` opens a new sentence.
        return quoted || !(word == "I" || word.starts_with("I'") || word.starts_with("I’"));
    }
    stop != '.' || quoted || !abbreviations::holds_on(&core[..core.len() - 1], word, lower)
}

/// Pieces without a letter or digit join the one before (or, at the very start, the one after).
fn glue(text: &str, pieces: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let has_words = |range: &Range<usize>| text[range.clone()].contains(char::is_alphanumeric);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if !has_words(&piece) || !has_words(last) => last.end = piece.end,
            _ => joined.push(piece),
        }
    }
    joined
}

fn trim(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let piece = text[range.clone()].trim_start_matches(blank);
    let start = range.end - piece.len();
    let end = start + piece.trim_end_matches(blank).len();
    (start < end).then_some(start..end)
}

/// `Anna said`, `I asked`, `Mr. Lee replied`: the speaker of the words before.
fn is_attribution(after: &str) -> bool {
    let mut words = after.split_whitespace().take(4).map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()));
    let Some(speaker) = words.next() else { return false };
    if NO_NAMES.contains(&speaker) {
        return false;
    }
    for word in words {
        if SPEECH.contains(&word) {
            return true;
        }
        if !word.starts_with(char::is_uppercase) {
            return false;
        }
    }
    false
}

/// The particle that quotes in Japanese, or a short clause with a verb of speech in Chinese, right after the closing mark.
fn is_cjk_attribution(after: &str) -> bool {
    if after.starts_with('と') || after.starts_with("って") {
        return true;
    }
    let clause: String = after.chars().take_while(|&c| c.is_alphanumeric()).take(8).collect();
    clause.contains(['说', '說', '道', '问', '問', '喊', '答'])
}

fn next_word(after: &str) -> &str {
    let end = after.find(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’'))).unwrap_or(after.len());
    &after[..end]
}

fn is_closing_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '”' | '’' | '»' | '«' | '“' | '›' | '」' | '』')
}

fn is_closer(c: char) -> bool {
    is_closing_quote(c) || matches!(c, ')' | ']' | '}' | '）' | '】' | '〉' | '》' | '〕' | '］')
}

fn is_cjk_stop(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡' | '．')
}

fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3134f}')
}
