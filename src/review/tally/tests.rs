use proptest::prelude::*;
use serde_json::Value;

use super::super::verdict::{Score, Scores, Shown};
use super::*;

/// What scipy and statsmodels make of the same counts.
fn reference() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/review/tally.json")).unwrap()
}

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found} is not {expected}");
}

fn arm(name: &str) -> ArmName {
    ArmName::new("run", name).unwrap()
}

fn arms(names: &str) -> Vec<ArmName> {
    names.chars().map(|name| arm(&name.to_string())).collect()
}

fn reading(shown: &str, outcome: Outcome) -> Reading {
    Reading {
        prompt: "A".into(),
        temperature: None,
        seed: 0,
        shown: arms(shown).into_iter().map(|arm| Shown::new(arm, 0, "")).collect(),
        blind: true,
        outcome,
        scores: Scores::new(),
        comment: String::new(),
        replaces: None,
    }
}

fn best(names: &str) -> Outcome {
    Outcome::Best(arms(names))
}

fn ranking(groups: &[&str]) -> Outcome {
    Outcome::Ranking(groups.iter().map(|group| arms(group)).collect())
}

#[test]
fn intervals_are_those_of_statsmodels() {
    for row in reference()["wilson"].as_array().unwrap() {
        let (wins, all) = (row[0].as_u64().unwrap(), row[1].as_u64().unwrap());
        let (low, high) = wilson(wins, all).unwrap();
        close(low, row[2].as_f64().unwrap(), 1e-12, &format!("{wins} of {all}"));
        close(high, row[3].as_f64().unwrap(), 1e-12, &format!("{wins} of {all}"));
    }
    assert_eq!(wilson(0, 0), None);
}

#[test]
fn strengths_are_those_of_scipy_and_statsmodels() {
    for entry in reference()["strengths"].as_array().unwrap() {
        let wins: Vec<Vec<f64>> = serde_json::from_value(entry["wins"].clone()).unwrap();
        let expected: Vec<f64> = serde_json::from_value(entry["log_strengths"].clone()).unwrap();
        let found = bradley_terry(&wins, entry["prior"].as_f64().unwrap());
        for (found, expected) in found.iter().zip(expected) {
            close(found.unwrap().ln(), expected, 1e-8, &entry["name"].to_string());
        }
    }
}

#[test]
fn intervals_of_strengths_are_those_of_statsmodels() {
    for entry in reference()["intervals"].as_array().unwrap() {
        let all: Vec<Vec<(usize, usize, f64)>> = serde_json::from_value(entry["readings"].clone()).unwrap();
        let of = |reading: Vec<_>| reading.into_iter().map(|(better, worse, share)| Comparison { better, worse, share }).collect();
        let readings: Vec<Vec<Comparison>> = all.into_iter().map(of).collect();
        let expected: Vec<Option<(f64, f64)>> = serde_json::from_value(entry["intervals"].clone()).unwrap();
        let found = intervals(&readings, expected.len());
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.into_iter().zip(expected) {
            let name = entry["name"].to_string();
            assert_eq!(found.is_some(), expected.is_some(), "{name}");
            let (Some(found), Some(expected)) = (found, expected) else { continue };
            close(found.0.ln(), expected.0.ln(), 1e-7, &name);
            close(found.1.ln(), expected.1.ln(), 1e-7, &name);
        }
    }
    assert_eq!(intervals(&[], 2), [None, None]);
}

#[test]
fn two_arms_have_the_odds_between_them() {
    let strengths = bradley_terry(&[vec![0.0, 6.0], vec![3.0, 0.0]], 0.0);
    close(strengths[0].unwrap() / strengths[1].unwrap(), 2.0, 1e-9, "6 to 3");
    close(strengths[0].unwrap() * strengths[1].unwrap(), 1.0, 1e-9, "geometric mean");
}

#[test]
fn odd_tables_have_strengths_too() {
    let check = |wins: &[Vec<f64>], expected: &[Option<f64>]| {
        let found = bradley_terry(wins, PRIOR);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.is_some(), expected.is_some());
            close(found.unwrap_or(0.0), expected.unwrap_or(0.0), 1e-9, &format!("{wins:?}"));
        }
    };
    check(&[], &[]);
    check(&[vec![0.0]], &[None]);
    check(&[vec![0.0, 0.0], vec![0.0, 0.0]], &[None, None]);
    check(&[vec![0.0, 0.0, 2.0], vec![0.0; 3], vec![2.0, 0.0, 0.0]], &[Some(1.0), None, Some(1.0)]);
    // Without a prior there is no finite strength of an arm that won all; the iteration ends nevertheless.
    assert!(bradley_terry(&[vec![0.0, 9.0], vec![0.0, 0.0]], 0.0).iter().all(|s| s.is_some_and(|s| !s.is_nan())));
}

#[test]
fn what_an_outcome_counts_as() {
    // Per arm a, b, c, d: wins, ties, all bad; then who was placed before whom, in halves.
    let check = |outcome: Outcome, counts: [[u64; 3]; 4], placed: &[(usize, usize, f64)]| {
        let tally = tally([&reading("dbca", outcome.clone())], ArmName::clone);
        assert_eq!(tally.arms.iter().map(|a| a.arm.arm()).collect::<String>(), "abcd");
        let found: Vec<_> = tally.arms.iter().map(|a| [a.wins, a.ties, a.all_bad]).collect();
        assert_eq!(found, counts, "{outcome:?}");
        let mut expected = vec![vec![0.0; 4]; 4];
        placed.iter().for_each(|&(i, j, share)| expected[i][j] = share);
        assert_eq!(tally.beaten, expected, "{outcome:?}");
    };
    let (none, win, tie, bad) = ([0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]);
    check(best("a"), [win, none, none, none], &[(0, 1, 1.0), (0, 2, 1.0), (0, 3, 1.0)]);
    check(best("ab"), [win, win, none, none], &[(0, 1, 0.5), (1, 0, 0.5), (0, 2, 1.0), (0, 3, 1.0), (1, 2, 1.0), (1, 3, 1.0)]);
    let all: Vec<_> = (0..4).flat_map(|i| (0..4).filter(move |&j| j != i).map(move |j| (i, j, 0.5))).collect();
    check(best("abcd"), [tie; 4], &all);
    check(Outcome::Tie, [tie; 4], &all);
    check(ranking(&["abcd"]), [tie; 4], &all);
    check(Outcome::AllBad, [bad; 4], &[]);
    check(ranking(&["", "c", "ab"]), [none, none, win, none], &[(2, 0, 1.0), (2, 1, 1.0), (0, 1, 0.5), (1, 0, 0.5)]);
    check(ranking(&["d"]), [none, none, none, win], &[]);
}

#[test]
fn rates_are_of_the_readings_in_which_an_arm_was_shown() {
    let readings = [reading("ab", best("a")), reading("ab", best("a")), reading("ac", best("c")), reading("ab", Outcome::AllBad)];
    let tally = tally(&readings, ArmName::clone);
    let a = &tally.arms[0];
    assert_eq!((a.readings, a.wins, a.ties, a.all_bad), (4, 2, 0, 1));
    assert_eq!((a.win_rate(), a.win_interval()), (Some(0.5), wilson(2, 4)));
    assert_eq!(tally.arms[2].win_rate(), Some(1.0));
}

#[test]
fn arms_that_never_met_are_told_apart() {
    let check = |readings: &[Reading], expected: bool| assert_eq!(tally(readings, ArmName::clone).connected, expected);
    check(&[], true);
    check(&[reading("abcd", Outcome::AllBad)], true);
    check(&[reading("ab", best("a")), reading("bc", best("b"))], true);
    check(&[reading("ab", best("a")), reading("cd", best("c"))], false);
    // An arm that met nobody belongs to no group.
    check(&[reading("ab", best("a")), reading("c", best("c"))], true);
}

#[test]
fn runs_are_taken_together_by_the_key() {
    let mut readings = [reading("ab", best("a")), reading("ab", best("b")), reading("ab", best("b"))];
    for shown in &mut readings[0].shown {
        shown.arm = ArmName::new("another", shown.arm.arm()).unwrap();
    }
    readings[0].outcome = Outcome::Best(vec![ArmName::new("another", "a").unwrap()]);
    assert_eq!(tally(&readings, ArmName::clone).arms.len(), 4);
    let together = tally(&readings, |arm| arm.arm().to_owned());
    assert_eq!(together.beaten, [[0.0, 1.0], [2.0, 0.0]]);
    // Two arms of one reading under one key say nothing of each other, and each was shown.
    let one = tally(&readings, |_| ());
    assert_eq!((one.arms[0].readings, one.beaten, one.arms[0].strength), (6, vec![vec![0.0]], None));
}

#[test]
fn scores_are_meant_by_dimension_and_by_reading() {
    let scored = |scores: &[(&str, u8)]| {
        let mut reading = reading("ab", Outcome::Tie);
        let of_a = scores.iter().map(|(id, score)| ((*id).to_owned(), Score::new(*score).unwrap())).collect();
        reading.scores.insert(arm("a"), of_a);
        reading
    };
    let readings = [scored(&[("rhythm", 5)]), scored(&[("rhythm", 2), ("opening", 1), ("structure", 3)]), scored(&[])];
    let tally = tally(&readings, ArmName::clone);
    let a = &tally.arms[0];
    assert_eq!(a.rubric["rhythm"], Mean { mean: 3.5, count: 2 });
    assert_eq!(a.rubric["structure"], Mean { mean: 3.0, count: 1 });
    // 5 of the first reading, 2 of the second; the third scored nothing.
    assert_eq!(a.overall, Some(Mean { mean: 3.5, count: 2 }));
    assert_eq!((tally.arms[1].rubric.len(), tally.arms[1].overall), (0, None));
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        proptest::sample::subsequence(vec!["a", "b", "c", "d"], 1..4).prop_map(|names| best(&names.concat())),
        Just(vec!["a", "b", "c", "d"]).prop_shuffle().prop_map(|names| ranking(&names)),
        Just(Outcome::Tie),
        Just(Outcome::AllBad),
    ]
}

proptest! {
    #[test]
    fn every_set_of_readings_has_a_sound_tally(outcomes in proptest::collection::vec(any_outcome(), 0..30)) {
        let readings: Vec<Reading> = outcomes.into_iter().map(|outcome| reading("abcd", outcome)).collect();
        let one = tally(&readings, ArmName::clone);
        let log: f64 = one.arms.iter().filter_map(|arm| arm.strength).map(f64::ln).sum();
        prop_assert!(log.abs() < 1e-9);
        for arm in &one.arms {
            prop_assert!(arm.wins + arm.ties + arm.all_bad <= arm.readings);
            prop_assert!(arm.strength.is_none_or(|strength| strength.is_finite() && strength > 0.0));
            prop_assert_eq!(arm.strength.is_some(), arm.strength_interval.is_some());
            let holds = |(low, high): (f64, f64)| arm.strength.is_some_and(|strength| 0.0 < low && low < strength && strength < high && high.is_finite());
            prop_assert!(arm.strength_interval.is_none_or(holds), "{:?}", arm);
            let (low, high) = arm.win_interval().unwrap();
            prop_assert!(low <= arm.win_rate().unwrap() && arm.win_rate().unwrap() <= high);
        }
        // The order of the readings does not matter.
        let backwards = tally(readings.iter().rev(), ArmName::clone);
        prop_assert_eq!(&one.beaten, &backwards.beaten);
    }
}
