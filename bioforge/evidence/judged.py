"""How good a run's judge is on each split it was asked about, from the verdicts that the run kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bioforge.data.rows import Row
from bioforge.data.store import DataSet, at
from bioforge.errors import UserError
from bioforge.judging.metrics import (
    Counts,
    accuracy,
    calibration_error,
    counts,
    mcc,
    mcc_by_batch,
    mcc_interval,
    verdicts,
    wilson,
)
from bioforge.runs.outcome import Judged

LENGTHS = ((1, 4), (5, 6), (7, 8), (9, 11), (12, 15), (16, 24), (25, None))
"""Words, the first and the last of each group; None: any number."""
_BINS = 10
_SOURCES = 30
_MISTAKES = 12


@dataclass(frozen=True)
class Bin:
    """Sentences of like probability."""

    said: float
    """Mean probability of `acceptable`."""
    found: float
    """Share that is acceptable."""
    interval: tuple[float, float]
    """Of that share, 95 % (Wilson 1927)."""
    sentences: int


@dataclass(frozen=True)
class Group:
    name: str
    sentences: int
    mcc: float | None
    """None where all labels are the same, so that there is none."""
    interval: tuple[float, float] | None
    """95 %, bootstrap over sentences; None where all verdicts are the same, so that no resample differs."""


@dataclass(frozen=True)
class Mistake:
    row: int
    """1-based, in the imported file."""
    sentence: str
    label: int
    probability: float


@dataclass(frozen=True)
class OfRows:
    """What can be told only where the data set is here."""

    by_source: list[Group]
    """The sources with most sentences; empty where the data name none."""
    sources: int
    by_length: list[Group]
    """In words."""
    mistakes: list[Mistake]
    """The most confident ones first."""


@dataclass(frozen=True)
class JudgedSplit:
    split: str
    decided: bool
    """Whether the run was validated on it; any other split decided nothing."""
    threshold: float
    sentences: int
    acceptable: int
    counts: Counts
    accuracy: float
    mcc: float
    interval: tuple[float, float]
    """Of MCC, 95 %, bootstrap over sentences."""
    mcc_at_half: float
    by_batch: list[float]
    """MCC of each 32 sentences, in the order of the data."""
    reliability: list[Bin]
    """Ten groups of equal size, fewer of few sentences, from the least to the most probable."""
    calibration_error: float | None
    mistaken: int
    not_finite: int
    """Probabilities that are no numbers; these sentences count as called unacceptable."""
    rows: OfRows | None
    """None where the data set is gone."""


def judged_split(part: Judged, cut: float, decided: bool, data: DataSet | None) -> JudgedSplit:
    """Raises UserError where `part` does not fit the rows of `data`."""
    if data and max(part.positions) >= len(data.rows):
        raise UserError(f"split '{part.split}' has rows that the data set has not")
    labels, probabilities = part.labels, part.probabilities
    said = verdicts(probabilities, cut)
    finite = [place for place, value in enumerate(probabilities) if math.isfinite(value)]
    of_finite = [labels[place] for place in finite], [probabilities[place] for place in finite]
    return JudgedSplit(
        split=part.split,
        decided=decided,
        threshold=cut,
        sentences=len(labels),
        acceptable=sum(labels),
        counts=counts(labels, said),
        accuracy=accuracy(labels, said),
        mcc=mcc(labels, said),
        interval=mcc_interval(labels, said),
        mcc_at_half=mcc(labels, verdicts(probabilities, 0.5)),
        by_batch=mcc_by_batch(labels, said),
        reliability=reliability(*of_finite),
        calibration_error=calibration_error(*of_finite) if finite else None,
        mistaken=sum(label != verdict for label, verdict in zip(labels, said, strict=True)),
        not_finite=len(labels) - len(finite),
        rows=_of_rows(part, said, list(at(data.rows, part.positions))) if data else None,
    )


def reliability(labels: Sequence[int], probabilities: Sequence[float]) -> list[Bin]:
    """Groups of equal size by probability; their weighted distances are the calibration error."""
    truth, said = np.asarray(labels), np.asarray(probabilities, dtype=float)
    order = np.argsort(said, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    return [
        Bin(
            float(said[part].mean()),
            float(truth[part].mean()),
            wilson(int(truth[part].sum()), len(part)),
            len(part),
        )
        for part in parts
    ]


def _of_rows(part: Judged, said: Sequence[int], rows: Sequence[Row]) -> OfRows:
    sizes = Counter(row.source for row in rows if row.source)
    most = [source for source, _ in sizes.most_common(_SOURCES)]
    sources = {source: [at for at, row in enumerate(rows) if row.source == source] for source in sorted(most)}
    words = [len(row.text.split()) for row in rows]
    lengths = {
        _range(low, high): [at for at, size in enumerate(words) if low <= size <= (high or size)]
        for low, high in LENGTHS
    }
    return OfRows(
        by_source=_groups(part.labels, said, sources.items()),
        sources=len(sizes),
        by_length=_groups(part.labels, said, lengths.items()),
        mistakes=_mistakes(part, said, rows),
    )


def _range(low: int, high: int | None) -> str:
    return f"{low}–{high}" if high else f"{low} or more"


def _groups(
    labels: Sequence[int], said: Sequence[int], groups: Iterable[tuple[str, list[int]]]
) -> list[Group]:
    found = []
    for name, where in groups:
        truth, verdict = [labels[place] for place in where], [said[place] for place in where]
        if len(set(truth)) == 2:
            spread = mcc_interval(truth, verdict) if len(set(verdict)) == 2 else None
            found.append(Group(name, len(where), mcc(truth, verdict), spread))
        elif where:
            found.append(Group(name, len(where), None, None))
    return found


def _mistakes(part: Judged, said: Sequence[int], rows: Sequence[Row]) -> list[Mistake]:
    wrong = [
        Mistake(row.row, row.text, label, probability)
        for row, label, probability, verdict in zip(rows, part.labels, part.probabilities, said, strict=True)
        if label != verdict and math.isfinite(probability)
    ]
    # The probability that it gave to the wrong answer.
    wrong.sort(key=lambda item: (abs(item.label - item.probability), -item.row), reverse=True)
    return wrong[:_MISTAKES]
