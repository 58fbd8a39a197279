//! The viewers of a worker: let in, heard, and told things without ever being waited for.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::frame::{self, Greeting};
use super::host::Input;
use super::peer;
use super::talk::{Report, Request};

/// Frames that wait for a viewer. One that is so far behind is let go: it can come again, and is told everything anew.
const ROOM: usize = 1024;
/// From here on a viewer lags, and is not told what it can do without.
const LAG: usize = 64;
/// At once, greeted or not.
const MOST_VIEWERS: usize = 32;
/// For the greeting.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names a viewer among the others.
pub(super) type Id = u64;

#[derive(Debug, Default)]
pub(super) struct Viewers(BTreeMap<Id, Viewer>);

#[derive(Debug)]
struct Viewer {
    stream: UnixStream,
    outbox: SyncSender<Arc<[u8]>>,
    /// Frames in the outbox.
    waiting: Arc<AtomicUsize>,
}

impl Viewers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Starts the thread that writes to this viewer. It ends when the viewer is removed, even in the middle of a frame.
    pub(super) fn add(&mut self, id: Id, stream: UnixStream) -> Result<()> {
        let (outbox, frames) = sync_channel::<Arc<[u8]>>(ROOM);
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut writer = stream.try_clone().context("a viewer cannot be written to")?;
        let count = waiting.clone();
        thread::Builder::new()
            .name("viewer".into())
            .spawn(move || {
                for frame in frames {
                    count.fetch_sub(1, Ordering::Relaxed);
                    if writer.write_all(&frame).is_err() {
                        break;
                    }
                }
                writer.shutdown(Shutdown::Both).ok(); // it may be gone
            })
            .context("a viewer cannot be written to")?;
        self.0.insert(id, Viewer { stream, outbox, waiting });
        Ok(())
    }

    pub(super) fn remove(&mut self, id: Id) {
        if let Some(viewer) = self.0.remove(&id) {
            viewer.stream.shutdown(Shutdown::Both).ok(); // it may be gone
        }
    }

    /// Tells one viewer.
    pub(super) fn tell(&mut self, id: Id, report: &Report) -> Result<()> {
        let frame: Arc<[u8]> = frame::encode(report)?.into();
        if self.0.get(&id).is_some_and(|viewer| viewer.push(frame).is_err()) {
            self.remove(id);
        }
        Ok(())
    }

    /// Tells all of them; a viewer that has no room for it is let go.
    pub(super) fn tell_all(&mut self, report: &Report) -> Result<()> {
        let frame: Arc<[u8]> = frame::encode(report)?.into();
        let behind: Vec<Id> = self.0.iter().filter(|(_, viewer)| viewer.push(frame.clone()).is_err()).map(|(id, _)| *id).collect();
        behind.into_iter().for_each(|id| self.remove(id));
        Ok(())
    }

    /// Tells those that do not lag.
    pub(super) fn mention(&mut self, report: &Report) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let frame: Arc<[u8]> = frame::encode(report)?.into();
        for viewer in self.0.values().filter(|viewer| viewer.waiting.load(Ordering::Relaxed) < LAG) {
            viewer.push(frame.clone()).ok(); // one that is gone is heard to leave
        }
        Ok(())
    }
}

impl Viewer {
    fn push(&self, frame: Arc<[u8]>) -> Result<(), TrySendError<Arc<[u8]>>> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.outbox.try_send(frame).inspect_err(|_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        })
    }
}

/// Lets viewers in for as long as the process lives.
pub(super) fn listen(listener: UnixListener, inputs: Sender<Input>) -> Result<()> {
    let doorman = move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => {
                    if let Err(error) = attend(stream, inputs.clone()) {
                        eprintln!("a viewer was not let in: {error:#}");
                    }
                }
                Err(error) => {
                    // No file descriptor is left, say: without a pause this would take all of a core.
                    eprintln!("no viewer can be let in: {error}");
                    thread::sleep(Duration::from_secs(1));
                }
            }
        }
    };
    thread::Builder::new().name("door".into()).spawn(doorman).context("nobody can be let in")?;
    Ok(())
}

/// Hears one viewer on a thread of its own.
pub(super) fn attend(stream: UnixStream, inputs: Sender<Input>) -> Result<()> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    static THERE: AtomicUsize = AtomicUsize::new(0);
    peer::check(&stream)?;
    ensure!(THERE.load(Ordering::SeqCst) < MOST_VIEWERS, "{MOST_VIEWERS} are here already");
    let id = LAST.fetch_add(1, Ordering::SeqCst);
    THERE.fetch_add(1, Ordering::SeqCst);
    let reader = move || {
        if let Err(error) = hear(stream, id, &inputs) {
            eprintln!("viewer {id}: {error:#}");
        }
        inputs.send(Input::Left(id)).ok(); // the worker has ended
        THERE.fetch_sub(1, Ordering::SeqCst);
    };
    thread::Builder::new().name("viewer's requests".into()).spawn(reader).context("a viewer cannot be heard")?;
    Ok(())
}

fn hear(mut stream: UnixStream, id: Id, inputs: &Sender<Input>) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE)).context("no time can be set")?;
    let Some(theirs) = Greeting::read(&mut stream)? else { return Ok(()) };
    Greeting::own().write(&mut stream)?;
    // They are told which version they speak to, and say so to the writer.
    ensure!(theirs.is_understood(), "it is voicetune {}, which speaks protocol {}", theirs.version, theirs.protocol);
    stream.set_read_timeout(None).context("no time can be set")?;
    inputs.send(Input::Came(id, stream.try_clone().context("a viewer cannot be written to")?)).ok(); // the worker has ended
    while let Some(request) = frame::read::<Request>(&mut stream)? {
        if inputs.send(Input::Asked(id, request)).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_viewer_that_never_reads_is_let_go_and_nobody_waits_for_it() {
        let mut viewers = Viewers::default();
        let (deaf, _unread) = UnixStream::pair().unwrap();
        let (keen, mut reading) = UnixStream::pair().unwrap();
        viewers.add(1, deaf).unwrap();
        viewers.add(2, keen).unwrap();
        let counter = thread::spawn(move || {
            let mut heard = 0;
            while let Some(report) = frame::read::<Report>(&mut reading).unwrap() {
                heard += usize::from(matches!(report, Report::State(_)));
            }
            heard
        });
        let begun = Instant::now();
        let mut told = 0;
        while viewers.0.contains_key(&1) {
            viewers.mention(&Report::Logged).unwrap();
            // As slow as the keen one reads.
            while viewers.0.get(&2).unwrap().waiting.load(Ordering::Relaxed) > LAG {
                thread::yield_now();
            }
            viewers.tell_all(&Report::State(Box::default())).unwrap();
            told += 1;
            assert!(told < 1_000_000 && begun.elapsed() < Duration::from_secs(60), "{told}");
        }
        assert!(told > ROOM);
        viewers.remove(2);
        let heard = counter.join().unwrap();
        assert!(heard <= told && heard + LAG + 1 >= told, "{heard} of {told}: the other one was told all the while");
    }

    #[test]
    fn a_viewer_that_lags_is_not_told_what_it_can_do_without() {
        let mut viewers = Viewers::default();
        let (deaf, _unread) = UnixStream::pair().unwrap();
        viewers.add(1, deaf).unwrap();
        (0..1_000_000).for_each(|_| viewers.mention(&Report::Logged).unwrap());
        assert!(viewers.0.contains_key(&1), "it may come back to it");
        assert!(viewers.0[&1].waiting.load(Ordering::Relaxed) <= LAG + 1);
    }
}
