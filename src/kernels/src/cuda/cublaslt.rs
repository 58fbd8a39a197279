//! cuBLASLt's objects, each freed with its owner.

use candle_core::cuda::cudarc::cublaslt::{result, sys};
use candle_core::{DType, Error, Result, bail};

/// One setting of an algorithm, whose type must be the attribute's.
pub fn setting<T: Default>(algorithm: &sys::cublasLtMatmulAlgo_t, attribute: sys::cublasLtMatmulAlgoConfigAttributes_t) -> Option<T> {
    let (mut value, mut written) = (T::default(), 0);
    // SAFETY: the value is as long as its type says, and cuBLASLt checks that against the attribute.
    let status = unsafe {
        sys::cublasLtMatmulAlgoConfigGetAttribute(algorithm, attribute, (&raw mut value).cast(), size_of::<T>(), &raw mut written)
    };
    (status == sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS && written == size_of::<T>()).then_some(value)
}

pub struct Description(pub sys::cublasLtMatmulDesc_t);

impl Description {
    pub fn new() -> Result<Self> {
        let made = result::create_matmul_desc(sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, sys::cudaDataType::CUDA_R_32F);
        made.map(Self).map_err(Error::wrap)
    }

    pub fn set<T>(&self, attribute: sys::cublasLtMatmulDescAttributes_t, value: &T) -> Result<()> {
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

pub struct Layout(pub sys::cublasLtMatrixLayout_t);

impl Layout {
    /// Of columns that lie `stride` elements apart.
    pub fn new(dtype: DType, rows: usize, columns: usize, stride: usize) -> Result<Self> {
        let kind = match dtype {
            DType::F32 => sys::cudaDataType::CUDA_R_32F,
            DType::BF16 => sys::cudaDataType::CUDA_R_16BF,
            DType::F16 => sys::cudaDataType::CUDA_R_16F,
            other => bail!("no product of {other:?}"),
        };
        let made = result::create_matrix_layout(kind, rows as u64, columns as u64, stride as i64);
        made.map(Self).map_err(Error::wrap)
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: as above.
        let _ = unsafe { result::destroy_matrix_layout(self.0) };
    }
}

pub struct Preference(pub sys::cublasLtMatmulPreference_t);

impl Preference {
    pub fn new() -> Result<Self> {
        result::create_matmul_pref().map(Self).map_err(Error::wrap)
    }

    pub fn set<T>(&self, attribute: sys::cublasLtMatmulPreferenceAttributes_t, value: &T) -> Result<()> {
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
