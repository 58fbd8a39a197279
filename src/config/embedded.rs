//! The config files that are built into the program: `init` writes them, and the optional ones are the defaults.

/// File name and text of each, as they stand in `configs/`. `canaries.yaml` is not among them: canaries are about the writer's own
/// topics.
pub const EMBEDDED: &[(&str, &str)] = &[
    ("llama-3.1-8b-lora.yaml", include_str!("../../configs/llama-3.1-8b-lora.yaml")),
    ("llama-3.1-8b-lora-t4.yaml", include_str!("../../configs/llama-3.1-8b-lora-t4.yaml")),
    ("gpt2-xl-full.yaml", include_str!("../../configs/gpt2-xl-full.yaml")),
    ("gpt2-xl-full-t4.yaml", include_str!("../../configs/gpt2-xl-full-t4.yaml")),
    ("pocket-llama-lora.yaml", include_str!("../../configs/pocket-llama-lora.yaml")),
    ("pocket-gpt2-full.yaml", include_str!("../../configs/pocket-gpt2-full.yaml")),
    ("rubric.yaml", RUBRIC),
    ("sampling.yaml", include_str!("../../configs/sampling.yaml")),
    ("templates.yaml", include_str!("../../configs/templates.yaml")),
];

/// The nine dimensions that hold where a workspace has no `rubric.yaml`.
pub(super) const RUBRIC: &str = include_str!("../../configs/rubric.yaml");
