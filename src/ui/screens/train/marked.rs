//! What is marked in the canary sample that is shown: what it copied from the pairs its run was trained on, and what it seems to have invented.
//! Nothing is blind here: a sample drawn in training is the fine-tuned arm's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::Train;
use super::rows::Pick;
use super::tasks::Task;
use crate::config::Workspace;
use crate::pairs;
use crate::review::marks::{Asked, Marks, Trained};
use crate::run::Run;
use crate::run::protocol::Sample;
use crate::ui::message::Effect;
use crate::ui::screen::Shared;

/// The sample that was asked about last, and what is marked in it once that is known.
#[derive(Debug)]
pub(super) struct Marked {
    folder: PathBuf,
    sample: Sample,
    marks: Option<Arc<Marks>>,
}

impl Train {
    /// Asks what is marked in the sample on the screen, where that is not known yet.
    pub(super) fn mark_shown(&mut self, shared: &Shared) -> Option<Effect> {
        let folder = match &self.pick {
            Pick::Now => shared.work.training()?.state.run.clone()?,
            Pick::Run(folder) => folder.clone(),
            Pick::Config(_) | Pick::Queued(_) => return None,
        };
        let samples = &self.figures()?.samples;
        let last = samples.len().checked_sub(1)?;
        let sample = samples[self.sample.unwrap_or(last).min(last)].clone();
        if self.marked.as_ref().is_some_and(|marked| marked.folder == folder && marked.sample == sample) {
            return None;
        }
        self.marked = Some(Marked { folder: folder.clone(), sample: sample.clone(), marks: None });
        Some(Effect::task(Task::Mark { folder, sample: Box::new(sample) }))
    }

    pub(super) fn on_marked(&mut self, sample: &Sample, marks: &Arc<Marks>) {
        if let Some(marked) = self.marked.as_mut().filter(|marked| marked.sample == *sample) {
            marked.marks = Some(marks.clone());
        }
    }

    /// What is marked in this sample, where it is known.
    pub(super) fn marks_of(&self, sample: &Sample) -> Option<&Marks> {
        self.marked.as_ref().filter(|marked| marked.sample == *sample)?.marks.as_deref()
    }
}

/// Nothing of a run whose pairs cannot be told.
pub(super) fn marks(workspace: &Workspace, folder: &Path, sample: &Sample) -> Result<Marks> {
    let run = Run::open(folder)?;
    let (pairs, _) = pairs::load(&workspace.pairs());
    let (trained, _) = Trained::on(&run.manifest.data.train, &pairs);
    let canaries = workspace.canaries().unwrap_or_default();
    let asked = canaries.iter().find(|canary| canary.id == sample.prompt).map_or("", |canary| canary.prompt.as_str());
    Ok(trained.marks(&sample.text, &Asked::new(asked)))
}
