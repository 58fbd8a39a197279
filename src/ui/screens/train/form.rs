//! The values of a config as a form. The config's own parser judges what is typed; what it refuses is not taken.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use crate::config::Config;
use crate::config::form::{Field, Kind, fields, with};
use crate::ui::keys::{Action, Chord};
use crate::ui::prose::{visible, width};
use crate::ui::theme::Theme;
use crate::ui::widgets::{LineInput, move_cursor, window};

#[derive(Debug)]
pub(super) struct Form {
    fields: Vec<Field>,
    /// The file's values, key by key.
    file: Vec<Field>,
    cursor: usize,
    /// The value being typed.
    input: Option<LineInput>,
    /// Why the last value was refused.
    refused: Option<String>,
}

/// What an action in the form leads to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Stay,
    Changed(Box<Config>),
    SaveAs,
    Leave,
}

/// Rows for what is said about the value under the cursor.
const ABOUT: u16 = 5;
const PAGE: usize = 10;

impl Form {
    pub(super) fn new(config: &Config, file: &Config) -> Form {
        Form { fields: fields(config), file: fields(file), cursor: 0, input: None, refused: None }
    }

    pub(super) fn is_typing(&self) -> bool {
        self.input.is_some()
    }

    /// What is not as in the file, in words.
    pub(super) fn changes(&self) -> Vec<String> {
        let pairs = self.fields.iter().zip(&self.file).filter(|(is, was)| is.value != was.value);
        pairs.map(|(is, was)| format!("{}: {} (in the file: {})", is.key, is.value, was.value)).collect()
    }

    /// `config` is the one with the values that the form shows.
    pub(super) fn act(&mut self, action: Action, config: &Config) -> Answer {
        let field = &self.fields[self.cursor];
        match (action, &self.input) {
            (Action::Accept, Some(input)) => {
                let text = input.text().to_owned();
                return self.take(config, &text);
            }
            (Action::Cancel, Some(_)) => {
                self.input = None;
                self.refused = None;
            }
            (_, Some(_)) => {}
            (Action::Cancel, None) => return Answer::Leave,
            (Action::SaveConfigAs, None) => return Answer::SaveAs,
            (Action::ResetValue, None) => {
                let value = self.file[self.cursor].value.clone();
                return self.take(config, &value);
            }
            (Action::Accept, None) => match field.kind {
                Kind::Word([only]) => self.refused = Some(format!("{only} is the only one")),
                Kind::Word(words) => {
                    let at = words.iter().position(|word| *word == field.value).unwrap_or(0);
                    return self.take(config, words[(at + 1) % words.len()]);
                }
                _ => {
                    self.refused = None;
                    self.input = Some(LineInput::new(&field.value));
                }
            },
            (action, None) => {
                if let Some(to) = move_cursor(self.cursor, self.fields.len(), PAGE, action) {
                    self.go(to);
                }
            }
        }
        Answer::Stay
    }

    pub(super) fn on_key(&mut self, chord: Chord) {
        if let Some(input) = &mut self.input {
            input.on_key(chord);
            self.refused = None;
        }
    }

    pub(super) fn on_paste(&mut self, text: &str) {
        if let Some(input) = &mut self.input {
            input.insert(text);
        }
    }

    /// To the value in this row of the form.
    pub(super) fn click(&mut self, row: usize, area: Rect) {
        let height = usize::from(list_area(area).height);
        if row < height && !self.is_typing() {
            let to = window(self.cursor, self.fields.len(), height).start + row;
            self.go(to.min(self.fields.len() - 1));
        }
    }

    pub(super) fn view(&self, frame: &mut Frame, area: Rect, theme: &Theme) {
        let list = list_area(area);
        let keys = self.fields.iter().map(|field| field.key.len()).max().unwrap_or(0);
        let values = usize::from(list.width).saturating_sub(keys + 5);
        let shown = window(self.cursor, self.fields.len(), list.height.into());
        for (i, y) in shown.zip(list.y..) {
            let (field, file) = (&self.fields[i], &self.file[i]);
            let is_changed = field.value != file.value;
            let is_here = i == self.cursor;
            let sign = if is_changed { '*' } else { ' ' };
            let mut spans = vec![
                Span::raw(if is_here { "›" } else { " " }),
                Span::styled(format!("{sign} "), theme.accent),
                Span::styled(format!("{:<keys$}  ", field.key), if is_here { theme.text } else { theme.faint }),
                Span::styled(short(&field.value, values), if is_changed { theme.accent } else { theme.text }),
            ];
            let was = format!("   in the file: {}", visible(&file.value));
            if is_changed && width(&field.value) + width(&was) <= values {
                spans.push(Span::styled(was, theme.faint));
            }
            let line = Rect { y, height: 1, ..list };
            frame.render_widget(Line::from(spans).style(if is_here { theme.cursor } else { theme.text }), line);
            if let Some(input) = self.input.as_ref().filter(|_| is_here) {
                let x = keys as u16 + 5;
                let line = Rect { x: line.x + x, width: line.width.saturating_sub(x), ..line };
                frame.render_widget(ratatui::widgets::Clear, line);
                input.view(frame, line, theme, "");
            }
        }
        let below = Rect { y: list.bottom(), height: area.bottom() - list.bottom(), ..area };
        frame.render_widget(Paragraph::new(self.about(theme)).wrap(Wrap { trim: true }), below);
    }

    fn about(&self, theme: &Theme) -> Vec<Line<'static>> {
        let field = &self.fields[self.cursor];
        let mut lines = vec![Line::default()];
        if let Some(refused) = &self.refused {
            lines.push(Line::styled(format!("! {}", visible(refused)), theme.error));
        }
        lines.push(Line::raw(field.about.clone()));
        let default = field.default.as_ref().map_or(String::new(), |default| format!("; {default} unless the file says otherwise"));
        lines.push(Line::styled(format!("{}{default}", may_be(field.kind)), theme.faint));
        lines
    }

    fn go(&mut self, to: usize) {
        self.cursor = to;
        self.refused = None;
    }

    fn take(&mut self, config: &Config, text: &str) -> Answer {
        match with(config, self.fields[self.cursor].key, text) {
            Ok(changed) => {
                self.fields = fields(&changed);
                self.input = None;
                self.refused = None;
                Answer::Changed(Box::new(changed))
            }
            Err(message) => {
                self.refused = Some(message);
                Answer::Stay
            }
        }
    }
}

fn list_area(area: Rect) -> Rect {
    let about = ABOUT.min(area.height / 2);
    let [list, _] = Layout::vertical([Constraint::Fill(1), Constraint::Length(about)]).areas(area);
    list
}

/// What may be written, in words.
fn may_be(kind: Kind) -> String {
    match kind {
        Kind::Word(words) => words.join(" | "),
        Kind::Whole => "a whole number".into(),
        Kind::Number => "a number, such as 0.05 or 1e-4".into(),
        Kind::Text => "text".into(),
        Kind::List => "words or numbers with commas between them".into(),
        Kind::WordOr(words, counted) => format!("{} | a number of {counted}", words.join(" | ")),
    }
}

fn short(text: &str, columns: usize) -> String {
    let text = visible(text);
    if width(&text) <= columns {
        return text;
    }
    let mut cut = String::new();
    for c in text.chars() {
        if width(&cut) + 2 > columns {
            break;
        }
        cut.push(c);
    }
    cut + "…"
}
