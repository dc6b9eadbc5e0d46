"""A run as one record, read in one pass over its events: of bounded size, however long the run was."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bioforge.errors import UserError
from bioforge.models.bases import LocalBase
from bioforge.runs.events import (
    Event,
    Failed,
    Finished,
    Preparing,
    Sample,
    Started,
    Step,
    Stopped,
    Validation,
    Warning,
    stream,
)
from bioforge.runs.folder import RunFolder, RunInfo, RunState
from bioforge.runs.launch import Processes, processes_of
from bioforge.runs.recipe import Recipe
from bioforge.runs.repeat import changes, command
from bioforge.runs.series import Series

POINTS = 240
"""Of a curve, at most."""
_SAMPLES = 48
"""Kept of all that were written, from evenly over the run."""
_WARNINGS = 50
_MARKS = 100
"""Of steps without a number, kept for drawing."""
_NOTICEABLE = 0.01
"""A validation loss that ends higher than its lowest by this share of it has risen; less is noise."""

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    points: Points
    """Step and value, neighbours averaged where there were more than `POINTS`."""
    not_finite: int
    """Steps whose value was nan or infinite; these are not among the points."""
    not_finite_at: list[int]
    """Those steps, thinned where they are many, the first and the last among them."""


@dataclass(frozen=True)
class Trend:
    """Where validation loss was lowest, and what became of it."""

    lowest_step: int
    lowest: float
    last_step: int
    last: float
    overfits: bool
    """It rose from there to the end by more than a hundredth, while training loss fell."""

    @property
    def rise(self) -> float:
        return self.last - self.lowest


@dataclass(frozen=True)
class Samples:
    written: int
    ended: int
    """Of those written, by reaching the end token."""
    after_a_sentence: int
    """By the length limit, with their last sentence whole."""
    inside_a_sentence: int
    """By the length limit, in the middle of one."""
    shown: list[Sample]
    """From evenly over the run, the first and the latest among them."""


@dataclass(frozen=True)
class Facts:
    info: RunInfo
    state: RunState
    recipe: Recipe
    preset: dict[str, Any]
    """Fields of the recipe that differ from its preset, with what the preset has."""
    data: dict[str, Any]
    """`data.json`: name, kind, fingerprint, file."""
    base: LocalBase
    command: str
    """What repeats the run."""
    processes: Processes
    started: Started | None
    sessions: int
    """Times a worker began or went on with it."""
    seconds: float
    """At work, in all sessions."""
    memory_bytes: int
    """Most that any step held."""
    tokens_per_second: float | None
    """Mean over steps."""
    loss: Curve
    """Of training."""
    learning_rate: Curve
    grad_norm: Curve
    validations: list[Validation]
    trend: Trend | None
    best_step: int | None
    """Of the kept weights."""
    samples: Samples
    warnings: list[str]
    """The latest ones."""
    warned: int
    """Warnings in all."""
    can_go_on: bool
    """Whether a checkpoint is left."""
    ending: Finished | Stopped | Failed | None
    """The last word, where the run is over and said one."""


class _Track:
    """One quantity by step."""

    def __init__(self) -> None:
        self._series = Series(POINTS)
        self._not_finite = array("q")

    def add(self, step: int, value: float) -> None:
        self._series.add(step, value)
        if not math.isfinite(value):
            self._not_finite.append(step)

    def rewind(self, step: int) -> None:
        self._series.rewind(step)
        while self._not_finite and self._not_finite[-1] > step:
            self._not_finite.pop()

    def curve(self) -> Curve:
        return Curve(self._series.points(), len(self._not_finite), thinned(self._not_finite, _MARKS))


class _SampleTrack:
    """All samples counted, some kept: every second one goes whenever there are too many."""

    def __init__(self) -> None:
        self._kinds: list[tuple[int, int]] = []
        """Step, and how it ended."""
        self._kept: list[Sample] = []
        self._every = 1
        self._latest: Sample | None = None

    def add(self, sample: Sample) -> None:
        if len(self._kinds) % self._every == 0:
            self._kept.append(sample)
        self._kinds.append((sample.step, _ending(sample)))
        self._latest = sample
        if len(self._kept) >= _SAMPLES:
            self._kept = self._kept[::2]
            self._every *= 2

    def rewind(self, step: int) -> None:
        self._kinds = [kind for kind in self._kinds if kind[0] <= step]
        self._kept = [sample for sample in self._kept if sample.step <= step]
        if self._latest and self._latest.step > step:
            self._latest = self._kept[-1] if self._kept else None

    def samples(self) -> Samples:
        kinds = [kind for _, kind in self._kinds]
        late = [self._latest] if self._latest and self._latest not in self._kept else []
        return Samples(len(kinds), kinds.count(0), kinds.count(1), kinds.count(2), [*self._kept, *late])


def _ending(sample: Sample) -> int:
    """0 at the end token, 1 and 2 at the length limit: after a whole sentence, and inside one."""
    if sample.ended:
        return 0
    from bioforge.drafting.cleaning import sentence_ends

    text = sample.text.rstrip()
    return 1 if text and sentence_ends(text)[-1:] == [len(text)] else 2


class _Reading:
    """What was said so far, of all that still holds."""

    def __init__(self) -> None:
        self.sessions = 0
        self.seconds = 0.0
        self._before: Event | None = None
        self.forget()

    def forget(self) -> None:
        self.started: Started | None = None
        self.loss, self.learning_rate, self.grad_norm = _Track(), _Track(), _Track()
        self.samples = _SampleTrack()
        self.validations: list[Validation] = []
        self.warnings: list[str] = []
        self.warned = 0
        self.memory_bytes = 0
        self.tokens_per_second, self._steps = 0.0, 0
        self.ending: Finished | Stopped | Failed | None = None

    def add(self, event: Event) -> None:
        self._add_time(event)
        if isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Step):
            self.loss.add(event.step, event.loss)
            self.learning_rate.add(event.step, event.learning_rate)
            self.grad_norm.add(event.step, event.grad_norm)
            self.memory_bytes = max(self.memory_bytes, event.memory_bytes)
            self.tokens_per_second += event.tokens_per_second
            self._steps += 1
        elif isinstance(event, Validation):
            self.validations.append(event)
        elif isinstance(event, Sample):
            self.samples.add(event)
        elif isinstance(event, Warning):
            self.warnings = [*self.warnings[1 - _WARNINGS :], event.message]
            self.warned += 1
        elif isinstance(event, Finished | Stopped | Failed):
            self.ending = event

    def _add_time(self, event: Event) -> None:
        before, self._before = self._before, event
        idle = isinstance(event, Preparing) and not isinstance(before, Preparing)
        if before and not idle:
            self.seconds += max(0.0, event.time - before.time)

    def _start(self, event: Started) -> None:
        """A resumed run takes back what was said of later steps; one from the first step, all of it."""
        if event.step == 0:
            self.forget()
        self.sessions += 1
        self.started, self.ending = event, None
        for track in (self.loss, self.learning_rate, self.grad_norm, self.samples):
            track.rewind(event.step)
        self.validations = [item for item in self.validations if item.step <= event.step]

    @property
    def mean_speed(self) -> float | None:
        return self.tokens_per_second / self._steps if self._steps else None


def facts_of(run: RunFolder) -> Facts:
    """Raises UserError for a run whose own record is damaged."""
    # Asked before the events are read: what a worker says last it says while it is still there.
    state = run.state()
    try:
        # A run is called what its folder is called now.
        info = replace(run.info(), name=run.name)
        recipe, base, data = run.recipe(), run.base(), run.data()
        data["name"], data["fingerprint"]
    except (TypeError, KeyError) as error:
        raise UserError(f"run '{run.name}' is damaged: its record does not fit ({error})") from error
    said = _Reading()
    for event in stream(run.events):
        said.add(event)
    ending = said.ending if not state.at_work else None
    kept = [item.step for item in said.validations if item.best][-1:]
    processes = processes_of(run)
    return Facts(
        info=info,
        state=state,
        recipe=recipe,
        preset=changes(recipe, base),
        data=data,
        base=base,
        command=command(info, recipe, base, data["name"], processes),
        processes=processes,
        started=said.started,
        sessions=said.sessions,
        seconds=ending.seconds if isinstance(ending, Finished) else said.seconds,
        memory_bytes=said.memory_bytes,
        tokens_per_second=said.mean_speed,
        loss=said.loss.curve(),
        learning_rate=said.learning_rate.curve(),
        grad_norm=said.grad_norm.curve(),
        validations=said.validations,
        trend=trend(said.validations),
        best_step=ending.best_step if isinstance(ending, Finished) else next(iter(kept), None),
        samples=said.samples.samples(),
        warnings=said.warnings,
        warned=said.warned,
        can_go_on=run.checkpoints.is_dir(),
        ending=ending,
    )


def trend(validations: Sequence[Validation]) -> Trend | None:
    """None where no validation gave a loss that is a number."""
    finite = [item for item in validations if math.isfinite(item.metrics.get("loss", math.nan))]
    if not finite:
        return None
    lowest, last = min(finite, key=lambda item: item.metrics["loss"]), finite[-1]
    low, end = lowest.metrics["loss"], last.metrics["loss"]
    rose = end - low > _NOTICEABLE * abs(low)
    learnt = not math.isfinite(lowest.train_loss) or last.train_loss < lowest.train_loss
    return Trend(lowest.step, low, last.step, end, rose and learnt)


def smoothed(points: Sequence[tuple[float, float]]) -> Points:
    """Each value as the mean of those around it, a twentieth of the curve to either side."""
    reach = len(points) // 20
    if not reach:
        return list(points)
    values = [value for _, value in points]
    around = (values[max(0, place - reach) : place + reach + 1] for place in range(len(values)))
    return [(step, math.fsum(near) / len(near)) for (step, _), near in zip(points, around, strict=True)]


def thinned(items: Sequence[int], most: int) -> list[int]:
    """At most so many of `items`, from evenly over all, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def plain(value: Any) -> Any:
    """`value` as JSON takes it: records as objects, paths as text, nan and infinities as null."""
    if hasattr(value, "__dataclass_fields__"):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | str | bool | None) else str(value)
