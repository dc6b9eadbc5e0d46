"""Matthews correlation with its interval, decision thresholds, and the tutorial's per-batch scores."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
RESAMPLES = 2000


def mcc(labels: Sequence[int] | Array, predictions: Sequence[int] | Array) -> float:
    """Matthews correlation coefficient, -1 to 1; 0 where labels or predictions are all of one kind.

    Source: Matthews 1975; tutorial 2, section 5.2 (which divides by zero there).
    """
    from sklearn.metrics import matthews_corrcoef  # a writer's training never needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(matthews_corrcoef(labels, predictions))


def accuracy(labels: Sequence[int] | Array, predictions: Sequence[int] | Array) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


@dataclass(frozen=True)
class Counts:
    """Sentences by truth and verdict; positive means acceptable."""

    true_positive: int
    true_negative: int
    false_positive: int
    false_negative: int


def counts(labels: Sequence[int] | Array, predictions: Sequence[int] | Array) -> Counts:
    truth, said = np.asarray(labels) == 1, np.asarray(predictions) == 1
    return Counts(
        int((truth & said).sum()),
        int((~truth & ~said).sum()),
        int((~truth & said).sum()),
        int((truth & ~said).sum()),
    )


def mcc_interval(
    labels: Sequence[int] | Array, predictions: Sequence[int] | Array, *, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of MCC over sentences, 2,000 resamples (Efron 1979)."""
    table = counts(labels, predictions)
    cells = np.array([table.true_positive, table.true_negative, table.false_positive, table.false_negative])
    total = int(cells.sum())
    # Resampling sentences with replacement draws the four cells from a multinomial.
    drawn = np.random.default_rng(seed).multinomial(total, cells / total, size=RESAMPLES).astype(float)
    tp, tn, fp, fn = drawn.T
    denominator = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    scores = np.divide(tp * tn - fp * fn, denominator, out=np.zeros_like(denominator), where=denominator > 0)
    tail = (1 - level) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return float(low), float(high)


def mcc_by_batch(
    labels: Sequence[int] | Array, predictions: Sequence[int] | Array, batch_size: int = 32
) -> list[float]:
    """MCC of each run of `batch_size` sentences, in file order (tutorial 2, section 5.2)."""
    return [
        mcc(labels[start : start + batch_size], predictions[start : start + batch_size])
        for start in range(0, len(labels), batch_size)
    ]


def best_threshold(labels: Sequence[int], probabilities: Sequence[float]) -> float:
    """The probability of `acceptable` from which on to accept, chosen for MCC.

    On a grid of hundredths whose scores are averaged over five neighbours first, so that one lucky gap does
    not decide; ties go to the one nearest 0.5.
    """
    truth = np.asarray(labels)
    grid = np.linspace(0.05, 0.95, 91)
    scores = np.array([mcc(truth, (np.asarray(probabilities) >= cut).astype(int)) for cut in grid])
    smooth = np.array([scores[max(0, i - 2) : i + 3].mean() for i in range(len(scores))])
    best = np.flatnonzero(smooth >= smooth.max() - 1e-12)
    return float(round(grid[best[np.argmin(np.abs(grid[best] - 0.5))]], 2))
