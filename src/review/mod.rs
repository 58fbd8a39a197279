//! What changed between a draft and a revision, sentence by sentence.
//!
//! [`text`] cuts a piece into paragraphs and sentences; [`align`] says what became of each sentence; [`words`] looks inside the
//! reworded ones; [`paragraphs`] reads paragraphs and their endings off the alignment; [`shares`] and [`agreement`] turn it into numbers.
//! Everything here is a pure function of the texts (and, for the intervals, of a seed).

pub mod agreement;
pub mod align;
pub mod paragraphs;
pub mod shares;
pub mod text;
pub mod words;

pub use agreement::{Agreement, Scores, agreement};
pub use align::{Alignment, Kind, Row, align};
pub use paragraphs::{Ending, ParagraphRow};
pub use shares::{Counts, Shares};
pub use text::{Document, Span};
pub use words::Segment;
