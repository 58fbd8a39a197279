//! Ids for pairs that are new.

use unicode_width::UnicodeWidthChar;

use super::{Pair, Status, Tier};

/// The most bytes of a slug: far below what file systems take, and still a title.
const LONGEST: usize = 80;

/// An id in `tier` for a pair called `wanted`, a title or a source: its letters and digits in lower case, `-` between words. Where
/// that is `taken`, the first free of `…-2`, `…-3` and so on. `taken` is asked with whole ids, and should ignore their case, as
/// some file systems do.
pub fn fresh_id(tier: Tier, wanted: &str, taken: impl Fn(&str) -> bool) -> String {
    numbered(tier, &slug(wanted), taken)
}

/// A copy of a pair to be changed, under a fresh id in the same tier. It is a draft: ready as it is, it would count twice.
pub fn duplicate(pair: &Pair, taken: impl Fn(&str) -> bool) -> Pair {
    Pair { id: numbered(pair.tier, name_of(&pair.id), taken), status: Status::Draft, ..pair.clone() }
}

/// The part of an id behind its tier's folder.
pub(super) fn name_of(id: &str) -> &str {
    id.split_once('/').map_or(id, |(_, name)| name)
}

/// `name` in the tier's folder, with a number behind it where that is taken.
pub(super) fn numbered(tier: Tier, name: &str, taken: impl Fn(&str) -> bool) -> String {
    let plain = format!("{}/{name}", tier.folder());
    let mut candidates = std::iter::once(plain.clone()).chain((2_u64..).map(|n| format!("{plain}-{n}")));
    candidates.find(|id| !taken(id)).unwrap_or(plain)
}

fn slug(wanted: &str) -> String {
    let text: String = wanted.chars().flat_map(char::to_lowercase).filter(|&c| !within_a_word(c)).collect();
    let mut slug = String::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if slug.is_empty() {
            slug.push_str(&word[..word.floor_char_boundary(LONGEST)]);
        } else if slug.len() + 1 + word.len() <= LONGEST {
            slug.push('-');
            slug.push_str(word);
        } else {
            break;
        }
    }
    if slug.is_empty() { "pair".into() } else { slug }
}

/// An apostrophe, or an accent that is a character of its own: it is dropped, and the word goes on.
fn within_a_word(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | 'ʼ') || c.width() == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_the_words_of_a_title() {
        let check = |wanted: &str, expected: &str| assert_eq!(fresh_id(Tier::Topic, wanted, |_| false), format!("tier2/{expected}"));
        check("the-quiet-car", "the-quiet-car");
        check("  On Waiting: a Letter (2nd draft) ", "on-waiting-a-letter-2nd-draft");
        check("It’s the reader's essay", "its-the-readers-essay");
        check("Über Éclairs, e\u{301}te\u{301}", "über-éclairs-ete");
        check("静かな車", "静かな車");
        check("../../etc/passwd", "etc-passwd");
        check("İ", "i");
        check("— … ***", "pair");
        check("", "pair");
        check("\u{202e}x\0y", "x-y");
        check(&"words ".repeat(40), "words-".repeat(13).trim_end_matches('-'));
        check(&"é".repeat(200), &"é".repeat(40));
    }

    #[test]
    fn a_taken_id_gets_the_first_free_number() {
        let check = |taken: &[&str], expected: &str| assert_eq!(fresh_id(Tier::Draft, "A b", |id| taken.contains(&id)), expected);
        check(&["tier2/a-b"], "tier1/a-b");
        check(&["tier1/a-b"], "tier1/a-b-2");
        check(&["tier1/a-b", "tier1/a-b-2", "tier1/a-b-4"], "tier1/a-b-3");
    }

    #[test]
    fn a_duplicate_is_a_draft_beside_its_original() {
        let pair = Pair {
            id: "tier1/Quiet car".into(),
            tier: Tier::Draft,
            source: "s".into(),
            prompt: "p".into(),
            response: "r".into(),
            status: Status::Ready,
            split: super::super::Split::Train,
            notes: "n".into(),
        };
        let copy = duplicate(&pair, |id| id == pair.id);
        assert_eq!(copy, Pair { id: "tier1/Quiet car-2".into(), status: Status::Draft, ..pair });
    }
}
