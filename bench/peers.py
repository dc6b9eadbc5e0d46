"""The peers, run for real, each in a process of its own: the tutorials' loops, `transformers.Trainer`,
`pipeline("text-classification")`, and single calls of `model.generate`.

    python -m bench.peers NAME JOB.json     one JSON object on the last line of stdout
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    pipeline,
)
from transformers.utils import logging

from bench.tutorial import plain_loop
from bioforge.models.batching import pad
from bioforge.models.precision import computes_bf16

Job = dict[str, Any]
_TUTORIAL = {
    # batch size, padded length, learning rate, clipping
    "bios": (2, 768, 5e-4, None),
    "cola": (32, 64, 2e-5, 1.0),
}


def load(job: Job) -> tuple[Any, Any]:
    torch.manual_seed(job["seed"])
    factory: Any = AutoModelForSequenceClassification if job["task"] == "cola" else AutoModelForCausalLM
    return factory.from_pretrained(job["base"], dtype=torch.float32), AutoTokenizer.from_pretrained(
        job["base"]
    )


def tutorial(job: Job) -> dict[str, Any]:
    """Every batch has the same shape, so a few steps and the texts' mean length give the rate."""
    model, tokenizer = load(job)
    size, width, rate, clip = _TUTORIAL[job["task"]]
    texts = job["texts"]
    if job["task"] == "bios":
        tokenizer.add_special_tokens({"bos_token": "<|startoftext|>", "pad_token": "<|pad|>"})
        model.resize_token_embeddings(len(tokenizer))
        texts = [f"<|startoftext|>{text}<|endoftext|>" for text in texts]
    encoded = tokenizer(
        texts, truncation=True, max_length=width, padding="max_length", return_tensors="pt", verbose=False
    )
    ids, masks = encoded["input_ids"], encoded["attention_mask"]
    given = torch.tensor(job["labels"]) if job["task"] == "cola" else ids
    order = random.Random(job["seed"]).sample(range(len(texts)), len(texts))
    batches = [order[start : start + size] for start in range(0, len(order), size)][: job["steps"] + 1]

    def forward(batch: list[int]) -> Any:
        return model(ids[batch], attention_mask=masks[batch], labels=given[batch])

    losses, seconds = plain_loop(
        model, batches, forward, learning_rate=rate, warmup=0, total=1000, clip=clip, seed=job["seed"]
    )
    tokens = masks.sum().item() / len(texts) * size * (len(batches) - 1)
    return {"rate": tokens / sum(seconds[1:]), "losses": losses}


class _Clock(TrainerCallback):
    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())


def trainer(job: Job) -> dict[str, Any]:
    """Dynamic padding, bf16 where the machine computes it, our batch size and learning rate."""
    model, tokenizer = load(job)
    counts: list[int] = []
    end = tokenizer.eos_token_id
    if job["task"] == "cola":
        rows = tokenizer(job["texts"], truncation=True, max_length=job["max_length"], verbose=False)[
            "input_ids"
        ]
        examples = [
            {"input_ids": ids, "labels": label} for ids, label in zip(rows, job["labels"], strict=True)
        ]
    else:
        rows = tokenizer(job["texts"], verbose=False)["input_ids"]
        examples = [{"input_ids": [end, *ids, end][: job["max_length"]]} for ids in rows]

    def collate(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        ids = [example["input_ids"] for example in batch]
        counts.append(sum(map(len, ids)))
        padding = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        labels = pad(ids, -100) if job["task"] == "bios" else torch.tensor([row["labels"] for row in batch])
        return {
            "input_ids": pad(ids, padding),
            "attention_mask": pad([[1] * len(row) for row in ids], 0),
            "labels": labels,
        }

    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=job["batch_size"],
            learning_rate=job["learning_rate"],
            max_steps=job["steps"] + 1,
            train_sampling_strategy=job["strategy"],
            bf16=computes_bf16("cpu"),
            use_cpu=True,
            seed=job["seed"],
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            dataloader_pin_memory=False,
            disable_tqdm=True,
        )
        peer = Trainer(
            model=model,
            args=arguments,
            train_dataset=examples,
            data_collator=collate,
            callbacks=[clock],
        )
        loss = peer.train().training_loss
    seconds = clock.ends[-1] - clock.ends[0]
    return {"rate": sum(counts[1 : job["steps"] + 1]) / seconds, "losses": [loss]}


class _TimeIsUpError(Exception):
    pass


def whole_tutorial(job: Job) -> dict[str, Any]:
    """The first tutorial's job from loading to the saved model: samples, validation and all.

    After `limit` seconds of training it goes straight to saving, and says how many steps it did of how many.
    """
    began = time.perf_counter()
    model, tokenizer = load(job)
    size, _, rate, clip = _TUTORIAL["bios"]
    tokenizer.add_special_tokens({"bos_token": "<|startoftext|>", "pad_token": "<|pad|>"})
    model.resize_token_embeddings(len(tokenizer))
    model.to(job["device"])
    encoded = tokenizer(
        [f"<|startoftext|>{text}<|endoftext|>" for text in job["texts"]],
        truncation=True,
        max_length=job["width"],
        padding="max_length",
        return_tensors="pt",
        verbose=False,
    )
    ids, masks = encoded["input_ids"], encoded["attention_mask"]
    order = random.Random(job["seed"]).sample(range(len(ids)), len(ids))
    train, held = order[len(ids) // 10 :], order[: len(ids) // 10]
    epoch = [train[start : start + size] for start in range(0, len(train), size)]
    done = 0

    def loss_of(batch: list[int]) -> Any:
        inputs, mask = ids[batch].to(job["device"]), masks[batch].to(job["device"])
        return model(inputs, attention_mask=mask, labels=inputs)

    def forward(batch: list[int]) -> Any:
        nonlocal done
        if time.perf_counter() - training > job["limit"]:
            raise _TimeIsUpError
        if done % len(epoch) == 0 and done:
            validate()
        elif done % 100 == 0 and done:
            sample()
        done += 1
        return loss_of(batch)

    def sample() -> None:
        model.eval()
        model.generate(
            bos_token_id=random.randint(1, 30_000),
            do_sample=True,
            top_k=50,
            max_length=200,
            top_p=0.95,
            num_return_sequences=1,
            pad_token_id=tokenizer.eos_token_id,
        )
        model.train()

    def validate() -> None:
        model.eval()
        with torch.no_grad():
            for start in range(0, len(held), size):
                loss_of(held[start : start + size]).loss.item()
        model.train()

    training = time.perf_counter()
    batches = epoch * job["epochs"]
    with contextlib.suppress(_TimeIsUpError):
        plain_loop(model, batches, forward, learning_rate=rate, warmup=100, total=len(batches), clip=clip)
        validate()
    seconds = time.perf_counter() - training
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return {
        "steps": done,
        "of": len(batches),
        "training": seconds,
        "rest": time.perf_counter() - began - seconds,
        "tokens": masks[train].sum().item() * job["epochs"],
    }


def classify(job: Job) -> dict[str, Any]:
    """Sentences a second of the pipeline, by batch size; its own default is one by one."""
    model, tokenizer = load(job)
    judge: Any = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    judge(job["texts"][:8])
    rates = {}
    for size in job["batch_sizes"]:
        began = time.perf_counter()
        judge(job["texts"], batch_size=size)
        rates[size] = len(job["texts"]) / (time.perf_counter() - began)
    return {"rates": rates}


def write(job: Job) -> dict[str, Any]:
    """Texts drawn one call at a time, as the first tutorial draws its samples."""
    model, tokenizer = load(job)
    model.eval()

    def draw(tokens: int) -> None:
        model.generate(
            bos_token_id=random.randint(1, 30_000),
            do_sample=True,
            top_k=50,
            top_p=0.95,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            num_return_sequences=1,
            pad_token_id=tokenizer.eos_token_id,
        )

    draw(8)
    began = time.perf_counter()
    for _ in range(job["calls"]):
        draw(job["tokens"])
    return {"rate": job["calls"] * job["tokens"] / (time.perf_counter() - began)}


def device(_job: Job) -> dict[str, Any]:
    """Name of the first GPU; empty where there is none."""
    return {"device": torch.cuda.get_device_name() if torch.cuda.is_available() else ""}


PEERS = {
    "classify": classify,
    "device": device,
    "trainer": trainer,
    "tutorial": tutorial,
    "whole_tutorial": whole_tutorial,
    "write": write,
}

if __name__ == "__main__":
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    print(json.dumps(PEERS[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))))
