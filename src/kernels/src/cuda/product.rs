//! Matrix products that add to what is there: strided operands need no copies, and sums no pass of their own.
//!
//! Products of a few hundred rows go to [`matmul`], which chooses their kernels; all others to cuBLAS, which does so itself.

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::cublas::{CudaBlas, result, sys};
use candle_core::{DType, Device, Result, Tensor, bail};

use super::launch::{empty, empty_rows, first};
use super::matmul::{self, Epilogue, Lane, Matrix, Product};

/// `into[:, at..] = beta into[:, at..] + scale a b` for a (M, K), b (K, N) of one type, each by rows or by columns, and into
/// (M, at + N or more) by rows, in that type or f32. Products are added up in f32.
pub fn product(into: &Tensor, at: usize, a: &Tensor, b: &Tensor, scale: f32, beta: f32) -> Result<()> {
    let Device::Cuda(cuda) = into.device() else { bail!("expected a CUDA device") };
    let product = of(into, at, a, b, scale, beta)?;
    // SAFETY: `of` takes sizes and strides from the tensors, which lie on this device.
    unsafe { if product.is_short() { matmul::run(&product, into.device()) } else { by_cublas(&product, &cuda.cublas_handle()) } }
}

/// The same on a lane of its own, with cuBLAS's handle there.
pub(super) fn on(lane: &Lane, blas: &CudaBlas, into: &Tensor, a: &Tensor, b: &Tensor, scale: f32, beta: f32) -> Result<()> {
    let product = of(into, 0, a, b, scale, beta)?;
    // SAFETY: as above.
    unsafe { if product.is_short() { lane.run(&product) } else { by_cublas(&product, blas) } }
}

/// # Safety
/// As for [`Lane::run`].
unsafe fn by_cublas(product: &Product, blas: &CudaBlas) -> Result<()> {
    let (m, n, k) = product.size();
    let operation = |transposed| if transposed { sys::cublasOperation_t::CUBLAS_OP_T } else { sys::cublasOperation_t::CUBLAS_OP_N };
    let (((a, a_transposed), (b, b_transposed)), d) = ((product.a, product.b), product.d);
    // SAFETY: promised by the caller.
    unsafe {
        result::gemm_ex(
            *blas.handle(),
            operation(a_transposed),
            operation(b_transposed),
            m as i32,
            n as i32,
            k as i32,
            (&raw const product.scale).cast(),
            a.at as *const _,
            kind(a.dtype)?,
            a.stride as i32,
            b.at as *const _,
            kind(b.dtype)?,
            b.stride as i32,
            (&raw const product.beta).cast(),
            d.at as *mut _,
            kind(d.dtype)?,
            d.stride as i32,
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
    }
    .w()
}

fn kind(dtype: DType) -> Result<sys::cudaDataType> {
    match dtype {
        DType::F32 => Ok(sys::cudaDataType::CUDA_R_32F),
        DType::BF16 => Ok(sys::cudaDataType::CUDA_R_16BF),
        DType::F16 => Ok(sys::cudaDataType::CUDA_R_16F),
        other => bail!("no product of {other:?}"),
    }
}

fn of(into: &Tensor, at: usize, a: &Tensor, b: &Tensor, scale: f32, beta: f32) -> Result<Product> {
    let ((m, k), (k2, n)) = (a.dims2()?, b.dims2()?);
    let (rows, width) = into.dims2()?;
    if k != k2 || rows != m || at + n > width || (width > 1 && into.stride()[1] != 1) {
        bail!("cannot add {:?} times {:?} to {:?} from column {at}", a.shape(), b.shape(), into.shape());
    }
    if a.dtype() != b.dtype() || (into.dtype() != a.dtype() && into.dtype() != DType::F32) {
        bail!("cannot add a product of {:?} and {:?} to {:?}", a.dtype(), b.dtype(), into.dtype());
    }
    // cuBLAS counts by columns, so it is given the transposed product: into^T = b^T a^T.
    let stride = if rows > 1 { into.stride()[0] } else { width };
    let d = Matrix { at: first(&into.narrow(1, at, n)?)?.bits(), rows: n, columns: m, stride, dtype: into.dtype() };
    Ok(Product { a: operand(b)?, b: operand(a)?, c: d, d, scale, beta, epilogue: Epilogue::Nothing })
}

/// `scale a b` (M, N), in f32 or the operands' type.
pub fn new_product(a: &Tensor, b: &Tensor, scale: f32, dtype: DType) -> Result<Tensor> {
    let into = empty((a.dim(0)?, b.dim(1)?), dtype, a.device())?;
    product(&into, 0, a, b, scale, 0.0)?;
    Ok(into)
}

/// `a b` (M, N) in the operands' type, in rows that start lines of memory.
pub fn product_in_rows(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let into = empty_rows(a.dim(0)?, b.dim(1)?, a.dtype(), a.device())?;
    product(&into, 0, a, b, 1.0, 0.0)?;
    Ok(into)
}

/// A matrix's transpose as cuBLAS is to read it, by columns: as it lies where that is by rows, else transposed.
fn operand(t: &Tensor) -> Result<(Matrix, bool)> {
    let ((rows, columns), stride, at) = (t.dims2()?, t.stride(), first(t)?.bits());
    if stride[1] == 1 || columns == 1 {
        Ok((Matrix { at, rows: columns, columns: rows, stride: stride[0].max(columns), dtype: t.dtype() }, false))
    } else if stride[0] == 1 || rows == 1 {
        Ok((Matrix { at, rows, columns, stride: stride[1].max(rows), dtype: t.dtype() }, true))
    } else {
        bail!("cuBLAS cannot read {:?} with strides {stride:?}", t.shape())
    }
}
