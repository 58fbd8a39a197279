//! The pane on the screen: which rows are visible, and the text, what lies over it and the caret drawn into a buffer.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;

use super::layout::{Cell, Layout, Row, Spot, cells};
use super::marks::{Decoration, Kind, Look, Rule};
use super::steps::blank;
use super::text::{Place, Text};
use crate::ui::prose::{glyph, visible};

/// What of the text is on the screen, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scroll {
    pub first: usize,
    pub visible: usize,
    pub rows: usize,
}

#[derive(Debug, Default)]
pub struct View {
    pub layout: Layout,
    pub area: Rect,
    /// The first visible row.
    pub top: usize,
    /// The caret was moved: the next drawing shows it.
    pub follows: bool,
    pub caret: Option<Position>,
    /// The caret was among the rows drawn last, focused or not.
    saw_caret: bool,
}

/// What is drawn.
pub struct Scene<'a> {
    pub text: &'a Text,
    pub caret: Spot,
    pub selection: Option<Range<Place>>,
    pub decorations: &'a [Decoration],
    pub rule: Option<&'a Rule>,
    pub hits: &'a [Range<Place>],
}

impl View {
    /// Lays the text out for an area. The row on top stays there when the width changes.
    pub fn fit(&mut self, text: &Text, area: Rect) {
        // The last column is kept free for the caret.
        let width = usize::from(area.width).saturating_sub(1).max(1);
        let resized = self.layout.width() != width && self.layout.rows() > 0;
        let on_top = self.layout.row_start(self.top);
        self.layout.update(text.lines(), width);
        // A pane that shrinks keeps the caret that it showed.
        self.follows |= self.saw_caret && self.area.as_size() != area.as_size();
        self.area = area;
        if resized {
            self.top = self.layout.row_of(on_top);
        }
        self.scroll(0);
    }

    /// Lays the text out as it was drawn last.
    pub fn refit(&mut self, text: &Text) {
        self.layout.update(text.lines(), self.layout.width());
    }

    pub fn scroll(&mut self, rows: isize) {
        let most = self.layout.rows().saturating_sub(usize::from(self.area.height).max(1));
        self.top = self.top.saturating_add_signed(rows).min(most);
    }

    pub fn state(&self) -> Scroll {
        Scroll { first: self.top, visible: usize::from(self.area.height), rows: self.layout.rows() }
    }

    /// The spot under a position of the screen. Above and below the pane are the rows next to it.
    pub fn spot_at(&self, position: Position) -> Spot {
        let down = i32::from(position.y) - i32::from(self.area.y);
        let down = down.clamp(-1, i32::from(self.area.height)) as isize;
        match self.top.checked_add_signed(down) {
            Some(row) if row < self.layout.rows() => self.layout.spot(row, usize::from(position.x.saturating_sub(self.area.x))),
            Some(_) => self.layout.spot(usize::MAX, usize::MAX),
            None => self.layout.row_start(0),
        }
    }

    pub fn draw(&mut self, scene: &Scene, area: Rect, buffer: &mut Buffer, look: &Look, focused: bool) {
        let area = area.intersection(buffer.area);
        self.fit(scene.text, area);
        self.caret = None;
        if area.is_empty() {
            return;
        }
        let caret_row = self.layout.row_of(scene.caret);
        if std::mem::take(&mut self.follows) {
            self.top = self.top.clamp((caret_row + 1).saturating_sub(usize::from(area.height)), caret_row);
        }
        self.saw_caret = (self.top..self.top + usize::from(area.height)).contains(&caret_row);
        for position in area.positions() {
            buffer[position].reset();
        }
        buffer.set_style(area, look.text);

        let mut offset = scene.text.offset(self.layout.row_start(self.top).place);
        for (y, index) in (area.top()..area.bottom()).zip(self.top..self.layout.rows()) {
            let row = self.layout.row(index);
            let line = Rect { y, height: 1, ..area };
            offset = draw_row(scene, row, offset, line, buffer, look);
            if index == caret_row && focused {
                let column = self.layout.column(row, scene.caret.place).min(usize::from(area.width) - 1);
                self.caret = Some(Position { x: area.x + column as u16, y });
            }
        }
        if let Some(rule) = scene.rule {
            self.draw_rule(scene.text, rule, buffer, look.rule);
        }
    }

    fn draw_rule(&self, text: &Text, rule: &Rule, buffer: &mut Buffer, style: Style) {
        let place = text.place(rule.at);
        let is_blank = |line: usize| text.lines().get(line).is_some_and(|line| blank(line));
        // A cut stands at the end of a paragraph, or at the start of the next.
        let above = place.line.checked_sub(1).filter(|_| place.byte == 0);
        let between = [Some(place.line), Some(place.line + 1), above].into_iter().flatten().find(|line| is_blank(*line));
        let place = between.map_or(place, |line| Place { line, byte: 0 });
        let index = self.layout.row_of(Spot { place, at_row_end: true });
        let Some(y) = index.checked_sub(self.top).and_then(|y| u16::try_from(y).ok()).filter(|y| *y < self.area.height) else { return };
        let line = Rect { y: self.area.y + y, height: 1, ..self.area };
        let label = visible(&rule.label);
        if between.is_some() {
            put(buffer, line, &ruled(&label, usize::from(line.width)), style);
            return;
        }
        let row = self.layout.row(index);
        let used = self.layout.column(row, self.layout.row_end(index).place);
        let marker = format!("╌╌ {label} ╌╌");
        let width: usize = marker.graphemes(true).map(|cluster| glyph(cluster, 0).width).sum();
        let (marker, width) = if used + 2 + width <= usize::from(line.width) { (marker.as_str(), width as u16) } else { ("╌", 1) };
        put(buffer, Rect { x: line.right() - width, width, ..line }, marker, style);
    }
}

/// A line across `width` columns with the label near its left end.
fn ruled(label: &str, width: usize) -> String {
    let mut out = format!("╌╌ {label} ");
    let used: usize = out.graphemes(true).map(|cluster| glyph(cluster, 0).width).sum();
    out.extend(std::iter::repeat_n('╌', width.saturating_sub(used)));
    out
}

/// Draws one row and gives the offset of the next; `offset` is that of its first character.
fn draw_row(scene: &Scene, row: Row, mut offset: usize, area: Rect, buffer: &mut Buffer, look: &Look) -> usize {
    let shown = &scene.text.line(row.line)[row.start..row.end];
    let place = |byte: usize| Place { line: row.line, byte: row.start + byte };
    let next = offset + shown.chars().count() + usize::from(row.last);
    let over: Vec<&Decoration> = scene.decorations.iter().filter(|d| d.range.start < next && offset < d.range.end).collect();
    let first_hit = scene.hits.partition_point(|hit| hit.end <= place(0));
    let hits: Vec<_> = scene.hits[first_hit..].iter().take_while(|hit| hit.start < place(shown.len())).collect();
    let selected = |place: &Place| scene.selection.as_ref().is_some_and(|selection| selection.contains(place));
    let mut width = 0;
    for cell in cells(shown) {
        let at = place(cell.start);
        let mut style = if cell.glyph.mark { look.mark } else { Style::new() };
        for kind in [Kind::Context, Kind::CutOff, Kind::Problem] {
            if over.iter().any(|d| d.kind == kind && d.range.contains(&offset)) {
                style = style.patch(look.of(kind));
            }
        }
        if hits.iter().any(|hit| hit.contains(&at)) {
            style = style.patch(look.found);
        }
        if selected(&at) {
            style = style.patch(look.selection);
        }
        draw_cell(&cell, area, buffer, style);
        offset += cell.cluster.chars().count();
        width = cell.column + cell.glyph.width;
    }
    if row.last && width < usize::from(area.width) && row.line + 1 < scene.text.lines().len() && selected(&place(shown.len())) {
        buffer.set_style(Rect { x: area.x + width as u16, width: 1, ..area }, look.selection);
    }
    next
}

fn draw_cell(cell: &Cell, area: Rect, buffer: &mut Buffer, style: Style) {
    let Some(left) = usize::from(area.width).checked_sub(cell.column).filter(|left| *left > 0) else { return };
    let at = Rect { x: area.x + cell.column as u16, width: cell.glyph.width.min(left) as u16, ..area };
    buffer.set_style(at, style);
    let whole = cell.glyph.width <= left;
    put(buffer, at, if whole || cell.glyph.mark || cell.glyph.text.trim().is_empty() { &cell.glyph.text } else { "…" }, style);
}

/// Writes into one line, as far as there is room.
fn put(buffer: &mut Buffer, line: Rect, text: &str, style: Style) {
    // The cells behind a wide character are reset with it, and would lose the style of the text below.
    let below = buffer[(line.x, line.y)].style();
    buffer.set_stringn(line.x, line.y, text, usize::from(line.width), style);
    buffer.set_style(line, below.patch(style));
}
