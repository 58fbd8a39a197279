//! A small form of lines: the name and source of a new pair, or the properties of one that is there.

use crate::ui::keys::Chord;
use crate::ui::widgets::LineInput;

#[derive(Debug)]
pub struct Form {
    pub purpose: Purpose,
    pub fields: Vec<Field>,
    pub cursor: usize,
    /// Why it was not taken.
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    New,
    /// Of the pair with this id.
    Properties(String),
}

#[derive(Debug)]
pub struct Field {
    pub label: &'static str,
    pub input: LineInput,
    pub placeholder: &'static str,
}

impl Form {
    pub fn new(purpose: Purpose, fields: Vec<Field>) -> Form {
        Form { purpose, fields, cursor: 0, error: None }
    }

    pub fn value(&self, label: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.label == label).map(|field| field.input.text().trim())
    }

    /// Enter goes on to the next line; gives whether there is none.
    pub fn is_last(&self) -> bool {
        self.cursor + 1 == self.fields.len()
    }

    pub fn step(&mut self, forward: bool) {
        let count = self.fields.len().max(1);
        self.cursor = (self.cursor + if forward { 1 } else { count - 1 }) % count;
    }

    pub fn on_key(&mut self, chord: Chord) {
        use crossterm::event::KeyCode::{Down, Up};
        match chord.code {
            Up => self.step(false),
            Down => self.step(true),
            _ => {
                if let Some(field) = self.fields.get_mut(self.cursor) {
                    field.input.on_key(chord);
                    self.error = None;
                }
            }
        }
    }
}

impl Field {
    pub fn new(label: &'static str, text: &str, placeholder: &'static str) -> Field {
        Field { label, input: LineInput::new(text), placeholder }
    }
}
