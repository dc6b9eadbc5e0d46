"""Two models on the same examples: the difference of a metric, and how far other examples would move it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioforge.judging.metrics import mcc_of_counts, paired_counts
from bioforge.models.card import FEWEST
from bioforge.runs.outcome import Judged, Written

Array = NDArray[Any]
RESAMPLES = 2000
"""Of each comparison; with stricter levels more, so that as many fall into the tails."""
LOWER_IS_BETTER = frozenset({"bits a byte", "nats a token"})


@dataclass(frozen=True)
class Contrast:
    """A metric of two models on the same examples of one split."""

    split: str
    metric: str
    examples: int
    baseline: float
    other: float
    low: float
    """Of the difference: percentile bootstrap interval over examples (Efron 1979), both models on the same draws."""
    high: float

    @property
    def difference(self) -> float:
        return self.other - self.baseline

    @property
    def verdict(self) -> int:
        """1 where the other is better, -1 where it is worse, 0 where that cannot be told."""
        sign = -1 if self.metric in LOWER_IS_BETTER else 1
        if self.low > 0:
            return sign
        return -sign if self.high < 0 else 0


def judged_contrasts(
    baseline: Judged, other: Judged, thresholds: tuple[float, float], level: float = 0.95, seed: int = 0
) -> list[Contrast]:
    """MCC and accuracy, each judge at its own threshold, on the sentences both held out; empty below `FEWEST`.

    `level` of the intervals, 0 to 1.
    """
    places = in_common(baseline, other)
    if len(places) < FEWEST:
        return []
    first, second = places.T
    truth = np.asarray(baseline.labels)[first]
    said = [
        (np.asarray(judged.probabilities)[at] >= threshold).astype(int)
        for judged, at, threshold in zip((baseline, other), (first, second), thresholds, strict=True)
    ]
    total = len(places)
    one, two = paired_counts(truth, said[0], said[1], _resamples(level), seed)
    metrics: dict[str, Callable[..., Array]] = {
        "MCC": mcc_of_counts,
        "accuracy": lambda tp, tn, *_: (tp + tn) / total,
    }
    return [
        _contrast(baseline.split, name, total, measure(*one), measure(*two), level)
        for name, measure in metrics.items()
    ]


def written_contrasts(
    baseline: Written, other: Written, level: float = 0.95, seed: int = 0
) -> list[Contrast]:
    """Bits a byte on the texts both held out and read equally far; empty where those are fewer than `FEWEST`.

    Nats a token too where every such text has as many tokens for both.
    """
    places = read_alike(baseline, other)
    if len(places) < FEWEST:
        return []
    first, second = places.T
    nats = [np.asarray(part.nats)[at] for part, at in ((baseline, first), (other, second))]
    targets = [np.asarray(part.targets)[at] for part, at in ((baseline, first), (other, second))]
    sizes = {"bits a byte": np.asarray(baseline.bytes)[first] * math.log(2)}
    if (targets[0] == targets[1]).all():
        sizes["nats a token"] = targets[0]
    contrasts = []
    for name, size in sizes.items():
        columns = np.stack([*nats, size], axis=1).astype(float)
        sums = np.array([columns.sum(0), *_resampled(columns, _resamples(level), seed)])
        one, two = sums[:, 0] / sums[:, 2], sums[:, 1] / sums[:, 2]
        contrasts.append(_contrast(baseline.split, name, len(places), one, two, level))
    return contrasts


def read_alike(baseline: Written, other: Written) -> Array:
    """Places in either of the texts both have and read equally far, (texts, 2): a shorter part is another text."""
    places = in_common(baseline, other)
    alike = [baseline.bytes[one] == other.bytes[two] for one, two in places]
    chosen: Array = places[np.asarray(alike, dtype=bool)]
    return chosen


def in_common(baseline: Judged | Written, other: Judged | Written) -> Array:
    """Places in either of the examples that both held out, (examples, 2)."""
    place = {position: at for at, position in enumerate(baseline.positions)}
    pairs = [(place[position], at) for at, position in enumerate(other.positions) if position in place]
    return np.asarray(pairs, dtype=int).reshape(-1, 2)


def _resamples(level: float) -> int:
    return round(RESAMPLES * 0.05 / (1 - level))


def _resampled(columns: Array, times: int, seed: int) -> Iterator[Array]:
    draw = np.random.default_rng(seed)
    for _ in range(times):
        yield columns[draw.integers(len(columns), size=len(columns))].sum(0)


def _contrast(
    split: str, metric: str, examples: int, baseline: Array, other: Array, level: float
) -> Contrast:
    """The first of each is what was measured, the others what was drawn."""
    tail = (1 - level) / 2
    low, high = np.quantile(other[1:] - baseline[1:], [tail, 1 - tail])
    return Contrast(split, metric, examples, float(baseline[0]), float(other[0]), float(low), float(high))
