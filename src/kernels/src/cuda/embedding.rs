//! The gradient of an embedding: rows of dy added up by id, in the order of their positions.

use candle_core::{DType, Result, Tensor, bail};

use super::launch::{Grid, Image, address, image, launch, suffix};

const IMAGE: Image = image!("embedding");

/// `grad[ids[i]] += dy[i]` for grad (V, C) in f32 and dy (N, C), in the memory of `grad`.
pub fn backward(grad: &Tensor, ids: &[u32], dy: &Tensor) -> Result<()> {
    let ((v, c), n) = (grad.dims2()?, ids.len());
    if dy.dims() != [n, c] || grad.dtype() != DType::F32 || ids.iter().any(|&id| id as usize >= v) {
        bail!("{n} rows of {:?} do not fit an embedding's gradient of {:?}", dy.shape(), grad.shape());
    }
    let mut positions: Vec<u32> = (0..n as u32).collect();
    positions.sort_by_key(|&i| ids[i as usize]); // stable: equal ids stay in order
    let (mut unique, mut starts) = (vec![], vec![]);
    for (at, &position) in positions.iter().enumerate() {
        let id = ids[position as usize];
        if unique.last() != Some(&id) {
            unique.push(id);
            starts.push(at as u32);
        }
    }
    starts.push(n as u32);
    let (blocks, device) = (unique.len(), grad.device());
    let lists = [Tensor::new(unique, device)?, Tensor::new(starts, device)?, Tensor::new(positions, device)?];
    let args = [address(grad)?, address(&lists[0])?, address(&lists[1])?, address(&lists[2])?, address(dy)?, c.into()];
    // SAFETY: every id has one block, is below v, and its positions are below n.
    unsafe { launch(device, &IMAGE, &format!("embedding{}", suffix(dy.dtype(), 1)), Grid::rows(blocks, 256), &args) }
}
