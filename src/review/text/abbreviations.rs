//! Words before a full stop that do not end a sentence, or end one only before a word that plainly opens the next.

/// Forms of address: always followed by a name.
const TITLES: &[&str] = &[
    "Mr", "Mrs", "Ms", "Mx", "Dr", "Prof", "Rev", "Hon", "Sen", "Rep", "Gov", "Gen", "Col", "Capt", "Cpt", "Cmdr", "Lt", "Sgt", "Maj",
    "Adm", "Pres", "Supt", "Messrs", "Mme", "Mlle", "Fr", "Hr",
];

/// Always in the middle of a sentence.
const INNER: &[&str] = &["e.g", "i.e", "eg", "ie", "cf", "viz", "vs", "approx", "z.b", "d.h", "p.ex"];

/// In the middle of a sentence when a number follows.
const BEFORE_NUMBERS: &[&str] = &[
    "no", "nos", "nr", "p", "pp", "vol", "vols", "ch", "fig", "figs", "sec", "art", "para", "op", "c", "ca", "v", "jan", "feb", "mar",
    "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
];

/// End a sentence only before a word of [`OPENERS`].
const EITHER: &[&str] = &["jr", "sr", "inc", "ltd", "co", "corp", "bros", "st", "ave", "blvd", "rd", "mt", "ft", "al", "ed", "eds", "dept"];

/// Follow `a.m.` and `p.m.` inside a sentence.
const AFTER_TIMES: &[&str] = &[
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Eastern",
    "Central",
    "Mountain",
    "Pacific",
    "GMT",
    "UTC",
    "EST",
    "EDT",
    "CST",
    "CDT",
    "PST",
    "PDT",
    "CET",
];

/// Words that, capitalised, hardly ever stand inside a sentence.
const OPENERS: &[&str] = &[
    "The", "A", "An", "This", "That", "These", "Those", "He", "She", "It", "We", "They", "You", "I", "My", "His", "Her", "Our", "Their",
    "Its", "Your", "But", "And", "Or", "So", "Then", "There", "Here", "When", "Where", "What", "Who", "Why", "How", "If", "In", "On", "At",
    "As", "After", "Before", "For", "From", "With", "Not", "No", "Yes", "Now", "Once", "Some", "Every", "Everyone", "All", "One", "Nobody",
    "Nothing", "Someone", "Perhaps", "Maybe", "Still", "Yet", "Because", "By", "To", "Even", "Only", "Both", "Most", "Last", "Later",
];

/// What a full stop after `word` does, where `next` is the word that follows (empty if none) and `lower` says that the passage is
/// written without capitals.
pub fn holds_on(before: &str, next: &str, lower: bool) -> bool {
    let word = last_word(before);
    let small = word.to_lowercase();
    let known = |list: &[&str]| list.contains(&small.as_str());
    let number_follows = next.starts_with(|c: char| c.is_numeric());
    let opener_follows = OPENERS.contains(&next);
    let title = TITLES.contains(&word) || lower && TITLES.iter().any(|t| t.eq_ignore_ascii_case(word));
    if title || known(INNER) || number_follows && known(BEFORE_NUMBERS) {
        return true;
    }
    if matches!(small.as_str(), "a.m" | "p.m") {
        return lower || AFTER_TIMES.contains(&next);
    }
    if lower && small == "etc" {
        return true;
    }
    (known(EITHER) || is_acronym(word) || is_initial(word, before)) && !opener_follows
}

/// The run of letters, digits and inner full stops at the end of `before`.
fn last_word(before: &str) -> &str {
    let start = before.char_indices().rev().take_while(|(_, c)| c.is_alphanumeric() || *c == '.').last().map_or(before.len(), |(i, _)| i);
    before[start..].trim_start_matches('.')
}

/// `U.S`, `Ph.D`, `D.C`: letters in ones and twos, with full stops between.
fn is_acronym(word: &str) -> bool {
    word.contains('.') && word.split('.').all(|part| (1..=2).contains(&part.chars().count()) && part.chars().all(char::is_alphabetic))
}

/// A single capital, as in `J. Smith`. `I` is taken for the pronoun unless another initial stands before it.
fn is_initial(word: &str, before: &str) -> bool {
    let mut letters = word.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else { return false };
    // Scripts without capitals have no initials in this sense.
    letter.is_uppercase() && (letter != 'I' || before[..before.len() - 1].trim_end().ends_with('.'))
}
