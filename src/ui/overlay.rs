//! What lies over every screen: the help, the command palette and the question before leaving.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Matcher, Utf32Str};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::keys::{Action, Chord, Context, Entry, Keymap};
use super::theme::Theme;
use super::widgets::{LineInput, Popup, choose, window};

/// At most one is open.
#[derive(Debug)]
pub enum Overlay {
    Help { contexts: Vec<Context>, scroll: usize },
    Palette(Palette),
    Leave { at_stake: Vec<String>, answers: Vec<(&'static str, Answer)>, cursor: usize },
}

/// What an overlay asks of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Stay,
    Close,
    Run(Action),
    /// The work is stopped as well.
    SaveAndQuit {
        stops: bool,
    },
    Quit {
        stops: bool,
    },
}

#[derive(Debug)]
pub struct Palette {
    contexts: Vec<Context>,
    input: LineInput,
    found: Vec<&'static Entry>,
    cursor: usize,
}

impl Overlay {
    pub fn help(contexts: Vec<Context>) -> Overlay {
        Overlay::Help { contexts, scroll: 0 }
    }

    pub fn palette(contexts: Vec<Context>, keymap: &Keymap) -> Overlay {
        let mut palette = Palette { contexts, input: LineInput::default(), found: vec![], cursor: 0 };
        palette.search(keymap);
        Overlay::Palette(palette)
    }

    /// The question before leaving. `unsaved` is what is not saved, in words; `work` is what goes on in the worker.
    pub fn leave(unsaved: Vec<String>, work: Option<String>) -> Overlay {
        let keep = |stops| Answer::Quit { stops };
        let save = |stops| Answer::SaveAndQuit { stops };
        let mut answers = match (unsaved.is_empty(), work.is_some()) {
            (true, _) => {
                vec![("Leave; the run goes on", keep(false)), ("Leave; the run stops after its step, with a checkpoint", keep(true))]
            }
            (false, false) => {
                vec![("Save all and leave", save(false)), ("Leave; what is not saved is offered again next time", keep(false))]
            }
            (false, true) => vec![
                ("Save all and leave; the run goes on", save(false)),
                ("Save all and leave; the run stops after its step, with a checkpoint", save(true)),
                ("Leave; the run goes on, what is not saved is offered again next time", keep(false)),
            ],
        };
        answers.push(("Stay", Answer::Close));
        Overlay::Leave { at_stake: unsaved.into_iter().chain(work).collect(), answers, cursor: 0 }
    }

    pub fn contexts(&self) -> Vec<Context> {
        match self {
            Overlay::Help { .. } => vec![Context::Dialog, Context::List],
            Overlay::Palette(_) => vec![Context::Line],
            Overlay::Leave { .. } => vec![Context::Dialog],
        }
    }

    pub fn act(&mut self, action: Action, keymap: &Keymap) -> Answer {
        match (self, action) {
            (_, Action::Cancel | Action::Quit) => return Answer::Close,
            (Overlay::Help { .. }, Action::Accept | Action::Help) => return Answer::Close,
            (Overlay::Help { contexts, scroll }, action) => {
                let last = help_lines(contexts, keymap).len().saturating_sub(1);
                *scroll = moved(*scroll, last, action);
            }
            (Overlay::Palette(palette), Action::Accept) => {
                return palette.found.get(palette.cursor).map_or(Answer::Close, |entry| Answer::Run(entry.action));
            }
            (Overlay::Palette(_), _) => {}
            (Overlay::Leave { answers, cursor, .. }, Action::Accept) => return answers[*cursor].1,
            (Overlay::Leave { answers, cursor, .. }, action) => *cursor = moved(*cursor, answers.len() - 1, action),
        }
        Answer::Stay
    }

    pub fn on_key(&mut self, chord: Chord, keymap: &Keymap) -> Answer {
        match self {
            Overlay::Help { .. } if chord.typed() == Some('?') => return Answer::Close,
            Overlay::Palette(palette) => palette.on_key(chord, keymap),
            _ => {}
        }
        Answer::Stay
    }

    pub fn on_paste(&mut self, text: &str, keymap: &Keymap) {
        if let Overlay::Palette(palette) = self {
            palette.input.insert(text);
            palette.search(keymap);
        }
    }

    pub fn view(&self, frame: &mut Frame, area: Rect, keymap: &Keymap, theme: &Theme) {
        match self {
            Overlay::Help { contexts, scroll } => {
                let lines = help_lines(contexts, keymap);
                let width = lines.iter().map(|line| line.width(lines_key_width(contexts, keymap))).max().unwrap_or(0) as u16;
                let popup = Popup { title: "Keys", width: width + 2, height: lines.len() as u16 };
                let inner = popup.render(frame, area, theme);
                let top = (*scroll).min(lines.len().saturating_sub(inner.height as usize));
                let key_width = lines_key_width(contexts, keymap);
                let shown = lines.into_iter().skip(top).map(|line| line.draw(key_width, theme)).collect::<Vec<_>>();
                frame.render_widget(Paragraph::new(shown), inner);
            }
            Overlay::Palette(palette) => palette.view(frame, area, keymap, theme),
            Overlay::Leave { at_stake, answers, cursor } => {
                let options: Vec<&str> = answers.iter().map(|(text, _)| *text).collect();
                choose(frame, area, theme, "Leave voicetune?", at_stake, &options, *cursor);
            }
        }
    }
}

impl Palette {
    fn on_key(&mut self, chord: Chord, keymap: &Keymap) {
        use crossterm::event::KeyCode::{Down, PageDown, PageUp, Tab, Up};
        let last = self.found.len().saturating_sub(1);
        match chord.code {
            Up => self.cursor = self.cursor.saturating_sub(1),
            Down | Tab => self.cursor = (self.cursor + 1).min(last),
            PageUp => self.cursor = self.cursor.saturating_sub(10),
            PageDown => self.cursor = (self.cursor + 10).min(last),
            _ => {
                if self.input.on_key(chord) {
                    self.search(keymap);
                }
            }
        }
    }

    /// The commands that can be had here, best match first; all of them in the table's order while nothing is typed.
    fn search(&mut self, keymap: &Keymap) {
        let here = keymap.entries(&self.contexts).map(|(entry, _)| entry).filter(|entry| is_command(entry));
        self.cursor = 0;
        let wanted = self.input.text().trim();
        if wanted.is_empty() {
            self.found = here.collect();
            return;
        }
        let mut matcher = Matcher::new(nucleo_matcher::Config::DEFAULT);
        let pattern = Pattern::parse(wanted, CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = vec![];
        let mut score = |text: &str| pattern.score(Utf32Str::new(text, &mut buffer), &mut matcher);
        let mut found: Vec<_> = here
            .filter_map(|entry| {
                // A name is meant more often than a word of the explanation.
                let best = score(entry.name).map(|s| s * 2).max(score(entry.help))?;
                Some((best, entry))
            })
            .collect();
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        self.found = found.into_iter().map(|(_, entry)| entry).collect();
    }

    fn view(&self, frame: &mut Frame, area: Rect, keymap: &Keymap, theme: &Theme) {
        let popup = Popup { title: "Commands", width: 72, height: 16 };
        let inner = popup.render(frame, area, theme);
        let [line, list] = Layout::vertical([Constraint::Length(2), Constraint::Fill(1)]).areas(inner);
        self.input.view(frame, line, theme, "type to find a command");
        let range = window(self.cursor, self.found.len(), list.height as usize);
        let rows = range.clone().map(|i| {
            let entry = self.found[i];
            let key = keymap.key_for(entry.context, entry.action).map_or(String::new(), |key| key.to_string());
            let room = (list.width as usize).saturating_sub(13 + 2);
            let help: String = entry.help.chars().take(room).collect();
            let style = if i == self.cursor { theme.cursor } else { theme.text };
            Line::from(vec![Span::styled(format!("{key:>12} "), theme.accent), Span::raw(format!("{help:<room$}"))]).style(style)
        });
        frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), list);
    }
}

/// Motions and the like are for keys; in a palette they would only be in the way.
fn is_command(entry: &Entry) -> bool {
    !matches!(entry.context, Context::List | Context::Line | Context::Dialog | Context::Rate) && !matches!(entry.action, Action::Palette)
}

fn moved(at: usize, last: usize, action: Action) -> usize {
    match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => (at + 1).min(last),
        Action::PageUp => at.saturating_sub(10),
        Action::PageDown => (at + 10).min(last),
        Action::First => 0,
        Action::Last => last,
        _ => at,
    }
}

enum HelpLine {
    Head(&'static str),
    Key(String, &'static str),
    Space,
}

impl HelpLine {
    fn width(&self, key_width: usize) -> usize {
        match self {
            HelpLine::Head(title) => title.len(),
            HelpLine::Key(_, help) => key_width + 2 + help.len(),
            HelpLine::Space => 0,
        }
    }

    fn draw(self, key_width: usize, theme: &Theme) -> Line<'static> {
        match self {
            HelpLine::Head(title) => Line::styled(title, theme.title),
            HelpLine::Key(keys, help) => Line::from(vec![Span::styled(format!("{keys:>key_width$}  "), theme.accent), Span::raw(help)]),
            HelpLine::Space => Line::raw(""),
        }
    }
}

fn lines_key_width(contexts: &[Context], keymap: &Keymap) -> usize {
    let of = |line: &HelpLine| if let HelpLine::Key(keys, _) = line { keys.chars().count() } else { 0 };
    help_lines(contexts, keymap).iter().map(of).max().unwrap_or(0)
}

/// All keys of these contexts, each under its context's title.
fn help_lines(contexts: &[Context], keymap: &Keymap) -> Vec<HelpLine> {
    let mut lines = vec![];
    for &context in contexts {
        if !lines.is_empty() {
            lines.push(HelpLine::Space);
        }
        lines.push(HelpLine::Head(context.title()));
        for (entry, keys) in keymap.entries(&[context]).filter(|(_, keys)| !keys.is_empty()) {
            let keys: Vec<String> = keys.iter().take(2).map(ToString::to_string).collect();
            lines.push(HelpLine::Key(keys.join(", "), entry.help));
        }
    }
    lines
}
