#!/usr/bin/env python3
"""Trains a model of the given shape with transformers (and PEFT) on the CPU and prints how fast: the peer of
`voicetune bench train` on pocket models.

    python peer_pocket.py CONFIG.json --method lora|full [--batch 4] [--seq 512] [--steps 10] [--threads 2] [--rank 16]

CONFIG.json is a Hugging Face config.json of a Llama or a GPT-2. Weights and tokens are random; all positions are trained;
float32, sdpa attention, AdamW, gradients clipped to norm 1. LoRA is on all seven linears of a Llama, alpha twice the rank, no
dropout. Every step trains on the same batch, so that the loss is seen to fall. The first steps (--warm-up) are not timed.
Prints one JSON line. The versions used by the fixtures (../fixtures/engine/requirements.txt) will do.
"""

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers import AutoModelForCausalLM, CONFIG_MAPPING

ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def read_config(path):
    with open(path, encoding="utf-8") as file:
        values = json.load(file)
    kind = values.pop("model_type", None)
    if kind not in ("llama", "gpt2"):
        raise SystemExit(f"{path}: model_type is {kind!r}, not llama or gpt2")
    return CONFIG_MAPPING[kind].from_dict(values)


def build(config, method, rank):
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.float32)
    if method == "lora":
        from peft import LoraConfig, get_peft_model

        if config.model_type != "llama":
            raise SystemExit("--method lora is for Llama; GPT-2 is trained in full")
        lora = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=ALL_LINEAR, task_type="CAUSAL_LM")
        model = get_peft_model(model, lora)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model.train()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config")
    parser.add_argument("--method", choices=["lora", "full"], required=True)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    transformers.logging.set_verbosity_error()
    config = read_config(options.config)
    config.use_cache = False
    if options.seq > config.max_position_embeddings:
        parser.error(f"--seq {options.seq} is more than the model's {config.max_position_embeddings} positions")
    model = build(config, options.method, options.rank)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.lr, weight_decay=0.0)
    ids = torch.randint(config.vocab_size, (options.batch, options.seq))

    losses, seconds = [], []
    for _ in range(options.warm_up + options.steps):
        start = time.perf_counter()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)

    median = statistics.median(seconds[options.warm_up :])
    result = {
        "tokens_per_s": round(options.batch * options.seq / median, 1),
        "ms_per_step": round(1000.0 * median, 2),
        "ms_fastest": round(1000.0 * min(seconds[options.warm_up :]), 2),
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trained": sum(parameter.numel() for parameter in trained),
        "method": options.method,
        "batch": options.batch,
        "seq": options.seq,
        "threads": options.threads,
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
