#!/usr/bin/env python3
"""Scores text or ids with transformers + PEFT, exactly as the folders are, and compares with what `voicetune score` printed.

    python check_peft.py --base DIR (--adapter DIR | --no-adapter) (--ids 1,2,3 | --text FILE) [--compare FILE] [--tolerance 1e-3]

Prints {"ids": [...], "logprobs": [...]} with logprobs[i] = ln p(ids[i+1] | ids[..=i]), as `voicetune score` does. With --compare,
FILE (- for standard input) holds what voicetune printed: the ids must be the same and every log-probability within the
tolerance, which is absolute, in nats. The verdict goes to standard error. When neither --ids nor --text is given, the ids are
taken from FILE. A text is encoded as the tokenizer does by default, with the special tokens that it puts in front;
--no-special-tokens leaves those out.

Exit status: 0 done (and the same), 1 different, 2 bad usage.
"""

import argparse
import json
import math
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def read_json(path):
    if path == "-":
        return json.load(sys.stdin)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def score(base, adapter, ids, dtype):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    if adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter)
    model.eval()
    row = torch.tensor(ids, dtype=torch.long)
    with torch.no_grad():
        logits = model(input_ids=row[None], use_cache=False).logits[0, :-1]
    picked = torch.log_softmax(logits.double(), dim=-1).gather(1, row[1:, None])[:, 0]
    return picked.tolist()


def compare(found, expected, tolerance):
    """Returns None when the two say the same, else what is different."""
    if found["ids"] != expected["ids"]:
        pairs = zip(found["ids"], expected["ids"])
        shared = min(len(found["ids"]), len(expected["ids"]))
        first = next((n for n, (a, b) in enumerate(pairs) if a != b), shared)
        return f"the ids differ from position {first} ({len(found['ids'])} ids here, {len(expected['ids'])} there)"
    if len(found["logprobs"]) != len(expected["logprobs"]):
        return f"{len(found['logprobs'])} log-probabilities here, {len(expected['logprobs'])} there"
    worst, where = 0.0, 0
    for n, (a, b) in enumerate(zip(found["logprobs"], expected["logprobs"])):
        # Not a number on either side, or null in the JSON, is a difference, never a pass.
        gap = abs(a - b) if isinstance(b, (int, float)) else math.nan
        if not gap <= worst:
            worst, where = gap, n
        if math.isnan(gap):
            break
    told = f"largest difference {worst:.3e} nats at position {where} of {len(found['logprobs'])}"
    print(told, file=sys.stderr)
    return None if worst <= tolerance else f"{told}, more than {tolerance:g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", required=True, metavar="DIR", help="model folder")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--adapter", metavar="DIR", help="PEFT adapter folder")
    which.add_argument("--no-adapter", action="store_true", help="the base model alone")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--ids", help="token ids, separated by commas")
    what.add_argument("--text", metavar="FILE", help="UTF-8 text, encoded with the base folder's tokenizer")
    parser.add_argument("--no-special-tokens", action="store_true", help="encode the text without special tokens")
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="f32")
    parser.add_argument("--compare", metavar="FILE", help="what voicetune score printed; - for standard input")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="nats (default 1e-3)")
    options = parser.parse_args()

    expected = read_json(options.compare) if options.compare else None
    if options.ids:
        try:
            ids = [int(part) for part in options.ids.split(",")]
        except ValueError:
            parser.error("--ids: whole numbers separated by commas")
    elif options.text:
        with open(options.text, encoding="utf-8", newline="") as file:
            text = file.read()
        tokenizer = AutoTokenizer.from_pretrained(options.base)
        ids = tokenizer(text, add_special_tokens=not options.no_special_tokens)["input_ids"]
    elif expected:
        ids = expected["ids"]
    else:
        parser.error("one of --ids, --text and --compare is needed")
    if len(ids) < 2:
        parser.error("two ids at least are needed")

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    found = {"ids": ids, "logprobs": score(options.base, options.adapter, ids, DTYPES[options.dtype])}
    print(json.dumps(found))
    if expected:
        trouble = compare(found, expected, options.tolerance)
        if trouble:
            print(f"different: {trouble}", file=sys.stderr)
            sys.exit(1)
        print("the same", file=sys.stderr)


if __name__ == "__main__":
    main()
