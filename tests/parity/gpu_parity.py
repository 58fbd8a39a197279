#!/usr/bin/env python3
"""Compares voicetune with transformers + PEFT on the machine it runs on: log-probabilities, and ten training steps.

    python gpu_parity.py [--voicetune PATH] [--shape odd llama-3.1-8b gpt2-xl] [--device cuda|cpu] [--dtypes bf16 f32]
                         [--scratch DIR] [--keep]

Random Hugging Face checkpoints are made in a scratch folder (sharded safetensors in bf16, so both sides start from the very same
weights in every precision) with the tokenizers of assets/pocket. `odd` is two small Llamas with odd sizes, grouped heads of size
64 and 128 and llama3 scaling, and a small GPT-2 with odd sizes, LoRA and in full; the other two are the true shapes, 8B with LoRA and
XL in full. For each of them

  score   the log-probabilities of 384 random ids, of the base model and of the model with a random adapter: `voicetune score`
  train   ten AdamW steps on made-up pairs, LoRA from that adapter and in full: `voicetune train`, then the same in PyTorch. Ids and
          masks are those of the run's dataset.jsonl, each step's examples, and the number of steps that the schedule counts,
          those of its events.jsonl. bf16 in full has f32 masters, whose rounding is computed with, as in voicetune. PEFT keeps and
          computes adapters in f32 over a bf16 model; voicetune computes with their rounding.

The rules. "f32" is transformers in f32 with eager attention; "noise" is what transformers in bf16 (sdpa attention) differs from it by.

  f32     every log-probability within 1e-3 nats; every loss and gradient norm within 1e-3 of its size
  bf16    log-probabilities differ from f32 by at most 1.25 times the noise on average, and 3 times the largest noise anywhere; losses
          and gradient norms, on average over the ten steps, by at most 3 times the noise, where noise below FLOOR of the size counts
          as FLOOR: ten numbers can agree by luck. In full, "f32" means here: computed in f32 with the masters rounded to bf16, else
          that rounding, which both sides share, would be taken for noise and hide what it is compared with
  both    learning rates within 1e-6 of their size; the losses fall in PyTorch's own run, else ten steps prove nothing

Made with transformers 5.17.0, torch 2.15.0 (CPU) and peft 0.21.2, accelerate 1.15.0, safetensors 0.8.0; Python 3.11 or later. On the
CPU voicetune computes in f32 only. Llama 3.1 8B takes 17 GB of disk and 40 GiB of GPU memory; GPT-2-XL in full 22 GB and 45 GiB.
Exit status: 0 all rules hold, 1 one is broken, 2 bad usage.
"""

import argparse
import gc
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import peft
import torch
import transformers
from transformers import AutoModelForCausalLM

from checkpoints import BETAS, CLIP, DECAY, EPS, ROOT, SHAPES, WARMUP, write_adapter, write_checkpoint, write_workspace

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
IDS, STEPS = 384, 10

F32_NATS = F32_RELATIVE = 1e-3
BF16_MEAN, BF16_LARGEST, BF16_STEPS = 1.25, 3.0, 3.0
EVENT = {"loss": "loss", "gradient norm": "grad_norm", "learning rate": "lr"}  # what events.jsonl calls them
FLOOR = {"loss": 1e-4, "gradient norm": 2e-3}


def say(text):
    print(text, file=sys.stderr, flush=True)


def free():
    """Gives what torch no longer uses back to the device, so that voicetune can have it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# ---------------------------------------------------------------------------------------------------------------------
# The two sides


class Voicetune:
    def __init__(self, program, device):
        self.program, self.device = program, device
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
        self.environment = os.environ | hidden

    def run(self, *arguments):
        command = [str(part) for part in (self.program, *arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        if done.returncode != 0:
            shown = " ".join(part if len(part) < 200 else "..." for part in command)
            sys.exit(f"{shown}\nended with status {done.returncode}:\n{done.stderr[-4000:]}")
        return done.stdout

    def score(self, checkpoint, adapter, ids, dtype):
        adapter = ["--adapter", adapter] if adapter else []
        listed = ",".join(map(str, ids))
        found = json.loads(self.run("score", "--model", checkpoint, *adapter, "--ids", listed, "--dtype", dtype, "--json"))
        assert found["ids"] == ids
        return torch.tensor([math.nan if p is None else p for p in found["logprobs"]], dtype=torch.float64)

    def train(self, workspace, adapter, method, dtype):
        """The step events, how many steps the schedule counts, and the examples by pair."""
        adapter = ["--adapter-init", adapter] if method == "lora" else []
        name = f"{method}-{dtype}"
        self.run("--workspace", workspace, "train", name, "--in-process", *adapter, "--max-steps", STEPS)
        (folder,) = workspace.glob(f"runs/*-{name}")
        lines = lambda file: [json.loads(line) for line in (folder / file).read_text().splitlines()]
        events, examples = lines("events.jsonl"), lines("dataset.jsonl")
        (started,) = [event for event in events if event["type"] == "started"]
        if (self.device == "cpu") != started["device"].lower().startswith("cpu"):
            sys.exit(f"--device {self.device}, and voicetune trained on {started['device']}")
        steps = [event for event in events if event["type"] == "step"]
        assert [step["step"] for step in steps] == list(range(1, STEPS + 1))
        shutil.rmtree(folder / "checkpoints")  # GPT-2-XL's is 19 GB
        return steps, started["steps"], {example["pair"]: example for example in examples}


def load(checkpoint, dtype, device):
    attention = "eager" if dtype == "f32" else "sdpa"
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=DTYPES[dtype], attn_implementation=attention, device_map={"": device})
    return model.eval()


def token_losses(model, ids):
    logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits.float(), ids[1:], reduction="none")


@torch.no_grad()
def score(model, ids, device):
    return -token_losses(model, torch.tensor(ids, device=device)).double().cpu()


def train(model, run, rate, device, rounded=False):
    """The same steps once more. Losses are those before each update, norms those before clipping. What is not f32, or all if
    `rounded`, has f32 masters and is computed with as their rounding to bf16."""
    steps, total, examples = run
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    copied = lambda p: p.detach().to(torch.float32, copy=True).requires_grad_()
    masters = [copied(p) if rounded or p.dtype != torch.float32 else p for p in trained]
    optimizer = torch.optim.AdamW(masters, lr=rate, betas=BETAS, eps=EPS, weight_decay=DECAY)
    schedule = transformers.get_cosine_schedule_with_warmup(optimizer, WARMUP, total)
    found = {"loss": [], "gradient norm": [], "learning rate": []}
    for step in steps:
        batch = [[torch.tensor(examples[pair][key], device=device) for key in ("ids", "mask")] for pair in step["pairs"]]
        count = sum(int(mask[1:].sum()) for _, mask in batch)
        assert count == step["tokens"], "the trained tokens of a step"
        loss_sum = 0.0
        for ids, mask in batch:
            loss = (token_losses(model, ids) * mask[1:]).sum() / count
            loss.backward()
            loss_sum += loss.item()
            for parameter, master in zip(trained, masters):
                if master is not parameter and parameter.grad is not None:
                    master.grad = parameter.grad.float() if master.grad is None else master.grad.add_(parameter.grad)
                    parameter.grad = None
        found["loss"].append(loss_sum)
        # In f64: the f32 norm that torch clips by is off by 1e-4 for large tensors on the CPU.
        norms = [torch.linalg.vector_norm(master.grad, dtype=torch.float64) for master in masters]
        found["gradient norm"].append(torch.stack(norms).norm().item())
        torch.nn.utils.clip_grad_norm_(masters, CLIP)
        found["learning rate"].append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for parameter, master in zip(trained, masters):
                if master is not parameter:
                    parameter.copy_(master.bfloat16())
    return {key: torch.tensor(values, dtype=torch.float64) for key, values in found.items()}


def ours(case, paths, ids, dtypes, voicetune, size):
    """Everything that voicetune computes, by what it is and the precision."""
    found = {}
    for dtype in dtypes:
        for what, adapter in [("base", None), ("adapter", paths["adapter"])]:
            start = time.perf_counter()
            found[what, dtype] = voicetune.score(paths["checkpoint"], adapter, ids, dtype)
            seconds = time.perf_counter() - start
            say(f"  voicetune    score {what} {dtype}: {seconds:.1f} s from start to end, {size / 1e9 / seconds:.2f} GB/s of checkpoint")
        for method in case.rates:
            start = time.perf_counter()
            found[method, dtype] = voicetune.train(paths["workspace"], paths["adapter"], method, dtype)
            say(f"  voicetune    {STEPS} steps {method} {dtype}: {time.perf_counter() - start:.1f} s with loading and saving")
    return found


def theirs(case, paths, ids, dtypes, runs, device):
    """The same of transformers and PEFT; each model is freed before the next is loaded."""
    found = {}
    for dtype in dtypes:
        start = time.perf_counter()
        model = load(paths["checkpoint"], dtype, device)
        loaded = time.perf_counter() - start
        found["base", dtype] = score(model, ids, device)
        wrapped = peft.PeftModel.from_pretrained(model, paths["adapter"], is_trainable=True).eval()
        found["adapter", dtype] = score(wrapped, ids, device)
        if "lora" in case.rates:
            found["lora", dtype] = train(wrapped, runs["lora"], case.rates["lora"], device)
        model = wrapped.unload()
        del wrapped
        if "full" in case.rates:
            found["full", dtype] = train(model.requires_grad_(True), runs["full"], case.rates["full"], device)
        del model
        free()
        if "full" in case.rates and dtype == "f32" and "bf16" in dtypes:
            model = load(paths["checkpoint"], dtype, device)
            found["full", "rounded"] = train(model, runs["full"], case.rates["full"], device, rounded=True)
            del model
            free()
        say(f"  transformers {dtype}: {loaded:.1f} s to load, {time.perf_counter() - start:.1f} s in all")
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Rules


class Table:
    """One row a comparison. What is not a number breaks every rule."""

    HEAD = ("model", "what", "type", "gap: mean", "largest", "noise: mean", "largest", "rule", "")

    def __init__(self):
        self.rows, self.broken = [], 0

    def add(self, case, what, dtype, gap, noise, rule, holds):
        self.broken += not holds
        figures = [f"{float(f):.2e}" for g in (gap, noise) if g is not None for f in (g.mean(), g.max())]
        figures += [""] * (4 - len(figures))
        self.rows.append((case.name, what, dtype, *figures, rule, "holds" if holds else "BROKEN"))

    def print(self):
        widths = [max(map(len, column)) for column in zip(self.HEAD, *self.rows)]
        for row in [self.HEAD, *self.rows]:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def compare_scores(table, case, what, dtype, mine, peers):
    exact = peers[what, "f32"]
    gap = (mine - exact).abs()
    if dtype == "f32":
        table.add(case, f"{what}: ln p", dtype, gap, None, f"largest <= {F32_NATS:g}", bool(gap.max() <= F32_NATS))
        return
    noise = (peers[what, dtype] - exact).abs()
    holds = gap.mean() <= BF16_MEAN * noise.mean() and gap.max() <= BF16_LARGEST * noise.max()
    table.add(case, f"{what}: ln p", dtype, gap, noise, f"mean <= {BF16_MEAN:g} x noise, largest <= {BF16_LARGEST:g} x", bool(holds))


def compare_steps(table, case, method, dtype, steps, peers):
    exact = peers[method, "rounded" if (method, dtype) == ("full", "bf16") else "f32"]
    mine = {key: torch.tensor([s[name] for s in steps], dtype=torch.float64) for key, name in EVENT.items()}
    for key in ("loss", "gradient norm"):
        gap = (mine[key] - exact[key]).abs() / exact[key]
        if dtype == "f32":
            table.add(case, f"{method}: {key}", dtype, gap, None, f"largest <= {F32_RELATIVE:g}", bool(gap.max() <= F32_RELATIVE))
            continue
        noise = (peers[method, dtype][key] - exact[key]).abs() / exact[key]
        holds = gap.mean() <= BF16_STEPS * max(noise.mean(), FLOOR[key])
        rule = f"mean <= {BF16_STEPS:g} x noise (no less than {FLOOR[key]:g})"
        table.add(case, f"{method}: {key}", dtype, gap, noise, rule, bool(holds))
    rates = exact["learning rate"]
    gap = (mine["learning rate"] - rates).abs() / rates.max()
    table.add(case, f"{method}: learning rate", dtype, gap, None, "largest <= 1e-06", bool(gap.max() <= 1e-6))
    # The first two steps have seen no update and a small one; the last three have seen most.
    before, after = exact["loss"][:2].mean(), exact["loss"][-3:].mean()
    table.add(case, f"{method}: loss {before:.3f} -> {after:.3f}", dtype, None, None, "falls", bool(after < before))


def compare(table, case, dtypes, voicetune, device, scratch):
    say(case.name)
    paths = {name: scratch / name for name in ("checkpoint", "adapter", "workspace")}
    with torch.device("meta"):
        skeleton = AutoModelForCausalLM.from_config(case.config(), dtype=torch.bfloat16)
    start = time.perf_counter()
    size = write_checkpoint(case, skeleton, paths["checkpoint"], device)
    seconds = time.perf_counter() - start
    say(f"  checkpoint   {size / 1e9:.2f} GB made and written in {seconds:.1f} s, {size / 1e9 / seconds:.2f} GB/s")
    write_adapter(case, skeleton, paths["adapter"])
    voicetune.run("init", paths["workspace"])
    write_workspace(paths["workspace"], case, paths["checkpoint"], dtypes)
    free()
    draw = random.Random(4)
    ids = [draw.randrange(skeleton.config.vocab_size) for _ in range(IDS)]
    mine = ours(case, paths, ids, dtypes, voicetune, size)
    runs = {method: mine[method, dtypes[0]] for method in case.rates}
    for method, dtype in ((method, dtype) for method in case.rates for dtype in dtypes):
        steps = mine[method, dtype][0]
        assert [step["pairs"] for step in steps] == [step["pairs"] for step in runs[method][0]], "the order of the pairs"
    peers = theirs(case, paths, ids, sorted({*dtypes, "f32"}), runs, device)
    for dtype in dtypes:
        for what in ("base", "adapter"):
            compare_scores(table, case, what, dtype, mine[what, dtype], peers)
        for method in case.rates:
            compare_steps(table, case, method, dtype, mine[method, dtype][0], peers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--voicetune", default=ROOT / "target/release/voicetune", type=Path, metavar="PATH")
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), default=["odd"])
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--dtypes", nargs="+", choices=list(DTYPES), help="bf16 and f32; on the CPU f32 alone")
    parser.add_argument("--scratch", type=Path, help="where to make the scratch folder (default: the system's)")
    parser.add_argument("--keep", action="store_true", help="leave the scratch folder there")
    options = parser.parse_args()
    dtypes = options.dtypes or (["f32"] if options.device == "cpu" else ["bf16", "f32"])
    if options.device == "cpu" and "bf16" in dtypes:
        parser.error("on the CPU voicetune computes in f32 only")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device; --device cpu compares on the CPU")
    if not options.voicetune.is_file():
        parser.error(f"{options.voicetune}: not there; build it, or give --voicetune")

    torch.set_num_threads(min(torch.get_num_threads(), 8) if options.device == "cuda" else 1)
    torch.set_float32_matmul_precision("highest")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    voicetune, table, start = Voicetune(options.voicetune.resolve(), options.device), Table(), time.perf_counter()
    for shape in options.shape:
        for case in SHAPES[shape]:
            scratch = Path(tempfile.mkdtemp(prefix="voicetune-parity-", dir=options.scratch))
            try:
                compare(table, case, dtypes, voicetune, options.device, scratch)
            finally:
                if options.keep:
                    say(f"  kept         {scratch}")
                else:
                    shutil.rmtree(scratch)
    table.print()
    device = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(f"{len(table.rows)} comparisons, {table.broken} broken; {time.perf_counter() - start:.0f} s on {device};", end=" ")
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}")
    sys.exit(1 if table.broken else 0)


if __name__ == "__main__":
    main()
