//! Which pairs the list shows, in which order, and which of them is under the cursor.

use nucleo_matcher::pattern::{Atom, AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::entry::{Entry, name_of};
use super::library::Library;
use crate::pairs::{Level, Status, Tier};
use crate::ui::widgets::LineInput;

#[derive(Debug)]
pub struct List {
    tier: Tier,
    sort: Sort,
    pub filter: LineInput,
    rows: Vec<Row>,
    cursor: usize,
    /// Rows of each tier that the filter lets through.
    hits: [usize; 4],
    /// Where the cursor was in each tier.
    before: [Option<String>; 4],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// By position among the library's entries.
    Pair(usize),
    /// By position among its broken files.
    Broken(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    #[default]
    Name,
    Source,
    Length,
    Status,
    Problems,
}

impl Sort {
    pub fn word(self) -> &'static str {
        match self {
            Sort::Name => "name",
            Sort::Source => "source",
            Sort::Length => "length",
            Sort::Status => "status",
            Sort::Problems => "problems",
        }
    }

    fn next(self) -> Sort {
        match self {
            Sort::Name => Sort::Source,
            Sort::Source => Sort::Length,
            Sort::Length => Sort::Status,
            Sort::Status => Sort::Problems,
            Sort::Problems => Sort::Name,
        }
    }
}

impl Default for List {
    fn default() -> Self {
        List {
            tier: Tier::Draft,
            sort: Sort::Name,
            filter: LineInput::default(),
            rows: vec![],
            cursor: 0,
            hits: [0; 4],
            before: Default::default(),
        }
    }
}

impl List {
    pub fn tier(&self) -> Tier {
        self.tier
    }

    pub fn sort(&self) -> Sort {
        self.sort
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn row(&self) -> Option<Row> {
        self.rows.get(self.cursor).copied()
    }

    pub fn hits(&self, tier: Tier) -> usize {
        self.hits[index(tier)]
    }

    pub fn is_filtered(&self) -> bool {
        !self.filter.text().trim().is_empty()
    }

    /// The id of the row under the cursor.
    pub fn id<'l>(&self, library: &'l Library) -> Option<&'l str> {
        match self.row()? {
            Row::Pair(i) => library.entries.get(i).map(Entry::id),
            Row::Broken(i) => library.broken().get(i).map(|broken| broken.id.as_str()),
        }
    }

    pub fn go_to(&mut self, cursor: usize) {
        self.cursor = cursor.min(self.rows.len().saturating_sub(1));
    }

    pub fn cycle_sort(&mut self, library: &Library) {
        self.sort = self.sort.next();
        let id = self.id(library).map(str::to_owned);
        self.refresh(library, id.as_deref());
    }

    pub fn show_tier(&mut self, tier: Tier, library: &Library) {
        self.before[index(self.tier)] = self.id(library).map(str::to_owned);
        self.tier = tier;
        let id = self.before[index(tier)].clone();
        self.cursor = 0;
        self.refresh(library, id.as_deref());
    }

    /// Shows a pair, whatever is filtered.
    pub fn show(&mut self, id: &str, library: &Library) {
        let tier = Tier::ALL.into_iter().find(|tier| id.starts_with(&format!("{}/", tier.folder())));
        self.tier = tier.unwrap_or(self.tier);
        self.refresh(library, Some(id));
        if self.id(library) != Some(id) && self.is_filtered() {
            self.filter = LineInput::default();
            self.refresh(library, Some(id));
        }
    }

    /// Finds the rows anew, with the cursor on `id` where that is still among them.
    pub fn refresh(&mut self, library: &Library, id: Option<&str>) {
        let mut filter = Filter::new(self.filter.text());
        self.hits = [0; 4];
        let mut found: Vec<(u32, Row)> = vec![];
        let pairs = library.entries.iter().enumerate();
        let pairs = pairs.map(|(i, entry)| (Row::Pair(i), entry.pair().tier, entry.id(), &*entry.pair().source, entry.beginning()));
        let broken = library.broken().iter().enumerate().map(|(i, broken)| (Row::Broken(i), broken.tier, &*broken.id, "", ""));
        for (row, tier, id, source, beginning) in pairs.chain(broken) {
            let Some(score) = filter.score(id, source, beginning) else { continue };
            self.hits[index(tier)] += 1;
            if tier == self.tier {
                found.push((score, row));
            }
        }
        self.order(&mut found, library);
        self.rows = found.into_iter().map(|(_, row)| row).collect();
        let at = id.and_then(|id| self.rows.iter().position(|row| id_of(*row, library) == id));
        self.go_to(at.unwrap_or(self.cursor));
    }

    /// The best match first; within that by what the writer has chosen, and by name at last.
    fn order(&self, found: &mut [(u32, Row)], library: &Library) {
        let entry = |row: Row| match row {
            Row::Pair(i) => library.entries.get(i),
            Row::Broken(_) => None,
        };
        let status = |row: Row| match entry(row).map(|entry| entry.pair().status) {
            None => 0,
            Some(Status::Draft) => 1,
            Some(Status::Ready) => 2,
            Some(Status::Discarded) => 3,
        };
        let problem = |row: Row| match library.level(id_of(row, library)) {
            Some(Level::Error) => 0,
            Some(_) => 1,
            None => 2,
        };
        found.sort_by(|(a_score, a), (b_score, b)| {
            let source = |row: Row| entry(row).map_or("", |entry| &entry.pair().source);
            let words = |row: Row| std::cmp::Reverse(entry(row).map_or(0, Entry::words));
            let chosen = match self.sort {
                Sort::Name => std::cmp::Ordering::Equal,
                Sort::Source => source(*a).cmp(source(*b)),
                Sort::Length => words(*a).cmp(&words(*b)),
                Sort::Status => status(*a).cmp(&status(*b)),
                Sort::Problems => problem(*a).cmp(&problem(*b)),
            };
            b_score.cmp(a_score).then(chosen).then_with(|| name_of(id_of(*a, library)).cmp(name_of(id_of(*b, library))))
        });
    }
}

fn index(tier: Tier) -> usize {
    usize::from(u8::from(tier)) - 1
}

fn id_of(row: Row, library: &Library) -> &str {
    match row {
        Row::Pair(i) => library.entries.get(i).map_or("", Entry::id),
        Row::Broken(i) => library.broken().get(i).map_or("", |broken| &broken.id),
    }
}

/// Names and sources match fuzzily. In prose that would hit almost anything: there the words must stand as they are typed.
struct Filter {
    pattern: Option<(Pattern, Vec<Atom>)>,
    matcher: Matcher,
    buffer: Vec<char>,
}

impl Filter {
    fn new(wanted: &str) -> Filter {
        let wanted = wanted.trim();
        let words = || {
            wanted.split_whitespace().map(|word| Atom::new(word, CaseMatching::Ignore, Normalization::Smart, AtomKind::Substring, false))
        };
        let pattern = || (Pattern::new(wanted, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy), words().collect());
        Filter { pattern: (!wanted.is_empty()).then(pattern), matcher: Matcher::new(Config::DEFAULT), buffer: vec![] }
    }

    fn score(&mut self, id: &str, source: &str, beginning: &str) -> Option<u32> {
        let Some((pattern, words)) = &self.pattern else { return Some(0) };
        let of_name = pattern.score(Utf32Str::new(id, &mut self.buffer), &mut self.matcher).map(|score| 2 * score);
        let of_source = pattern.score(Utf32Str::new(source, &mut self.buffer), &mut self.matcher);
        if of_name.is_some() || of_source.is_some() {
            return of_name.max(of_source);
        }
        let text = Utf32Str::new(beginning, &mut self.buffer);
        words.iter().all(|word| word.score(text, &mut self.matcher).is_some()).then_some(1)
    }
}
