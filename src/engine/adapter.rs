//! LoRA adapters on a model: made new, read from and written to PEFT folders.

use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};
use voicetune_kernels::lines::stride;

use super::Model;
use super::layout::{Init, Layout, Linear, Slot, TensorSpec};
use super::params::{self, ParamId, Params};
use super::projection::{Adapter, AdapterPart, Projection};
use super::weights::{self, Source, Store};
use crate::config::{Lora, bounded};

/// PEFT's prefix before a model's own module names.
const PREFIX: &str = "base_model.model.";

/// `adapter_config.json` as PEFT 0.6 and later read it; further keys of newer versions are checked, then left out when writing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdapterConfig {
    pub peft_type: String,
    #[serde(default)]
    pub task_type: Option<String>,
    pub r: usize,
    pub lora_alpha: f64,
    #[serde(default)]
    pub lora_dropout: f64,
    pub target_modules: Vec<String>,
    #[serde(default = "none")]
    pub bias: String,
    #[serde(default)]
    pub fan_in_fan_out: bool,
    #[serde(default)]
    pub base_model_name_or_path: Option<String>,
    #[serde(default)]
    pub inference_mode: bool,
    #[serde(default)]
    pub use_rslora: bool,
    #[serde(default)]
    pub use_dora: bool,
    #[serde(default)]
    pub modules_to_save: Option<Vec<String>>,
}

fn none() -> String {
    "none".into()
}

impl AdapterConfig {
    /// Reads an `adapter_config.json`.
    ///
    /// # Errors
    /// Names what the engine does not compute.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("adapter_config.json");
        let text = bounded::read_text(&path, bounded::CONFIG)
            .with_context(|| format!("cannot read {}; is this a PEFT adapter folder?", path.display()))?;
        let config = Self::parse(&text);
        config.with_context(|| format!("{} cannot be used", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let raw: serde_json::Value = serde_json::from_str(text)?;
        let config: AdapterConfig = serde_json::from_value(raw.clone())?;
        if config.peft_type != "LORA" {
            bail!("peft_type `{}` is not supported; voicetune reads LORA", config.peft_type);
        }
        if config.r == 0 || config.r > 1 << 16 {
            bail!("r must be from 1 to 65536, not {}", config.r);
        }
        if config.bias != "none" || config.modules_to_save.as_ref().is_some_and(|m| !m.is_empty()) {
            bail!("trained biases and modules_to_save are not supported");
        }
        for key in [
            "use_dora",
            "use_qalora",
            "use_bdlora",
            "lora_bias",
            "alora_invocation_tokens",
            "layer_replication",
            "target_parameters",
            "trainable_token_indices",
            "layers_to_transform",
            "rank_pattern",
            "alpha_pattern",
        ] {
            let set = raw.get(key).is_some_and(|v| match v {
                serde_json::Value::Null | serde_json::Value::Bool(false) => false,
                serde_json::Value::Object(map) => !map.is_empty(),
                serde_json::Value::Array(list) => !list.is_empty(),
                _ => true,
            });
            if set {
                bail!("`{key}` is not supported");
            }
        }
        Ok(config)
    }

    /// The factor on `B A x`.
    fn scale(&self) -> f64 {
        if self.use_rslora { self.lora_alpha / (self.r as f64).sqrt() } else { self.lora_alpha / self.r as f64 }
    }
}

impl Model {
    /// Puts new adapters on the target layers and freezes everything else: A is Kaiming-uniform with a = sqrt 5, which is uniform
    /// in ±1/sqrt(in), B is zero, as PEFT starts them.
    ///
    /// # Errors
    /// If a target names no layer of this model; the message lists those there are.
    pub fn add_lora(&mut self, lora: &Lora, seed: u64) -> Result<()> {
        let config = AdapterConfig {
            peft_type: "LORA".into(),
            task_type: Some("CAUSAL_LM".into()),
            r: lora.rank,
            lora_alpha: lora.alpha,
            lora_dropout: lora.dropout,
            target_modules: lora.targets.clone(),
            bias: none(),
            // What PEFT calls the orientation of GPT-2's Conv1D weights.
            fan_in_fan_out: self.layout.blocks.iter().any(|b| b.qkv.weight.0[0].transposed),
            base_model_name_or_path: None,
            inference_mode: true,
            use_rslora: false,
            use_dora: false,
            modules_to_save: None,
        };
        self.attach(config, |slot| {
            let draws = slot.0.iter().flat_map(|spec| {
                let count = spec.shape.iter().product();
                match spec.init {
                    Init::Zeros => vec![0.0; count],
                    _ => params::uniform_draws(seed, &spec.name, count, 1.0 / (spec.shape[1] as f64).sqrt()),
                }
            });
            Ok(Tensor::from_vec(draws.collect::<Vec<f32>>(), slot.shape(), &candle_core::Device::Cpu)?)
        })
    }

    /// Reads a PEFT folder and trains on from it; `dropout` is this run's.
    ///
    /// # Errors
    /// If the folder is not a LoRA adapter of this model's shape.
    pub fn load_adapter(&mut self, folder: &Path, dropout: f64) -> Result<()> {
        let mut config = AdapterConfig::read(folder)?;
        config.lora_dropout = dropout;
        let store = Store::open(&Source::Files(vec![folder.join("adapter_model.safetensors")]))?;
        let mut used = std::cell::Cell::new(0);
        self.attach(config, |slot| {
            used.set(used.get() + slot.0.len());
            params::load(slot, &store, None, DType::F32, &candle_core::Device::Cpu)
        })?;
        let (used, there) = (*used.get_mut(), store.names().len());
        if used != there {
            bail!("{} holds {there} tensors, of which this model uses {used}; is it an adapter of another model?", folder.display());
        }
        Ok(())
    }

    /// Writes `adapter_model.safetensors` and `adapter_config.json` as transformers + PEFT load them.
    ///
    /// # Errors
    /// If the model has no adapter or the folder cannot be written to.
    pub fn save_adapter(&self, folder: &Path, base_model: &str) -> Result<()> {
        let Some(config) = &self.adapter else { bail!("the model has no adapter to save") };
        let mut tensors = vec![];
        for id in self.params.ids().skip(self.base_params) {
            let param = self.params.get(id);
            tensors.extend(self.params.unstacked(id, &param.exact()?)?);
        }
        weights::save(&folder.join("adapter_model.safetensors"), &tensors)?;
        let config = AdapterConfig { base_model_name_or_path: Some(base_model.into()), inference_mode: true, ..config.clone() };
        let path = folder.join("adapter_config.json");
        std::fs::write(&path, serde_json::to_string_pretty(&config)?).with_context(|| format!("cannot write {}", path.display()))
    }

    fn attach(&mut self, config: AdapterConfig, value: impl Fn(&Slot) -> Result<Tensor>) -> Result<()> {
        check_targets(&self.layout, &config.target_modules)?;
        self.detach()?;
        let Model { params, blocks, layout, .. } = self;
        let mut add = |slot: Slot| -> Result<ParamId> {
            let master = value(&slot)?;
            params.push_trained(slot, &master)
        };
        for (block, layout) in blocks.iter_mut().zip(&layout.blocks) {
            for (projection, layout) in block.projections_mut().into_iter().zip(layout.linears()) {
                projection.adapter = adapter_for(layout, &config, &mut add)?;
            }
        }
        for block in blocks {
            block.projections_mut().into_iter().try_for_each(|projection| fold(projection, params))?;
        }
        self.adapter = Some(config);
        Ok(())
    }

    /// Takes off the adapters that there are.
    fn detach(&mut self) -> Result<()> {
        self.params.truncate(self.base_params);
        for projection in self.blocks.iter_mut().flat_map(super::block::Block::projections_mut) {
            if projection.adapter.take().is_some_and(|adapter| adapter.folded.is_some()) {
                let alone = self.params.value(projection.weight).contiguous()?;
                self.params.widen(projection.weight, alone);
            }
        }
        Ok(())
    }
}

/// Folds a projection's adapters into its product, where the device's ops take it so (see `projection`).
fn fold(projection: &mut Projection, params: &mut Params) -> Result<()> {
    let Some(adapter) = &mut projection.adapter else { return Ok(()) };
    let w = params.value(projection.weight);
    let (out, input) = w.dims2()?;
    // Rows must start at 16-byte boundaries.
    if !w.device().is_cuda() || !adapter.width().is_multiple_of(8) || !input.is_multiple_of(8) {
        return Ok(());
    }
    let columns = input + adapter.width();
    let behind = stride(columns, w.dtype().size_in_bytes()) - input;
    let folded = Tensor::cat(&[w, &Tensor::zeros((out, behind), w.dtype(), w.device())?], 1)?.narrow(1, 0, columns)?;
    params.widen(projection.weight, folded.narrow(1, 0, input)?);
    for (i, part) in adapter.parts.iter().enumerate() {
        let columns = folded.narrow(0, part.at, part.width)?.narrow(1, input + i * adapter.rank, adapter.rank)?;
        params.fold(part.b, columns, adapter.scale)?;
    }
    adapter.folded = Some(folded);
    Ok(())
}

/// Fails where a target names no layer of a model of this layout; the message lists those there are.
pub(super) fn check_targets(layout: &Layout, targets: &[String]) -> Result<()> {
    let modules = || layout.blocks.iter().flat_map(|block| block.linears()).flat_map(|linear| &linear.weight.0).map(module);
    if let Some(missing) = targets.iter().find(|target| !modules().any(|module| names(target, module))) {
        let mut there: Vec<&str> = modules().map(|module| module.rsplit('.').next().unwrap_or(module)).collect();
        there.sort_unstable();
        there.dedup();
        bail!("lora target `{missing}` is no layer of this model; its layers are {}", there.join(", "));
    }
    Ok(())
}

/// The layers of a projection that are targets.
pub(super) fn targeted<'a>(linear: &'a Linear, targets: &'a [String]) -> impl Iterator<Item = &'a TensorSpec> {
    linear.weight.0.iter().filter(|weight| targets.iter().any(|target| names(target, module(weight))))
}

/// The adapters of one projection: those of its layers that are targets.
fn adapter_for(layout: &Linear, config: &AdapterConfig, add: &mut impl FnMut(Slot) -> Result<ParamId>) -> Result<Option<Adapter>> {
    let tensor = |module: &str, which: &str, shape: [usize; 2], init: Init| TensorSpec {
        name: format!("{PREFIX}{module}.lora_{which}.weight"),
        shape: shape.to_vec(),
        transposed: false,
        init,
    };
    let (mut a, mut b) = (vec![], vec![]);
    let mut at = 0;
    for weight in &layout.weight.0 {
        let (width, input) = (weight.shape[0], weight.shape[1]);
        let module = module(weight);
        if config.target_modules.iter().any(|target| names(target, module)) {
            a.push(tensor(module, "A", [config.r, input], Init::Normal(0.0)));
            b.push((tensor(module, "B", [width, config.r], Init::Zeros), at, width));
        }
        at += width;
    }
    if a.is_empty() {
        return Ok(None);
    }
    let a = add(Slot(a))?;
    let parts = b.into_iter().map(|(spec, at, width)| Ok(AdapterPart { b: add(Slot(vec![spec]))?, at, width })).collect::<Result<_>>()?;
    Ok(Some(Adapter { a, parts, rank: config.r, scale: config.scale(), dropout: config.lora_dropout, folded: None }))
}

/// Whether a target names a module, as PEFT matches a list: the whole name or its end after a dot.
fn names(target: &str, module: &str) -> bool {
    module == target || module.strip_suffix(target).is_some_and(|rest| rest.ends_with('.'))
}

/// `model.layers.0.self_attn.q_proj` of `model.layers.0.self_attn.q_proj.weight`.
fn module(weight: &TensorSpec) -> &str {
    weight.name.trim_end_matches(".weight")
}
