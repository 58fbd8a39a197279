//! The words and phrases that are counted. They are English.

pub(super) const HEDGES: &[&str] = &[
    "perhaps",
    "maybe",
    "possibly",
    "probably",
    "seemingly",
    "apparently",
    "arguably",
    "presumably",
    "somewhat",
    "rather",
    "fairly",
    "might",
    "seems",
    "seemed",
    "i think",
    "i suppose",
    "i guess",
    "sort of",
    "kind of",
    "tend to",
    "tends to",
    "in a way",
    "to some extent",
    "more or less",
];

pub(super) const FILLERS: &[&str] = &[
    "actually",
    "basically",
    "literally",
    "really",
    "very",
    "quite",
    "just",
    "simply",
    "indeed",
    "of course",
    "in fact",
    "in order to",
    "the fact that",
    "it is important to",
    "it is worth noting",
    "it's worth noting",
    "at the end of the day",
    "needless to say",
    "when it comes to",
    "in today's world",
];

/// English words that carry grammar and no topic: articles, pronouns, prepositions, conjunctions, auxiliaries.
pub const FUNCTION_WORDS: [&str; 70] = [
    "the", "a", "an", "and", "or", "but", "nor", "so", "yet", "if", "then", "than", "that", "this", "these", "those", "which", "who",
    "whom", "what", "when", "where", "while", "as", "because", "though", "of", "to", "in", "on", "at", "by", "for", "from", "with",
    "without", "into", "upon", "about", "over", "after", "before", "between", "through", "i", "me", "my", "you", "your", "he", "him",
    "his", "she", "her", "it", "its", "we", "us", "our", "they", "them", "their", "is", "was", "were", "be", "had", "have", "not", "no",
];
