mod edits;
mod screen;

use super::*;

/// An editor whose text shows the caret as `|` and where the selection began as `[` or `]`.
fn editor(marked: &str) -> Editor {
    let text: String = marked.chars().filter(|c| !"|[]".contains(*c)).collect();
    let offset = |mark: &[char]| marked.find(mark).map(|at| marked[..at].chars().filter(|c| !"|[]".contains(*c)).count());
    let mut editor = Editor::new(&text);
    if let Some(anchor) = offset(&['[', ']']) {
        editor.selection.anchor = Some(editor.text.place(anchor));
    }
    editor.selection.caret = editor.text.place(offset(&['|']).unwrap());
    editor.view.get_mut().follows = true;
    editor
}

fn marked(editor: &Editor) -> String {
    let mut text: Vec<char> = editor.text().chars().collect();
    let caret = editor.caret_offset();
    let anchor = editor.selected_range().map(|_| editor.text.offset(editor.selection.anchor.unwrap()));
    let mut marks: Vec<_> = anchor.map(|at| (at, if at < caret { '[' } else { ']' })).into_iter().chain([(caret, '|')]).collect();
    marks.sort();
    for (at, mark) in marks.into_iter().rev() {
        text.insert(at, mark);
    }
    text.into_iter().collect()
}

fn draw(editor: &Editor, width: u16, height: u16) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    editor.render(area, &mut buffer, &Look::default(), true);
    buffer
}

fn go(motion: Motion) -> Edit {
    Edit::Move { motion, select: false }
}

fn select(motion: Motion) -> Edit {
    Edit::Move { motion, select: true }
}

fn typed(text: &str) -> Vec<Edit> {
    text.chars().map(Edit::Insert).collect()
}
