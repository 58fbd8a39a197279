//! The running tally below a verdict: how often each arm won so far, as fully as there is room for.

use crate::config::Temperature;
use crate::review::tally::{ArmTally, tally};
use crate::review::verdict::ArmName;
use crate::ui::prose::wrap;
use crate::ui::screens::review::shelf::Shelf;

/// Keeps a name and its numbers on one line.
const NO_BREAK: &str = "\u{a0}";

/// How much is said of an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// The win rate's interval and the strength with its own.
    All,
    Interval,
    Wins,
    /// In as few columns as can be.
    Least,
}

/// The tally at a temperature in lines, and what its numbers are, for the head.
pub struct Running {
    pub lines: Vec<String>,
    pub note: &'static str,
}

impl Running {
    /// Says as much as fits into so many columns and lines.
    pub fn of(shelf: &Shelf, temperature: Temperature, columns: usize, height: usize) -> Running {
        let readings = shelf.verdicts.verdicts.iter().map(|verdict| &verdict.reading);
        let readings = readings.filter(|reading| reading.is_at(temperature, shelf.temperature));
        let mut arms = tally(readings.filter(|reading| reading.arms().all(|arm| shelf.arm_of(arm).is_some())), ArmName::clone).arms;
        // The most successful first.
        arms.sort_by(|a, b| b.win_rate().partial_cmp(&a.win_rate()).unwrap_or(std::cmp::Ordering::Equal));
        let lines = |detail: Detail| {
            let won: Vec<String> = arms.iter().map(|arm| said(shelf, arm, detail).replace(' ', NO_BREAK)).collect();
            let text = format!("Won so far at {temperature}: {}", won.join(" · "));
            let lines = wrap(&[((), &text)], columns.max(1)).into_iter();
            lines.map(|line| line.into_iter().map(|(_, text)| text).collect::<String>()).collect::<Vec<_>>()
        };
        let details = [Detail::All, Detail::Interval, Detail::Wins, Detail::Least];
        let (detail, lines) = details
            .into_iter()
            .map(|detail| (detail, lines(detail)))
            .find(|(detail, lines)| lines.len() <= height || *detail == Detail::Least)
            .unwrap_or((Detail::Least, vec![]));
        let note = match detail {
            Detail::All => "95 % intervals · strength by Bradley-Terry",
            Detail::Interval => "95 % intervals",
            Detail::Wins | Detail::Least => "",
        };
        Running { lines, note }
    }
}

fn said(shelf: &Shelf, arm: &ArmTally<ArmName>, detail: Detail) -> String {
    let title = shelf.arm_of(&arm.arm).map_or_else(|| arm.arm.to_string(), |at| shelf.arms[at].title.clone());
    if detail == Detail::Least {
        return format!("{title} {}/{}", arm.wins, arm.readings);
    }
    let mut said = format!("{title} {} of {}", arm.wins, arm.readings);
    if let Some((low, high)) = arm.win_interval().filter(|_| detail != Detail::Wins) {
        said += &format!(" ({:.0}–{:.0} %)", 100.0 * low, 100.0 * high);
    }
    if let (Detail::All, Some(strength), Some((low, high))) = (detail, arm.strength, arm.strength_interval) {
        said += &format!(", strength {strength:.2} ({low:.2}–{high:.2})");
    }
    said
}
