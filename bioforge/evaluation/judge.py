"""How good a judge is, split by split (tutorial 2, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bioforge.data.cola import DEV, IN_DOMAIN_DEV, OUT_OF_DOMAIN_DEV
from bioforge.data.rows import Row
from bioforge.data.split import train_and_validation
from bioforge.data.store import DataSet
from bioforge.errors import UserError
from bioforge.judging.judge import Judge
from bioforge.judging.metrics import (
    Counts,
    accuracy,
    accuracy_interval,
    calibration_error,
    counts,
    mcc,
    mcc_by_batch,
    mcc_interval,
)
from bioforge.models.store import ModelInfo
from bioforge.runs import recipe as recipes


@dataclass(frozen=True)
class JudgeScore:
    """Scores at the model's threshold, and at 0.5, which is the tutorial's argmax."""

    split: str
    sentences: int
    acceptable: int
    mcc: float
    interval: tuple[float, float]
    accuracy: float
    accuracy_interval: tuple[float, float]
    counts: Counts
    mcc_at_half: float
    by_batch: list[float]
    """MCC of each 32 sentences, in file order."""
    calibration_error: float
    """Mean distance of the probability said and the share found, over ten groups."""
    by_source: dict[str, tuple[int, float]]
    """Sentences of each source that the data name, and the MCC on them."""


def held_out(info: ModelInfo, data: DataSet) -> Sequence[Row]:
    """The rows of `data` that the model was validated on; empty where it was trained on other data."""
    if info.data_fingerprint != data.info.fingerprint:
        return []
    recipe = recipes.from_json(info.recipe)
    return train_and_validation(data, *recipe.split)[1]


def evaluate_judge(judge: Judge, data: DataSet) -> list[JudgeScore]:
    """Each official dev split; without one, the held-out rows, or all rows of data the model never saw.

    Raises UserError for data without judgements.
    """
    if data.info.kind != "cola":
        raise UserError(
            f"data set '{data.info.name}' holds biographies; a judge is measured on judged sentences"
        )
    splits = {name: data.split(name) for name in (IN_DOMAIN_DEV, OUT_OF_DOMAIN_DEV, DEV)}
    splits = {name: rows for name, rows in splits.items() if rows}
    if not splits:
        rows = held_out(judge.info, data)
        splits = {"held out": rows} if rows else {"all rows": data.rows}
    return [_score(judge, name, rows) for name, rows in splits.items()]


def _score(judge: Judge, name: str, rows: Sequence[Row]) -> JudgeScore:
    verdicts = list(judge.verdicts(row.text for row in rows))
    labels = [int(row.label or 0) for row in rows]
    said = [int(verdict.acceptable) for verdict in verdicts]
    return JudgeScore(
        split=name,
        sentences=len(rows),
        acceptable=sum(labels),
        mcc=mcc(labels, said),
        interval=mcc_interval(labels, said),
        accuracy=accuracy(labels, said),
        accuracy_interval=accuracy_interval(labels, said),
        counts=counts(labels, said),
        mcc_at_half=mcc(labels, [int(verdict.probability >= 0.5) for verdict in verdicts]),
        by_batch=mcc_by_batch(labels, said),
        calibration_error=calibration_error(labels, [verdict.probability for verdict in verdicts]),
        by_source=_by_source(rows, labels, said),
    )


def _by_source(rows: Sequence[Row], labels: list[int], said: list[int]) -> dict[str, tuple[int, float]]:
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if row.source:
            places.setdefault(row.source, []).append(place)
    return {
        source: (len(where), mcc([labels[at] for at in where], [said[at] for at in where]))
        for source, where in sorted(places.items())
    }
