//! Questions: what they say, and what can be answered.

use crate::config::yaml::Fault;
use crate::pairs::{Conflict, Level, Pair, Tier, Unsaved};

#[derive(Debug)]
pub struct Dialog {
    pub question: Question,
    pub cursor: usize,
}

#[derive(Debug)]
pub enum Question {
    MoveTier {
        from: Tier,
    },
    /// The file has become another one since it was read.
    Conflict {
        pair: Box<Pair>,
        conflict: Box<Conflict>,
    },
    /// Edits that a process left behind.
    Recover {
        unsaved: Box<Unsaved>,
        disk: Option<Box<Pair>>,
        left: usize,
    },
    /// What came back from `$EDITOR` is no pair.
    EditAgain {
        id: String,
        text: String,
        faults: Vec<(Level, Fault)>,
    },
    /// What differs, line by line, with the way back to the question it belongs to.
    Compare {
        title: String,
        old: String,
        new: String,
        back: Box<Question>,
        scroll: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Tier(Tier),
    KeepMine,
    TakeTheirs,
    ShowBoth,
    Recover,
    GiveUp,
    EditAgain,
    Later,
}

impl Dialog {
    pub fn new(question: Question) -> Dialog {
        Dialog { question, cursor: 0 }
    }

    pub fn answer(&self) -> Option<Answer> {
        self.question.answers().get(self.cursor).map(|(answer, _)| *answer)
    }
}

impl Question {
    pub fn title(&self) -> String {
        match self {
            Question::MoveTier { .. } => "Move to another tier".into(),
            Question::Conflict { pair, .. } => format!("{} has changed on disk", pair.id),
            Question::Recover { unsaved, .. } => format!("Unsaved edits of {}", unsaved.pair.id),
            Question::EditAgain { id, .. } => format!("{id}: this is no pair"),
            Question::Compare { title, .. } => title.clone(),
        }
    }

    pub fn text(&self) -> Vec<String> {
        match self {
            Question::MoveTier { .. } => vec![],
            Question::Conflict { conflict, .. } if conflict.theirs.is_none() => {
                vec!["Its file was deleted since it was read. Nothing has been written.".into()]
            }
            Question::Conflict { .. } => vec!["Another program wrote the file since it was read. Nothing has been written.".into()],
            Question::Recover { unsaved, disk, left } => {
                let mut text = vec![format!("Left behind {} by a session that ended without saving.", when(unsaved))];
                text.extend(what_changed(disk.as_deref(), &unsaved.pair));
                if *left > 0 {
                    text.push(format!("{left} more after this one."));
                }
                text
            }
            Question::EditAgain { faults, .. } => {
                let line = |fault: &Fault| match fault.line {
                    Some(line) => format!("line {line}: {}", fault.message),
                    None => fault.message.clone(),
                };
                faults.iter().filter(|(level, _)| *level == Level::Error).map(|(_, fault)| line(fault)).collect()
            }
            Question::Compare { .. } => vec![],
        }
    }

    pub fn answers(&self) -> Vec<(Answer, &'static str)> {
        match self {
            Question::MoveTier { from } => {
                Tier::ALL.into_iter().filter(|tier| tier != from).map(|tier| (Answer::Tier(tier), tier_title(tier))).collect()
            }
            Question::Conflict { conflict, .. } if conflict.theirs.is_none() => {
                vec![(Answer::KeepMine, "Write it again"), (Answer::TakeTheirs, "Let it go"), (Answer::Later, "Decide later")]
            }
            Question::Conflict { .. } => vec![
                (Answer::ShowBoth, "Show what differs"),
                (Answer::KeepMine, "Keep mine, and write over theirs"),
                (Answer::TakeTheirs, "Take theirs, and give my edits up"),
                (Answer::Later, "Decide later; mine stays unsaved"),
            ],
            Question::Recover { .. } => vec![
                (Answer::Recover, "Recover the edits"),
                (Answer::ShowBoth, "Show what differs"),
                (Answer::Later, "Later; ask again next time"),
                (Answer::GiveUp, "Discard the edits"),
            ],
            Question::EditAgain { .. } => {
                vec![(Answer::EditAgain, "Edit it again"), (Answer::GiveUp, "Give these edits up; the pair stays as it was")]
            }
            Question::Compare { .. } => vec![],
        }
    }
}

pub fn tier_title(tier: Tier) -> &'static str {
    match tier {
        Tier::Draft => "1  draft → essay",
        Tier::Topic => "2  topic → essay",
        Tier::Opening => "3  opening → rest",
        Tier::Note => "4  topic → Note",
    }
}

fn when(unsaved: &Unsaved) -> String {
    let at = unsaved.at.to_zoned(jiff::tz::TimeZone::system());
    format!("on {}", at.strftime("%-d %B %Y, %H:%M"))
}

/// How unsaved edits differ from the file, part by part.
fn what_changed(disk: Option<&Pair>, edited: &Pair) -> Vec<String> {
    let Some(disk) = disk else { return vec!["The pair has no file yet.".into()] };
    let mut lines = vec![];
    for (what, old, new) in [("prompt", &disk.prompt, &edited.prompt), ("response", &disk.response, &edited.response)] {
        if old != new {
            let diff = similar::TextDiff::from_words(old.as_str(), new.as_str());
            let count = |tag| diff.iter_all_changes().filter(|c| c.tag() == tag && !c.value().trim().is_empty()).count();
            let (new, gone) = (count(similar::ChangeTag::Insert), count(similar::ChangeTag::Delete));
            lines.push(format!("{what}: {new} {} new, {gone} gone", if new == 1 { "word" } else { "words" }));
        }
    }
    if super::history::Properties::of(disk) != super::history::Properties::of(edited) {
        lines.push("properties changed".into());
    }
    lines
}
