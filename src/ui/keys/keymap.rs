//! The table of bindings with the writer's own keys in it.

use std::collections::{BTreeMap, HashMap};

use super::{Action, Chord, Context, Entry, TABLE};

#[derive(Debug, Clone)]
pub struct Keymap {
    actions: HashMap<(Context, Chord), Action>,
    /// By position in the table.
    keys: Vec<Vec<Chord>>,
}

/// A key and what it does, for the footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    pub key: String,
    pub label: &'static str,
    pub action: Action,
}

impl Keymap {
    /// `own` maps names of actions to keys that replace the table's; an empty list leaves the action to the palette. An unknown name, a
    /// key that is none, and a key with two meanings in one context are errors.
    pub fn new(own: &BTreeMap<String, Vec<String>>) -> Result<Keymap, String> {
        if let Some(name) = own.keys().find(|name| TABLE.iter().all(|entry| entry.name != **name)) {
            let near = TABLE.iter().max_by(|a, b| strsim::jaro(a.name, name).total_cmp(&strsim::jaro(b.name, name)));
            return Err(format!("there is no action `{name}`; did you mean `{}`?", near.map_or("", |entry| entry.name)));
        }
        let mut keymap = Keymap { actions: HashMap::new(), keys: vec![] };
        for entry in TABLE {
            let words: Vec<&str> = match own.get(entry.name) {
                Some(words) => words.iter().map(String::as_str).collect(),
                None => entry.keys.to_vec(),
            };
            let chords = words.iter().map(|word| word.parse()).collect::<Result<Vec<Chord>, String>>()?;
            for &chord in &chords {
                if let Some(other) = keymap.actions.insert((entry.context, chord), entry.action) {
                    let other = TABLE.iter().find(|e| e.context == entry.context && e.action == other).map_or("", |e| e.name);
                    return Err(format!("the key `{chord}` is for `{other}` and for `{}`; give one of them another", entry.name));
                }
            }
            keymap.keys.push(chords);
        }
        Ok(keymap)
    }

    /// What a key means, innermost context first. Where text is typed, a plain character means nothing but itself.
    pub fn action(&self, contexts: &[Context], chord: Chord) -> Option<Action> {
        for &context in contexts {
            if let Some(action) = self.actions.get(&(context, chord)) {
                return Some(*action);
            }
            if context.takes_text() && chord.typed().is_some() {
                return None;
            }
        }
        None
    }

    /// The table's entries that hold in these contexts, innermost first, with their keys.
    pub fn entries(&self, contexts: &[Context]) -> impl Iterator<Item = (&'static Entry, &[Chord])> {
        let of = |context: Context| TABLE.iter().zip(&self.keys).filter(move |(entry, _)| entry.context == context);
        contexts.iter().flat_map(move |&context| of(context)).map(|(entry, keys)| (entry, keys.as_slice()))
    }

    /// What the footer shows, the most useful first.
    pub fn hints(&self, contexts: &[Context]) -> Vec<Hint> {
        self.entries(contexts)
            .filter(|(entry, _)| !entry.label.is_empty())
            // What an inner context or a typed character takes cannot be reached.
            .filter_map(|(entry, keys)| {
                let key = keys.iter().find(|&&key| self.action(contexts, key) == Some(entry.action))?;
                Some(Hint { key: short(*key), label: entry.label, action: entry.action })
            })
            .collect()
    }

    /// The keys of an action in a context, for texts that name them.
    pub fn key_for(&self, context: Context, action: Action) -> Option<Chord> {
        self.entries(&[context]).find(|(entry, _)| entry.action == action)?.1.first().copied()
    }
}

/// As the footer writes it: `^S` for `ctrl-s`.
fn short(chord: Chord) -> String {
    let text = chord.to_string();
    match text.strip_prefix("ctrl-") {
        Some(rest) if rest.chars().count() == 1 => format!("^{}", rest.to_uppercase()),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(text: &str) -> Chord {
        text.parse().unwrap()
    }

    fn own(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        pairs.iter().map(|(name, keys)| ((*name).to_owned(), keys.iter().map(|k| (*k).to_owned()).collect())).collect()
    }

    #[test]
    fn the_table_has_no_key_twice_and_no_name_twice() {
        Keymap::new(&BTreeMap::new()).unwrap();
        let mut names: Vec<_> = TABLE.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn the_innermost_context_decides_and_typed_text_stays_text() {
        let keymap = Keymap::new(&BTreeMap::new()).unwrap();
        let check = |contexts: &[Context], key: &str, expected: Option<Action>| {
            assert_eq!(keymap.action(contexts, chord(key)), expected, "{key} in {contexts:?}");
        };
        check(&[Context::Pairs, Context::List, Context::Global], "ctrl-z", Some(Action::UndoChange));
        check(&[Context::Train, Context::List, Context::Global], "ctrl-z", Some(Action::Suspend));
        check(&[Context::Edit, Context::Global], "ctrl-z", Some(Action::Undo));
        check(&[Context::Edit, Context::Global], "1", None);
        check(&[Context::Edit, Context::Global], "alt-1", Some(Action::ShowPairs));
        check(&[Context::Rate, Context::Global], "1", Some(Action::Score1));
    }

    #[test]
    fn own_keys_replace_the_tables() {
        let keymap = Keymap::new(&own(&[("quit", &["ctrl-x", "Q"]), ("help", &[])])).unwrap();
        let action = |key| keymap.action(&[Context::Global], chord(key));
        assert_eq!([action("q"), action("Q"), action("ctrl-x"), action("?")], [None, Some(Action::Quit), Some(Action::Quit), None]);
    }

    #[test]
    fn what_cannot_be_bound_is_refused_in_words() {
        let check = |pairs: &[(&str, &[&str])], expected: &str| assert_eq!(Keymap::new(&own(pairs)).unwrap_err(), expected);
        check(&[("quti", &["q"])], "there is no action `quti`; did you mean `quit`?");
        check(&[("quit", &["?"])], "the key `?` is for `help` and for `quit`; give one of them another");
        check(&[("quit", &["hyper-q"])], "`hyper-q` is no key; write for example `ctrl-s`, `alt-1`, `shift-tab`, `f5`, `space` or `?`");
    }
}
