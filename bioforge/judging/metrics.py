"""Matthews correlation with its interval, decision thresholds, and the tutorial's per-batch scores."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
RESAMPLES = 2000


def verdicts(probabilities: Sequence[float], threshold: float) -> list[int]:
    """1 (acceptable) from the threshold on; nan is 0."""
    return [int(probability >= threshold) for probability in probabilities]


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
    drawn = np.random.default_rng(seed).multinomial(total, cells / total, size=RESAMPLES)
    scores = mcc_of_counts(*drawn.T)
    tail = (1 - level) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return float(low), float(high)


def accuracy_interval(
    labels: Sequence[int] | Array, predictions: Sequence[int] | Array
) -> tuple[float, float]:
    """95 % interval of accuracy, by Wilson's score."""
    return wilson(int((np.asarray(labels) == np.asarray(predictions)).sum()), len(labels))


def wilson(found: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    from scipy.stats import binomtest

    interval = binomtest(found, of).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def mcc_of_counts(
    true_positive: Array, true_negative: Array, false_positive: Array, false_negative: Array
) -> Array:
    """MCC of each of many tables; 0 where labels or predictions are all of one kind."""
    tp, tn, fp, fn = (
        part.astype(float) for part in (true_positive, true_negative, false_positive, false_negative)
    )
    denominator = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    scores: Array = np.divide(
        tp * tn - fp * fn, denominator, out=np.zeros_like(denominator), where=denominator > 0
    )
    return scores


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


def best_temperature(labels: Sequence[int], probabilities: Sequence[float]) -> float:
    """What to divide log-odds by so that `probabilities` explain `labels` best (Guo et al. 2017).

    Between a quarter and four: a judge further off than that is wrong, not merely overconfident.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logit

    truth = np.asarray(labels)
    margins = logit(np.clip(np.asarray(probabilities, dtype=float), 1e-12, 1 - 1e-12))
    signed = np.where(truth == 1, margins, -margins)

    def surprise(log_temperature: float) -> float:
        return float(np.logaddexp(0, -signed / np.exp(log_temperature)).mean())

    found = minimize_scalar(surprise, bounds=(-math.log(4), math.log(4)), method="bounded")
    return float(np.exp(found.x))


def at_temperature(probabilities: Sequence[float], temperature: float) -> list[float]:
    """`probabilities` with their log-odds divided by `temperature`."""
    from scipy.special import expit, logit

    return [float(value) for value in expit(logit(np.asarray(probabilities, dtype=float)) / temperature)]


@dataclass(frozen=True)
class Calibration:
    """What makes a judge's log-odds into verdicts, and how good those are on the sentences it was chosen by."""

    temperature: float
    threshold: float
    metrics: dict[str, float]


def calibrate(labels: Sequence[int], probabilities: Sequence[float]) -> Calibration:
    """Temperature, and then threshold, for a judge whose log-odds give `probabilities` as they are."""
    temperature = best_temperature(labels, probabilities)
    calibrated = at_temperature(probabilities, temperature)
    threshold = best_threshold(labels, calibrated)
    said = verdicts(calibrated, threshold)
    metrics = {
        "calibration_error": calibration_error(labels, calibrated),
        "mcc_at_threshold": mcc(labels, said),
        "accuracy_at_threshold": accuracy(labels, said),
    }
    return Calibration(temperature, threshold, metrics)


def calibration_error(labels: Sequence[int], probabilities: Sequence[float], bins: int = 10) -> float:
    """Expected calibration error: mean distance of said and found shares of `acceptable`.

    Over `bins` groups of like probability and equal size, weighted by size (Naeini et al. 2015, with bins of
    equal mass).
    """
    order = np.argsort(np.asarray(probabilities, dtype=float), kind="stable")
    truth, said = np.asarray(labels, dtype=float)[order], np.asarray(probabilities, dtype=float)[order]
    parts = [part for part in np.array_split(np.arange(len(order)), bins) if len(part)]
    return float(sum(abs(truth[part].mean() - said[part].mean()) * len(part) for part in parts) / len(order))
