//! Where paragraphs and sentences begin and end.

#![allow(clippy::unwrap_used)]

use voicetune::review::Document;

/// `marked` is the text with `¦` after each sentence but the last.
fn check(marked: &str) {
    let text = marked.replace('¦', "");
    let expected: Vec<&str> = marked.split('¦').map(str::trim).collect();
    let document = Document::new(&text);
    let found: Vec<&str> = (0..document.sentences.len()).map(|s| document.sentence(s)).collect();
    assert_eq!(found, expected, "in {text:?}");
}

/// What is cut out of `text`, where marks at line starts are not part of any sentence.
fn check_parts(text: &str, expected: &[&str]) {
    let document = Document::new(text);
    let found: Vec<&str> = (0..document.sentences.len()).map(|s| document.sentence(s)).collect();
    assert_eq!(found, expected, "in {text:?}");
}

#[test]
fn plain_sentences() {
    check("The train was late.¦ Nobody minded.");
    check("Was it late?¦ It was!¦ Very.");
    check("One sentence without a stop");
    check("It was late.¦\nNobody minded.");
    check("A wrapped line that goes on and on, as lines in an old message do, until\nit ends here.¦ And another.");
    check("It ended (we thought).¦ It had not.");
    check("(It ended.)¦ It had not.");
    check("Who?! he wrote in the margin.¦ Me.");
    check("He waited.¦ “It came.”¦ He left.");
    check("It cost $3.50.¦ I paid.");
    check("Version 3.5 came in 2019.¦ Version 4 did not.");
    check("It holds a .38 and nothing else.¦ Yes.");
    check("See example.com for more.¦ Or don't.");
    check("Item 7.¦ Then item 8.");
}

#[test]
fn abbreviations() {
    check("Mr. Smith met Dr. Jones and Mrs. Hall.¦ They spoke.");
    check("Ask Prof. Lee, Gen. Grant or St. John.¦ They know.");
    check("I like fruit, e.g. apples, i.e. Apples.¦ You don't.");
    check("The U.S. Army left.¦ The U.K. followed.");
    check("I was born in the U.S. My mother was not.".replace("U.S. ", "U.S.¦ ").as_str());
    check("J. R. R. Tolkien wrote it.¦ George W. Bush did not.");
    check("It was I.¦ Nobody else came.");
    check("We chose plan B.¦ The others did not.");
    check("She has a Ph.D. in it.¦ He has none.");
    check("She has a Ph.D.¦ He has none.");
    check("We met at 9 a.m. on Monday.¦ It rained.");
    check("We met at 9 a.m.¦ Maria came at ten.");
    check("We left at 6 p.m. Eastern.¦ It rained.");
    check("See No. 5 and p. 12, fig. 3.¦ No.¦ I won't.");
    check("Apples, pears, etc. were sold.¦ Apples, etc.¦ Pears went first.");
    check("Kramer vs. Kramer is a film.¦ Acme Inc. made it.¦ Acme Inc.¦ The end.");
    check("King St. Station is shut.¦ So is Main St.¦ The trains stopped.");
}

#[test]
fn dialogue_and_quotes() {
    check("“Go,” she said.¦ “Now.”");
    check("“Go!” she said.¦ He went.");
    check("“Why?” asked Anna.¦ He shrugged.");
    check("“Why?” Anna said.¦ He shrugged.");
    check("“Why?” I asked.¦ He shrugged.");
    check("“Why?” Mr. Lee asked.¦ He shrugged.");
    check("“Why?”¦ She looked away.");
    check("“Why?”¦ Nobody answered her.");
    check("“Go.¦ Now.”¦ He went.");
    check("\"Straight quotes,\" he said.¦ \"They work.\"¦ Don't they?");
    check("'Single ones,' he said.¦ 'Too.'");
    check("„Geh!“ sagte sie.¦ Er ging.");
    check("« Va ! » dit-elle.¦ Il partit.");
    check("“I thought—”¦ He stopped.");
    check("“Wait…” I said.¦ She waited.");
    check("He said “no.”¦ Then he left.");
    check("She asked (why?) and left.¦ I stayed.");
}

#[test]
fn dashes_ellipses_and_marks() {
    check("He came—wait!—and went.¦ Twice.");
    check("He came -- I think -- and went.¦ Twice.");
    check("He waited… and waited.¦ Then…¦ Nothing.");
    check("He waited... and waited.¦ Then...¦ Nothing.");
    check("Well… I don't know.¦ Well... I'd guess.");
    check("He left . . . and came back.¦ Twice.");
    check("*Go.*¦ Then *he* went.¦ **Bold lead.**¦ Plain rest.");
    check("It was _done._¦ Nobody knew.");
    check("“…”¦ She nodded.".replace("¦", "").as_str());
    check("Go! 🎉");
    check("i went home.¦ i slept, e.g. badly.¦ the end");
}

#[test]
fn other_scripts() {
    check("他走了。¦她也走了！¦真的吗？¦真的。");
    check("「行こう。」と彼は言った。¦雨が降っていた。");
    check("“走吧。”她说。¦雨停了。");
    check("“走吧。”¦雨停了。");
    check("你好吗?¦我很好.¦再见。");
    check("वह गया।¦ वह आई।");
    check("هل جاء؟¦ نعم.");
    check("Привет.¦ Как дела?¦ Хорошо.");
}

#[test]
fn lists_headings_and_verse() {
    check_parts("# The Quiet Car\n\nIt was late.", &["The Quiet Car", "It was late."]);
    check_parts("## Dr. No? Yes. ##\nText follows.", &["Dr. No? Yes.", "Text follows."]);
    check_parts("I packed:\n- a coat\n- two books. Heavy ones.\n* a pen", &["I packed:", "a coat", "two books.", "Heavy ones.", "a pen"]);
    check_parts("1. First thing\n2. Second thing\n10) Tenth", &["First thing", "Second thing", "Tenth"]);
    check_parts(
        "He was nearly\n30. Then he left home, and never went back there again.",
        &["He was nearly\n30.", "Then he left home, and never went back there again."],
    );
    check_parts("> Quoted words\n> go on here.\n>\n> New quote.", &["Quoted words\n> go on here.", "New quote."]);
    check_parts("The rain\nFalls down\nOn me", &["The rain", "Falls down", "On me"]);
    check_parts("one line  \nanother line", &["one line", "another line"]);
    check_parts("One.\n\n***\n\nTwo.\n\n---\nThree.\n\n* * *", &["One.", "Two.", "Three."]);
    check_parts("— Va, dit-elle.\n— Non.", &["— Va, dit-elle.", "— Non."]);
}

#[test]
fn paragraphs_end_at_blank_lines() {
    let document = Document::new("# Title\nOne. Two.\n\n \t\nThree\r\n\r\nFour.\u{2029}Five.");
    let paragraphs: Vec<(&str, usize)> = document.paragraphs.iter().map(|p| (p.span.of(document.text), p.sentences.len())).collect();
    assert_eq!(paragraphs, [("Title", 1), ("One. Two.", 2), ("Three", 1), ("Four.", 1), ("Five.", 1)]);
    assert!(!document.ends_paragraph(0), "a heading ends nothing");
    assert!(!document.ends_paragraph(1));
    assert!(document.ends_paragraph(2));
}

#[test]
fn offsets_count_scalar_values() {
    let document = Document::new("Déjà vu — 🎉 oui.\r\n\r\n「行こう。」 Ende.");
    let spans: Vec<(usize, usize)> = document.sentences.iter().map(|s| (s.span.start, s.span.end)).collect();
    // Python: text = "Déjà vu — 🎉 oui.\r\n\r\n「行こう。」 Ende."; text[0:16], text[20:26], text[27:32].
    assert_eq!(spans, [(0, 16), (20, 26), (27, 32)]);
}

#[test]
fn nothing_to_read() {
    for text in ["", " \n\t\n", "***\n\n---", "\u{feff}", "#\n"] {
        let document = Document::new(text);
        assert!(document.sentences.is_empty() && document.paragraphs.is_empty(), "{text:?}");
    }
    check_parts("…", &["…"]);
    check_parts("🎉", &["🎉"]);
}
