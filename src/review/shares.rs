//! How much of a draft was kept, cut, reworded and moved, and how much of the revision is new.

use super::align::{Alignment, Kind};

/// Sentences by what became of them. All but `new` count the draft's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub kept: usize,
    pub cut: usize,
    pub reworded: usize,
    pub moved: usize,
    /// Sentences of the revision that nothing in the draft became.
    pub new: usize,
    pub draft: usize,
    pub revision: usize,
}

/// The same as shares. `kept`, `cut`, `reworded` and `moved` are of the draft's sentences and sum to 1; `new` is of the revision's. `None` (null in
/// JSON) where there is no sentence to count.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Shares {
    pub kept: Option<f64>,
    pub cut: Option<f64>,
    pub reworded: Option<f64>,
    pub moved: Option<f64>,
    pub new: Option<f64>,
}

impl Counts {
    pub fn of(alignment: &Alignment) -> Counts {
        let mut counts =
            Counts { draft: alignment.draft.sentences.len(), revision: alignment.revision.sentences.len(), ..Counts::default() };
        for row in &alignment.rows {
            let of_draft = row.draft.as_ref().map_or(0, |run| run.len());
            match row.kind {
                Kind::Kept => counts.kept += of_draft,
                Kind::Reworded => counts.reworded += of_draft,
                Kind::Cut => counts.cut += of_draft,
                Kind::Moved => counts.moved += of_draft,
                Kind::New => counts.new += row.revision.as_ref().map_or(0, |run| run.len()),
            }
        }
        counts
    }

    pub fn shares(self) -> Shares {
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        Shares {
            kept: share(self.kept, self.draft),
            cut: share(self.cut, self.draft),
            reworded: share(self.reworded, self.draft),
            moved: share(self.moved, self.draft),
            new: share(self.new, self.revision),
        }
    }
}
