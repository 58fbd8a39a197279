//! The demo's findings as tables.

use std::io::IsTerminal;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::super::style;
use super::{Findings, Tried, Version};
use crate::config::Canary;
use crate::run::journal::duration;
use crate::run::protocol::{Finish, Sample};

/// Characters of an output that the table shows; the whole is in the run's folder.
const SHOWN: usize = 220;

/// Prints tables and what to try next.
pub fn print(findings: &Findings, canaries: &[Canary], seconds: f64) {
    for canary in canaries {
        println!("{}", heading(&format!("Canary {} ({})", canary.id, canary.about)));
        println!("\n{}\n", excerpt(&canary.prompt, 400));
        println!("{}\n", outputs(findings.samples.iter().filter(|s| s.prompt == canary.id)));
    }
    if let Some(draft) = &findings.draft {
        let place = match draft.part {
            Some(crate::dataset::Part::Validation) => ", held out of training",
            Some(crate::dataset::Part::Train) => ", which the model was trained on",
            None => "",
        };
        println!("{}\n", heading(&format!("One draft, edited: {}{place}", draft.pair)));
        println!("{}", shares(&draft.versions));
        println!("Shares of the draft's sentences; new: of the version's own.\n");
    }
    println!("{}\n\n{}", heading("Runs"), runs(&findings.runs));
    println!("The pocket models have a few million weights: they show that the instrument works, not what a voice is.");
    println!("\nDone in {}. All outputs are in runs/*/outputs/. Next:", duration(seconds));
    println!("  voicetune generate demo-llama --prompt 'The last bus home.'");
    println!("  voicetune encode --config pocket-llama-lora");
    println!("  voicetune check");
}

/// A heading, bold on a terminal.
pub fn heading(text: &str) -> String {
    if style::coloured(std::io::stdout().is_terminal()) { format!("\x1b[1m── {text}\x1b[0m") } else { format!("── {text}") }
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_header(head);
    if table.width().is_none() {
        table.set_width(120);
    }
    table
}

/// A row an output, arm by arm.
fn outputs<'a>(samples: impl Iterator<Item = &'a Sample>) -> Table {
    let mut table = table(&["arm", "seed", "tokens", "output"]);
    for sample in samples {
        let end = if sample.finish == Finish::Stop { " ■" } else { " …" };
        table.add_row(vec![
            Cell::new(&sample.arm),
            Cell::new(sample.seed).set_alignment(CellAlignment::Right),
            Cell::new(sample.ids.len()).set_alignment(CellAlignment::Right),
            Cell::new(excerpt(&sample.text, SHOWN) + if sample.text.chars().count() > SHOWN { "" } else { end }),
        ]);
    }
    table
}

fn shares(versions: &[Version]) -> Table {
    let mut table = table(&["version", "sentences", "kept", "reworded", "moved", "cut", "new"]);
    let percent =
        |share: Option<f64>| Cell::new(share.map_or("–".into(), |s| format!("{:.0} %", s * 100.0))).set_alignment(CellAlignment::Right);
    for version in versions {
        let s = &version.shares;
        let mut row = vec![Cell::new(&version.by), Cell::new(version.sentences).set_alignment(CellAlignment::Right)];
        row.extend([s.kept, s.reworded, s.moved, s.cut, s.new].map(percent));
        table.add_row(row);
    }
    table
}

fn runs(runs: &[Tried]) -> Table {
    let mut table = table(&["run", "model", "method", "pairs", "held-out loss before", "after", "training"]);
    let loss = |loss: Option<f64>| Cell::new(loss.map_or("–".into(), |l| format!("{l:.3}"))).set_alignment(CellAlignment::Right);
    for run in runs {
        table.add_row(vec![
            Cell::new(&run.run),
            Cell::new(&run.model),
            Cell::new(format!("{:?}", run.method).to_lowercase()),
            Cell::new(run.pairs).set_alignment(CellAlignment::Right),
            loss(run.validation_before),
            loss(run.validation_after),
            Cell::new(duration(run.seconds)).set_alignment(CellAlignment::Right),
        ]);
    }
    table
}

/// The beginning of a text on one line, with control and bidirectional characters as visible marks.
fn excerpt(text: &str, length: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(length).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    crate::ui::prose::visible(&short)
}
