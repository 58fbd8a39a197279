//! Tables that stay in the host's memory and are read from there, row by row, by the device itself.

use std::sync::{Arc, OnceLock};

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{CudaContext, sys};
use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor, bail};

/// A matrix in the host's memory, pinned, so that a device's kernels can read it over the bus.
pub struct HostTable {
    /// Its memory is what the device reads.
    table: Tensor,
    /// Where the device sees it.
    at: u64,
    context: Arc<CudaContext>,
}

impl std::fmt::Debug for HostTable {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "HostTable({:?} {:?})", self.table.dtype(), self.table.shape())
    }
}

/// Why memory could not be pinned, the first time it could not.
static REFUSAL: OnceLock<String> = OnceLock::new();

/// Why tables stay on the device, if they do.
pub fn refusal() -> Option<&'static str> {
    REFUSAL.get().map(String::as_str)
}

impl HostTable {
    /// Copies a matrix (V, C) from the device to pinned memory; `None` where the driver does not pin it: [`refusal`] then says why.
    pub fn new(table: &Tensor) -> Result<Option<Self>> {
        let Device::Cuda(cuda) = table.device() else { bail!("expected a table on a CUDA device") };
        table.dims2()?;
        if REFUSAL.get().is_some() {
            return Ok(None);
        }
        let context = cuda.cuda_stream().context().clone();
        context.bind_to_thread().w()?;
        let table = table.to_device(&Device::Cpu)?.contiguous()?;
        let (memory, bytes) = memory(&table)?;
        let flags = sys::CU_MEMHOSTREGISTER_PORTABLE | sys::CU_MEMHOSTREGISTER_DEVICEMAP;
        // SAFETY: the memory is the tensor's, which is neither written nor freed before `drop` unpins it.
        if let Err(error) = unsafe { sys::cuMemHostRegister_v2(memory, bytes, flags) }.result() {
            REFUSAL.get_or_init(|| error.to_string());
            return Ok(None);
        }
        let mut at = 0;
        // SAFETY: `memory` was pinned just now.
        let seen = unsafe { sys::cuMemHostGetDevicePointer_v2(&raw mut at, memory, 0) }.result();
        let pinned = HostTable { table, at, context };
        seen.w()?;
        Ok(Some(pinned))
    }

    /// (V, C), on the CPU.
    pub fn tensor(&self) -> &Tensor {
        &self.table
    }

    pub(super) fn address(&self) -> u64 {
        self.at
    }
}

impl Drop for HostTable {
    fn drop(&mut self) {
        // Kernels that read it may still be under way.
        self.context.record_err(self.context.synchronize());
        if let Ok((memory, _)) = memory(&self.table) {
            // SAFETY: pinned in `new`, unpinned once.
            self.context.record_err(unsafe { sys::cuMemHostUnregister(memory) }.result());
        }
    }
}

/// Where a tensor on the CPU lies, and its bytes.
fn memory(t: &Tensor) -> Result<(*mut std::ffi::c_void, usize)> {
    let (storage, layout) = t.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { bail!("expected a tensor on the CPU") };
    if layout.start_offset() != 0 || !t.is_contiguous() {
        bail!("a view of {:?} cannot be pinned", t.shape());
    }
    let at = match storage {
        CpuStorage::F32(slice) => slice.as_ptr().cast_mut().cast(),
        CpuStorage::BF16(slice) => slice.as_ptr().cast_mut().cast(),
        CpuStorage::F16(slice) => slice.as_ptr().cast_mut().cast(),
        _ => bail!("no table of {:?} is read from the host", t.dtype()),
    };
    Ok((at, t.elem_count() * t.dtype().size_in_bytes()))
}

/// A table of rows, wherever it lies.
#[derive(Debug, Clone, Copy)]
pub enum Table<'a> {
    Device(&'a Tensor),
    Host(&'a HostTable),
}

impl Table<'_> {
    pub(super) fn tensor(&self) -> &Tensor {
        match self {
            Table::Device(table) => table,
            Table::Host(table) => table.tensor(),
        }
    }

    /// Where the device finds its first row; the rows follow one another.
    pub(super) fn address(&self) -> Result<super::launch::Arg> {
        match self {
            Table::Device(table) => super::launch::address(table),
            Table::Host(table) => Ok(table.address().into()),
        }
    }

    pub(super) fn dtype(&self) -> DType {
        self.tensor().dtype()
    }
}
