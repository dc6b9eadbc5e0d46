"""The training loop of both tutorials, as they wrote it: the peer that tests and benchmarks compare with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import get_linear_schedule_with_warmup


def plain_loop(
    model: Any,
    batches: Sequence[list[int]],
    forward: Callable[[list[int]], Any],
    *,
    learning_rate: float,
    warmup: int,
    total: int,
    clip: float | None,
    seed: int = 42,
) -> tuple[list[float], list[float]]:
    """Loss and seconds of each step: zero_grad, forward with labels, backward, (clip,) step, schedule.

    Tutorial 1, "Finetune GPT2 Language Model"; tutorial 2, section 4.3.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, eps=1e-8, weight_decay=0.0)
    scheduler = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=warmup, num_training_steps=total)
    torch.manual_seed(seed)
    losses, seconds = [], []
    model.train()
    for batch in batches:
        began = time.perf_counter()
        model.zero_grad()
        loss = forward(batch).loss
        losses.append(loss.item())
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        scheduler.step()
        seconds.append(time.perf_counter() - began)
    return losses, seconds
