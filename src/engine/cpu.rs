//! The way from candle tensors to the f32 slices that the fused CPU kernels work on, and back.

use std::cell::Cell;
use std::ops::Deref;

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Shape, Storage, StorageRef, Tensor, bail};
use voicetune_kernels::gemm::Mat;

/// Whether the fused CPU kernels apply to a tensor: it lies in host memory, in f32.
pub fn applies(t: &Tensor) -> bool {
    t.device().is_cpu() && t.dtype() == DType::F32
}

/// A read-locked view of a contiguous f32 CPU tensor's elements.
pub struct Slice<'a> {
    storage: StorageRef<'a>,
    start: usize,
    end: usize,
}

/// The elements of `t`, which must be contiguous f32 on the CPU.
pub fn slice(t: &Tensor) -> Result<Slice<'_>> {
    let (storage, layout) = t.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else { bail!("{:?} is not contiguous", t.shape()) };
    match &*storage {
        Storage::Cpu(CpuStorage::F32(_)) => Ok(Slice { storage, start, end }),
        _ => bail!("expected f32 on the CPU, got {:?} on {:?}", t.dtype(), t.device()),
    }
}

impl Deref for Slice<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(data)) => &data[self.start..self.end],
            _ => &[], // `slice` makes none of these
        }
    }
}

/// A tensor from what a kernel wrote.
pub fn tensor(data: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(data, shape.into(), &candle_core::Device::Cpu)
}

/// Changes the elements of a contiguous f32 CPU tensor in place. `change` must hold no [`Slice`] of the same storage: it would wait for itself.
pub fn in_place(t: &Tensor, change: impl FnOnce(&mut [f32])) -> Result<()> {
    t.inplace_op1(&Change(Cell::new(Some(change))))
}

struct Change<F>(Cell<Option<F>>);

impl<F: FnOnce(&mut [f32])> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "fused-cpu"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let CpuStorage::F32(data) = storage else { bail!("expected f32") };
        let Some((start, end)) = layout.contiguous_offsets() else { bail!("{:?} is not contiguous", layout.shape()) };
        if let Some(change) = self.0.take() {
            change(&mut data[start..end]);
        }
        Ok(())
    }
}

/// A read-locked view of an f32 CPU tensor of two dimensions with any strides.
pub struct Matrix<'a> {
    storage: StorageRef<'a>,
    start: usize,
    dims: (usize, usize),
    strides: (usize, usize),
}

/// `t` (rows, columns) as it lies in memory: transposes and narrowed columns are views, not copies.
pub fn matrix(t: &Tensor) -> Result<Matrix<'_>> {
    let (storage, layout) = t.storage_and_layout();
    let dims = layout.shape().dims2()?;
    let strides = (layout.stride()[0], layout.stride()[1]);
    let start = layout.start_offset();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(_)) => Ok(Matrix { storage, start, dims, strides }),
        _ => bail!("expected f32 on the CPU, got {:?} on {:?}", t.dtype(), t.device()),
    }
}

impl Matrix<'_> {
    /// The kernels' view of it.
    pub fn mat(&self) -> Mat<'_> {
        let data: &[f32] = match &*self.storage {
            Storage::Cpu(CpuStorage::F32(data)) => &data[self.start..],
            _ => &[], // `matrix` makes none of these
        };
        Mat::strided(data, self.dims.0, self.dims.1, self.strides.0, self.strides.1)
    }
}
