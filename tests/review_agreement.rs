//! Agreement with the author's edit, against values worked out by other means.

#![allow(clippy::unwrap_used)]

use voicetune::review::agreement::{Choice, Table, interval};
use voicetune::review::{Agreement, Scores, agreement};

/// Choices with the given counts: both cut, only the author, only the model, neither.
fn choices(counts: [usize; 4]) -> Vec<Choice> {
    let kinds = [(true, true), (true, false), (false, true), (false, false)];
    let choices = kinds.into_iter().zip(counts).flat_map(|((author, model), n)| std::iter::repeat_n(Choice { author, model }, n));
    choices.collect()
}

fn close(found: Option<f64>, expected: f64, tolerance: f64) {
    assert!(found.is_some_and(|f| (f - expected).abs() <= tolerance), "{found:?} is not {expected}");
}

#[test]
fn scores_by_hand() {
    // precision 12/15, recall 12/17, F1 24/32; po = 42/50, pe = (17*15 + 33*35) / 2500 = 0.564.
    let scores = Scores::of(&choices([12, 5, 3, 30]), 0);
    close(scores.precision, 0.8, 1e-12);
    close(scores.recall, 12.0 / 17.0, 1e-12);
    close(scores.f1, 0.75, 1e-12);
    close(scores.kappa, (0.84 - 0.564) / (1.0 - 0.564), 1e-12);
    // No agreement beyond chance, and less than chance.
    close(Table::of(choices([1, 1, 1, 1]).into_iter()).kappa(), 0.0, 1e-12);
    close(Table::of(choices([0, 5, 5, 0]).into_iter()).kappa(), -1.0, 1e-12);
    close(Table::of(choices([5, 0, 0, 5]).into_iter()).kappa(), 1.0, 1e-12);
}

/// statsmodels' kappa, and scipy's percentile bootstrap of it with 60,000 resamples.
#[test]
fn kappa_and_its_intervals_are_those_of_statsmodels_and_scipy() {
    #[derive(serde::Deserialize)]
    struct Row {
        counts: [usize; 4],
        kappa: f64,
        interval: Option<(f64, f64)>,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/review/agreement.json");
    let rows: Vec<Row> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for row in rows {
        close(Table::of(choices(row.counts).into_iter()).kappa(), row.kappa, 1e-12);
        let Some(expected) = row.interval else { continue };
        for seed in 0..4 {
            let (low, high) = Scores::of(&choices(row.counts), seed).interval.unwrap();
            assert!((low - expected.0).abs() < 0.03 && (high - expected.1).abs() < 0.03, "{low} {high}, not {expected:?}");
        }
    }
}

#[test]
fn the_seed_decides_the_interval() {
    let choices = choices([12, 5, 3, 30]);
    assert_eq!(Scores::of(&choices, 7), Scores::of(&choices, 7));
    assert_ne!(Scores::of(&choices, 7).interval, Scores::of(&choices, 8).interval);
    // An interval of another statistic, from the same resamples.
    let (low, high) = interval(&choices, Table::recall, 7).unwrap();
    assert!(low < 12.0 / 17.0 && 12.0 / 17.0 < high);
}

#[test]
fn nothing_to_nothing_is_null() {
    let none = Scores { precision: None, recall: None, f1: None, kappa: None, interval: None };
    assert_eq!(Scores::of(&[], 0), none);
    assert_eq!(Scores::of(&choices([0, 0, 0, 9]), 0), none);
    let all_cut = Scores::of(&choices([9, 0, 0, 0]), 0);
    assert_eq!(all_cut, Scores { precision: Some(1.0), recall: Some(1.0), f1: Some(1.0), kappa: None, interval: None });
    assert_eq!(serde_json::to_string(&none).unwrap(), r#"{"precision":null,"recall":null,"f1":null,"kappa":null,"interval":null}"#);
    // One cut in a hundred: more than half of the resamples of so rare a thing are defined, those without it are left out.
    assert!(Scores::of(&choices([1, 0, 0, 99]), 0).interval.is_some());
    assert!(Scores::of(&choices([1, 0, 0, 0]), 0).interval.is_none());
}

const DRAFT: &str = "The train was late on Sunday. I had expected nothing else. We waited in the cold hall. It was a lesson in patience.\n\n\
    My grandmother kept bees. She counted the hives every spring. I often think of her now.";

#[test]
fn of_the_sentences_she_cut_how_many_did_the_model_cut() {
    let author =
        "The train was late on Sunday. We waited in the cold hall.\n\nMy grandmother kept bees. She counted the hives every spring.";
    let model = "The train was late on Sunday. We waited in the icy hall. It was a lesson in patience.\n\nMy grandmother kept bees.";
    // She cut sentences 2, 4 and 7; the model cut 2, 6 and 7; a reworded sentence is not cut.
    let Agreement { cut, endings } = agreement(DRAFT, model, author, 0);
    close(cut.precision, 2.0 / 3.0, 1e-12);
    close(cut.recall, 2.0 / 3.0, 1e-12);
    close(cut.kappa, (5.0 / 7.0 - 25.0 / 49.0) / (1.0 - 25.0 / 49.0), 1e-12);
    // Of the two endings she cut both, the model the second.
    close(endings.precision, 1.0, 1e-12);
    close(endings.recall, 0.5, 1e-12);
    close(endings.kappa, 0.0, 1e-12);
}

#[test]
fn the_author_agrees_with_herself_and_the_draft_with_nobody() {
    let author =
        "The train was late on Sunday. We waited in the cold hall.\n\nMy grandmother kept bees. She counted the hives every spring.";
    close(agreement(DRAFT, author, author, 0).cut.kappa, 1.0, 1e-12);
    let untouched = agreement(DRAFT, DRAFT, author, 0).cut;
    assert_eq!((untouched.precision, untouched.recall, untouched.kappa), (None, Some(0.0), Some(0.0)));
    // A model that wrote nothing cut everything.
    let nothing = agreement(DRAFT, "", author, 0).cut;
    assert_eq!((nothing.recall, nothing.kappa), (Some(1.0), Some(0.0)));
    assert_eq!(agreement("", "", "", 0).cut.kappa, None);
    assert_eq!(agreement("", "New.", "Other.", 0).endings.precision, None);
}
