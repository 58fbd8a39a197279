#!/usr/bin/env python3
"""Holds runs on a GPU to the bit: the same run twice, and one that ends halfway and is resumed in another process.

    python gpu_resume.py [--voicetune PATH]

The pocket models on made-up pairs, LoRA with dropout and in full, in bf16 and f32. Every loss and gradient norm of the second run and of
the resumed one must be those of the first to the last digit that events.jsonl has, which are all of them. Python 3.11 or later, and
nothing else. Exit status: 0 all are the same, 1 one differs or voicetune failed.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAIRS, BATCH, EPOCHS, HALFWAY = 12, 2, 2, 5
MODELS = {"llama": ["q_proj", "v_proj", "down_proj"], "gpt2": ["c_attn", "c_proj", "c_fc"]}
WORDS = "the a bus late river bread window of under and again her first rain slowly kept stone seven nobody left".split()


def workspace(voicetune, folder):
    """Pairs, and a config KIND-METHOD-DTYPE for each kind of run."""
    voicetune("init", folder)
    (folder / "pairs/tier1/example.yaml").unlink()
    draw = random.Random(3)
    for n in range(PAIRS):
        prompt, response = (" ".join(draw.choices(WORDS, k=draw.randrange(*span))) for span in [(3, 20), (20, 160)])
        pair = f"tier: 2\nsource: made-up-{n}\nprompt: |\n  {prompt}\nresponse: |\n  {response}\nstatus: ready\nsplit: train\n"
        (folder / f"pairs/tier2/made-up-{n}.yaml").write_text(pair)
    names = []
    for kind, targets in MODELS.items():
        for method in ("lora", "full"):
            for dtype in ("bf16", "f32"):
                config = {
                    "model": f"pocket:{kind}",
                    "format": "chat" if kind == "llama" else "plain",
                    "method": method,
                    "base_precision": dtype,
                    "lora": {"rank": 8, "alpha": 16, "dropout": 0.05, "targets": targets},
                    "epochs": EPOCHS,
                    "batch": BATCH,
                    "max_tokens": 512,
                    "validation": {"fraction": 0.0},
                    "evaluate_every": "never",
                    "sample_every": "never",
                    "keep_best": "last",
                }
                name = f"{kind}-{method}-{dtype}"
                (folder / f"configs/{name}.yaml").write_text(json.dumps(config))  # JSON is YAML
                names.append(name)
    return names


def steps(folder, run):
    (run,) = folder.glob(f"runs/*-{run}")
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    on = {event["device"] for event in events if event["type"] == "started"}
    if any(device.lower().startswith("cpu") for device in on):
        sys.exit(f"{run} was trained on {on}")
    return [(event["step"], event["loss"], event["grad_norm"]) for event in events if event["type"] == "step"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--voicetune", default=ROOT / "target/release/voicetune", type=Path, metavar="PATH")
    program = parser.parse_args().voicetune.resolve()

    def voicetune(*arguments):
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"voicetune {' '.join(map(str, arguments))}\nended with status {done.returncode}:\n{done.stderr[-4000:]}")

    differ = 0
    with tempfile.TemporaryDirectory(prefix="voicetune-resume-") as scratch:
        folder = Path(scratch) / "workspace"
        for name in workspace(voicetune, folder):
            train = lambda *arguments: voicetune("--workspace", folder, "train", *arguments, "--in-process")
            train(name, "--run", f"{name}-once")
            train(name, "--run", f"{name}-again")
            train(name, "--run", f"{name}-resumed", "--max-steps", HALFWAY)
            train("--resume", f"{name}-resumed")
            once, again, resumed = (steps(folder, f"{name}-{run}") for run in ("once", "again", "resumed"))
            assert len(once) == PAIRS // BATCH * EPOCHS and once[0][1] > once[-1][1], f"{name} trains: {once}"
            for what, found in (("again", again), ("resumed", resumed)):
                same = found == once
                differ += not same
                print(f"{name} {what}: {len(found)} steps, {'the same' if same else f'DIFFER: {once} {found}'}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
