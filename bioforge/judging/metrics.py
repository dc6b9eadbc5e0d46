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
    """The probability of `acceptable` from which on to accept: a half, unless another is better beyond chance.

    The other is where a logistic curve through the labels crosses a half (Platt 1999). It is taken if its MCC is
    higher by more than the standard error of the difference (the rule of Breiman et al. 1984, section 3.4.3). The cut
    whose MCC is highest on some hundred sentences is mostly luck: `bench/thresholds.py`.
    """
    cut = _crossing(labels, probabilities)
    gain, error = gain_of(labels, verdicts(probabilities, 0.5), verdicts(probabilities, cut))
    return cut if gain > error else 0.5


def _crossing(labels: Sequence[int], probabilities: Sequence[float]) -> float:
    """Where a logistic curve through the labels, fitted to the log-odds, crosses a half: from 0.05 to 0.95, in hundredths."""
    from scipy.optimize import minimize
    from scipy.special import expit

    truth = np.asarray(labels) == 1
    good, bad = int(truth.sum()), int((~truth).sum())
    # Platt's targets keep the curve finite where it could part the labels without a fault.
    targets = np.where(truth, (good + 1) / (good + 2), 1 / (bad + 2))
    margins = _log_odds(probabilities)

    def surprise(curve: Array) -> float:
        heights = curve[0] * margins + curve[1]
        return float((np.logaddexp(0, heights) - targets * heights).mean())

    slope, height = minimize(surprise, np.array([1.0, 0.0])).x
    if slope <= 0:
        return 0.5
    return float(round(np.clip(expit(-height / slope), 0.05, 0.95), 2))


def gain_of(labels: Sequence[int], before: Sequence[int], after: Sequence[int]) -> tuple[float, float]:
    """By how much MCC is higher after than before, and the standard error of that (bootstrap over sentences)."""
    was, now = paired_counts(np.asarray(labels), np.asarray(before), np.asarray(after), RESAMPLES)
    gains = mcc_of_counts(*now) - mcc_of_counts(*was)
    return float(gains[0]), float(gains[1:].std())


def paired_counts(
    labels: Array, first: Array, second: Array, resamples: int, seed: int = 0
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Of two sets of verdicts on the same sentences: true positives and negatives, false positives and negatives.

    Each `(1 + resamples,)`: as measured, then with sentences drawn anew, both sets on the same draws.
    """
    cells = np.bincount(4 * labels + 2 * first + second, minlength=8)
    # Resampling sentences with replacement draws the eight cells of (label, verdict, verdict) from a multinomial.
    drawn = np.random.default_rng(seed).multinomial(len(labels), cells / len(labels), size=resamples)
    tables = np.vstack([cells, drawn]).reshape(-1, 2, 2, 2)
    one, two = tables.sum(axis=3), tables.sum(axis=2)
    return _four(one), _four(two)


def _four(tables: Array) -> tuple[Array, ...]:
    """Of tables `(…, label, verdict)`."""
    return tables[:, 1, 1], tables[:, 0, 0], tables[:, 0, 1], tables[:, 1, 0]


def _log_odds(probabilities: Sequence[float]) -> Array:
    from scipy.special import logit

    found: Array = logit(np.clip(np.asarray(probabilities, dtype=float), 1e-12, 1 - 1e-12))
    return found


def best_temperature(labels: Sequence[int], probabilities: Sequence[float]) -> float:
    """What to divide log-odds by so that `probabilities` explain `labels` best (Guo et al. 2017).

    Between a quarter and four: a judge further off than that is wrong, not merely overconfident.
    """
    from scipy.optimize import minimize_scalar

    truth = np.asarray(labels)
    margins = _log_odds(probabilities)
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
