//! Where things stand on the screen: the list, the prompt, the panes, the verdict.

use ratatui::layout::{Constraint, Layout, Rect};

/// Prose is not read in longer lines.
const WIDEST_TEXT: u16 = 102;
/// From this width on, all panes stand side by side.
const WIDE: u16 = 160;
/// From this height on the verdict has a line more.
const HIGH: u16 = 40;
/// Below this one pane is seen at a time; below the next one, the list or the pane.
const NARROW: u16 = 100;
const TINY: u16 = 64;

/// What the layout depends on besides the room.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub panes: usize,
    /// The one in focus.
    pub pane: usize,
    pub is_zoomed: bool,
    pub is_list_focused: bool,
    /// Lines that what stands below the panes needs; `None` where a few will do.
    pub foot: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Areas {
    pub list: Option<Rect>,
    /// The prompt; empty where the list has all the room.
    pub head: Rect,
    /// Those that are seen, each with its number.
    pub panes: Vec<(usize, Rect)>,
    /// Whether one pane stands for all, so that its title is a line of tabs.
    pub is_single: bool,
    pub foot: Rect,
}

impl Areas {
    pub fn new(area: Rect, wanted: Wanted) -> Areas {
        let has_list = !wanted.is_zoomed || wanted.is_list_focused;
        if area.width < TINY && has_list && wanted.is_list_focused {
            let none = Rect { height: 0, ..area };
            return Areas { list: Some(area), head: none, panes: vec![], is_single: true, foot: none };
        }
        let (list, texts) = match has_list && area.width >= TINY {
            true => {
                let list = match area.width {
                    WIDE.. => 34,
                    NARROW.. => 30,
                    _ => 24,
                };
                let [list, _, texts] =
                    Layout::horizontal([Constraint::Length(list), Constraint::Length(2), Constraint::Fill(1)]).areas(area);
                (Some(list), texts)
            }
            false => (None, area),
        };
        let is_low = area.height < 20;
        let foot = match (wanted.foot, is_low) {
            // The panes keep the better part.
            (Some(lines), _) => lines.min((area.height / 3).max(7)),
            (None, true) => 2,
            // Room for the tally with its intervals and strengths.
            (None, false) => {
                if area.height >= HIGH {
                    5
                } else {
                    4
                }
            }
        };
        let head = if is_low { 2 } else { 4 };
        let [head, body, foot] = Layout::vertical([Constraint::Length(head), Constraint::Fill(1), Constraint::Length(foot)]).areas(texts);
        let is_single = wanted.is_zoomed || area.width < NARROW || wanted.panes <= 1;
        Areas { list, head, panes: panes(body, wanted, is_single, area.width >= WIDE), is_single, foot }
    }
}

fn panes(area: Rect, wanted: Wanted, is_single: bool, is_wide: bool) -> Vec<(usize, Rect)> {
    if wanted.panes == 0 {
        return vec![];
    }
    if is_single {
        let width = area.width.min(WIDEST_TEXT);
        return vec![(wanted.pane, Rect { width, ..area })];
    }
    let columns = if is_wide || wanted.panes == 2 { wanted.panes } else { 2 };
    let rows = Layout::vertical(vec![Constraint::Fill(1); wanted.panes.div_ceil(columns)]).spacing(1).split(area);
    let place = |pane: usize| {
        let row = rows[pane / columns];
        let columns = Layout::horizontal(vec![Constraint::Fill(1); columns]).spacing(2).split(row);
        let cell = columns[pane % columns.len()];
        (pane, Rect { width: cell.width.min(WIDEST_TEXT), ..cell })
    };
    (0..wanted.panes).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_stand_as_the_width_allows() {
        let check = |width: u16, panes: usize, expected: (bool, usize, usize)| {
            let wanted = Wanted { panes, pane: 0, is_zoomed: false, is_list_focused: false, foot: None };
            let areas = Areas::new(Rect::new(0, 1, width, 40), wanted);
            let mut rows: Vec<u16> = areas.panes.iter().map(|(_, pane)| pane.y).collect();
            rows.dedup();
            assert_eq!((areas.list.is_some(), areas.panes.len(), rows.len()), expected, "{panes} in {width}");
        };
        check(50, 4, (false, 1, 1));
        check(80, 4, (true, 1, 1));
        check(120, 4, (true, 4, 2));
        check(120, 2, (true, 2, 1));
        check(120, 3, (true, 3, 2));
        check(200, 4, (true, 4, 1));
        check(200, 1, (true, 1, 1));
        check(200, 0, (true, 0, 0));
    }

    #[test]
    fn nothing_stands_outside() {
        for (width, height) in (40..300).step_by(13).flat_map(|w| (10..100).step_by(9).map(move |h| (w, h))) {
            for bits in 0..40_usize {
                let wanted = Wanted {
                    panes: bits % 5,
                    pane: 0,
                    is_zoomed: bits & 8 > 0,
                    is_list_focused: bits & 16 > 0,
                    foot: (bits & 32 > 0).then_some(10),
                };
                let area = Rect::new(0, 1, width, height);
                let areas = Areas::new(area, wanted);
                let all = areas.panes.iter().map(|(_, rect)| *rect).chain(areas.list).chain([areas.head, areas.foot]);
                all.for_each(|rect| assert_eq!(rect.intersection(area), rect));
            }
        }
    }
}
