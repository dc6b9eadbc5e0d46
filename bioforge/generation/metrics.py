"""How well a writer predicts texts, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
_MOST_NATS = 700.0
"""A token; exp of more is infinite."""


@dataclass(frozen=True)
class Prediction:
    """Over all texts together, with 95 % intervals: percentile bootstrap over texts (Efron 1979)."""

    loss: float
    """Nats a token."""
    perplexity: float
    perplexity_interval: tuple[float, float]
    bits_per_byte: float
    """Comparable between tokenizers, as perplexity is not."""
    bits_per_byte_interval: tuple[float, float]


def prediction(nats: Sequence[float], targets: Sequence[int], read: Sequence[int]) -> Prediction:
    """From each text's summed loss, the tokens predicted of it, and its UTF-8 bytes as far as it was read."""
    sums = np.array([nats, targets, read], dtype=float)
    draw = np.random.default_rng(0)
    count = sums.shape[1]
    drawn = np.array([sums[:, draw.integers(count, size=count)].sum(1) for _ in range(RESAMPLES)])
    loss, bits = _rates(sums.sum(1))
    losses, all_bits = _rates(drawn.T)
    low, high = np.quantile(losses, [0.025, 0.975])
    low_bits, high_bits = np.quantile(all_bits, [0.025, 0.975])
    return Prediction(
        float(loss),
        _perplexity(loss),
        (_perplexity(low), _perplexity(high)),
        float(bits),
        (float(low_bits), float(high_bits)),
    )


def _rates(sums: NDArray[Any]) -> tuple[Any, Any]:
    """Nats a token and bits a byte."""
    nats, targets, read = sums
    return nats / targets, nats / math.log(2) / read


def _perplexity(loss: float) -> float:
    return math.exp(min(loss, _MOST_NATS))
