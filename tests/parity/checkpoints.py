"""What gpu_parity.py compares with: random Hugging Face checkpoints, PEFT adapters, and workspaces with made-up pairs.

Weights are bf16 in the files, so that every precision starts from the very same numbers. Tokenizers are those of assets/pocket: the
ids of the pairs stay below 4096, which every model here has. Versions as in gpu_parity.py.
"""

import json
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from transformers import CONFIG_MAPPING

ROOT = Path(__file__).resolve().parents[2]
TARGETS = {
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "gpt2": ["c_attn", "c_proj", "c_fc"],
}

PAIRS, BATCH, ACCUMULATE, EPOCHS = 10, 2, 2, 5  # three steps an epoch, the last of them with fewer pairs
WARMUP, CLIP, BETAS, EPS, DECAY = 2, 1.0, (0.9, 0.999), 1e-8, 0.01
SHARD = 1 << 30


@dataclass
class Case:
    """A checkpoint to make, and how it is trained."""

    name: str
    kind: str
    rank: int
    rates: dict  # learning rate by method; wide models bear less
    sizes: dict

    def config(self):
        ends = json.loads((self.pocket() / "generation_config.json").read_text())
        sizes = self.sizes | {key: ends[key] for key in ("bos_token_id", "eos_token_id")}
        return CONFIG_MAPPING[self.kind](**sizes, use_cache=False)

    def pocket(self):
        return ROOT / "assets/pocket" / self.kind


def llama(name, rank, rates, vocab, hidden, inner, layers, heads, kv_heads, size, context, original):
    rope = {"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    sizes = dict(vocab_size=vocab, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers, head_dim=size)
    sizes |= dict(num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=context, rms_norm_eps=1e-5)
    return Case(name, "llama", rank, rates, sizes | {"rope_parameters": rope | {"original_max_position_embeddings": original}})


def gpt2(name, rank, rates, vocab, hidden, inner, layers, heads, context):
    sizes = dict(vocab_size=vocab, n_embd=hidden, n_inner=inner, n_layer=layers, n_head=heads, n_positions=context)
    return Case(name, "gpt2", rank, rates, sizes | dict(attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0))


SMALL = {"lora": 1e-3, "full": 1e-4}
SHAPES = {
    "odd": [
        llama("llama, heads of 64", 6, SMALL, 4099, 198, 333, 3, 6, 2, 64, 1024, 64),
        llama("llama, heads of 128", 16, SMALL, 4099, 327, 501, 3, 3, 1, 128, 1024, 64),
        gpt2("gpt2", 5, SMALL, 4099, 320, 777, 3, 5, 515),
    ],
    "llama-3.1-8b": [llama("llama-3.1-8b", 16, {"lora": 1e-4}, 128_256, 4096, 14_336, 32, 32, 8, 128, 131_072, 8192)],
    "gpt2-xl": [gpt2("gpt2-xl", 16, {"full": 2e-5}, 50_257, 1600, None, 48, 25, 1024)],
}


def write_checkpoint(case, skeleton, folder, device):
    """A model folder of the skeleton's shape; returns the bytes of its weights. Writing goes on while the next shard is drawn."""
    folder.mkdir()
    weight_map, written, futures = {}, 0, []
    with ThreadPoolExecutor(8) as pool:
        for n, shard in enumerate(shards(case, skeleton, device), start=1):
            file = f"model-{n:05}.safetensors"
            weight_map |= dict.fromkeys(shard, file)
            written += sum(value.nbytes for value in shard.values())
            futures.append(pool.submit(save_file, shard, folder / file, {"format": "pt"}))
    for future in futures:
        future.result()
    index = {"metadata": {"total_size": written}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    skeleton.config.save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(case.pocket() / file, folder)
    return written


def shards(case, skeleton, device):
    """Random weights with which every layer has a say, in shards of about SHARD bytes: matrices N(0, 1 / inputs), norm weights
    1 + N(0, 0.1), biases N(0, 0.1). A tied head is the embedding, and not drawn again."""
    generator = torch.Generator(device).manual_seed(1)
    shard = {}
    for name, parameter in skeleton.named_parameters():
        value = torch.empty(parameter.shape, dtype=torch.bfloat16, device=device).normal_(generator=generator)
        if value.dim() == 1:
            value = value * 0.1 + (0.0 if name.endswith("bias") else 1.0)
        else:
            value *= inputs_outputs(case, name, parameter)[0] ** -0.5
        shard[name] = value.cpu()
        if sum(value.nbytes for value in shard.values()) >= SHARD:
            yield shard
            shard = {}
    if shard:
        yield shard


def inputs_outputs(case, name, weight):
    """GPT-2's Conv1D keeps its weights the other way round."""
    rows, columns = weight.shape
    return (rows, columns) if case.kind == "gpt2" and ".h." in name else (columns, rows)


def write_adapter(case, skeleton, folder):
    """A as PEFT draws it, B large enough to matter."""
    targets = TARGETS[case.kind]
    lora = LoraConfig(task_type="CAUSAL_LM", r=case.rank, lora_alpha=2 * case.rank, target_modules=targets)
    lora.fan_in_fan_out = case.kind == "gpt2"
    lora.save_pretrained(folder)
    generator = torch.Generator().manual_seed(2)
    tensors = {}
    for name, module in skeleton.named_modules():
        if name.rsplit(".", 1)[-1] in targets:
            inputs, outputs = inputs_outputs(case, name + ".weight", module.weight)
            key = f"base_model.model.{name}.lora_"
            tensors[key + "A.weight"] = (2.0 * torch.rand(case.rank, inputs, generator=generator) - 1.0) * inputs**-0.5
            tensors[key + "B.weight"] = 0.05 * torch.randn(outputs, case.rank, generator=generator)
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})


def write_workspace(folder, case, checkpoint, dtypes):
    """Pairs and configs in a folder that `voicetune init` made: a config METHOD-DTYPE for each method of the case."""
    (folder / "pairs/tier1/example.yaml").unlink()
    draw = random.Random(3)
    words = "the a bus late river bread window of under and again her first rain slowly kept stone seven nobody left".split()
    for n in range(PAIRS):
        prompt, response = (" ".join(draw.choices(words, k=draw.randrange(*span))) for span in [(3, 20), (20, 160)])
        pair = f"tier: 2\nsource: made-up-{n}\nprompt: |\n  {prompt}\nresponse: |\n  {response}\nstatus: ready\nsplit: train\n"
        (folder / f"pairs/tier2/made-up-{n}.yaml").write_text(pair)
    for method, rate in case.rates.items():
        config = {
            "model": str(checkpoint),
            "format": "chat" if case.kind == "llama" else "plain",
            "method": method,
            "lora": {"rank": case.rank, "alpha": 2 * case.rank, "dropout": 0.0, "targets": TARGETS[case.kind]},
            "optimizer": {"learning_rate": rate, "weight_decay": DECAY, "betas": BETAS, "eps": EPS},
            "schedule": {"name": "cosine", "warmup_steps": WARMUP},
            "epochs": EPOCHS,
            "batch": BATCH,
            "accumulate": ACCUMULATE,
            "max_tokens": 512,
            "clip_grad_norm": CLIP,
            "validation": {"fraction": 0.0},
            "evaluate_every": "never",
            "sample_every": "never",
            "checkpoint_every": 1000,
            "keep_best": "last",
        }
        for dtype in dtypes:  # JSON is YAML
            (folder / f"configs/{method}-{dtype}.yaml").write_text(json.dumps(config | {"base_precision": dtype}, indent=2))
