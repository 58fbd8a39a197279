//! Tier-3 pairs from an essay: where it can be parted into an opening and its continuation.

use super::{Pair, Split, Status, Tier, fresh_id};

/// The places at which an essay can be split: for each, how many characters (Unicode scalar values) come before the line on which
/// the continuation begins.
///
/// They lie between paragraphs, with prose on both sides. A heading stays with what follows it, a rule (`***`) with what it closes.
pub fn splits(essay: &str) -> Vec<usize> {
    let mut places = Vec::new();
    let mut chars = 0;
    // Where the headings that belong to the next paragraph begin, or that paragraph itself.
    let mut start = None;
    let (mut open, mut seen_prose) = (false, false);
    for line in essay.split_inclusive('\n') {
        match kind(line) {
            Line::Blank | Line::Rule => open = false,
            Line::Heading => {
                open = false;
                start.get_or_insert(chars);
            }
            Line::Prose if !open => {
                let begins = start.take().unwrap_or(chars);
                if seen_prose {
                    places.push(begins);
                }
                (open, seen_prose) = (true, true);
            }
            Line::Prose => {}
        }
        chars += line.chars().count();
    }
    places
}

/// The draft of a tier-3 pair made from an essay, a response of tier 1 or 2, at one of its [`splits`]. The id is made from the
/// source; `taken` as for [`fresh_id`].
pub fn opening(essay: &Pair, split: usize, taken: impl Fn(&str) -> bool) -> Pair {
    let at = essay.response.char_indices().nth(split).map_or(essay.response.len(), |(at, _)| at);
    let (before, after) = essay.response.split_at(at);
    let text = |part: &str| format!("{}\n", part.trim_start_matches(['\r', '\n']).trim_end());
    Pair {
        id: fresh_id(Tier::Opening, &essay.source, taken),
        tier: Tier::Opening,
        source: essay.source.clone(),
        prompt: text(before),
        response: text(after),
        status: Status::Draft,
        split: Split::Auto,
        notes: String::new(),
    }
}

enum Line {
    Blank,
    /// `***`, `---`, `* * *` and the like.
    Rule,
    /// `# Title`.
    Heading,
    Prose,
}

fn kind(line: &str) -> Line {
    let line = line.trim();
    let level = line.chars().take_while(|&c| c == '#').count();
    let marks = || line.chars().filter(|c| !c.is_whitespace());
    let mark = marks().next();
    match mark {
        None => Line::Blank,
        Some('*' | '-' | '_' | '⁂' | '#' | '~') if marks().all(|c| Some(c) == mark) && (marks().count() >= 3 || mark == Some('⁂')) => {
            Line::Rule
        }
        Some('#') if level <= 6 && line[level..].starts_with([' ', '\t']) => Line::Heading,
        Some(_) => Line::Prose,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn essay(response: &str) -> Pair {
        Pair {
            id: "tier2/x".into(),
            tier: Tier::Topic,
            source: "The Quiet Car".into(),
            prompt: "A topic.\n".into(),
            response: response.into(),
            status: Status::Ready,
            split: Split::Train,
            notes: "mine".into(),
        }
    }

    #[test]
    fn an_essay_is_split_between_paragraphs() {
        let check = |text: &str, continuations: &[&str]| {
            let found = splits(text).into_iter().map(|at| text.chars().skip(at).collect::<String>());
            assert_eq!(found.collect::<Vec<_>>(), continuations, "{text:?}");
        };
        check("", &[]);
        check("\n\nOne.\nStill one.\n\n", &[]);
        check("One.\n\nTwo.", &["Two."]);
        check("Öne—\n\n \t\nTwo.\n\n\n  Three.\n", &["Two.\n\n\n  Three.\n", "  Three.\n"]);
        check("One.\r\n\r\nTwo.\r\n", &["Two.\r\n"]);
        // A heading stays with what follows, and is no continuation by itself.
        check("# Title\n\nOne.\n\n## Part\n### Sub\n\nTwo.\n\n# End\n", &["## Part\n### Sub\n\nTwo.\n\n# End\n"]);
        check("One.\n# Part\nTwo.", &["# Part\nTwo."]);
        check("One.\n\n#hashtag\n", &["#hashtag\n"]);
        // A rule stays with what it closes.
        check("***\n\nOne.\n\n* * *\n\nTwo.\n\n---\n", &["Two.\n\n---\n"]);
        check("One.\n\n***\n\n# Part\n\nTwo.", &["# Part\n\nTwo."]);
        check("One.\n\n# Part\n\n***\n\nTwo.", &["# Part\n\n***\n\nTwo."]);
    }

    #[test]
    fn an_opening_and_its_continuation_are_the_whole_essay() {
        let essay = essay("  “Óne.”\n\n***\n\nTwo.\n\nThree.  \n\n");
        let at = splits(&essay.response)[0];
        let pair = opening(&essay, at, |id| id == "tier3/the-quiet-car");
        let expected = Pair {
            id: "tier3/the-quiet-car-2".into(),
            tier: Tier::Opening,
            source: "The Quiet Car".into(),
            prompt: "  “Óne.”\n\n***\n".into(),
            response: "Two.\n\nThree.\n".into(),
            status: Status::Draft,
            split: Split::Auto,
            notes: String::new(),
        };
        assert_eq!(pair, expected);
    }
}
