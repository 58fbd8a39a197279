//! What holds for any two texts.

use proptest::prelude::*;
use voicetune::review::paragraphs::paragraphs;
use voicetune::review::words::{diff, to_markup};
use voicetune::review::{Counts, Document, Kind, Segment, align};

/// Prose that looks like prose, with the odd hostile character.
fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => "(the|a|and|of|house|train|late|waited|bees|Mr\\.|U\\.S\\.|“Go,”|no|never|she|said|counted|駅で|é|\\[-|-\\]|\\{\\+|\\+\\}|\\\\)",
        1 => "\\PC{1,4}",
    ];
    let end = prop_oneof![6 => Just(". "), 1 => Just("? "), 1 => Just("! "), 1 => Just("… "), 1 => Just("。"), 1 => Just(".\n"), 2 => Just(".\n\n"), 1 => Just("\r\n- "), 1 => Just(" ")];
    let sentence = (prop::collection::vec(word, 1..9), end).prop_map(|(words, end)| {
        let joined = words.join(" ");
        let mut letters = joined.chars();
        letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect::<String>()) + end
    });
    prop::collection::vec(sentence, 0..14).prop_map(|sentences| sentences.concat())
}

/// Any string at all.
fn noise() -> impl Strategy<Value = String> {
    prop_oneof![".{0,80}", "[\\x00-\\x20.!?…*#>\\-\\r\\n\u{2028}\u{2029}\u{85}\u{feff}“”a-cA-C1.]{0,80}"]
}

fn undo(markup: &str) -> (String, String) {
    let (mut draft, mut revision) = (String::new(), String::new());
    let mut rest = markup;
    let mut inside = ' ';
    while let Some(c) = rest.chars().next() {
        let open = inside == ' ' && (rest.starts_with("[-") || rest.starts_with("{+"));
        let close = inside == '[' && rest.starts_with("-]") || inside == '{' && rest.starts_with("+}");
        if open || close {
            inside = if open { c } else { ' ' };
            rest = &rest[2..];
            continue;
        }
        // `-\]` and `+\}` put the backslash in the middle, where it too only guards the next character.
        if c == '\\' {
            rest = &rest[1..];
        }
        let Some(c) = rest.chars().next() else { break };
        if inside != '{' {
            draft.push(c);
        }
        if inside != '[' {
            revision.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    (draft, revision)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn spans_lie_in_the_text_in_order(text in prop_oneof![text(), noise()]) {
        let document = Document::new(&text);
        let scalars: Vec<char> = text.chars().collect();
        let mut end = 0;
        for sentence in &document.sentences {
            let span = sentence.span;
            prop_assert!(end <= span.start && span.start < span.end && span.end <= scalars.len());
            prop_assert_eq!(scalars[span.start..span.end].iter().collect::<String>(), span.of(&text));
            prop_assert_eq!(span.of(&text), span.of(&text).trim());
            end = span.end;
        }
        // Nothing that can be read is lost, but for marks at line starts and rules.
        let letters = |s: &str| s.chars().filter(|c| c.is_alphabetic() && !c.is_ascii()).collect::<String>();
        let held: String = (0..document.sentences.len()).map(|s| document.sentence(s)).collect();
        prop_assert_eq!(letters(&held), letters(&text));
        let mut next = 0;
        for (p, paragraph) in document.paragraphs.iter().enumerate() {
            prop_assert_eq!(paragraph.sentences.start, next);
            prop_assert!(!paragraph.sentences.is_empty());
            prop_assert!(document.sentences[paragraph.sentences.clone()].iter().all(|s| s.paragraph == p));
            next = paragraph.sentences.end;
        }
        prop_assert_eq!(next, document.sentences.len());
    }

    #[test]
    fn a_text_and_itself_are_all_kept(text in prop_oneof![text(), noise()]) {
        let alignment = align(&text, &text);
        prop_assert!(alignment.rows.iter().all(|row| row.kind == Kind::Kept));
        prop_assert_eq!(alignment.rows.len(), alignment.draft.sentences.len());
        prop_assert!(paragraphs(&alignment).iter().all(|row| row.kind == Kind::Kept && row.draft == row.revision));
    }

    #[test]
    fn each_sentence_is_in_one_row(draft in prop_oneof![3 => text(), 1 => noise()], revision in prop_oneof![3 => text(), 1 => noise()]) {
        let alignment = align(&draft, &revision);
        let drafts: Vec<usize> = alignment.rows.iter().filter_map(|row| row.draft.clone()).flatten().collect();
        prop_assert_eq!(drafts, (0..alignment.draft.sentences.len()).collect::<Vec<_>>(), "in the draft's order");
        let in_place: Vec<usize> = alignment.rows.iter().filter(|r| r.kind != Kind::Moved).filter_map(|row| row.revision.clone()).flatten().collect();
        prop_assert!(in_place.windows(2).all(|w| w[0] < w[1]), "all but the moved are in the revision's order");
        let mut revisions: Vec<usize> = alignment.rows.iter().filter_map(|row| row.revision.clone()).flatten().collect();
        revisions.sort_unstable();
        prop_assert_eq!(revisions, (0..alignment.revision.sentences.len()).collect::<Vec<_>>());
        for row in &alignment.rows {
            prop_assert_eq!(row.draft.is_none(), row.kind == Kind::New);
            prop_assert_eq!(row.revision.is_none(), row.kind == Kind::Cut);
            prop_assert!(row.kind != Kind::Kept || alignment.same_words(row));
        }
        let counts = Counts::of(&alignment);
        prop_assert_eq!(counts.kept + counts.cut + counts.reworded + counts.moved, counts.draft);
        paragraphs(&alignment);
    }

    #[test]
    fn words_give_back_both_sides(draft in prop_oneof![text(), noise()], revision in prop_oneof![text(), noise()]) {
        let segments = diff(&draft, &revision);
        let side = |keep: fn(&Segment) -> bool| {
            segments.iter().filter(|s| keep(s)).map(|s| match s { Segment::Equal(t) | Segment::Delete(t) | Segment::Insert(t) => *t }).collect::<String>()
        };
        prop_assert_eq!(side(|s| !matches!(s, Segment::Insert(_))), draft.as_str());
        prop_assert_eq!(side(|s| !matches!(s, Segment::Delete(_))), revision.as_str());
        prop_assert_eq!(undo(&to_markup(&segments)), (draft, revision));
    }
}
