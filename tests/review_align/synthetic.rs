//! Synthetic edits with known operations, over sentences in seventeen registers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use voicetune::review::{Alignment, Kind, align};

/// What was done to a run of the draft, and which sentences of the revision came of it.
#[derive(Debug, Clone)]
struct Made {
    kind: Kind,
    draft: Vec<usize>,
    revision: Vec<usize>,
}

struct Edit {
    draft: String,
    revision: String,
    made: Vec<Made>,
}

fn bank() -> Vec<Vec<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/review/bank.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let passages = text.split("\n\n").skip(1).map(|passage| passage.lines().map(str::to_owned).collect());
    passages.collect()
}

struct Maker<'b> {
    bank: &'b [Vec<String>],
    vocabulary: Vec<&'b str>,
    rng: ChaCha8Rng,
}

impl Maker<'_> {
    fn below(&mut self, count: usize) -> usize {
        (self.rng.next_u64() % count as u64) as usize
    }

    /// A draft of 8 to 40 sentences from one or two passages, and an edit of it.
    fn edit(&mut self) -> Edit {
        let length = 8 + self.below(33);
        let mut draft: Vec<String> = Vec::new();
        let first = self.below(self.bank.len());
        let second = (first + 1 + self.below(self.bank.len() - 1)) % self.bank.len();
        for passage in [first, second] {
            let take = (length - draft.len()).min(20);
            let start = self.below(self.bank[passage].len() - take + 1);
            draft.extend_from_slice(&self.bank[passage][start..start + take]);
        }
        let fresh = self.bank[(second + 1 + self.below(self.bank.len() - 2)) % self.bank.len()].clone();
        let mut fresh = fresh.into_iter().filter(|s| !draft.contains(s)).collect::<Vec<_>>();

        // Sentences of the revision, each with the sentences of the draft it came from.
        let mut revision: Vec<(String, Option<usize>)> = Vec::new();
        let mut made: Vec<(Kind, Vec<usize>)> = Vec::new();
        let mut travellers = Vec::new();
        let mut at = 0;
        while at < draft.len() {
            let sentence = draft[at].clone();
            let operation = made.len();
            match self.below(100) {
                0..=49 => {
                    made.push((Kind::Kept, vec![at]));
                    revision.push((sentence, Some(operation)));
                }
                50..=61 => made.push((Kind::Cut, vec![at])),
                62..=79 if words(&sentence) >= 4 => {
                    made.push((Kind::Reworded, vec![at]));
                    revision.push((self.reworded(&sentence), Some(operation)));
                }
                80..=85 if words(&sentence) >= 4 => {
                    made.push((Kind::Moved, vec![at]));
                    travellers.push((sentence, operation));
                }
                86..=91 if at + 1 < draft.len() => {
                    made.push((Kind::Reworded, vec![at, at + 1]));
                    revision.push((merged(&sentence, &draft[at + 1]), Some(operation)));
                    at += 1;
                }
                92..=95 if words(&sentence) >= 10 => {
                    made.push((Kind::Reworded, vec![at]));
                    revision.extend(self.split(&sentence).into_iter().map(|half| (half, Some(operation))));
                }
                _ => {
                    made.push((Kind::Kept, vec![at]));
                    revision.push((sentence, Some(operation)));
                }
            }
            if self.below(100) < 8 && !fresh.is_empty() {
                let pick = self.below(fresh.len());
                revision.push((fresh.swap_remove(pick), None));
            }
            at += 1;
        }
        self.settle(&draft, travellers, &mut made, &mut revision);
        Edit {
            draft: self.set(&draft),
            made: (0..made.len())
                .map(|m| Made {
                    kind: made[m].0,
                    draft: made[m].1.clone(),
                    revision: (0..revision.len()).filter(|&r| revision[r].1 == Some(m)).collect(),
                })
                .collect(),
            revision: self.set(&revision.into_iter().map(|(s, _)| s).collect::<Vec<_>>()),
        }
    }

    /// Puts each moved sentence where it has passed at least four others that stayed and outweigh it; where there is no such place, it is cut.
    fn settle(
        &mut self,
        draft: &[String],
        travellers: Vec<(String, usize)>,
        made: &mut [(Kind, Vec<usize>)],
        revision: &mut Vec<(String, Option<usize>)>,
    ) {
        for (sentence, operation) in travellers {
            let from = made[operation].1[0];
            let stayed = |r: &(String, Option<usize>)| r.1.filter(|&m| made[m].0 != Kind::Moved).map(|m| made[m].1[0]);
            let fits = |place: usize| {
                let passed = revision.iter().enumerate().filter(|(r, row)| stayed(row).is_some_and(|d| (d > from) == (*r < place)));
                let passed: Vec<usize> = passed.filter_map(|(_, row)| stayed(row)).collect();
                let kept = passed.iter().filter(|&&d| made.iter().any(|m| m.0 == Kind::Kept && m.1[0] == d)).count();
                let weight: usize = passed.iter().map(|&d| words(&draft[d])).sum();
                kept >= 3 && passed.len() >= 4 && weight > 3 * words(&sentence)
            };
            let halves = |p: usize| p > 0 && p < revision.len() && revision[p].1.is_some() && revision[p - 1].1 == revision[p].1;
            let places: Vec<usize> = (0..=revision.len()).filter(|&p| fits(p) && !halves(p)).collect();
            if places.is_empty() {
                made[operation].0 = Kind::Cut;
            } else {
                let place = places[self.below(places.len())];
                revision.insert(place, (sentence, Some(operation)));
            }
        }
    }

    /// 15 to 45 % of the words replaced by others, deleted, or joined by one more.
    fn reworded(&mut self, sentence: &str) -> String {
        let mut words: Vec<String> = sentence.split(' ').map(str::to_owned).collect();
        let share = 15 + self.below(31);
        let changes = (words.len() * share / 100).max(1);
        let mut places: Vec<usize> = (0..words.len()).collect();
        for i in (1..places.len()).rev() {
            places.swap(i, self.below(i + 1));
        }
        let mut places = places[..changes].to_vec();
        places.sort_unstable_by(|x, y| y.cmp(x));
        for place in places {
            let pick = self.below(self.vocabulary.len());
            let another = self.vocabulary[pick].to_owned();
            let last = place + 1 == words.len();
            let stop: String =
                words[place].chars().rev().take_while(|c| !c.is_alphanumeric()).collect::<Vec<_>>().into_iter().rev().collect();
            match self.below(4) {
                0 if !last && words.len() > 4 => {
                    words.remove(place);
                }
                1 if !last => words.insert(place + 1, another),
                _ => words[place] = another + &stop,
            }
        }
        capitalised(&words.join(" "))
    }

    /// Two sentences out of one, cut near the middle.
    fn split(&mut self, sentence: &str) -> [String; 2] {
        let words: Vec<&str> = sentence.split(' ').collect();
        let middle = words.len() / 2 + self.below(3) - 1;
        let head = words[..middle].join(" ");
        let opening = ["", "And ", "Then "][self.below(3)];
        let rest = words[middle..].join(" ");
        let rest = if opening.is_empty() { capitalised(&rest) } else { opening.to_owned() + &rest };
        [head.trim_end_matches([',', ';', ':', '—']).to_owned() + ".", rest]
    }

    /// Paragraphs of 2 to 6 sentences.
    fn set(&mut self, sentences: &[String]) -> String {
        let mut text = String::new();
        let mut left = 2 + self.below(5);
        for sentence in sentences {
            text += sentence;
            left -= 1;
            text += if left == 0 { "\n\n" } else { " " };
            left = if left == 0 { 2 + self.below(5) } else { left };
        }
        text
    }
}

fn words(sentence: &str) -> usize {
    sentence.split(' ').count()
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn merged(one: &str, two: &str) -> String {
    let mut letters = two.chars();
    let first = letters.next().unwrap();
    let name = two.starts_with("I ") || two.starts_with("I'");
    let two: String = if name { two.to_owned() } else { first.to_lowercase().chain(letters).collect() };
    format!("{}, and {two}", one.trim_end_matches(['.', '!', '?']))
}

/// How many sentences there are to classify (the draft's, and the revision's new ones), and what was got wrong: another kind, or another partner.
fn score(edit: &Edit, alignment: &Alignment) -> (usize, Vec<String>) {
    let (of_draft, of_revision) = (alignment.draft_rows(), alignment.revision_rows());
    let mut wrong = Vec::new();
    let mut all = 0;
    for made in &edit.made {
        for &s in &made.draft {
            all += 1;
            let row = &alignment.rows[of_draft[s]];
            let partners: Vec<usize> = row.revision.clone().into_iter().flatten().collect();
            if row.kind != made.kind || partners != made.revision {
                wrong.push(format!(
                    "{:?} {:?} was read as {:?} {:?}",
                    made.kind,
                    alignment.draft.sentence(s),
                    row.kind,
                    alignment.revision_text(row)
                ));
            }
        }
    }
    let sources: Vec<usize> = edit.made.iter().flat_map(|m| m.revision.clone()).collect();
    for t in (0..alignment.revision.sentences.len()).filter(|t| !sources.contains(t)) {
        all += 1;
        let row = &alignment.rows[of_revision[t]];
        if row.kind != Kind::New {
            wrong.push(format!("New {:?} was read as {:?} of {:?}", alignment.revision.sentence(t), row.kind, alignment.draft_text(row)));
        }
    }
    (all, wrong)
}

#[test]
fn known_operations_are_recognised() {
    let bank = bank();
    assert!(bank.len() >= 12 && bank.iter().all(|p| p.len() >= 20), "the bank is whole");
    let vocabulary: Vec<&str> =
        bank.iter().flatten().flat_map(|s| s.split(' ')).filter(|w| w.chars().all(|c| c.is_ascii_lowercase())).collect();
    let mut maker = Maker { bank: &bank, vocabulary, rng: ChaCha8Rng::seed_from_u64(1) };
    let (mut all, mut wrong) = (0, Vec::new());
    let mut kinds = std::collections::HashMap::new();
    for _ in 0..200 {
        let edit = maker.edit();
        let alignment = align(&edit.draft, &edit.revision);
        let drafts: usize = edit.made.iter().map(|m| m.draft.len()).sum();
        assert_eq!(alignment.draft.sentences.len(), drafts, "{}", edit.draft);
        edit.made.iter().for_each(|m| *kinds.entry(m.kind).or_insert(0) += m.draft.len());
        let (sentences, errors) = score(&edit, &alignment);
        all += sentences;
        wrong.extend(errors);
    }
    let right = 1.0 - wrong.len() as f64 / all as f64;
    println!("{all} sentences, {:.2} % as made; {kinds:?}", 100.0 * right);
    wrong.iter().for_each(|w| println!("  {w}"));
    assert!(kinds.values().all(|&count| count >= 100), "each operation is common enough to be tested: {kinds:?}");
    assert!(right >= 0.97, "{} of {all} sentences were not classified as made", wrong.len());
}
