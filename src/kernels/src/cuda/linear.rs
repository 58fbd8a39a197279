//! Linear layers through cuBLASLt, whose products take bias, GELU and residual along: no pass over memory for each.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use candle_core::cuda::cudarc::cublaslt::{result, sys};
use candle_core::cuda::{CudaDevice, DeviceId};
use candle_core::{DType, Device, Error, Result, Tensor, bail};

use super::launch::{empty, rows};

/// Scratch memory that a product may take: what NVIDIA recommends for Hopper.
const WORKSPACE: usize = 32 << 20;

/// `y = x w^T + bias + residual` in bf16 or f16 with f32 sums: x (N, in) and w (out, in), whose rows may lie apart.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a> {
    pub x: &'a Tensor,
    pub w: &'a Tensor,
    /// (out)
    pub bias: Option<&'a Tensor>,
    /// (N, out)
    pub residual: Option<&'a Tensor>,
}

impl Linear<'_> {
    /// Whether cuBLASLt takes these operands: bf16 or f16 on a GPU, at the boundaries that its kernels want.
    pub fn applies(&self) -> bool {
        let aligned = |t: &Tensor| rows(t).is_ok_and(|(at, stride)| at.bits() % 16 == 0 && stride % 8 == 0);
        let half = self.x.device().is_cuda() && self.w.dtype() == self.x.dtype() && kind(self.x.dtype()).is_ok();
        let out = self.w.dims()[0];
        half && out.is_multiple_of(8) && aligned(self.x) && aligned(self.w)
    }

    /// -> y (N, out)
    pub fn run(&self) -> Result<Tensor> {
        let y = empty((self.x.dim(0)?, self.w.dim(0)?), self.x.dtype(), self.x.device())?;
        self.into(&y, None)?;
        Ok(y)
    }

    /// -> y before the activation (N, out), and GELU (tanh form) of it, the first `out` columns of (N, out + room). Needs a bias and
    /// takes no residual.
    pub fn run_gelu(&self, room: usize) -> Result<(Tensor, Tensor)> {
        let (n, out) = (self.x.dim(0)?, self.w.dim(0)?);
        let before = empty((n, out), self.x.dtype(), self.x.device())?;
        let y = empty((n, out + room), self.x.dtype(), self.x.device())?;
        self.into(&y.narrow(1, 0, out)?, Some(&before))?;
        Ok((before, y))
    }

    /// cuBLAS counts by columns, so it is given `y^T = w x^T`.
    fn into(&self, y: &Tensor, before_gelu: Option<&Tensor>) -> Result<()> {
        let ((n, depth), (out, depth_w), dtype) = (self.x.dims2()?, self.w.dims2()?, self.x.dtype());
        if depth != depth_w || self.bias.is_some_and(|bias| bias.dims() != [out] || bias.dtype() != dtype) {
            bail!("a layer of {:?} with bias {:?} cannot take {:?}", self.w.shape(), self.bias.map(Tensor::shape), self.x.shape());
        }
        if self.residual.is_some_and(|residual| residual.dims() != [n, out] || residual.dtype() != dtype) {
            bail!("a residual {:?} does not fit {n} rows of {out}", self.residual.map(Tensor::shape));
        }
        if before_gelu.is_some() && (self.bias.is_none() || self.residual.is_some()) {
            bail!("GELU within a product needs a bias and takes no residual");
        }
        let Device::Cuda(cuda) = self.x.device() else { bail!("expected a CUDA device") };
        let (x, w, to) = (rows(self.x)?, rows(self.w)?, rows(y)?);
        let residual = self.residual.map(rows).transpose()?;
        let bias = self.bias.map(rows_of_vector).transpose()?;
        let aux = before_gelu.map(rows).transpose()?;

        let description = Description::new()?;
        description.set(sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_TRANSA, &1i32)?;
        let epilogue = match (bias, aux) {
            (None, _) => sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_DEFAULT,
            (Some(_), None) => sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_BIAS,
            (Some(_), Some(_)) => sys::cublasLtEpilogue_t::CUBLASLT_EPILOGUE_GELU_AUX_BIAS,
        };
        description.set(sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue)?;
        if let Some(bias) = bias {
            description.set(sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
        }
        if let Some((at, stride)) = aux {
            description.set(sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &at.bits())?;
            description.set(sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &(stride as i64))?;
        }
        let layouts = [(depth, out, w.1), (depth, n, x.1), (out, n, residual.map_or(to.1, |(_, stride)| stride)), (out, n, to.1)];
        let kind = kind(dtype)?;
        let matrices = layouts.map(|(rows, columns, stride)| Matrix::new(kind, rows, columns, stride));
        let [w_layout, x_layout, residual_layout, y_layout] = matrices;
        let layouts_of = (w_layout?, x_layout?, residual_layout?, y_layout?);

        let mut library = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
        let key: Key = (cuda.id(), dtype, layouts, epilogue as u32, residual.is_some());
        let algorithm = match library.algorithms.get(&key) {
            Some(algorithm) => *algorithm,
            None => {
                let found = library.choose(&description, &layouts_of)?;
                // Lengths vary without end; what is forgotten is found again in microseconds.
                if library.algorithms.len() >= 4096 {
                    library.algorithms.clear();
                }
                library.algorithms.insert(key, found);
                found
            }
        };
        let workspace = library.workspace(cuda, self.x.device())?;
        let (alpha, beta) = (1f32, if residual.is_some() { 1f32 } else { 0.0 });
        let c = residual.map_or(to.0, |(at, _)| at);
        // SAFETY: sizes and strides are the tensors' own, all lie on this device, and the workspace is as large as the search was told.
        unsafe {
            result::matmul(
                library.handle,
                description.0,
                (&raw const alpha).cast(),
                (&raw const beta).cast(),
                w.0.bits() as *const _,
                layouts_of.0.0,
                x.0.bits() as *const _,
                layouts_of.1.0,
                c.bits() as *const _,
                layouts_of.2.0,
                to.0.bits() as *mut _,
                layouts_of.3.0,
                &raw const algorithm,
                workspace as *mut _,
                WORKSPACE,
                cuda.cuda_stream().cu_stream().cast(),
            )
        }
        .map_err(Error::wrap)
    }
}

fn rows_of_vector(t: &Tensor) -> Result<u64> {
    Ok(super::launch::address(t)?.bits())
}

/// The types that these products are made in.
fn kind(dtype: DType) -> Result<sys::cudaDataType> {
    match dtype {
        DType::BF16 => Ok(sys::cudaDataType::CUDA_R_16BF),
        DType::F16 => Ok(sys::cudaDataType::CUDA_R_16F),
        other => bail!("no product of {other:?} takes bias and GELU along"),
    }
}

/// What decides on the algorithm: the type, rows, columns and strides of all four matrices, the epilogue, whether there is a residual.
type Key = (DeviceId, DType, [(usize, usize, usize); 4], u32, bool);

struct Library {
    handle: sys::cublasLtHandle_t,
    algorithms: HashMap<Key, sys::cublasLtMatmulAlgo_t>,
    workspaces: HashMap<DeviceId, Tensor>,
}

// SAFETY: cuBLASLt's handle may be used from any thread, and the mutex gives it to one at a time.
unsafe impl Send for Library {}

static LIBRARY: LazyLock<Mutex<Library>> = LazyLock::new(|| {
    let handle = result::create_handle().unwrap_or(std::ptr::null_mut()); // a null handle fails at its first use, with cuBLAS's own error
    Mutex::new(Library { handle, algorithms: HashMap::new(), workspaces: HashMap::new() })
});

impl Library {
    /// The algorithm that cuBLASLt thinks fastest: a function of the shapes alone, so that the same run takes the same one.
    fn choose(&self, description: &Description, layouts: &(Matrix, Matrix, Matrix, Matrix)) -> Result<sys::cublasLtMatmulAlgo_t> {
        let preference = Preference::new()?;
        use sys::cublasLtMatmulPreferenceAttributes_t as Wish;
        preference.set(Wish::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &WORKSPACE)?;
        for alignment in [
            Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
            Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
            Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
            Wish::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
        ] {
            preference.set(alignment, &16u32)?;
        }
        let (a, b, c, d) = layouts;
        // SAFETY: all of these are alive.
        let found = unsafe { result::get_matmul_algo_heuristic(self.handle, description.0, a.0, b.0, c.0, d.0, preference.0) };
        Ok(found.map_err(Error::wrap)?.algo)
    }

    fn workspace(&mut self, cuda: &CudaDevice, device: &Device) -> Result<u64> {
        if let Some(workspace) = self.workspaces.get(&cuda.id()) {
            return Ok(super::launch::address(workspace)?.bits());
        }
        let workspace = empty(WORKSPACE / 4, DType::F32, device)?;
        let at = super::launch::address(&workspace)?.bits();
        self.workspaces.insert(cuda.id(), workspace);
        Ok(at)
    }
}

struct Description(sys::cublasLtMatmulDesc_t);

impl Description {
    fn new() -> Result<Self> {
        let made = result::create_matmul_desc(sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, sys::cudaDataType::CUDA_R_32F);
        made.map(Self).map_err(Error::wrap)
    }

    fn set<T>(&self, attribute: sys::cublasLtMatmulDescAttributes_t, value: &T) -> Result<()> {
        // SAFETY: the value is as long as its type says, and cuBLASLt checks that against the attribute.
        unsafe { result::set_matmul_desc_attribute(self.0, attribute, (&raw const *value).cast(), size_of::<T>()) }.map_err(Error::wrap)
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        // SAFETY: made by `new`, freed once. There is nobody to tell of a failure.
        let _ = unsafe { result::destroy_matmul_desc(self.0) };
    }
}

struct Matrix(sys::cublasLtMatrixLayout_t);

impl Matrix {
    fn new(kind: sys::cudaDataType, rows: usize, columns: usize, stride: usize) -> Result<Self> {
        let made = result::create_matrix_layout(kind, rows as u64, columns as u64, stride as i64);
        made.map(Self).map_err(Error::wrap)
    }
}

impl Drop for Matrix {
    fn drop(&mut self) {
        // SAFETY: as above.
        let _ = unsafe { result::destroy_matrix_layout(self.0) };
    }
}

struct Preference(sys::cublasLtMatmulPreference_t);

impl Preference {
    fn new() -> Result<Self> {
        result::create_matmul_pref().map(Self).map_err(Error::wrap)
    }

    fn set<T>(&self, attribute: sys::cublasLtMatmulPreferenceAttributes_t, value: &T) -> Result<()> {
        // SAFETY: as for a description.
        unsafe { result::set_matmul_pref_attribute(self.0, attribute, (&raw const *value).cast(), size_of::<T>()) }.map_err(Error::wrap)
    }
}

impl Drop for Preference {
    fn drop(&mut self) {
        // SAFETY: as above.
        let _ = unsafe { result::destroy_matmul_pref(self.0) };
    }
}
