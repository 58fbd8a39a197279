//! The weights of a model by id: their values in the type that is computed in, f32 masters and gradients where they are trained.

use anyhow::{Result, bail};
use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::beside::Beside;
use super::gradient::Unsummed;
use super::layout::{Init, Slot};
use super::loss_scale::LossScale;
use super::weights::Store;

/// Which parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(usize);

/// One matrix or vector of the engine, which may be several tensors of a checkpoint stacked.
#[derive(Debug)]
pub struct Param {
    pub slot: Slot,
    /// In the type that is computed in. Of a parameter that is `folded` the master times that scale, among another matrix's columns.
    pub value: Tensor,
    /// The value is written in its place, as the master times this.
    pub folded: Option<f64>,
    /// The value and, below it, rows of zeros up to a multiple of [`ROWS`], where it has some.
    pub padded: Option<Tensor>,
    /// `None` for a frozen weight.
    pub master: Option<Master>,
    /// Of this optimiser step so far, times [`Params::loss_scale`], in f32 or bf16 (see [`Params::rounds_gradients`]); with the rows of
    /// `padded`.
    grad: Option<Tensor>,
    /// Sums of the squares of `grad`, where they were made with it.
    #[cfg(feature = "cuda")]
    squares: Option<Tensor>,
}

/// What is trained, in f32.
#[derive(Debug, Clone)]
pub enum Master {
    Whole(Tensor),
    /// The low halves of its elements, of which the value is the high ones: on a GPU that computes in bf16.
    #[cfg(feature = "cuda")]
    Low(Tensor),
}

/// cuBLAS is several times slower at matrices of two-byte types whose rows are no multiple of this: GPT-2's vocabulary of 50,257.
const ROWS: usize = 8;

impl Param {
    fn new(slot: Slot, value: Tensor, master: Option<Master>) -> Self {
        #[cfg(feature = "cuda")]
        return Param { slot, value, folded: None, padded: None, master, grad: None, squares: None };
        #[cfg(not(feature = "cuda"))]
        Param { slot, value, folded: None, padded: None, master, grad: None }
    }

    /// The gradient of this optimiser step so far, times [`Params::loss_scale`], in f32 or bf16.
    pub fn gradient(&self) -> Option<Result<Tensor>> {
        let grad = self.grad.as_ref()?;
        Some(if self.padded.is_some() { grad.narrow(0, 0, self.value.dims()[0]).map_err(Into::into) } else { Ok(grad.clone()) })
    }

    /// Sums of the gradient's squares, where they are there already.
    #[cfg(feature = "cuda")]
    pub fn squares(&self) -> Option<&Tensor> {
        self.squares.as_ref()
    }

    /// The gradient so far, to be put back changed.
    fn take_grad(&mut self) -> Option<Tensor> {
        #[cfg(feature = "cuda")]
        self.squares.take();
        self.grad.take()
    }

    /// What is trained, else the value; in f32 or the type of the value.
    pub fn exact(&self) -> Result<Tensor> {
        match &self.master {
            None => Ok(self.value.clone()),
            Some(Master::Whole(master)) => Ok(master.clone()),
            #[cfg(feature = "cuda")]
            Some(Master::Low(low)) => Ok(voicetune_kernels::cuda::adamw::join(&self.value, low)?),
        }
    }

    /// The value with its rows of zeros.
    pub fn whole(&self) -> &Tensor {
        self.padded.as_ref().unwrap_or(&self.value)
    }

    /// Takes a value, with rows of zeros below it where the device's products want them.
    fn hold(&mut self, value: Tensor) -> Result<()> {
        let rows = value.dim(0)?;
        self.padded = None;
        if value.rank() == 2 && value.device().is_cuda() && value.dtype() != DType::F32 && !rows.is_multiple_of(ROWS) {
            let padded = value.pad_with_zeros(0, 0, rows.next_multiple_of(ROWS) - rows)?;
            self.value = padded.narrow(0, 0, rows)?;
            self.padded = Some(padded);
            return Ok(());
        }
        self.value = value;
        Ok(())
    }
}

/// All parameters of a model, base weights first, then adapters.
#[derive(Debug)]
pub struct Params {
    /// Makes gradients of weights.
    pub beside: Beside,
    list: Vec<Param>,
    pub dtype: DType,
    pub device: Device,
    /// Gradients of whole matrices are kept in bf16, where that is what is computed in: each is one product, added up in f32 and rounded
    /// once. Not where several micro-steps are added up.
    pub rounds_gradients: bool,
    /// What gradients are multiplied by, so that f16 holds them.
    pub loss_scale: LossScale,
    /// What is still missing of gradients that are sums over rows.
    pub unsummed: Unsummed,
}

impl Params {
    pub fn new(dtype: DType, device: Device) -> Self {
        Params {
            beside: Beside::default(),
            list: vec![],
            dtype,
            device,
            rounds_gradients: false,
            loss_scale: LossScale::of(dtype),
            unsummed: Unsummed::default(),
        }
    }

    /// Adds a frozen parameter with this value.
    pub fn push(&mut self, slot: Slot, value: &Tensor) -> Result<ParamId> {
        let value = value.to_device(&self.device)?.to_dtype(self.dtype)?;
        let mut param = Param::new(slot, value.clone(), None);
        param.hold(value)?;
        self.list.push(param);
        Ok(ParamId(self.list.len() - 1))
    }

    /// Adds a trained parameter that starts from this f32 master.
    pub fn push_trained(&mut self, slot: Slot, master: &Tensor) -> Result<ParamId> {
        let master = master.to_device(&self.device)?.to_dtype(DType::F32)?;
        let value = master.to_dtype(self.dtype)?;
        self.list.push(Param::new(slot, value, Some(Master::Whole(master))));
        Ok(ParamId(self.list.len() - 1))
    }

    /// Keeps the first `len` parameters.
    pub fn truncate(&mut self, len: usize) {
        self.list.truncate(len);
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The value to compute with.
    pub fn value(&self, id: ParamId) -> &Tensor {
        &self.list[id.0].value
    }

    pub fn is_trained(&self, id: ParamId) -> bool {
        self.list[id.0].master.is_some()
    }

    /// Makes a parameter trainable.
    pub fn train(&mut self, id: ParamId) -> Result<()> {
        let param = &mut self.list[id.0];
        if param.master.is_some() {
            return Ok(());
        }
        #[cfg(feature = "cuda")]
        if param.value.device().is_cuda() && param.value.dtype() == DType::BF16 && param.value.is_contiguous() {
            param.master = Some(Master::Low(param.value.zeros_like()?)); // nothing was rounded off so far
            return Ok(());
        }
        // A copy: on the CPU the optimiser changes the master in place.
        let master = param.value.to_dtype(DType::F32)?.copy()?;
        if param.value.dtype() == DType::F32 {
            param.value = master.clone();
        }
        if param.padded.is_some() {
            param.folded = Some(1.0);
        }
        param.master = Some(Master::Whole(master));
        Ok(())
    }

    pub fn ids(&self) -> impl Iterator<Item = ParamId> + use<> {
        (0..self.list.len()).map(ParamId)
    }

    pub fn trained(&self) -> impl Iterator<Item = ParamId> {
        self.ids().filter(|&id| self.is_trained(id))
    }

    pub fn get(&self, id: ParamId) -> &Param {
        &self.list[id.0]
    }

    /// Takes new f32 values for a trained parameter.
    pub fn set_master(&mut self, id: ParamId, master: Tensor) -> Result<()> {
        let param = &mut self.list[id.0];
        #[cfg(feature = "cuda")]
        if let Some(Master::Low(low)) = &param.master {
            return Ok(voicetune_kernels::cuda::adamw::split(&master, &param.value, low)?);
        }
        if param.folded.is_none() {
            param.value = master.to_dtype(self.dtype)?;
        }
        param.master = Some(Master::Whole(master));
        self.refresh(id)
    }

    /// Lets a frozen weight lie elsewhere.
    pub fn widen(&mut self, id: ParamId, columns: Tensor) {
        self.list[id.0].value = columns;
    }

    /// Lets the value of a trained parameter be these columns of another matrix, times `scale`.
    pub fn fold(&mut self, id: ParamId, columns: Tensor, scale: f64) -> Result<()> {
        let param = &mut self.list[id.0];
        param.value = columns;
        param.folded = Some(scale);
        self.refresh(id)
    }

    /// Writes the value of a folded parameter from its master.
    fn refresh(&self, id: ParamId) -> Result<()> {
        let param = &self.list[id.0];
        let (Some(scale), Some(Master::Whole(master))) = (param.folded, &param.master) else { return Ok(()) };
        #[cfg(feature = "cuda")]
        {
            let value = voicetune_kernels::cuda::adamw::Value { tensor: &param.value, scale };
            voicetune_kernels::cuda::adamw::refresh(master, value)?;
            Ok(())
        }
        #[cfg(not(feature = "cuda"))]
        bail!("`{}` {:?} is folded by {scale}, which only a GPU does", param.slot.0[0].name, master.shape())
    }

    /// Replaces the value of a parameter, trained or not, by one of the same shape.
    pub fn set(&mut self, id: ParamId, value: &Tensor) -> Result<()> {
        let param = &mut self.list[id.0];
        if value.dims() != param.value.dims() {
            bail!("`{}` has shape {:?}, expected {:?}", param.slot.0[0].name, value.dims(), param.value.dims());
        }
        let value = value.to_device(&self.device)?;
        if param.master.is_some() {
            // The exact value, not what the compute type leaves of it: a resumed run goes on where it was.
            return self.set_master(id, value.to_dtype(DType::F32)?);
        }
        let value = value.to_dtype(self.dtype)?;
        param.hold(value)
    }

    /// Adds to a parameter's gradient.
    pub fn add_grad(&mut self, id: ParamId, gradient: Tensor) -> Result<()> {
        let gradient = match self.list[id.0].take_grad() {
            None => gradient,
            Some(sum) => {
                self.add_up()?; // the gradient may be among them
                self.beside.add(sum, &gradient)?
            }
        };
        self.put_grad(id, gradient);
        Ok(())
    }

    /// Makes what is missing of sums over rows, beside what is launched next: see [`Beside`].
    pub fn add_up(&mut self) -> Result<()> {
        Ok(self.beside.add_up(&mut self.unsummed)?)
    }

    /// Adds `scale * a b` to a parameter's gradient, beside what is launched next: see [`Beside`].
    pub fn add_grad_product(&mut self, id: ParamId, a: &Tensor, b: &Tensor, scale: f64) -> Result<()> {
        let param = &mut self.list[id.0];
        param.grad = Some(self.beside.product(param.take_grad(), a, b, scale)?);
        Ok(())
    }

    /// Takes the only product `a b` that this optimiser step adds to a parameter's gradient, if [`Params::rounds_gradients`]; else adds
    /// it.
    pub fn add_only_product(&mut self, id: ParamId, a: &Tensor, b: &Tensor) -> Result<()> {
        #[cfg(feature = "cuda")]
        if self.rounds_gradients && self.dtype == DType::BF16 && self.device.is_cuda() && self.list[id.0].grad.is_none() {
            let param = &mut self.list[id.0];
            let (gradient, squares) = self.beside.rounded(a, b)?;
            // Those of rows of zeros are none of the optimiser's.
            param.squares = param.padded.is_none().then_some(squares);
            param.grad = Some(gradient);
            return Ok(());
        }
        self.add_grad_product(id, a, b, 1.0)
    }

    /// The gradient so far, or zeros, for the caller to add to and give back with [`Params::put_grad`].
    pub fn take_grad(&mut self, id: ParamId) -> Result<Tensor> {
        let param = &mut self.list[id.0];
        match param.take_grad() {
            Some(sum) => Ok(sum),
            None => Ok(Tensor::zeros(param.value.shape(), DType::F32, &self.device)?),
        }
    }

    pub fn put_grad(&mut self, id: ParamId, gradient: Tensor) {
        self.list[id.0].grad = Some(gradient);
    }

    /// Forgets all gradients.
    pub fn clear_grads(&mut self) {
        self.list.iter_mut().for_each(|param| drop(param.take_grad()));
    }

    /// How many numbers are trained.
    pub fn trained_elements(&self) -> u64 {
        self.trained().map(|id| self.value(id).elem_count() as u64).sum()
    }

    /// The parameter's checkpoint tensors with their values in f32, as the file has them (transposed where it does).
    pub fn unstacked(&self, id: ParamId, tensor: &Tensor) -> Result<Vec<(String, Tensor)>> {
        let mut row = 0;
        let mut out = vec![];
        for part in &self.list[id.0].slot.0 {
            let rows = part.shape[0];
            let value = tensor.narrow(0, row, rows)?;
            row += rows;
            let value = if part.transposed { value.t()? } else { value };
            out.push((part.name.clone(), value.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.contiguous()?));
        }
        Ok(out)
    }
}

/// Reads a slot's tensors from a store and stacks them, in f32 or the store's own type.
pub fn load(slot: &Slot, store: &Store, optional_prefix: Option<&str>, dtype: DType, device: &Device) -> Result<Tensor> {
    let mut parts = vec![];
    for spec in &slot.0 {
        let bare = optional_prefix.and_then(|prefix| spec.name.strip_prefix(prefix)).unwrap_or(&spec.name);
        let name = if store.contains(&spec.name) || !store.contains(bare) { &spec.name } else { bare };
        let tensor = store.load(name, device)?;
        let mut in_file = spec.shape.clone();
        if spec.transposed {
            in_file.reverse();
        }
        if tensor.dims() != in_file {
            bail!("tensor `{name}` in {} has shape {:?}; config.json says {in_file:?}", store.describe(), tensor.dims());
        }
        let tensor = tensor.to_dtype(dtype)?;
        parts.push(if spec.transposed { tensor.t()?.contiguous()? } else { tensor });
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, 0)? })
}

/// A slot's values drawn at random: each tensor by its own stream, so that a model does not depend on the order they are made in.
pub fn random(slot: &Slot, seed: u64, dtype: DType, device: &Device) -> Result<Tensor> {
    let mut parts = vec![];
    for spec in &slot.0 {
        let shape = &spec.shape[..];
        parts.push(match spec.init {
            Init::Ones => Tensor::ones(shape, dtype, device)?,
            Init::Zeros => Tensor::zeros(shape, dtype, device)?,
            Init::Normal(std) => normal(seed, &spec.name, shape, std, dtype, device)?,
        });
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, 0)? })
}

/// Draws from a normal distribution by seed and name. A GPU draws its own: 8 billion take over a minute on the host.
fn normal(seed: u64, name: &str, shape: &[usize], std: f64, dtype: DType, device: &Device) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        let key = voicetune_kernels::dropout::key(&[seed, hash(name)]);
        return Ok(voicetune_kernels::cuda::normal::normal(shape, std, key, dtype, device)?);
    }
    Ok(Tensor::from_vec(normal_draws(seed, name, shape.iter().product(), std), shape, device)?.to_dtype(dtype)?)
}

/// `count` draws from a normal distribution (Box and Muller 1958), by seed and name.
fn normal_draws(seed: u64, name: &str, count: usize, std: f64) -> Vec<f32> {
    let mut rng = stream(seed, name);
    let mut draws = Vec::with_capacity(count + 1);
    while draws.len() < count {
        let radius = (-2.0 * (1.0 - uniform(&mut rng)).ln()).sqrt() * std;
        let angle = std::f64::consts::TAU * uniform(&mut rng);
        draws.push((radius * angle.cos()) as f32);
        draws.push((radius * angle.sin()) as f32);
    }
    draws.truncate(count);
    draws
}

/// `count` draws, uniform in -bound..bound, by seed and name.
pub fn uniform_draws(seed: u64, name: &str, count: usize, bound: f64) -> Vec<f32> {
    let mut rng = stream(seed, name);
    (0..count).map(|_| ((2.0 * uniform(&mut rng) - 1.0) * bound) as f32).collect()
}

fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(hash(name));
    rng
}

/// FNV-1a: a name's stream must stay the same from one build to the next, which the standard hasher does not promise.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Uniform in [0, 1), 53 bits.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    use rand::Rng;
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}
