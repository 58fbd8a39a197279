//! A sample to be read: its text with what was copied underlined, and below it where that comes from and what seems to be invented.

use crate::review::marks::{Marks, signed};
use crate::run::protocol::Sample;
use crate::ui::prose::{visible, visible_lines};

/// How what is marked in a text is shown. In a file the text stays as it is, and only the list below it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marking {
    Styles,
    Signs,
    List,
}

impl Marking {
    pub fn of(is_terminal: bool, is_coloured: bool) -> Marking {
        match (is_terminal, is_coloured) {
            (false, _) => Marking::List,
            (true, true) => Marking::Styles,
            (true, false) => Marking::Signs,
        }
    }
}

/// `temperature` is said where there are several.
pub fn sample(sample: &Sample, temperature: Option<f64>, marks: &Marks, marking: Marking) -> String {
    let at = temperature.map_or(String::new(), |temperature| format!(" · temperature {temperature}"));
    let mut out = format!("── {} · {}{at} · sample {} (seed {})\n\n", sample.prompt, sample.arm, sample.sample, sample.seed);
    out.push_str(&text(&sample.text, marks, marking));
    out.push_str("\n\n");
    for copied in marks.copied() {
        out.push_str(&format!("   copied: {}: “{}”\n", visible(&copied.source()), visible(copied.span.of(&sample.text))));
    }
    for fact in &marks.facts {
        out.push_str(&format!("   invented: the {} {}, in “{}”\n", fact.kind.word(), visible(&fact.text), visible(&fact.sentence)));
    }
    if marks.copied().next().is_some() || !marks.facts.is_empty() {
        out.push('\n');
    }
    out
}

/// The text without blanks at its ends.
fn text(text: &str, marks: &Marks, marking: Marking) -> String {
    let start = text.len() - text.trim_start().len();
    let cut = marks.cut(text, start..start.max(text.trim_end().len()));
    match marking {
        Marking::List => cut.iter().map(|(_, text)| visible_lines(text)).collect(),
        Marking::Signs => signed(&cut).into_iter().map(|(_, text)| visible_lines(&text)).collect::<String>(),
        Marking::Styles => cut
            .iter()
            .map(|(mark, text)| (mark, visible_lines(text)))
            .map(|(mark, text)| match (mark.copied, mark.invented) {
                (false, false) => text,
                (true, false) => format!("\x1b[4m{text}\x1b[0m"),
                (false, true) => format!("\x1b[3;35m{text}\x1b[0m"),
                (true, true) => format!("\x1b[3;4;35m{text}\x1b[0m"),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::{Pair, Split, Status, Tier};
    use crate::review::marks::{Asked, Trained};
    use crate::run::protocol::Finish;

    #[test]
    fn what_is_marked_is_shown_and_named() {
        let (tier, status, split) = (Tier::Note, Status::Ready, Split::Auto);
        let response = "Every clock in the town told its own time.".to_owned();
        let pair = Pair {
            id: "tier4/clocks".into(),
            tier,
            source: "c".into(),
            prompt: String::new(),
            response,
            status,
            split,
            notes: String::new(),
        };
        let text = " Every clock in the town told its own time. I met Edna Hart.\n";
        let (trained, _) = Trained::on(&["tier4/clocks".into()], &[pair]);
        let marks = trained.marks(text, &Asked::new(""));
        let (prompt, arm, finish) = ("A".into(), "llama-tuned".into(), Finish::Stop);
        let one = Sample { prompt, arm, sample: 0, seed: 42, step: None, ids: vec![], text: text.into(), finish };
        let list = "   copied: 9 words of the response of tier4/clocks: “Every clock in the town told its own time”\n   \
                    invented: the name Edna Hart, in “I met Edna Hart.”\n\n";
        let check = |marking: Marking, text: &str| {
            assert_eq!(sample(&one, None, &marks, marking), format!("── A · llama-tuned · sample 0 (seed 42)\n\n{text}\n\n{list}"));
        };
        check(Marking::List, "Every clock in the town told its own time. I met Edna Hart.");
        check(Marking::Signs, "[=Every clock in the town told its own time=]. I met [?Edna Hart?].");
        check(Marking::Styles, "\x1b[4mEvery clock in the town told its own time\x1b[0m. I met \x1b[3;35mEdna Hart\x1b[0m.");
        let nothing = Sample { text: " \n".into(), ..one.clone() };
        assert_eq!(sample(&nothing, None, &Marks::default(), Marking::Signs), "── A · llama-tuned · sample 0 (seed 42)\n\n\n\n");
        let hot = sample(&nothing, Some(1.2), &Marks::default(), Marking::Signs);
        assert_eq!(hot, "── A · llama-tuned · temperature 1.2 · sample 0 (seed 42)\n\n\n\n");
        assert_eq!(
            [(false, true), (true, true), (true, false)].map(|(t, c)| Marking::of(t, c)),
            [Marking::List, Marking::Styles, Marking::Signs]
        );
    }
}
