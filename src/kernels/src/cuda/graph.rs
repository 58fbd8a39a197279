//! Steps that are recorded once and replayed, and small numbers on their way to the host, so that a step costs the host one launch.

use std::sync::{Arc, OnceLock};

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{CudaEvent, CudaGraph, CudaStream, result, sys};
use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{address, own_stream};

/// Launches in their order, with their arguments: the memory they work on must stay where it is.
pub struct Graph(CudaGraph);

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Graph")
    }
}

/// Why the driver would not record a graph, the first time it would not.
static REFUSAL: OnceLock<String> = OnceLock::new();

/// Why steps are launched kernel by kernel, if they are.
pub fn refusal() -> Option<&'static str> {
    REFUSAL.get().map(String::as_str)
}

impl Graph {
    /// Records what `launches` launches, without running it, or `None` where the driver refuses: [`refusal`] then says why. Every
    /// kernel must have been launched before, and no memory may be taken.
    ///
    /// # Errors
    /// Those of `launches`.
    pub fn record(device: &Device, launches: impl FnOnce() -> Result<()>) -> Result<Option<Self>> {
        let stream = own_stream(device)?;
        let recorded = stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).and_then(|()| {
            let launched = launches();
            Ok((launched, stream.end_capture(sys::CUgraphInstantiate_flags(0))?))
        });
        let why = match recorded {
            Ok((launched, Some(graph))) => {
                launched?;
                return Ok(Some(Graph(graph)));
            }
            Ok((launched, None)) => launched.err().map_or("nothing was recorded".to_owned(), |error| error.to_string()),
            Err(error) => error.to_string(),
        };
        REFUSAL.get_or_init(|| why);
        Ok(None)
    }

    /// Gives the launches to the device.
    pub fn replay(&self) -> Result<()> {
        self.0.launch().w()
    }
}

/// Rows of u32 on their way to the host: two at a time, while the device goes on.
pub struct Mailbox {
    stream: Arc<CudaStream>,
    /// Two slots of `width` numbers, in memory that the device writes to by itself.
    memory: *mut u32,
    width: usize,
    sent: [Option<CudaEvent>; 2],
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Mailbox({})", self.width)
    }
}

impl Mailbox {
    pub fn new(width: usize, device: &Device) -> Result<Self> {
        let stream = own_stream(device)?;
        stream.context().bind_to_thread().w()?;
        // SAFETY: freed once, in `drop`.
        let memory = unsafe { result::malloc_host(2 * width * size_of::<u32>(), 0) }.w()?.cast();
        Ok(Mailbox { stream, memory, width, sent: [None, None] })
    }

    /// Sends a row to slot `index % 2`, behind all that was launched so far.
    pub fn send(&mut self, row: &Tensor, index: usize) -> Result<()> {
        if row.elem_count() != self.width || row.dtype() != DType::U32 {
            bail!("a mailbox of {} numbers does not take {:?}", self.width, row.shape());
        }
        let slot = index % 2;
        self.stream.context().bind_to_thread().w()?;
        // SAFETY: the slot lies in `memory`, and nobody reads it before its event has come.
        unsafe {
            let to = std::slice::from_raw_parts_mut(self.memory.add(slot * self.width), self.width);
            result::memcpy_dtoh_async(to, address(row)?.bits(), self.stream.cu_stream()).w()?;
        }
        self.sent[slot] = Some(self.stream.record_event(None).w()?);
        Ok(())
    }

    /// Waits for what was sent to slot `index % 2`.
    pub fn receive(&mut self, index: usize) -> Result<Vec<u32>> {
        let slot = index % 2;
        let Some(sent) = self.sent[slot].take() else { bail!("nothing was sent to slot {slot}") };
        sent.synchronize().w()?;
        // SAFETY: the copy into this slot is over.
        Ok(unsafe { std::slice::from_raw_parts(self.memory.add(slot * self.width), self.width) }.to_vec())
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let context = self.stream.context();
        // A copy may still be under way.
        context.record_err(self.stream.synchronize());
        // SAFETY: it is `malloc_host`'s, and nobody uses it any more.
        context.record_err(unsafe { result::free_host(self.memory.cast()) });
    }
}
