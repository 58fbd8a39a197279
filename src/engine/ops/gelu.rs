//! GELU, tanh form; formula and contract in `voicetune_kernels::gelu`.

use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;
use voicetune_kernels::gelu as fused;

use crate::engine::cpu;
use crate::engine::gradient::{Gradient, Unsummed};

/// Element by element.
pub fn forward(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(x) {
        return cuda::activation::gelu(x, 0);
    }
    if !cpu::applies(x) {
        return plain::forward(x);
    }
    cpu::tensor(fused::forward(&cpu::slice(x)?), x.shape())
}

/// The gradient of x.
pub fn backward(dy: &Tensor, x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(x) {
        return Ok(backward_again(dy.clone(), x.copy()?, false, None)?.0.d);
    }
    if !cpu::applies(x) {
        return plain::backward(dy, x);
    }
    cpu::tensor(fused::backward(&cpu::slice(dy)?, &cpu::slice(x)?), x.shape())
}

/// x (N, I) -> y (N, I) with `room` columns behind its rows, which only a GPU gives.
pub fn forward_wide(x: &Tensor, room: usize) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(x) {
        return cuda::activation::gelu(x, room);
    }
    debug_assert_eq!(room, 0);
    forward(x)
}

/// `x w^T + bias` (N, I), and GELU of it with `room` columns behind its rows: within the product, where the device has that.
pub fn of_linear(x: &Tensor, w: &Tensor, bias: &Tensor, room: usize) -> Result<(Tensor, Tensor)> {
    #[cfg(feature = "cuda")]
    {
        let layer = cuda::linear::Linear { x, w, bias: Some(bias), residual: None };
        if layer.applies() && room.is_multiple_of(8) {
            return layer.run_gelu(room);
        }
    }
    let raised = super::product::linear_plus(x, w, Some(bias), None)?;
    let active = forward_wide(&raised, room)?;
    Ok((raised, active))
}

/// [`backward`], with its sums over the rows where there is a place for them and a GPU, which takes them along; and what forward gave, if
/// it is wanted again. Takes both whole: on a GPU the gradient takes the place of `x`, and what forward gave that of `dy`, whose rows may
/// lie apart there.
pub fn backward_again(dy: Tensor, x: Tensor, again: bool, sums: Option<&mut Unsummed>) -> Result<(Gradient, Option<Tensor>)> {
    #[cfg(feature = "cuda")]
    if cuda::applies(&x) {
        let sums = cuda::activation::gelu_backward(&dy, &x, again, sums.map(|unsummed| &mut unsummed.shares))?;
        return Ok((Gradient { d: x, sums }, again.then_some(dy)));
    }
    let _ = sums; // whoever needs them takes them
    let again = if again { Some(forward(&x)?) } else { None };
    Ok((backward(&dy, &x)?.into(), again))
}

/// The same in candle tensor ops.
pub mod plain {
    use candle_core::{DType, Result, Tensor};

    const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
    const CUBIC: f64 = 0.044_715;

    pub fn forward(x: &Tensor) -> Result<Tensor> {
        x.to_dtype(DType::F32)?.gelu()?.to_dtype(x.dtype())
    }

    pub fn backward(dy: &Tensor, x: &Tensor) -> Result<Tensor> {
        let x32 = x.to_dtype(DType::F32)?;
        let square = x32.sqr()?;
        let t = ((&x32 * ((&square * CUBIC)? + 1.0)?)? * SQRT_2_OVER_PI)?.tanh()?;
        let slope = ((square * (3.0 * CUBIC))? + 1.0)?;
        let curve = ((&x32 * (1.0 - t.sqr()?)?)? * (slope * (0.5 * SQRT_2_OVER_PI))?)?;
        let derivative = (((t + 1.0)? * 0.5)? + curve)?;
        (dy.to_dtype(DType::F32)? * derivative)?.to_dtype(x.dtype())
    }
}
