//! Samples of several temperatures: read, picked and counted apart.

use super::*;
use crate::review::blind::Panes;

const HOT: Temperature = Temperature::new(1.2);

/// The shelf with one sample of A more in every arm, drawn hotter.
fn hot_shelf() -> Shelf {
    let mut shelf = shelf();
    for (arm, texts) in shelf.arms.iter().zip(&mut shelf.prompts[0].texts) {
        texts.insert((HOT, 0), Text { text: format!("Hot, by {}.", arm.title), ..text(&arm.title, 0) });
    }
    shelf
}

fn texts(review: &Review, shared: &Shared) -> Vec<String> {
    let of = |pane: spread::Pane| match pane.content {
        Content::Whole(text) => text.text.chars().take(4).collect(),
        other => format!("{other:?}"),
    };
    review.spread(shared).unwrap().panes.into_iter().map(of).collect()
}

fn orders(effects: &[Effect]) -> Vec<(String, Vec<Arm>, Option<f64>)> {
    let order = |effect: &Effect| match effect {
        Effect::Order(Order::Read(order)) => {
            Some((order.run.file_name().unwrap().to_str().unwrap().to_owned(), order.arms.clone(), order.temperature))
        }
        _ => None,
    };
    effects.iter().filter_map(order).collect()
}

#[test]
fn the_panes_hold_one_temperature() {
    let shared = shared();
    let mut review = review(hot_shelf(), &shared);
    assert_eq!(texts(&review, &shared), ["This"; 4]);
    review.act(Action::NextTemperature, &shared);
    assert_eq!(texts(&review, &shared), ["Hot,"; 4]);
    // What is revealed of one order tells nothing of the other.
    let order: Vec<ArmName> =
        review.spread(&shared).unwrap().panes.iter().map(|pane| review.shelf.as_ref().unwrap().arms[pane.arm].name.clone()).collect();
    let names = review.shelf.as_ref().unwrap().arms.iter().map(|arm| arm.name.clone());
    assert_eq!(order, Panes::shuffled(names, 42, "A at 1.2", 0).arms());
    // There is one sample here; the other temperature has three.
    review.act(Action::NextSample, &shared);
    assert_eq!(review.at, At::Sample(0));
    act(&mut review, &shared, &[Action::NextTemperature, Action::PreviousTemperature, Action::NextSample]);
    assert_eq!((review.at, texts(&review, &shared)), (At::Sample(1), vec!["This".to_owned(); 4]));
    // Nothing was drawn at the lowest.
    let effects = act(&mut review, &shared, &[Action::PreviousTemperature]);
    assert!(matches!(&effects[..], [Effect::Notify(notice)] if notice.text.contains("at temperature 0.5")), "{effects:?}");
    assert!(review.spread(&shared).unwrap().panes.is_empty());
    let asked = orders(&review.act(Action::Generate, &shared));
    assert_eq!(asked, ["llama", "gpt2"].map(|run| (run.to_owned(), vec![Arm::Base, Arm::Tuned], Some(0.5))));
}

#[test]
fn verdicts_and_tallies_are_of_one_temperature() {
    let shared = shared();
    let mut review = review(hot_shelf(), &shared);
    let effects = act(&mut review, &shared, &[Action::Best, Action::Submit]);
    let usual = recorded(&mut review, &shared, effects);
    assert_eq!(usual.reading.temperature, Some(USUAL));
    review.act(Action::NextTemperature, &shared);
    assert_eq!(titles(&review, &shared)[0], "Pane 1", "the verdict at the other temperature is none on these");
    let effects = act(&mut review, &shared, &[Action::NextPane, Action::NextPane, Action::Best, Action::Submit]);
    let hot = recorded(&mut review, &shared, effects);
    assert_eq!((hot.reading.temperature, hot.reading.blind), (Some(HOT), true));
    assert_ne!(usual.reading.shown[0].text, hot.reading.shown[0].text);
    let screen = drawn(&review, &shared, 160, 40).backend().to_string();
    assert!(screen.contains("Won so far at 1.2") && screen.contains("1\u{a0}of\u{a0}1") && !screen.contains("of\u{a0}2"), "{screen}");
    // A line from before temperatures were recorded is of the usual one.
    let verdicts = &mut review.shelf.as_mut().unwrap().verdicts.verdicts;
    verdicts.iter_mut().filter(|verdict| verdict.reading.temperature == Some(USUAL)).for_each(|verdict| verdict.reading.temperature = None);
    review.act(Action::PreviousTemperature, &shared);
    let screen = drawn(&review, &shared, 160, 40).backend().to_string();
    assert!(screen.contains("Won so far at 0.8") && screen.contains("1\u{a0}of\u{a0}1"), "{screen}");
}

#[test]
fn picks_are_of_one_temperature() {
    let shared = shared();
    let mut review = review(hot_shelf(), &shared);
    review.act(Action::NextTemperature, &shared);
    let effects = review.act(Action::Pick, &shared);
    let Some(Effect::Do(Io::Task(crate::ui::tasks::Task::Review(Task::Pick { pick, .. })))) = effects.into_iter().next() else {
        panic!("no pick")
    };
    assert_eq!(pick.temperature, Some(HOT));
    let mut verdicts = Verdicts::default();
    verdicts.picks.insert((pick.prompt.clone(), pick.shown.arm.clone(), pick.temperature), *pick);
    review.on_done(&crate::ui::tasks::Done::Review(Done::Picked(Ok(Box::new(verdicts)))), &shared);
    let picked = |review: &Review| review.spread(&shared).unwrap().panes.iter().filter(|pane| pane.is_picked).count();
    assert_eq!(picked(&review), 1);
    review.act(Action::PreviousTemperature, &shared);
    assert_eq!(picked(&review), 0);
    let effects = review.act(Action::ComparePicks, &shared);
    assert!(matches!(&effects[..], [Effect::Notify(_)]), "nothing is picked at this temperature");
}

#[test]
fn one_arm_across_temperatures_is_looked_at_and_not_judged() {
    let shared = shared();
    let mut review = review(hot_shelf(), &shared);
    let arm = review.spread(&shared).unwrap().panes[1].arm;
    act(&mut review, &shared, &[Action::NextPane, Action::NextPane, Action::Temperatures]);
    assert_eq!(titles(&review, &shared), ["Pane 2 at 0.5", "Pane 2 at 0.8", "Pane 2 at 1.2"]);
    assert_eq!(review.pane, 1, "where she was");
    insta::assert_snapshot!("across_120x36", drawn(&review, &shared, 120, 34).backend());
    insta::assert_snapshot!("across_80x24", drawn(&review, &shared, 80, 22).backend());
    for action in [Action::Best, Action::Tie, Action::ScoreArms, Action::Submit, Action::Comment] {
        let effects = review.act(action, &shared);
        assert!(matches!(&effects[..], [Effect::Notify(notice)] if notice.text.contains("at one temperature")), "{action:?}: {effects:?}");
    }
    assert_eq!(review.at_stake(), None);
    // What is missing of this arm is drawn, at each temperature.
    let run = if arm < 2 { "llama" } else { "gpt2" };
    let which = if arm.is_multiple_of(2) { Arm::Base } else { Arm::Tuned };
    assert_eq!(orders(&review.act(Action::Generate, &shared)), [0.5, 1.2].map(|t| (run.to_owned(), vec![which], Some(t))));

    // Back, to the temperature and the arm of the pane.
    act(&mut review, &shared, &[Action::NextTemperature, Action::Temperatures]);
    assert_eq!((review.temperature, review.spread(&shared).unwrap().panes[review.pane].arm), (Some(HOT), arm));
    let effects = act(&mut review, &shared, &[Action::Tie, Action::Submit]);
    assert!(!recorded(&mut review, &shared, effects).reading.blind, "she has seen which of these is the arm of pane 2");
    review.act(Action::PreviousTemperature, &shared);
    let effects = act(&mut review, &shared, &[Action::Tie, Action::Submit]);
    assert!(recorded(&mut review, &shared, effects).reading.blind, "of this one she has seen nothing new");
}

#[test]
fn what_is_drawn_at_another_temperature_is_not_shown_here() {
    let mut shared = shared();
    let mut review = review(hot_shelf(), &shared);
    let prompt = review.shelf.as_ref().unwrap().prompts[0].clone();
    let run = review.shelf.as_ref().unwrap().runs[0].folder.clone();
    let prompts = vec![(prompt.id, prompt.text)];
    shared.work.order(ReadOrder { run, arms: vec![Arm::Base], prompts, samples: None, temperature: Some(1.2) }.into());
    review.at = At::Sample(2);
    assert_eq!(texts(&review, &shared), ["This"; 4]);
    review.temperature = Some(HOT);
    assert!(texts(&review, &shared).iter().any(|text| text.starts_with("Written")), "it is being drawn here");
}
