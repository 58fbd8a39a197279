//! `tests/fixtures/review/cases-*.txt`: a draft, a revision, and what the alignment must be, in markup. See `cases-sentences.txt` for the form.

use voicetune::review::paragraphs::{paragraphs, piece_ending};
use voicetune::review::words::to_markup;
use voicetune::review::{Alignment, Kind, align};

struct Case {
    name: String,
    draft: String,
    revision: String,
    expected: String,
}

fn read(file: &str) -> Vec<Case> {
    let path = format!("{}/tests/fixtures/review/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let cases = text.split("\n### ").skip(1).map(|case| {
        let (name, body) = case.split_once("\n<<<\n").unwrap_or_else(|| panic!("{file}: no <<< line in {case:?}"));
        let (draft, rest) = body.split_once(">>>\n").unwrap_or_else(|| panic!("{file}: case {name:?} has no >>> line"));
        let (revision, expected) = rest.split_once("===\n").unwrap_or_else(|| panic!("{file}: case {name:?} has no === line"));
        let side = |part: &str| part.trim_matches('\n').to_owned();
        Case { name: name.to_owned(), draft: side(draft), revision: side(revision), expected: expected.trim().to_owned() }
    });
    cases.collect()
}

/// The alignment as the fixtures write it.
fn rendered(alignment: &Alignment) -> String {
    let mut lines = Vec::new();
    for row in &alignment.rows {
        let sign = match row.kind {
            Kind::Kept => "=",
            Kind::Reworded => "~",
            Kind::Cut => "-",
            Kind::New => "+",
            Kind::Moved => ">",
        };
        let text = match row.kind {
            Kind::Kept | Kind::Cut => alignment.draft_text(row).to_owned(),
            Kind::New => alignment.revision_text(row).to_owned(),
            Kind::Reworded => to_markup(&alignment.words(row)),
            Kind::Moved => format!("@{} {}", row.revision.as_ref().unwrap().start + 1, to_markup(&alignment.words(row))),
        };
        lines.push(format!("{sign} {}", text.replace('\n', "⏎")));
    }
    lines.join("\n")
}

fn rendered_paragraphs(alignment: &Alignment) -> String {
    let number = |p: Option<usize>| p.map_or("-".to_owned(), |p| (p + 1).to_string());
    let mut lines: Vec<String> = paragraphs(alignment)
        .iter()
        .map(|row| {
            let ending = row.ending.map_or(String::new(), |e| format!(", ending {}", format!("{e:?}").to_lowercase()));
            format!("¶ {} > {} {}{ending}", number(row.draft), number(row.revision), format!("{:?}", row.kind).to_lowercase())
        })
        .collect();
    lines.push(format!("¶ piece: {}", piece_ending(alignment).map_or("nothing".to_owned(), |e| format!("{e:?}").to_lowercase())));
    lines.join("\n")
}

fn check_file(file: &str, at_least: usize, rendering: fn(&Alignment) -> String) {
    let cases = read(file);
    assert!(cases.len() >= at_least, "{file} holds {} cases", cases.len());
    let mut failures = String::new();
    for case in &cases {
        let found = rendering(&align(&case.draft, &case.revision));
        if found != case.expected {
            failures += &format!("\n### {}\nexpected:\n{}\nfound:\n{found}\n", case.name, case.expected);
        }
    }
    assert!(failures.is_empty(), "{file}:{failures}");
}

#[test]
fn sentences() {
    check_file("cases-sentences.txt", 45, rendered);
}

#[test]
fn paragraphs_and_endings() {
    check_file("cases-paragraphs.txt", 12, rendered_paragraphs);
}
