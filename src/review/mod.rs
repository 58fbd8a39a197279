//! What changed between a draft and a revision, sentence by sentence; and which arm a reader prefers who does not know them.
//!
//! [`text`] cuts a piece into paragraphs and sentences; [`align`] says what became of each sentence; [`words`] looks inside the
//! reworded ones; [`paragraphs`] reads paragraphs and their endings off the alignment; [`shares`] and [`agreement`] turn it into numbers.
//! [`lanes`] lays an alignment out for reading, [`outline`] its paragraphs and their endings, [`head`] puts its numbers in words. [`voice`] measures a text against the writer's own
//! pieces; [`verbatim`] finds what it copied from them, [`facts`] what it invented, and [`marks`] lays both over the text. [`surprisal`]
//! says how likely a model finds it.
//! These are pure functions of the texts (and, for the intervals, of a seed).
//!
//! [`blind`] hides the arms of a prompt behind panes; [`verdict`] records what was decided, in `verdicts.jsonl`, the one file that is
//! written here; [`tally`] counts it; [`canary_verdict`] says in words
//! what the canaries show, [`canary_sheet`] with what was read of each.

pub mod agreement;
pub mod align;
pub mod blind;
pub mod canary_sheet;
pub mod canary_verdict;
mod draw;
pub mod edits;
pub mod facts;
pub mod head;
pub mod hidden;
pub mod lanes;
pub mod marks;
pub mod outline;
pub mod paragraphs;
pub mod report;
pub mod shares;
pub mod surprisal;
pub mod tally;
pub mod text;
pub mod verbatim;
pub mod verdict;
pub mod voice;
pub mod words;

pub use agreement::{Agreement, Scores, agreement};
pub use align::{Alignment, Kind, Row, align};
pub use paragraphs::{Ending, ParagraphRow};
pub use shares::{Counts, Shares};
pub use text::{Document, Span};
pub use words::Segment;
