"""Which texts go into which batch: a pure function, so that a resumed run meets the same batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Batch = list[int]
_WINDOW = 50
"""Batches sorted by length together: enough to leave 4 % padding on CoLA, few enough to stay random."""


def batches_of_epoch(
    seed: int, epoch: int, lengths: Sequence[int] | NDArray[np.int64], batch_size: int, *, bucketing: bool
) -> list[Batch]:
    """Indices into `lengths`, each exactly once, in shuffled batches.

    With `bucketing`, windows of shuffled texts are sorted by length before they are cut into batches, and
    the batches are shuffled again. Only one batch can be shorter than `batch_size`.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    if not bucketing:
        return [order[start : start + batch_size].tolist() for start in range(0, len(order), batch_size)]
    length = np.asarray(lengths)
    batches = []
    for start in range(0, len(order), batch_size * _WINDOW):
        window = order[start : start + batch_size * _WINDOW]
        window = window[np.argsort(-length[window], kind="stable")]
        batches += [window[at : at + batch_size].tolist() for at in range(0, len(window), batch_size)]
    return [batches[index] for index in random.permutation(len(batches))]


def steps_of_epoch(
    seed: int,
    epoch: int,
    lengths: Sequence[int] | NDArray[np.int64],
    batch_size: int,
    accumulate: int,
    *,
    bucketing: bool,
) -> list[list[Batch]]:
    """Optimizer steps, each of `accumulate` batches; the last step of an epoch may have fewer."""
    batches = batches_of_epoch(seed, epoch, lengths, batch_size, bucketing=bucketing)
    return [batches[start : start + accumulate] for start in range(0, len(batches), accumulate)]


def steps_between_validations(every: int, per_epoch: int, validations_per_epoch: int) -> float:
    """On average; an epoch has no more validations than steps."""
    return every or per_epoch / min(validations_per_epoch, per_epoch)


def steps_per_epoch(rows: int, batch_size: int, accumulate: int) -> int:
    batches = -(-rows // batch_size)
    return -(-batches // accumulate)
