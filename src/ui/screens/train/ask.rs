//! What is asked for before a run starts, and before values are saved: a line or two, typed.

use crossterm::event::KeyCode;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use crate::ui::keys::Chord;
use crate::ui::prose::{visible, wrap};
use crate::ui::theme::Theme;
use crate::ui::widgets::{LineInput, Popup};

#[derive(Debug)]
pub(super) struct Ask {
    pub(super) what: What,
    lines: Vec<LineInput>,
    at: usize,
    /// Why the answer cannot be taken.
    pub(super) refused: Option<String>,
    /// The answer is being looked at.
    pub(super) is_waiting: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Name of the run, and its pairs; `is_queued` where another run goes first.
    Start { is_queued: bool },
    /// Name of the new config.
    SaveAs,
}

const WIDTH: u16 = 56;

impl Ask {
    pub(super) fn new(what: What, name: &str) -> Ask {
        let lines = match what {
            What::Start { .. } => vec![LineInput::new(name), LineInput::default()],
            What::SaveAs => vec![LineInput::new(name)],
        };
        Ask { what, lines, at: 0, refused: None, is_waiting: false }
    }

    pub(super) fn name(&self) -> &str {
        self.lines[0].text().trim()
    }

    pub(super) fn pairs(&self) -> &str {
        self.lines.get(1).map_or("", |line| line.text().trim())
    }

    pub(super) fn next_line(&mut self) {
        self.at = (self.at + 1) % self.lines.len();
    }

    pub(super) fn on_key(&mut self, chord: Chord) {
        match chord.code {
            // Of two lines, the one before is the next.
            KeyCode::Up | KeyCode::Down => self.next_line(),
            _ => {
                self.refused = None;
                self.lines[self.at].on_key(chord);
            }
        }
    }

    pub(super) fn on_paste(&mut self, text: &str) {
        self.refused = None;
        self.lines[self.at].insert(text);
    }

    pub(super) fn view(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let (title, labels, hint): (_, &[(&str, &str)], _) = match self.what {
            What::Start { is_queued } => (
                if is_queued { "Queue a run" } else { "Start a run" },
                &[("name", "its folder is named by it"), ("pairs", "all that are ready")],
                "Pairs: ids with commas, or a number for the first so many. To see whether the model can memorise at all, take 3 and 20 epochs.",
            ),
            What::SaveAs => {
                ("Save the values as a new config", &[("name", "a file in configs/")], "The file that was edited stays as it is.")
            }
        };
        let room = WIDTH.min(area.width.saturating_sub(4));
        let message = match (&self.refused, self.is_waiting) {
            (Some(refused), _) => Line::styled(format!("! {}", visible(refused)), theme.error),
            (None, true) => Line::styled("Looking for the pairs…", theme.faint),
            (None, false) => Line::styled(hint, theme.faint),
        };
        let text: String = message.spans.iter().map(|span| span.content.as_ref()).collect();
        let message_height = wrap(&[((), &text)], room.max(2).into()).len() as u16;
        let count = labels.len() as u16;
        let inner = Popup { title, width: WIDTH, height: count + 1 + message_height }.render(frame, area, theme);
        // The line with the caret is drawn last, so that the cursor stays there.
        let order = (0..labels.len()).filter(|i| *i != self.at).chain([self.at]);
        for i in order {
            let (label, placeholder) = labels[i];
            let y = inner.y + i as u16;
            if y >= inner.bottom() {
                continue;
            }
            let mark = if i == self.at { "›" } else { " " };
            let line = Rect { y, height: 1, ..inner };
            frame.render_widget(Span::styled(format!("{mark} {label:<6}"), theme.faint), line);
            let rest = Rect { x: line.x + 9, width: line.width.saturating_sub(9), ..line };
            self.lines[i].view(frame, rest, theme, placeholder);
        }
        let top = (inner.y + count + 1).min(inner.bottom());
        let below = Rect { y: top, height: inner.bottom() - top, ..inner };
        frame.render_widget(Paragraph::new(message).wrap(Wrap { trim: true }), below);
    }
}
