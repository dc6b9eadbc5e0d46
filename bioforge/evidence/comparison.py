"""What differs between runs, and whether their models can be told apart on what they both held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from string import ascii_uppercase
from typing import Any

from bioforge.data.cola import OUT_OF_DOMAIN_DEV
from bioforge.errors import UserError
from bioforge.evidence.facts import plain
from bioforge.evidence.measured import Figure, figures
from bioforge.evidence.paired import (
    Contrast,
    in_common,
    judged_contrasts,
    read_alike,
    written_contrasts,
)
from bioforge.evidence.telling import where
from bioforge.models.card import FEWEST
from bioforge.models.catalog import Task
from bioforge.runs.events import Finished, Validation
from bioforge.runs.folder import RunFolder
from bioforge.runs.follow import Follower, Snapshot
from bioforge.runs.outcome import Outcome, outcome_of

LEVEL = 0.95
"""At which the sentences of all pairs hold together (Bonferroni 1936)."""


@dataclass(frozen=True)
class Side:
    """One of the runs that are compared."""

    letter: str
    run: str
    status: str
    data: str
    base: str
    model: str
    """As it was published; empty where it was not."""
    figures: list[Figure]
    missing: str
    """Why there is nothing to measure it by; empty where there is."""
    losses: tuple[tuple[float, float], ...]
    """Step and training loss, thinned."""
    validations: tuple[Validation, ...]


@dataclass(frozen=True)
class Difference:
    part: str
    """recipe, data, base or versions."""
    name: str
    values: list[Any]
    """Of each run in its order; None where it does not say."""


@dataclass(frozen=True)
class Pair:
    """A run against the baseline."""

    letter: str
    contrasts: list[Contrast]
    why_not: str
    """Why there are none; empty where there are."""
    left_out: int
    """Texts of both that were read to different ends."""
    sentence: str


@dataclass(frozen=True)
class Comparison:
    task: Task
    level: float
    """Of each interval, 0 to 1."""
    sides: list[Side]
    differences: list[Difference]
    pairs: list[Pair] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """What the figures do not say."""
        contrasts = [contrast for pair in self.pairs for contrast in pair.contrasts]
        if not contrasts:
            return []
        what = "sentences" if self.task == "cola" else "texts"
        said = [
            f"Intervals are over {what} only, by paired bootstrap: another seed may move a figure by more "
            f"(bioforge train {self.task} DATA --seeds 5)."
        ]
        if len(self.pairs) > 1:
            said.append(
                f"{len(self.pairs)} comparisons: intervals are at {percent(self.level)}, so that the "
                f"{len(self.pairs)} sentences hold together at {percent(LEVEL)}."
            )
        if any(contrast.split != OUT_OF_DOMAIN_DEV for contrast in contrasts):
            said.append(
                "The rows a run was validated on may have chosen its checkpoint"
                + (" and its threshold" if self.task == "cola" else "")
                + ", which would flatter it there."
            )
        return said

    def as_json(self) -> dict[str, Any]:
        """Plain values; what is no number is None."""
        whole: dict[str, Any] = plain(asdict(self))
        for pair, known in zip(whole["pairs"], self.pairs, strict=True):
            for contrast, one in zip(pair["contrasts"], known.contrasts, strict=True):
                contrast |= {"difference": plain(one.difference), "verdict": one.verdict}
        return {**whole, "notes": self.notes}


def percent(level: float) -> str:
    return f"{round(100 * level, 2):g} %"


def compare(runs: Sequence[RunFolder]) -> Comparison:
    """The first of `runs` is the baseline that each other is held against.

    Raises UserError for fewer than two runs, the same run twice, runs of different tasks, damaged runs.
    """
    _check(runs)
    level = 1 - (1 - LEVEL) / (len(runs) - 1)
    outcomes = [outcome_of(run) for run in runs]
    snapshots = [Follower(run).poll() for run in runs]
    sides = [
        _side(letter, run, snapshot, outcome)
        for letter, run, snapshot, outcome in zip(ascii_uppercase, runs, snapshots, outcomes, strict=False)
    ]
    same_data = [run.data()["fingerprint"] == runs[0].data()["fingerprint"] for run in runs]
    pairs = [
        _pair(sides[0], side, outcomes[0], outcome, same, level)
        for side, outcome, same in zip(sides[1:], outcomes[1:], same_data[1:], strict=True)
    ]
    return Comparison(runs[0].info().task, level, sides, _differences(runs, snapshots), pairs)


def _check(runs: Sequence[RunFolder]) -> None:
    if not 2 <= len(runs) <= len(ascii_uppercase):
        raise UserError(
            f"name two runs or more to compare, {len(ascii_uppercase)} at most; see: bioforge runs list"
        )
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"run '{name}' is named twice; name different runs to compare")
    for run in runs:
        if run.info().task != runs[0].info().task:
            raise UserError(
                f"'{runs[0].name}' trains a {_maker(runs[0])} and '{run.name}' a {_maker(run)}; "
                "only runs of the same task can be compared"
            )


def _maker(run: RunFolder) -> str:
    return "writer" if run.info().task == "bios" else "judge"


def _side(letter: str, run: RunFolder, snapshot: Snapshot, outcome: Outcome | None) -> Side:
    status = snapshot.state.status
    missing = ""
    if outcome is None and status == "finished":
        missing = "it finished before runs kept what their models make of each held-out example"
    elif outcome is None:
        missing = f"it has not finished (it is {status})"
    return Side(
        letter=letter,
        run=run.name,
        status=status,
        data=run.data()["name"],
        base=run.base().name,
        model=snapshot.ending.model if isinstance(snapshot.ending, Finished) else "",
        figures=figures(outcome) if outcome else [],
        missing=missing,
        losses=snapshot.losses,
        validations=snapshot.validations,
    )


def _differences(runs: Sequence[RunFolder], snapshots: Sequence[Snapshot]) -> list[Difference]:
    """Only what is not the same everywhere."""
    parts: dict[str, list[dict[str, Any]]] = {
        "recipe": [asdict(run.recipe()) for run in runs],
        "data": [{key: run.data().get(key) for key in ("name", "fingerprint")} for run in runs],
        "base": [
            {"name": base.name, "source": base.source, "revision": base.revision or None}
            for base in (run.base() for run in runs)
        ],
        "teachers": [run.teachers() for run in runs],
        "unlabelled": [{"fingerprint": run.unlabelled().get("fingerprint")} for run in runs],
        "versions": [_versions(run, snapshot) for run, snapshot in zip(runs, snapshots, strict=True)],
    }
    found = []
    for part, of_runs in parts.items():
        for name in dict.fromkeys(key for values in of_runs for key in values):
            values = [values.get(name) for values in of_runs]
            if any(value != values[0] for value in values):
                found.append(Difference(part, name, values))
    return found


def _versions(run: RunFolder, snapshot: Snapshot) -> dict[str, Any]:
    started = snapshot.started
    if started is None:
        return {"bioforge": run.info().version}
    return {
        "bioforge": run.info().version,
        **started.versions,
        "device": started.device,
        "precision": started.precision,
        "processes": started.processes,
    }


def _pair(
    baseline: Side, other: Side, one: Outcome | None, two: Outcome | None, same_data: bool, level: float
) -> Pair:
    lacking = [side for side in (baseline, other) if side.missing]
    if one is None or two is None:
        why = "; ".join(f"{side.letter}: {side.missing}" for side in lacking)
        return _untold(other, baseline, why)
    if not same_data:
        return _untold(other, baseline, "they learnt from different data, so no example is the same")
    contrasts, common, left_out = _contrasts(one, two, level)
    if not contrasts:
        why = f"they held out {common:,} of the same rows, which is fewer than the {FEWEST} it takes"
        if left_out:
            why = (
                f"they read all but {common - left_out:,} of their {common:,} common texts to different ends"
            )
        return _untold(
            other, baseline, why if common else "they held out different rows, none of them the same"
        )
    broken = not all(math.isfinite(value) for item in contrasts for value in (item.baseline, item.other))
    if broken:
        return _untold(other, baseline, "some of what they kept is no number")
    sentence = _sentence(baseline.letter, other.letter, _deciding(contrasts), level)
    return Pair(other.letter, contrasts, "", left_out, sentence)


def _untold(other: Side, baseline: Side, why: str) -> Pair:
    return Pair(
        other.letter,
        [],
        why,
        0,
        f"{other.letter} and {baseline.letter} cannot be held against each other: {why}.",
    )


def _contrasts(one: Outcome, two: Outcome, level: float) -> tuple[list[Contrast], int, int]:
    """Also the examples both held out, and how many of them are left out because they were read differently."""
    contrasts: list[Contrast] = []
    common = left_out = 0
    for judged in one.judged:
        for other in (part for part in two.judged if part.split == judged.split):
            common += len(in_common(judged, other))
            contrasts += judged_contrasts(judged, other, (one.cut, two.cut), level)
    for written in one.written:
        for like in (part for part in two.written if part.split == written.split):
            both = len(in_common(written, like))
            common += both
            left_out += both - len(read_alike(written, like))
            contrasts += written_contrasts(written, like, level)
    return contrasts, common, left_out


def _deciding(contrasts: Sequence[Contrast]) -> Contrast:
    """The task's main metric on rows that decided nothing, where there are such."""
    unseen = [contrast for contrast in contrasts if contrast.split == OUT_OF_DOMAIN_DEV]
    return (unseen or contrasts)[0]


def _sentence(baseline: str, other: str, contrast: Contrast, level: float) -> str:
    is_better = {
        1: f"{other} is better than {baseline}",
        -1: f"{other} is worse than {baseline}",
        0: f"{other} and {baseline} are not to be told apart",
    }[contrast.verdict]
    what = "sentences" if contrast.metric == "MCC" else "texts"
    return (
        f"{is_better} {where(contrast.split)}: {contrast.metric} {contrast.difference:+.3f} "
        f"({percent(level)}: {contrast.low:.3f} to {contrast.high:.3f}) on {contrast.examples:,} {what}."
    )
