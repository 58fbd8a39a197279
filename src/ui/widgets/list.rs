//! Lists with a cursor: which rows are seen, and where the cursor goes.

use std::ops::Range;

use crate::ui::keys::Action;

/// The rows to draw, of `count`, so that the one under the cursor stands in the middle where it can.
pub fn window(cursor: usize, count: usize, height: usize) -> Range<usize> {
    let top = cursor.saturating_sub(height / 2).min(count.saturating_sub(height));
    top..(top + height).min(count)
}

/// Where a motion takes the cursor in a list of `count`, or `None` where the action is no motion.
pub fn move_cursor(cursor: usize, count: usize, page: usize, action: Action) -> Option<usize> {
    let last = count.saturating_sub(1);
    let to = match action {
        Action::Up => cursor.saturating_sub(1),
        Action::Down => cursor + 1,
        Action::PageUp => cursor.saturating_sub(page.max(1)),
        Action::PageDown => cursor + page.max(1),
        Action::First => 0,
        Action::Last => last,
        _ => return None,
    };
    Some(to.min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_always_seen() {
        for count in 0..12 {
            for height in 0..6 {
                for cursor in 0..count {
                    let range = window(cursor, count, height);
                    assert!(range.len() <= height && range.end <= count);
                    assert!(height == 0 || range.contains(&cursor), "{cursor} of {count} in {height}: {range:?}");
                }
            }
        }
    }

    #[test]
    fn motions_stay_inside() {
        assert_eq!(move_cursor(0, 0, 5, Action::Down), Some(0));
        assert_eq!(move_cursor(3, 5, 5, Action::PageDown), Some(4));
        assert_eq!(move_cursor(3, 5, 5, Action::Sort), None);
    }
}
