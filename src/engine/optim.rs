//! AdamW over a model's trained parameters, with gradient clipping; moments in f32, saved and read back exactly.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
#[cfg(feature = "cuda")]
use voicetune_kernels::cuda;
use voicetune_kernels::{adamw, pointwise};

#[cfg(feature = "cuda")]
use super::params::Master;
use super::params::ParamId;
use super::pending::{Norm, PendingStep};
use super::weights::{self, Source, Store};
use super::{Model, cpu};
use crate::config::{self, StateType};

/// What the factor on the loss is called in a checkpoint, with the good steps since it was last changed.
const LOSS_SCALE: &str = "loss_scale";

/// Optimiser state.
#[derive(Debug)]
pub struct AdamW {
    config: config::Optimizer,
    moments: BTreeMap<ParamId, Moments>,
    /// Steps done.
    steps: u64,
}

/// First and second moment of a parameter, f32.
#[derive(Debug)]
struct Moments {
    /// What they are called in a checkpoint.
    name: String,
    m: Tensor,
    v: Tensor,
}

impl AdamW {
    /// State for the parameters that are trained now.
    pub fn new(config: &config::Optimizer, model: &Model) -> Result<AdamW> {
        check_state(config.state)?;
        let mut moments = BTreeMap::new();
        for id in model.params.trained() {
            let param = model.params.get(id);
            let zeros = || Tensor::zeros(param.value.shape(), DType::F32, &model.params.device);
            moments.insert(id, Moments { name: param.slot.0[0].name.clone(), m: zeros()?, v: zeros()? });
        }
        Ok(AdamW { config: config.clone(), moments, steps: 0 })
    }

    /// Optimiser steps done so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Clips the gradients to a global norm of `clip` (0 for no clipping), updates, and forgets them. Scaling follows
    /// `torch.nn.utils.clip_grad_norm_`: by `clip / (norm + 1e-6)` where that is below 1. Gradients that are not finite change nothing. A GPU
    /// is waited for only where the factor on the loss depends on it: see [`pending::ahead`](super::pending::ahead).
    ///
    /// # Errors
    /// If the device fails. That the gradients are not finite is said by [`PendingStep::grad_norm`]; [`AdamW::steps`] may count such a step.
    pub fn step(&mut self, model: &mut Model, learning_rate: f64, clip: f64) -> Result<PendingStep> {
        let mut norm = self.launch(model, learning_rate, clip)?;
        model.params.clear_grads();
        let scale = &mut model.params.loss_scale;
        if scale.is_dynamic() {
            norm = Norm::Known(norm.read()?);
        }
        if norm.is_broken() {
            let overflow = scale.halve().then(|| scale.factor());
            return Ok(PendingStep { norm, overflow });
        }
        self.steps += 1;
        scale.keep();
        Ok(PendingStep { norm, overflow: None })
    }

    /// The update of a step, of which the gradients are left -> their norm, before clipping.
    fn launch(&mut self, model: &mut Model, learning_rate: f64, clip: f64) -> Result<Norm> {
        let unscale = 1.0 / model.params.loss_scale.factor();
        #[cfg(feature = "cuda")]
        if let Some(batch) = self.cuda_batch(model)? {
            let clipped = batch.clip(&self.factors(unscale, learning_rate), clip)?;
            batch.update(&clipped)?;
            return Ok(Norm::Sent(clipped));
        }
        let norm = self.grad_norm(model)? * unscale;
        if !norm.is_finite() {
            return Ok(Norm::Known(norm));
        }
        let step = self.factors(unscale * if clip > 0.0 { (clip / (norm + 1e-6)).min(1.0) } else { 1.0 }, learning_rate);
        for (&id, moments) in &mut self.moments {
            let param = model.params.get(id);
            let Some(gradient) = param.gradient().transpose()? else { continue };
            let master = &param.exact()?;
            if cpu::applies(master) {
                update(master, moments, &gradient, &step)?;
            } else {
                let master = plain::update(master, moments, &gradient, &step)?;
                model.params.set_master(id, master)?;
            }
        }
        Ok(Norm::Known(norm))
    }

    /// The next step's, with this factor on the gradients.
    fn factors(&self, grad_scale: f64, learning_rate: f64) -> adamw::Step {
        adamw::Step {
            learning_rate,
            weight_decay: self.config.weight_decay,
            betas: self.config.betas,
            eps: self.config.eps,
            t: self.steps + 1,
            grad_scale,
        }
    }

    /// All parameters with a gradient, for the kernels that take them in one launch; `None` where those do not apply.
    #[cfg(feature = "cuda")]
    fn cuda_batch<'a>(&'a self, model: &'a Model) -> Result<Option<cuda::adamw::Batch<'a>>> {
        let mut parameters = vec![];
        for (&id, Moments { m, v, .. }) in &self.moments {
            let param = model.params.get(id);
            let (Some(g), Some(master)) = (param.gradient().transpose()?, &param.master) else { continue };
            if !cuda::applies(&param.value) {
                return Ok(None);
            }
            let p = match master {
                Master::Whole(master) => cuda::adamw::Master::Whole(master),
                Master::Low(low) => cuda::adamw::Master::Low(low),
            };
            let apart = param.folded.is_some() || param.value.dtype() != DType::F32;
            let value = apart.then(|| cuda::adamw::Value { tensor: &param.value, scale: param.folded.unwrap_or(1.0) });
            parameters.push(cuda::adamw::Parameter { p, m, v, g, squares: param.squares(), value });
        }
        if parameters.is_empty() { Ok(None) } else { Ok(Some(cuda::adamw::Batch::new(parameters, &model.params.device)?)) }
    }

    fn grad_norm(&self, model: &Model) -> Result<f64> {
        let mut sum = 0.0;
        for &id in self.moments.keys() {
            let Some(gradient) = model.params.get(id).gradient().transpose()? else { continue };
            sum += if cpu::applies(&gradient) {
                pointwise::sum_of_squares(&cpu::slice(&gradient)?)
            } else {
                f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?)
            };
        }
        Ok(sum.sqrt())
    }

    /// Writes moments, the step count and, in f16, the factor on the loss to a safetensors file.
    pub fn save(&self, model: &Model, file: &Path) -> Result<()> {
        let mut tensors = vec![("steps".to_string(), Tensor::new(&[self.steps as i64], &Device::Cpu)?)];
        if let Some(scale) = model.params.loss_scale.saved() {
            tensors.push((LOSS_SCALE.into(), Tensor::new(&scale, &Device::Cpu)?));
        }
        for moments in self.moments.values() {
            tensors.push((format!("{}.m", moments.name), moments.m.to_device(&Device::Cpu)?));
            tensors.push((format!("{}.v", moments.name), moments.v.to_device(&Device::Cpu)?));
        }
        weights::save(file, &tensors)
    }

    /// Reads back what [`AdamW::save`] wrote.
    ///
    /// # Errors
    /// If the file belongs to other parameters.
    pub fn load(&mut self, model: &mut Model, file: &Path) -> Result<()> {
        let store = Store::open(&Source::Files(vec![file.to_path_buf()]))?;
        for moments in self.moments.values_mut() {
            for (suffix, tensor) in [("m", &mut moments.m), ("v", &mut moments.v)] {
                let read = store.load(&format!("{}.{suffix}", moments.name), tensor.device())?;
                if read.shape() != tensor.shape() {
                    bail!(
                        "{} belongs to another model: `{}.{suffix}` has shape {:?}, expected {:?}",
                        file.display(),
                        moments.name,
                        read.shape(),
                        tensor.shape()
                    );
                }
                *tensor = read;
            }
        }
        let steps = store.load("steps", &Device::Cpu)?.to_vec1::<i64>()?;
        self.steps =
            steps.first().copied().and_then(|n| u64::try_from(n).ok()).with_context(|| format!("{}: no step count", file.display()))?;
        let scale = &mut model.params.loss_scale;
        if scale.is_dynamic() {
            let saved = store.load(LOSS_SCALE, &Device::Cpu).with_context(|| {
                format!("{} keeps no factor on the loss, so this run in f16 cannot go on as it was; start it anew", file.display())
            })?;
            let saved = saved.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
            ensure!(scale.restore(&saved), "{}: `{LOSS_SCALE}` holds {saved:?}, which is no factor on a loss", file.display());
        }
        Ok(())
    }
}

/// Fails where the optimiser cannot keep its state in this type.
pub fn check_state(state: StateType) -> Result<()> {
    match state {
        StateType::F32 => Ok(()),
        StateType::Int8 => bail!("optimizer state int8 is not built yet; set `state: f32`"),
    }
}

/// The fused update, in place.
fn update(master: &Tensor, moments: &Moments, gradient: &Tensor, step: &adamw::Step) -> Result<()> {
    let gradient = cpu::slice(gradient)?;
    let (mut of_m, mut of_v) = (Ok(()), Ok(()));
    cpu::in_place(master, |p| {
        of_m = cpu::in_place(&moments.m, |m| of_v = cpu::in_place(&moments.v, |v| adamw::update(p, m, v, &gradient, step)));
    })?;
    Ok(of_m.and(of_v)?)
}

/// The same in candle tensor ops.
mod plain {
    use candle_core::{Result, Tensor};
    use voicetune_kernels::adamw::Step;

    use super::Moments;

    pub(super) fn update(p: &Tensor, moments: &mut Moments, g: &Tensor, step: &Step) -> Result<Tensor> {
        let [b1, b2] = step.betas;
        let exponent = i32::try_from(step.t).unwrap_or(i32::MAX);
        let g = (g * step.grad_scale)?;
        moments.m = ((&moments.m * b1)? + (&g * (1.0 - b1))?)?;
        moments.v = ((&moments.v * b2)? + (g.sqr()? * (1.0 - b2))?)?;
        let root = ((moments.v.sqrt()? / (1.0 - b2.powi(exponent)).sqrt())? + step.eps)?;
        let size = step.learning_rate / (1.0 - b1.powi(exponent));
        (p * (1.0 - step.learning_rate * step.weight_decay))? - ((&moments.m / root)? * size)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Precision, Recompute};
    use crate::dataset::batch::Batch;
    use crate::engine::loss_scale::LossScale;
    use crate::engine::spec::Spec;
    use crate::engine::{Arm, StepKey};

    /// A small model, all of it trained, whose loss is scaled as f16's.
    fn model(scale: LossScale) -> (Model, AdamW) {
        let spec = Spec::parse(include_str!("../../fuzz/seeds/model_config/gpt2.json")).unwrap();
        let mut model = Model::random(&spec, &Device::Cpu, Precision::F32, 1).unwrap();
        model.train_full().unwrap();
        model.params.loss_scale = scale;
        let config = config::Optimizer { learning_rate: 0.01, ..Default::default() };
        let optimizer = AdamW::new(&config, &model).unwrap();
        (model, optimizer)
    }

    /// -> the gradient's norm, and whether it was too much for the loss's factor, which is now this.
    fn step((model, optimizer): &mut (Model, AdamW), times: f64) -> Result<(f64, Option<f64>)> {
        let batch = Batch { tokens: vec![1, 2, 3], targets: vec![2, 3, 1], weights: vec![1; 3], lengths: vec![3] };
        let key = StepKey { seed: 1, step: 1, micro: 0, micro_steps: 1, recompute: Recompute::None, memory: None };
        model.accumulate(&batch, times / 3.0, key)?;
        let update = optimizer.step(model, 0.01, 1.0)?;
        Ok((update.grad_norm()?, update.overflow))
    }

    fn logprobs((model, _): &mut (Model, AdamW)) -> Vec<f32> {
        model.logprobs(&[1, 2, 3, 2, 1], Arm::Tuned).unwrap()
    }

    #[test]
    fn a_scaled_loss_changes_no_bit_and_an_overflow_nothing_but_the_scale() {
        let (mut plain, mut scaled) = (model(LossScale::of(DType::F32)), model(LossScale::of(DType::F16)));
        for _ in 0..3 {
            assert_eq!(step(&mut plain, 1.0).unwrap(), step(&mut scaled, 1.0).unwrap());
        }
        let before = logprobs(&mut plain);
        assert_eq!(logprobs(&mut scaled), before);
        // Beyond f32, that is, as is beyond f16 there.
        for factor in [32768.0, 16384.0] {
            assert_eq!(step(&mut scaled, 1e38).unwrap().1, Some(factor));
        }
        assert_eq!((logprobs(&mut scaled), scaled.1.steps()), (before.clone(), 3));
        // What was saved goes on with that factor.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("optimizer.safetensors");
        scaled.1.save(&scaled.0, &file).unwrap();
        let mut resumed = model(LossScale::of(DType::F16));
        resumed.1.load(&mut resumed.0, &file).unwrap();
        assert_eq!((resumed.0.params.loss_scale, resumed.1.steps()), (scaled.0.params.loss_scale, 3));
        // Without a factor to halve it is an error, and changes nothing either.
        assert!(step(&mut plain, f64::INFINITY).unwrap_err().to_string().contains("the gradient is not finite"));
        assert_eq!(logprobs(&mut plain), before);
    }
}
