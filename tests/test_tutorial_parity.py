"""Our loop under the `tutorial` preset against plain loops written from the tutorials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoTokenizer,
    BertForSequenceClassification,
    GPT2LMHeadModel,
    GPT2Tokenizer,
)

from bench.tutorial import plain_loop
from bioforge.data import store
from bioforge.data.rows import Row
from bioforge.data.split import train_and_validation
from bioforge.data.store import DataInfo
from bioforge.paths import Home
from bioforge.runs.events import Step, Validation
from bioforge.runs.folder import RunFolder
from bioforge.training.plan import batches_of_epoch
from tests.helpers import make_run, work

STEPS = 30
SEED = 42


def _rows(home: Home, name: str) -> tuple[Sequence[Row], Sequence[Row]]:
    return train_and_validation(store.load(home, name), 0.1, SEED, official=False)


def _batches(lengths: list[int], batch_size: int, epochs: int) -> list[list[int]]:
    """The order our loop uses, with the tutorials' random sampling of rows."""
    plans = (batches_of_epoch(SEED, epoch, lengths, batch_size, bucketing=False) for epoch in range(epochs))
    return [batch for plan in plans for batch in plan]


def _our_losses(run: RunFolder) -> list[float]:
    assert work(run) == 0, run.history()[-1]
    return [event.loss for event in run.history() if isinstance(event, Step)]


def test_gpt2_tutorial(home: Home, djs: DataInfo, tiny_gpt2: Path) -> None:
    # Two epochs of the tutorial's schedule, stopped after thirty steps; samples are drawn meanwhile.
    run = make_run(
        home,
        "bios",
        "djs",
        tiny_gpt2,
        preset="tutorial",
        max_length=200,
        epochs=2,
        sample_every=7,
        sample_tokens=20,
    )
    train, _ = _rows(home, "djs")
    torch.manual_seed(SEED)
    tokenizer: Any = GPT2Tokenizer.from_pretrained(
        tiny_gpt2, bos_token="<|startoftext|>", eos_token="<|endoftext|>", pad_token="<|pad|>"
    )
    model: Any = GPT2LMHeadModel.from_pretrained(tiny_gpt2)
    model.resize_token_embeddings(len(tokenizer))

    def encode(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        encoded = tokenizer(
            ["<|startoftext|>" + text + "<|endoftext|>" for text in texts],
            truncation=True,
            max_length=200,
            padding="max_length",
            return_tensors="pt",
        )
        return encoded["input_ids"], encoded["attention_mask"]

    ids, masks = encode([row.text for row in train])
    batches = _batches([200] * len(train), 2, 2)
    losses, _ = plain_loop(
        model,
        batches[:STEPS],
        lambda batch: model(ids[batch], labels=ids[batch], attention_mask=masks[batch], token_type_ids=None),
        learning_rate=5e-4,
        warmup=100,
        total=len(batches),
        clip=None,
    )
    assert len(losses) == STEPS
    assert _our_losses(run)[:STEPS] == pytest.approx(losses, abs=1e-5)


def test_gpt2_tutorial_validation_includes_padding_as_theirs(
    home: Home, djs: DataInfo, tiny_gpt2: Path
) -> None:
    run = make_run(
        home,
        "bios",
        "djs",
        tiny_gpt2,
        preset="tutorial",
        max_length=200,
        epochs=1,
        sample_every=0,
        learning_rate=0,
    )
    _, validation = _rows(home, "djs")
    assert work(run) == 0
    measured = next(event for event in run.history() if isinstance(event, Validation))
    model: Any = GPT2LMHeadModel.from_pretrained(run.best)
    tokenizer: Any = AutoTokenizer.from_pretrained(run.best)
    model.eval()
    losses = []
    for row in validation:
        text = "<|startoftext|>" + row.text + "<|endoftext|>"
        encoded = tokenizer(text, truncation=True, max_length=200, padding="max_length", return_tensors="pt")
        with torch.no_grad():
            losses.append(model(**encoded, labels=encoded["input_ids"]).loss.item())
    assert measured.metrics["loss"] == pytest.approx(sum(losses) / len(losses), abs=1e-5)


def test_bert_tutorial(home: Home, sentences: DataInfo, tiny_bert: Path) -> None:
    run = make_run(home, "cola", "sentences", tiny_bert, preset="tutorial", epochs=6)
    train, _ = _rows(home, "sentences")
    torch.manual_seed(SEED)
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_bert)
    model: Any = BertForSequenceClassification.from_pretrained(tiny_bert, num_labels=2)
    encoded = tokenizer(
        [row.text for row in train], max_length=64, truncation=True, padding="max_length", return_tensors="pt"
    )
    ids, masks = encoded["input_ids"], encoded["attention_mask"]
    labels = torch.tensor([row.label for row in train])
    batches = _batches([64] * len(train), 32, 6)
    losses, _ = plain_loop(
        model,
        batches[:STEPS],
        lambda batch: model(
            ids[batch], token_type_ids=None, attention_mask=masks[batch], labels=labels[batch]
        ),
        learning_rate=2e-5,
        warmup=0,
        total=len(batches),
        clip=1.0,
    )
    assert len(losses) == STEPS
    assert _our_losses(run)[:STEPS] == pytest.approx(losses, abs=1e-5)
