//! The writer's own drafts: what she kept, cut and reworded of each, as a list to choose from.

use std::collections::{HashMap, VecDeque};

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::tasks::{Edit, Listed, Task};
use crate::pairs::Status;
use crate::review::{Counts, Ending};
use crate::ui::keys::{Action, Context};
use crate::ui::message::Effect;
use crate::ui::prose::{fitted, visible, width, wrap};
use crate::ui::screen::Shared;
use crate::ui::widgets::{move_cursor, pane, window};

/// Columns of a share; on a narrow screen, where a draft takes two rows.
const SHARE: usize = 7;
const NARROW_SHARE: usize = 6;
/// Fewer columns than this are not enough for a name beside the shares.
const SHORTEST_NAME: usize = 12;
const LONGEST_NAME: usize = 48;
/// Lines above the list: what it is, an empty one, the columns' names.
const HEAD: u16 = 3;

#[derive(Debug, Default)]
pub struct Drafts {
    listed: Option<Vec<Listed>>,
    edits: HashMap<String, Edit>,
    cursor: usize,
    is_listing: bool,
    /// Drafts that are still to be measured; the first is under way.
    to_measure: VecDeque<String>,
}

impl Drafts {
    /// Looks for the pairs on disk again.
    pub fn list(&mut self) -> Vec<Effect> {
        if std::mem::replace(&mut self.is_listing, true) { vec![] } else { vec![Effect::task(Task::List)] }
    }

    pub fn on_listed(&mut self, listed: &[Listed]) -> Vec<Effect> {
        self.is_listing = false;
        let was = self.chosen().map(|chosen| chosen.id.clone());
        self.listed = Some(listed.to_vec());
        self.cursor =
            listed.iter().position(|one| Some(&one.id) == was.as_ref()).unwrap_or(self.cursor).min(listed.len().saturating_sub(1));
        let is_measuring = !self.to_measure.is_empty();
        self.to_measure.truncate(1);
        self.to_measure.extend(listed.iter().map(|one| one.id.clone()));
        if is_measuring { vec![] } else { self.measure() }
    }

    pub fn on_measured(&mut self, id: &str, edit: Option<Edit>) -> Vec<Effect> {
        self.to_measure.pop_front();
        match edit {
            Some(edit) => self.edits.insert(id.to_owned(), edit),
            None => self.edits.remove(id),
        };
        self.measure()
    }

    /// One draft at a time, so that others' work is not kept waiting.
    fn measure(&self) -> Vec<Effect> {
        self.to_measure.front().map(|id| Effect::task(Task::Measure(id.clone()))).into_iter().collect()
    }

    pub fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Accept => return self.open(),
            Action::Reload => return self.list(),
            _ => {}
        }
        if let Some(to) = move_cursor(self.cursor, self.len(), 10, action) {
            self.cursor = to;
        }
        vec![]
    }

    pub fn scroll(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by).min(self.len().saturating_sub(1));
    }

    /// The row that is clicked; clicked again, it is opened.
    pub fn click(&mut self, area: Rect, row: u16) -> Vec<Effect> {
        let inner = Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: area.height.saturating_sub(1) };
        let [_, list, _] = areas(inner);
        let Some(at) = row.checked_sub(list.y).filter(|&at| at < list.height) else { return vec![] };
        let rows = Columns::of(list.width as usize, self.listed.as_deref().unwrap_or_default()).rows();
        let to = window(self.cursor, self.len(), list.height as usize / rows).start + at as usize / rows;
        if to == self.cursor {
            return self.open();
        }
        if to < self.len() {
            self.cursor = to;
        }
        vec![]
    }

    fn open(&self) -> Vec<Effect> {
        self.chosen().map(|chosen| Effect::task(Task::Open(chosen.id.clone()))).into_iter().collect()
    }

    fn chosen(&self) -> Option<&Listed> {
        self.listed.as_ref()?.get(self.cursor)
    }

    fn len(&self) -> usize {
        self.listed.as_ref().map_or(0, Vec::len)
    }

    pub fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared) {
        let theme = &shared.theme;
        let count = match self.listed.as_deref() {
            None | Some([]) => String::new(),
            Some([_]) => "1 draft".into(),
            Some(drafts) => format!("{} drafts", drafts.len()),
        };
        let inner = pane(frame, area, theme, "Your drafts and what you made of them", &count, true);
        let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
        let Some(listed) = &self.listed else { return };
        let key = |context, action| shared.keymap.key_for(context, action).map_or("the palette".into(), |key| format!("`{key}`"));
        if listed.is_empty() {
            let text = format!(
                "A comparison needs a draft and what became of it.\n\nThere is no pair of tier 1 (a rough draft and its finished essay) yet: \
                 make one on the Pairs screen ({}), and your own cuts are shown here.\n\nTo see what a model does with a draft, open an answer in \
                 Review ({}) and press {}.",
                key(Context::Global, Action::ShowPairs),
                key(Context::Global, Action::ShowReview),
                key(Context::Review, Action::OpenDiff)
            );
            frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), Rect { width: inner.width.min(90), ..inner });
            return;
        }
        let [head, list, foot] = areas(inner);
        let columns = Columns::of(inner.width as usize, listed);
        let hint = format!(
            "A model's cuts are compared from Review ({}, then {}).",
            key(Context::Global, Action::ShowReview),
            key(Context::Review, Action::OpenDiff)
        );
        // On a narrow screen the hint takes the empty line too.
        let hint =
            wrap(&[((), &hint)], inner.width as usize).into_iter().map(|line| line.into_iter().map(|(_, text)| text).collect::<String>());
        let mut lines: Vec<Line> = hint.take(2).map(|line| Line::styled(line, theme.faint)).collect();
        lines.resize(2, Line::raw(""));
        lines.push(Line::styled(columns.titles(), theme.faint));
        frame.render_widget(Paragraph::new(lines), head);
        let range = window(self.cursor, listed.len(), list.height as usize / columns.rows());
        let rows = range.flat_map(|i| {
            let one = &listed[i];
            let style = if i == self.cursor { theme.cursor } else { theme.text };
            let mark = if i == self.cursor { "› " } else { "  " };
            let row = |(at, text): (usize, String)| {
                let pad = (list.width as usize).saturating_sub(2 + width(&text));
                let mark = if at == 0 { mark } else { "  " };
                Line::from(vec![Span::raw(mark), Span::raw(text), Span::raw(" ".repeat(pad))]).style(style)
            };
            columns.row(one, self.edits.get(&one.id)).into_iter().enumerate().map(row).collect::<Vec<_>>()
        });
        frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), list);
        if let Some(all) = self.together(listed) {
            let sums = columns.sums("all of them", all);
            let gap = usize::from(foot.height).saturating_sub(sums.len());
            let mut lines = vec![Line::raw(""); gap];
            lines.extend(sums.into_iter().map(|text| Line::styled(format!("  {text}"), theme.title)));
            frame.render_widget(Paragraph::new(lines), foot);
        }
    }

    /// The counts of all drafts, once all are there.
    fn together(&self, listed: &[Listed]) -> Option<Counts> {
        let mut all = Counts::default();
        for one in listed {
            let Counts { kept, cut, reworded, moved, new, draft, revision } = self.edits.get(&one.id)?.counts;
            all.kept += kept;
            all.cut += cut;
            all.reworded += reworded;
            all.moved += moved;
            all.new += new;
            all.draft += draft;
            all.revision += revision;
        }
        Some(all)
    }
}

/// What stands above the list, the list, the sums below.
fn areas(area: Rect) -> [Rect; 3] {
    Layout::vertical([Constraint::Length(HEAD), Constraint::Fill(1), Constraint::Length(2)]).areas(area)
}

/// Which columns there is room for. The shares go together; the others go first, and then the shares go below the name.
struct Columns {
    name: usize,
    share: usize,
    with_sentences: bool,
    with_ending: bool,
    is_stacked: bool,
}

impl Columns {
    const SENTENCES: usize = 13;
    const ENDING: usize = 17;
    const TITLES: [&str; 5] = ["kept", "- cut", "~ rew.", "> mov.", "+ new"];
    const NARROW_TITLES: [&str; 5] = ["kept", "-cut", "~rew", ">mov", "+new"];

    fn of(columns: usize, listed: &[Listed]) -> Columns {
        let longest = listed.iter().map(|one| width(&visible(name(one)))).max().unwrap_or(0).clamp(12, LONGEST_NAME);
        let room = columns.saturating_sub(2 + 5 * SHARE);
        if room < SHORTEST_NAME {
            let name = columns.saturating_sub(2);
            return Columns { name, share: NARROW_SHARE, with_sentences: false, with_ending: false, is_stacked: true };
        }
        let with_sentences = room >= longest.min(20) + Self::SENTENCES;
        let with_ending = room >= longest.min(20) + Self::SENTENCES + Self::ENDING;
        let others = if with_sentences { Self::SENTENCES } else { 0 } + if with_ending { Self::ENDING } else { 0 };
        let name = longest.min(room.saturating_sub(others)).max(4);
        Columns { name, share: SHARE, with_sentences, with_ending, is_stacked: false }
    }

    /// Of one draft.
    fn rows(&self) -> usize {
        if self.is_stacked { 2 } else { 1 }
    }

    fn titles(&self) -> String {
        let share = self.share;
        if self.is_stacked {
            return format!("  {}", Self::NARROW_TITLES.map(|title| format!("{title:>share$}")).concat());
        }
        let sentences = if self.with_sentences { format!("{:>w$}", "sentences", w = Self::SENTENCES) } else { String::new() };
        let ending = if self.with_ending { "   last sentence" } else { "" };
        let shares: String = Self::TITLES.map(|title| format!("{title:>share$}")).concat();
        format!("  {:<name$}{sentences}{shares}{ending}", "draft", name = self.name)
    }

    fn row(&self, one: &Listed, edit: Option<&Edit>) -> Vec<String> {
        let Some(edit) = edit else {
            let mut rows = vec![fitted(&visible(name(one)), self.name)];
            rows.resize(self.rows(), String::new());
            return rows;
        };
        let ending = match edit.ending.filter(|_| self.with_ending) {
            None => "",
            Some(Ending::Kept) => "   kept",
            Some(Ending::Sharpened) => "   sharpened",
            Some(Ending::Cut) => "   cut",
            Some(Ending::New) => "   new",
        };
        let status = if one.status == Status::Draft && self.with_ending && ending.is_empty() { "   not ready" } else { "" };
        let mut rows = self.sums(name(one), edit.counts);
        if let Some(first) = rows.first_mut() {
            *first += ending;
            *first += status;
        }
        rows
    }

    fn sums(&self, name: &str, counts: Counts) -> Vec<String> {
        let (shares, columns) = (counts.shares(), self.share);
        let percent = |share: Option<f64>| match (share, self.is_stacked) {
            (None, _) => "-".to_owned(),
            (Some(share), true) => format!("{:.0}%", 100.0 * share),
            (Some(share), false) => format!("{:.0} %", 100.0 * share),
        };
        let shares: String = [shares.kept, shares.cut, shares.reworded, shares.moved, shares.new]
            .map(|share| format!("{:>columns$}", percent(share)))
            .concat();
        let sentences = match self.with_sentences {
            true => format!("{:>w$}", format!("{} → {}", counts.draft, counts.revision), w = Self::SENTENCES),
            false => String::new(),
        };
        let name = fitted(&visible(name), self.name);
        if self.is_stacked { vec![name, shares] } else { vec![format!("{name}{sentences}{shares}")] }
    }
}

/// Without the tier's folder, which is the same for all.
fn name(one: &Listed) -> &str {
    one.id.split_once('/').map_or(&one.id, |(_, name)| name)
}
