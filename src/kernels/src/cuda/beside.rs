//! A second stream of the device, for products and sums whose results are not needed at once: they take the multiprocessors that the
//! kernels of the first leave idle, at the end of a product or in a narrow pass.

use std::collections::VecDeque;
use std::sync::Arc;

use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::cublas::CudaBlas;
use candle_core::cuda::cudarc::driver::{CudaEvent, CudaStream};
use candle_core::{DType, Device, Result, Tensor};

use super::adamw;
use super::launch::{empty, own_stream};
use super::matmul::Lane;
use super::pointwise::{self, Shares};
use super::product;

/// Groups that may still be under way when the next one begins: their operands stay in memory for so long.
const GROUPS: usize = 2;

/// Work beside the device's own stream.
pub struct Beside {
    own: Arc<CudaStream>,
    beside: Lane,
    blas: CudaBlas,
    /// What is worked on since the last group.
    tensors: Vec<Tensor>,
    /// Groups that the own stream has not waited for yet, the oldest first: where they end, and what they work on.
    groups: VecDeque<(CudaEvent, Vec<Tensor>)>,
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Beside({} groups)", self.groups.len())
    }
}

impl Beside {
    pub fn new(device: &Device) -> Result<Self> {
        let own = own_stream(device)?;
        let beside = Lane::new(own.context().new_stream().w()?, device)?;
        let blas = CudaBlas::new(beside.stream.clone()).w()?;
        Ok(Beside { own, beside, blas, tensors: vec![], groups: VecDeque::new() })
    }

    /// `into = beta into + scale a b` as [`product::product`] has it, behind all that was launched so far. Until [`Beside::join`] `into`
    /// must not be read, nor the operands be written.
    pub fn product(&mut self, into: &Tensor, a: &Tensor, b: &Tensor, scale: f32, beta: f32) -> Result<()> {
        self.follow([into, a, b].map(Tensor::clone))?;
        product::on(&self.beside, &self.blas, into, a, b, scale, beta)
    }

    /// `scale a b` (M, N), in f32 or the operands' type, as [`product::new_product`] has it.
    pub fn new_product(&mut self, a: &Tensor, b: &Tensor, scale: f32, dtype: DType) -> Result<Tensor> {
        let into = empty((a.dim(0)?, b.dim(1)?), dtype, a.device())?;
        self.product(&into, a, b, scale, 0.0)?;
        Ok(into)
    }

    /// `a b` (M, N) in the operands' type, and for the norm of all gradients the sums of its squares, share by share of
    /// [`super::adamw`]: they are made while the L2 cache holds what they are made of.
    pub fn new_gradient(&mut self, a: &Tensor, b: &Tensor) -> Result<(Tensor, Tensor)> {
        let gradient = empty((a.dim(0)?, b.dim(1)?), a.dtype(), a.device())?;
        let squares = adamw::room_for_squares(gradient.elem_count(), a.device())?;
        self.tensors.push(squares.clone());
        self.product(&gradient, a, b, 1.0, 0.0)?;
        adamw::squares(&gradient, &squares, &self.beside.stream)?;
        Ok((gradient, squares))
    }

    /// Sums over the rows of x as [`pointwise::column_sums`] has them, behind all that was launched so far; they are for
    /// [`Beside::add_up`] to add up.
    pub fn column_sums(&mut self, x: &Tensor, shares: &mut Vec<Shares>) -> Result<Tensor> {
        let (share, sums) = Shares::of_rows(x)?;
        self.follow(share.tensors().into_iter().chain([x.clone()]))?;
        share.fill(&self.beside.stream, x)?;
        shares.push(share);
        Ok(sums)
    }

    /// Adds up what is still in parts, behind all that was launched so far: see [`pointwise::add_up`].
    pub fn add_up(&mut self, shares: &[Shares]) -> Result<()> {
        if shares.is_empty() {
            return Ok(());
        }
        self.follow(shares.iter().flat_map(Shares::tensors))?;
        pointwise::add_up_on(&self.beside.stream, shares)
    }

    /// `into += x`, behind all that was launched so far.
    pub fn add(&mut self, into: &Tensor, x: &Tensor) -> Result<()> {
        self.follow([into, x].map(Tensor::clone))?;
        pointwise::add_on(&self.beside.stream, into, x)
    }

    /// Lets what comes next here wait for all that was launched so far, and keeps what it works on: all of it must have been taken before, in
    /// the own stream's order. Before the launch, since one that fails may have launched something.
    fn follow(&mut self, tensors: impl IntoIterator<Item = Tensor>) -> Result<()> {
        self.tensors.extend(tensors);
        self.beside.stream.join(&self.own).w()
    }

    /// Ends a group, and lets the device's own stream wait for all groups but the last two.
    pub fn lap(&mut self) -> Result<()> {
        if !self.tensors.is_empty() {
            self.groups.push_back((self.beside.stream.record_event(None).w()?, std::mem::take(&mut self.tensors)));
        }
        self.wait(GROUPS)
    }

    /// Lets the device's own stream wait for all groups: what it launches next may read what they made.
    pub fn join(&mut self) -> Result<()> {
        self.lap()?;
        self.wait(0)
    }

    /// Waits for the oldest groups until so many are left. What they worked on goes back to the own stream's memory, in its order.
    fn wait(&mut self, left: usize) -> Result<()> {
        while self.groups.len() > left {
            let Some((ended, _)) = self.groups.front() else { break };
            self.own.wait(ended).w()?;
            self.groups.pop_front();
        }
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // The operands' memory may be given out again from here on.
        if self.join().is_err() {
            self.own.context().record_err(self.beside.stream.synchronize());
        }
    }
}
