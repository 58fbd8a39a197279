//! Invented facts: names, places, years and numbers in the first-person sentences of an output that neither a training pair nor the prompt holds.
//!
//! A model that has learned a voice tells a life with it. The rules are simple and made for English prose; they list what a writer should
//! look at, and prove nothing:
//!
//! - A sentence is in the first person where it says I, me, my, mine, myself, we, us, our, ours or ourselves (I’m and we’d too). Headings do not count.
//! - A **number** is written in digits, or in words from eleven on. A **year** is one of four digits from 1000 to 2099, the 1970s too.
//! - A **name** is a run of capitalised words that begins inside a sentence: not after its start, nor after an opening quotation mark, a
//!   colon or a dash; `of`, `de`, `van` and the like may join two of them. Titles, weekdays, months and feasts are no names. A **place** is
//!   a name after in, at, near or another preposition of place, or with a word such as Street or Church in it.
//! - It is known where all its words stand in the training pairs or the prompt: capitalised, if it is a name. `forty` and `40` are two numbers.
//!
//! A name that a sentence begins with is missed; a person after `from` is taken for a place.

use std::collections::HashSet;

use unicode_segmentation::UnicodeSegmentation;

use super::text::{Document, ParagraphKind, Ruler, Span};

/// What a fact seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FactKind {
    Name,
    Place,
    Year,
    Number,
}

/// A fact that is in no text it could have been taken from. Both spans are in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    pub kind: FactKind,
    pub span: Span,
    pub sentence: Span,
}

/// The names and numbers of the texts that an output may rightly take them from.
#[derive(Debug, Clone, Default)]
pub struct Known {
    words: HashSet<String>,
}

impl FactKind {
    pub fn word(self) -> &'static str {
        match self {
            FactKind::Name => "name",
            FactKind::Place => "place",
            FactKind::Year => "year",
            FactKind::Number => "number",
        }
    }
}

impl Known {
    /// Of the training pairs' texts, as a rule.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Known {
        let mut known = Known::default();
        texts.into_iter().for_each(|text| known.add(text));
        known
    }

    fn add(&mut self, text: &str) {
        let telling = text.unicode_words().map(bare).filter(|word| is_capitalised(word) || is_number(word));
        self.words.extend(telling.map(key));
    }

    fn holds(&self, word: &str) -> bool {
        self.words.contains(&key(word))
    }
}

/// The invented facts of an output to `prompt`, in its order.
pub fn invented(output: &str, prompt: &str, known: &Known) -> Vec<Fact> {
    let document = Document::new(output);
    let asked = Known::of([prompt]);
    let mut ruler = Ruler::new(output);
    let mut found = vec![];
    for sentence in document.sentences.iter().filter(|s| document.paragraphs[s.paragraph].kind == ParagraphKind::Prose) {
        let words = words(sentence.span.of(output), sentence.span.bytes.0);
        if !words.iter().any(|word| is_first_person(word.text)) {
            continue;
        }
        for run in runs(&words) {
            let run_words = &words[run.words.clone()];
            let new = |word: &Word| !joins(word.text) && !listed(SMALL, word.text) && !known.holds(word.text) && !asked.holds(word.text);
            if run_words.iter().any(new) {
                let bytes = run_words[0].start..run_words[run_words.len() - 1].end();
                found.push(Fact { kind: run.kind, span: ruler.span(bytes), sentence: sentence.span });
            }
        }
    }
    found
}

/// A word of a sentence, without the possessive.
#[derive(Debug, Clone, Copy)]
struct Word<'t> {
    text: &'t str,
    /// In bytes of the output.
    start: usize,
    /// Nothing is told by its capital.
    opens: bool,
    /// Nothing stands between it and the word before but blanks, the full stop of `St.`, or a hyphen.
    follows: bool,
}

impl Word<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Neighbouring words that are one fact.
struct Run {
    kind: FactKind,
    words: std::ops::Range<usize>,
}

fn words(sentence: &str, offset: usize) -> Vec<Word<'_>> {
    let mut words: Vec<Word> = vec![];
    let mut end = 0;
    for (at, word) in sentence.unicode_word_indices() {
        let between = &sentence[end..at];
        let opens = words.is_empty() || between.contains(['“', '‘', '"', '«', '„', '(', ':', '—', '–', '…']);
        let follows = between == "-" || between.trim_start_matches('.').trim().is_empty();
        let text = bare(word);
        let inner = word.find(text).unwrap_or(0);
        words.push(Word { text, start: offset + at + inner, opens, follows });
        end = at + word.len();
    }
    words
}

/// The names and numbers of a sentence, known or not.
fn runs(words: &[Word]) -> Vec<Run> {
    let mut runs = vec![];
    let mut at = 0;
    while at < words.len() {
        let start = at;
        at += 1;
        if is_number(words[start].text) {
            let year = is_year(words[start].text);
            while !year && at < words.len() && words[at].follows && (is_number_word(words[at].text) || listed(SMALL, words[at].text)) {
                at += 1;
            }
            runs.push(Run { kind: if year { FactKind::Year } else { FactKind::Number }, words: start..at });
        } else if is_name(&words[start]) {
            loop {
                let next = |ahead: usize| words.get(at + ahead).filter(|word| word.follows);
                if next(0).is_some_and(|word| is_capitalised(word.text) && !is_common(word.text)) {
                    at += 1;
                } else if next(0).is_some_and(|word| joins(word.text)) && next(1).is_some_and(is_name) {
                    at += 2;
                } else {
                    break;
                }
            }
            let mut before = words[..start].iter().rev().map(|word| word.text).skip_while(|word| *word == "the");
            let place =
                before.next().is_some_and(|word| listed(PLACING, word)) || words[start..at].iter().any(|word| listed(PLACES, word.text));
            runs.push(Run { kind: if place { FactKind::Place } else { FactKind::Name }, words: start..at });
        }
    }
    runs
}

/// Without Markdown's underscores and the possessive.
fn bare(word: &str) -> &str {
    let word = word.trim_matches('_');
    ["'s", "’s", "'S", "’S"].into_iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word)
}

/// As known words are compared.
fn key(word: &str) -> String {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        word.trim_end_matches(|c: char| c.is_alphabetic()).replace([',', '.', '\''], "")
    } else if is_number_word(word) {
        word.to_lowercase()
    } else {
        word.replace('’', "'")
    }
}

fn is_first_person(word: &str) -> bool {
    let stem = word.split(['\'', '’']).next().unwrap_or_default();
    stem == "I" || listed(FIRST_PERSON, stem)
}

fn is_capitalised(word: &str) -> bool {
    let mut chars = word.chars();
    // A single letter is an initial, a grade, the first of a word that was broken off.
    chars.next().is_some_and(char::is_uppercase) && chars.next().is_some()
}

fn is_name(word: &Word) -> bool {
    is_capitalised(word.text) && !word.opens && !is_common(word.text) && !is_first_person(word.text) && !is_number_word(word.text)
}

fn is_common(word: &str) -> bool {
    listed(COMMON, word) || is_first_person(word)
}

fn joins(word: &str) -> bool {
    listed(JOINING, word)
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) || is_number_word(word)
}

fn is_number_word(word: &str) -> bool {
    listed(NUMBERS, &word.to_lowercase())
}

fn listed(list: &str, word: &str) -> bool {
    list.split(' ').any(|one| one == word)
}

fn is_year(word: &str) -> bool {
    let digits = word.trim_end_matches('s');
    digits.len() == 4 && matches!(digits.parse::<u16>(), Ok(1000..=2099))
}

/// And `I`, which is only written so.
const FIRST_PERSON: &str = "me my mine myself we us our ours ourselves Me My Mine Myself We Our Ours Ourselves";

const JOINING: &str = "of de da di du la le van von der den";

/// Capitalised, and nobody's name.
const COMMON: &str = "Mr Mrs Ms Miss Dr Sir Lady Lord Prof Rev Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mondays Tuesdays Wednesdays \
    Thursdays Fridays Saturdays Sundays January February March April May June July August September October November December \
    Christmas Day Eve Easter God OK TV Mum Dad Mother Father Grandmother Grandfather Aunt Uncle";

/// Prepositions of place.
const PLACING: &str = "in at near into through outside across around beyond towards toward from inside above below behind past off In At Near From \
    Outside Across Through Beyond";

/// Words that are part of a place's name.
const PLACES: &str = "Street Road Lane Avenue Square Terrace Hill Bridge Park Station Hospital School College University Church Cathedral Chapel \
    Hotel Inn River Lake Bay Beach Island Islands Mount Mountain Valley County Exchange Hall House Market Town City Village North \
    South East West";

const NUMBERS: &str = "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty \
    ninety hundred thousand million";

/// Numbers that only count in a larger one: `twenty-five`.
const SMALL: &str = "one two three four five six seven eight nine";

#[cfg(test)]
mod tests {
    use super::FactKind::*;
    use super::*;

    #[test]
    fn what_was_invented() {
        let check = |output: &str, expected: &[(FactKind, &str)]| {
            let found = invented(
                output,
                "A letter to Edna, 1951.",
                &Known::of(["We met at the Corn Exchange in 1979, all forty of us.", "Rose planted a rose."]),
            );
            let texts: Vec<_> = found.iter().map(|fact| (fact.kind, fact.span.of(output))).collect();
            assert_eq!(texts, expected, "{output}");
            for fact in found {
                let by_scalars: String = output.chars().skip(fact.span.start).take(fact.span.end - fact.span.start).collect();
                assert_eq!(by_scalars, fact.span.of(output));
                assert!(fact.sentence.of(output).contains(&by_scalars));
            }
        };
        check("I met Harold there.", &[(Name, "Harold")]);
        check("He met Harold there.", &[]);
        check("Harold met us.", &[]);
        check("I met Mr. Harold Finch’s sister.", &[(Name, "Harold Finch")]);
        check("🎉 My aunt lived in Lyme Regis until 1962.", &[(Place, "Lyme Regis"), (Year, "1962")]);
        check("We lived on the Isle of Wight, near St. Ives.", &[(Name, "Isle of Wight"), (Place, "St. Ives")]);
        check("I worked for Bell Street.", &[(Place, "Bell Street")]);
        check("We were at the Corn Exchange in 1979 with Edna, and Edna in 1951.", &[]);
        check("I met Rose and Corn at the Exchange.", &[]);
        check("In the 1980s I was twenty-five, and forty, and two.", &[(Year, "1980s"), (Number, "twenty-five")]);
        check("I paid 1,200 pounds and 3 shillings at 40.", &[(Number, "1,200"), (Number, "3"), (Number, "40")]);
        check("I heard him: “Where is it?” On Monday in May I’d not know.", &[]);
        check("I said it to Mother on Christmas Day.", &[]);
        check("# What I Saw in Paris\n\nIt rained.", &[]);
        check("I gave J. Smith a B.", &[(Name, "Smith")]);
        check("I saw the _Sirius_ leave.", &[(Name, "Sirius")]);
        check("", &[]);
    }

    #[test]
    fn a_number_is_known_however_it_is_set() {
        let known = Known::of(["It cost 1200 pounds on the 3rd. Twenty men came."]);
        assert_eq!(invented("I paid 1,200 on the 3 of May to twenty men.", "", &known), []);
    }
}
