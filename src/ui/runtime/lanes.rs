//! Two threads that do the screens' tasks, so that the interface never waits for a disk or a long computation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};

use crate::config::Workspace;
use crate::pairs::spare_journal;
use crate::run::Priority;
use crate::ui::message::Msg;
use crate::ui::tasks::{Desk, Lane, Task};

/// Tokenisers recurse deeper than the 2 MiB that threads get by default.
const STACK: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Lanes {
    disk: Sender<Task>,
    disk_thread: JoinHandle<()>,
    compute: Sender<Task>,
}

impl Lanes {
    pub(super) fn start(workspace: &Workspace, messages: &Sender<Msg>) -> Result<Lanes> {
        let (disk, disk_thread) = lane("disk", workspace.clone(), messages.clone())?;
        let (compute, _) = lane("compute", workspace.clone(), messages.clone())?;
        Ok(Lanes { disk, disk_thread, compute })
    }

    pub(super) fn give(&self, task: Task) {
        let lane = match task.lane() {
            Lane::Disk => &self.disk,
            Lane::Compute => &self.compute,
        };
        lane.send(task).ok(); // a lane only ends with the interface
    }

    /// Waits until everything that was to be written is written. What the other lane is at is given up.
    pub(super) fn finish_disk(self) {
        drop(self.disk);
        self.disk_thread.join().ok(); // its panics were reported
    }
}

fn lane(name: &str, workspace: Workspace, messages: Sender<Msg>) -> Result<(Sender<Task>, JoinHandle<()>)> {
    let (sender, tasks) = channel::<Task>();
    let thread = thread::Builder::new()
        .name(name.into())
        .stack_size(STACK)
        .spawn(move || {
            Priority::Yielding.apply();
            let spare = spare_journal(&workspace.pairs());
            let mut desk = Desk::new(workspace);
            desk.pairs = desk.pairs.with_spare_journal(spare);
            for task in tasks {
                let owner = task.owner();
                let msg = match catch_unwind(AssertUnwindSafe(|| task.run(&mut desk))) {
                    Ok(done) => Msg::Done(done),
                    Err(_) => Msg::Fault(format!("a fault in voicetune (please report it), in a task of `{owner}`")),
                };
                // Where nobody listens any more, files are still written.
                messages.send(msg).ok();
            }
        })
        .with_context(|| format!("the {name} thread cannot be started"))?;
    Ok((sender, thread))
}
