//! The steps of the caret that do not depend on how the text is laid out: by grapheme cluster, by word, by paragraph.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::text::{Place, Text};

pub fn left(text: &Text, place: Place) -> Place {
    match text.line(place.line)[..place.byte].graphemes(true).next_back() {
        Some(cluster) => Place { byte: place.byte - cluster.len(), ..place },
        None => line_above_end(text, place),
    }
}

pub fn right(text: &Text, place: Place) -> Place {
    match text.line(place.line)[place.byte..].graphemes(true).next() {
        Some(cluster) => Place { byte: place.byte + cluster.len(), ..place },
        None => line_below(text, place),
    }
}

/// The start of this word or of the one before; the line above counts as a step.
pub fn word_left(text: &Text, place: Place) -> Place {
    if place.byte == 0 {
        return line_above_end(text, place);
    }
    let byte = words(text.line(place.line)).take_while(|word| word.start < place.byte).last().map_or(0, |word| word.start);
    Place { byte, ..place }
}

/// The end of this word or of the next; the line below counts as a step.
pub fn word_right(text: &Text, place: Place) -> Place {
    let line = text.line(place.line);
    if place.byte == line.len() {
        return line_below(text, place);
    }
    let byte = words(line).map(|word| word.end).find(|end| *end > place.byte).unwrap_or(line.len());
    Place { byte, ..place }
}

/// The start of this paragraph or, from there, of the one before.
pub fn paragraph_back(text: &Text, place: Place) -> Place {
    let starts = (0..place.line + usize::from(place.byte > 0)).rev();
    starts.map(|line| (line, text.line(line))).find(|(_, line)| !blank(line)).map_or(Place::default(), |(line, _)| Place { line, byte: 0 })
}

/// The start of the next paragraph, or the end of the text.
pub fn paragraph_forward(text: &Text, place: Place) -> Place {
    let mut below = place.line + 1..text.lines().len();
    below.find(|line| !blank(text.line(*line))).map_or(text.end(), |line| Place { line, byte: 0 })
}

/// The word, the run of white space or the mark that the character after `place` belongs to.
pub fn word_around(text: &Text, place: Place) -> Range<Place> {
    let line = text.line(place.line);
    let (start, segment) = line.split_word_bound_indices().take_while(|(start, _)| *start <= place.byte).last().unwrap_or((0, ""));
    Place { byte: start, ..place }..Place { byte: start + segment.len(), ..place }
}

pub fn blank(line: &str) -> bool {
    line.chars().all(char::is_whitespace)
}

fn words(line: &str) -> impl Iterator<Item = Range<usize>> {
    let segments = line.split_word_bound_indices().filter(|(_, segment)| segment.chars().any(char::is_alphanumeric));
    segments.map(|(start, segment)| start..start + segment.len())
}

fn line_above_end(text: &Text, place: Place) -> Place {
    match place.line.checked_sub(1) {
        Some(line) => Place { line, byte: text.line(line).len() },
        None => Place::default(),
    }
}

fn line_below(text: &Text, place: Place) -> Place {
    if place.line + 1 < text.lines().len() { Place { line: place.line + 1, byte: 0 } } else { place }
}
