//! Curves over steps: lines and points drawn in braille dots, with a scale, rules and each line's name at its end. What tells lines
//! apart is never the colour alone.

mod grid;
mod scale;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::widgets::Widget;

use self::grid::Grid;
use self::scale::Scale;
use crate::ui::prose::{visible, width};
use crate::ui::theme::Theme;

/// A chart of some series over the same steps. Thousands of points cost no more than the columns they fall into.
#[derive(Debug)]
pub struct Chart<'a> {
    /// Later ones are drawn over earlier ones.
    pub series: &'a [Series],
    /// The last step of the x axis, which begins at 0.
    pub steps: usize,
    /// What the last step is called; `None` is `step 600`.
    pub end: Option<String>,
    /// What the y axis has to hold besides the series, lowest and highest; `None` goes by the series alone.
    pub y: Option<[f64; 2]>,
    /// Vertical rules, each with what stands below it.
    pub rules: &'a [(f64, String)],
    /// Single points that are marked, over everything.
    pub marks: &'a [Mark],
    /// Whether there are numbers at the left and below.
    pub has_axes: bool,
    pub theme: &'a Theme,
}

#[derive(Debug, Clone, Default)]
pub struct Series {
    /// Stands at the line's end; empty for none.
    pub label: String,
    /// Steps and values, in the order of the steps. Values that are no numbers are passed over.
    pub points: Vec<(f64, f64)>,
    pub style: Style,
    pub look: Look,
    /// Stands on the line: at each point where there are few of them, else here and there.
    pub sign: Option<char>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Look {
    /// The points, joined.
    #[default]
    Line,
    /// The points alone, a dot each.
    Dots,
}

#[derive(Debug, Clone, Copy)]
pub struct Mark {
    pub at: (f64, f64),
    pub sign: char,
    pub style: Style,
}

/// Columns between the signs on a line of many points.
const SIGN_SPACING: u16 = 12;

/// Columns between two rules, at least.
const RULE_SPACING: u16 = 10;

/// The running mean of the points: about `window` of them count. What was drawn does not change when points are added.
pub fn smoothed(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let keep = 1.0 - 2.0 / (window.max(1) + 1) as f64;
    let (mut sum, mut weight) = (0.0, 0.0);
    let mean = |&(x, y): &(f64, f64)| {
        (sum, weight) = (sum * keep + y, weight * keep + 1.0);
        (x, sum / weight)
    };
    points.iter().filter(|(_, y)| y.is_finite()).map(mean).collect()
}

impl Chart<'_> {
    /// The values' lowest and highest, of finite ones.
    fn bounds(&self) -> Option<[f64; 2]> {
        let ys = self.series.iter().flat_map(|series| &series.points).map(|point| point.1);
        let all = ys.chain(self.y.into_iter().flatten()).filter(|y| y.is_finite());
        all.fold(None, |bounds, y| Some(bounds.map_or([y, y], |[low, high]: [f64; 2]| [low.min(y), high.max(y)])))
    }

    /// The columns at the right that the names need; none where they would leave too little for the lines.
    fn margin(&self, area: Rect) -> u16 {
        let widest = self.series.iter().map(|series| width(&visible(&series.label))).max().unwrap_or(0) as u16;
        if widest > 0 && widest + 2 <= area.width / 3 { widest + 1 } else { 0 }
    }
}

impl Widget for &Chart<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let area = area.intersection(buffer.area);
        let foot = u16::from(self.has_axes);
        if area.height <= foot + u16::from(self.has_axes) || area.width < 4 {
            return;
        }
        let scale = Scale::new(self.bounds().unwrap_or([0.0, 1.0]), area.height - foot, self.has_axes);
        let left = if self.has_axes { scale.label_width() + 2 } else { 0 };
        let margin = self.margin(area);
        if area.width < left + margin + 4 {
            return;
        }
        let inner = Rect { x: area.x + left, width: area.width - left - margin, height: area.height - foot, ..area };
        let plot = Plot { inner, scale: &scale, steps: self.steps.max(1) as f64 };
        if self.has_axes {
            plot.draw_scale(area, buffer, self.theme);
        }
        let named = plot.draw_rules(self.rules, self.has_axes, buffer, self.theme);
        if self.has_axes {
            plot.draw_end(self.end.clone().unwrap_or_else(|| format!("step {}", self.steps)), named, buffer, self.theme);
        }
        let mut grid = Grid::new(inner.width, inner.height);
        for series in self.series {
            grid.draw(series.points.iter().filter(|(_, y)| y.is_finite()).map(|&point| plot.dot(point)), series.look, series.style);
        }
        grid.render(inner, buffer);
        for (i, series) in self.series.iter().enumerate() {
            // Lines that run close together have their signs side by side.
            let first = SIGN_SPACING * i as u16 / self.series.len() as u16 + SIGN_SPACING / 4;
            plot.draw_signs(series, first, buffer);
        }
        for mark in self.marks {
            if let Some(at) = plot.cell(mark.at) {
                buffer[at].set_char(mark.sign).set_style(mark.style);
            }
        }
        if margin > 0 {
            plot.draw_labels(self.series, area, buffer);
        }
    }
}

/// Where steps and values are on the screen.
struct Plot<'a> {
    inner: Rect,
    scale: &'a Scale,
    steps: f64,
}

impl Plot<'_> {
    /// In dots from the upper left corner.
    fn dot(&self, (x, y): (f64, f64)) -> (usize, usize) {
        let (columns, rows) = (f64::from(self.inner.width) * 2.0 - 1.0, f64::from(self.inner.height) * 4.0 - 1.0);
        let across = (x / self.steps).clamp(0.0, 1.0) * columns;
        let down = (1.0 - self.scale.share(y).clamp(0.0, 1.0)) * rows;
        (across.round() as usize, down.round() as usize)
    }

    /// The cell of a point, where it is a finite one.
    fn cell(&self, point: (f64, f64)) -> Option<Position> {
        let (column, row) = self.dot(point);
        point.1.is_finite().then(|| Position::new(self.inner.x + (column / 2) as u16, self.inner.y + (row / 4) as u16))
    }

    fn draw_scale(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        for y in self.inner.top()..self.inner.bottom() {
            buffer[(self.inner.x - 1, y)].set_char('│').set_style(theme.border);
        }
        for (value, label) in self.scale.ticks() {
            let y = self.inner.y + (self.dot((0.0, value)).1 / 4) as u16;
            buffer.set_string(area.x + self.scale.label_width() - label.len() as u16, y, &label, theme.faint);
            buffer[(self.inner.x - 1, y)].set_char('┤').set_style(theme.border);
        }
    }

    /// Rules that would stand too close to the one before are left out, and names that would run into one another. Returns the first column right of the names.
    fn draw_rules(&self, rules: &[(f64, String)], has_names: bool, buffer: &mut Buffer, theme: &Theme) -> u16 {
        let mut free = self.inner.x;
        let mut next = self.inner.x;
        for (x, name) in rules {
            let at = self.inner.x + (self.dot((*x, 0.0)).0 / 2) as u16;
            if at < next {
                continue;
            }
            next = at + RULE_SPACING;
            for y in self.inner.top()..self.inner.bottom() {
                buffer[(at, y)].set_char('┊').set_style(theme.border);
            }
            let end = at + width(name) as u16;
            if has_names && at >= free && end <= buffer.area.right().min(self.inner.right() + 1) {
                buffer.set_string(at, self.inner.bottom(), name, theme.faint);
                free = end + 1;
            }
        }
        free
    }

    /// The number at the right end of the x axis.
    fn draw_end(&self, text: String, free: u16, buffer: &mut Buffer, theme: &Theme) {
        let at = self.inner.right().saturating_sub(text.len() as u16);
        if at > free {
            buffer.set_string(at, self.inner.bottom(), text, theme.faint);
        }
    }

    fn draw_signs(&self, series: &Series, first: u16, buffer: &mut Buffer) {
        let Some(sign) = series.sign else { return };
        let spacing = if series.points.len() * 4 <= usize::from(self.inner.width) { 0 } else { SIGN_SPACING };
        let mut next = self.inner.x + first;
        for at in series.points.iter().filter_map(|&point| self.cell(point)) {
            if at.x >= next || spacing == 0 {
                buffer[at].set_char(sign).set_style(series.style);
                next = at.x + spacing;
            }
        }
    }

    /// Each name stands right of its line's end; names that would stand on one another move apart.
    fn draw_labels(&self, series: &[Series], area: Rect, buffer: &mut Buffer) {
        let ends = series.iter().filter(|series| !series.label.is_empty());
        let end = |series: &'_ Series| series.points.iter().rev().find_map(|&point| self.cell(point));
        let mut placed: Vec<(Position, &Series)> = ends.filter_map(|series| Some((end(series)?, series))).collect();
        placed.sort_by_key(|(at, _)| at.y);
        let mut free = self.inner.y;
        let count = placed.len() as u16;
        for (i, (at, series)) in placed.into_iter().enumerate() {
            // Room is left for those that come below.
            let lowest = self.inner.bottom().saturating_sub(count - i as u16);
            let y = at.y.min(lowest).max(free);
            if y >= self.inner.bottom() {
                break;
            }
            let x = (at.x + 2).min(self.inner.right() + 1);
            buffer.set_stringn(x, y, visible(&series.label), usize::from(area.right().saturating_sub(x)), series.style);
            free = y + 1;
        }
    }
}

#[cfg(test)]
mod tests;
