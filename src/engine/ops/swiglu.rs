//! SwiGLU over gate and up side by side; formula and contract in `voicetune_kernels::swiglu`.

use candle_core::{Result, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;
use voicetune_kernels::swiglu as fused;

use crate::engine::cpu;
use crate::engine::gradient::Parts;

/// gate_up (N, 2I) -> y (N, I).
pub fn forward(gate_up: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(gate_up) {
        return cuda::activation::swiglu(gate_up, 0);
    }
    if !cpu::applies(gate_up) {
        return plain::forward(gate_up);
    }
    let (n, both) = gate_up.dims2()?;
    cpu::tensor(fused::forward(&cpu::slice(gate_up)?, both / 2), (n, both / 2))
}

/// dy (N, I) -> the gradient of gate_up (N, 2I).
pub fn backward(dy: &Tensor, gate_up: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(gate_up) {
        return Ok(backward_again(Parts { dx: dy.clone(), product: None }, gate_up.copy()?, false)?.0);
    }
    if !cpu::applies(gate_up) {
        return plain::backward(dy, gate_up);
    }
    let width = dy.dim(1)?;
    cpu::tensor(fused::backward(&cpu::slice(dy)?, &cpu::slice(gate_up)?, width), gate_up.shape())
}

/// gate_up (N, 2I) -> y (N, I) with `room` columns behind its rows, which only a GPU gives.
pub fn forward_wide(gate_up: &Tensor, room: usize) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if cuda::applies(gate_up) {
        return cuda::activation::swiglu(gate_up, room);
    }
    debug_assert_eq!(room, 0);
    forward(gate_up)
}

/// [`backward`] from dy (N, I) in parts; and what forward gave, if it is wanted again. Takes them whole: on a GPU the gradient takes the
/// place of `gate_up`, and what forward gave that of dy, whose rows may lie apart there.
pub fn backward_again(dy: Parts, gate_up: Tensor, again: bool) -> Result<(Tensor, Option<Tensor>)> {
    #[cfg(feature = "cuda")]
    if let Some((dh, a)) = &dy.product
        && cuda::activation::adds_product(&dy.dx, dh, a, &gate_up)?
    {
        cuda::activation::swiglu_backward_with(&dy.dx, dh, a, &gate_up, again)?;
        return Ok((gate_up, again.then_some(dy.dx)));
    }
    let dy = dy.whole()?;
    #[cfg(feature = "cuda")]
    if cuda::applies(&gate_up) {
        cuda::activation::swiglu_backward(&dy, &gate_up, again)?;
        return Ok((gate_up, again.then_some(dy)));
    }
    let again = if again { Some(forward(&gate_up)?) } else { None };
    Ok((backward(&dy, &gate_up)?, again))
}

/// The same in candle tensor ops.
pub mod plain {
    use candle_core::{DType, Result, Tensor};

    pub fn forward(gate_up: &Tensor) -> Result<Tensor> {
        let halves = gate_up.to_dtype(DType::F32)?.chunk(2, 1)?;
        (halves[0].silu()? * &halves[1])?.to_dtype(gate_up.dtype())
    }

    pub fn backward(dy: &Tensor, gate_up: &Tensor) -> Result<Tensor> {
        let dy = dy.to_dtype(DType::F32)?;
        let halves = gate_up.to_dtype(DType::F32)?.chunk(2, 1)?;
        let (gate, up) = (halves[0].contiguous()?, halves[1].contiguous()?); // (N, I)
        let s = candle_nn::ops::sigmoid(&gate)?;
        let du = (&dy * (&gate * &s)?)?;
        let slope = (&s * ((&gate * (1.0 - &s)?)? + 1.0)?)?;
        let dg = ((dy * up)? * slope)?;
        Tensor::cat(&[dg, du], 1)?.to_dtype(gate_up.dtype())
    }
}
