"""A training loop with nothing fast and nothing wrong in it: float32, padded, unpacked, padding not learnt.

python -m bench.plain losses JOB.json     one JSON object on the last line of stdout
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from bench.peers import load
from bench.tutorial import plain_loop
from bioforge.models.batching import pad
from bioforge.training.plan import batches_of_epoch


def losses(job: dict[str, Any]) -> dict[str, Any]:
    """Loss of each step, over the batches that our own plan of the same seed makes."""
    model, tokenizer = load(job)
    rows = tokenizer(job["texts"], verbose=False)["input_ids"]
    if job["task"] == "bios":
        end = tokenizer.eos_token_id
        rows = [[end, *ids, end] for ids in rows]
    width = model.config.max_position_embeddings
    rows = [ids[:width] for ids in rows]
    plan: list[list[int]] = []
    epoch = 0
    while len(plan) < job["steps"]:
        plan += batches_of_epoch(job["seed"], epoch, list(map(len, rows)), job["batch_size"], bucketing=True)
        epoch += 1

    def forward(batch: list[int]) -> Any:
        ids = [rows[index] for index in batch]
        padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        labels = pad(ids, -100) if job["task"] == "bios" else torch.tensor([job["labels"][i] for i in batch])
        mask = pad([[1] * len(row) for row in ids], 0)
        return model(pad(ids, padding), attention_mask=mask, labels=labels)

    # The schedule falls so slowly over a thousand epochs that it stays at its peak here.
    found, _ = plain_loop(
        model,
        plan[: job["steps"]],
        forward,
        learning_rate=job["learning_rate"],
        warmup=job["warmup"],
        total=1_000_000,
        clip=1.0,
        seed=job["seed"],
    )
    return {"losses": found}


if __name__ == "__main__":
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    print(
        json.dumps({"losses": losses}[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))))
    )
