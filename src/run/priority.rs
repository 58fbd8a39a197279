//! How the engine shares the processor with the interface it runs under.

/// Whether the engine's threads step back where others want the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Like any program: nothing else is waited for.
    Normal,
    /// Behind an interface in the same process: a key is answered before the next product is computed. On Linux the engine's thread
    /// and its workers are made nicer by ten; elsewhere nice is a property of the whole process, and nothing is changed.
    Yielding,
}

/// How much nicer: weight 110 against 1024, so that the interface gets nine tenths of a core that both want, and nothing is lost
/// while it sleeps.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;
#[cfg(target_os = "linux")]
const NICEST: i32 = 19;

impl Priority {
    /// Makes the calling thread, and the workers it will use, what was asked for.
    ///
    /// rayon's workers are one pool a process, and inherit the priority of the thread that makes them: this one. Where the pool is
    /// there already its workers keep theirs, so every thread that computes beside an interface calls this first.
    pub fn apply(self) {
        if self == Priority::Yielding {
            step_back();
            rayon::ThreadPoolBuilder::new().build_global().ok(); // fails where it is there already: see above
        }
    }
}

#[cfg(target_os = "linux")]
fn step_back() {
    use rustix::process::{getpriority_process, setpriority_process};
    // On Linux, `None` is the calling thread, not its process. A priority that cannot be changed is no reason not to train.
    if let Ok(now) = getpriority_process(None) {
        setpriority_process(None, (now + NICER).min(NICEST)).ok();
    }
}

#[cfg(not(target_os = "linux"))]
fn step_back() {}
