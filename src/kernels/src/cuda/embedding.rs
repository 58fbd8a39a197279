//! An embedding's rows, and its gradient: rows of dy added up by id, in the order of their positions.

use candle_core::{DType, Result, Tensor, bail};

use super::host::Table;
use super::launch::{Grid, Image, address, empty, image, lanes, launch, suffix};

const IMAGE: Image = image!("embedding");

/// table (V, C), ids (N), each below V -> (N, C).
pub fn rows(table: Table, ids: &Tensor) -> Result<Tensor> {
    let ((_, c), n) = (table.tensor().dims2()?, ids.dims1()?);
    if ids.dtype() != DType::U32 {
        bail!("rows are picked by u32, not by {:?}", ids.dtype());
    }
    let rows = empty((n, c), table.dtype(), ids.device())?;
    let (from, to) = (table.address()?, address(&rows)?);
    let v = lanes(table.dtype(), &[c], &[from, to]);
    let args = [from, address(ids)?, to, c.into()];
    // SAFETY: a block a row of c elements; the ids are below V by the caller's promise.
    unsafe { launch(ids.device(), &IMAGE, &format!("embedded{}", suffix(table.dtype(), v)), Grid::rows(n, 256), &args)? };
    Ok(rows)
}

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
