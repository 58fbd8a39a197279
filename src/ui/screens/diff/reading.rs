//! A subject being read: which revision is held against the draft, and where in the text the writer is.

use std::cell::Cell;
use std::ops::Range;

use super::comparison::{Comparison, Level, Side};
use super::layout::{Cache, Layout, Place, side};
use super::tasks::Task;
use crate::review::marks::Copied;
use crate::ui::keys::Action;
use crate::ui::message::{DiffSubject, Effect, Revision};

#[derive(Debug)]
pub struct Reading {
    pub subject: DiffSubject,
    /// The comparison that was asked for last.
    asked: u64,
    pub shown: Option<Shown>,
    /// Whether the writer's finished text is wanted beside the revision.
    pub with_writers_lane: bool,
    /// What stands at the top.
    place: Place,
    /// Sentence by sentence, or paragraph by paragraph.
    pub level: Level,
    /// What is under the cursor.
    pub cursor: Option<Cursor>,
    pub layouts: Cache,
    /// Lines of text on the screen when it was last drawn.
    pub height: Cell<usize>,
}

/// What the writer has walked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    Change(usize),
    /// A copied span, by its place among those that are marked.
    Span(usize),
}

/// What has been compared. It stays on the screen until the next comparison is there.
#[derive(Debug)]
pub struct Shown {
    pub generation: u64,
    /// Which of the subject's revisions.
    pub revision: usize,
    pub comparison: Comparison,
}

impl Reading {
    pub fn new(mut subject: DiffSubject) -> Reading {
        subject.shown = subject.shown.min(subject.revisions.len().saturating_sub(1));
        Reading {
            subject,
            asked: 0,
            shown: None,
            with_writers_lane: false,
            place: Place::default(),
            level: Level::default(),
            cursor: None,
            layouts: Cache::default(),
            height: Cell::new(1),
        }
    }

    /// The task that compares the chosen revision, where there is one.
    pub fn compare(&mut self, generation: u64) -> Option<Task> {
        let Revision { text, marks, .. } = self.subject.revisions.get(self.subject.shown)?;
        self.asked = generation;
        let copied = marks.as_ref().map(|marks| marks.copied_bytes()).unwrap_or_default();
        let (draft, revision, finished) = (self.subject.draft.clone(), text.clone(), self.subject.finished.clone());
        Some(Task::Compare { generation, draft, revision, copied, finished })
    }

    pub fn on_compared(&mut self, generation: u64, comparison: &Comparison) {
        if generation == self.asked {
            self.shown = Some(Shown { generation, revision: self.subject.shown, comparison: comparison.clone() });
            self.cursor = None;
        }
    }

    /// Whether another arm is chosen: the next one, at the same sample where it has that.
    pub fn next_arm(&mut self) -> bool {
        let revisions = &self.subject.revisions;
        let Some(now) = revisions.get(self.subject.shown) else { return false };
        let mut arms: Vec<&str> = vec![];
        for revision in revisions {
            if !arms.contains(&revision.arm.as_str()) {
                arms.push(&revision.arm);
            }
        }
        let at = arms.iter().position(|arm| *arm == now.arm).unwrap_or(0);
        let next = arms[(at + 1) % arms.len()];
        let of_next = || revisions.iter().enumerate().filter(|(_, revision)| revision.arm == next);
        let Some((to, _)) = of_next().find(|(_, revision)| revision.sample == now.sample).or_else(|| of_next().next()) else {
            return false;
        };
        self.choose(to)
    }

    /// Whether another sample of the arm is chosen.
    pub fn step_sample(&mut self, by: isize) -> bool {
        let samples = self.samples(self.subject.shown);
        let at = samples.iter().position(|&i| i == self.subject.shown).unwrap_or(0);
        let to = at.saturating_add_signed(by).min(samples.len().saturating_sub(1));
        samples.get(to).is_some_and(|&to| self.choose(to))
    }

    /// The revisions that are samples of the same arm as this one.
    pub fn samples(&self, of: usize) -> Vec<usize> {
        let revisions = &self.subject.revisions;
        let arm = revisions.get(of).map(|revision| &revision.arm);
        (0..revisions.len()).filter(|&i| Some(&revisions[i].arm) == arm).collect()
    }

    fn choose(&mut self, to: usize) -> bool {
        let changes = to != self.subject.shown;
        self.subject.shown = to;
        changes
    }

    pub fn toggle_writers_lane(&mut self) -> Vec<Effect> {
        if self.subject.finished.is_none() {
            return vec![Effect::warn("there is no finished text of yours for this draft: tier-1 pairs have one")];
        }
        self.with_writers_lane = !self.with_writers_lane;
        self.cursor = None;
        vec![]
    }

    /// To the paragraphs and their endings, or back to the sentences.
    pub fn toggle_level(&mut self) {
        self.level = match self.level {
            Level::Sentences => Level::Paragraphs,
            Level::Paragraphs => Level::Sentences,
        };
        self.cursor = None;
    }

    /// What was copied into the revision that is shown, in its order.
    fn copied(&self) -> Result<Vec<&Copied>, &'static str> {
        let shown = self.shown.as_ref().ok_or("the texts are still being compared")?;
        let marks = self.subject.revisions[shown.revision].marks.as_ref();
        let marks = marks.ok_or("what was copied is marked in an arm's text, once its name is known")?;
        let copied: Vec<&Copied> = marks.copied().collect();
        if copied.is_empty() { Err("nothing in this text was copied from a training pair") } else { Ok(copied) }
    }

    /// To the next span that was copied, after the last to the first.
    pub fn step_span(&mut self, key: &str) -> Vec<Effect> {
        let copied = match self.copied() {
            Ok(copied) => copied,
            Err(why) => return vec![Effect::say(why)],
        };
        let to = match self.cursor {
            Some(Cursor::Span(at)) => (at + 1) % copied.len(),
            _ => 0,
        };
        let said = format!("{} of {}: {}; {key} opens the pair", to + 1, copied.len(), copied[to].source());
        self.level = Level::Sentences;
        self.cursor = Some(Cursor::Span(to));
        if let (Some(layout), Some(shown)) = (self.layouts.last(), &self.shown)
            && let Some(block) = shown.comparison.revision.block_of_span(to)
        {
            self.show(layout.lines_of(block..block + 1), &layout);
        }
        vec![Effect::say(said)]
    }

    /// The pair that the span under the cursor was copied from, or the only one there is.
    pub fn source(&self, key: &str) -> Result<String, String> {
        let copied = self.copied()?;
        match (self.cursor, copied.as_slice()) {
            (Some(Cursor::Span(at)), copied) if at < copied.len() => Ok(copied[at].pair.clone()),
            (_, [only]) => Ok(only.pair.clone()),
            _ => Err(format!("{} spans were copied: {key} goes to the first", copied.len())),
        }
    }

    pub fn scroll(&mut self, action: Action) {
        let page = self.height.get().saturating_sub(2).max(1) as isize;
        match action {
            Action::Up => self.scroll_by(-1),
            Action::Down => self.scroll_by(1),
            Action::PageUp => self.scroll_by(-page),
            Action::PageDown => self.scroll_by(page),
            Action::First => self.scroll_by(isize::MIN / 2),
            Action::Last => self.scroll_by(isize::MAX / 2),
            _ => {}
        }
    }

    pub fn scroll_by(&mut self, lines: isize) {
        if let Some(layout) = self.layouts.last() {
            let top = self.top(&layout).saturating_add_signed(lines);
            self.set_top(top, &layout);
        }
    }

    /// To a share of the whole, from 0 to 1.
    pub fn scroll_to_share(&mut self, share: f64) {
        if let Some(layout) = self.layouts.last() {
            let middle = (share * layout.lines.len() as f64) as usize;
            self.set_top(middle.saturating_sub(self.height.get() / 2), &layout);
        }
    }

    /// The first line on the screen.
    pub fn top(&self, layout: &Layout) -> usize {
        layout.line_of(self.place).min(layout.lines.len().saturating_sub(self.height.get()))
    }

    fn set_top(&mut self, top: usize, layout: &Layout) {
        self.place = layout.place_of(top.min(layout.lines.len().saturating_sub(self.height.get())));
    }

    /// To the next change, or the one before: from the one under the cursor where it is seen, else from the top of the screen.
    pub fn step_change(&mut self, by: isize) -> Vec<Effect> {
        let (Some(layout), Some(shown)) = (self.layouts.last(), &self.shown) else { return vec![] };
        let side = side(&shown.comparison, layout.shape.is_own);
        let count = side.changes(self.level).len();
        if count == 0 {
            return vec![Effect::say("nothing was changed")];
        }
        let top = self.top(&layout);
        let seen = top..top + self.height.get();
        let lines = |change: usize| layout.lines_of(side.range(self.level, change));
        let here = match self.cursor {
            Some(Cursor::Change(change)) if change < count && seen.contains(&lines(change).start) => Some(change),
            _ => None,
        };
        let to = match here {
            Some(at) => at.checked_add_signed(by),
            None if by > 0 => (0..count).find(|&change| lines(change).start >= top),
            None => (0..count).rfind(|&change| lines(change).start < top),
        };
        let Some(to) = to.filter(|&to| to < count) else {
            return vec![Effect::say(if by > 0 { "no change follows" } else { "this is the first change" })];
        };
        let target = lines(to);
        self.cursor = Some(Cursor::Change(to));
        self.show(target, &layout);
        vec![]
    }

    /// Scrolls to these lines, where they are not seen.
    fn show(&mut self, lines: Range<usize>, layout: &Layout) {
        let top = self.top(layout);
        if lines.start < top || lines.end > top + self.height.get() {
            self.set_top(lines.start.saturating_sub(self.height.get() / 3), layout);
        }
    }

    /// The lines of what is under the cursor.
    pub fn cursor_lines(&self, side: &Side, layout: &Layout) -> Option<Range<usize>> {
        match self.cursor? {
            Cursor::Change(change) => {
                let is_there = change < side.changes(self.level).len();
                is_there.then(|| layout.lines_of(side.range(self.level, change)))
            }
            Cursor::Span(span) => side.block_of_span(span).filter(|_| self.level == Level::Sentences).map(|at| layout.lines_of(at..at + 1)),
        }
    }
}
