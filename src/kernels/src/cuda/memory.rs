//! The device's memory pool: what it keeps, and how much of it was in use at most.

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::driver::{result, sys};
use candle_core::{Device, Result, bail};

use sys::CUmemPool_attribute as Attribute;

/// Bytes of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Taken from the system.
    pub reserved: u64,
    /// Of these, given out.
    pub used: u64,
    /// Given out at most since [`prepare`] or [`reset_peak`].
    pub peak: u64,
}

/// Readies a device for one thread that owns it: the pool keeps the memory that is given back, which every step takes again, and
/// candle's events between streams are switched off: all it launches goes to one.
pub fn prepare(device: &Device) -> Result<()> {
    let Device::Cuda(cuda) = device else { bail!("expected a CUDA device") };
    // SAFETY: tensors are used on one stream; `Beside` orders its own, and keeps what it works on.
    unsafe { cuda.disable_event_tracking() };
    set(device, Attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, u64::MAX)
}

/// Forgets the peak so far.
pub fn reset_peak(device: &Device) -> Result<()> {
    set(device, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0)
}

/// What the pool holds.
pub fn pool(device: &Device) -> Result<Pool> {
    Ok(Pool {
        reserved: get(device, Attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?,
        used: get(device, Attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?,
        peak: get(device, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)?,
    })
}

fn handle(device: &Device) -> Result<sys::CUmemoryPool> {
    let Device::Cuda(cuda) = device else { bail!("expected a CUDA device") };
    let context = cuda.cuda_stream().context().clone();
    context.bind_to_thread().w()?;
    // SAFETY: the handle is of a device that exists; every device has a default pool.
    unsafe { result::device::get_mem_pool(context.cu_device()) }.w()
}

fn get(device: &Device, attribute: Attribute) -> Result<u64> {
    let (pool, mut value) = (handle(device)?, 0u64);
    // SAFETY: these attributes are 64 bits wide.
    unsafe { result::mem_pool::get_attribute(pool, attribute, (&raw mut value).cast()) }.w()?;
    Ok(value)
}

fn set(device: &Device, attribute: Attribute, mut value: u64) -> Result<()> {
    let pool = handle(device)?;
    // SAFETY: these attributes are 64 bits wide.
    unsafe { result::mem_pool::set_attribute(pool, attribute, (&raw mut value).cast()) }.w()
}
