//! Small random models of both families, with odd sizes.

pub const LLAMA: &str = r#"{"model_type": "llama", "vocab_size": 1003, "hidden_size": 256, "intermediate_size": 640, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "hidden_act": "silu", "max_position_embeddings": 200,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false, "attention_bias": true, "mlp_bias": true}"#;
pub const GPT2: &str = r#"{"model_type": "gpt2", "vocab_size": 1003, "n_embd": 192, "n_head": 3, "n_layer": 3, "n_positions": 200, "n_ctx": 200,
    "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}"#;
