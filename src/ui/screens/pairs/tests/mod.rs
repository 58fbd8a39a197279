//! A screen over a small workspace on disk, whose tasks are done on the spot.

mod behaviour;
mod looks;

use std::fs;
use std::path::PathBuf;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;
use tempfile::TempDir;

use super::Pairs;
use super::entry::Entry;
use crate::config::Workspace;
use crate::pairs::{Pair, from_yaml};
use crate::ui::keys::{Action, Keymap};
use crate::ui::message::{Effect, Io};
use crate::ui::screen::{Screen, Shared};
use crate::ui::settings::{Settings, ThemeChoice};
use crate::ui::tasks;
use crate::ui::theme::{Depth, Theme};
use crate::ui::work::Work;

const FILES: &[(&str, &str)] = &[
    (
        "pairs/tier1/quiet-car.yaml",
        "tier: 1\nsource: the-quiet-car\nprompt: |\n  The train was late, and I was very cross about that.\n\n  Nobody in the quiet car was quiet.\nresponse: |\n  The train was late.\n\n  Nobody was quiet. 駅で待った。 👩‍👧 The guard said so.\n\n  ***\n\n  We went home.\nstatus: ready\n",
    ),
    ("pairs/tier1/empty.yaml", "tier: 1\nsource: nothing-yet\nprompt: |\n  A draft.\nresponse: \"\"\nstatus: draft\n"),
    ("pairs/tier1/broken.yaml", "tier: 1\nsource: x\nprompt: [\n"),
    (
        "pairs/tier2/quiet-car.yaml",
        "tier: 2\nsource: the-quiet-car\nprompt: |\n  On waiting.\nresponse: |\n  The train was late.\n\n  Nobody was quiet.\n\n  We went home.\nstatus: ready\n",
    ),
    (
        "pairs/tier4/gloves.yaml",
        "tier: 4\nsource: gloves\nprompt: |\n  Lost gloves.\nresponse: |\n  One is enough to miss the other.\nstatus: ready\n",
    ),
    ("configs/a.yaml", "model: pocket:llama\nformat: chat\nmethod: lora\n"),
    ("configs/b.yaml", "model: pocket:gpt2\nformat: plain\nmethod: full\nmax_tokens: 80\n"),
];

struct Stage {
    screen: Pairs,
    shared: Shared,
    desk: tasks::Desk,
    said: Vec<String>,
    /// What went to the loop and is no task.
    io: Vec<Io>,
    folder: TempDir,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in FILES {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Stage::over(folder)
    }

    /// A session of its own over what the folder has.
    fn over(folder: TempDir) -> Stage {
        let workspace = Workspace::open(folder.path()).unwrap();
        let shared = Shared {
            workspace: workspace.clone(),
            settings: Settings { theme: ThemeChoice::Dark, frame_rate: 30, keys: Default::default() },
            keymap: Keymap::new(&Default::default()).unwrap(),
            theme: Theme::new(ThemeChoice::Dark, Depth::True),
            work: Work::default(),
            clipboard: String::new(),
        };
        let desk = tasks::Desk::new(workspace);
        let mut stage = Stage { screen: Pairs::default(), shared, desk, said: vec![], io: vec![], folder };
        let effects = stage.screen.on_show(&stage.shared);
        stage.run(effects);
        stage
    }

    fn run(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Do(Io::Task(task)) => {
                    let done = task.run(&mut self.desk);
                    let more = self.screen.on_done(&done, &self.shared);
                    self.run(more);
                }
                Effect::Do(Io::Copy(text)) => self.shared.clipboard = text,
                Effect::Do(io) => self.io.push(io),
                Effect::Notify(notice) => self.said.push(notice.text),
                _ => {}
            }
        }
    }

    fn act(&mut self, actions: &[Action]) -> &mut Stage {
        for action in actions {
            let effects = self.screen.act(*action, &self.shared);
            self.run(effects);
        }
        self
    }

    /// Keys that reach the screen as they are.
    fn keys(&mut self, text: &str) -> &mut Stage {
        for c in text.chars() {
            let chord = if c == ' ' { "space".parse() } else { c.to_string().parse() };
            let effects = self.screen.on_key(chord.unwrap(), &self.shared);
            self.run(effects);
        }
        self
    }

    fn tick(&mut self) {
        let effects = self.screen.on_tick(&self.shared);
        self.run(effects);
    }

    fn edited(&mut self, text: &str) {
        let effects = self.screen.on_edited(text, &self.shared);
        self.run(effects);
    }

    fn said(&self) -> &str {
        self.said.last().map_or("", String::as_str)
    }

    fn file(&self, id: &str) -> PathBuf {
        self.folder.path().join(format!("pairs/{id}.yaml"))
    }

    fn on_disk(&self, id: &str) -> Option<Pair> {
        let text = fs::read_to_string(self.file(id)).ok()?;
        from_yaml(id, &text).0
    }

    /// The id under the cursor.
    fn here(&self) -> &str {
        self.screen.current().map_or("", Entry::id)
    }

    fn terminal(&self, width: u16, height: u16) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| self.screen.view(frame, Rect::new(0, 0, width, height), &self.shared)).unwrap();
        terminal
    }
}
