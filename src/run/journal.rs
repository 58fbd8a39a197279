//! `journal.md`: the writer's notes on a run. voicetune rewrites its own summary between two marks and touches nothing else.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

use super::log::History;
use super::private;
use super::protocol::Outcome;
use crate::config::bounded;

const BEGIN: &str = "<!-- voicetune: summary -->";
const END: &str = "<!-- voicetune: end of summary -->";

/// The journal of a new run.
pub(super) fn new(run: &str) -> String {
    format!("# {run}\n\nThis journal is yours. voicetune writes only between the two marks at the end.\n\n\n{BEGIN}\n{END}\n")
}

/// Rewrites the summary in the journal of a run folder.
pub(super) fn summarise(run: &Path, history: &History, best: Option<usize>) -> Result<()> {
    let path = run.join("journal.md");
    let text = match bounded::read_text(&path, bounded::PROSE) {
        Err(e) if e.kind() == ErrorKind::NotFound => new(&run.file_name().unwrap_or_default().to_string_lossy()),
        text => text.with_context(|| format!("{}: cannot be read", path.display()))?,
    };
    private::replace_file(&path, with_summary(&text, &summary(history, best)).as_bytes())
}

/// Puts `summary` between the marks; where the writer removed them, at the end.
fn with_summary(journal: &str, summary: &str) -> String {
    let block = format!("{BEGIN}\n{summary}{END}");
    let Some(start) = journal.find(BEGIN) else {
        return format!("{}\n\n{block}\n", journal.trim_end());
    };
    let rest = &journal[start..];
    // Without its end mark, the summary's end cannot be told, and what follows may be the writer's: nothing of it is removed.
    let after = rest.find(END).map_or(&rest[BEGIN.len()..], |end| &rest[end + END.len()..]);
    format!("{}{block}{after}", &journal[..start])
}

fn summary(history: &History, best: Option<usize>) -> String {
    let mut lines = vec![];
    if let Some(ended) = &history.ended {
        let word = match ended.outcome {
            Outcome::Finished => "Finished",
            Outcome::Stopped => "Stopped",
            Outcome::Failed => "Failed",
        };
        let why = ended.error.as_ref().map_or(String::new(), |error| format!(": {error}"));
        lines.push(format!("{word} at {}{why}", ended.time));
    }
    if let (Some(first), Some(last), Some(started)) = (history.steps.first(), history.steps.last(), &history.started) {
        let seconds = history.steps.iter().map(|s| s.ms).sum::<f64>() / 1000.0;
        lines.push(format!("{} of {} steps, {} of training on {}", last.step, started.steps, duration(seconds), started.device));
        lines.push(format!("training loss {:.3} -> {:.3}", first.loss, last.loss));
    }
    if let Some((first, later)) = history.evals.split_first() {
        let last = later.last().map_or(String::new(), |last| format!(" -> {:.3} (step {})", last.loss, last.step));
        lines.push(format!("validation loss {:.3} (step {}){last}", first.loss, first.step));
    }
    if let Some(step) = best {
        lines.push(format!("result: the checkpoint of step {step}"));
    }
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

/// `1 step`, `2 steps`.
pub fn counted(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `1 h 02 min`, `3 min 05 s`, `42 s`.
pub fn duration(seconds: f64) -> String {
    let s = seconds.round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_rewritten() {
        let check = |journal: &str, expected: &str| {
            assert_eq!(with_summary(journal, "- new\n"), expected);
            assert_eq!(with_summary(expected, "- new\n"), expected, "writing the same again changes nothing");
        };
        check(&format!("mine\n{BEGIN}\n- old\n{END}\nmine too\n"), &format!("mine\n{BEGIN}\n- new\n{END}\nmine too\n"));
        check("mine, marks removed", &format!("mine, marks removed\n\n{BEGIN}\n- new\n{END}\n"));
        check(&format!("{BEGIN}\nno end mark"), &format!("{BEGIN}\n- new\n{END}\nno end mark"));
    }

    #[test]
    fn durations_read_well() {
        let check = |seconds: f64, expected: &str| assert_eq!(duration(seconds), expected);
        check(41.7, "42 s");
        check(185.0, "3 min 05 s");
        check(3725.0, "1 h 02 min");
    }
}
