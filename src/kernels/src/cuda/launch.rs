//! From tensors to kernel launches: addresses, modules that are loaded once, and checked launches on the device's own stream.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use candle_core::cuda::cudarc::driver::{CudaFunction, CudaModule, CudaStream, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg, sys};
use candle_core::cuda::cudarc::nvrtc::Ptx;
use candle_core::cuda::{CudaDevice, CudaStorageSlice, DeviceId, WrapErr};
use candle_core::{DType, Device, Result, Shape, Storage, Tensor, bail};

use crate::lines::stride;

/// The compiled kernels of one `.cu` file.
pub(super) struct Image {
    pub name: &'static str,
    pub bytes: &'static [u8],
}

/// The image that the build script made of `$name.cu`.
macro_rules! image {
    ($name:literal) => {
        crate::cuda::launch::Image { name: $name, bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".fatbin")) }
    };
}
pub(super) use image;

/// A kernel's argument: 8 bytes, of which the kernel reads as many as its parameter has. (CUDA's hosts are little-endian.)
#[derive(Clone, Copy)]
pub(super) struct Arg(u64);

impl Arg {
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl From<usize> for Arg {
    fn from(value: usize) -> Self {
        Arg(value as u64)
    }
}

impl From<u64> for Arg {
    fn from(value: u64) -> Self {
        Arg(value)
    }
}

impl From<u32> for Arg {
    fn from(value: u32) -> Self {
        Arg(value.into())
    }
}

impl From<f64> for Arg {
    fn from(value: f64) -> Self {
        Arg(value.to_bits())
    }
}

impl From<f32> for Arg {
    fn from(value: f32) -> Self {
        Arg(value.to_bits().into())
    }
}

/// The address of a tensor's first element; the tensor must be contiguous.
pub(super) fn address(t: &Tensor) -> Result<Arg> {
    if !t.is_contiguous() {
        bail!("{:?} is not contiguous", t.shape());
    }
    first(t)
}

/// The address of a tensor's first element, whatever its strides.
pub(super) fn first(t: &Tensor) -> Result<Arg> {
    let (storage, layout) = t.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { bail!("expected a tensor on a CUDA device") };
    let stream = storage.device.cuda_stream();
    // The guards only matter between streams, and there is one.
    let base = match &storage.slice {
        CudaStorageSlice::F32(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::BF16(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::F16(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::U32(slice) => slice.device_ptr(&stream).0,
        CudaStorageSlice::I64(slice) => slice.device_ptr(&stream).0,
        _ => bail!("no CUDA kernel takes {:?}", t.dtype()),
    };
    Ok(Arg(base + (layout.start_offset() * t.dtype().size_in_bytes()) as u64))
}

/// The address of a matrix whose rows may lie apart, and their distance in elements.
pub(super) fn rows(t: &Tensor) -> Result<(Arg, usize)> {
    let ((n, width), stride) = (t.dims2()?, t.stride());
    if width > 1 && stride[1] != 1 {
        bail!("the rows of {:?} with strides {stride:?} cannot be read", t.shape());
    }
    Ok((first(t)?, if n > 1 { stride[0] } else { width }))
}

/// The address, or null.
pub(super) fn optional(t: Option<&Tensor>) -> Result<Arg> {
    t.map_or(Ok(Arg(0)), address)
}

/// The stream on which a device does all that is not sent elsewhere.
pub(super) fn own_stream(device: &Device) -> Result<Arc<CudaStream>> {
    let Device::Cuda(device) = device else { bail!("expected a CUDA device") };
    Ok(device.cuda_stream())
}

/// A tensor for a kernel to write; it must write all of it.
pub(super) fn empty(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
    // SAFETY: no element is read before the kernel that it is made for has written it.
    unsafe { Tensor::empty(shape, dtype, device) }
}

/// A matrix for kernels to write all of, whose rows start lines of memory.
pub(super) fn empty_rows(n: usize, columns: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    empty((n, stride(columns, dtype.size_in_bytes())), dtype, device)?.narrow(1, 0, columns)
}

/// The same of (n, width + room); without room its rows lie together.
pub(super) fn wide(n: usize, width: usize, room: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    if room == 0 { empty((n, width), dtype, device) } else { empty_rows(n, width + room, dtype, device) }
}

/// Elements that one 16-byte access holds, where all of these widths and addresses allow it; else 1.
pub(super) fn lanes(dtype: DType, widths: &[usize], addresses: &[Arg]) -> usize {
    let lanes = 16 / dtype.size_in_bytes();
    let fits = widths.iter().all(|width| width % lanes == 0) && addresses.iter().all(|address| address.0 % 16 == 0);
    if fits { lanes } else { 1 }
}

/// The suffix of a kernel's name: `_f32`, `_bf16`, `_f16`, and `_wide` where it moves 16 bytes at a time.
pub(super) fn suffix(dtype: DType, lanes: usize) -> &'static str {
    match (dtype, lanes) {
        (DType::F32, 1) => "_f32",
        (DType::F32, _) => "_f32_wide",
        (DType::F16, 1) => "_f16",
        (DType::F16, _) => "_f16_wide",
        (_, 1) => "_bf16",
        _ => "_bf16_wide",
    }
}

/// A short list on the device, by what it was made from: every layer of a pass asks for the same ones.
pub(super) struct Lists<K>(Mutex<Vec<(DeviceId, K, Tensor)>>);

impl<K: PartialEq> Lists<K> {
    /// Lists kept; the oldest goes first.
    const KEPT: usize = 4;

    pub const fn new() -> Self {
        Lists(Mutex::new(Vec::new()))
    }

    /// The list of this key, made if it is not there.
    pub fn get(&self, key: K, device: &Device, make: impl FnOnce(&K) -> Result<Tensor>) -> Result<Tensor> {
        let Device::Cuda(cuda) = device else { bail!("expected a CUDA device") };
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, list)) = lists.iter().find(|(id, known, _)| *id == cuda.id() && *known == key) {
            return Ok(list.clone());
        }
        let list = make(&key)?;
        if lists.len() == Self::KEPT {
            lists.remove(0);
        }
        lists.push((cuda.id(), key, list.clone()));
        Ok(list)
    }
}

/// How many blocks, threads of each, and bytes of dynamic shared memory.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub blocks: (usize, usize),
    pub threads: usize,
    pub shared: usize,
}

impl Grid {
    /// Enough blocks of 256 threads for one item each, at most 2^20; kernels go on in strides of the grid.
    pub fn over(items: usize) -> Self {
        Grid { blocks: (items.div_ceil(256).clamp(1, 1 << 20), 1), threads: 256, shared: 0 }
    }

    /// A block a row.
    pub fn rows(rows: usize, threads: usize) -> Self {
        Grid { blocks: (rows, 1), threads, shared: 0 }
    }
}

type Key = (DeviceId, &'static str, String);

static FUNCTIONS: LazyLock<Mutex<HashMap<Key, CudaFunction>>> = LazyLock::new(Default::default);
/// Of a device and an image.
type Modules = HashMap<(DeviceId, &'static str), Arc<CudaModule>>;

static MODULES: LazyLock<Mutex<Modules>> = LazyLock::new(Default::default);

fn function(device: &CudaDevice, image: &Image, name: &str, shared: usize) -> Result<CudaFunction> {
    let mut functions = FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (device.id(), image.name, name.to_owned());
    if let Some(function) = functions.get(&key) {
        return Ok(function.clone());
    }
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let module = match modules.entry((device.id(), image.name)) {
        std::collections::hash_map::Entry::Occupied(entry) => entry.get().clone(),
        std::collections::hash_map::Entry::Vacant(entry) => {
            let module = device.cuda_stream().context().load_module(Ptx::from_binary(image.bytes.to_vec())).w()?;
            entry.insert(module).clone()
        }
    };
    let function = module.load_function(name).w()?;
    if shared > 48 << 10 {
        let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        function.set_attribute(attribute, shared as i32).w()?;
    }
    functions.insert(key, function.clone());
    Ok(function)
}

/// Launches `name` of `image` on the device's stream.
///
/// # Safety
/// The arguments must be those of the kernel, in order, and every address must have room for what the kernel reads and writes.
pub(super) unsafe fn launch(device: &Device, image: &Image, name: &str, grid: Grid, args: &[Arg]) -> Result<()> {
    // SAFETY: promised by the caller.
    unsafe { launch_on::<Words>(own_stream(device)?.as_ref(), device, image, name, grid, &[], args) }
}

/// Four words that a kernel takes by value, as one structure.
pub(super) struct Words {
    /// Read by the kernel alone.
    pub _words: [u64; 4],
}

// SAFETY: 32 bytes of plain data.
unsafe impl DeviceRepr for Words {}

/// A matrix as Hopper's copy engine sees it: passed to a kernel by value.
pub(super) struct TensorMap {
    /// Read by the kernel alone.
    _map: sys::CUtensorMap,
}

// SAFETY: 128 bytes of plain data, which is what a kernel's `const __grid_constant__ TensorMap` takes.
unsafe impl DeviceRepr for TensorMap {}

#[cfg(hopper)]
impl TensorMap {
    /// A bf16 matrix, of which the copy engine takes 64 x 64 elements at a time, into 128-byte swizzled rows.
    pub fn new(t: &Tensor) -> Result<Self> {
        let ((n, width), (address, stride)) = (t.dims2()?, rows(t)?);
        if t.dtype() != DType::BF16 || address.0 % 16 != 0 || stride % 8 != 0 {
            bail!("the copy engine cannot read {:?} {:?} in rows of {stride}", t.dtype(), t.shape());
        }
        let mut map = std::mem::MaybeUninit::<sys::CUtensorMap>::uninit();
        // SAFETY: the map has room for itself; sizes and strides are the tensor's own, and the driver checks them.
        unsafe {
            sys::cuTensorMapEncodeTiled(
                map.as_mut_ptr(),
                sys::CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                2,
                address.0 as *mut _,
                [width as u64, n as u64].as_ptr(),
                [stride as u64 * 2].as_ptr(),
                [64, 64].as_ptr(),
                [1, 1].as_ptr(),
                sys::CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE,
                sys::CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B,
                sys::CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                sys::CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
            )
            .result()
            .w()?;
            Ok(TensorMap { _map: map.assume_init() })
        }
    }
}

/// Launches on any stream of the device; `values` are a kernel's first arguments where these are structures, tensor maps for one.
///
/// # Safety
/// As for [`launch`].
pub(super) unsafe fn launch_on<V: DeviceRepr>(
    stream: &CudaStream,
    device: &Device,
    image: &Image,
    name: &str,
    grid: Grid,
    values: &[V],
    args: &[Arg],
) -> Result<()> {
    let Device::Cuda(device) = device else { bail!("expected a CUDA device") };
    let function = function(device, image, name, grid.shared)?;
    let mut builder = stream.launch_builder(&function);
    for value in values {
        builder.arg(value);
    }
    for arg in args {
        builder.arg(&arg.0);
    }
    let config = LaunchConfig {
        grid_dim: (grid.blocks.0 as u32, grid.blocks.1 as u32, 1),
        block_dim: (grid.threads as u32, 1, 1),
        shared_mem_bytes: grid.shared as u32,
    };
    // SAFETY: promised by the caller.
    unsafe { builder.launch(config) }.w()?;
    Ok(())
}

/// The same with blocks that lie next to each other running as clusters of `cluster`, at most 8.
///
/// # Safety
/// As for [`launch`].
#[cfg(hopper)]
pub(super) unsafe fn launch_clusters(
    device: &Device,
    image: &Image,
    name: &str,
    grid: Grid,
    cluster: usize,
    maps: &[TensorMap],
    args: &[Arg],
) -> Result<()> {
    let Device::Cuda(device) = device else { bail!("expected a CUDA device") };
    let attribute = sys::CUlaunchAttribute {
        id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
        pad: [0; 4],
        value: sys::CUlaunchAttributeValue {
            clusterDim: sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x: cluster as u32, y: 1, z: 1 },
        },
    };
    // SAFETY: promised by the caller.
    unsafe { launch_with(device, image, name, grid, maps, args, &mut [attribute]) }
}

/// Launches a kernel that may start before the one before it has ended, where the card can (capability 9.0): see decode.cuh.
///
/// # Safety
/// As for [`launch`]; and what the kernel reads or writes before it waits must not be written by the kernels before it in its step.
pub(super) unsafe fn launch_early(device: &Device, image: &Image, name: &str, grid: Grid, args: &[Arg]) -> Result<()> {
    let Device::Cuda(device) = device else { bail!("expected a CUDA device") };
    let early = device.cuda_stream().context().compute_capability().w()?.0 >= 9;
    let mut attribute = [sys::CUlaunchAttribute {
        id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
        pad: [0; 4],
        value: sys::CUlaunchAttributeValue { programmaticStreamSerializationAllowed: 1 },
    }];
    // SAFETY: promised by the caller.
    unsafe { launch_with(device, image, name, grid, &[], args, &mut attribute[..usize::from(early)]) }
}

/// Launches with attributes, which cudarc's own launches do not take.
///
/// # Safety
/// As for [`launch`].
unsafe fn launch_with(
    device: &CudaDevice,
    image: &Image,
    name: &str,
    grid: Grid,
    maps: &[TensorMap],
    args: &[Arg],
    attributes: &mut [sys::CUlaunchAttribute],
) -> Result<()> {
    let function = function(device, image, name, grid.shared)?;
    let stream = device.cuda_stream();
    stream.context().bind_to_thread().w()?;
    let maps = maps.iter().map(|map| std::ptr::from_ref(map).cast_mut().cast::<std::ffi::c_void>());
    let args = args.iter().map(|arg| std::ptr::from_ref(&arg.0).cast_mut().cast::<std::ffi::c_void>());
    let mut places: Vec<_> = maps.chain(args).collect();
    let config = sys::CUlaunchConfig {
        gridDimX: grid.blocks.0 as u32,
        gridDimY: grid.blocks.1 as u32,
        gridDimZ: 1,
        blockDimX: grid.threads as u32,
        blockDimY: 1,
        blockDimZ: 1,
        sharedMemBytes: grid.shared as u32,
        hStream: stream.cu_stream(),
        numAttrs: attributes.len() as u32,
        attrs: attributes.as_mut_ptr(),
    };
    // SAFETY: promised by the caller; `config`, the attributes and the arguments, which are only read, outlive the call.
    unsafe { sys::cuLaunchKernelEx(&raw const config, function.cu_function(), places.as_mut_ptr(), std::ptr::null_mut()) }.result().w()
}
