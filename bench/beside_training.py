"""How fast texts are written while something else trains on the same cores, by OpenMP's waiting policy.

python -m bench.beside_training
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

REPEATS = 3
TOKENS = 8
TRAINING = """
import torch
from transformers import GPT2Config, GPT2LMHeadModel
model = GPT2LMHeadModel(GPT2Config(n_layer=4)).bfloat16()
ids = torch.randint(0, 50257, (2, 256))
print("begun", flush=True)
while True:
    model(input_ids=ids, labels=ids).loss.backward()
"""
WRITING = """
import json, sys, time
import torch
from transformers import GPT2Config, GPT2LMHeadModel
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config()).eval()
ids = torch.randint(0, 50257, (3, 16))
tokens = int(sys.argv[1])
draw = lambda n: model.generate(ids, max_new_tokens=n, min_new_tokens=n, do_sample=True, pad_token_id=0)
draw(4)
began = time.perf_counter()
draw(tokens)
print(json.dumps(3 * tokens / (time.perf_counter() - began)))
"""


def writing(policy: str) -> float:
    """Tokens a second of three texts side by side, GPT-2 124M with random weights."""
    environment = {**os.environ, "OMP_WAIT_POLICY": policy} if policy else dict(os.environ)
    result = subprocess.run(
        [sys.executable, "-c", WRITING, str(TOKENS)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(result.stdout.splitlines()[-1]))


def compare(what: str) -> None:
    speeds: dict[str, list[float]] = {"": [], "passive": []}
    for _ in range(REPEATS):
        for policy, found in speeds.items():
            found.append(writing(policy))
    default, passive = (statistics.median(found) for found in speeds.values())
    print(
        f"{what}: default {default:.1f} tokens/s, passive {passive:.1f} tokens/s, ratio {passive / default:.2f}"
    )


def main() -> None:
    compare("alone")
    with subprocess.Popen([sys.executable, "-c", TRAINING], stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout
        training.stdout.readline()
        time.sleep(2)
        try:
            compare("beside a training")
        finally:
            training.kill()


if __name__ == "__main__":
    main()
