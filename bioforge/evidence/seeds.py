"""How much a figure varies between seeds, beside what other sentences would change."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bioforge.data.cola import OUT_OF_DOMAIN_DEV
from bioforge.errors import UserError
from bioforge.evidence.facts import plain
from bioforge.evidence.measured import Figure, figures
from bioforge.evidence.telling import where
from bioforge.judging.metrics import verdicts
from bioforge.models.catalog import Task
from bioforge.paths import Home, check_name
from bioforge.runs.events import Event, Failed, Finished, Validation
from bioforge.runs.folder import RunFolder
from bioforge.runs.outcome import Outcome, outcome_of
from bioforge.runs.seeds import group_runs, groups


@dataclass(frozen=True)
class SeedRun:
    seed: int
    run: str
    status: str
    model: str
    """As it was published; empty where it was not."""
    figures: list[Figure]
    collapsed: str
    """How it went wrong, where it learnt nothing; else empty."""
    message: str
    """Why it failed or stopped."""


@dataclass(frozen=True)
class Spread:
    """Of one figure over the finished runs in which it is a number."""

    split: str
    metric: str
    runs: int
    mean: float
    deviation: float | None
    """Of the sample (n - 1); None for one run."""
    lowest: float
    highest: float
    interval_width: float
    """Mean width of a single run's 95 % interval over examples; one that calls everything the same has none.
    0 where none has one."""


@dataclass(frozen=True)
class SeedReport:
    group: str
    task: Task
    runs: list[SeedRun]
    spreads: list[Spread]
    """Over all finished runs."""
    spreads_of_learnt: list[Spread]
    """Without collapsed ones; empty where there are none."""
    same_rows: bool
    """Whether every seed held out the same rows."""

    @property
    def sentences(self) -> list[str]:
        """In words: which collapsed, which are not finished, and how much the seeds matter."""
        said = []
        collapsed = [run for run in self.runs if run.collapsed]
        unfinished = [run for run in self.runs if run.status != "finished" and not run.collapsed]
        if collapsed:
            said.append(f"Collapsed: {_listed(f'seed {run.seed} ({run.collapsed})' for run in collapsed)}.")
        if unfinished:
            said.append(f"Not finished: {_listed(f'seed {run.seed} ({run.status})' for run in unfinished)}.")
        said += _closing(self.spreads, "")
        if self.spreads_of_learnt:
            said += _closing(self.spreads_of_learnt, " that did not collapse")
        if not self.same_rows:
            said.append("The seed also chose which rows were held out, so part of this is theirs.")
        return said

    def as_json(self) -> dict[str, Any]:
        """Plain values; what is no number is None."""
        whole: dict[str, Any] = plain(asdict(self))
        return {**whole, "sentences": self.sentences}


def seed_report(home: Home, group: str) -> SeedReport:
    """Raises UserError where there is no such group."""
    runs = group_runs(home, check_name(group, "model"))
    if not runs:
        known = groups(home)
        there = f"there are: {', '.join(known)}" if known else "make one: bioforge train cola DATA --seeds 5"
        raise UserError(f"no runs of '{group}' under several seeds; {there}")
    outcomes = {seed: outcome_of(run) for seed, run in runs.items()}
    told = [_seed_run(seed, run, outcomes[seed]) for seed, run in runs.items()]
    finished = [run for run in told if run.figures]
    learnt = [run for run in finished if not run.collapsed]
    held_out = {_rows(outcome) for outcome in outcomes.values() if outcome}
    return SeedReport(
        group=group,
        task=next(iter(runs.values())).info().task,
        runs=told,
        spreads=_spreads(finished),
        spreads_of_learnt=_spreads(learnt) if len(learnt) < len(finished) else [],
        same_rows=len(held_out) <= 1,
    )


def _seed_run(seed: int, run: RunFolder, outcome: Outcome | None) -> SeedRun:
    state, history = run.state(), run.history()
    ending = history[-1] if history else None
    return SeedRun(
        seed=seed,
        run=run.name,
        status=state.status,
        model=ending.model if isinstance(ending, Finished) else "",
        figures=figures(outcome) if outcome else [],
        collapsed=_collapse(history, outcome),
        message=state.message,
    )


def _collapse(history: Sequence[Event], outcome: Outcome | None) -> str:
    """How a run came to nothing; empty where it did not, or where that cannot be known yet."""
    ending = history[-1] if history else None
    if isinstance(ending, Failed) and ending.diverged:
        return f"diverged at step {ending.step:,}"
    if not isinstance(ending, Finished) or outcome is None:
        return ""
    if outcome.judged:
        judged = outcome.judged[0]
        said, at_half = (set(verdicts(judged.probabilities, cut)) for cut in (outcome.cut, 0.5))
        if len(set(judged.labels)) == 1:
            # One that calls these all the same may be right.
            return ""
        if len(said) == 1:
            return f"calls everything {'acceptable' if said == {1} else 'unacceptable'}, MCC 0"
        found = figures(outcome)[0]
        if len(at_half) == 1 and found.low <= 0:
            # A threshold was found between probabilities that are all but the same.
            return f"calls everything {'acceptable' if at_half == {1} else 'unacceptable'} at 0.50"
        return ""
    loss = ending.metrics.get("loss", math.nan)
    if not math.isfinite(loss):
        return f"its loss is {loss}"
    before = [event.metrics["loss"] for event in history if isinstance(event, Validation) and event.step == 0]
    if before and not loss < before[0]:
        return f"its loss, {loss:.3f}, is not below the base's {before[0]:.3f}"
    return ""


def _rows(outcome: Outcome) -> tuple[int, ...]:
    return tuple(outcome.judged[0].positions if outcome.judged else outcome.written[0].positions)


def _spreads(runs: Sequence[SeedRun]) -> list[Spread]:
    found: dict[tuple[str, str], list[Figure]] = {}
    for run in runs:
        for figure in filter(_is_number, run.figures):
            found.setdefault((figure.split, figure.metric), []).append(figure)
    return [_spread(*key, of_runs) for key, of_runs in found.items()]


def _is_number(figure: Figure) -> bool:
    return math.isfinite(figure.value)


def _spread(split: str, metric: str, of_runs: Sequence[Figure]) -> Spread:
    values = [figure.value for figure in of_runs]
    widths = [figure.high - figure.low for figure in of_runs if figure.has_interval]
    return Spread(
        split=split,
        metric=metric,
        runs=len(values),
        mean=statistics.fmean(values),
        deviation=statistics.stdev(values) if len(values) > 1 else None,
        lowest=min(values),
        highest=max(values),
        interval_width=statistics.fmean(widths) if widths else 0.0,
    )


def _closing(spreads: Sequence[Spread], which: str) -> list[str]:
    """The second tutorial's closing question: how much does it vary between seeds?"""
    if not spreads:
        return []
    unseen = [spread for spread in spreads if spread.split == OUT_OF_DOMAIN_DEV]
    spread = (unseen or spreads)[0]
    if spread.deviation is None:
        return [f"One finished run{which} says nothing of how much seeds matter."]
    apart = spread.highest - spread.lowest
    said = (
        f"Between {spread.runs} seeds{which}, {spread.metric} {where(spread.split)} varies by {spread.deviation:.3f} "
        f"(standard deviation; {spread.lowest:.3f} to {spread.highest:.3f}, mean {spread.mean:.3f})."
    )
    if not spread.interval_width:
        return [said]
    beside = "less" if apart < spread.interval_width else "more"
    return [
        f"{said} Best and worst are {apart:.3f} apart, which is {beside} than the {spread.interval_width:.3f} "
        "that the 95 % interval of a single run is wide."
    ]


def _listed(items: Any) -> str:
    return ", ".join(items)
