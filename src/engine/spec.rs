//! The shape of a model, read from its `config.json`. What the engine does not compute exactly is refused by name.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Map, Value};

/// A supported architecture and its sizes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "architecture", rename_all = "lowercase")]
pub enum Spec {
    Llama(Llama),
    Gpt2(Gpt2),
}

/// LlamaForCausalLM.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Llama {
    pub vocab: usize,
    pub hidden: usize,
    pub intermediate: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_size: usize,
    pub norm_eps: f64,
    pub rope_theta: f64,
    pub rope_scaling: RopeScaling,
    pub context: usize,
    /// The head is the embedding.
    pub tied: bool,
    pub attention_bias: bool,
    pub mlp_bias: bool,
}

/// How the rotation frequencies are stretched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum RopeScaling {
    None,
    Linear { factor: f64 },
    Llama3 { factor: f64, low: f64, high: f64, original: f64 },
}

/// GPT2LMHeadModel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gpt2 {
    pub vocab: usize,
    pub hidden: usize,
    pub intermediate: usize,
    pub layers: usize,
    pub heads: usize,
    pub norm_eps: f64,
    pub context: usize,
}

/// Bounds that no model comes near, so that a hostile file cannot ask for sizes whose product overflows.
const MOST: usize = 1 << 24;
const MOST_LAYERS: usize = 1024;

impl Spec {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// Names the key and its value where the engine does not support it.
    pub fn parse(config_json: &str) -> Result<Spec> {
        let value: Value = serde_json::from_str(config_json).context("config.json is not valid JSON")?;
        let Value::Object(map) = value else { bail!("config.json is not an object") };
        let keys = Keys(&map);
        let spec = match keys.text("model_type")? {
            Some("llama") => Spec::Llama(llama(&keys)?),
            Some("gpt2") => Spec::Gpt2(gpt2(&keys)?),
            Some(other) => bail!("model_type `{other}` is not supported; voicetune trains `llama` and `gpt2` models"),
            None => bail!("config.json has no `model_type`; voicetune trains `llama` and `gpt2` models"),
        };
        Ok(spec)
    }

    /// The shapes that `bench` knows by name.
    pub fn named(shape: &str) -> Option<Spec> {
        match shape {
            "llama-3.1-8b" => Some(Spec::Llama(Llama {
                vocab: 128_256,
                hidden: 4096,
                intermediate: 14_336,
                layers: 32,
                heads: 32,
                kv_heads: 8,
                head_size: 128,
                norm_eps: 1e-5,
                rope_theta: 500_000.0,
                rope_scaling: RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 },
                context: 131_072,
                tied: false,
                attention_bias: false,
                mlp_bias: false,
            })),
            "gpt2-xl" => Some(Spec::Gpt2(Gpt2 {
                vocab: 50_257,
                hidden: 1600,
                intermediate: 6400,
                layers: 48,
                heads: 25,
                norm_eps: 1e-5,
                context: 1024,
            })),
            "pocket-llama" => Spec::parse(include_str!("../../assets/pocket/llama/config.json")).ok(),
            "pocket-gpt2" => Spec::parse(include_str!("../../assets/pocket/gpt2/config.json")).ok(),
            _ => None,
        }
    }

    /// Most tokens a sequence may have.
    pub fn context(&self) -> usize {
        match self {
            Spec::Llama(s) => s.context,
            Spec::Gpt2(s) => s.context,
        }
    }

    pub fn vocab(&self) -> usize {
        match self {
            Spec::Llama(s) => s.vocab,
            Spec::Gpt2(s) => s.vocab,
        }
    }

    /// Width of the residual stream.
    pub fn hidden(&self) -> usize {
        match self {
            Spec::Llama(s) => s.hidden,
            Spec::Gpt2(s) => s.hidden,
        }
    }

    pub fn layers(&self) -> usize {
        match self {
            Spec::Llama(s) => s.layers,
            Spec::Gpt2(s) => s.layers,
        }
    }

    /// Weights in the model, a tied head counted once.
    pub fn parameters(&self) -> u64 {
        super::layout::of(self).tensors().map(|t| t.shape.iter().product::<usize>() as u64).sum()
    }

    /// Names the arms: `llama-base`, `gpt2-tuned`.
    pub fn short_name(&self) -> &'static str {
        match self {
            Spec::Llama(_) => "llama",
            Spec::Gpt2(_) => "gpt2",
        }
    }
}

impl Llama {
    /// Inverse frequencies of the rotation (D/2): `theta^(-2i/D)`, scaled as `transformers.modeling_rope_utils` does, in f32.
    pub fn inverse_frequencies(&self) -> Vec<f32> {
        let d = self.head_size as f64;
        let plain = (0..self.head_size / 2).map(|i| 1.0 / self.rope_theta.powf(2.0 * i as f64 / d));
        plain
            .map(|f| match self.rope_scaling {
                RopeScaling::None => f,
                RopeScaling::Linear { factor } => f / factor,
                RopeScaling::Llama3 { factor, low, high, original } => {
                    let turns = original * f / std::f64::consts::TAU; // whole rotations within the original context
                    if turns < low {
                        f / factor
                    } else if turns > high {
                        f
                    } else {
                        let smooth = (turns - low) / (high - low);
                        (1.0 - smooth) * f / factor + smooth * f
                    }
                }
            } as f32)
            .collect()
    }
}

fn llama(keys: &Keys) -> Result<Llama> {
    keys.only("hidden_act", &["silu", "swish"])?;
    keys.refuse_quantised()?;
    let hidden = keys.size("hidden_size")?;
    let heads = keys.size("num_attention_heads")?;
    let kv_heads = keys.size_or("num_key_value_heads", heads)?;
    let head_size = keys.size_or("head_dim", hidden / heads)?;
    if heads % kv_heads != 0 {
        bail!("num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads} in config.json");
    }
    if head_size % 2 != 0 {
        bail!("head_dim {head_size} in config.json is odd; rotary position embedding needs an even head size");
    }
    // transformers 5 writes `rope_parameters`, the published models have `rope_theta` and `rope_scaling`.
    let rope = keys.object("rope_parameters")?.or(keys.object("rope_scaling")?);
    let theta = match rope.as_ref().map(|rope| rope.number("rope_theta")).transpose()?.flatten() {
        Some(theta) => theta,
        None => keys.number("rope_theta")?.unwrap_or(10_000.0),
    };
    // As for each size: so that no product overflows, and no table takes more than a model of this width could.
    if heads * head_size > MOST {
        bail!("num_attention_heads {heads} times head_dim {head_size} in config.json is more than {MOST}");
    }
    Ok(Llama {
        vocab: keys.size("vocab_size")?,
        hidden,
        intermediate: keys.size("intermediate_size")?,
        layers: keys.layers("num_hidden_layers")?,
        heads,
        kv_heads,
        head_size,
        norm_eps: keys.number("rms_norm_eps")?.unwrap_or(1e-6),
        rope_theta: theta,
        rope_scaling: rope.map_or(Ok(RopeScaling::None), |rope| rope_scaling(&rope))?,
        context: keys.size_or("max_position_embeddings", 2048)?,
        tied: keys.flag("tie_word_embeddings")?.unwrap_or(false),
        attention_bias: keys.flag("attention_bias")?.unwrap_or(false),
        mlp_bias: keys.flag("mlp_bias")?.unwrap_or(false),
    })
}

fn rope_scaling(rope: &Keys) -> Result<RopeScaling> {
    let kind = match rope.text("rope_type")? {
        Some(kind) => Some(kind),
        None => rope.text("type")?,
    };
    let need = |key: &str| rope.number(key)?.with_context(|| format!("rope scaling in config.json lacks `{key}`"));
    match kind {
        None | Some("default") => Ok(RopeScaling::None),
        Some("linear") => Ok(RopeScaling::Linear { factor: need("factor")? }),
        Some("llama3") => Ok(RopeScaling::Llama3 {
            factor: need("factor")?,
            low: need("low_freq_factor")?,
            high: need("high_freq_factor")?,
            original: need("original_max_position_embeddings")?,
        }),
        Some(other) => bail!("rope scaling `{other}` is not supported; voicetune computes `default`, `linear` and `llama3`"),
    }
}

fn gpt2(keys: &Keys) -> Result<Gpt2> {
    keys.only("activation_function", &["gelu_new", "gelu_pytorch_tanh"])?;
    keys.refuse_quantised()?;
    for (key, expected) in [
        ("add_cross_attention", false),
        ("scale_attn_by_inverse_layer_idx", false),
        ("scale_attn_weights", true),
        ("tie_word_embeddings", true),
    ] {
        if keys.flag(key)?.is_some_and(|value| value != expected) {
            bail!("`{key}: {}` in config.json is not supported for gpt2 models", !expected);
        }
    }
    let hidden = keys.size("n_embd")?;
    let heads = keys.size("n_head")?;
    if hidden % heads != 0 {
        bail!("n_embd {hidden} is not a multiple of n_head {heads} in config.json");
    }
    Ok(Gpt2 {
        vocab: keys.size("vocab_size")?,
        hidden,
        intermediate: keys.size_or("n_inner", 4 * hidden)?,
        layers: keys.layers("n_layer")?,
        heads,
        norm_eps: keys.number("layer_norm_epsilon")?.unwrap_or(1e-5),
        context: keys.size("n_positions")?,
    })
}

/// Typed reading of a JSON object; null counts as absent, as in transformers.
struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.get(key).map(|v| v.as_str().with_context(|| wrong(key, v, "a string"))).transpose()
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        self.get(key).map(|v| v.as_f64().with_context(|| wrong(key, v, "a number"))).transpose()
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.get(key).map(|v| v.as_bool().with_context(|| wrong(key, v, "true or false"))).transpose()
    }

    fn object(&self, key: &str) -> Result<Option<Keys<'a>>> {
        self.get(key).map(|v| v.as_object().map(Keys).with_context(|| wrong(key, v, "an object"))).transpose()
    }

    fn size(&self, key: &str) -> Result<usize> {
        let value = self.get(key).with_context(|| format!("config.json lacks `{key}`"))?;
        value
            .as_u64()
            .filter(|&n| (1..=MOST as u64).contains(&n))
            .map(|n| n as usize)
            .with_context(|| wrong(key, value, "a number from 1 to 16,777,216"))
    }

    /// Each layer is a block that is laid out before any weight is looked at.
    fn layers(&self, key: &str) -> Result<usize> {
        let layers = self.size(key)?;
        if layers > MOST_LAYERS {
            bail!("`{key}: {layers}` in config.json is more than {MOST_LAYERS}");
        }
        Ok(layers)
    }

    fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.get(key).is_some() { self.size(key) } else { Ok(default) }
    }

    fn only(&self, key: &str, allowed: &[&str]) -> Result<()> {
        match self.text(key)? {
            Some(value) if !allowed.contains(&value) => {
                bail!("`{key}: {value}` in config.json is not supported; voicetune computes `{}`", allowed[0])
            }
            _ => Ok(()),
        }
    }

    fn refuse_quantised(&self) -> Result<()> {
        if self.get("quantization_config").is_some() {
            bail!("config.json has a `quantization_config`: pre-quantised weights are not supported; use the unquantised model");
        }
        Ok(())
    }
}

fn wrong(key: &str, value: &Value, expected: &str) -> String {
    format!("`{key}: {value}` in config.json should be {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_configs_are_refused_by_name() {
        let llama =
            r#""model_type":"llama","vocab_size":10,"hidden_size":8,"intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2"#;
        let gpt2 = r#""model_type":"gpt2","vocab_size":10,"n_embd":8,"n_layer":1,"n_head":2,"n_positions":16"#;
        for (json, expected) in [
            ("[]".to_string(), "not an object"),
            ("{".into(), "not valid JSON"),
            ("{}".into(), "no `model_type`"),
            (r#"{"model_type":"mistral"}"#.into(), "`mistral` is not supported"),
            (format!(r#"{{{llama},"hidden_act":"gelu"}}"#), "`hidden_act: gelu`"),
            (format!(r#"{{{llama},"rope_scaling":{{"type":"yarn","factor":2}}}}"#), "rope scaling `yarn`"),
            (format!(r#"{{{llama},"rope_parameters":{{"rope_type":"llama3","factor":2}}}}"#), "lacks `low_freq_factor`"),
            (format!(r#"{{{llama},"num_key_value_heads":3}}"#), "not a multiple"),
            (format!(r#"{{{llama},"head_dim":5}}"#), "odd"),
            (format!(r#"{{{llama},"head_dim":16777216}}"#), "times head_dim 16777216"),
            (format!(r#"{{{},"num_hidden_layers":1025}}"#, llama.replace(",\"num_hidden_layers\":1", "")), "is more than 1024"),
            (format!(r#"{{{llama},"quantization_config":{{}}}}"#), "quantization_config"),
            (format!(r#"{{{},"hidden_size":-4}}"#, llama.replace("\"hidden_size\":8,", "")), "`hidden_size: -4`"),
            (r#"{"model_type":"llama","vocab_size":10}"#.into(), "lacks `hidden_size`"),
            (format!(r#"{{{gpt2},"activation_function":"relu"}}"#), "`activation_function: relu`"),
            (format!(r#"{{{gpt2},"scale_attn_by_inverse_layer_idx":true}}"#), "`scale_attn_by_inverse_layer_idx: true`"),
            (format!(r#"{{{gpt2},"n_head":3}}"#), "not a multiple of n_head 3"),
        ] {
            let message = format!("{:#}", Spec::parse(&json).expect_err(&json));
            assert!(message.contains(expected), "{json}\n-> {message}\nexpected {expected}");
        }
    }

    #[test]
    fn both_spellings_of_rope_mean_the_same() {
        let new = include_str!("../../tests/fixtures/engine/llama/config.json");
        let published = include_str!("../../tests/fixtures/engine/llama/config_hub_style.json");
        assert_eq!(Spec::parse(new).unwrap(), Spec::parse(published).unwrap());
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        for (shape, expected) in [("llama-3.1-8b", 8_030_261_248), ("gpt2-xl", 1_557_611_200)] {
            assert_eq!(Spec::named(shape).unwrap().parameters(), expected, "{shape}");
        }
    }
}
