//! Matrix products that add to what is there, through cuBLAS: strided operands need no copies, and sums no pass of their own.

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::cublas::{CudaBlas, result, sys};
use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{empty, first};

use sys::cublasOperation_t::{CUBLAS_OP_N as PLAIN, CUBLAS_OP_T as TRANSPOSED};

/// `into[:, at..] = beta into[:, at..] + scale a b` for a (M, K), b (K, N) of one type, each by rows or by columns, and into
/// (M, at + N or more) by rows, in that type or f32. Products are added up in f32.
pub fn product(into: &Tensor, at: usize, a: &Tensor, b: &Tensor, scale: f32, beta: f32) -> Result<()> {
    let Device::Cuda(cuda) = into.device() else { bail!("expected a CUDA device") };
    by(&cuda.cublas_handle(), into, at, a, b, scale, beta)
}

/// The same by a handle of its own stream.
pub(super) fn by(blas: &CudaBlas, into: &Tensor, at: usize, a: &Tensor, b: &Tensor, scale: f32, beta: f32) -> Result<()> {
    let ((m, k), (k2, n)) = (a.dims2()?, b.dims2()?);
    let (rows, width) = into.dims2()?;
    let stride = into.stride()[0];
    if k != k2 || rows != m || at + n > width || (width > 1 && into.stride()[1] != 1) {
        bail!("cannot add {:?} times {:?} to {:?} from column {at}", a.shape(), b.shape(), into.shape());
    }
    if a.dtype() != b.dtype() || (into.dtype() != a.dtype() && into.dtype() != DType::F32) {
        bail!("cannot add a product of {:?} and {:?} to {:?}", a.dtype(), b.dtype(), into.dtype());
    }
    // cuBLAS counts by columns, so it is given the transposed product: into^T = b^T a^T.
    let ((op_a, ld_a), (op_b, ld_b)) = (layout(a)?, layout(b)?);
    let to = first(&into.narrow(1, at, n)?)?.bits();
    // SAFETY: the sizes and strides are the tensors' own, and all three lie on this device.
    unsafe {
        result::gemm_ex(
            *blas.handle(),
            op_b,
            op_a,
            n as i32,
            m as i32,
            k as i32,
            (&raw const scale).cast(),
            first(b)?.bits() as *const _,
            kind(b.dtype())?,
            ld_b,
            first(a)?.bits() as *const _,
            kind(a.dtype())?,
            ld_a,
            (&raw const beta).cast(),
            to as *mut _,
            kind(into.dtype())?,
            stride as i32,
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
    }
    .w()
}

/// `scale a b` (M, N), in f32 or the operands' type.
pub fn new_product(a: &Tensor, b: &Tensor, scale: f32, dtype: DType) -> Result<Tensor> {
    let into = empty((a.dim(0)?, b.dim(1)?), dtype, a.device())?;
    product(&into, 0, a, b, scale, 0.0)?;
    Ok(into)
}

/// How cuBLAS is to read a matrix: by rows (its own transpose already, so plain), or by columns.
fn layout(t: &Tensor) -> Result<(sys::cublasOperation_t, i32)> {
    let ((rows, columns), stride) = (t.dims2()?, t.stride());
    if stride[1] == 1 || columns == 1 {
        Ok((PLAIN, stride[0].max(columns) as i32))
    } else if stride[0] == 1 || rows == 1 {
        Ok((TRANSPOSED, stride[1].max(rows) as i32))
    } else {
        bail!("cuBLAS cannot read {:?} with strides {stride:?}", t.shape())
    }
}

fn kind(dtype: DType) -> Result<sys::cudaDataType> {
    match dtype {
        DType::F32 => Ok(sys::cudaDataType::CUDA_R_32F),
        DType::BF16 => Ok(sys::cudaDataType::CUDA_R_16BF),
        DType::F16 => Ok(sys::cudaDataType::CUDA_R_16F),
        other => bail!("no product of {other:?}"),
    }
}
