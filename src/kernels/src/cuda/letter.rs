//! Numbers on their way to the host while the device goes on: who reads them waits for their own copy, not for all that was launched since.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{CudaEvent, CudaStream, result};
use candle_core::{DType, Result, Tensor, bail};

use super::launch::{address, own_stream};

/// Memory that the device writes to by itself. It is used again and again, since taking and freeing it makes the device wait.
struct Page {
    at: *mut u8,
    bytes: usize,
}

// SAFETY: plain memory, which one letter has at a time.
unsafe impl Send for Page {}

/// Pages that no letter has. They stay until the program ends.
static PAGES: Mutex<Vec<Page>> = Mutex::new(Vec::new());

/// What was sent of a tensor.
pub struct Letter {
    stream: Arc<CudaStream>,
    page: Option<Page>,
    bytes: usize,
    sent: CudaEvent,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Letter({} bytes)", self.bytes)
    }
}

impl Letter {
    /// Sends a contiguous tensor in f32 or i64, behind all that was launched so far.
    pub fn send(t: &Tensor) -> Result<Self> {
        if !matches!(t.dtype(), DType::F32 | DType::I64) {
            bail!("no letter of {:?}", t.dtype());
        }
        let (stream, bytes) = (own_stream(t.device())?, t.elem_count() * t.dtype().size_in_bytes());
        stream.context().bind_to_thread().w()?;
        let mut pages = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that fits, or a short letter would take the page that the next long one needs.
        let fitting = (0..pages.len()).filter(|&page| pages[page].bytes >= bytes).min_by_key(|&page| pages[page].bytes);
        let page = match fitting {
            Some(fits) => pages.swap_remove(fits),
            None => {
                let room = bytes.next_power_of_two().max(4096);
                // SAFETY: never freed.
                Page { at: unsafe { result::malloc_host(room, 0) }.w()?.cast(), bytes: room }
            }
        };
        // SAFETY: the page has room for it, and nobody reads it before its event has come.
        unsafe {
            let to = std::slice::from_raw_parts_mut(page.at, bytes);
            result::memcpy_dtoh_async(to, address(t)?.bits(), stream.cu_stream()).w()?;
        }
        let sent = stream.record_event(None).w()?;
        Ok(Letter { stream, page: Some(page), bytes, sent })
    }

    /// Waits for the numbers, which were sent in f32.
    pub fn f32s(&self) -> Result<Vec<f32>> {
        Ok(self.read()?.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect())
    }

    /// Waits for the numbers, which were sent in i64.
    pub fn i64s(&self) -> Result<Vec<i64>> {
        let number = |bytes: &[u8]| i64::from_le_bytes(std::array::from_fn(|i| bytes[i]));
        Ok(self.read()?.chunks_exact(8).map(number).collect())
    }

    fn read(&self) -> Result<&[u8]> {
        self.sent.synchronize().w()?;
        let Some(page) = &self.page else { bail!("a letter has a page until it is dropped") };
        // SAFETY: the copy to this page is over, and the page is this letter's.
        Ok(unsafe { std::slice::from_raw_parts(page.at, self.bytes) })
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        // The copy may still be under way.
        self.stream.context().record_err(self.sent.synchronize());
        PAGES.lock().unwrap_or_else(PoisonError::into_inner).extend(self.page.take());
    }
}
