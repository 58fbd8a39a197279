//! A piece as paragraphs and sentences, each with its place in the text.
//!
//! A paragraph ends at a blank line; a heading is a paragraph of its own. Sentences follow the Unicode rules (UAX #29) with corrections
//! for abbreviations, dialogue and ellipses. Text between sentences (white space, list and heading marks, rules such as `***`)
//! belongs to none. Markdown emphasis stays inside its sentence.

mod abbreviations;
mod blocks;
mod sentences;

use std::ops::Range;

/// A stretch of text. `start..end` counts Unicode scalar values, as Python's `str` does; `bytes` is the same stretch in UTF-8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Span {
    pub start: usize,
    pub end: usize,
    #[serde(skip)]
    pub bytes: (usize, usize),
}

impl Span {
    /// The text it covers.
    pub fn of(self, text: &str) -> &str {
        &text[self.bytes.0..self.bytes.1]
    }

    /// From the start of this one to the end of a later one.
    pub fn through(self, later: Span) -> Span {
        Span { start: self.start, end: later.end, bytes: (self.bytes.0, later.bytes.1) }
    }
}

/// A sentence, and which paragraph holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sentence {
    pub span: Span,
    pub paragraph: usize,
}

/// What a paragraph is. Headings are aligned like any sentence, but end nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParagraphKind {
    Prose,
    Heading,
}

/// A paragraph: at least one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph {
    pub kind: ParagraphKind,
    /// From its first sentence to the end of its last.
    pub span: Span,
    /// Which of the document's sentences are its own.
    pub sentences: Range<usize>,
}

/// A text, cut up.
#[derive(Debug, Clone)]
pub struct Document<'t> {
    pub text: &'t str,
    pub paragraphs: Vec<Paragraph>,
    pub sentences: Vec<Sentence>,
}

impl<'t> Document<'t> {
    /// Cuts `text` into paragraphs and sentences. Any text is fine; one without a sentence gives none.
    pub fn new(text: &'t str) -> Document<'t> {
        let mut document = Document { text, paragraphs: Vec::new(), sentences: Vec::new() };
        let mut ruler = Ruler::new(text);
        for block in blocks::blocks(text) {
            let first = document.sentences.len();
            let paragraph = document.paragraphs.len();
            for unit in &block.units {
                let pieces = match block.kind {
                    ParagraphKind::Heading => vec![unit.range()],
                    ParagraphKind::Prose => sentences::sentences(&unit.prose(text)).into_iter().map(|r| unit.shift(r)).collect(),
                };
                document.sentences.extend(pieces.into_iter().map(|r| Sentence { span: ruler.span(r), paragraph }));
            }
            let sentences = first..document.sentences.len();
            if let (Some(a), Some(b)) = (document.sentences.get(first), document.sentences[first..].last()) {
                let span = a.span.through(b.span);
                document.paragraphs.push(Paragraph { kind: block.kind, span, sentences });
            }
        }
        document
    }

    /// The text of sentence `index`.
    pub fn sentence(&self, index: usize) -> &'t str {
        self.sentences[index].span.of(self.text)
    }

    /// The span of a run of neighbouring sentences; `None` for an empty run.
    pub fn span(&self, sentences: &Range<usize>) -> Option<Span> {
        let run = self.sentences.get(sentences.clone())?;
        Some(run.first()?.span.through(run.last()?.span))
    }

    /// Whether this sentence is the last of a paragraph of prose.
    pub fn ends_paragraph(&self, sentence: usize) -> bool {
        let paragraph = &self.paragraphs[self.sentences[sentence].paragraph];
        paragraph.kind == ParagraphKind::Prose && paragraph.sentences.end == sentence + 1
    }
}

/// Counts scalar values along the text, so that spans in order cost one pass.
pub(super) struct Ruler<'t> {
    text: &'t str,
    byte: usize,
    scalar: usize,
}

impl<'t> Ruler<'t> {
    pub(super) fn new(text: &'t str) -> Ruler<'t> {
        Ruler { text, byte: 0, scalar: 0 }
    }

    /// The span of a range of bytes that begins no earlier than the last one ended.
    pub(super) fn span(&mut self, bytes: Range<usize>) -> Span {
        let start = self.advance(bytes.start);
        let end = self.advance(bytes.end);
        Span { start, end, bytes: (bytes.start, bytes.end) }
    }

    fn advance(&mut self, to: usize) -> usize {
        self.scalar += self.text[self.byte..to].chars().count();
        self.byte = to;
        self.scalar
    }
}
