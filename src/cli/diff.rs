//! `voicetune diff`: what a revision kept, cut, reworded and moved of a draft, and how far that agrees with the author's own edit.

mod view;

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{Outcome, json, style};
use crate::config::Workspace;
use crate::pairs;
use crate::review::marks::{Asked, Copied, Marks, Trained};
use crate::review::paragraphs::paragraphs;
use crate::review::{Agreement, Alignment, Counts, Document, Ending, Kind, Shares, Span, agreement, align};
use crate::run::Run;
use crate::ui::prose::visible;

/// Show what a revision kept, cut, reworded and moved, sentence by sentence.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Signs: - cut, + new, ~ reworded, > moved; [=copied from a training pair=].

With --json, one row a sentence; sentences that were merged or split are one row, whose spans cover all of them.
Spans count Unicode scalar values, as Python's str does. The agreement's interval is that of kappa (95 %, bootstrap).

Examples:
  voicetune diff draft.md essay.md
  voicetune diff draft.md output.md --author essay.md    with the model's agreement with your own cuts
  voicetune diff draft.md output.md --run all            with what stands, word for word, in the pairs that run was trained on
  voicetune diff draft.md essay.md --paragraphs          which paragraphs went, and how each of the others ends now
  pbpaste | voicetune diff draft.md - --json")]
pub struct Args {
    /// The draft: a UTF-8 text or Markdown file, or - for standard input
    draft: PathBuf,
    /// What became of it
    revision: PathBuf,
    /// The author's own finished text, to score the revision's cuts against
    #[arg(long, value_name = "FINISHED")]
    author: Option<PathBuf>,
    /// Mark what the revision copied: spans of 8 or more words that stand in a pair this run was trained on
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Show paragraphs and their endings in place of sentences; with --json, beside them
    #[arg(long)]
    paragraphs: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Columns to fill [default: the terminal's, or 100]; two columns from 100 on, one below
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(20..=1000))]
    width: Option<u16>,
}

/// Draws the bootstrap's samples. Fixed, so that two people see one interval.
const SEED: u64 = 0;

/// Columns where the output is no terminal.
const PLAIN_WIDTH: usize = 100;

/// `workspace` is asked for with `--run` alone.
pub fn run(args: &Args, workspace: &dyn Fn() -> Result<Workspace>) -> Result<Outcome> {
    let inputs = [Some(&args.draft), Some(&args.revision), args.author.as_ref()];
    if inputs.into_iter().flatten().filter(|path| is_stdin(path)).count() > 1 {
        let message = "standard input can be only one of the texts: give file names for the others\n";
        clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, message).exit();
    }
    let (draft, revision) = (read(&args.draft)?, read(&args.revision)?);
    let author = args.author.as_deref().map(read).transpose()?;
    let agreement = author.map(|author| agreement(&draft, &revision, &author, SEED));
    let marks = args.run.as_deref().map(|run| marks(&workspace()?, run, &draft, &revision)).transpose()?;
    let alignment = align(&draft, &revision);
    let out = if args.json {
        json::line(&Report::new(&alignment, args.paragraphs, agreement, marks))?
    } else {
        let width = args.width.map_or_else(terminal_width, usize::from);
        let coloured = style::coloured(std::io::stdout().is_terminal());
        let page = view::Page::new(width, coloured);
        page.render(&alignment, agreement.as_ref(), marks.as_ref(), [&name(&args.draft), &name(&args.revision)], args.paragraphs)
    };
    print(&out)?;
    Ok(Outcome::Done)
}

/// What `--json` prints. One row a sentence of the draft or the revision; a merge or a split is one row, whose spans cover all its sentences.
#[derive(Serialize)]
struct Report {
    sentences: Vec<ReportRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paragraphs: Option<Vec<ReportParagraph>>,
    shares: Shares,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<Agreement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copied: Option<Vec<Copied>>,
}

#[derive(Serialize)]
struct ReportRow {
    kind: Kind,
    draft: Option<(usize, usize)>,
    revision: Option<(usize, usize)>,
}

#[derive(Serialize)]
struct ReportParagraph {
    kind: Kind,
    draft: Option<(usize, usize)>,
    revision: Option<(usize, usize)>,
    ending: Option<Ending>,
}

impl Report {
    fn new(alignment: &Alignment, by_paragraphs: bool, agreement: Option<Agreement>, marks: Option<Marks>) -> Report {
        let ends = |span: Span| (span.start, span.end);
        let sentences = alignment.rows.iter().map(|row| ReportRow {
            kind: row.kind,
            draft: alignment.draft_span(row).map(ends),
            revision: alignment.revision_span(row).map(ends),
        });
        let of = |document: &Document, paragraph: Option<usize>| paragraph.map(|at| ends(document.paragraphs[at].span));
        let paragraphs = paragraphs(alignment).into_iter().map(|row| ReportParagraph {
            kind: row.kind,
            draft: of(&alignment.draft, row.draft),
            revision: of(&alignment.revision, row.revision),
            ending: row.ending,
        });
        Report {
            sentences: sentences.collect(),
            paragraphs: by_paragraphs.then(|| paragraphs.collect()),
            shares: Counts::of(alignment).shares(),
            agreement,
            copied: marks.map(|marks| marks.copied),
        }
    }
}

/// What the revision copied from the pairs that the run was trained on.
fn marks(workspace: &Workspace, run: &str, draft: &str, revision: &str) -> Result<Marks> {
    let run = Run::find(&workspace.runs(), run)?;
    let (pairs, _) = pairs::load(&workspace.pairs());
    let (trained, gone) = Trained::on(&run.manifest.data.train, &pairs);
    if gone > 0 {
        say!("note: {gone} of the run's training pairs are no longer there; what was copied from them is not found");
    }
    Ok(trained.marks(revision, &Asked::new(draft)))
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { visible(&path.to_string_lossy()) }
}

fn read(path: &Path) -> Result<String> {
    let name = name(path);
    let bytes = if is_stdin(path) {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else if path.is_dir() {
        bail!("{name}: is a folder; name a text or Markdown file in it");
    } else {
        std::fs::read(path)
    };
    let bytes = bytes.with_context(|| format!("{name}: cannot be read; give a text or Markdown file, or - for standard input"))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|&&b| b == b'\n').count() + 1;
        anyhow::anyhow!(
            "{name}, line {line}: not UTF-8; save the file as UTF-8 (for instance: iconv -f WINDOWS-1252 -t UTF-8) and try again"
        )
    })
}

fn terminal_width() -> usize {
    let size = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    size.map_or(PLAIN_WIDTH, |(width, _)| usize::from(width.0).max(20))
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no failure.
fn print(out: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write the result to standard output"),
        _ => Ok(()),
    }
}
