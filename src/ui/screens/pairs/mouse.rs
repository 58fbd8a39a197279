//! The mouse: clicks into the list and the texts, the wheel, and the divider.

use std::time::{Duration, Instant};

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::texts::Side;
use super::view;
use super::{Mode, Pairs};
use crate::pairs::Tier;
use crate::ui::message::Effect;

const DOUBLE: Duration = Duration::from_millis(400);
/// Rows a notch of the wheel.
const NOTCH: i32 = 3;

#[derive(Debug, Default)]
pub struct Pointer {
    last: Option<(Position, Instant)>,
    drag: Option<Drag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drag {
    Divider,
    Text(Side),
}

impl Pairs {
    pub(super) fn point(&mut self, mouse: MouseEvent, area: Rect) -> Vec<Effect> {
        if !self.dialogs.is_empty() || matches!(self.mode, Mode::Form(_)) {
            return vec![];
        }
        let areas = self.areas(area);
        let at = Position::new(mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) if areas.list.contains(at) => self.click_list(areas.list, at),
            MouseEventKind::Down(MouseButton::Left) if matches!(self.mode, Mode::Cut(_)) => vec![],
            MouseEventKind::Down(MouseButton::Left) if areas.divider.contains(at) => {
                self.pointer.drag = Some(Drag::Divider);
                vec![]
            }
            MouseEventKind::Down(MouseButton::Left) => {
                let side = [(Side::Prompt, areas.prompt), (Side::Response, areas.response)].into_iter().find(|(_, area)| area.contains(at));
                match side {
                    Some((side, _)) => self.click_text(side, at, mouse.modifiers.contains(KeyModifiers::SHIFT)),
                    None => vec![],
                }
            }
            MouseEventKind::Drag(MouseButton::Left) => {
                match self.pointer.drag {
                    Some(Drag::Divider) => self.divider = Some(areas.divided_at(at)),
                    Some(Drag::Text(side)) => {
                        if let Some(texts) = &mut self.texts {
                            texts.at_mut(side).drag(at);
                        }
                    }
                    None => {}
                }
                vec![]
            }
            MouseEventKind::Up(_) => {
                self.pointer.drag = None;
                vec![]
            }
            MouseEventKind::ScrollUp => self.wheel(at, &areas, -NOTCH),
            MouseEventKind::ScrollDown => self.wheel(at, &areas, NOTCH),
            _ => vec![],
        }
    }

    fn click_list(&mut self, area: Rect, at: Position) -> Vec<Effect> {
        let parts = view::list_areas(area);
        self.mode = Mode::List;
        if parts.tiers.contains(at) {
            return match Tier::ALL.get(usize::from(at.y - parts.tiers.y)) {
                Some(tier) => self.show_tier(*tier),
                None => vec![],
            };
        }
        if parts.rows.contains(at) {
            let first = view::first_row(self, parts.rows);
            let row = first + usize::from(at.y - parts.rows.y);
            if row < self.list.rows().len() {
                let is_double = self.is_double(at);
                self.list.go_to(row);
                let mut effects = self.turn_to_cursor();
                if is_double {
                    effects.extend(self.start_editing(None));
                }
                return effects;
            }
        }
        vec![]
    }

    fn click_text(&mut self, side: Side, at: Position, extend: bool) -> Vec<Effect> {
        let is_double = self.is_double(at);
        let Some(texts) = &mut self.texts else { return vec![] };
        texts.side = side;
        if is_double {
            texts.at_mut(side).double_click(at);
        } else {
            texts.at_mut(side).click(at, extend);
            self.pointer.drag = Some(Drag::Text(side));
        }
        self.mode = Mode::Edit;
        vec![]
    }

    fn wheel(&mut self, at: Position, areas: &super::areas::Areas, rows: i32) -> Vec<Effect> {
        if areas.list.contains(at) {
            let to = self.list.cursor().saturating_add_signed(rows.signum() as isize);
            self.list.go_to(to);
            self.mode = Mode::List;
            return self.turn_to_cursor();
        }
        match (&mut self.mode, &mut self.texts) {
            (Mode::Cut(cutting), _) => cutting.editor.scroll(rows),
            (_, Some(texts)) if areas.prompt.contains(at) => texts.prompt.scroll(rows),
            (_, Some(texts)) if areas.response.contains(at) => texts.response.scroll(rows),
            _ => {}
        }
        vec![]
    }

    fn is_double(&mut self, at: Position) -> bool {
        let now = Instant::now();
        let is_double = self.pointer.last.is_some_and(|(place, then)| place == at && now.duration_since(then) < DOUBLE);
        self.pointer.last = (!is_double).then_some((at, now));
        is_double
    }
}
