#!/usr/bin/env python3
"""Measures transformers + PEFT on a GPU with random weights at the true shapes: the peer of `voicetune bench`.

    python peer_gpu.py train --shape llama-3.1-8b --method lora --batch 1|4 --seq 2048 [--liger]
    python peer_gpu.py train --shape llama-3.1-8b --method lora --lengths FILE [--limit N] [--epochs 3]
    python peer_gpu.py train --shape gpt2-xl --method full --batch 4 --seq 1024 [--masters]
    python peer_gpu.py train --shape llama-3.1-8b --method lora --batch 1 --seq 8192 --checkpointing
    python peer_gpu.py generate --shape llama-3.1-8b --batch 1|10 --prompt 64 --new 128 [--static-cache]

Weights are drawn on the device in bf16; attention is sdpa. LoRA is on all linears, alpha twice the rank, no dropout; the adapters
stay f32, as PEFT keeps them. In full, weights, gradients and moments are bf16, or with --masters all of them f32 under autocast. All
positions are trained; AdamW (fused), gradients clipped to norm 1. Steps of one size: median after two that are not timed. --lengths
takes one example a step by the token counts in FILE, cut to the model's context, over the whole time. --liger puts the Liger kernels
in, where they are installed (Llama only).

Decoding samples as voicetune does (repetition penalty 1.1, temperature 0.8, top-k 50, top-p 0.9) and never ends early: the time
for --new tokens less the time for one, median of three.

Prints one JSON object: voicetune's keys, and the versions. Out of memory is said in `error`, exit status 1. The shapes tiny-llama
and tiny-gpt2 with --device cpu try the script out. Made with transformers 5.17.0, torch 2.15.0 and peft 0.21.2; Python 3.11 or later.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers import AutoModelForCausalLM, GPT2Config, GenerationConfig, LlamaConfig

TARGETS = {
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "gpt2": ["c_attn", "c_proj", "c_fc"],
}


def llama(vocab, hidden, inner, layers, heads, kv_heads, context):
    rope = {"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    return LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=context,
        rms_norm_eps=1e-5,
        rope_parameters=rope | {"original_max_position_embeddings": context // 16},
    )


def gpt2(vocab, hidden, layers, heads, context):
    rest = dict(attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0, bos_token_id=vocab - 1, eos_token_id=vocab - 1)
    return GPT2Config(vocab_size=vocab, n_embd=hidden, n_layer=layers, n_head=heads, n_positions=context, **rest)


SHAPES = {
    "llama-3.1-8b": llama(128_256, 4096, 14_336, 32, 32, 8, 131_072),
    "gpt2-xl": gpt2(50_257, 1600, 48, 25, 1024),
    "tiny-llama": llama(1000, 64, 128, 2, 4, 2, 256),
    "tiny-gpt2": gpt2(1000, 64, 2, 4, 256),
}


def build(options, dtype):
    config = SHAPES[options.shape]
    if getattr(options, "liger", False):
        if config.model_type != "llama":
            sys.exit("--liger: there are no Liger kernels for GPT-2")
        try:
            from liger_kernel.transformers import apply_liger_kernel_to_llama
        except ImportError:
            sys.exit("--liger: the package liger-kernel is not installed")
        apply_liger_kernel_to_llama()
    with torch.device(options.device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")


def synchronize(options):
    if options.device == "cuda":
        torch.cuda.synchronize()


def seconds_of(options, work):
    synchronize(options)
    start = time.perf_counter()
    work()
    synchronize(options)
    return time.perf_counter() - start


def read_lengths(options, context):
    with open(options.lengths, encoding="utf-8") as file:
        lengths = [min(int(line), context) for line in file if line.strip()]
    return lengths[: options.limit] * options.epochs


def train(options):
    masters = options.method == "full" and options.masters
    model = build(options, torch.float32 if masters else torch.bfloat16)
    config = model.config
    if options.method == "lora":
        from peft import LoraConfig, get_peft_model

        rank, kind = options.rank, config.model_type
        lora = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=TARGETS[kind], task_type="CAUSAL_LM")
        lora.fan_in_fan_out = kind == "gpt2"
        model = get_peft_model(model, lora)
    if options.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, fused=True)

    context = config.max_position_embeddings
    shapes = [(1, n) for n in read_lengths(options, context)] if options.lengths else [(options.batch, options.seq)] * options.steps
    generator = torch.Generator(options.device).manual_seed(4)
    draw = lambda shape: torch.randint(config.vocab_size, shape, generator=generator, device=options.device)
    ids = [draw(shape) for shape in shapes] if options.lengths else [draw(shapes[0])] * options.steps
    losses = []

    def step(ids):
        with torch.autocast(options.device, torch.bfloat16, enabled=masters):
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(2):
        step(ids[0])
    losses.clear()
    # As voicetune: a step's time is that from its loss, for which it waits, to the next one's.
    seconds = []
    synchronize(options)
    start = last = time.perf_counter()
    for one in ids:
        step(one)
        now = time.perf_counter()
        seconds.append(now - last)
        last = now
    synchronize(options)
    whole = time.perf_counter() - start
    tokens = sum(rows * length for rows, length in shapes)
    total = whole if options.lengths else statistics.median(seconds) * len(seconds)
    found = {"tokens_per_s": tokens / total, "ms_per_step": 1000.0 * total / len(seconds), "seconds": whole}
    found |= {"steps": len(seconds), "tokens": tokens, "loss_first": losses[0], "loss_last": losses[-1]}
    return found | {"trained": sum(parameter.numel() for parameter in trained)}


@torch.no_grad()
def generate(options):
    model = build(options, torch.bfloat16).eval()
    model.generation_config = GenerationConfig(eos_token_id=None, pad_token_id=0)
    generator = torch.Generator(options.device).manual_seed(4)
    prompt = torch.randint(model.config.vocab_size, (1, options.prompt), generator=generator, device=options.device)
    prompt = prompt.expand(options.batch, -1).contiguous()
    sampling = dict(do_sample=True, temperature=0.8, top_k=50, top_p=0.9, repetition_penalty=1.1)
    if options.static_cache:
        sampling["cache_implementation"] = "static"

    def decode(new):
        ids = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, **sampling)
        assert ids.shape == (options.batch, options.prompt + new)

    for new in (2, options.new) if options.static_cache else (2,):  # a static cache is compiled for
        decode(new)
    times = [(seconds_of(options, lambda: decode(1)), seconds_of(options, lambda: decode(options.new))) for _ in range(3)]
    prefill = statistics.median(first for first, _ in times)
    decoding = statistics.median(whole - first for first, whole in times)
    tokens = (options.new - 1) * options.batch
    return {"decode_tok_s": tokens / decoding, "prefill_ms": 1000.0 * prefill}


def versions():
    found = {"torch": torch.__version__, "transformers": transformers.__version__}
    for package in ("peft", "liger-kernel"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="work", required=True)
    for work in (train, generate):
        command = commands.add_parser(work.__name__)
        command.set_defaults(run=work)
        command.add_argument("--shape", choices=list(SHAPES), required=True)
        command.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
        command.add_argument("--batch", type=int, default=1)
        if work is train:
            command.add_argument("--method", choices=["lora", "full"], default="lora")
            command.add_argument("--rank", type=int, default=16)
            command.add_argument("--seq", type=int, default=512)
            command.add_argument("--steps", type=int, default=10)
            command.add_argument("--lengths", metavar="FILE")
            command.add_argument("--limit", type=int, metavar="N", help="the first N examples of --lengths")
            command.add_argument("--epochs", type=int, default=1, help="passes over --lengths")
            command.add_argument("--checkpointing", action="store_true", help="recompute every block in the backward pass")
            command.add_argument("--masters", action="store_true", help="full: f32 weights under autocast")
            command.add_argument("--liger", action="store_true", help="Liger kernels")
        else:
            command.add_argument("--prompt", type=int, default=64)
            command.add_argument("--new", type=int, default=128)
            command.add_argument("--static-cache", action="store_true", help="a static cache, which transformers compiles for")
    options = parser.parse_args()
    context = SHAPES[options.shape].max_position_embeddings
    longest = options.prompt + options.new if options.run is generate else options.seq
    if longest > context and not getattr(options, "lengths", None):
        parser.error(f"{longest} tokens, and {options.shape} has {context} positions")

    torch.manual_seed(42)
    transformers.logging.set_verbosity_error()
    if options.device == "cpu":
        torch.set_num_threads(1)
    unused = {"run", *(("batch", "seq", "steps") if getattr(options, "lengths", None) else ("epochs",))}
    asked = {key: value for key, value in vars(options).items() if key not in unused and value not in (None, False)}
    error = None
    try:
        found = {key: round(value, 3) if isinstance(value, float) else value for key, value in options.run(options).items()}
    except torch.OutOfMemoryError as out:
        found, error = {}, {"error": f"out of memory: {out}".split(". ")[0]}
    if options.device == "cuda":
        found["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        asked["device"] = torch.cuda.get_device_name()
    print(json.dumps(asked | found | (error or {}) | versions()))
    sys.exit(1 if error else 0)


if __name__ == "__main__":
    main()
