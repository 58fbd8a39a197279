//! Defaults, the shipped configs, and every error message.

use super::*;
use crate::config::EMBEDDED;

const LEAST: &str = "model: pocket:llama\nformat: chat\nmethod: lora\n";

fn embedded(name: &str) -> Config {
    let (file, text) = EMBEDDED.iter().find(|(file, _)| *file == format!("{name}.yaml")).unwrap();
    parse(Path::new(file), text).unwrap()
}

#[test]
fn the_least_config_has_the_documented_defaults() {
    let config = parse(Path::new("configs/llama-3.1-8b-mine.yaml"), LEAST).unwrap();
    let expected = Config {
        name: "llama-3.1-8b-mine".into(),
        model: "pocket:llama".into(),
        revision: "main".into(),
        format: Format::Chat,
        method: Method::Lora,
        lora: Lora {
            rank: 16,
            alpha: 32.0,
            dropout: 0.05,
            targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"].map(String::from).to_vec(),
        },
        base_precision: Precision::Bf16,
        optimizer: Optimizer {
            name: OptimizerName::Adamw,
            learning_rate: 1e-4,
            weight_decay: 0.0,
            betas: [0.9, 0.999],
            eps: 1e-8,
            state: StateType::F32,
        },
        schedule: Schedule { name: ScheduleName::Cosine, warmup_steps: 10 },
        epochs: 3,
        batch: 1,
        accumulate: 1,
        max_tokens: 2048,
        overlong: Overlong::CutAtParagraph,
        recompute: Recompute::Auto,
        memory_limit: MemoryLimit::None,
        clip_grad_norm: 1.0,
        seed: 42,
        validation: Validation { fraction: 0.07, by: SplitBy::Source },
        evaluate_every: Every::Epoch,
        sample_every: Every::Epoch,
        checkpoint_every: 50,
        keep_best: KeepBest::Validation,
        keep_checkpoints: 2,
    };
    assert_eq!(config, expected);
}

#[test]
fn the_shipped_configs_say_what_the_experiment_asks_for() {
    let llama = embedded("llama-3.1-8b-lora");
    assert_eq!(
        llama,
        parse(Path::new("llama-3.1-8b-lora"), "model: meta-llama/Llama-3.1-8B-Instruct\nformat: chat\nmethod: lora\n")
            .map(|c| Config { name: llama.name.clone(), ..c })
            .unwrap()
    );
    let t4 = embedded("llama-3.1-8b-lora-t4");
    assert_eq!((t4.base_precision, t4.max_tokens, t4.recompute), (Precision::Nf4, 2048, Recompute::Block));
    let gpt2 = embedded("gpt2-xl-full");
    assert_eq!((gpt2.model.as_str(), gpt2.format, gpt2.method), ("openai-community/gpt2-xl", Format::Plain, Method::Full));
    assert_eq!((gpt2.optimizer.learning_rate, gpt2.max_tokens), (5e-5, 1024));
    let t4 = embedded("gpt2-xl-full-t4");
    assert_eq!((t4.optimizer.state, t4.base_precision), (StateType::Int8, Precision::F16));
    for (name, max_tokens) in [("pocket-llama-lora", 4096), ("pocket-gpt2-full", 1024)] {
        let pocket = embedded(name);
        assert_eq!(
            (pocket.base_precision, pocket.max_tokens, pocket.epochs, pocket.batch, pocket.accumulate),
            (Precision::F32, max_tokens, 3, 1, 2)
        );
    }
    let names =
        ["llama-3.1-8b-lora-t4", "gpt2-xl-full-t4", "pocket-llama-lora", "pocket-gpt2-full"].map(|name| embedded(name).short_name());
    assert_eq!(names, ["llama", "gpt2", "pocket-llama", "pocket-gpt2"]);
}

#[test]
fn a_shipped_config_gives_every_key_and_says_what_it_is() {
    let keys = |text: &str| -> usize { text.lines().filter(|line| line.contains(':') && !line.trim_start().starts_with('#')).count() };
    for (file, text) in EMBEDDED.iter().filter(|(file, _)| file.contains("lora") || file.contains("full")) {
        // Twenty-three keys at the top, four of them groups with 4 + 6 + 2 + 2 keys.
        assert_eq!(keys(text), 37, "{file}");
        for pair in
            text.lines().collect::<Vec<_>>().windows(2).filter(|pair| pair[1].contains(':') && !pair[1].trim_start().starts_with('#'))
        {
            let group = ["optimizer:", "schedule:", "validation:"].contains(&pair[1]);
            assert!(group || pair[0].trim_start().starts_with('#'), "{file}: `{}` has no comment", pair[1]);
        }
    }
}

#[test]
fn a_resolved_config_survives_serialisation() {
    let config = Config {
        evaluate_every: Every::Steps(20),
        sample_every: Every::Never,
        memory_limit: MemoryLimit::Gib(13.5),
        ..embedded("llama-3.1-8b-lora")
    };
    let text = serde_yaml::to_string(&config).unwrap();
    assert_eq!(serde_yaml::from_str::<Config>(&text).unwrap(), config);
    assert_eq!(serde_json::from_str::<Config>(&serde_json::to_string(&config).unwrap()).unwrap(), config);
}

/// What is said about the least config with `more` behind it; its first line is line 4.
fn error_of(more: &str) -> String {
    parse(Path::new("configs/c.yaml"), &format!("{LEAST}{more}")).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    let check = |more: &str, expected: &str| assert_eq!(error_of(more), expected, "{more}");
    // Keys.
    check("epoch: 3\n", "configs/c.yaml:4: unknown key `epoch`; did you mean `epochs`?");
    check("lora:\n  rnak: 3\n", "configs/c.yaml:5: unknown key `rnak`; did you mean `rank`?");
    check("lora: {rank: 3, x: 1}\n", "configs/c.yaml:4: unknown key `x`; there is `rank`, `alpha`, `dropout`, `targets`");
    check("epochs: 3\nbatch: 1\nepochs: 4\n", "configs/c.yaml:6: the key `epochs` is given twice; keep one of them");
    // Types.
    check("epochs: three\n", "configs/c.yaml:4: `epochs: three`: expected a whole number, 0 or above");
    check("epochs: -1\n", "configs/c.yaml:4: `epochs: -1`: expected a whole number, 0 or above");
    check("epochs: 2.5\n", "configs/c.yaml:4: `epochs: 2.5`: expected a whole number, 0 or above");
    check("epochs:\n", "configs/c.yaml:4: `epochs:`: expected a whole number, 0 or above");
    check("clip_grad_norm: much\n", "configs/c.yaml:4: `clip_grad_norm: much`: expected a number");
    check("lora: 16\n", "configs/c.yaml:4: `lora: 16`: expected keys and values, not a single value");
    check("lora:\n", "configs/c.yaml:4: `lora:`: expected keys and values, not a single value");
    check("lora: {targets: q_proj}\n", "configs/c.yaml:4: `lora: {targets: q_proj}`: expected a list, such as [a, b]");
    check("optimizer: {betas: [0.9]}\n", "configs/c.yaml:4: `optimizer: {betas: [0.9]}`: expected an array of length 2, found 1");
    check("evaluate_every: often\n", "configs/c.yaml:4: `evaluate_every: often`: expected `epoch`, `never` or a number of steps above 0");
    check("evaluate_every: 0\n", "configs/c.yaml:4: `evaluate_every: 0`: expected `epoch`, `never` or a number of steps above 0");
    check("memory_limit: much\n", "configs/c.yaml:4: `memory_limit: much`: expected `none` or a number of GiB above 0");
    check("memory_limit: 24 GiB\n", "configs/c.yaml:4: `memory_limit: 24 GiB`: expected `none` or a number of GiB above 0");
    check("memory_limit: -1\n", "configs/c.yaml:4: `memory_limit: -1`: expected `none` or a number of GiB above 0");
    check("base_precision: fp16\n", "configs/c.yaml:4: `base_precision: fp16`: `fp16` is not allowed; it is one of f32, bf16, f16, nf4");
    check("optimizer:\n  name: sgd\n", "configs/c.yaml:5: `name: sgd`: `sgd` is not allowed; it is one of adamw");
    // Ranges.
    check("epochs: 0\n", "configs/c.yaml:4: `epochs` must be from 1 to 100,000, not 0");
    check("batch: 0\n", "configs/c.yaml:4: `batch` must be from 1 to 65,536, not 0");
    check("accumulate: 0\n", "configs/c.yaml:4: `accumulate` must be from 1 to 65,536, not 0");
    check("max_tokens: 1\n", "configs/c.yaml:4: `max_tokens` must be from 2 to 16,777,216, not 1");
    check("checkpoint_every: 0\n", "configs/c.yaml:4: `checkpoint_every` must be 1 or more, not 0");
    check("keep_checkpoints: 0\n", "configs/c.yaml:4: `keep_checkpoints` must be 1 or more, not 0");
    for wrong in ["0", "0.0", "-0.5"] {
        let line = format!("memory_limit: {wrong}");
        check(&format!("{line}\n"), &format!("configs/c.yaml:4: `{line}`: expected `none` or a number of GiB above 0"));
    }
    check("memory_limit: .inf\n", "configs/c.yaml:4: `memory_limit: .inf`: expected a finite number");
    check("clip_grad_norm: -1\n", "configs/c.yaml:4: `clip_grad_norm` must be 0 (no clipping) or above, not -1.0");
    check("revision: \"\"\n", "configs/c.yaml:4: `revision` must be a branch, tag or commit, not \"\"");
    check("lora:\n  alpha: 8\n  rank: 0\n", "configs/c.yaml:6: `lora.rank` must be from 1 to 65,536, not 0");
    check("lora: {alpha: 0}\n", "configs/c.yaml:4: `lora.alpha` must be above 0, not 0.0");
    check("lora: {dropout: 1}\n", "configs/c.yaml:4: `lora.dropout` must be from 0 to below 1, not 1.0");
    check("lora: {targets: []}\n", "configs/c.yaml:4: `lora.targets` must be a list of layer names, each once, not []");
    check("lora: {targets: [a, a]}\n", "configs/c.yaml:4: `lora.targets` must be a list of layer names, each once, not [\"a\", \"a\"]");
    check("optimizer: {learning_rate: 0}\n", "configs/c.yaml:4: `optimizer.learning_rate` must be above 0, not 0.0");
    check("optimizer: {learning_rate: .inf}\n", "configs/c.yaml:4: `optimizer.learning_rate` must be above 0, not inf");
    check("optimizer: {learning_rate: .nan}\n", "configs/c.yaml:4: `optimizer.learning_rate` must be above 0, not NaN");
    check("optimizer: {betas: [0.9, 1]}\n", "configs/c.yaml:4: `optimizer.betas` must be two numbers from 0 to below 1, not [0.9, 1.0]");
    check("optimizer: {weight_decay: -0.1}\n", "configs/c.yaml:4: `optimizer.weight_decay` must be 0 or above, not -0.1");
    check("optimizer: {eps: 0}\n", "configs/c.yaml:4: `optimizer.eps` must be above 0, not 0.0");
    check("validation: {fraction: 0.6}\n", "configs/c.yaml:4: `validation.fraction` must be from 0 to 0.5, not 0.6");
    // YAML.
    check("epochs: [3]\n", "configs/c.yaml:4: `epochs: [3]`: expected a single value");
    check("epochs 3\n", "configs/c.yaml:4: `epochs 3`: this is not YAML: simple key expected ':'");
    check("---\nepochs: 3\n", "configs/c.yaml:4: this line ends the document, as it is not indented; indent it like the text around it");
}

#[test]
fn missing_keys_are_named_together() {
    let check = |text: &str, expected: &str| assert_eq!(parse(Path::new("c.yaml"), text).unwrap_err().to_string(), expected);
    check("format: chat\nmethod: lora\n", "c.yaml: the key `model` is missing; add it");
    check("model: a\n", "c.yaml: the keys `format` and `method` are missing; add them");
    check("", "c.yaml: the keys `model` and `format` and `method` are missing; add them");
    check("# nothing yet\n", "c.yaml: the keys `model` and `format` and `method` are missing; add them");
}

#[test]
fn four_bit_weights_are_not_trained_in_full() {
    let text = "model: a\nformat: plain\nmethod: full\nbase_precision: nf4\n";
    let error = parse(Path::new("c.yaml"), text).unwrap_err();
    assert_eq!(error.line, Some(4));
    assert!(error.message.ends_with("use `method: lora`, or bf16, f16 or f32"), "{error}");
}

#[test]
fn a_memory_limit_is_for_a_run_that_may_choose_what_it_recomputes() {
    let of = |more: &str| parse(Path::new("c.yaml"), &format!("{LEAST}{more}")).map(|config| config.memory_limit.bytes());
    assert_eq!(of("memory_limit: 26\n").unwrap(), Some(26 << 30));
    assert_eq!(of("recompute: auto\nmemory_limit: 0.5\n").unwrap(), Some(1 << 29));
    assert_eq!(of("recompute: block\nmemory_limit: none\n").unwrap(), None);
    for recompute in ["none", "mlp", "block"] {
        let error = of(&format!("recompute: {recompute}\nmemory_limit: 26\n")).unwrap_err().to_string();
        assert_eq!(error, "c.yaml:5: `memory_limit` is kept by `recompute: auto` alone; use that, or `memory_limit: none`");
    }
}

#[test]
fn a_config_from_elsewhere_is_held_to_the_same_limits() {
    for (file, text) in EMBEDDED.iter().filter(|(file, _)| file.contains("lora") || file.contains("full")) {
        check(&parse(Path::new(file), text).unwrap()).unwrap();
    }
    let config = embedded("pocket-llama-lora");
    let faults = [
        Config { epochs: usize::MAX, ..config.clone() },
        Config { batch: 0, ..config.clone() },
        Config { clip_grad_norm: f64::NAN, ..config.clone() },
        Config { memory_limit: MemoryLimit::Gib(-1.0), ..embedded("llama-3.1-8b-lora") },
        Config { model: " ".into(), ..config },
    ];
    assert!(faults.iter().all(|config| check(config).is_err()));
}
