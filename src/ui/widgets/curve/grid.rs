//! Dots, eight to a cell, as the braille characters have them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Look;

/// The bit of each dot of a cell: row by row, left and right.
const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

pub(super) struct Grid {
    /// In cells.
    width: usize,
    cells: Vec<Cell>,
    /// In dots.
    size: (usize, usize),
}

#[derive(Clone, Copy, Default)]
struct Cell {
    dots: u8,
    style: Style,
    look: Look,
}

/// What a column of dots has of one line.
#[derive(Clone, Copy)]
struct Column {
    x: usize,
    first: usize,
    last: usize,
    top: usize,
    bottom: usize,
}

impl Grid {
    pub(super) fn new(width: u16, height: u16) -> Grid {
        let (width, height) = (usize::from(width), usize::from(height));
        Grid { width, cells: vec![Cell::default(); width * height], size: (width * 2, height * 4) }
    }

    pub(super) fn draw(&mut self, dots: impl Iterator<Item = (usize, usize)>, look: Look, style: Style) {
        match look {
            Look::Dots => dots.for_each(|dot| self.set(dot, look, style)),
            Look::Line => {
                let columns = columns(dots);
                for column in &columns {
                    self.vertical(column.x, column.top, column.bottom, style);
                }
                for pair in columns.windows(2) {
                    self.line((pair[0].x, pair[0].last), (pair[1].x, pair[1].first), style);
                }
            }
        }
    }

    pub(super) fn render(&self, area: Rect, buffer: &mut Buffer) {
        for (i, cell) in self.cells.iter().enumerate().filter(|(_, cell)| cell.dots > 0) {
            let at = (area.x + (i % self.width) as u16, area.y + (i / self.width) as u16);
            let c = char::from_u32(0x2800 + u32::from(cell.dots)).unwrap_or(' ');
            // What lies below, such as a rule, gives way.
            buffer[at].set_char(c).set_style(Style::reset().patch(cell.style));
        }
    }

    fn set(&mut self, (x, y): (usize, usize), look: Look, style: Style) {
        if x < self.size.0 && y < self.size.1 {
            let cell = &mut self.cells[y / 4 * self.width + x / 2];
            // Single dots in a line's style would fray the line.
            let below = if cell.look == look { cell.dots } else { 0 };
            *cell = Cell { dots: below | BITS[y % 4][x % 2], style, look };
        }
    }

    fn vertical(&mut self, x: usize, from: usize, to: usize, style: Style) {
        (from.min(to)..=from.max(to)).for_each(|y| self.set((x, y), Look::Line, style));
    }

    /// Column by column, each with all the rows that the line passes there.
    fn line(&mut self, from: (usize, usize), to: (usize, usize), style: Style) {
        let across = to.0.saturating_sub(from.0).max(1) as f64;
        let row = |x: usize| {
            let share = (x - from.0) as f64 / across;
            (from.1 as f64 + (to.1 as f64 - from.1 as f64) * share).round() as usize
        };
        for x in from.0..to.0 {
            let (here, next) = (row(x), row(x + 1));
            self.set((x, here), Look::Line, style);
            // The upright part of a steep line belongs to both columns.
            let middle = (here + next) / 2;
            self.vertical(x, here, middle, style);
            self.vertical(x + 1, middle, next, style);
        }
    }
}

/// The dots, column by column.
fn columns(dots: impl Iterator<Item = (usize, usize)>) -> Vec<Column> {
    let mut columns: Vec<Column> = vec![];
    for (x, y) in dots {
        match columns.last_mut() {
            Some(column) if column.x == x => {
                column.last = y;
                column.top = column.top.min(y);
                column.bottom = column.bottom.max(y);
            }
            // Steps only go forward; a line is not drawn backward.
            Some(column) if column.x > x => {}
            _ => columns.push(Column { x, first: y, last: y, top: y, bottom: y }),
        }
    }
    columns
}
