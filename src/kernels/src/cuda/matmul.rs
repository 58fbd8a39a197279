//! Matrix products through cuBLASLt: its operands may be strided, its results take a bias, GELU or a residual along, and which of its
//! algorithms makes a product depends on nothing but the product's shape, so that the same run takes the same ones.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use candle_core::cuda::cudarc::cublaslt::{result, sys};
use candle_core::cuda::cudarc::driver::CudaStream;
use candle_core::cuda::cudarc::driver::sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT as MULTIPROCESSORS;
use candle_core::cuda::{DeviceId, WrapErr};
use candle_core::{DType, Device, Error, Result, Tensor, bail};

use super::cublaslt::{Description, Layout, Preference, setting};
use super::launch::{address, empty};
use crate::roofline::{self, Way};

/// Scratch memory that a product may take: what NVIDIA recommends for Hopper.
const WORKSPACE: usize = 32 << 20;

/// Algorithms that cuBLASLt is asked for.
const CANDIDATES: usize = 8;

/// A size as the search has it. Texts have lengths without end, and each new shape costs a search (0.13 ms on an H100's host) and, for each
/// kernel that was not used before, its way to the card (2.5 ms).
fn rounded(size: usize) -> usize {
    size.next_multiple_of(if size > 512 { 64 } else { 32 })
}

/// The smallest of a product's three sizes where its algorithm may be another than cuBLASLt's first: below, memory bounds it; above, the
/// tensor cores do, and the libraries' own choices are right.
const SHORT: std::ops::RangeInclusive<usize> = 128..=1024;

/// A matrix by columns, which lie `stride` elements apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Matrix {
    pub at: u64,
    pub rows: usize,
    pub columns: usize,
    pub stride: usize,
    pub dtype: DType,
}

/// What else a product does to its result.
#[derive(Debug, Clone, Copy)]
pub(super) enum Epilogue {
    Nothing,
    /// Adds a vector to each column.
    Bias(u64),
    /// Adds a vector to each column, keeps that in a matrix with columns `stride` apart, and takes GELU of it.
    Gelu {
        bias: u64,
        before: u64,
        stride: usize,
    },
}

/// `d = scale op(a) op(b) + beta c`, where `op` transposes those that say so; summed in f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    pub a: (Matrix, bool),
    pub b: (Matrix, bool),
    pub c: Matrix,
    pub d: Matrix,
    pub scale: f32,
    pub beta: f32,
    pub epilogue: Epilogue,
}

/// A stream and the scratch memory of its products, which follow one another.
#[derive(Debug)]
pub(super) struct Lane {
    pub stream: Arc<CudaStream>,
    workspace: Tensor,
}

impl Lane {
    pub fn new(stream: Arc<CudaStream>, device: &Device) -> Result<Self> {
        Ok(Lane { stream, workspace: empty(WORKSPACE / 4, DType::F32, device)? })
    }

    /// Launches a product behind what this lane's stream has.
    ///
    /// # Safety
    /// The matrices must lie on the lane's device, each with room for what its shape says; so must the epilogue's.
    pub unsafe fn run(&self, product: &Product) -> Result<()> {
        let library = library();
        // SAFETY: promised by the caller.
        unsafe { self.launch(library, product) }
    }

    /// # Safety
    /// As for [`Lane::run`].
    unsafe fn launch(&self, mut library: MutexGuard<Library>, product: &Product) -> Result<()> {
        let algorithm = library.algorithm(product, self)?;
        let (description, [a, b, c, d]) = (product.description()?, product.layouts()?);
        let workspace = address(&self.workspace)?.bits();
        // SAFETY: promised by the caller; the workspace is as large as the search was told.
        unsafe {
            result::matmul(
                library.handle,
                description.0,
                (&raw const product.scale).cast(),
                (&raw const product.beta).cast(),
                product.a.0.at as *const _,
                a.0,
                product.b.0.at as *const _,
                b.0,
                product.c.at as *const _,
                c.0,
                product.d.at as *mut _,
                d.0,
                &raw const algorithm,
                workspace as *mut _,
                WORKSPACE,
                self.stream.cu_stream().cast(),
            )
        }
        .map_err(Error::wrap)
    }
}

/// Launches a product on the device's own stream.
///
/// # Safety
/// As for [`Lane::run`].
pub(super) unsafe fn run(product: &Product, device: &Device) -> Result<()> {
    let Device::Cuda(cuda) = device else { bail!("expected a CUDA device") };
    let mut library = library();
    let lane = match library.lanes.get(&cuda.id()) {
        Some(lane) => lane.clone(),
        None => {
            let lane = Arc::new(Lane::new(cuda.cuda_stream(), device)?);
            library.lanes.insert(cuda.id(), lane.clone());
            lane
        }
    };
    // SAFETY: promised by the caller.
    unsafe { lane.launch(library, product) }
}

impl Matrix {
    /// The same anywhere, with rows and columns rounded up.
    fn rounded(self) -> Self {
        let rows = rounded(self.rows);
        Matrix { at: 0, rows, columns: rounded(self.columns), stride: self.stride.max(rows), dtype: self.dtype }
    }

    /// Bytes at whose multiples all columns start, at most 16.
    fn alignment(&self) -> u32 {
        let places = self.at | (self.stride * self.dtype.size_in_bytes()) as u64;
        1 << places.trailing_zeros().min(4)
    }
}

impl Product {
    /// The product by whose shape its algorithm is chosen, wherever its matrices lie: rounded up, unless that would promise more of where
    /// their columns start.
    fn rounded(&self) -> Product {
        let whole = self.matrices().iter().all(|matrix| matrix.alignment() == 16);
        let of = |matrix: Matrix| if whole { matrix.rounded() } else { Matrix { at: 0, ..matrix } };
        let d = of(self.d);
        let epilogue = match self.epilogue {
            Epilogue::Gelu { bias, before, stride } => Epilogue::Gelu { bias, before, stride: stride.max(d.rows) },
            other => other,
        };
        Product { a: (of(self.a.0), self.a.1), b: (of(self.b.0), self.b.1), c: of(self.c), d, epilogue, ..*self }
    }

    fn matrices(&self) -> [Matrix; 4] {
        [self.a.0, self.b.0, self.c, self.d]
    }

    fn layouts(&self) -> Result<[Layout; 4]> {
        let [a, b, c, d] = self.matrices().map(|matrix| Layout::new(matrix.dtype, matrix.rows, matrix.columns, matrix.stride));
        Ok([a?, b?, c?, d?])
    }

    fn description(&self) -> Result<Description> {
        use sys::cublasLtMatmulDescAttributes_t as Of;
        let description = Description::new()?;
        description.set(Of::CUBLASLT_MATMUL_DESC_TRANSA, &i32::from(self.a.1))?;
        description.set(Of::CUBLASLT_MATMUL_DESC_TRANSB, &i32::from(self.b.1))?;
        let (epilogue, bias) = match self.epilogue {
            Epilogue::Nothing => return Ok(description),
            Epilogue::Bias(bias) => (sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS, bias),
            Epilogue::Gelu { bias, before, stride } => {
                description.set(Of::CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &before)?;
                description.set(Of::CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &(stride as i64))?;
                (sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_GELU_AUX_BIAS, bias)
            }
        };
        description.set(Of::CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue)?;
        description.set(Of::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
        Ok(description)
    }

    /// Whether its algorithm is chosen here: see [`SHORT`]; in types of two bytes, all columns at 16-byte boundaries.
    pub fn is_short(&self) -> bool {
        let (rows, columns, depth) = self.size();
        let fits = |matrix: &Matrix| matrix.dtype.size_in_bytes() == 2 && matrix.alignment() == 16;
        SHORT.contains(&rows.min(columns).min(depth)) && self.matrices().iter().all(fits)
    }

    /// Rows and columns of the result, and the depth that is summed over.
    pub fn size(&self) -> (usize, usize, usize) {
        let (a, transposed) = self.a;
        (self.d.rows, self.d.columns, if transposed { a.rows } else { a.columns })
    }
}

/// What decides on the algorithm: of each matrix its type, shape, stride and alignment, which are transposed, and the epilogue.
type Key = (DeviceId, [Matrix; 4], [u32; 4], [bool; 2], std::mem::Discriminant<Epilogue>);

struct Library {
    handle: sys::cublasLtHandle_t,
    algorithms: HashMap<Key, sys::cublasLtMatmulAlgo_t>,
    /// The devices' own streams.
    lanes: HashMap<DeviceId, Arc<Lane>>,
}

// SAFETY: cuBLASLt's handle may be used from any thread, and the mutex gives it to one at a time.
unsafe impl Send for Library {}

static LIBRARY: LazyLock<Mutex<Library>> = LazyLock::new(|| {
    let handle = result::create_handle().unwrap_or(std::ptr::null_mut()); // a null handle fails at its first use, with cuBLAS's own error
    Mutex::new(Library { handle, algorithms: HashMap::new(), lanes: HashMap::new() })
});

fn library() -> MutexGuard<'static, Library> {
    LIBRARY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Library {
    /// The algorithm for a product of this shape, or of a slightly smaller one.
    fn algorithm(&mut self, product: &Product, lane: &Lane) -> Result<sys::cublasLtMatmulAlgo_t> {
        let Device::Cuda(cuda) = lane.workspace.device() else { bail!("expected a CUDA device") };
        let alignments = product.matrices().map(|matrix| matrix.alignment());
        let product = product.rounded();
        let key = (cuda.id(), product.matrices(), alignments, [product.a.1, product.b.1], std::mem::discriminant(&product.epilogue));
        if let Some(algorithm) = self.algorithms.get(&key) {
            return Ok(*algorithm);
        }
        let candidates = self.candidates(&product, alignments)?;
        let choice = choose(&candidates, &product, &lane.stream)?;
        if self.algorithms.len() >= 4096 {
            self.algorithms.clear(); // what is forgotten is found again
        }
        self.algorithms.insert(key, candidates[choice]);
        Ok(candidates[choice])
    }

    /// The algorithms that cuBLASLt thinks fastest, the best first; at least one.
    fn candidates(&self, product: &Product, alignments: [u32; 4]) -> Result<Vec<sys::cublasLtMatmulAlgo_t>> {
        use sys::cublasLtMatmulPreferenceAttributes_t as Wish;
        let preference = Preference::new()?;
        preference.set(Wish::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &WORKSPACE)?;
        let wishes = [
            Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
            Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
            Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
            Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
        ];
        for (wish, alignment) in wishes.into_iter().zip(alignments) {
            preference.set(wish, &alignment)?;
        }
        let (description, [a, b, c, d]) = (product.description()?, product.layouts()?);
        let mut found = [const { std::mem::MaybeUninit::<sys::cublasLtMatmulHeuristicResult_t>::uninit() }; CANDIDATES];
        let mut count = 0;
        // SAFETY: all of these are alive, and there is room for as many results as are asked for; `count` of them are written.
        let found = unsafe {
            let (room, many) = (found.as_mut_ptr().cast(), CANDIDATES as i32);
            sys::cublasLtMatmulAlgoGetHeuristic(self.handle, description.0, a.0, b.0, c.0, d.0, preference.0, many, room, &raw mut count)
                .result()
                .map_err(Error::wrap)?;
            found[..count as usize].iter().map(|one| one.assume_init_ref())
        };
        let usable = found.filter(|one| one.state == sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS);
        let algorithms: Vec<_> = usable.map(|one| one.algo).collect();
        if algorithms.is_empty() {
            bail!("cuBLASLt has no algorithm for such a product");
        }
        Ok(algorithms)
    }
}

/// The first, unless the roofline of a Hopper card speaks for another.
fn choose(candidates: &[sys::cublasLtMatmulAlgo_t], product: &Product, stream: &CudaStream) -> Result<usize> {
    if !product.is_short() || stream.context().compute_capability().w()?.0 != 9 {
        return Ok(0);
    }
    let multiprocessors = stream.context().attribute(MULTIPROCESSORS).w()? as usize;
    let ways: Vec<_> = candidates.iter().map(way).collect();
    Ok(roofline::fastest(&ways, product.size(), multiprocessors))
}

/// How an algorithm divides its product, where that is known.
fn way(algorithm: &sys::cublasLtMatmulAlgo_t) -> Option<Way> {
    use sys::cublasLtMatmulAlgoConfigAttributes_t as Of;
    let tile: u32 = setting(algorithm, Of::CUBLASLT_ALGO_CONFIG_TILE_ID)?;
    let cluster: u16 = setting(algorithm, Of::CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID)?;
    let parts: i32 = setting(algorithm, Of::CUBLASLT_ALGO_CONFIG_SPLITK_NUM)?;
    if tile >= sys::cublasLtMatmulTile_t::CUBLASLT_MATMUL_TILE_END as u32
        || !(sys::cublasLtClusterShape_t::CUBLASLT_CLUSTER_SHAPE_1x1x1 as u32
            ..sys::cublasLtClusterShape_t::CUBLASLT_CLUSTER_SHAPE_END as u32)
            .contains(&cluster.into())
    {
        return None;
    }
    // SAFETY: both enumerations number their variants without a gap from 0 or 1x1x1 to their end, which was checked.
    let (tile, cluster) = unsafe {
        (
            std::mem::transmute::<u32, sys::cublasLtMatmulTile_t>(tile),
            std::mem::transmute::<u32, sys::cublasLtClusterShape_t>(cluster.into()),
        )
    };
    Some(Way { tile: sizes(&format!("{tile:?}"))?, cluster: sizes(&format!("{cluster:?}"))?, parts: parts.max(1) as usize })
}

/// The first two sizes of a name as `CUBLASLT_CLUSTER_SHAPE_2x1x1`.
fn sizes(name: &str) -> Option<(usize, usize)> {
    let mut sizes = name.rsplit('_').next()?.split('x').map(|size| size.parse().ok());
    Some((sizes.next()??, sizes.next()??))
}
