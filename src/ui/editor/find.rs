//! Search in the text: plain words, smart case, all hits at once.

use std::fmt;
use std::ops::Range;

use unicode_segmentation::GraphemeCursor;

use super::text::{Place, Text};

/// Which hit the selection is, from 1, and how many there are. 0 where the selection is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    pub nth: usize,
    pub of: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found { of: 0, .. } => write!(f, "not found"),
            Found { nth: 0, of } => write!(f, "{of} found"),
            Found { nth, of } => write!(f, "{nth} of {of}"),
        }
    }
}

#[derive(Debug, Default)]
pub struct Search {
    pattern: String,
    /// In the order of the text, without overlaps.
    hits: Vec<Range<Place>>,
}

impl Search {
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    pub fn hits(&self) -> &[Range<Place>] {
        &self.hits
    }

    pub fn look_for(&mut self, pattern: &str, text: &Text) {
        pattern.clone_into(&mut self.pattern);
        self.look_again(text);
    }

    /// A pattern without capitals finds both; a straight quotation mark finds a curly one.
    pub fn look_again(&mut self, text: &Text) {
        self.hits.clear();
        let exact = self.pattern.chars().any(char::is_uppercase);
        let wanted: Vec<char> = self.pattern.chars().flat_map(|c| folded(c, exact)).collect();
        if wanted.is_empty() {
            return;
        }
        for (line, words) in text.lines().iter().enumerate() {
            let mut from = 0;
            for (start, _) in words.char_indices() {
                if start < from {
                    continue;
                }
                let Some(length) = begins_with(&words[start..], &wanted, exact) else { continue };
                let end = start + length;
                if between_clusters(words, start) && between_clusters(words, end) {
                    self.hits.push(Place { line, byte: start }..Place { line, byte: end });
                    from = end;
                }
            }
        }
    }

    /// The first hit that starts at or after `place`, else the first of all.
    pub fn from(&self, place: Place) -> Option<Range<Place>> {
        let at = self.hits.partition_point(|hit| hit.start < place);
        self.hits.get(at).or(self.hits.first()).cloned()
    }

    /// The last hit that starts before `place`, else the last of all.
    pub fn before(&self, place: Place) -> Option<Range<Place>> {
        let at = self.hits.partition_point(|hit| hit.start < place);
        at.checked_sub(1).and_then(|at| self.hits.get(at)).or(self.hits.last()).cloned()
    }

    pub fn found(&self, selected: Option<Range<Place>>) -> Found {
        let nth = selected.and_then(|selected| self.hits.iter().position(|hit| *hit == selected));
        Found { nth: nth.map_or(0, |at| at + 1), of: self.hits.len() }
    }
}

/// How many bytes of `text` spell `wanted`, which is folded and not empty.
fn begins_with(text: &str, wanted: &[char], exact: bool) -> Option<usize> {
    let mut left = wanted.iter();
    for (at, c) in text.char_indices() {
        if left.as_slice().is_empty() {
            return Some(at);
        }
        if !folded(c, exact).all(|c| left.next() == Some(&c)) {
            return None;
        }
    }
    left.as_slice().is_empty().then_some(text.len())
}

fn folded(c: char, exact: bool) -> impl Iterator<Item = char> {
    let plain = match c {
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        _ => c,
    };
    let lower = (!exact).then(|| plain.to_lowercase());
    exact.then_some(plain).into_iter().chain(lower.into_iter().flatten())
}

fn between_clusters(line: &str, byte: usize) -> bool {
    GraphemeCursor::new(byte, line.len(), true).is_boundary(line, 0).unwrap_or(true)
}
